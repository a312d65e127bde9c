-- Payouts: the machine's triggers, tenancy, what a payout pays, and the claiming of what is due.

CREATE TRIGGER transitions_are_legal AFTER UPDATE ON payments_payout
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION payments_check_transitions();
CREATE TRIGGER births_are_legal AFTER INSERT ON payments_payout REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION payments_check_birth();

ALTER TABLE payments_payoutdestination
    ADD CONSTRAINT destination_is_in_its_sellers_book FOREIGN KEY (seller_id, book_id)
        REFERENCES payments_seller (id, book_id);
ALTER TABLE payments_payout
    ADD CONSTRAINT payout_is_in_its_sellers_book FOREIGN KEY (seller_id, book_id)
        REFERENCES payments_seller (id, book_id),
    ADD CONSTRAINT payout_is_in_its_destinations_book FOREIGN KEY (destination_id, book_id)
        REFERENCES payments_payoutdestination (id, book_id),
    ADD CONSTRAINT payout_is_in_its_psp_accounts_book FOREIGN KEY (psp_account_id, book_id)
        REFERENCES payments_pspaccount (id, book_id);
ALTER TABLE payments_pspoperation
    ADD CONSTRAINT operation_is_in_its_payouts_book FOREIGN KEY (payout_id, book_id)
        REFERENCES payments_payout (id, book_id);
ALTER TABLE payments_payee
    ADD CONSTRAINT payee_is_at_a_psp_account FOREIGN KEY (psp_account_id) REFERENCES payments_pspaccount (id);
ALTER TABLE payments_pspfunding
    ADD CONSTRAINT funding_is_of_a_psp_account FOREIGN KEY (psp_account_id) REFERENCES payments_pspaccount (id);

-- A destination and an allocation are facts: what was paid to, and what was paid. Only "superseded" may be added.
CREATE FUNCTION payments_keep_destination() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.superseded_at IS NOT NULL OR to_jsonb(NEW) - 'superseded_at' <> to_jsonb(OLD) - 'superseded_at' THEN
        RAISE EXCEPTION 'a payout destination is never changed: make another' USING ERRCODE = 'FL021';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER destination_is_never_changed BEFORE UPDATE ON payments_payoutdestination
    FOR EACH ROW EXECUTE FUNCTION payments_keep_destination();
CREATE TRIGGER allocation_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_payoutallocation
    FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change();

-- What a payout is never changes; only where it stands does.
CREATE FUNCTION payments_keep_payout() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.book_id, NEW.seller_id, NEW.currency, NEW.amount_minor, NEW.requested_by, NEW.psp_account_id)
       IS DISTINCT FROM (OLD.book_id, OLD.seller_id, OLD.currency, OLD.amount_minor, OLD.requested_by,
                         OLD.psp_account_id)
       OR NEW.destination_id <> OLD.destination_id AND OLD.status NOT IN ('requires_approval', 'pending') THEN
        RAISE EXCEPTION 'payout %: its amount, seller and destination do not change', OLD.id USING ERRCODE = 'FL021';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payout_keeps_its_amount BEFORE UPDATE ON payments_payout
    FOR EACH ROW EXECUTE FUNCTION payments_keep_payout();

-- Write what payouts pay: the credits of the seller's available account on the same stretch of the axis, oldest first.
-- Called once the reservations are posted, in their transaction, so the balance rows are locked. The scan begins at the
-- account's last allocation and ends with the amount: its cost is the number of credits since then.
-- A payout that is not covered to the last minor unit is refused, and its transaction with it.
CREATE FUNCTION payments_allocate_payouts(p_payouts bigint[], p_references text[], p_accounts bigint[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off AS $$
DECLARE
    one record;
    credit record;
    last record;
    begins bigint;      -- where the payout's debit begins on the axis
    ends bigint;
    before bigint;      -- the credits before the one that is looked at
    written int := 0;
    covered bigint;
    part_from bigint;
BEGIN
    FOR one IN
        SELECT p.id, p.amount_minor, x.account, e.account_version, e.amount, b.debits - coalesce((
                   SELECT sum(l.amount) FROM ledger_entry l
                    WHERE l.account_id = x.account AND l.account_version > e.account_version AND l.side = 'D'), 0)
                   AS debits
          FROM unnest(p_payouts, p_references, p_accounts) AS x (payout, reference, account)
          JOIN payments_payout p ON p.id = x.payout
          JOIN ledger_transaction t ON t.book_id = p.book_id AND t.reference = x.reference
          JOIN ledger_entry e ON e.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767
                             AND e.account_id = x.account AND e.side = 'D'
          JOIN ledger_balance b ON b.account_id = x.account
         ORDER BY x.account, e.account_version
    LOOP
        IF one.amount <> one.amount_minor THEN
            RAISE EXCEPTION 'payout %: reserved % of %', one.id, one.amount, one.amount_minor USING ERRCODE = 'FL022';
        END IF;
        ends := one.debits;
        begins := ends - one.amount;
        covered := 0;
        SELECT a.entry_version, a.position_minor - a.offset_minor AS before INTO last FROM payments_payoutallocation a
         WHERE a.account_id = one.account AND a.position_minor <= begins ORDER BY a.position_minor DESC LIMIT 1;
        before := coalesce(last.before, 0);
        FOR credit IN
            SELECT e.id, e.account_version, e.amount FROM ledger_entry e
             WHERE e.account_id = one.account AND e.account_version >= coalesce(last.entry_version, 1)
               AND e.account_version < one.account_version AND e.side = 'C'
             ORDER BY e.account_version
        LOOP
            IF before + credit.amount > begins THEN
                part_from := greatest(before, begins);
                INSERT INTO payments_payoutallocation
                       (payout_id, account_id, entry_id, entry_version, position_minor, offset_minor, amount_minor)
                VALUES (one.id, one.account, credit.id, credit.account_version, part_from, part_from - before,
                        least(before + credit.amount, ends) - part_from);
                covered := covered + least(before + credit.amount, ends) - part_from;
            END IF;
            before := before + credit.amount;
            EXIT WHEN before >= ends;
        END LOOP;
        IF covered <> one.amount THEN
            RAISE EXCEPTION 'payout %: % of % is explained', one.id, covered, one.amount USING ERRCODE = 'FL022';
        END IF;
        written := written + 1;
    END LOOP;
    IF written <> cardinality(p_payouts) THEN
        RAISE EXCEPTION '% of % payouts are reserved', written, cardinality(p_payouts) USING ERRCODE = 'FL022';
    END IF;
    RETURN written;
END $$;
REVOKE EXECUTE ON FUNCTION payments_allocate_payouts(bigint[], text[], bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payments_allocate_payouts(bigint[], text[], bigint[]) TO florin_app;

-- Claim what of payouts is due: questions about payouts at the PSP (within each account's budget of polls), and one
-- question per PSP account and currency about the money that waiting payouts need.
CREATE FUNCTION payments_claim_payouts(p_limit int, p_lease interval, p_again interval)
RETURNS TABLE (what text, row_id bigint, row_fence bigint) LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := florin_now();
    asked bigint[];
    granted bigint[];
BEGIN
    PERFORM 1 FROM payments_payout p WHERE p.due_at <= at LIMIT 1;
    IF NOT FOUND THEN RETURN; END IF;

    INSERT INTO payments_pspfunding (psp_account_id, currency)
    SELECT DISTINCT p.psp_account_id, p.currency FROM payments_payout p
     WHERE p.due_at <= at AND p.status = 'pending'
       AND NOT EXISTS (SELECT 1 FROM payments_pspfunding f
                        WHERE f.psp_account_id = p.psp_account_id AND f.currency = p.currency)
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    UPDATE payments_pspfunding f SET lease_until = at + p_lease, fence = f.fence + 1, tries = f.tries + 1
      FROM (SELECT f.id FROM payments_pspfunding f
             WHERE (f.lease_until IS NULL OR f.lease_until <= at) AND (f.next_at IS NULL OR f.next_at <= at)
               AND EXISTS (SELECT 1 FROM payments_payout p WHERE p.due_at <= at AND p.status = 'pending'
                              AND p.psp_account_id = f.psp_account_id AND p.currency = f.currency)
               AND NOT EXISTS (SELECT 1 FROM payments_pspaccount a
                                WHERE a.id = f.psp_account_id AND a.paused_until > at)
             ORDER BY f.id LIMIT p_limit FOR UPDATE OF f SKIP LOCKED) d
     WHERE f.id = d.id
    RETURNING 'funding', f.id, f.fence;

    SELECT array_agg(d.id ORDER BY d.due_at, d.id) INTO asked FROM (
        SELECT p.id, p.due_at FROM payments_payout p
         WHERE p.due_at <= at AND p.status <> 'pending' AND (p.lease_until IS NULL OR p.lease_until <= at)
           AND NOT EXISTS (SELECT 1 FROM payments_pspaccount a
                            WHERE a.id = p.psp_account_id
                              AND (a.paused_until > at
                                   OR a.poll_tokens
                                      + greatest(extract(epoch FROM at - a.refilled_at), 0) * a.polls_per_minute / 60 < 1))
         ORDER BY p.due_at LIMIT p_limit
           FOR UPDATE OF p SKIP LOCKED) d;
    IF asked IS NULL THEN RETURN; END IF;

    WITH wanted AS (
        SELECT p.id, p.psp_account_id AS account,
               row_number() OVER (PARTITION BY p.psp_account_id ORDER BY p.due_at, p.id) AS place
          FROM payments_payout p WHERE p.id = ANY (asked)
    ), accounts AS (
        SELECT a.id,
               least(greatest(a.calls_per_second, 1),
                     a.call_tokens + greatest(extract(epoch FROM at - a.refilled_at), 0) * a.calls_per_second) AS tokens,
               least(greatest(a.polls_per_minute, 1),
                     a.poll_tokens + greatest(extract(epoch FROM at - a.refilled_at), 0) * a.polls_per_minute / 60)
                   AS polls
          FROM payments_pspaccount a WHERE a.id IN (SELECT account FROM wanted) ORDER BY a.id FOR NO KEY UPDATE
    ), allowed AS (
        SELECT w.id, w.account FROM wanted w JOIN accounts a ON a.id = w.account WHERE w.place <= floor(a.polls)
    ), spent AS (
        UPDATE payments_pspaccount p
           SET poll_tokens = a.polls - (SELECT count(*) FROM allowed x WHERE x.account = a.id),
               call_tokens = a.tokens, refilled_at = greatest(at, p.refilled_at)
          FROM accounts a WHERE p.id = a.id
    )
    SELECT array_agg(id) INTO granted FROM allowed;
    IF granted IS NULL THEN RETURN; END IF;

    -- The next question is set with the claim and moves away with each try, up to a day.
    RETURN QUERY
    UPDATE payments_payout p
       SET lease_until = at + p_lease, fence = p.fence + 1, tries = p.tries + 1,
           due_at = at + least(p_again * power(2, least(p.tries, 12)), interval '1 day')
     WHERE p.id = ANY (granted)
    RETURNING 'payout', p.id, p.fence;
END $$;

-- Money rows are never deleted by the application; what a payout pays is written by its function only.
REVOKE DELETE, TRUNCATE ON payments_payout, payments_payoutdestination, payments_pspfunding FROM florin_app;
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON payments_payoutallocation FROM florin_app;
GRANT SELECT ON payments_payoutallocation TO florin_app;
