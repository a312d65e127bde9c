-- A proposal is born waiting, is decided once, and what it says never changes. What was approved was posted: exactly these
-- legs, by the checker, in the database transaction of the decision.
CREATE FUNCTION wallet_guard_proposal() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    decision text[] := ARRAY['state', 'checker', 'decided_at', 'note', 'transaction_id'];
    posted jsonb;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'awaiting_approval' THEN
            RAISE EXCEPTION 'a proposal is born awaiting approval' USING ERRCODE = 'FL030';
        END IF;
        RETURN NEW;
    ELSIF OLD.state <> 'awaiting_approval' THEN
        RAISE EXCEPTION 'proposal % was decided, and stays so', OLD.id USING ERRCODE = 'FL030';
    ELSIF NEW.state = 'awaiting_approval' OR to_jsonb(NEW) - decision <> to_jsonb(OLD) - decision THEN
        RAISE EXCEPTION 'what proposal % says does not change', OLD.id USING ERRCODE = 'FL030';
    ELSIF NEW.state = 'approved' THEN
        SELECT jsonb_agg(jsonb_build_object('account', a.code, 'side', e.side, 'amount', e.amount,
                                            'currency', e.currency) ORDER BY e.leg)
          INTO posted
          FROM ledger_transaction t
          JOIN ledger_entry e ON e.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767
          JOIN ledger_account a ON a.id = e.account_id
         WHERE t.id = NEW.transaction_id AND t.book_id = NEW.book_id AND t.kind = NEW.kind
           AND t.reference = NEW.kind || ':' || NEW.reference AND t.actor = NEW.checker
           AND t.reverses_id IS NOT DISTINCT FROM NEW.reverses_id AND t.created_xid = pg_current_xact_id();
        IF posted IS DISTINCT FROM NEW.legs THEN
            RAISE EXCEPTION 'proposal % is approved by posting its legs with the decision', OLD.id
                USING ERRCODE = 'FL031';
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER proposals_are_decided_once BEFORE INSERT OR UPDATE ON wallet_proposal
    FOR EACH ROW EXECUTE FUNCTION wallet_guard_proposal();

CREATE FUNCTION wallet_refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: proposals are kept', TG_OP, TG_TABLE_NAME USING ERRCODE = 'FL030';
END $$;
CREATE TRIGGER proposals_are_kept BEFORE DELETE OR TRUNCATE ON wallet_proposal
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse_change();

REVOKE ALL ON wallet_proposal FROM florin_app, PUBLIC;
GRANT SELECT, INSERT ON wallet_proposal TO florin_app;
GRANT UPDATE (state, checker, decided_at, note, transaction_id) ON wallet_proposal TO florin_app;
