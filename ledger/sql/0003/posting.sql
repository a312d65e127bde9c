-- Posting, once more: the only writer of transactions, entries and balances.
--
-- SECURITY DEFINER: the runtime role has EXECUTE here and no INSERT of its own. The planner is told to walk indexes and
-- to keep its plans: planning a posting costs more than running it, and a plan made while a table was small must not
-- scan it when it has grown. The triggers inherit these settings.

DROP FUNCTION ledger_post(uuid[], bigint[], text[], text[], bytea[], timestamptz[], timestamptz, text[], text[], bigint[],
                          int[], bigint[], text[], text[], bigint[]);

-- Post any number of transactions in one round trip, all or none.
--
-- Transactions come as parallel arrays, legs as parallel arrays that name their transaction by position (from 1).
-- effective_at NULL: the moment of posting. That is p_posted_at, or the last posting of an account touched where that is
-- later: the entries of an account never go back in time.
-- A reference that exists with the same request hash is answered 'exists'; with another one the whole call is refused.
-- p_receipt: also answer the balance after each leg, in order (NULL for recording accounts, which keep none).
--
-- Locks: balance rows of authorizing accounts, once, sorted by account, in a statement of their own (a lock wait inside
-- a statement would not refresh that statement's snapshot).
CREATE FUNCTION ledger_post(
    p_public_id uuid[], p_book bigint[], p_kind text[], p_reference text[], p_request_hash bytea[],
    p_effective_at timestamptz[], p_occurred_at timestamptz[], p_posted_at timestamptz, p_actor text[], p_memo text[],
    p_metadata jsonb[], p_reverses bigint[],
    p_leg_txn int[], p_leg_account bigint[], p_leg_currency text[], p_leg_side text[], p_leg_amount bigint[],
    p_receipt boolean
) RETURNS TABLE (ord int, transaction_id bigint, outcome text, balances bigint[])
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    transactions int := cardinality(p_reference);
    legs int := cardinality(p_leg_txn);
    simple boolean := transactions = 1 AND legs <= 8;
    posted timestamptz;
    effective timestamptz[];   -- by position, without NULLs: an element of an array with NULLs is found by counting
    reserved bigint[];         -- by position: the id for the new transaction
    ids bigint[];              -- by position: the transaction that holds the reference
    created bigint[];
    leg_counts bigint[];
    counted bigint;
    wrong text;
    stored_hash bytea;
    first_leg bigint;
BEGIN
    IF transactions > 5000 OR legs > 50000 THEN
        RAISE EXCEPTION 'a call posts at most 5000 transactions and 50000 legs' USING ERRCODE = 'FL006';
    END IF;
    SELECT greatest(p_posted_at, max(x.posted_at)) INTO posted
      FROM (SELECT b.posted_at FROM ledger_balance b WHERE b.account_id = ANY (p_leg_account)
             ORDER BY b.account_id FOR NO KEY UPDATE) x;

    -- One transaction that touches each account once needs no windows.
    FOR i IN 1 .. CASE WHEN simple THEN legs ELSE 0 END LOOP
        simple := simple AND p_leg_txn[i] = 1 AND p_leg_account[i] <> ALL (p_leg_account[1:i - 1]);
    END LOOP;
    IF simple THEN
        WITH head AS (
            INSERT INTO ledger_transaction (public_id, book_id, kind, reference, request_hash, leg_count, effective_at,
                                            occurred_at, posted_at, actor, memo, metadata, reverses_id)
            VALUES (p_public_id[1], p_book[1], p_kind[1], p_reference[1], p_request_hash[1], legs,
                    coalesce(p_effective_at[1], posted), p_occurred_at[1], posted, p_actor[1], p_memo[1],
                    p_metadata[1], p_reverses[1])
            ON CONFLICT (book_id, reference) DO NOTHING RETURNING id
        ), leg AS (
            SELECT h.id, l.pos, l.account, l.currency, l.amount, l.side,
                   b.version + 1 AS version, b.debit_normal, b.debits, b.credits,
                   CASE l.side WHEN 'D' THEN l.amount ELSE 0 END AS debit,
                   CASE l.side WHEN 'D' THEN 0 ELSE l.amount END AS credit
              FROM head h
             CROSS JOIN unnest(p_leg_account, p_leg_currency, p_leg_side, p_leg_amount)
                        WITH ORDINALITY AS l (account, currency, side, amount, pos)
              LEFT JOIN ledger_balance b ON b.account_id = l.account
        ), moved AS (
            UPDATE ledger_balance b
               SET debits = l.debits + l.debit, credits = l.credits + l.credit, version = l.version, posted_at = posted
              FROM leg l WHERE b.account_id = l.account
        ), written AS (
            INSERT INTO ledger_entry (id, transaction_id, leg, book_id, account_id, currency, side, amount,
                                      account_version, balance_after, effective_at, posted_at)
            SELECT l.id * 32768 + l.pos, l.id, l.pos, p_book[1], l.account, l.currency, l.side, l.amount, l.version,
                   CASE WHEN l.debit_normal THEN l.debits + l.debit - l.credits - l.credit
                        ELSE l.credits + l.credit - l.debits - l.debit END,
                   coalesce(p_effective_at[1], posted), posted
              FROM leg l
        )
        SELECT h.id INTO transaction_id FROM head h;
        ord := 1;
        outcome := 'created';
        IF NOT FOUND THEN
            SELECT t.id, t.request_hash INTO transaction_id, stored_hash
              FROM ledger_transaction t WHERE t.book_id = p_book[1] AND t.reference = p_reference[1];
            IF stored_hash IS DISTINCT FROM p_request_hash[1] THEN
                RAISE EXCEPTION 'reference % was posted before with other legs', p_reference[1]
                    USING ERRCODE = 'FL007';
            END IF;
            outcome := 'exists';
        END IF;
        IF p_receipt THEN
            first_leg := transaction_id * 32768;
            balances := ARRAY(SELECT e.balance_after FROM ledger_entry e
                               WHERE e.id BETWEEN first_leg AND first_leg + 32767 ORDER BY e.id);
        END IF;
        RETURN NEXT;
        RETURN;
    END IF;

    SELECT array_agg(c.legs ORDER BY c.txn), sum(c.legs) INTO leg_counts, counted
      FROM (SELECT l.txn, count(*) AS legs FROM unnest(p_leg_txn) AS l (txn) GROUP BY l.txn
            HAVING l.txn BETWEEN 1 AND transactions) c;
    IF cardinality(leg_counts) IS DISTINCT FROM transactions OR counted IS DISTINCT FROM legs THEN
        RAISE EXCEPTION 'a transaction has no legs, or a leg no transaction' USING ERRCODE = 'FL003';
    END IF;
    SELECT array_agg(nextval('ledger_transaction_id_seq') ORDER BY r.pos),
           array_agg(coalesce(r.effective_at, posted) ORDER BY r.pos)
      INTO reserved, effective FROM unnest(p_effective_at) WITH ORDINALITY AS r (effective_at, pos);

    WITH heads AS (
        INSERT INTO ledger_transaction (id, public_id, book_id, kind, reference, request_hash, leg_count, effective_at,
                                        occurred_at, posted_at, actor, memo, metadata, reverses_id)
        OVERRIDING SYSTEM VALUE
        SELECT reserved[r.pos], r.public_id, r.book, r.kind, r.reference, r.hash, leg_counts[r.pos], effective[r.pos],
               r.occurred_at, posted, r.actor, r.memo, r.metadata, r.reverses
          FROM unnest(p_public_id, p_book, p_kind, p_reference, p_request_hash, p_occurred_at, p_actor, p_memo,
                      p_metadata, p_reverses)
               WITH ORDINALITY AS r (public_id, book, kind, reference, hash, occurred_at, actor, memo, metadata,
                                     reverses, pos)
        ON CONFLICT (book_id, reference) DO NOTHING RETURNING id
    ), leg AS MATERIALIZED (
        SELECT l.pos, l.txn, l.account, l.currency, l.side, l.amount,
               row_number() OVER (PARTITION BY l.txn ORDER BY l.pos) AS leg,
               b.version + row_number() OVER of_account AS version,
               (CASE WHEN b.debit_normal THEN 1 ELSE -1 END)
                   * (b.debits - b.credits
                      + sum(CASE l.side WHEN 'D' THEN l.amount ELSE -l.amount END) OVER of_account) AS balance_after
          FROM unnest(p_leg_txn, p_leg_account, p_leg_currency, p_leg_side, p_leg_amount)
               WITH ORDINALITY AS l (txn, account, currency, side, amount, pos)
          LEFT JOIN ledger_balance b ON b.account_id = l.account
         -- In an expression, so that it becomes a hashed look-up and no join.
         WHERE CASE WHEN reserved[l.txn] IN (SELECT h.id FROM heads h) THEN true ELSE false END
        WINDOW of_account AS (PARTITION BY l.account ORDER BY l.pos)
    ), written AS (
        INSERT INTO ledger_entry (id, transaction_id, leg, book_id, account_id, currency, side, amount,
                                  account_version, balance_after, effective_at, posted_at)
        SELECT reserved[l.txn] * 32768 + l.leg, reserved[l.txn], l.leg, p_book[l.txn], l.account, l.currency, l.side, l.amount,
               l.version, l.balance_after, effective[l.txn], posted
          FROM leg l ORDER BY l.pos
    ), moved AS (
        UPDATE ledger_balance b
           SET debits = b.debits + d.debits, credits = b.credits + d.credits, version = d.version, posted_at = posted
          FROM (SELECT l.account, max(l.version) AS version,
                       coalesce(sum(l.amount) FILTER (WHERE l.side = 'D'), 0) AS debits,
                       coalesce(sum(l.amount) FILTER (WHERE l.side = 'C'), 0) AS credits
                  FROM leg l WHERE l.version IS NOT NULL GROUP BY l.account) d
         WHERE b.account_id = d.account
    )
    SELECT array_agg(h.id) INTO created FROM heads h;

    ids := reserved;
    IF cardinality(created) IS DISTINCT FROM transactions THEN
        -- Some references were there before, or come twice in this call.
        SELECT array_agg(t.id ORDER BY r.pos), min(r.reference) FILTER (WHERE t.request_hash <> r.hash)
          INTO ids, wrong
          FROM unnest(p_book, p_reference, p_request_hash) WITH ORDINALITY AS r (book, reference, hash, pos)
          JOIN ledger_transaction t ON t.book_id = r.book AND t.reference = r.reference;
        IF wrong IS NOT NULL THEN
            RAISE EXCEPTION 'reference % was posted before with other legs', wrong USING ERRCODE = 'FL007';
        END IF;
    END IF;
    RETURN QUERY
    SELECT p.pos, ids[p.pos], CASE WHEN c.created IS NULL THEN 'exists' ELSE 'created' END,
           CASE WHEN p_receipt THEN ARRAY(
               SELECT e.balance_after FROM ledger_entry e
                WHERE e.id BETWEEN ids[p.pos] * 32768 AND ids[p.pos] * 32768 + 32767 ORDER BY e.id) END
      FROM generate_subscripts(ids, 1) AS p (pos)
      LEFT JOIN LATERAL (SELECT true AS created WHERE
                         CASE WHEN reserved[p.pos] IN (SELECT x.id FROM unnest(created) AS x (id)) THEN true ELSE false END
                        ) c ON true;
END $$;

-- Post each for itself: one that is refused stops no other. Those of one group (equal p_group, not NULL) stand or fall
-- together. Everything is tried at once; what the books refuse is halved until the refused are alone, so that a call
-- without refusals costs what ledger_post costs. p_dry_run: answer the same and write nothing.
-- code: SQLSTATE or the name of the constraint; balances as ledger_post's receipt.
CREATE FUNCTION ledger_post_each(
    p_public_id uuid[], p_book bigint[], p_kind text[], p_reference text[], p_request_hash bytea[],
    p_effective_at timestamptz[], p_occurred_at timestamptz[], p_posted_at timestamptz, p_actor text[], p_memo text[],
    p_metadata jsonb[], p_reverses bigint[],
    p_leg_txn int[], p_leg_account bigint[], p_leg_currency text[], p_leg_side text[], p_leg_amount bigint[],
    p_group int[], p_dry_run boolean
) RETURNS TABLE (ord int, transaction_id bigint, outcome text, balances bigint[], code text, detail text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    transactions int := cardinality(p_reference);
    unit int[];          -- by position: the first position of its group
    units int[];
    todo int[];          -- stack of ranges of units: low, high
    low int;
    high int;
    part int[];          -- positions of one try
    ids bigint[] := array_fill(NULL::bigint, ARRAY[transactions]);
    outcomes text[] := array_fill(NULL::text, ARRAY[transactions]);
    receipts text[] := array_fill(NULL::text, ARRAY[transactions]);
    codes text[] := array_fill(NULL::text, ARRAY[transactions]);
    details text[] := array_fill(NULL::text, ARRAY[transactions]);
    posted record;
    state text;
    rule text;
    message text;
BEGIN
    SELECT array_agg(x.first ORDER BY x.pos) INTO unit
      FROM (SELECT g.pos, CASE WHEN g.id IS NULL THEN g.pos ELSE min(g.pos) OVER (PARTITION BY g.id) END AS first
              FROM unnest(p_group) WITH ORDINALITY AS g (id, pos)) x;
    SELECT array_agg(DISTINCT u ORDER BY u) INTO units FROM unnest(unit) AS u;
    todo := ARRAY[1, cardinality(units)];
    BEGIN
        WHILE cardinality(todo) > 0 LOOP
            high := todo[cardinality(todo)];
            low := todo[cardinality(todo) - 1];
            todo := todo[1:cardinality(todo) - 2];
            SELECT array_agg(u.pos ORDER BY u.pos) INTO part
              FROM unnest(unit) WITH ORDINALITY AS u (first, pos) WHERE u.first BETWEEN units[low] AND units[high];
            BEGIN
                FOR posted IN
                    SELECT x.*
                      FROM (SELECT array_agg(p_public_id[p.pos] ORDER BY p.ord) AS public_id,
                                   array_agg(p_book[p.pos] ORDER BY p.ord) AS book,
                                   array_agg(p_kind[p.pos] ORDER BY p.ord) AS kind,
                                   array_agg(p_reference[p.pos] ORDER BY p.ord) AS reference,
                                   array_agg(p_request_hash[p.pos] ORDER BY p.ord) AS hash,
                                   array_agg(p_effective_at[p.pos] ORDER BY p.ord) AS effective_at,
                                   array_agg(p_occurred_at[p.pos] ORDER BY p.ord) AS occurred_at,
                                   array_agg(p_actor[p.pos] ORDER BY p.ord) AS actor,
                                   array_agg(p_memo[p.pos] ORDER BY p.ord) AS memo,
                                   array_agg(p_metadata[p.pos] ORDER BY p.ord) AS metadata,
                                   array_agg(p_reverses[p.pos] ORDER BY p.ord) AS reverses
                              FROM unnest(part) WITH ORDINALITY AS p (pos, ord)) h,
                           (SELECT array_agg(p.ord::int ORDER BY l.pos) AS txn, array_agg(l.account ORDER BY l.pos) AS account,
                                   array_agg(l.currency ORDER BY l.pos) AS currency, array_agg(l.side ORDER BY l.pos) AS side,
                                   array_agg(l.amount ORDER BY l.pos) AS amount
                              FROM unnest(part) WITH ORDINALITY AS p (pos, ord)
                              JOIN unnest(p_leg_txn, p_leg_account, p_leg_currency, p_leg_side, p_leg_amount)
                                   WITH ORDINALITY AS l (txn, account, currency, side, amount, pos) ON l.txn = p.pos) l,
                           LATERAL ledger_post(h.public_id, h.book, h.kind, h.reference, h.hash, h.effective_at,
                                               h.occurred_at, p_posted_at, h.actor, h.memo, h.metadata, h.reverses,
                                               coalesce(l.txn, '{}'), coalesce(l.account, '{}'),
                                               coalesce(l.currency, '{}'), coalesce(l.side, '{}'),
                                               coalesce(l.amount, '{}'), true) x
                LOOP
                    ids[part[posted.ord]] := posted.transaction_id;
                    outcomes[part[posted.ord]] := posted.outcome;
                    receipts[part[posted.ord]] := posted.balances::text;
                END LOOP;
            EXCEPTION WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, rule = CONSTRAINT_NAME, message = MESSAGE_TEXT;
                IF state NOT LIKE 'FL%' AND state NOT IN ('23514', '23505', '23502', '22003', '22001') THEN
                    RAISE;   -- a deadlock, a lost connection: nobody was refused
                ELSIF low < high THEN
                    todo := todo || ARRAY[(low + high) / 2 + 1, high, low, (low + high) / 2];
                ELSE
                    FOR i IN 1 .. cardinality(part) LOOP
                        outcomes[part[i]] := 'refused';
                        codes[part[i]] := coalesce(nullif(rule, ''), state);
                        details[part[i]] := message;
                    END LOOP;
                END IF;
            END;
        END LOOP;
        IF p_dry_run THEN
            RAISE EXCEPTION 'nothing is written' USING ERRCODE = 'FL000';
        END IF;
    EXCEPTION WHEN SQLSTATE 'FL000' THEN
        NULL;   -- the block's writes are undone, its variables are not
    END;
    RETURN QUERY
    SELECT p.pos, CASE WHEN p_dry_run AND outcomes[p.pos] = 'created' THEN NULL ELSE ids[p.pos] END, outcomes[p.pos],
           receipts[p.pos]::bigint[], codes[p.pos], details[p.pos]
      FROM generate_subscripts(outcomes, 1) AS p (pos);
END $$;

-- An account takes no more postings. One that keeps a balance must be empty; a posting under way is waited for.
CREATE FUNCTION ledger_close_account(p_account bigint, p_now timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM ledger_balance b WHERE b.account_id = p_account FOR NO KEY UPDATE;
    IF EXISTS (SELECT 1 FROM ledger_balance b WHERE b.account_id = p_account AND b.debits <> b.credits) THEN
        RAISE EXCEPTION 'account % is not empty', p_account USING ERRCODE = 'FL014';
    END IF;
    UPDATE ledger_account SET closed_at = p_now WHERE id = p_account AND closed_at IS NULL;
END $$;
