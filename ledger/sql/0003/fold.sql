-- Recording accounts keep no balance row that postings would queue for. Their exact balance is what was folded plus the
-- tail that was not. One cursor over the commit order says where the tail begins.

CREATE TABLE ledger_fold_mark (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    cluster_epoch smallint NOT NULL,
    xid xid8 NOT NULL,
    transaction_id bigint NOT NULL,
    folded_at timestamptz
);
INSERT INTO ledger_fold_mark (cluster_epoch, xid, transaction_id) VALUES (0, '0', 0);

-- What was folded, in total, and by minute and day of posting: the anchors of balances in the past. An entry is added to
-- each exactly once, when the cursor passes it, so a row that is posted late or dated back can never fall between two.
CREATE TABLE ledger_folded (
    account_id bigint PRIMARY KEY, debits numeric(38) NOT NULL, credits numeric(38) NOT NULL, entries bigint NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE ledger_anchor (
    account_id bigint NOT NULL, grain text NOT NULL CHECK (grain IN ('minute', 'day')), starts_at timestamptz NOT NULL,
    debits numeric(38) NOT NULL, credits numeric(38) NOT NULL, entries bigint NOT NULL,
    PRIMARY KEY (account_id, grain, starts_at)
) WITH (fillfactor = 70);

-- A dump that is restored elsewhere brings its xids along, and they mean nothing there. From then on a new epoch counts:
-- rows of earlier epochs are all in the past. Run by the owner after a restore, before anyone posts.
CREATE FUNCTION ledger_epoch() RETURNS smallint LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT pg_get_expr(d.adbin, d.adrelid)::smallint FROM pg_attrdef d JOIN pg_attribute a
        ON a.attrelid = d.adrelid AND a.attnum = d.adnum
     WHERE a.attrelid = 'ledger_transaction'::regclass AND a.attname = 'cluster_epoch'
$$;
CREATE FUNCTION ledger_begin_epoch() RETURNS smallint LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE following smallint := 1 + greatest(ledger_epoch(), (SELECT max(t.cluster_epoch) FROM ledger_transaction t));
BEGIN
    EXECUTE format('ALTER TABLE ledger_transaction ALTER COLUMN cluster_epoch SET DEFAULT %s', following);
    RETURN following;
END $$;

-- Move the cursor over at most p_limit transactions that no running one can come before. Returns how many were folded;
-- 0 also when somebody else is folding. The horizon stands still under a long writing transaction, and the tail grows.
CREATE FUNCTION ledger_fold(p_now timestamptz, p_limit int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    mark record;
    epoch smallint := ledger_epoch();
    horizon xid8;
    done bigint;
BEGIN
    SELECT * INTO mark FROM ledger_fold_mark m FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    horizon := pg_snapshot_xmin(pg_current_snapshot());
    WITH passed AS MATERIALIZED (
        SELECT t.cluster_epoch, t.created_xid, t.id FROM ledger_transaction t
         WHERE (t.cluster_epoch, t.created_xid, t.id) > (mark.cluster_epoch, mark.xid, mark.transaction_id)
           AND (t.cluster_epoch < epoch OR t.created_xid < horizon)
         ORDER BY t.cluster_epoch, t.created_xid, t.id LIMIT p_limit
    ), minutes AS MATERIALIZED (
        SELECT e.account_id, date_trunc('minute', e.posted_at, 'UTC') AS starts_at, count(*) AS entries,
               coalesce(sum(e.amount) FILTER (WHERE e.side = 'D'), 0) AS debits,
               coalesce(sum(e.amount) FILTER (WHERE e.side = 'C'), 0) AS credits
          FROM passed p JOIN LATERAL (
               SELECT x.account_id, x.posted_at, x.amount, x.side FROM ledger_entry x
                WHERE x.id BETWEEN p.id * 32768 AND p.id * 32768 + 32767 AND x.account_version IS NULL OFFSET 0) e ON true
         GROUP BY 1, 2
    ), anchored AS (
        INSERT INTO ledger_anchor AS a (account_id, grain, starts_at, debits, credits, entries)
        SELECT m.account_id, 'minute', m.starts_at, m.debits, m.credits, m.entries FROM minutes m
        UNION ALL
        SELECT m.account_id, 'day', date_trunc('day', m.starts_at, 'UTC'), sum(m.debits), sum(m.credits), sum(m.entries)
          FROM minutes m GROUP BY 1, 2, 3
        ON CONFLICT (account_id, grain, starts_at) DO UPDATE
            SET debits = a.debits + excluded.debits, credits = a.credits + excluded.credits,
                entries = a.entries + excluded.entries
    ), totalled AS (
        INSERT INTO ledger_folded AS f (account_id, debits, credits, entries)
        SELECT m.account_id, sum(m.debits), sum(m.credits), sum(m.entries) FROM minutes m GROUP BY 1
        ON CONFLICT (account_id) DO UPDATE
            SET debits = f.debits + excluded.debits, credits = f.credits + excluded.credits,
                entries = f.entries + excluded.entries
    ), last AS (
        SELECT p.* FROM passed p ORDER BY p.cluster_epoch DESC, p.created_xid DESC, p.id DESC LIMIT 1
    ), moved AS (
        UPDATE ledger_fold_mark m
           SET cluster_epoch = l.cluster_epoch, xid = l.created_xid, transaction_id = l.id, folded_at = p_now
          FROM last l
    )
    SELECT count(*) INTO done FROM passed;
    RETURN done;
END $$;

-- The transactions after the cursor, and since when: what every exact balance of a recording account has to add.
CREATE FUNCTION ledger_tail(OUT transactions bigint, OUT oldest timestamptz) LANGUAGE sql STABLE
SET search_path = public, pg_temp AS $$
    SELECT count(*), min(t.posted_at) FROM ledger_fold_mark m JOIN ledger_transaction t
        ON (t.cluster_epoch, t.created_xid, t.id) > (m.cluster_epoch, m.xid, m.transaction_id)
$$;

-- The net of an account, debit positive, over its entries before the position (p_at, p_before): those posted earlier, and
-- of those posted at that very time the ones with a smaller id.
CREATE FUNCTION ledger_net_before(p_account bigint, p_at timestamptz, p_before bigint) RETURNS numeric
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off AS $$
DECLARE
    account record;
    minute timestamptz;
    net numeric;
BEGIN
    SELECT a.mode, a.type IN ('asset', 'expense') AS debit_normal INTO account FROM ledger_account a WHERE a.id = p_account;
    IF account.mode = 'authorizing' THEN
        SELECT CASE WHEN account.debit_normal THEN e.balance_after ELSE -e.balance_after END INTO net FROM ledger_entry e
         WHERE e.account_id = p_account AND (e.posted_at, e.id) < (p_at, p_before)
         ORDER BY e.posted_at DESC, e.id DESC LIMIT 1;
        RETURN coalesce(net, 0);
    ELSIF p_at = 'infinity' THEN
        minute := p_at;
        SELECT f.debits - f.credits INTO net FROM ledger_folded f WHERE f.account_id = p_account;
    ELSE
        minute := date_trunc('minute', p_at, 'UTC');
        SELECT sum(a.debits - a.credits) INTO net FROM ledger_anchor a
         WHERE a.account_id = p_account
           AND (a.grain = 'day' AND a.starts_at < date_trunc('day', p_at, 'UTC')
                OR a.grain = 'minute' AND a.starts_at >= date_trunc('day', p_at, 'UTC') AND a.starts_at < minute);
    END IF;
    RETURN coalesce(net, 0)
        + coalesce((SELECT sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END) FROM ledger_entry e
                     WHERE e.account_id = p_account AND e.posted_at >= minute AND (e.posted_at, e.id) < (p_at, p_before)), 0)
        + coalesce((SELECT sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END)
                      FROM ledger_fold_mark m
                      JOIN ledger_transaction t
                        ON (t.cluster_epoch, t.created_xid, t.id) > (m.cluster_epoch, m.xid, m.transaction_id)
                      JOIN ledger_entry e ON e.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767
                     WHERE e.account_id = p_account AND e.posted_at < minute), 0);
END $$;

-- The net of an account, debit positive, at an instant: of what was posted until then, or of what is effective until
-- then. The second is the first, corrected by the entries that carry another date than that of their posting.
CREATE FUNCTION ledger_net_at(p_account bigint, p_at timestamptz, p_basis text) RETURNS numeric
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE net numeric := ledger_net_before(p_account, p_at, 9223372036854775807);
BEGIN
    IF p_basis = 'effective' THEN
        SELECT net + coalesce(sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END), 0) INTO net FROM ledger_entry e
         WHERE e.account_id = p_account AND e.effective_at <> e.posted_at
           AND e.effective_at <= p_at AND e.posted_at > p_at;
        SELECT net - coalesce(sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END), 0) INTO net FROM ledger_entry e
         WHERE e.account_id = p_account AND e.effective_at <> e.posted_at
           AND e.effective_at > p_at AND e.posted_at <= p_at;
    ELSIF p_basis <> 'posted' THEN
        RAISE EXCEPTION 'basis is posted or effective, not %', p_basis USING ERRCODE = '22023';
    END IF;
    RETURN net;
END $$;
