-- The kinds again, with the undoing of a conversion.

CREATE OR REPLACE FUNCTION ledger_knows_kind(p_kind text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT
SET search_path = public, pg_temp AS $$
BEGIN
    RETURN p_kind IN (
        'settle_charge', 'late_success', 'release', 'hold_reserve', 'free_reserve',
        'request_refund', 'cancel_refund', 'settle_refund', 'refund_returned',
        'open_dispute', 'win_dispute', 'lose_dispute',
        'reserve_payout', 'cancel_payout', 'fund_payout', 'pay_out', 'unpay_payout', 'return_payout',
        'bank_payout', 'return_bank_payout',
        'psp_fee', 'psp_payout', 'bank_credit', 'bank_charge',
        'convert', 'unconvert', 'psp_convert', 'realise_fx', 'suspend', 'identify',
        'stored_top_up', 'stored_pay', 'stored_refund', 'withdraw_fees',
        'adjust', 'write_off', 'year_end_close', 'reversal', 'partial_reversal');
END $$;
