-- The rights of the runtime role; again after a restore, which does not bring rights along.
REVOKE UPDATE, DELETE, TRUNCATE ON reconciliation_statementline, reconciliation_item, reconciliation_settlementfile,
    reconciliation_breakevent FROM florin_app;
REVOKE DELETE, TRUNCATE ON reconciliation_source, reconciliation_reconciliationrun, reconciliation_match,
    reconciliation_break, reconciliation_repaircap FROM florin_app;
REVOKE ALL ON FUNCTION reconciliation_open_landing(integer), reconciliation_open_sets(), reconciliation_open_found() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reconciliation_open_landing(integer), reconciliation_open_sets(), reconciliation_open_found() TO florin_app;
