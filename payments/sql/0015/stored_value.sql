-- Whose stored value paid a charge or takes a refund is a buyer of the same book. Buyers are never deleted or renumbered by
-- the application: the codes of their accounts are made of their ids.
ALTER TABLE payments_charge
    ADD CONSTRAINT charge_is_in_its_buyers_book FOREIGN KEY (stored_value_of, book_id)
        REFERENCES payments_buyer (public_id, book_id);
ALTER TABLE payments_refund
    ADD CONSTRAINT refund_is_in_its_buyers_book FOREIGN KEY (stored_value_of, book_id)
        REFERENCES payments_buyer (public_id, book_id);
REVOKE UPDATE, DELETE, TRUNCATE ON payments_buyer FROM florin_app;
INSERT INTO payments_allowedtransition (machine, source, target) VALUES ('payments_charge', 'NEW', 'SUCCEEDED')
    ON CONFLICT DO NOTHING;
