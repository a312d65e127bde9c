-- Disputes: a machine of their own, in the book of their charge, and polled as due rows.
CREATE TRIGGER transitions_are_legal AFTER UPDATE ON payments_dispute
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION payments_check_transitions();
CREATE TRIGGER births_are_legal AFTER INSERT ON payments_dispute REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION payments_check_birth();

ALTER TABLE payments_dispute
    ADD CONSTRAINT dispute_is_in_its_charges_book FOREIGN KEY (charge_id, book_id)
        REFERENCES payments_charge (id, book_id),
    ADD CONSTRAINT dispute_is_in_its_psp_accounts_book FOREIGN KEY (psp_account_id, book_id)
        REFERENCES payments_pspaccount (id, book_id);

-- Money rows are never deleted by the application.
REVOKE DELETE, TRUNCATE ON payments_dispute, payments_disputepart FROM florin_app;

-- Claim disputes that nobody told of for a while, within each account's budget of polls (as payments_claim_polls does for
-- charges). The next poll is set with the claim and moves away with each try, up to a day, so one that dies is repeated.
CREATE FUNCTION payments_claim_dispute_polls(p_limit int, p_lease interval, p_again interval)
RETURNS TABLE (dispute_id bigint, fence bigint) LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := florin_now();
    found bigint[];
    granted bigint[];
BEGIN
    SELECT array_agg(d.id ORDER BY d.due_at, d.id) INTO found FROM (
        SELECT c.id, c.due_at FROM payments_dispute c
         WHERE c.due_at <= at AND (c.lease_until IS NULL OR c.lease_until <= at)
           AND NOT EXISTS (SELECT 1 FROM payments_pspaccount a
                            WHERE a.id = c.psp_account_id
                              AND (a.paused_until > at
                                   OR a.poll_tokens
                                      + greatest(extract(epoch FROM at - a.refilled_at), 0) * a.polls_per_minute / 60 < 1))
         ORDER BY c.due_at LIMIT p_limit
           FOR UPDATE OF c SKIP LOCKED) d;
    IF found IS NULL THEN RETURN; END IF;

    WITH wanted AS (
        SELECT c.id, c.psp_account_id AS account,
               row_number() OVER (PARTITION BY c.psp_account_id ORDER BY c.due_at, c.id) AS place
          FROM payments_dispute c WHERE c.id = ANY (found)
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

    RETURN QUERY
    UPDATE payments_dispute c
       SET lease_until = at + p_lease, fence = c.fence + 1, tries = c.tries + 1,
           due_at = at + least(p_again * power(2, least(c.tries, 20)), interval '1 day')
     WHERE c.id = ANY (granted)
    RETURNING c.id, c.fence;
END $$;
