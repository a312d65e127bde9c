-- Due rows: who may work on what, until when. Leases and due times are compared with one clock, the database's.

-- Tests move this clock (as superuser); the application may only read it.
CREATE TABLE payments_clockshift (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), shift interval NOT NULL);
INSERT INTO payments_clockshift (shift) VALUES ('0');
CREATE FUNCTION florin_now() RETURNS timestamptz LANGUAGE sql VOLATILE SET search_path = public, pg_temp AS
    'SELECT clock_timestamp() + shift FROM payments_clockshift';

-- Claim PSP operations that are due: live payments before refunds before transfers, within each account's budget of
-- calls (an account without budget does not hide the others), nothing for an account whose circuit breaker is open, one probe for an account whose breaker was just open.
-- A claim raises the fence: whoever held the row before can no longer write it. `was` is the state before the claim:
-- SENT or UNKNOWN means that an earlier call may have had an effect.
CREATE FUNCTION payments_claim_operations(p_limit int, p_lease interval, p_breaker_threshold int)
RETURNS TABLE (operation_id bigint, fence bigint, was text) LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := florin_now();
    found bigint[];
    granted bigint[];
BEGIN
    SELECT array_agg(d.id ORDER BY d.lane, d.due_at, d.id) INTO found FROM (
        SELECT o.id, o.lane, o.due_at FROM payments_pspoperation o
         WHERE o.due_at <= at AND (o.lease_until IS NULL OR o.lease_until <= at)
           AND NOT EXISTS (SELECT 1 FROM payments_pspaccount a
                            WHERE a.id = o.psp_account_id
                              AND (a.paused_until > at
                                   OR a.call_tokens + greatest(extract(epoch FROM at - a.refilled_at), 0) * a.calls_per_second < 1))
         ORDER BY o.lane, o.due_at LIMIT p_limit
           FOR UPDATE OF o SKIP LOCKED) d;
    IF found IS NULL THEN RETURN; END IF;

    WITH wanted AS (
        SELECT o.id, o.psp_account_id AS account,
               row_number() OVER (PARTITION BY o.psp_account_id ORDER BY o.lane, o.due_at, o.id) AS place,
               count(*) OVER (PARTITION BY o.psp_account_id) AS total
          FROM payments_pspoperation o WHERE o.id = ANY (found)
    ), accounts AS (
        SELECT a.id, a.calls_per_second AS rate, a.consecutive_failures >= p_breaker_threshold AS probing,
               least(greatest(a.calls_per_second, 1),
                     a.call_tokens + greatest(extract(epoch FROM at - a.refilled_at), 0) * a.calls_per_second) AS tokens,
               least(greatest(a.polls_per_minute, 1),
                     a.poll_tokens + greatest(extract(epoch FROM at - a.refilled_at), 0) * a.polls_per_minute / 60)
                   AS polls
          FROM payments_pspaccount a WHERE a.id IN (SELECT account FROM wanted) ORDER BY a.id FOR NO KEY UPDATE
    ), allowed AS (
        SELECT w.id, w.account FROM wanted w JOIN accounts a ON a.id = w.account
         WHERE w.place <= CASE WHEN a.probing THEN least(1, floor(a.tokens)) ELSE floor(a.tokens) END
    ), spent AS (
        UPDATE payments_pspaccount p
           SET call_tokens = a.tokens - (SELECT count(*) FROM allowed x WHERE x.account = a.id),
               poll_tokens = a.polls, refilled_at = greatest(at, p.refilled_at)
          FROM accounts a WHERE p.id = a.id
    )
    SELECT array_agg(id) INTO granted FROM allowed;
    IF granted IS NULL THEN RETURN; END IF;

    RETURN QUERY
    UPDATE payments_pspoperation o
       SET lease_until = at + p_lease, fence = o.fence + 1, tries = o.tries + 1,
           state = CASE WHEN o.state = 'PREPARED' THEN 'SENT' ELSE o.state END,
           first_sent_at = coalesce(o.first_sent_at, at)
      FROM payments_pspoperation before
     WHERE o.id = ANY (granted) AND before.id = o.id
    RETURNING o.id, o.fence, before.state::text;
END $$;

-- Claim charges that wait for the PSP or the buyer and were not heard of: within each account's budget of polls.
CREATE FUNCTION payments_claim_polls(p_limit int, p_lease interval, p_again interval)
RETURNS TABLE (charge_id bigint, fence bigint) LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := florin_now();
    found bigint[];
    granted bigint[];
BEGIN
    SELECT array_agg(d.id ORDER BY d.due_at, d.id) INTO found FROM (
        SELECT c.id, c.due_at FROM payments_charge c
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
          FROM payments_charge c WHERE c.id = ANY (found)
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

    -- The next poll is set with the claim and moves away with each try, so a poll that dies is repeated.
    RETURN QUERY
    UPDATE payments_charge c
       SET lease_until = at + p_lease, fence = c.fence + 1, tries = c.tries + 1,
           due_at = at + p_again * least(power(2, least(c.tries, 10)), 60)
     WHERE c.id = ANY (granted)
    RETURNING c.id, c.fence;
END $$;

-- Claim notifications that are due, oldest first.
CREATE FUNCTION payments_claim_notifications(p_limit int, p_lease interval)
RETURNS TABLE (notification_id bigint, fence bigint) LANGUAGE sql AS $$
    WITH due AS MATERIALIZED (
        SELECT n.id FROM payments_pspnotification n
         WHERE n.due_at <= (SELECT florin_now())
           AND (n.lease_until IS NULL OR n.lease_until <= (SELECT florin_now()))
         ORDER BY n.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED)
    UPDATE payments_pspnotification n
       SET lease_until = florin_now() + p_lease, fence = n.fence + 1, tries = n.tries + 1
      FROM due WHERE n.id = due.id RETURNING n.id, n.fence
$$;
