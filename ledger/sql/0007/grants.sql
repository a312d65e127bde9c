-- The rights of the runtime role on the seals: it reads them, and appends through functions. Repeatable after a restore.
REVOKE ALL ON ledger_seal, ledger_seal_key, ledger_seal_mark, ledger_seal_published FROM florin_app, PUBLIC;
GRANT SELECT ON ledger_seal, ledger_seal_key, ledger_seal_mark, ledger_seal_published TO florin_app;
DO $$
DECLARE made regprocedure;
BEGIN
    FOR made IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.proname IN (
        'ledger_begin_sealing', 'ledger_append_seals', 'ledger_note_published') LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, florin_app', made);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO florin_app', made);
    END LOOP;
END $$;
