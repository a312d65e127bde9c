-- Posting one transaction: what ledger_post does for many, without arrays of transactions and without windows.
--
-- Two or three legs on as many accounts, as most transactions have, go the short way; ledger_post does the rest. The
-- answer, the refusals and the locks are those of ledger_post, and the same triggers look at what was written.
CREATE FUNCTION ledger_post_one(
    p_public_id uuid, p_book bigint, p_kind text, p_reference text, p_request_hash bytea,
    p_effective_at timestamptz, p_occurred_at timestamptz, p_posted_at timestamptz, p_actor text, p_memo text,
    p_metadata jsonb, p_reverses bigint,
    p_account bigint[], p_currency text[], p_side text[], p_amount bigint[],
    p_receipt boolean, OUT transaction_id bigint, OUT outcome text, OUT balances bigint[]
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    legs int := cardinality(p_account);
    account_1 bigint := p_account[1]; account_2 bigint := p_account[2]; account_3 bigint := p_account[3];
    debits_1 bigint; debits_2 bigint; debits_3 bigint;      -- of the balance row, after this; NULL where there is none
    credits_1 bigint; credits_2 bigint; credits_3 bigint;
    version_1 bigint; version_2 bigint; version_3 bigint;
    after_1 bigint; after_2 bigint; after_3 bigint;         -- the balance
    posted timestamptz := p_posted_at;
    held record;
    stored_hash bytea;
    first_leg bigint;
BEGIN
    IF (legs IN (2, 3) AND cardinality(p_currency) = legs AND cardinality(p_side) = legs
        AND cardinality(p_amount) = legs AND account_1 <> account_2
        AND (legs = 2 OR account_3 <> account_1 AND account_3 <> account_2)) IS NOT TRUE THEN
        SELECT p.transaction_id, p.outcome, p.balances INTO transaction_id, outcome, balances
          FROM ledger_post(ARRAY[p_public_id], ARRAY[p_book], ARRAY[p_kind], ARRAY[p_reference], ARRAY[p_request_hash],
                           ARRAY[p_effective_at], ARRAY[p_occurred_at], p_posted_at, ARRAY[p_actor], ARRAY[p_memo],
                           ARRAY[p_metadata], ARRAY[p_reverses], array_fill(1, ARRAY[coalesce(legs, 0)]), p_account,
                           p_currency, p_side, p_amount, p_receipt) p;
        RETURN;
    END IF;

    -- In a statement of its own and in account order, as ledger_post does.
    FOR held IN
        SELECT b.account_id, b.debits, b.credits, b.version, b.debit_normal, b.posted_at
          FROM ledger_balance b WHERE b.account_id IN (account_1, account_2, account_3)
         ORDER BY b.account_id FOR NO KEY UPDATE
    LOOP
        posted := greatest(posted, held.posted_at);
        IF held.account_id = account_1 THEN
            version_1 := held.version + 1;
            debits_1 := held.debits + CASE p_side[1] WHEN 'D' THEN p_amount[1] ELSE 0 END;
            credits_1 := held.credits + CASE p_side[1] WHEN 'D' THEN 0 ELSE p_amount[1] END;
            after_1 := CASE WHEN held.debit_normal THEN debits_1 - credits_1 ELSE credits_1 - debits_1 END;
        ELSIF held.account_id = account_2 THEN
            version_2 := held.version + 1;
            debits_2 := held.debits + CASE p_side[2] WHEN 'D' THEN p_amount[2] ELSE 0 END;
            credits_2 := held.credits + CASE p_side[2] WHEN 'D' THEN 0 ELSE p_amount[2] END;
            after_2 := CASE WHEN held.debit_normal THEN debits_2 - credits_2 ELSE credits_2 - debits_2 END;
        ELSE
            version_3 := held.version + 1;
            debits_3 := held.debits + CASE p_side[3] WHEN 'D' THEN p_amount[3] ELSE 0 END;
            credits_3 := held.credits + CASE p_side[3] WHEN 'D' THEN 0 ELSE p_amount[3] END;
            after_3 := CASE WHEN held.debit_normal THEN debits_3 - credits_3 ELSE credits_3 - debits_3 END;
        END IF;
    END LOOP;

    WITH head AS (
        INSERT INTO ledger_transaction (public_id, book_id, kind, reference, request_hash, leg_count, effective_at,
                                        occurred_at, posted_at, actor, memo, metadata, reverses_id)
        VALUES (p_public_id, p_book, p_kind, p_reference, p_request_hash, legs, coalesce(p_effective_at, posted),
                p_occurred_at, posted, p_actor, p_memo, p_metadata, p_reverses)
        ON CONFLICT (book_id, reference) DO NOTHING RETURNING id
    ), written AS (
        INSERT INTO ledger_entry (id, transaction_id, leg, book_id, account_id, currency, side, amount,
                                  account_version, balance_after, effective_at, posted_at)
        SELECT h.id * 32768 + l.leg, h.id, l.leg, p_book, l.account, l.currency, l.side, l.amount, l.version, l.after,
               coalesce(p_effective_at, posted), posted
          FROM head h
         CROSS JOIN (VALUES (1, account_1, p_currency[1], p_side[1], p_amount[1], version_1, after_1),
                            (2, account_2, p_currency[2], p_side[2], p_amount[2], version_2, after_2),
                            (3, account_3, p_currency[3], p_side[3], p_amount[3], version_3, after_3))
                    AS l (leg, account, currency, side, amount, version, after)
         WHERE l.leg <= legs
    ), moved AS (
        UPDATE ledger_balance b
           SET debits = l.debits, credits = l.credits, version = l.version, posted_at = posted
          FROM (VALUES (account_1, debits_1, credits_1, version_1), (account_2, debits_2, credits_2, version_2),
                       (account_3, debits_3, credits_3, version_3)) AS l (account, debits, credits, version)
         WHERE b.account_id = l.account AND l.version IS NOT NULL AND EXISTS (SELECT FROM head)
    )
    SELECT h.id INTO transaction_id FROM head h;
    outcome := 'created';
    IF FOUND THEN
        IF p_receipt THEN
            balances := CASE legs WHEN 2 THEN ARRAY[after_1, after_2] ELSE ARRAY[after_1, after_2, after_3] END;
        END IF;
        RETURN;
    END IF;

    SELECT t.id, t.request_hash INTO transaction_id, stored_hash
      FROM ledger_transaction t WHERE t.book_id = p_book AND t.reference = p_reference;
    IF stored_hash IS DISTINCT FROM p_request_hash THEN
        RAISE EXCEPTION 'reference % was posted before with other legs', p_reference USING ERRCODE = 'FL007';
    END IF;
    outcome := 'exists';
    IF p_receipt THEN
        first_leg := transaction_id * 32768;
        balances := ARRAY(SELECT e.balance_after FROM ledger_entry e
                           WHERE e.id BETWEEN first_leg AND first_leg + 32767 ORDER BY e.id);
    END IF;
END $$;
