-- Rates and quotes are evidence: the runtime role adds them, and of a quote it changes only what became of it.
REVOKE UPDATE, DELETE, TRUNCATE ON wallet_exchangerate, wallet_quote FROM florin_app;
GRANT UPDATE (executed_at, undone_minor, undone_received_minor, undone_margin_minor, undone_rounding_minor)
    ON wallet_quote TO florin_app;
