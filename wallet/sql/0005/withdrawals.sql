-- A withdrawal of fees has the legs of its verb: the platform's fees are debited, a bank account of ours is credited.
ALTER TABLE wallet_proposal ADD CONSTRAINT fee_withdrawal_has_its_legs CHECK (
    kind <> 'withdraw_fees'
    OR jsonb_array_length(legs) = 2 AND legs -> 0 ->> 'side' = 'D' AND legs -> 1 ->> 'side' = 'C'
       AND legs -> 0 ->> 'account' = 'fees:platform:' || (legs -> 0 ->> 'currency')
       AND legs -> 1 ->> 'account' ~ ('^bank:[^:]+:' || (legs -> 1 ->> 'currency') || '$'));

-- As in 0003, and a withdrawal of fees leaves the account of fees at zero or above. Withdrawals of a book hold a lock that
-- they take in turn, so none is missing here.
CREATE OR REPLACE FUNCTION wallet_guard_proposal() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
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
        IF NEW.kind = 'withdraw_fees' AND EXISTS (
            SELECT 1 FROM ledger_account a
             WHERE a.book_id = NEW.book_id AND a.code = NEW.legs -> 0 ->> 'account'
               AND coalesce((SELECT f.credits - f.debits FROM ledger_folded f WHERE f.account_id = a.id), 0)
                   + coalesce((SELECT sum(CASE e.side WHEN 'C' THEN e.amount ELSE -e.amount END)
                                 FROM ledger_fold_mark m
                                 JOIN ledger_transaction t ON (t.cluster_epoch, t.created_xid, t.id)
                                                              > (m.cluster_epoch, m.xid, m.transaction_id)
                                 JOIN ledger_entry e ON e.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767
                                WHERE e.account_id = a.id), 0) < 0) THEN
            RAISE EXCEPTION 'proposal % withdraws more than the fees hold', OLD.id USING ERRCODE = 'FL032';
        END IF;
    END IF;
    RETURN NEW;
END $$;
