-- One trigger per state machine refuses illegal transitions and writes the history, per statement. A row keeps its id:
-- under another one it would meet neither its old state nor its history. Old and new rows meet by hash, because the
-- plan is kept from the first statement of a session, which may have had one row where a later batch has a thousand.
CREATE FUNCTION payments_check_transitions() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE wrong record;
BEGIN
    SELECT o.id, o.status AS source, n.status AS target INTO wrong
      FROM new_rows n LEFT JOIN old_rows o ON o.id = n.id
     WHERE o.id IS NULL OR o.status <> n.status AND NOT EXISTS (
           SELECT 1 FROM payments_allowedtransition a
            WHERE a.machine = TG_TABLE_NAME AND a.source = o.status AND a.target = n.status) LIMIT 1;
    IF FOUND AND wrong.id IS NULL THEN
        RAISE EXCEPTION 'the id of a row of % does not change', TG_TABLE_NAME USING ERRCODE = 'FL020';
    ELSIF FOUND THEN
        RAISE EXCEPTION '% %: % -> % is not a legal transition', TG_TABLE_NAME, wrong.id, wrong.source, wrong.target
            USING ERRCODE = 'FL020';
    END IF;
    INSERT INTO payments_transition (machine, object_id, source, target, at)
    SELECT TG_TABLE_NAME, n.id, o.status, n.status, clock_timestamp()
      FROM new_rows n JOIN old_rows o ON o.id = n.id WHERE o.status <> n.status ORDER BY n.id;
    RETURN NULL;
END $$;

CREATE FUNCTION payments_check_birth() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wrong record;
BEGIN
    SELECT n.id, n.status INTO wrong FROM new_rows n
     WHERE NOT EXISTS (SELECT 1 FROM payments_allowedtransition a
                        WHERE a.machine = TG_TABLE_NAME AND a.source = '' AND a.target = n.status) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% cannot be born as %', TG_TABLE_NAME, wrong.status USING ERRCODE = 'FL020';
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE machine text;
BEGIN
    FOREACH machine IN ARRAY ARRAY['payments_paymentorder', 'payments_charge', 'payments_refund'] LOOP
        EXECUTE format('CREATE TRIGGER transitions_are_legal AFTER UPDATE ON %I
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION payments_check_transitions()', machine);
        EXECUTE format('CREATE TRIGGER births_are_legal AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION payments_check_birth()', machine);
    END LOOP;
END $$;

-- History is written by the trigger's owner only, and never changed.
CREATE FUNCTION payments_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: history is append-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'FL021';
END $$;
CREATE TRIGGER history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_transition
    FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change();
ALTER FUNCTION payments_check_transitions() SECURITY DEFINER;
ALTER FUNCTION payments_check_transitions() SET search_path = public, pg_temp;
ALTER FUNCTION payments_check_birth() SET search_path = public, pg_temp;
