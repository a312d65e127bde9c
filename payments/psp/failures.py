"""The closed list of reasons for which a payment is refused, in words fit for a buyer.

Adapters translate a PSP's many codes into these few, so merchants handle one list whatever the PSP
(docs/errors.md is made from it). Issuers' reasons that help a thief (lost, stolen, suspected fraud) all read
`card_declined` here; the PSP's own code is kept beside it for staff. It must never name a PSP.
"""

from enum import StrEnum
from typing import Final

from payments.psp.base import Failure


class FailureCode(StrEnum):
    """Why a payment, a capture or a refund was refused."""

    CARD_DECLINED = "card_declined"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    EXPIRED_CARD = "expired_card"
    INCORRECT_CVC = "incorrect_cvc"
    INCORRECT_DETAILS = "incorrect_details"
    LIMIT_EXCEEDED = "limit_exceeded"
    AUTHENTICATION_REQUIRED = "authentication_required"
    AUTHENTICATION_FAILED = "authentication_failed"
    PROCESSING_ERROR = "processing_error"
    PAYMENT_DECLINED = "payment_declined"
    PAYMENT_METHOD_UNUSABLE = "payment_method_unusable"
    PAYMENT_CANCELLED = "payment_cancelled"
    AMOUNT_NOT_ACCEPTED = "amount_not_accepted"
    NOT_CAPTURABLE = "not_capturable"
    NOT_REFUNDABLE = "not_refundable"
    REFUND_FAILED = "refund_failed"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    PAYOUT_NOT_POSSIBLE = "payout_not_possible"
    PAYOUT_FAILED = "payout_failed"
    PAYOUT_CANCELLED = "payout_cancelled"
    PAYOUT_NOT_CANCELLABLE = "payout_not_cancellable"
    NOT_FOUND = "not_found"
    REFUSED = "refused"


MESSAGES: Final[dict[FailureCode, str]] = {
    FailureCode.CARD_DECLINED: "The card was declined. Try another payment method.",
    FailureCode.INSUFFICIENT_FUNDS: "There is not enough money on the card. Try another payment method.",
    FailureCode.EXPIRED_CARD: "The card has expired. Try another card.",
    FailureCode.INCORRECT_CVC: "The card's security code is not right. Check it and try again.",
    FailureCode.INCORRECT_DETAILS: "The card's details are not right. Check them and try again.",
    FailureCode.LIMIT_EXCEEDED: "The card's limit is reached. Try another payment method.",
    FailureCode.AUTHENTICATION_REQUIRED: "The bank wants a confirmation. Pay again and confirm it.",
    FailureCode.AUTHENTICATION_FAILED: "The payment could not be confirmed with the bank. Try again.",
    FailureCode.PROCESSING_ERROR: "The payment could not be processed. Try again in a moment.",
    FailureCode.PAYMENT_DECLINED: "The payment was declined. Try another payment method.",
    FailureCode.PAYMENT_METHOD_UNUSABLE: "This payment method cannot be used here. Try another one.",
    FailureCode.PAYMENT_CANCELLED: "The payment was cancelled.",
    FailureCode.AMOUNT_NOT_ACCEPTED: "This amount cannot be paid in this way.",
    FailureCode.NOT_CAPTURABLE: "There is no authorized money left to capture.",
    FailureCode.NOT_REFUNDABLE: "This payment cannot be refunded.",
    FailureCode.REFUND_FAILED: "The refund did not reach the buyer.",
    FailureCode.INSUFFICIENT_BALANCE: "There is not enough money at the payment provider yet.",
    FailureCode.PAYOUT_NOT_POSSIBLE: "The payment provider cannot pay out to this account.",
    FailureCode.PAYOUT_FAILED: "The bank did not accept the money. Check the bank account.",
    FailureCode.PAYOUT_CANCELLED: "The payout was cancelled before the money left.",
    FailureCode.PAYOUT_NOT_CANCELLABLE: "The payout is on its way and cannot be cancelled any more.",
    FailureCode.NOT_FOUND: "The payment does not exist at the payment provider.",
    FailureCode.REFUSED: "The payment provider refused the request.",
}

# What another try by the buyer, with the same method or another, can mend.
RETRYABLE_BY_BUYER: Final = frozenset(
    {
        FailureCode.CARD_DECLINED,
        FailureCode.INSUFFICIENT_FUNDS,
        FailureCode.EXPIRED_CARD,
        FailureCode.INCORRECT_CVC,
        FailureCode.INCORRECT_DETAILS,
        FailureCode.LIMIT_EXCEEDED,
        FailureCode.AUTHENTICATION_REQUIRED,
        FailureCode.AUTHENTICATION_FAILED,
        FailureCode.PROCESSING_ERROR,
        FailureCode.PAYMENT_DECLINED,
        FailureCode.PAYMENT_METHOD_UNUSABLE,
    }
)


def failure_of(code: FailureCode, psp_code: str = "") -> Failure:
    """Build the failure that a code stands for; `psp_code` is the PSP's own reason, for staff only."""
    return Failure(
        code=code.value,
        message=MESSAGES[code],
        retryable_by_buyer=code in RETRYABLE_BY_BUYER,
        psp_code=psp_code,
    )
