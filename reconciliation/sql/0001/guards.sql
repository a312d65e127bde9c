-- What was said stays said: lines, items, files and the history of breaks are written once.
CREATE FUNCTION reconciliation_is_append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'FL030';
END $$;
CREATE TRIGGER lines_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconciliation_statementline
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_is_append_only();
CREATE TRIGGER items_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconciliation_item
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_is_append_only();
CREATE TRIGGER files_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconciliation_settlementfile
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_is_append_only();
CREATE TRIGGER history_of_breaks_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconciliation_breakevent
    FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_is_append_only();

-- A match is undone and never otherwise changed.
CREATE FUNCTION reconciliation_match_is_only_undone() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.undone_at IS NOT NULL
       OR (NEW.id, NEW.source_id, NEW.run_id, NEW.rule, NEW.rules_version, NEW.actor)
          IS DISTINCT FROM (OLD.id, OLD.source_id, OLD.run_id, OLD.rule, OLD.rules_version, OLD.actor)
       OR (NEW."group", NEW.line_id, NEW.item_id) IS DISTINCT FROM (OLD."group", OLD.line_id, OLD.item_id) THEN
        RAISE EXCEPTION 'a match is undone, and never otherwise changed' USING ERRCODE = 'FL030';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER match_is_only_undone BEFORE UPDATE ON reconciliation_match
    FOR EACH ROW EXECUTE FUNCTION reconciliation_match_is_only_undone();

-- A row's book is that of everything it points to.
ALTER TABLE reconciliation_source
    ADD CONSTRAINT source_is_in_its_psp_accounts_book FOREIGN KEY (psp_account_id, book_id)
        REFERENCES payments_pspaccount (id, book_id);
ALTER TABLE reconciliation_settlementfile
    ADD CONSTRAINT file_is_in_its_sources_book FOREIGN KEY (source_id, book_id)
        REFERENCES reconciliation_source (id, book_id);
ALTER TABLE reconciliation_reconciliationrun
    ADD CONSTRAINT run_is_in_its_sources_book FOREIGN KEY (source_id, book_id)
        REFERENCES reconciliation_source (id, book_id);
ALTER TABLE reconciliation_break
    ADD CONSTRAINT break_is_in_its_sources_book FOREIGN KEY (source_id, book_id)
        REFERENCES reconciliation_source (id, book_id);

-- A break keeps what it is; of its first run and identity nothing changes.
CREATE FUNCTION reconciliation_break_keeps_its_identity() RETURNS trigger LANGUAGE plpgsql
    SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.public_id, NEW.book_id, NEW.source_id, NEW.identity, NEW.first_run_id)
       IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.book_id, OLD.source_id, OLD.identity, OLD.first_run_id) THEN
        RAISE EXCEPTION 'a break keeps its identity' USING ERRCODE = 'FL030';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER break_keeps_its_identity BEFORE UPDATE ON reconciliation_break
    FOR EACH ROW EXECUTE FUNCTION reconciliation_break_keeps_its_identity();

-- Where a file of columns lands, as text, before anything is believed: a table of this session and this transaction. The
-- runtime role may not create temporary tables (they could shadow those of the books), so the owner makes this one.
CREATE FUNCTION reconciliation_open_landing(columns integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    IF columns NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'a file has 1 to 200 columns' USING ERRCODE = '22023';
    END IF;
    EXECUTE 'CREATE TEMP TABLE reconciliation_landing (number integer GENERATED ALWAYS AS IDENTITY, '
            || (SELECT string_agg('c' || i || ' text', ', ' ORDER BY i) FROM generate_series(1, columns) i)
            || ') ON COMMIT DROP';
    GRANT SELECT, INSERT ON pg_temp.reconciliation_landing TO florin_app;
END $$;

-- What a run has not matched yet, looked up once and read by every rule: tables of this session and this transaction.
CREATE FUNCTION reconciliation_open_sets() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp
    SET client_min_messages = warning AS $$
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS reconciliation_open_line (LIKE reconciliation_statementline, match_key text)
        ON COMMIT DROP;
    CREATE TEMP TABLE IF NOT EXISTS reconciliation_open_item (LIKE reconciliation_item) ON COMMIT DROP;
    TRUNCATE pg_temp.reconciliation_open_line, pg_temp.reconciliation_open_item;
    GRANT SELECT, INSERT, DELETE ON pg_temp.reconciliation_open_line, pg_temp.reconciliation_open_item TO florin_app;
END $$;

CREATE FUNCTION reconciliation_open_found() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp SET client_min_messages = warning AS $$
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS reconciliation_found (
        identity bytea PRIMARY KEY, question integer, code text, priority smallint, currency text, amount bigint,
        reference text, detail text, evidence jsonb, line_ids bigint[], item_ids bigint[]) ON COMMIT DROP;
    TRUNCATE pg_temp.reconciliation_found;
    GRANT SELECT, INSERT, DELETE ON pg_temp.reconciliation_found TO florin_app;
END $$;
