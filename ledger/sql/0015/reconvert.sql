-- One more kind of transaction: money that was changed back is changed again, at the same rate. Added to whatever kinds are known.
DO $add$
DECLARE known text;
BEGIN
    SELECT p.prosrc INTO STRICT known FROM pg_proc p WHERE p.oid = 'ledger_knows_kind(text)'::regprocedure;
    EXECUTE 'CREATE OR REPLACE FUNCTION ledger_knows_kind(p_kind text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT '
        'SET search_path = public, pg_temp AS '
        || quote_literal(replace(known, '''unconvert''', '''unconvert'', ''reconvert'''));
END $add$;
