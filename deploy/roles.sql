-- Roles and database, safe to run again. For psql, as a superuser or an administrator that may create roles:
--     psql -v database=florin -f deploy/roles.sql "postgresql://administrator@host/postgres"
-- Passwords are not set here: give them with \password, or let the server trust another method.
--
--   florin_owner  owns the schema and runs migrations; nothing that serves requests uses it
--   florin_app    web, workers, sweeper: rows of ordinary tables; the ledger's migrations take its tables away again
--                 and leave EXECUTE on the posting functions
\set ON_ERROR_STOP on
\if :{?database}
\else
    \set database florin
\endif
SET client_min_messages = warning;

SELECT 'CREATE ROLE florin_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'florin_owner') \gexec
SELECT 'CREATE ROLE florin_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'florin_app') \gexec

-- A managed server's administrator is no superuser and may give a database only to a role it is a member of.
SELECT format('GRANT florin_owner TO %I', current_user)
WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
  AND NOT pg_has_role(current_user, 'florin_owner', 'USAGE') \gexec

SELECT format('CREATE DATABASE %I OWNER florin_owner', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec

\connect :"database"
SET client_min_messages = warning;

REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO florin_app;

ALTER SCHEMA public OWNER TO florin_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO florin_app;

ALTER DEFAULT PRIVILEGES FOR ROLE florin_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO florin_app;
ALTER DEFAULT PRIVILEGES FOR ROLE florin_owner IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO florin_app;
-- Without IN SCHEMA: only the global default can take away what PUBLIC has by birth.
ALTER DEFAULT PRIVILEGES FOR ROLE florin_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
