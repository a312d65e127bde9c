-- Who may post one, repeatable after a restore.
REVOKE ALL ON FUNCTION ledger_post_one FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_post_one TO florin_app;
