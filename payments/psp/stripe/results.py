"""From an answer or a refusal to a `Result`: which status means what for an operation.

The tables say what a status of an object means after an operation. What a table does not name is doubt:
UNKNOWN, and the executor fetches the object. Nothing here may turn doubt into a yes or a no.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from payments.psp.base import (
    CallError,
    ErrorCode,
    Failure,
    ObjectKind,
    ObjectStatus,
    Outcome,
    Result,
    Snapshot,
)
from payments.psp.failures import FailureCode, failure_of
from payments.psp.stripe.fields import Json, UnexpectedFormError, child, text_or_empty
from payments.psp.stripe.translation import TRANSLATORS, failure_from
from payments.psp.stripe.wire import Answer, Refusal

type Outcomes = Mapping[ObjectStatus, Outcome]

CREATED: Final[Outcomes] = dict.fromkeys(ObjectStatus, Outcome.SUCCEEDED)
PAID: Final[Outcomes] = {
    ObjectStatus.PROCESSING: Outcome.PENDING,
    ObjectStatus.REQUIRES_ACTION: Outcome.REQUIRES_ACTION,
    ObjectStatus.DECLINED: Outcome.DECLINED,
    ObjectStatus.AUTHORIZED: Outcome.SUCCEEDED,
    ObjectStatus.SUCCEEDED: Outcome.SUCCEEDED,
    ObjectStatus.CANCELLED: Outcome.DECLINED,
}
CAPTURED: Final[Outcomes] = {
    ObjectStatus.SUCCEEDED: Outcome.SUCCEEDED,
    ObjectStatus.PROCESSING: Outcome.PENDING,
    ObjectStatus.OPEN: Outcome.DECLINED,
    ObjectStatus.REQUIRES_ACTION: Outcome.DECLINED,
    ObjectStatus.DECLINED: Outcome.DECLINED,
    ObjectStatus.CANCELLED: Outcome.DECLINED,
}
CANCELLED: Final[Outcomes] = {
    ObjectStatus.CANCELLED: Outcome.SUCCEEDED,
    ObjectStatus.SUCCEEDED: Outcome.SUCCEEDED,  # too late: the snapshot tells, the money has to be refunded
    ObjectStatus.PROCESSING: Outcome.PENDING,
}
REFUNDED: Final[Outcomes] = {
    ObjectStatus.SUCCEEDED: Outcome.SUCCEEDED,
    ObjectStatus.PROCESSING: Outcome.PENDING,
    ObjectStatus.REQUIRES_ACTION: Outcome.PENDING,
    ObjectStatus.FAILED: Outcome.DECLINED,
    ObjectStatus.CANCELLED: Outcome.DECLINED,
}

PAID_OUT: Final[Outcomes] = {
    ObjectStatus.SUCCEEDED: Outcome.SUCCEEDED,
    ObjectStatus.PROCESSING: Outcome.PENDING,
    ObjectStatus.FAILED: Outcome.DECLINED,
    ObjectStatus.CANCELLED: Outcome.DECLINED,
}
PAYOUT_STOPPED: Final[Outcomes] = {
    ObjectStatus.CANCELLED: Outcome.SUCCEEDED,
    ObjectStatus.FAILED: Outcome.SUCCEEDED,  # it ended by itself: the money is on the payee's balance
    ObjectStatus.PROCESSING: Outcome.DECLINED,
    ObjectStatus.SUCCEEDED: Outcome.DECLINED,
}


def inexpressible(amount_minor: int, currency: str) -> Result:
    """Refuse an amount that Stripe has no way to write; nothing was sent."""
    error = CallError(ErrorCode.REFUSED, f"Stripe cannot express {amount_minor} minor units of {currency}")
    return Result(Outcome.DECLINED, error=error, failure=failure_of(FailureCode.AMOUNT_NOT_ACCEPTED))


def translated(
    answer: Answer | Refusal,
    kind: ObjectKind,
    outcomes: Outcomes,
    *,
    refused_as: FailureCode = FailureCode.REFUSED,
) -> Result:
    """Translate an answer by an operation's table; `refused_as` names a no for which Stripe gives no code."""
    if isinstance(answer, Refusal):
        return result_of_refusal(answer, kind, outcomes, refused_as)
    try:
        snapshot = TRANSLATORS[kind](answer.body)
    except UnexpectedFormError as problem:
        error = CallError(ErrorCode.UNEXPECTED_ANSWER, str(problem))
        return Result(Outcome.UNKNOWN, error=error, request_id=answer.request_id)
    outcome = outcomes.get(snapshot.status, Outcome.UNKNOWN)
    failure = _failure_of_status(snapshot) if outcome is Outcome.DECLINED else None
    return Result(outcome, snapshot=snapshot, request_id=answer.request_id, failure=failure)


def result_of_refusal(
    refusal: Refusal,
    kind: ObjectKind = ObjectKind.CHARGE,
    outcomes: Outcomes = CREATED,
    refused_as: FailureCode = FailureCode.REFUSED,
) -> Result:
    """Add to a refusal what Stripe's error object says: the intent as it stands, and why it was refused."""
    if refusal.outcome is Outcome.NOT_EXECUTED or not refusal.body:
        return refusal.result()
    snapshot = _snapshot_in(refusal.body, kind)
    if refusal.error.code == ErrorCode.UNEXPECTED_STATE:
        outcome = outcomes.get(snapshot.status, Outcome.UNKNOWN) if snapshot else Outcome.UNKNOWN
        failure = _failure_of_status(snapshot) if snapshot and outcome is Outcome.DECLINED else None
        return Result(outcome, snapshot, refusal.error, refusal.request_id, failure)
    if refusal.outcome is not Outcome.DECLINED:
        return refusal.result()
    if refusal.error.code == ErrorCode.NOT_FOUND:
        refused_as = FailureCode.NOT_FOUND
        return replace(refusal.result(), failure=failure_of(refused_as, text_or_empty(refusal.body, "code")))
    by_issuer = text_or_empty(refusal.body, "type") == "card_error"
    failure = failure_from(refusal.body, FailureCode.CARD_DECLINED if by_issuer else refused_as)
    if snapshot is not None:
        snapshot = replace(snapshot, failure=failure)
    return Result(Outcome.DECLINED, snapshot, refusal.error, refusal.request_id, failure)


def _snapshot_in(error: Json, kind: ObjectKind) -> Snapshot | None:
    name = {ObjectKind.CHARGE: "payment_intent", ObjectKind.SAVED_METHOD: "setup_intent"}.get(kind)
    shown = child(error, name) if name else None
    if shown is None:
        return None
    try:
        return TRANSLATORS[kind](shown)
    except UnexpectedFormError:
        return None


def _failure_of_status(snapshot: Snapshot) -> Failure:
    if snapshot.failure is not None:
        return snapshot.failure
    if snapshot.kind is ObjectKind.PAYOUT:
        return failure_of(FailureCode.PAYOUT_NOT_CANCELLABLE)
    cancelled = snapshot.status is ObjectStatus.CANCELLED
    return failure_of(FailureCode.PAYMENT_CANCELLED if cancelled else FailureCode.NOT_CAPTURABLE)
