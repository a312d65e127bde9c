"""Finding the object that an operation created when its id was lost: list by time, compare our metadata.

Never Stripe's Search: it lags behind and proves nothing. A list is complete from its first page to its end,
so when the whole time since the first request has been read and the object is not in it, it does not exist.

The caller asks only once no request of the operation can be under way any more: a request that Stripe has
received but not yet carried out is not in any list.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from payments.psp.base import CallError, ErrorCode, ObjectKind, Outcome, Result
from payments.psp.stripe.fields import UnexpectedFormError, objects, text, texts
from payments.psp.stripe.translation import OPERATION_KEY, TRANSLATORS
from payments.psp.stripe.wire import Refusal, Wire

if TYPE_CHECKING:
    from stripe.params import (
        AccountListParams,
        PaymentIntentListParams,
        PayoutListParams,
        RefundListParams,
        SetupIntentListParams,
        TransferListParams,
        TransferReversalListParams,
    )
    from stripe.params.checkout import SessionListParams

PAGE_SIZE: Final = 100
MAX_PAGES: Final = 50
CLOCK_SKEW: Final = timedelta(minutes=10)
RESOURCES: Final = {
    ObjectKind.CHARGE: "payment_intents",
    ObjectKind.SESSION: "checkout.sessions",
    ObjectKind.SAVED_METHOD: "setup_intents",
    ObjectKind.REFUND: "refunds",
    ObjectKind.DISPUTE: "disputes",
    ObjectKind.PAYEE: "accounts",
    ObjectKind.TRANSFER: "transfers",
    ObjectKind.REVERSAL: "transfers.reversals",
    ObjectKind.PAYOUT: "payouts",
}


def find_by_operation(wire: Wire, kind: ObjectKind, operation_id: str, near: datetime, owner: str = "") -> Result:
    """Return SUCCEEDED with the object, NOT_EXECUTED if the list proves that there is none, else UNKNOWN.

    Reads from ten minutes before `near` (clocks differ) to now: a repetition may have created it long after.
    Refunds are listed by their charge, where it is known; payouts by their connected account, reversals by transfer.
    """
    since = int((near - CLOCK_SKEW).timestamp())
    cursor = ""
    for _ in range(MAX_PAGES):
        answer = wire.call(f"{RESOURCES[kind]}.list", _page(wire, kind, since, cursor, owner))
        if isinstance(answer, Refusal):
            # That the list could not be read says nothing about the operation: never a no.
            return Result(Outcome.UNKNOWN, error=answer.error, request_id=answer.request_id)
        try:
            listed = objects(answer.body, "data")
            for found in listed:
                if texts(found, "metadata").get(OPERATION_KEY) == operation_id:
                    return Result(Outcome.SUCCEEDED, TRANSLATORS[kind](found), request_id=answer.request_id)
            if answer.body.get("has_more") is False:
                return Result(Outcome.NOT_EXECUTED, request_id=answer.request_id)
            cursor = text(listed[-1], "id") if listed else ""
        except UnexpectedFormError as problem:
            return _unknown(str(problem), answer.request_id)
        if not cursor:
            return _unknown("an empty page that is not the last", answer.request_id)
    return _unknown(f"not among the newest {MAX_PAGES * PAGE_SIZE}", "")


def _page(  # noqa: C901 - one list per kind of object, side by side
    wire: Wire, kind: ObjectKind, since: int, cursor: str, owner: str
) -> Callable[[], object]:
    match kind:
        case ObjectKind.CHARGE:
            charges: PaymentIntentListParams = {"limit": PAGE_SIZE, "created": {"gte": since}}
            if cursor:
                charges["starting_after"] = cursor
            return lambda: wire.v1.payment_intents.list(charges)
        case ObjectKind.SESSION:
            sessions: SessionListParams = {"limit": PAGE_SIZE, "created": {"gte": since}}
            if cursor:
                sessions["starting_after"] = cursor
            return lambda: wire.v1.checkout.sessions.list(sessions)
        case ObjectKind.SAVED_METHOD:
            setups: SetupIntentListParams = {"limit": PAGE_SIZE, "created": {"gte": since}}
            if cursor:
                setups["starting_after"] = cursor
            return lambda: wire.v1.setup_intents.list(setups)
        case ObjectKind.REFUND:
            refunds: RefundListParams = {"limit": PAGE_SIZE}
            if owner:
                refunds["payment_intent"] = owner
            else:
                refunds["created"] = {"gte": since}
            if cursor:
                refunds["starting_after"] = cursor
            return lambda: wire.v1.refunds.list(refunds)
        case ObjectKind.DISPUTE:
            raise AssertionError("a dispute is opened by the buyer's bank, never by an operation of ours")
        case ObjectKind.PAYEE:
            payees: AccountListParams = {"limit": PAGE_SIZE, "created": {"gte": since}}
            if cursor:
                payees["starting_after"] = cursor
            return lambda: wire.v1.accounts.list(payees)
        case ObjectKind.TRANSFER:
            transfers: TransferListParams = {"limit": PAGE_SIZE, "created": {"gte": since}}
            if cursor:
                transfers["starting_after"] = cursor
            return lambda: wire.v1.transfers.list(transfers)
        case ObjectKind.REVERSAL:
            reversals: TransferReversalListParams = {"limit": PAGE_SIZE}
            if cursor:
                reversals["starting_after"] = cursor
            return lambda: wire.v1.transfers.reversals.list(owner, reversals)
        case ObjectKind.PAYOUT:
            payouts: PayoutListParams = {"limit": PAGE_SIZE, "created": {"gte": since}}
            if cursor:
                payouts["starting_after"] = cursor
            return lambda: wire.v1.payouts.list(payouts, {"stripe_account": owner} if owner else {})
        case ObjectKind.BALANCE:
            raise AssertionError("a balance is not made by an operation")


def _unknown(message: str, request_id: str) -> Result:
    return Result(Outcome.UNKNOWN, error=CallError(ErrorCode.UNEXPECTED_ANSWER, message), request_id=request_id)
