-- What the platform kept of a margin when a conversion was changed back: of a quote, one more thing that became of it.
GRANT UPDATE (undone_kept_minor) ON wallet_quote TO florin_app;
