-- What the application may not do with tables that came after grants.sql: again, for a restored dump, which does not bring
-- rights along. No migration loads this; a test compares it with what the migrations did, so a new table is added here too.
REVOKE DELETE, TRUNCATE ON payments_dispute, payments_disputepart, payments_payoutstop, payments_reservehold, payments_run
    FROM florin_app;
REVOKE UPDATE, DELETE, TRUNCATE ON payments_buyer FROM florin_app;
REVOKE UPDATE, DELETE, TRUNCATE ON payments_invoice, payments_vatrate FROM florin_app;
REVOKE DELETE, TRUNCATE ON payments_billingprofile FROM florin_app;
REVOKE DELETE, TRUNCATE ON payments_payout, payments_payoutdestination, payments_pspfunding FROM florin_app;
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON payments_payoutallocation FROM florin_app;
GRANT SELECT ON payments_payoutallocation TO florin_app;
REVOKE EXECUTE ON FUNCTION payments_allocate_payouts(bigint[], text[], bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payments_allocate_payouts(bigint[], text[], bigint[]) TO florin_app;
REVOKE DELETE, TRUNCATE ON payments_foundrefund, payments_psplook FROM florin_app;
REVOKE DELETE, TRUNCATE ON payments_ownbankaccount, payments_bankfile, payments_bankinstruction FROM florin_app;
REVOKE UPDATE, DELETE, TRUNCATE ON payments_bankfilehandout FROM florin_app;
