-- The rights of the runtime role on the books: it reads them, and writes them through these functions only. Complete, and
-- repeatable after a dump was restored, which does not bring these rights along.
REVOKE ALL ON ledger_currency, ledger_account, ledger_balance, ledger_transaction, ledger_entry, ledger_fold_mark,
    ledger_folded, ledger_anchor, ledger_period, ledger_period_balance FROM florin_app, PUBLIC;
GRANT SELECT ON ledger_currency, ledger_account, ledger_balance, ledger_transaction, ledger_entry, ledger_fold_mark,
    ledger_folded, ledger_anchor, ledger_period, ledger_period_balance TO florin_app;
REVOKE DELETE, UPDATE, TRUNCATE ON ledger_book FROM florin_app;
REVOKE ALL ON SEQUENCE ledger_account_id_seq, ledger_transaction_id_seq, ledger_period_id_seq FROM florin_app;
DO $$
DECLARE made regprocedure;
BEGIN
    FOR made IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.proname IN (
        'ledger_open_accounts', 'ledger_close_account', 'ledger_post', 'ledger_post_each', 'ledger_fold',
        'ledger_soft_close', 'ledger_begin_close', 'ledger_finish_close', 'ledger_begin_epoch') LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, florin_app', made);
        IF made::text NOT LIKE 'ledger_begin_epoch%' THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO florin_app', made);
        END IF;
    END LOOP;
END $$;
