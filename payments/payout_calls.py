"""PSP calls of payouts: what an operation, a poll or a question about the balance asks of an adapter, as plain values.

Beside `psp_calls`, by the same rules: built while the database is at hand, run in a thread without it; an operation
that may have had an effect is asked about before it is sent again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from ledger.ids import public_id
from payments import work
from payments.appliers.payouts import FundingReport, PayoutReport
from payments.encryption import unseal
from payments.models import Payee, Payout, PayoutDestination, PspAccount, PspFunding, PspOperation, Seller
from payments.models.bulk import by_id, read_rows
from payments.psp.base import (
    Adapter,
    CallContext,
    CallError,
    ObjectKind,
    ObjectStatus,
    Outcome,
    PayeeRequest,
    Result,
)
from payments.psp_calls import KEY_IS_SAFE_FOR, with_adapter
from payments.work import Claim

_K = PspOperation.Kind
_FOUND_AS = {
    _K.CREATE_PAYEE: ObjectKind.PAYEE,
    _K.TRANSFER: ObjectKind.TRANSFER,
    _K.PAYOUT: ObjectKind.PAYOUT,
    _K.REVERSE_TRANSFER: ObjectKind.REVERSAL,
}
# Whoever asks for it twice gets the answer of the first time or hears that it is too late: it is never looked for.
_HARMLESS_TWICE = frozenset({_K.CANCEL_PAYOUT})


@dataclass(frozen=True, slots=True)
class PayoutCall:
    """One conversation with a PSP about payouts."""

    account_id: int
    run: Callable[[], Result]
    report: Callable[[Result], PayoutReport | FundingReport]
    operation_id: int | None = None


def load(operations: Iterable[PspOperation]) -> None:
    """Read what the calls of claimed operations need: payout, destination, seller, and the payee at the PSP."""
    rows = list(operations)
    if not rows:
        return
    payouts = by_id(read_rows(Payout, "id", (o.payout_id for o in rows if o.payout_id is not None)))
    _attach(list(payouts.values()))
    for operation in rows:
        assert operation.payout_id is not None
        operation.payout, operation.event, operation.charge = payouts[operation.payout_id], None, None


def claim(limit: int, *, now: datetime) -> list[PayoutCall]:
    """Claim payouts to be asked about, and balances that payouts wait for; in the caller's transaction."""
    polls, fundings = work.claim_payouts(limit)
    calls: list[PayoutCall] = []
    if polls:
        fences = {item.id: item.fence for item in polls}
        payouts = list(Payout.objects.filter(id__in=list(fences)).select_related("psp_account"))
        _attach(payouts)
        calls.extend(of_payout(payout) for payout in payouts)
    if fundings:
        held = {item.id: item.fence for item in fundings}
        rows = PspFunding.objects.filter(id__in=list(held)).select_related("psp_account").order_by("pk")
        calls.extend(_of_funding(row, held[row.pk], now=now) for row in rows)
    return calls


def _attach(payouts: list[Payout]) -> None:
    destinations = by_id(read_rows(PayoutDestination, "id", (payout.destination_id for payout in payouts)))
    sellers = by_id(read_rows(Seller, "id", (payout.seller_id for payout in payouts)))
    payees = {
        (payee.destination_id, payee.psp_account_id): payee.psp_id
        for payee in read_rows(Payee, "destination_id", destinations)
    }
    for payout in payouts:
        payout.destination, payout.seller = destinations[payout.destination_id], sellers[payout.seller_id]
        payout.__dict__["payee"] = payees.get((payout.destination_id, payout.psp_account_id or 0), "")


def of_payout(payout: Payout) -> PayoutCall:
    """Build the call that asks where a payout stands; its payee was attached."""
    psp_id, payee, payout_id = payout.psp_id or "", str(payout.__dict__["payee"]), payout.pk
    run = with_adapter(payout.psp, lambda adapter: lambda: adapter.fetch(ObjectKind.PAYOUT, psp_id, payee))
    return PayoutCall(payout.psp.pk, run, lambda result: PayoutReport(payout_id, result))


def _of_funding(row: PspFunding, fence: int, *, now: datetime) -> PayoutCall:
    account: PspAccount = row.psp_account
    funding_id, currency = row.pk, row.currency_id
    run = with_adapter(account, lambda adapter: lambda: adapter.balance(currency))
    return PayoutCall(account.pk, run, lambda result: FundingReport(funding_id, fence, now, result))


def of_operation(operation: PspOperation, claim: Claim, *, now: datetime) -> PayoutCall:
    """Build the call of a claimed operation about a payout: send it, or find out first what an earlier call led to."""
    sent_before = claim.was != PspOperation.State.PREPARED
    payout_id, operation_id, fence = operation.payout_id, operation.pk, claim.fence
    assert payout_id is not None
    run = with_adapter(
        operation.psp_account, lambda adapter: _conversation(adapter, operation, sent_before=sent_before, now=now)
    )
    return PayoutCall(
        operation.psp_account_id,
        run,
        lambda result: PayoutReport(payout_id, result, operation_id, fence, sent_before),
        operation_id,
    )


def _conversation(
    adapter: Adapter, operation: PspOperation, *, sent_before: bool, now: datetime
) -> Callable[[], Result]:
    """Return what is said to the PSP: ask first where an earlier call may have had an effect.

    While the PSP remembers the key a replay is the question (it repeats the first answer, or executes once). Later, or
    after an error that is kept under the key, absence must be proven by the list, and the next try has another key.
    """
    send = _sender(adapter, operation)
    if operation.kind in _HARMLESS_TWICE:
        return send
    payout = operation.payout
    assert payout is not None
    key_is_safe = operation.first_sent_at is None or now - operation.first_sent_at < KEY_IS_SAFE_FOR
    replayable = operation.key_generation == 0 and key_is_safe
    kind, own_id, near = _FOUND_AS[_K(operation.kind)], str(operation.public_id), operation.first_sent_at or now
    owner = {
        ObjectKind.PAYOUT: str(payout.__dict__["payee"]),
        ObjectKind.REVERSAL: payout.transfer_psp_id,
    }.get(kind, "")

    def run() -> Result:
        if sent_before and not replayable:
            found = adapter.find(kind, own_id, near, owner)
            if found.outcome != Outcome.NOT_EXECUTED:
                return _as_answer(found)
            if not key_is_safe:
                # Proven absent, and the key is too old to be one: whether to send it anew is a person's decision.
                return Result(Outcome.UNKNOWN, error=CallError("key_too_old", "Not at the PSP; a person decides."))
        return send()

    return run


def _sender(adapter: Adapter, operation: PspOperation) -> Callable[[], Result]:
    """Return the call that does what the operation says. Everything it needs is read now, not in the thread."""
    payout = operation.payout
    assert payout is not None
    context = CallContext(
        operation.idempotency_key,
        str(operation.public_id),
        {"florin_payout": public_id("pyo", payout.public_id)},
    )
    amount, currency = operation.amount_minor, payout.currency_id
    payee, transfer, psp_id = str(payout.__dict__["payee"]), payout.transfer_psp_id, payout.psp_id or ""
    match _K(operation.kind):
        case _K.CREATE_PAYEE:
            request = _payee_request(payout)
            return lambda: adapter.create_payee(context, request)
        case _K.TRANSFER:
            return lambda: adapter.transfer(context, payee, amount, currency)
        case _K.PAYOUT:
            return lambda: adapter.payout(context, payee, amount, currency)
        case _K.REVERSE_TRANSFER:
            return lambda: adapter.reverse_transfer(context, transfer, amount, currency)
        case _K.CANCEL_PAYOUT:
            return lambda: adapter.cancel_payout(context, payee, psp_id)
        case kind:
            raise AssertionError(f"{kind} is not about a payout")


def _payee_request(payout: Payout) -> PayeeRequest:
    """Open the bank details for the one call that needs them."""
    row = payout.destination
    details = json.loads(unseal(row.details, identity=f"payout_destination.details:{row.public_id}"))
    return PayeeRequest(
        country=row.country,
        currency=row.currency_id,
        account_number=details["account_number"],
        routing_number=details.get("routing_number", ""),
        account_holder=details["account_holder"],
        name=payout.seller.name,
        email=payout.seller.email,
    )


def _as_answer(found: Result) -> Result:
    """Read what was found as the answer to the call that made it: only a payout can still be under way."""
    if found.outcome != Outcome.SUCCEEDED or found.snapshot is None:
        return found
    outcomes = {
        ObjectStatus.PROCESSING: Outcome.PENDING,
        ObjectStatus.FAILED: Outcome.DECLINED,
        ObjectStatus.CANCELLED: Outcome.DECLINED,
    }
    outcome = outcomes.get(found.snapshot.status, Outcome.SUCCEEDED)
    return Result(outcome, found.snapshot, None, found.request_id, found.snapshot.failure)
