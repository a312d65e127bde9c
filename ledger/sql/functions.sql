-- The only writers of the books. SECURITY DEFINER: the runtime role has EXECUTE on these and no INSERT of its own.

-- Open accounts by code; existing ones are returned as they are. Concurrent calls agree through the unique code.
CREATE OR REPLACE FUNCTION ledger_open_accounts(
    p_book bigint[], p_code text[], p_type text[], p_currency text[], p_mode text[], p_floor bigint[]
) RETURNS TABLE (ord bigint, account_id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO ledger_account (book_id, code, type, currency, mode)
    SELECT DISTINCT ON (r.book, r.code) r.book, r.code, r.type, r.currency, r.mode
      FROM unnest(p_book, p_code, p_type, p_currency, p_mode) AS r (book, code, type, currency, mode)
     WHERE NOT EXISTS (SELECT 1 FROM ledger_account a WHERE a.book_id = r.book AND a.code = r.code)
     ORDER BY r.book, r.code
    ON CONFLICT DO NOTHING;
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

-- Post any number of transactions in one round trip.
-- Transactions come as parallel arrays, legs as parallel arrays that name their transaction by position (from 1).
-- A reference that exists with the same request hash is answered 'exists'; with another one the whole call is refused.
-- Locks: balance rows of authorizing accounts, once, sorted by account, in a statement of their own (a lock wait
-- inside a statement would not refresh that statement's snapshot).
CREATE OR REPLACE FUNCTION ledger_post(
    p_public_id uuid[], p_book bigint[], p_kind text[], p_reference text[], p_request_hash bytea[],
    p_effective_at timestamptz[], p_posted_at timestamptz, p_actor text[], p_memo text[], p_reverses bigint[],
    p_leg_txn int[], p_leg_account bigint[], p_leg_currency text[], p_leg_side text[], p_leg_amount bigint[]
) RETURNS TABLE (ord int, transaction_id bigint, outcome text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    ids bigint[];       -- by position: the existing transaction, or the id reserved for the new one
    fresh boolean[];    -- by position: still to be written
    conflict text;
    touched bigint[];
BEGIN
    IF cardinality(p_reference) > 5000 OR cardinality(p_leg_txn) > 50000 THEN
        RAISE EXCEPTION 'a call posts at most 5000 transactions and 50000 legs' USING ERRCODE = 'FL006';
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

    SELECT array_agg(DISTINCT l.account ORDER BY l.account) INTO touched
      FROM unnest(p_leg_txn, p_leg_account) AS l (txn, account) WHERE fresh[l.txn];
    PERFORM 1 FROM ledger_balance b WHERE b.account_id = ANY (touched) ORDER BY b.account_id FOR NO KEY UPDATE;

    WITH legs AS MATERIALIZED (
        SELECT l.pos, l.txn, l.account, l.currency, l.side, l.amount,
               row_number() OVER (PARTITION BY l.txn ORDER BY l.pos) AS leg
          FROM unnest(p_leg_txn, p_leg_account, p_leg_currency, p_leg_side, p_leg_amount)
               WITH ORDINALITY AS l (txn, account, currency, side, amount, pos)
         WHERE fresh[l.txn]
    ), heads AS (
        INSERT INTO ledger_transaction (id, public_id, book_id, kind, reference, request_hash, leg_count,
                                        effective_at, posted_at, actor, memo, reverses_id)
        OVERRIDING SYSTEM VALUE
        SELECT ids[r.pos], r.public_id, r.book, r.kind, r.reference, r.hash, coalesce(c.legs, 0),
               r.effective_at, p_posted_at, r.actor, r.memo, r.reverses
          FROM unnest(p_public_id, p_book, p_kind, p_reference, p_request_hash, p_effective_at, p_actor, p_memo,
                      p_reverses)
               WITH ORDINALITY AS r (public_id, book, kind, reference, hash, effective_at, actor, memo, reverses, pos)
          LEFT JOIN (SELECT txn, count(*) AS legs FROM legs GROUP BY txn) c ON c.txn = r.pos
         WHERE fresh[r.pos]
    ), written AS (
        INSERT INTO ledger_entry (transaction_id, leg, book_id, account_id, currency, side, amount,
                                  account_version, balance_after, effective_at)
        SELECT ids[l.txn], l.leg, p_book[l.txn], l.account, l.currency, l.side, l.amount,
               b.version + row_number() OVER of_account,
               (CASE WHEN b.debit_normal THEN 1 ELSE -1 END)
                   * (b.debits - b.credits
                      + sum(CASE l.side WHEN 'D' THEN l.amount ELSE -l.amount END) OVER of_account),
               p_effective_at[l.txn]
          FROM legs l LEFT JOIN ledger_balance b ON b.account_id = l.account
        WINDOW of_account AS (PARTITION BY l.account ORDER BY l.pos)
         ORDER BY l.pos
    )
    UPDATE ledger_balance b
       SET debits = b.debits + d.debits, credits = b.credits + d.credits, version = b.version + d.legs
      FROM (SELECT l.account, count(*) AS legs,
                   coalesce(sum(l.amount) FILTER (WHERE l.side = 'D'), 0) AS debits,
                   coalesce(sum(l.amount) FILTER (WHERE l.side = 'C'), 0) AS credits
              FROM legs l GROUP BY l.account) d
     WHERE b.account_id = d.account AND b.account_id = ANY (touched);

    RETURN QUERY SELECT p.pos, ids[p.pos], CASE WHEN fresh[p.pos] THEN 'created' ELSE 'exists' END
                   FROM generate_subscripts(ids, 1) AS p (pos);
END $$;
