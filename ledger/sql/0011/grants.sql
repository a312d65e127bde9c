-- The rights of the runtime role on the anchors of other dates, repeatable after a restore: it reads them, and folds.
REVOKE ALL ON ledger_redated_mark, ledger_redated FROM florin_app, PUBLIC;
GRANT SELECT ON ledger_redated_mark, ledger_redated TO florin_app;
REVOKE ALL ON FUNCTION ledger_fold_redated(timestamptz, int), ledger_new_public_id() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_fold_redated(timestamptz, int) TO florin_app;
