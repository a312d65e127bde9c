-- What the books refuse from anyone: the application, the admin, a migration, a person with psql.
-- Errors carry SQLSTATE FL0xx, which ledger/posting.py maps to the exceptions of ledger/errors.py.

ALTER TABLE ledger_transaction ADD COLUMN created_xid xid8 NOT NULL DEFAULT pg_current_xact_id();

-- Currency and book of an entry are those of its account and of its transaction, by foreign key.
ALTER TABLE ledger_entry
    ADD CONSTRAINT entry_book_and_currency_are_its_accounts
        FOREIGN KEY (account_id, book_id, currency) REFERENCES ledger_account (id, book_id, currency),
    ADD CONSTRAINT entry_book_is_its_transactions
        FOREIGN KEY (transaction_id, book_id) REFERENCES ledger_transaction (id, book_id);
ALTER TABLE ledger_transaction
    ADD CONSTRAINT reversal_is_in_the_same_book
        FOREIGN KEY (reverses_id, book_id) REFERENCES ledger_transaction (id, book_id);
CREATE UNIQUE INDEX transaction_is_reversed_at_most_once ON ledger_transaction (reverses_id)
    WHERE reverses_id IS NOT NULL AND kind = 'reversal';

-- Balance rows are updated in place: leave room on the page so that updates stay heap-only.
ALTER TABLE ledger_balance SET (fillfactor = 70);

CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: the books are append-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'FL001';
END $$;
CREATE TRIGGER transactions_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER entries_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER accounts_are_never_deleted BEFORE DELETE OR TRUNCATE ON ledger_account
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER balances_are_never_deleted BEFORE DELETE OR TRUNCATE ON ledger_balance
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- What an account is never changes; it may only be closed.
CREATE FUNCTION ledger_account_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.book_id, NEW.code, NEW.type, NEW.currency, NEW.mode)
       IS DISTINCT FROM (OLD.id, OLD.book_id, OLD.code, OLD.type, OLD.currency, OLD.mode) THEN
        RAISE EXCEPTION 'account % is fixed: only closed_at may change', OLD.code USING ERRCODE = 'FL001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER accounts_are_fixed BEFORE UPDATE ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_account_is_fixed();

-- A balance row moves only in step with entries: the version grows by what was posted, and the newest entry of the
-- account says the same balance. Checked per statement, so a batch pays once.
CREATE FUNCTION ledger_balance_follows_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wrong bigint;
BEGIN
    SELECT n.account_id INTO wrong
      FROM new_rows n JOIN old_rows o ON o.account_id = n.account_id
     WHERE n.version < o.version OR n.debits < o.debits OR n.credits < o.credits
        OR n.debit_normal <> o.debit_normal
        OR (n.version = o.version AND (n.debits, n.credits) IS DISTINCT FROM (o.debits, o.credits))
        OR (n.version > o.version AND NOT EXISTS (
               SELECT 1 FROM ledger_entry e
                WHERE e.account_id = n.account_id AND e.account_version = n.version
                  AND e.balance_after = CASE WHEN n.debit_normal THEN n.debits - n.credits
                                             ELSE n.credits - n.debits END))
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'balance of account % does not follow its entries', wrong USING ERRCODE = 'FL002';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER balances_follow_entries AFTER UPDATE ON ledger_balance
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_balance_follows_entries();

-- A balance row starts empty: an opening balance is a transaction like any other.
CREATE FUNCTION ledger_balance_starts_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.debits <> 0 OR NEW.credits <> 0 OR NEW.version <> 0 THEN
        RAISE EXCEPTION 'balance of account % must start at zero', NEW.account_id USING ERRCODE = 'FL002';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER balances_start_empty BEFORE INSERT ON ledger_balance
    FOR EACH ROW EXECUTE FUNCTION ledger_balance_starts_empty();

-- A transaction and all its legs arrive in one statement. Both triggers fire at its end.
CREATE FUNCTION ledger_transaction_has_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE lonely bigint;
BEGIN
    SELECT t.id INTO lonely FROM new_rows t
     WHERE t.created_xid <> pg_current_xact_id()
        OR NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % must be inserted together with its entries', lonely USING ERRCODE = 'FL003';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER transactions_have_entries AFTER INSERT ON ledger_transaction
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION ledger_transaction_has_entries();

CREATE FUNCTION ledger_entries_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wrong record;
BEGIN
    SELECT e.transaction_id AS id, count(*) = max(t.leg_count) AS complete,
           bool_and(t.created_xid = pg_current_xact_id()) AS fresh
      INTO wrong
      FROM new_rows e JOIN ledger_transaction t ON t.id = e.transaction_id
     GROUP BY e.transaction_id
    HAVING count(*) <> max(t.leg_count) OR NOT bool_and(t.created_xid = pg_current_xact_id())
     LIMIT 1;
    IF FOUND THEN
        IF NOT wrong.fresh THEN
            RAISE EXCEPTION 'entries cannot be added to committed transaction %', wrong.id USING ERRCODE = 'FL003';
        END IF;
        RAISE EXCEPTION 'all legs of transaction % must come in one statement', wrong.id USING ERRCODE = 'FL003';
    END IF;
    SELECT e.transaction_id AS id, e.currency INTO wrong
      FROM new_rows e GROUP BY e.transaction_id, e.currency
    HAVING sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % does not balance in %', wrong.id, wrong.currency USING ERRCODE = 'FL004';
    END IF;
    -- An entry has a version exactly when its account keeps a balance row, and then the row has reached it.
    SELECT e.account_id AS id INTO wrong
      FROM new_rows e JOIN ledger_account a ON a.id = e.account_id
     WHERE (a.mode = 'authorizing') <> (e.account_version IS NOT NULL) OR a.closed_at IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % is closed, or its entries lack or must not carry a version', wrong.id
            USING ERRCODE = 'FL005';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_balance AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_balance();
