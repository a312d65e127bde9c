-- Part of migration 0002. The three trigger functions on balances, transactions and entries are superseded by
-- 0003/guards.sql; the rest still stands.
--
-- What the books refuse from anyone: the application, the admin, a migration, a person with psql.
-- Errors carry SQLSTATE FL0xx, which ledger/posting.py maps to the exceptions of ledger/errors.py.
--
-- All checks are per statement, with transition tables: a batch pays once. They stand in for foreign keys from entries
-- to accounts and transactions, which say less (nothing about sums, versions or closed accounts), cost two lookups and
-- two row locks per leg, and lock the very rows that every payment shares. What they point at cannot go away: accounts
-- and transactions are never deleted, and never change.
--
-- Every function pins its search path, so that no table of the same name stands in for the real one. The planner is
-- told to walk indexes: a plan that was made while a table was small must not scan it when it has grown.

ALTER TABLE ledger_transaction ADD COLUMN created_xid xid8 NOT NULL DEFAULT pg_current_xact_id();

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
CREATE TRIGGER books_are_never_deleted BEFORE DELETE OR TRUNCATE ON ledger_book
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER currencies_are_fixed BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_currency
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- What an account is never changes; it may only be closed, and opened again.
CREATE FUNCTION ledger_account_is_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.book_id, NEW.code, NEW.type, NEW.currency, NEW.mode, NEW.created_at)
       IS DISTINCT FROM (OLD.id, OLD.book_id, OLD.code, OLD.type, OLD.currency, OLD.mode, OLD.created_at) THEN
        RAISE EXCEPTION 'account % is fixed: only closed_at may change', OLD.code USING ERRCODE = 'FL001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER accounts_are_fixed BEFORE UPDATE ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_account_is_fixed();

-- A balance row starts empty, on the side of its account, and only authorizing accounts have one. An opening balance is
-- a transaction like any other.
CREATE FUNCTION ledger_balance_starts_empty() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.debits <> 0 OR NEW.credits <> 0 OR NEW.version <> 0 OR NOT EXISTS (
           SELECT 1 FROM ledger_account a WHERE a.id = NEW.account_id AND a.mode = 'authorizing'
              AND NEW.debit_normal = (a.type IN ('asset', 'expense'))) THEN
        RAISE EXCEPTION 'the balance row of account % must be empty and fit its account', NEW.account_id
            USING ERRCODE = 'FL002';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER balances_start_empty BEFORE INSERT ON ledger_balance
    FOR EACH ROW EXECUTE FUNCTION ledger_balance_starts_empty();

-- A balance row moves only in step with entries: each new version is one entry, their sums are the growth of debits and
-- credits, and every one of them says the balance that it led to.
CREATE FUNCTION ledger_balance_follows_entries() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_nestloop = off SET enable_hashjoin = on AS $$
DECLARE wrong bigint;
BEGIN
    -- The sub-query is one look-up per row; old and new rows meet by hash, because a batch has thousands of them.
    SELECT n.account_id INTO wrong
      FROM new_rows n LEFT JOIN old_rows o ON o.account_id = n.account_id
     WHERE o.debit_normal IS DISTINCT FROM n.debit_normal
        OR (SELECT count(*) = n.version - o.version
                   AND coalesce(sum(x.debit), 0) = n.debits - o.debits
                   AND coalesce(sum(x.credit), 0) = n.credits - o.credits
                   AND coalesce(bool_and(x.follows), true)
              FROM (SELECT d.debit, d.credit,
                           e.balance_after = (CASE WHEN o.debit_normal THEN 1 ELSE -1 END)
                               * (o.debits - o.credits + sum(d.debit - d.credit) OVER (ORDER BY e.account_version))
                               AS follows
                      FROM ledger_entry e
                     CROSS JOIN LATERAL (SELECT CASE e.side WHEN 'D' THEN e.amount ELSE 0 END AS debit,
                                                CASE e.side WHEN 'D' THEN 0 ELSE e.amount END AS credit) d
                     WHERE e.account_id = n.account_id AND e.account_version > o.version
                       AND e.account_version <= n.version) x) IS NOT TRUE
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'balance of account % does not follow its entries', wrong USING ERRCODE = 'FL002';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER balances_follow_entries AFTER UPDATE ON ledger_balance
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_balance_follows_entries();

-- A transaction and all its legs arrive in one statement. These two triggers fire at its end.
CREATE FUNCTION ledger_transaction_has_entries() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE wrong record;
BEGIN
    -- A reversal is of one transaction of the same book, and negates it account by account.
    SELECT t.id, t.created_xid = pg_current_xact_id() AND e.present AS together INTO wrong
      FROM new_rows t
      CROSS JOIN LATERAL (SELECT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id) AS present) e
     WHERE t.created_xid <> pg_current_xact_id() OR NOT e.present
        OR t.reverses_id IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM ledger_transaction o WHERE o.id = t.reverses_id AND o.book_id = t.book_id)
        OR t.kind = 'reversal' AND (t.reverses_id IS NULL OR EXISTS (
               SELECT 1 FROM ledger_entry e WHERE e.transaction_id IN (t.id, t.reverses_id)
                GROUP BY e.account_id, e.currency
               HAVING sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END) <> 0))
     LIMIT 1;
    IF FOUND AND wrong.together THEN
        RAISE EXCEPTION 'reversal % does not negate its original', wrong.id USING ERRCODE = 'FL009';
    ELSIF FOUND THEN
        RAISE EXCEPTION 'transaction % must be inserted together with its entries', wrong.id USING ERRCODE = 'FL003';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER transactions_have_entries AFTER INSERT ON ledger_transaction
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION ledger_transaction_has_entries();

CREATE FUNCTION ledger_entries_balance() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE wrong record;
BEGIN
    -- Per currency of a transaction first, then per transaction: legs are numbered 1 to leg_count (unique by index), so
    -- a later statement has no number left to add one under.
    SELECT * INTO wrong FROM (
        SELECT c.transaction_id AS id, bool_and(c.sum = 0) AS balances,
               sum(c.legs) IS NOT DISTINCT FROM max(c.leg_count)::bigint AND max(c.last_leg) = max(c.leg_count)
                   AS complete,
               bool_and(c.fresh) AS fresh, bool_and(c.accounts_exist) AS accounts_exist,
               bool_and(c.accounts_open) AS accounts_open, bool_and(c.versions_fit) AS versions_fit
          FROM (SELECT e.transaction_id, e.currency, count(*) AS legs, max(e.leg) AS last_leg,
                       sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END) AS sum,
                       max(t.leg_count) AS leg_count,
                       bool_and(coalesce(t.created_xid = pg_current_xact_id() AND t.book_id = e.book_id
                                         AND t.effective_at = e.effective_at, false)) AS fresh,
                       bool_and(coalesce(a.book_id = e.book_id AND a.currency = e.currency, false)) AS accounts_exist,
                       bool_and(a.closed_at IS NULL) AS accounts_open,
                       bool_and(CASE a.mode WHEN 'authorizing' THEN coalesce(e.account_version <= b.version, false)
                                ELSE e.account_version IS NULL END) AS versions_fit
                  FROM new_rows e
                  LEFT JOIN ledger_transaction t ON t.id = e.transaction_id
                  LEFT JOIN ledger_account a ON a.id = e.account_id
                  LEFT JOIN ledger_balance b ON b.account_id = e.account_id
                 GROUP BY e.transaction_id, e.currency) c
         GROUP BY c.transaction_id) x
     WHERE NOT (x.balances AND x.complete AND x.fresh AND x.accounts_exist AND x.accounts_open AND x.versions_fit)
     LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF NOT wrong.accounts_exist THEN
        RAISE EXCEPTION 'transaction % names an account that is not in its book and currency', wrong.id
            USING ERRCODE = 'FL008';
    ELSIF NOT wrong.fresh THEN
        RAISE EXCEPTION 'entries cannot be added to transaction %', wrong.id USING ERRCODE = 'FL003';
    ELSIF NOT wrong.complete THEN
        RAISE EXCEPTION 'all legs of transaction % must come in one statement', wrong.id USING ERRCODE = 'FL003';
    ELSIF NOT wrong.balances THEN
        RAISE EXCEPTION 'transaction % does not balance', wrong.id USING ERRCODE = 'FL004';
    ELSIF NOT wrong.accounts_open THEN
        RAISE EXCEPTION 'transaction % posts to a closed account', wrong.id USING ERRCODE = 'FL005';
    END IF;
    RAISE EXCEPTION 'versions of transaction % differ from the balance rows of its accounts', wrong.id
        USING ERRCODE = 'FL002';
END $$;
CREATE TRIGGER entries_balance AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_balance();
