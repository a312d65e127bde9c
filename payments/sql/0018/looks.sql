-- Looks at what has changed at a PSP: claiming, tenancy, and what the application may not do.
ALTER TABLE payments_foundrefund
    ADD CONSTRAINT found_refund_is_in_its_charges_book FOREIGN KEY (charge_id, book_id)
        REFERENCES payments_charge (id, book_id),
    ADD CONSTRAINT found_refund_is_in_its_psp_accounts_book FOREIGN KEY (psp_account_id, book_id)
        REFERENCES payments_pspaccount (id, book_id);
REVOKE DELETE, TRUNCATE ON payments_foundrefund, payments_psplook FROM florin_app;

-- Claim looks that are due: one call, one poll of the account's budget.
CREATE FUNCTION payments_claim_looks(p_limit int, p_lease interval)
RETURNS TABLE (account_id bigint, row_fence bigint) LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := florin_now();
    found bigint[];
    granted bigint[];
BEGIN
    SELECT array_agg(d.psp_account_id) INTO found FROM (
        SELECT l.psp_account_id FROM payments_psplook l
         WHERE l.due_at <= at AND (l.lease_until IS NULL OR l.lease_until <= at)
           AND NOT EXISTS (SELECT 1 FROM payments_pspaccount a WHERE a.id = l.psp_account_id AND a.paused_until > at)
         ORDER BY l.due_at LIMIT p_limit FOR UPDATE OF l SKIP LOCKED) d;
    IF found IS NULL THEN RETURN; END IF;

    WITH accounts AS (
        SELECT a.id,
               least(greatest(a.calls_per_second, 1),
                     a.call_tokens + greatest(extract(epoch FROM at - a.refilled_at), 0) * a.calls_per_second) AS tokens,
               least(greatest(a.polls_per_minute, 1),
                     a.poll_tokens + greatest(extract(epoch FROM at - a.refilled_at), 0) * a.polls_per_minute / 60)
                   AS polls
          FROM payments_pspaccount a WHERE a.id = ANY (found) ORDER BY a.id FOR NO KEY UPDATE
    ), spent AS (
        UPDATE payments_pspaccount p
           SET poll_tokens = a.polls - 1, call_tokens = a.tokens, refilled_at = greatest(at, p.refilled_at)
          FROM accounts a WHERE p.id = a.id AND a.polls >= 1
        RETURNING p.id
    )
    SELECT array_agg(id) INTO granted FROM spent;
    IF granted IS NULL THEN RETURN; END IF;

    RETURN QUERY
    UPDATE payments_psplook l SET lease_until = at + p_lease, fence = l.fence + 1, tries = l.tries + 1
     WHERE l.psp_account_id = ANY (granted)
    RETURNING l.psp_account_id, l.fence;
END $$;
