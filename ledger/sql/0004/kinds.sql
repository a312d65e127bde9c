-- Which kinds of transaction there are, in one place that is asked by a constraint and replaced when a verb is added.
--
-- A function and not a list in the constraint: PostgreSQL reads the text of a CHECK again for every statement, and a list
-- of thirty words would cost more than the rest of them together. The verbs are those of wallet/movements.py.

CREATE FUNCTION ledger_knows_kind(p_kind text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT
SET search_path = public, pg_temp AS $$
BEGIN
    RETURN p_kind IN (
        'settle_charge', 'late_success', 'release', 'hold_reserve', 'free_reserve',
        'request_refund', 'cancel_refund', 'settle_refund', 'refund_returned',
        'open_dispute', 'win_dispute', 'lose_dispute',
        'reserve_payout', 'cancel_payout', 'fund_payout', 'pay_out', 'unpay_payout', 'return_payout',
        'bank_payout', 'return_bank_payout',
        'psp_fee', 'psp_payout', 'bank_credit', 'bank_charge',
        'convert', 'psp_convert', 'realise_fx', 'suspend', 'identify',
        'stored_top_up', 'stored_pay', 'stored_refund', 'withdraw_fees',
        'adjust', 'write_off', 'year_end_close', 'reversal', 'partial_reversal');
END $$;

-- Lock the balance rows of accounts, in account order, and answer what is on them (debit positive): for a verb that has to
-- know before it posts, in the same database transaction. Recording accounts have no row and are left out.
CREATE FUNCTION ledger_lock_balances(p_accounts bigint[]) RETURNS TABLE (account_id bigint, debits bigint, credits bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT b.account_id, b.debits, b.credits FROM ledger_balance b WHERE b.account_id = ANY (p_accounts)
     ORDER BY b.account_id FOR NO KEY UPDATE
$$;
REVOKE ALL ON FUNCTION ledger_lock_balances(bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_lock_balances(bigint[]) TO florin_app;
