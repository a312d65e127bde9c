-- Part of migration 0002. `ledger_post` is superseded by 0003/posting.sql; `ledger_open_accounts` still stands.
--
-- The only writers of the books. SECURITY DEFINER: the runtime role has EXECUTE on these and no INSERT of its own.
--
-- Plans are made once per session and walk indexes: planning a posting costs more than running it, and a plan made while
-- a table was small must not scan it when it has grown.

-- Open accounts by code; existing ones are returned as they are, unless they are something else than asked for.
-- Concurrent calls agree through the unique code.
CREATE FUNCTION ledger_open_accounts(
    p_book bigint[], p_code text[], p_type text[], p_currency text[], p_mode text[], p_floor bigint[]
) RETURNS TABLE (ord bigint, account_id bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE other text;
BEGIN
    INSERT INTO ledger_account (book_id, code, type, currency, mode)
    SELECT DISTINCT ON (r.book, r.code) r.book, r.code, r.type, r.currency, r.mode
      FROM unnest(p_book, p_code, p_type, p_currency, p_mode) AS r (book, code, type, currency, mode)
     WHERE NOT EXISTS (SELECT 1 FROM ledger_account a WHERE a.book_id = r.book AND a.code = r.code)
     ORDER BY r.book, r.code
    ON CONFLICT DO NOTHING;
    SELECT r.code INTO other
      FROM unnest(p_book, p_code, p_type, p_currency, p_mode) AS r (book, code, type, currency, mode)
      JOIN ledger_account a ON a.book_id = r.book AND a.code = r.code
     WHERE (a.type, a.currency, a.mode) IS DISTINCT FROM (r.type, r.currency, r.mode) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % exists with another type, currency or mode', other USING ERRCODE = 'FL010';
    END IF;
    INSERT INTO ledger_balance (account_id, debit_normal, floor)
    SELECT DISTINCT ON (a.id) a.id, a.type IN ('asset', 'expense'), r.floor
      FROM unnest(p_book, p_code, p_floor) AS r (book, code, floor)
      JOIN ledger_account a ON a.book_id = r.book AND a.code = r.code
     WHERE a.mode = 'authorizing' AND NOT EXISTS (SELECT 1 FROM ledger_balance b WHERE b.account_id = a.id)
     ORDER BY a.id
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    SELECT r.ord, a.id FROM unnest(p_book, p_code) WITH ORDINALITY AS r (book, code, ord)
      JOIN ledger_account a ON a.book_id = r.book AND a.code = r.code ORDER BY r.ord;
END $$;

-- Post any number of transactions in one round trip, all or none.
-- Transactions come as parallel arrays, legs as parallel arrays that name their transaction by position (from 1).
-- A reference that exists with the same request hash is answered 'exists'; with another one the whole call is refused.
-- Locks: balance rows of authorizing accounts, once, sorted by account, in a statement of their own (a lock wait
-- inside a statement would not refresh that statement's snapshot). References are looked up after it, so that of two
-- calls that meet on a balance row the second sees what the first one posted.
CREATE FUNCTION ledger_post(
    p_public_id uuid[], p_book bigint[], p_kind text[], p_reference text[], p_request_hash bytea[],
    p_effective_at timestamptz[], p_posted_at timestamptz, p_actor text[], p_memo text[], p_reverses bigint[],
    p_leg_txn int[], p_leg_account bigint[], p_leg_currency text[], p_leg_side text[], p_leg_amount bigint[]
) RETURNS TABLE (ord int, transaction_id bigint, outcome text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    transactions int := cardinality(p_reference);
    legs int := cardinality(p_leg_txn);
    simple boolean := transactions = 1 AND legs <= 8;
    ids bigint[];       -- by position: the existing transaction, or the id reserved for the new one
    fresh boolean[];    -- by position: still to be written
    leg_counts bigint[];
    counted bigint;
    conflict text;
    stored_hash bytea;
BEGIN
    IF transactions > 5000 OR legs > 50000 THEN
        RAISE EXCEPTION 'a call posts at most 5000 transactions and 50000 legs' USING ERRCODE = 'FL006';
    END IF;
    PERFORM 1 FROM ledger_balance b WHERE b.account_id = ANY (p_leg_account) ORDER BY b.account_id FOR NO KEY UPDATE;

    -- One transaction that touches each account once needs no windows and no look-up before the insert.
    FOR i IN 1 .. CASE WHEN simple THEN legs ELSE 0 END LOOP
        simple := simple AND p_leg_txn[i] = 1 AND p_leg_account[i] <> ALL (p_leg_account[1:i - 1]);
    END LOOP;
    IF simple THEN
        WITH head AS (
            INSERT INTO ledger_transaction (public_id, book_id, kind, reference, request_hash, leg_count,
                                            effective_at, posted_at, actor, memo, reverses_id)
            VALUES (p_public_id[1], p_book[1], p_kind[1], p_reference[1], p_request_hash[1], legs,
                    p_effective_at[1], p_posted_at, p_actor[1], p_memo[1], p_reverses[1])
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
               SET debits = l.debits + l.debit, credits = l.credits + l.credit, version = l.version
              FROM leg l WHERE b.account_id = l.account
        ), written AS (
            INSERT INTO ledger_entry (transaction_id, leg, book_id, account_id, currency, side, amount,
                                      account_version, balance_after, effective_at)
            SELECT l.id, l.pos, p_book[1], l.account, l.currency, l.side, l.amount, l.version,
                   CASE WHEN l.debit_normal THEN l.debits + l.debit - l.credits - l.credit
                        ELSE l.credits + l.credit - l.debits - l.debit END,
                   p_effective_at[1]
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
        RETURN NEXT;
        RETURN;
    END IF;

    SELECT array_agg(coalesce(t.id, nextval('ledger_transaction_id_seq')) ORDER BY r.pos),
           array_agg(t.id IS NULL ORDER BY r.pos),
           min(r.reference) FILTER (WHERE t.request_hash <> r.hash)
      INTO ids, fresh, conflict
      FROM unnest(p_book, p_reference, p_request_hash) WITH ORDINALITY AS r (book, reference, hash, pos)
      LEFT JOIN ledger_transaction t ON t.book_id = r.book AND t.reference = r.reference;
    IF conflict IS NOT NULL THEN
        RAISE EXCEPTION 'reference % was posted before with other legs', conflict USING ERRCODE = 'FL007';
    END IF;
    SELECT array_agg(c.legs ORDER BY c.txn), sum(c.legs) INTO leg_counts, counted
      FROM (SELECT l.txn, count(*) AS legs FROM unnest(p_leg_txn) AS l (txn) GROUP BY l.txn
            HAVING l.txn BETWEEN 1 AND transactions) c;
    IF cardinality(leg_counts) IS DISTINCT FROM transactions OR counted IS DISTINCT FROM legs THEN
        RAISE EXCEPTION 'a transaction has no legs, or a leg no transaction' USING ERRCODE = 'FL003';
    END IF;

    WITH leg AS MATERIALIZED (
        SELECT l.pos, l.txn, l.account, l.currency, l.side, l.amount,
               row_number() OVER (PARTITION BY l.txn ORDER BY l.pos) AS leg,
               b.version + row_number() OVER of_account AS version,
               (CASE WHEN b.debit_normal THEN 1 ELSE -1 END)
                   * (b.debits - b.credits
                      + sum(CASE l.side WHEN 'D' THEN l.amount ELSE -l.amount END) OVER of_account) AS balance_after
          FROM unnest(p_leg_txn, p_leg_account, p_leg_currency, p_leg_side, p_leg_amount)
               WITH ORDINALITY AS l (txn, account, currency, side, amount, pos)
          LEFT JOIN ledger_balance b ON b.account_id = l.account
         WHERE fresh[l.txn]
        WINDOW of_account AS (PARTITION BY l.account ORDER BY l.pos)
    ), heads AS (
        INSERT INTO ledger_transaction (id, public_id, book_id, kind, reference, request_hash, leg_count,
                                        effective_at, posted_at, actor, memo, reverses_id)
        OVERRIDING SYSTEM VALUE
        SELECT ids[r.pos], r.public_id, r.book, r.kind, r.reference, r.hash, leg_counts[r.pos],
               r.effective_at, p_posted_at, r.actor, r.memo, r.reverses
          FROM unnest(p_public_id, p_book, p_kind, p_reference, p_request_hash, p_effective_at, p_actor, p_memo,
                      p_reverses)
               WITH ORDINALITY AS r (public_id, book, kind, reference, hash, effective_at, actor, memo, reverses, pos)
         WHERE fresh[r.pos]
    ), written AS (
        INSERT INTO ledger_entry (transaction_id, leg, book_id, account_id, currency, side, amount,
                                  account_version, balance_after, effective_at)
        SELECT ids[l.txn], l.leg, p_book[l.txn], l.account, l.currency, l.side, l.amount, l.version,
               l.balance_after, p_effective_at[l.txn]
          FROM leg l ORDER BY l.pos
    )
    UPDATE ledger_balance b
       SET debits = b.debits + d.debits, credits = b.credits + d.credits, version = d.version
      FROM (SELECT l.account, max(l.version) AS version,
                   coalesce(sum(l.amount) FILTER (WHERE l.side = 'D'), 0) AS debits,
                   coalesce(sum(l.amount) FILTER (WHERE l.side = 'C'), 0) AS credits
              FROM leg l WHERE l.version IS NOT NULL GROUP BY l.account) d
     WHERE b.account_id = d.account;

    RETURN QUERY SELECT p.pos, ids[p.pos], CASE WHEN fresh[p.pos] THEN 'created' ELSE 'exists' END
                   FROM generate_subscripts(ids, 1) AS p (pos);
END $$;
