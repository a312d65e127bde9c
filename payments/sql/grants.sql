-- History and the list of legal transitions are read-only for the runtime role; the trigger writes as its owner.
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON payments_transition, payments_allowedtransition, payments_clockshift
    FROM florin_app;
GRANT SELECT ON payments_transition, payments_allowedtransition, payments_clockshift TO florin_app;
-- Money rows are never deleted by the application.
REVOKE DELETE, TRUNCATE ON payments_paymentevent, payments_paymentorder, payments_charge, payments_refund,
    payments_pspoperation, payments_pspnotification, payments_outboxmessage FROM florin_app;
