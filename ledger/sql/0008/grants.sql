-- The rights of the runtime role on the checks: it reads them, and writes through functions. Those of checking.sql again,
-- for a restored dump, which does not bring them along.
REVOKE ALL ON ledger_check_mark, ledger_check_run, ledger_verified FROM florin_app, PUBLIC;
GRANT SELECT ON ledger_check_mark, ledger_check_run, ledger_verified TO florin_app;
REVOKE ALL ON SEQUENCE ledger_check_run_id_seq FROM florin_app;
REVOKE ALL ON FUNCTION ledger_check, ledger_check_sums, ledger_record_full_check FROM PUBLIC, florin_app;
GRANT EXECUTE ON FUNCTION ledger_check, ledger_check_sums, ledger_record_full_check TO florin_app;
