-- Claim runs that are due, of the kinds that the caller knows. A claim raises the fence: whoever held the row before can
-- no longer finish it. A run whose workers died in all of its tries is dead: a person decides.
CREATE FUNCTION payments_claim_runs(p_kinds text[], p_leases interval[], p_max_tries int[], p_limit int)
RETURNS TABLE (run_id bigint, fence bigint) LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    at timestamptz := florin_now();
BEGIN
    UPDATE payments_run r
       SET dead_at = at, due_at = NULL, lease_until = NULL, error = 'its worker died in every try'
      FROM (SELECT d.id FROM payments_run d JOIN unnest(p_kinds, p_max_tries) AS k (kind, tries) ON k.kind = d.kind
             WHERE d.due_at <= at AND d.lease_until <= at AND d.tries >= k.tries
               FOR UPDATE OF d SKIP LOCKED) x
     WHERE r.id = x.id;
    RETURN QUERY
    UPDATE payments_run r
       SET lease_until = at + x.lease, fence = r.fence + 1, tries = r.tries + 1
      FROM (SELECT d.id, k.lease FROM payments_run d
              JOIN unnest(p_kinds, p_leases, p_max_tries) AS k (kind, lease, tries) ON k.kind = d.kind
             WHERE d.due_at <= at AND (d.lease_until IS NULL OR d.lease_until <= at) AND d.tries < k.tries
             ORDER BY d.due_at, d.id LIMIT p_limit
               FOR UPDATE OF d SKIP LOCKED) x
     WHERE r.id = x.id
    RETURNING r.id, r.fence;
END $$;

-- A stop is opened and lifted, once each. It is never changed otherwise, and never deleted.
CREATE FUNCTION payments_payout_stop_is_lifted_once() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.lifted_at IS NOT NULL OR (NEW.id, NEW.book_id, NEW.reason, NEW.detail, NEW.since, NEW.stopped_by)
                                    IS DISTINCT FROM (OLD.id, OLD.book_id, OLD.reason, OLD.detail, OLD.since, OLD.stopped_by) THEN
        RAISE EXCEPTION 'a stop of payouts is only lifted, and only once' USING ERRCODE = 'FL001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payout_stop_is_lifted_once BEFORE UPDATE ON payments_payoutstop
    FOR EACH ROW EXECUTE FUNCTION payments_payout_stop_is_lifted_once();
REVOKE DELETE, TRUNCATE ON payments_payoutstop, payments_run FROM florin_app;
