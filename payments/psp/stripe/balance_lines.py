"""The balance transactions of an account: every movement of its balance, with what moved.

Source: docs.stripe.com/api/balance_transactions. The object that moved is asked for with the list (`expand`), because
the charge that a refund or a dispute is about, and our metadata, stand there only. To which automatic payout a line
belongs is not said here; reports of payouts say it.

It must never leave a line out: one whose form is not known makes the page unknown, because a list with a hole would be
taken for the whole truth.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from payments.psp.base import BalanceLine, CallError, ErrorCode, Outcome, Result
from payments.psp.stripe.currencies import from_stripe
from payments.psp.stripe.fields import (
    Json,
    UnexpectedFormError,
    child,
    integer,
    moment,
    objects,
    reference,
    text,
    text_or_empty,
    texts,
)
from payments.psp.stripe.results import result_of_refusal
from payments.psp.stripe.wire import Refusal, Wire

if TYPE_CHECKING:
    from stripe.params import BalanceTransactionListParams

PAGE_SIZE: Final = 100


def list_balance_lines(wire: Wire, since: datetime, until: datetime, cursor: str) -> Result:
    """Return one page of balance transactions, newest first; `cursor` is where an earlier page ended."""
    params: BalanceTransactionListParams = {
        "limit": PAGE_SIZE,
        "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
        "expand": ["data.source"],
    }
    if cursor:
        params["starting_after"] = cursor
    answer = wire.call("balance_transactions.list", lambda: wire.raw("get", "/v1/balance_transactions", params))
    if isinstance(answer, Refusal):
        return result_of_refusal(answer)
    try:
        lines = tuple(_line(found) for found in objects(answer.body, "data"))
        is_last = answer.body.get("has_more") is False
        if not is_last and not lines:
            raise UnexpectedFormError("an empty page that is not the last")
    except UnexpectedFormError as problem:
        error = CallError(ErrorCode.UNEXPECTED_ANSWER, str(problem))
        return Result(Outcome.UNKNOWN, error=error, request_id=answer.request_id)
    last = "" if is_last else lines[-1].psp_id
    return Result(Outcome.SUCCEEDED, request_id=answer.request_id, balance_lines=lines, cursor=last)


def _line(found: Json) -> BalanceLine:
    currency = text(found, "currency").upper()
    moved = child(found, "source") or {}
    is_charge = text_or_empty(moved, "object") == "charge"
    paid_currency, paid_minor = _paid(moved, currency) if is_charge else ("", None)
    return BalanceLine(
        psp_id=text(found, "id"),
        category=text_or_empty(found, "reporting_category") or text(found, "type"),
        currency=currency,
        amount_minor=_minor(found, "amount", currency),
        fee_minor=_minor(found, "fee", currency),
        net_minor=_minor(found, "net", currency),
        created_at=moment(found, "created"),
        available_at=moment(found, "available_on"),
        moved_psp_id=reference(found, "source"),
        charge_psp_id=reference(moved, "payment_intent"),
        payment_psp_id=text(moved, "id") if is_charge else reference(moved, "charge"),
        description=text_or_empty(found, "description"),
        trace_id=text_or_empty(child(moved, "trace_id") or {}, "value"),
        paid_currency=paid_currency,
        paid_minor=paid_minor,
        metadata=texts(moved, "metadata"),
    )


def _paid(charge: Json, currency: str) -> tuple[str, int | None]:
    """Return what the buyer was charged, when it is another currency than the one that is settled."""
    paid_in = text_or_empty(charge, "currency").upper()
    if not paid_in or paid_in == currency:
        return "", None
    return paid_in, _minor(charge, "amount_captured", paid_in)


def _minor(found: Json, name: str, currency: str) -> int:
    amount = from_stripe(integer(found, name), currency)
    if amount is None:
        raise UnexpectedFormError(f"{name} is no amount in {currency}")
    return amount
