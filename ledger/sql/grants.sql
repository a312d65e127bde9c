-- Part of migration 0002, superseded by 0003/grants.sql.
-- The runtime role reads the books and writes them through two functions only.
REVOKE ALL ON ledger_currency, ledger_account, ledger_balance, ledger_transaction, ledger_entry FROM florin_app, PUBLIC;
GRANT SELECT ON ledger_currency, ledger_account, ledger_balance, ledger_transaction, ledger_entry TO florin_app;
REVOKE DELETE, UPDATE, TRUNCATE ON ledger_book FROM florin_app;
REVOKE USAGE ON SEQUENCE ledger_account_id_seq, ledger_transaction_id_seq, ledger_entry_id_seq FROM florin_app;
REVOKE ALL ON FUNCTION
    ledger_post(uuid[], bigint[], text[], text[], bytea[], timestamptz[], timestamptz, text[], text[], bigint[],
                int[], bigint[], text[], text[], bigint[]),
    ledger_open_accounts(bigint[], text[], text[], text[], text[], bigint[])
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    ledger_post(uuid[], bigint[], text[], text[], bytea[], timestamptz[], timestamptz, text[], text[], bigint[],
                int[], bigint[], text[], text[], bigint[]),
    ledger_open_accounts(bigint[], text[], text[], text[], text[], bigint[])
    TO florin_app;
