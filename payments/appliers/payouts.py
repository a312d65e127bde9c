"""What the PSP's answers mean for payouts: the calls about them, and where the payout at the PSP stands.

Money moves here in one direction at a time. A transfer that was made is booked at once; `paid` is believed when the PSP
says it, and taken back when it says `failed` later; the wallet gets money back only when the transfer is reversed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from ledger.ids import public_id
from payments import retries
from payments.appliers.batch import PspMismatch
from payments.appliers.payout_batch import PayoutBatch
from payments.models import Payout, PspOperation
from payments.outbox import Fact
from payments.psp.base import Failure, ObjectKind, ObjectStatus, Outcome, Result, Snapshot
from payments.psp.failures import FailureCode
from wallet import movements

_K = PspOperation.Kind
_S = Payout.Status
_STATE = PspOperation.State
ATTENTION_AFTER = timedelta(minutes=25)
KEY_TOO_OLD = "key_too_old"
# A bank may give a payout back days after it was paid. The PSP tells us; in case it does not, we look once a day.
WATCHED_FOR = timedelta(days=14)
_DAILY = 12  # tries after which the next look is a day away (payments_claim_payouts)


@dataclass(frozen=True, slots=True)
class PayoutReport:
    """What a PSP told us about one payout; `operation_id` and `fence` are given when it answers a call of ours."""

    payout_id: int
    result: Result
    operation_id: int | None = None
    fence: int = 0
    sent_before: bool = False


@dataclass(frozen=True, slots=True)
class FundingReport:
    """What a PSP told us about its balance in one currency, and when we asked."""

    funding_id: int
    fence: int
    asked_at: datetime
    result: Result


def apply(batch: PayoutBatch, report: PayoutReport) -> None:
    """Record what a PSP told us about a locked payout, and set in motion what follows. Older news change nothing."""
    payout = batch.payouts[report.payout_id]
    operation = batch.operations.get(report.operation_id) if report.operation_id is not None else None
    try:
        if operation is not None and operation.fence == report.fence:
            _answer(batch, payout, operation, report)
        elif report.result.snapshot is not None and report.result.snapshot.kind == ObjectKind.PAYOUT:
            follow(batch, payout, report.result.snapshot)
    except PspMismatch as mismatch:
        if operation is None:
            raise
        surrender(batch, operation, "psp_mismatch", str(mismatch))
    if report.operation_id is None and payout.lease_until is not None:
        payout.lease_until = None
        batch.touch(payout)


def _answer(batch: PayoutBatch, payout: Payout, operation: PspOperation, report: PayoutReport) -> None:
    result = report.result
    batch.changed_operations.add(operation.pk)
    operation.lease_until = None
    operation.psp_request_id = result.request_id[:255]
    operation.error_code = result.error.code[:64] if result.error else ""
    operation.error_message = result.error.message[:500] if result.error else ""
    if result.outcome == Outcome.NOT_EXECUTED:
        # That this try did nothing says nothing of an earlier one whose answer was lost.
        again(batch, operation, retries.NOT_EXECUTED, _STATE.UNKNOWN if report.sent_before else _STATE.PREPARED)
    elif operation.error_code == KEY_TOO_OLD:
        surrender(batch, operation, KEY_TOO_OLD, operation.error_message)
    elif result.outcome == Outcome.DECLINED:
        _DECLINED[_K(operation.kind)](batch, payout, operation, result)
    elif result.outcome in (Outcome.SUCCEEDED, Outcome.PENDING) and result.snapshot is not None:
        _check(payout, operation, result.snapshot)
        close(batch, operation, str(result.outcome))
        _DONE[_K(operation.kind)](batch, payout, operation, result.snapshot)
    else:
        if result.error and result.error.stored_by_psp:
            # The PSP repeats this error for the key. The next call asks first, and a new try needs a new key.
            operation.key_generation += 1
        again(batch, operation, retries.UNKNOWN, _STATE.UNKNOWN)


def _check(payout: Payout, operation: PspOperation, snapshot: Snapshot) -> None:
    if operation.kind != _K.CREATE_PAYEE:
        _check_amount(payout, snapshot)


def _check_amount(payout: Payout, snapshot: Snapshot) -> None:
    if (snapshot.amount_minor, snapshot.currency) != (payout.amount_minor, payout.currency_id):
        raise PspMismatch(
            f"the PSP's {snapshot.kind} {snapshot.psp_id} is {snapshot.amount_minor} {snapshot.currency},"
            f" ours {payout.amount_minor} {payout.currency_id}"
        )


def follow(batch: PayoutBatch, payout: Payout, snapshot: Snapshot) -> None:
    """Move a locked payout to where the PSP says it is. A repeated or older state does nothing."""
    _check_amount(payout, snapshot)
    if snapshot.status == ObjectStatus.SUCCEEDED and payout.status == _S.SENT:
        payout.pay()
        payout.paid_at, payout.due_at, payout.tries = batch.now, batch.now + timedelta(days=1), _DAILY
        batch.movements.append(
            movements.pay_out(
                batch.heading(payout),
                psp_account=payout.psp.code,
                seller=payout.seller.public_id,
                amount=payout.amount_minor,
            )
        )
        batch.publish(payout)
    elif snapshot.status in (ObjectStatus.FAILED, ObjectStatus.CANCELLED):
        _fail(batch, payout, snapshot.failure)
    elif payout.status == _S.PAID and payout.paid_at is not None and batch.now - payout.paid_at > WATCHED_FOR:
        payout.due_at = None
        batch.touch(payout)


def _fail(batch: PayoutBatch, payout: Payout, failure: Failure | None) -> None:
    """The money is on the payee's balance again (or still): fetch it back. Only then has the wallet it again."""
    if payout.status not in (_S.SENT, _S.PAID):
        return
    if payout.status == _S.PAID:
        batch.movements.append(
            movements.unpay_payout(
                batch.heading(payout),
                psp_account=payout.psp.code,
                seller=payout.seller.public_id,
                amount=payout.amount_minor,
            )
        )
    payout.fail()
    payout.failure, payout.due_at = _shown(failure), None
    batch.operation(payout, _K.REVERSE_TRANSFER)
    batch.publish(payout)


def cancel(batch: PayoutBatch, payout: Payout, failure: Failure | None = None) -> None:
    """Give the wallet back what never left, and end what was decided about it. Nothing of it was sent."""
    payout.cancel()
    payout.failure, payout.due_at, payout.waiting_for = _shown(failure) if failure else None, None, ""
    batch.movements.append(
        movements.cancel_payout(batch.heading(payout), seller=payout.seller.public_id, amount=payout.amount_minor)
    )
    for operation in batch.operations.values():
        if operation.payout_id == payout.pk and operation.closed_at is None:
            close(batch, operation, Outcome.NOT_EXECUTED)
    batch.publish(payout)


def _shown(failure: Failure | None) -> dict[str, object]:
    code = failure.code if failure else str(FailureCode.PAYOUT_FAILED)
    message = failure.message if failure else "The bank did not accept the money."
    return {"code": code, "message": message, "psp_code": failure.psp_code if failure else ""}


# What a call led to.


def _payee_made(batch: PayoutBatch, payout: Payout, _operation: PspOperation, snapshot: Snapshot) -> None:
    """The PSP knows the bank account: the transfers that waited for it may go."""
    payee = batch.payee_of(payout)
    assert payee is not None, "a payee's row is written with the decision to make it"
    payee.psp_id = snapshot.psp_id
    batch.changed_payees.add(payee.pk)
    for waiting in batch.operations.values():
        if waiting.kind == _K.TRANSFER and waiting.due_at is None and waiting.closed_at is None:
            waiting.due_at = batch.now
            batch.changed_operations.add(waiting.pk)


def _payee_refused(batch: PayoutBatch, payout: Payout, operation: PspOperation, result: Result) -> None:
    """The PSP does not take the bank account: this payout ends, another that waits asks by itself."""
    payee = batch.payee_of(payout)
    close(batch, operation, str(result.outcome))
    others = [
        waiting.payout_id
        for waiting in batch.operations.values()
        if waiting.kind == _K.TRANSFER
        and waiting.due_at is None
        and waiting.payout_id is not None
        and waiting.payout_id not in batch.payouts
    ]
    if others:
        next_payout = Payout.objects.get(pk=others[0])
        batch.operation(next_payout, _K.CREATE_PAYEE)
    elif payee is not None:
        batch.unwanted_payees.add(payee.pk)
    cancel(batch, payout, result.failure)


def _transferred(batch: PayoutBatch, payout: Payout, _operation: PspOperation, snapshot: Snapshot) -> None:
    """The money has left our balance for the payee's: book it, and pay it out from there."""
    payout.transfer_psp_id = snapshot.psp_id
    payout.send()
    payout.due_at, payout.waiting_for = None, ""
    batch.movements.append(
        movements.fund_payout(batch.heading(payout), psp_account=payout.psp.code, amount=payout.amount_minor)
    )
    batch.operation(payout, _K.PAYOUT)
    batch.publish(payout)


def _transfer_refused(batch: PayoutBatch, payout: Payout, operation: PspOperation, result: Result) -> None:
    """Nothing moved. A balance that is too low is waited for; any other no ends the payout."""
    close(batch, operation, str(result.outcome))
    if result.failure is not None and result.failure.code == FailureCode.INSUFFICIENT_BALANCE:
        payout.waiting_for = "funding"
        payout.due_at = batch.now + timedelta(seconds=settings.PAYOUT_FUNDING_RETRY_SECONDS)
        batch.touch(payout)
    else:
        cancel(batch, payout, result.failure)


def _paid_out(batch: PayoutBatch, payout: Payout, _operation: PspOperation, snapshot: Snapshot) -> None:
    payout.psp_id = snapshot.psp_id
    payout.due_at, payout.tries = batch.now + timedelta(seconds=settings.POLL_AFTER_SECONDS), 0
    batch.touch(payout)
    follow(batch, payout, snapshot)


def _payout_refused(batch: PayoutBatch, payout: Payout, operation: PspOperation, result: Result) -> None:
    close(batch, operation, str(result.outcome))
    if result.snapshot is not None:
        payout.psp_id = result.snapshot.psp_id
    _fail(batch, payout, result.failure)


def _stopped(batch: PayoutBatch, payout: Payout, _operation: PspOperation, snapshot: Snapshot) -> None:
    """The payout at the PSP is cancelled, or had failed before: its money is fetched back."""
    follow(batch, payout, snapshot)


def _stop_refused(batch: PayoutBatch, payout: Payout, operation: PspOperation, result: Result) -> None:
    """The payout goes on: whoever asked for its end is told."""
    close(batch, operation, str(result.outcome))
    if result.snapshot is not None:
        follow(batch, payout, result.snapshot)
    batch.publish(payout, "cancellation_refused")


def _brought_back(batch: PayoutBatch, payout: Payout, _operation: PspOperation, _snapshot: Snapshot) -> None:
    """The money is in our balance again, and so in the wallet."""
    payout.give_back()
    batch.movements.append(
        movements.return_payout(
            batch.heading(payout),
            psp_account=payout.psp.code,
            seller=payout.seller.public_id,
            amount=payout.amount_minor,
        )
    )
    batch.publish(payout)


def _reversal_refused(batch: PayoutBatch, _payout: Payout, operation: PspOperation, result: Result) -> None:
    """The money stays at the PSP: a person decides. Another try has another key, after the list proved absence."""
    operation.key_generation += 1
    surrender(batch, operation, operation.error_code or "declined", result.error.message if result.error else "")


_DONE = {
    _K.CREATE_PAYEE: _payee_made,
    _K.TRANSFER: _transferred,
    _K.PAYOUT: _paid_out,
    _K.REVERSE_TRANSFER: _brought_back,
    _K.CANCEL_PAYOUT: _stopped,
}
_DECLINED = {
    _K.CREATE_PAYEE: _payee_refused,
    _K.TRANSFER: _transfer_refused,
    _K.PAYOUT: _payout_refused,
    _K.REVERSE_TRANSFER: _reversal_refused,
    _K.CANCEL_PAYOUT: _stop_refused,
}


# The life of an operation.


def close(batch: PayoutBatch, operation: PspOperation, outcome: str) -> None:
    """End an operation."""
    operation.state, operation.outcome = _STATE.DONE, outcome
    operation.closed_at, operation.due_at, operation.lease_until = batch.now, None, None
    batch.changed_operations.add(operation.pk)


def again(batch: PayoutBatch, operation: PspOperation, policy: retries.Policy, state: str) -> None:
    """Schedule the next try, or put the operation in front of a person when its tries are used up."""
    wait = policy.wait(operation.tries)
    if wait is None:
        surrender(batch, operation, operation.error_code, operation.error_message)
        return
    operation.state, operation.due_at = state, batch.now + wait
    batch.changed_operations.add(operation.pk)
    if is_overdue(operation, now=batch.now):
        escalate(batch, operation)


def surrender(batch: PayoutBatch, operation: PspOperation, code: str, message: str) -> None:
    """Put an operation in front of a person: nothing more is done about it by itself."""
    operation.state, operation.outcome, operation.closed_at = _STATE.DEAD, "", None
    operation.dead_at, operation.due_at, operation.lease_until = batch.now, None, None
    operation.error_code, operation.error_message = code, message[:500]
    batch.changed_operations.add(operation.pk)
    escalate(batch, operation)


def is_overdue(operation: PspOperation, *, now: datetime) -> bool:
    """Say whether nobody has learned the outcome of a call for too long."""
    sent = operation.first_sent_at
    return operation.state == _STATE.UNKNOWN and sent is not None and now - sent >= ATTENTION_AFTER


def escalate(batch: PayoutBatch, operation: PspOperation) -> None:
    """Tell the merchant and the operators, once, that an outcome is unknown for too long (promise 4)."""
    if operation.parameters.get("escalated") or operation.payout_id is None:
        return
    operation.parameters = {**operation.parameters, "escalated": True}
    batch.changed_operations.add(operation.pk)
    payout = batch.payouts[operation.payout_id]
    data = {
        "payout": public_id("pyo", payout.public_id),
        "operation": operation.kind,
        "tries": operation.tries,
        "version": payout.version,
    }
    batch.facts.append(Fact(payout.book_id, "payout.outcome_unknown", "payout", payout.pk, data))
