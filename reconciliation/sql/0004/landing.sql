-- As in 0001, and it may be opened again in the same transaction: the text of one file makes room for that of the next.
CREATE OR REPLACE FUNCTION reconciliation_open_landing(columns integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    IF columns NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'a file has 1 to 200 columns' USING ERRCODE = '22023';
    END IF;
    IF to_regclass('pg_temp.reconciliation_landing') IS NOT NULL THEN
        DROP TABLE pg_temp.reconciliation_landing;
    END IF;
    EXECUTE 'CREATE TEMP TABLE reconciliation_landing (number integer GENERATED ALWAYS AS IDENTITY, '
            || (SELECT string_agg('c' || i || ' text', ', ' ORDER BY i) FROM generate_series(1, columns) i)
            || ') ON COMMIT DROP';
    GRANT SELECT, INSERT ON pg_temp.reconciliation_landing TO florin_app;
END $$;
