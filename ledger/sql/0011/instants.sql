-- What an account held at any instant, at a cost that grows neither with its age nor with how much of it is dated otherwise
-- than it was posted.
--
-- The planner guesses wildly about "everything after the mark". So nothing here is compiled just in time, the mark is read
-- first and by itself, and the tail is read by the ids of its transactions and by nothing else.

-- Entries whose effective date is not that of their posting, as anchors: added at the one, taken away at the other. Their
-- sum before an instant is what the order of effective dates differs by from the order of posting. Rows are written by a
-- fold of their own, which walks such transactions only, in the order of commits, behind every running one.
CREATE TABLE ledger_redated_mark (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    cluster_epoch smallint NOT NULL,
    xid xid8 NOT NULL,
    transaction_id bigint NOT NULL,
    folded_at timestamptz
);
INSERT INTO ledger_redated_mark (cluster_epoch, xid, transaction_id) VALUES (0, '0', 0);
CREATE TABLE ledger_redated (
    account_id bigint NOT NULL, grain text NOT NULL CHECK (grain IN ('minute', 'day')), starts_at timestamptz NOT NULL,
    debits numeric(38) NOT NULL, credits numeric(38) NOT NULL,
    PRIMARY KEY (account_id, grain, starts_at)
) WITH (fillfactor = 70);
CREATE INDEX transaction_of_another_date ON ledger_transaction (cluster_epoch, created_xid, id)
    WHERE effective_at <> posted_at;

CREATE FUNCTION ledger_fold_redated(p_now timestamptz, p_limit int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    mark record;
    epoch smallint := ledger_epoch();
    horizon xid8;
    done bigint;
BEGIN
    SELECT * INTO mark FROM ledger_redated_mark m FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    horizon := pg_snapshot_xmin(pg_current_snapshot());
    WITH passed AS MATERIALIZED (
        SELECT t.cluster_epoch, t.created_xid, t.id FROM ledger_transaction t
         WHERE t.effective_at <> t.posted_at
           AND (t.cluster_epoch, t.created_xid, t.id) > (mark.cluster_epoch, mark.xid, mark.transaction_id)
           AND (t.cluster_epoch < epoch OR t.created_xid < horizon)
         ORDER BY t.cluster_epoch, t.created_xid, t.id LIMIT p_limit
    ), moved AS MATERIALIZED (
        SELECT e.account_id, date_trunc('minute', d.at, 'UTC') AS starts_at,
               sum(CASE e.side WHEN 'D' THEN d.sign * e.amount ELSE 0 END) AS debits,
               sum(CASE e.side WHEN 'C' THEN d.sign * e.amount ELSE 0 END) AS credits
          FROM passed p JOIN LATERAL (
               SELECT x.account_id, x.posted_at, x.effective_at, x.amount, x.side FROM ledger_entry x
                WHERE x.id BETWEEN p.id * 32768 AND p.id * 32768 + 32767 OFFSET 0) e ON true
         CROSS JOIN LATERAL (VALUES (e.effective_at, 1), (e.posted_at, -1)) AS d (at, sign)
         GROUP BY 1, 2
    ), anchors AS (
        SELECT m.account_id, 'minute' AS grain, m.starts_at, m.debits, m.credits FROM moved m
        UNION ALL
        SELECT m.account_id, 'day', date_trunc('day', m.starts_at, 'UTC'), sum(m.debits), sum(m.credits)
          FROM moved m GROUP BY 1, 3
    ), anchored AS (
        INSERT INTO ledger_redated AS r (account_id, grain, starts_at, debits, credits)
        SELECT * FROM anchors a WHERE a.debits <> 0 OR a.credits <> 0
        ON CONFLICT (account_id, grain, starts_at) DO UPDATE
            SET debits = r.debits + excluded.debits, credits = r.credits + excluded.credits
    ), last AS (
        SELECT p.* FROM passed p ORDER BY p.cluster_epoch DESC, p.created_xid DESC, p.id DESC LIMIT 1
    ), marked AS (
        UPDATE ledger_redated_mark m
           SET cluster_epoch = l.cluster_epoch, xid = l.created_xid, transaction_id = l.id, folded_at = p_now
          FROM last l
    )
    SELECT count(*) INTO done FROM passed;
    RETURN done;
END $$;

-- Debits and credits of an account over its entries before the position (p_at, p_before) in the order of posting: those
-- posted earlier, and of those posted at that very time the ones with a smaller id. Of an authorizing account only the
-- difference is known: it stands on the last entry.
CREATE FUNCTION ledger_posted_before(
    p_account bigint, p_at timestamptz, p_before bigint, OUT debits numeric, OUT credits numeric
) LANGUAGE plpgsql STABLE
SET search_path = public, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    account record;
    mark ledger_fold_mark;
    today timestamptz;
    minute timestamptz;
    part record;
BEGIN
    SELECT a.mode, a.type IN ('asset', 'expense') AS debit_normal INTO account FROM ledger_account a WHERE a.id = p_account;
    IF account.mode = 'authorizing' THEN
        SELECT greatest(x.net, 0), greatest(-x.net, 0) INTO debits, credits
          FROM (SELECT CASE WHEN account.debit_normal THEN e.balance_after ELSE -e.balance_after END AS net
                  FROM ledger_entry e
                 WHERE e.account_id = p_account AND (e.posted_at, e.id) < (p_at, p_before)
                 ORDER BY e.posted_at DESC, e.id DESC LIMIT 1) x;
        debits := coalesce(debits, 0);
        credits := coalesce(credits, 0);
        RETURN;
    ELSIF p_at = 'infinity' THEN
        minute := p_at;
        SELECT f.debits, f.credits INTO debits, credits FROM ledger_folded f WHERE f.account_id = p_account;
    ELSE
        minute := date_trunc('minute', p_at, 'UTC');
        today := date_trunc('day', p_at, 'UTC');
        SELECT sum(x.debits), sum(x.credits) INTO debits, credits
          FROM (SELECT a.debits, a.credits FROM ledger_anchor a
                 WHERE a.account_id = p_account AND a.grain = 'day' AND a.starts_at < today
                UNION ALL
                SELECT a.debits, a.credits FROM ledger_anchor a
                 WHERE a.account_id = p_account AND a.grain = 'minute' AND a.starts_at >= today
                   AND a.starts_at < minute) x;
    END IF;
    SELECT m.* INTO mark FROM ledger_fold_mark m;
    -- What was posted within the minute, and what was posted before it and is not folded yet.
    SELECT coalesce(sum(x.amount) FILTER (WHERE x.side = 'D'), 0) AS debits,
           coalesce(sum(x.amount) FILTER (WHERE x.side = 'C'), 0) AS credits INTO part
      FROM (SELECT e.side, e.amount FROM ledger_entry e
             WHERE e.account_id = p_account AND e.posted_at >= minute AND (e.posted_at, e.id) < (p_at, p_before)
            UNION ALL
            SELECT e.side, e.amount FROM ledger_transaction t
              JOIN LATERAL (SELECT i.account_id, i.posted_at, i.side, i.amount FROM ledger_entry i
                             WHERE i.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767 OFFSET 0) e ON true
             WHERE (t.cluster_epoch, t.created_xid, t.id) > (mark.cluster_epoch, mark.xid, mark.transaction_id)
               AND e.account_id = p_account AND e.posted_at < minute) x;
    debits := coalesce(debits, 0) + part.debits;
    credits := coalesce(credits, 0) + part.credits;
END $$;

-- By how much the debits and credits of an account before the position (p_at, p_before) in the order of effective dates
-- exceed those before the same position in the order of posting.
CREATE FUNCTION ledger_redated_before(
    p_account bigint, p_at timestamptz, p_before bigint, OUT debits numeric, OUT credits numeric
) LANGUAGE plpgsql STABLE
SET search_path = public, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    mark ledger_redated_mark;
    today timestamptz := date_trunc('day', p_at, 'UTC');
    minute timestamptz := date_trunc('minute', p_at, 'UTC');
BEGIN
    SELECT m.* INTO mark FROM ledger_redated_mark m;
    SELECT coalesce(sum(x.debits), 0), coalesce(sum(x.credits), 0) INTO debits, credits
      FROM (SELECT r.debits, r.credits FROM ledger_redated r
             WHERE r.account_id = p_account AND r.grain = 'day' AND r.starts_at < today
            UNION ALL
            SELECT r.debits, r.credits FROM ledger_redated r
             WHERE r.account_id = p_account AND r.grain = 'minute' AND r.starts_at >= today AND r.starts_at < minute
            UNION ALL
            SELECT CASE e.side WHEN 'D' THEN e.amount END, CASE e.side WHEN 'C' THEN e.amount END FROM ledger_entry e
             WHERE e.account_id = p_account AND e.effective_at <> e.posted_at
               AND e.effective_at >= minute AND (e.effective_at, e.id) < (p_at, p_before)
            UNION ALL
            SELECT CASE e.side WHEN 'D' THEN -e.amount END, CASE e.side WHEN 'C' THEN -e.amount END
              FROM (SELECT i.side, i.amount, i.effective_at, i.posted_at FROM ledger_entry i
                     WHERE i.account_id = p_account
                       AND i.posted_at >= minute AND (i.posted_at, i.id) < (p_at, p_before) OFFSET 0) e
             WHERE e.effective_at <> e.posted_at
            UNION ALL
            SELECT CASE e.side WHEN 'D' THEN d.sign * e.amount END, CASE e.side WHEN 'C' THEN d.sign * e.amount END
              FROM ledger_transaction t
              JOIN LATERAL (SELECT i.account_id, i.posted_at, i.effective_at, i.side, i.amount FROM ledger_entry i
                             WHERE i.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767 OFFSET 0) e ON true
             CROSS JOIN LATERAL (VALUES (e.effective_at, 1), (e.posted_at, -1)) AS d (at, sign)
             WHERE t.effective_at <> t.posted_at
               AND (t.cluster_epoch, t.created_xid, t.id) > (mark.cluster_epoch, mark.xid, mark.transaction_id)
               AND e.account_id = p_account AND d.at < minute) x;
END $$;

CREATE OR REPLACE FUNCTION ledger_net_before(p_account bigint, p_at timestamptz, p_before bigint) RETURNS numeric
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
    RETURN (SELECT p.debits - p.credits FROM ledger_posted_before(p_account, p_at, p_before) p);
END $$;

CREATE OR REPLACE FUNCTION ledger_net_effective_before(p_account bigint, p_at timestamptz, p_before bigint) RETURNS numeric
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
    RETURN (SELECT p.debits - p.credits FROM ledger_posted_before(p_account, p_at, p_before) p)
         + (SELECT r.debits - r.credits FROM ledger_redated_before(p_account, p_at, p_before) r);
END $$;

CREATE OR REPLACE FUNCTION ledger_net_at(p_account bigint, p_at timestamptz, p_basis text) RETURNS numeric
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
    IF p_basis = 'posted' THEN
        RETURN ledger_net_before(p_account, p_at, 9223372036854775807);
    ELSIF p_basis = 'effective' THEN
        RETURN ledger_net_effective_before(p_account, p_at, 9223372036854775807);
    END IF;
    RAISE EXCEPTION 'basis is posted or effective, not %', p_basis USING ERRCODE = '22023';
END $$;

-- What moved on an account from p_since on and before p_until, and what was there at the beginning (debit positive). Of a
-- recording account from its anchors; of an authorizing one the entries of the period are summed.
CREATE FUNCTION ledger_turnover(
    p_account bigint, p_since timestamptz, p_until timestamptz, p_basis text,
    OUT opening numeric, OUT debits numeric, OUT credits numeric
) LANGUAGE plpgsql STABLE
SET search_path = public, pg_temp SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    start record;
    finish record;
    moved record;
    recording boolean := (SELECT a.mode = 'recording' FROM ledger_account a WHERE a.id = p_account);
BEGIN
    SELECT p.* INTO start FROM ledger_posted_before(p_account, p_since, 0) p;
    IF p_basis = 'effective' THEN
        SELECT r.* INTO moved FROM ledger_redated_before(p_account, p_since, 0) r;
        start.debits := start.debits + moved.debits;
        start.credits := start.credits + moved.credits;
    ELSIF p_basis <> 'posted' THEN
        RAISE EXCEPTION 'basis is posted or effective, not %', p_basis USING ERRCODE = '22023';
    END IF;
    opening := start.debits - start.credits;
    IF recording THEN
        SELECT p.* INTO finish FROM ledger_posted_before(p_account, p_until, 0) p;
        IF p_basis = 'effective' THEN
            SELECT r.* INTO moved FROM ledger_redated_before(p_account, p_until, 0) r;
            finish.debits := finish.debits + moved.debits;
            finish.credits := finish.credits + moved.credits;
        END IF;
        debits := finish.debits - start.debits;
        credits := finish.credits - start.credits;
        RETURN;
    END IF;
    SELECT coalesce(sum(x.amount) FILTER (WHERE x.side = 'D'), 0), coalesce(sum(x.amount) FILTER (WHERE x.side = 'C'), 0)
      INTO debits, credits
      FROM (SELECT e.side, e.amount FROM (
                SELECT i.side, i.amount, i.effective_at, i.posted_at FROM ledger_entry i
                 WHERE i.account_id = p_account AND i.posted_at >= p_since AND i.posted_at < p_until OFFSET 0) e
             WHERE p_basis = 'posted' OR e.effective_at = e.posted_at
            UNION ALL
            SELECT e.side, e.amount FROM ledger_entry e
             WHERE p_basis = 'effective' AND e.account_id = p_account AND e.effective_at <> e.posted_at
               AND e.effective_at >= p_since AND e.effective_at < p_until) x;
END $$;

-- Exports of a book by effective date: what carries another date than that of its posting, by that date.
CREATE INDEX transaction_by_other_date ON ledger_transaction (book_id, kind, effective_at, id)
    WHERE effective_at <> posted_at;
