"""The colour of each state: green has ended well, red needs a look, orange waits, blue is under way."""

from __future__ import annotations

from django.utils.safestring import SafeString

from ledger.admin.showing import badge
from payments.models import BankFile, Charge, Merchant, PaymentEvent, PaymentOrder, PspOperation, Refund

_TONES: dict[str, str] = {
    **dict.fromkeys(
        (
            PaymentEvent.Status.SUCCEEDED,
            PaymentOrder.Status.SUCCESS,
            Charge.Status.SUCCEEDED,
            Refund.Status.SUCCEEDED,
            Merchant.Status.ACTIVE,
            "verified",
            BankFile.Status.ANSWERED,
        ),
        "success",
    ),
    **dict.fromkeys(
        (
            PaymentEvent.Status.FAILED,
            PaymentOrder.Status.FAILED,
            PspOperation.State.DEAD,
            Merchant.Status.SUSPENDED,
            "declined",
            "dead",
            "rejected",
        ),
        "danger",
    ),
    **dict.fromkeys(
        (
            PaymentEvent.Status.REQUIRES_ACTION,
            PaymentEvent.Status.REQUIRES_CAPTURE,
            PaymentEvent.Status.REQUIRES_PAYMENT_METHOD,
            PaymentEvent.Status.PARTIALLY_SUCCEEDED,
            PaymentOrder.Status.AUTHORIZED,
            Charge.Status.REQUIRES_ACTION,
            Charge.Status.LATE_SUCCESS,
            PspOperation.State.UNKNOWN,
            "unknown",
            BankFile.Status.REQUIRES_APPROVAL,
        ),
        "warning",
    ),
    **dict.fromkeys(
        (
            PaymentEvent.Status.PROCESSING,
            PaymentOrder.Status.EXECUTING,
            Charge.Status.REGISTERED,
            Charge.Status.PROCESSING,
            Refund.Status.PENDING,
            PspOperation.State.SENT,
            BankFile.Status.READY,
            BankFile.Status.HANDED_OUT,
        ),
        "info",
    ),
}


def state(value: str) -> SafeString | str:
    """Show a state as a label; nothing for an empty one."""
    return badge(str(value), _TONES.get(str(value), "")) if value else "-"
