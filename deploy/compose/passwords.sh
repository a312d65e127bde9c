#!/bin/sh
# Runs once in the database container, after roles.sql, when the data directory is new: gives both roles a password.
set -eu
psql -v ON_ERROR_STOP=1 -v owner="$OWNER_PASSWORD" -v app="$APP_PASSWORD" -U "${POSTGRES_USER:-postgres}" -d postgres <<'SQL'
ALTER ROLE florin_owner PASSWORD :'owner';
ALTER ROLE florin_app PASSWORD :'app';
SQL
