-- The rights of the runtime role on proposals, repeatable after a restore: it makes them, and writes decisions.
REVOKE ALL ON wallet_proposal FROM florin_app, PUBLIC;
GRANT SELECT, INSERT ON wallet_proposal TO florin_app;
GRANT UPDATE (state, checker, decided_at, note, transaction_id) ON wallet_proposal TO florin_app;
