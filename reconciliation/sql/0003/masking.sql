-- Card numbers in what others wrote to us are masked, never stored: the rule of payments/api/card_numbers.py, which
-- refuses them in requests. 13 to 19 digits, in one group or several, with a prefix and length that a scheme uses and
-- a right check digit. What machines draw at random, UUIDs and long hex digests, is left alone.
CREATE FUNCTION reconciliation_is_card_number(digits text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
    SET search_path = public, pg_temp AS $$
DECLARE
    two int := left(digits, 2);
    three int := left(digits, 3);
    four int := left(digits, 4);
    long int := length(digits);
    total int := 0;
    value int;
    fits boolean;
BEGIN
    fits := CASE
        WHEN left(digits, 1) = '4' THEN long IN (13, 16, 19)
        WHEN two BETWEEN 51 AND 55 OR four BETWEEN 2221 AND 2720 THEN long = 16
        WHEN two IN (34, 37) THEN long = 15
        WHEN two IN (36, 38, 39) OR three BETWEEN 300 AND 305 THEN long BETWEEN 14 AND 19
        WHEN four BETWEEN 3528 AND 3589 OR four IN (2131, 1800) THEN long BETWEEN 15 AND 19
        WHEN four = 6011 OR two = 65 OR three BETWEEN 644 AND 649 THEN long BETWEEN 16 AND 19
        WHEN two IN (62, 81, 82, 60) THEN long BETWEEN 16 AND 19
        WHEN four BETWEEN 2200 AND 2204 THEN long BETWEEN 16 AND 19
        WHEN two IN (50, 56, 57, 58, 63, 67, 68, 69) THEN long BETWEEN 13 AND 19
        ELSE false
    END;
    IF NOT fits THEN
        RETURN false;
    END IF;
    FOR place IN 0 .. long - 1 LOOP
        value := substr(digits, long - place, 1)::int * (1 + place % 2);
        total := total + CASE WHEN value > 9 THEN value - 9 ELSE value END;
    END LOOP;
    RETURN total % 10 = 0;
END $$;

-- Hide all but the last four digits of each card number. The caller bounds the length of what it gives.
CREATE FUNCTION reconciliation_masked(given text) RETURNS text LANGUAGE plpgsql IMMUTABLE
    SET search_path = public, pg_temp AS $$
DECLARE
    random CONSTANT text := '[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32,128}';
    run CONSTANT text := '[0-9]([-[:space:]._/,:]{0,2}[0-9]){12,}';
    at int := 1;
    start int;
    stop int;
    found text;
    answer text := '';
    groups text[];
    gaps text[];
    digits text;
    hidden int;
BEGIN
    IF given IS NULL OR given !~ run THEN
        RETURN given;
    END IF;
    LOOP
        start := regexp_instr(given, random || '|' || run, at, 1, 0, 'i');
        EXIT WHEN start = 0;
        stop := regexp_instr(given, random || '|' || run, at, 1, 1, 'i');
        found := substr(given, start, stop - start);
        answer := answer || substr(given, at, start - at);
        at := stop;
        IF found ~* ('^(' || random || ')$') AND found ~* '[a-f]' THEN
            answer := answer || found;
            CONTINUE;
        END IF;
        groups := ARRAY(SELECT m[1] FROM regexp_matches(found, '[0-9]+', 'g') m);
        gaps := ARRAY(SELECT m[1] FROM regexp_matches(found, '[^0-9]+', 'g') m);
        FOR opening IN 1 .. cardinality(groups) LOOP
            digits := '';
            FOR closing IN opening .. cardinality(groups) LOOP
                EXIT WHEN groups[closing] LIKE '*%';
                digits := digits || groups[closing];
                EXIT WHEN length(digits) > 19;
                IF length(digits) >= 13 AND reconciliation_is_card_number(digits) THEN
                    hidden := length(digits) - 4;
                    FOR part IN opening .. closing LOOP
                        groups[part] := overlay(groups[part] placing repeat('*', least(hidden, length(groups[part])))
                                                from 1 for least(hidden, length(groups[part])));
                        hidden := hidden - least(hidden, length(groups[part]));
                    END LOOP;
                    EXIT;
                END IF;
            END LOOP;
        END LOOP;
        FOR part IN 1 .. cardinality(groups) LOOP
            answer := answer || groups[part] || coalesce(gaps[part], '');
        END LOOP;
    END LOOP;
    RETURN answer || substr(given, at);
END $$;

REVOKE ALL ON FUNCTION reconciliation_is_card_number(text), reconciliation_masked(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reconciliation_is_card_number(text), reconciliation_masked(text) TO florin_app;
