"""Movements: the verbs of money. Only this package knows debit and credit.

docs/reference/movements.md lists the legs of each verb.

Each verb builds a `Movement`; `record` posts any number of them in one round trip. References make every verb
idempotent: recording the same movement again writes nothing.
"""

from wallet.movements.disputes import lose_dispute, open_dispute, regain_dispute, win_dispute
from wallet.movements.exchange import convert, psp_convert, realise_fx, reconvert, unconvert
from wallet.movements.heading import Heading, Movement, Share
from wallet.movements.outside import (
    bank_charge,
    bank_credit,
    identify,
    psp_fee,
    psp_payout,
    psp_rounding,
    suspend,
)
from wallet.movements.payouts import (
    bank_payout,
    cancel_payout,
    fund_payout,
    pay_out,
    reserve_payout,
    return_bank_payout,
    return_payout,
    unpay_payout,
)
from wallet.movements.platform import withdraw_fees
from wallet.movements.recording import record
from wallet.movements.refunds import cancel_refund, refund_returned, request_refund, settle_refund
from wallet.movements.sales import free_reserve, hold_reserve, late_success, release, settle_charge
from wallet.movements.stored_value import stored_pay, stored_refund, stored_top_up

__all__ = [
    "Heading",
    "Movement",
    "Share",
    "bank_charge",
    "bank_credit",
    "bank_payout",
    "cancel_payout",
    "cancel_refund",
    "convert",
    "free_reserve",
    "fund_payout",
    "hold_reserve",
    "identify",
    "late_success",
    "lose_dispute",
    "open_dispute",
    "pay_out",
    "psp_convert",
    "psp_fee",
    "psp_payout",
    "psp_rounding",
    "realise_fx",
    "reconvert",
    "record",
    "refund_returned",
    "regain_dispute",
    "release",
    "request_refund",
    "reserve_payout",
    "return_bank_payout",
    "return_payout",
    "settle_charge",
    "settle_refund",
    "stored_pay",
    "stored_refund",
    "stored_top_up",
    "suspend",
    "unconvert",
    "unpay_payout",
    "win_dispute",
    "withdraw_fees",
]
