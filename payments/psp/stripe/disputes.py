"""Stripe's Dispute in our words: where it stands, and what money moved because of it.

Pure functions, like `translation`. The money is read from the dispute's balance transactions and from nothing else:
`amount` is what the buyer's bank disputes, which may differ from what was withdrawn. Sources: docs.stripe.com/disputes
and docs.stripe.com/api/disputes/object.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from payments.psp.base import DisputeFacts, DisputeStage, ObjectKind, ObjectStatus, Snapshot
from payments.psp.stripe.currencies import from_stripe
from payments.psp.stripe.fields import (
    Json,
    UnexpectedFormError,
    child,
    integer,
    integer_or,
    mapping,
    moment_or_none,
    reference,
    text,
    text_or_empty,
    texts,
)

_STAGES: Final = {
    "warning_needs_response": DisputeStage.INQUIRY_OPEN,
    "warning_under_review": DisputeStage.INQUIRY_REVIEW,
    "warning_closed": DisputeStage.INQUIRY_CLOSED,
    "needs_response": DisputeStage.NEEDS_RESPONSE,
    "under_review": DisputeStage.UNDER_REVIEW,
    "won": DisputeStage.WON,
    "lost": DisputeStage.LOST,
    # An appeal is against a loss: the money is gone, and comes back when the appeal is won.
    "appeal_needs_response": DisputeStage.LOST,
    "appeal_under_review": DisputeStage.LOST,
}
_STATUSES: Final = {
    DisputeStage.INQUIRY_OPEN: ObjectStatus.OPEN,
    DisputeStage.NEEDS_RESPONSE: ObjectStatus.OPEN,
    DisputeStage.INQUIRY_REVIEW: ObjectStatus.PROCESSING,
    DisputeStage.UNDER_REVIEW: ObjectStatus.PROCESSING,
    DisputeStage.INQUIRY_CLOSED: ObjectStatus.CANCELLED,
    DisputeStage.WON: ObjectStatus.SUCCEEDED,
    DisputeStage.LOST: ObjectStatus.FAILED,
}


def dispute_snapshot(dispute: Json) -> Snapshot:
    """Translate a Dispute with its balance transactions."""
    if dispute.get("object") != "dispute":
        raise UnexpectedFormError("expected a dispute")
    currency = text(dispute, "currency").upper()
    transactions = list(_transactions(dispute))
    amounts = [_minor(transaction, "amount") for transaction in transactions]
    fees = [_minor(transaction, "fee") for transaction in transactions]
    taken, returned = -_below_zero(amounts), sum(amounts) - _below_zero(amounts)
    stage = _stage(text(dispute, "status"), is_missing_money=taken > returned)
    details = child(dispute, "evidence_details") or {}
    facts = DisputeFacts(
        stage=stage,
        reason=text_or_empty(dispute, "reason"),
        network_reason=_network_reason(dispute),
        taken_minor=taken,
        returned_minor=returned,
        cost_minor=sum(fees) - _below_zero(fees),
        cost_returned_minor=-_below_zero(fees),
        money_currency="+".join(sorted({text(transaction, "currency").upper() for transaction in transactions})),
        evidence_due_at=_due(details),
        evidence_count=integer_or(details, "submission_count", 0),
    )
    return Snapshot(
        kind=ObjectKind.DISPUTE,
        psp_id=text(dispute, "id"),
        status=_STATUSES[stage],
        currency=currency,
        amount_minor=_ours(integer(dispute, "amount"), currency),
        charge_psp_id=reference(dispute, "payment_intent"),
        created_at=moment_or_none(dispute, "created"),
        metadata=texts(dispute, "metadata"),
        dispute=facts,
    )


def _transactions(dispute: Json) -> Iterator[Json]:
    listed = dispute.get("balance_transactions")
    if listed is None:
        return
    if not isinstance(listed, list):
        raise UnexpectedFormError("balance_transactions is not a list")
    for item in listed:
        yield mapping(item, "a balance transaction")


def _minor(transaction: Json, name: str) -> int:
    return _ours(integer(transaction, name), text(transaction, "currency").upper())


def _below_zero(amounts: Sequence[int]) -> int:
    return sum(amount for amount in amounts if amount < 0)


def _stage(status: str, *, is_missing_money: bool) -> DisputeStage:
    if status == "prevented":  # a refund came first; what was withdrawn nevertheless is gone
        return DisputeStage.LOST if is_missing_money else DisputeStage.INQUIRY_CLOSED
    try:
        return _STAGES[status]
    except KeyError:
        raise UnexpectedFormError(f"unknown status {status[:40]!r}") from None


def _network_reason(dispute: Json) -> str:
    method = child(dispute, "payment_method_details") or {}
    card = child(method, "card") or {}
    return text_or_empty(dispute, "network_reason_code") or text_or_empty(card, "network_reason_code")


def _due(details: Json) -> datetime | None:
    return moment_or_none(details, "due_by")


def _ours(amount: int, currency: str) -> int:
    minor = from_stripe(amount, currency)
    if minor is None:
        raise UnexpectedFormError(f"cannot express {amount} {currency[:10]!r}")
    return minor
