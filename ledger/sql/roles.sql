-- The runtime role. The embedded stack and deploy/roles.sql create it with a login beforehand; where neither ran, it is
-- made here without one, and the application narrows its own session to it.
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'florin_app') THEN
        CREATE ROLE florin_app NOLOGIN;
    END IF;
    IF NOT pg_has_role(current_user, 'florin_app', 'MEMBER') AND
       EXISTS (SELECT 1 FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreaterole)) THEN
        EXECUTE format('GRANT florin_app TO %I', current_user);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    -- The role exists and somebody else administers it: nothing to do.
    RAISE NOTICE 'role florin_app is left as it is';
END $$;
GRANT USAGE ON SCHEMA public TO florin_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO florin_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO florin_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO florin_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO florin_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO florin_app;
