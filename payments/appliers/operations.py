"""What the answer to a call of ours means: for the operation itself, and for what waits for it."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from ledger.ids import public_id
from payments import retries
from payments.appliers import charges, disputes, found_refunds, refunds
from payments.appliers.batch import Batch, Report
from payments.models import Charge, PspOperation, Refund
from payments.outbox import Fact
from payments.psp.base import ErrorCode, Failure, ObjectKind, ObjectStatus, Outcome, Result, Snapshot

_K = PspOperation.Kind
_STATE = PspOperation.State
NOT_WANTED = "no_longer_wanted"
ATTENTION_AFTER = timedelta(minutes=25)


def apply(batch: Batch, operation: PspOperation, report: Report) -> None:
    """Record the answer to a call, and set in motion what follows from it."""
    result = report.result
    batch.changed_operations.add(operation.pk)
    batch.touched_events.add(operation.payment_id)
    operation.lease_until = None
    operation.psp_request_id = result.request_id[:255]
    operation.error_code = result.error.code[:64] if result.error else ""
    operation.error_message = result.error.message[:500] if result.error else ""
    if result.outcome == Outcome.NOT_EXECUTED and operation.error_code != NOT_WANTED:
        policy = _policy(operation, retries.CANCEL if operation.kind == _K.CANCEL else retries.NOT_EXECUTED)
        # That this try did nothing says nothing of an earlier one whose answer was lost.
        again(batch, operation, policy, _STATE.UNKNOWN if report.sent_before else _STATE.PREPARED)
    elif result.outcome == Outcome.UNKNOWN:
        if result.error and result.error.stored_by_psp:
            # The PSP repeats this error for the key. The next call asks first, and a new try needs a new key.
            operation.key_generation += 1
        again(batch, operation, _policy(operation, retries.UNKNOWN), _STATE.UNKNOWN)
    elif operation.kind == _K.SAVE_METHOD and _still_open(result):
        # The buyer must act, or the PSP is still at it: ask again later.
        again(batch, operation, retries.BUYER, _STATE.UNKNOWN)
        _saving_needs_action(batch, operation, result)
    elif operation.kind in (_K.CANCEL, _K.REFUND) and result.outcome == Outcome.PENDING:
        policy = retries.REFUND if operation.kind == _K.REFUND else retries.BUYER
        again(batch, operation, policy, _STATE.UNKNOWN)
    elif result.outcome == Outcome.DECLINED and (
        operation.kind == _K.CANCEL
        or (operation.kind == _K.REFUND and result.snapshot is None and not _was_refused(batch, operation))
    ):
        # Neither done nor explained by a state: nothing may be assumed, a person looks.
        surrender(batch, operation, operation.error_code or "declined", operation.error_message)
    else:
        close(batch, operation, str(result.outcome))
    _APPLY[_K(operation.kind)](batch, operation, result)


def _policy(operation: PspOperation, otherwise: retries.Policy) -> retries.Policy:
    """Return when to try again: a refund that the PSP has accepted is only followed, however a look at it fails."""
    return retries.REFUND if is_followed(operation) else otherwise


def is_followed(operation: PspOperation) -> bool:
    """Say whether an operation is a refund that the PSP has accepted: what is left is to hear how it ends."""
    return operation.kind == _K.REFUND and "psp_id" in operation.parameters


def _was_refused(batch: Batch, operation: PspOperation) -> bool:
    """Say whether the PSP refused the refund of an order for good: no refund came into being there.

    Not so for a late success, whose money is the buyer's whatever the PSP says.
    """
    assert operation.refund_id is not None
    refused = operation.error_code in (ErrorCode.REFUSED, ErrorCode.UNEXPECTED_STATE)
    return refused and not is_followed(operation) and batch.refunds[operation.refund_id].order_id is not None


def close(batch: Batch, operation: PspOperation, outcome: str) -> None:
    """End an operation."""
    operation.state = _STATE.DONE
    operation.outcome = outcome
    operation.closed_at = batch.now
    operation.due_at = None
    operation.lease_until = None
    batch.changed_operations.add(operation.pk)


def make_due(batch: Batch, operation: PspOperation) -> None:
    """Let an operation that waited run now."""
    if operation.due_at is None and operation.closed_at is None:
        operation.due_at = batch.now
        batch.changed_operations.add(operation.pk)


def again(batch: Batch, operation: PspOperation, policy: retries.Policy, state: str) -> None:
    """Schedule the next try, or put the operation in front of a person when its tries are used up."""
    wait = policy.wait(operation.tries)
    if wait is None:
        operation.state = _STATE.DEAD
        operation.dead_at = batch.now
        operation.due_at = None
    else:
        operation.state = state
        operation.due_at = batch.now + wait
    _escalate(batch, operation, dead=wait is None)


def put_off(batch: Batch, operation: PspOperation, reason: str) -> None:
    """Try a locked operation again later, because its answer could not be written; a person looks in the end."""
    operation.error_code = "settlement_failed"
    operation.error_message = reason[:500]
    operation.lease_until = None
    batch.changed_operations.add(operation.pk)
    again(batch, operation, retries.UNKNOWN, _STATE.UNKNOWN)


def _escalate(batch: Batch, operation: PspOperation, *, dead: bool) -> None:
    """Tell the merchant and the operators, once, that an outcome is unknown for too long (promise 4)."""
    sent = operation.first_sent_at or batch.now
    # What waits for the buyer is not an unknown outcome: it carries no error.
    unknown = operation.state == _STATE.UNKNOWN and operation.error_code != "" and not is_followed(operation)
    overdue = unknown and batch.now - sent >= ATTENTION_AFTER
    if (dead or overdue) and not operation.parameters.get("escalated"):
        operation.parameters = {**operation.parameters, "escalated": True}
        event = batch.events[operation.payment_id]
        batch.facts.append(
            Fact(
                event.book_id,
                "payment.outcome_unknown",
                "payment",
                event.pk,
                {
                    "payment": public_id("pay", event.public_id),
                    "checkout_id": event.checkout_id,
                    "operation": operation.kind,
                    "tries": operation.tries,
                    "version": event.version,
                },
            )
        )


def escalate_overdue(batch: Batch) -> None:
    """Tell of every locked operation whose outcome is unknown for too long and that was not told of before."""
    for operation in batch.operations.values():
        if operation.closed_at is None and not operation.parameters.get("escalated"):
            _escalate(batch, operation, dead=False)
            if operation.parameters.get("escalated"):
                batch.changed_operations.add(operation.pk)


def _still_open(result: Result) -> bool:
    return result.outcome in (Outcome.PENDING, Outcome.REQUIRES_ACTION)


def _failure_of(result: Result) -> dict[str, object]:
    failure = result.failure or (result.snapshot.failure if result.snapshot else None)
    if failure is None:
        code = result.error.code if result.error else "declined"
        failure = Failure(code, "The payment could not be started.", retryable_by_buyer=True)
    return {
        "code": failure.code,
        "message": failure.message,
        "retryable_by_buyer": failure.retryable_by_buyer,
        "psp_code": failure.psp_code,
    }


def _charge(batch: Batch, operation: PspOperation) -> Charge:
    assert operation.charge_id is not None
    return batch.charges[operation.charge_id]


def _apply_registration(batch: Batch, operation: PspOperation, result: Result) -> None:
    """Keep the PSP object's id; then pay with it, or cancel it when that was asked for meanwhile."""
    charge = _charge(batch, operation)
    waiting = batch.open_operations(operation.payment_id, operation.charge_id, _K.CONFIRM, _K.CANCEL)
    if result.outcome == Outcome.SUCCEEDED and result.snapshot is not None:
        snapshot = result.snapshot
        is_session = snapshot.kind == ObjectKind.SESSION
        charge.psp_id = charge.psp_id or (snapshot.charge_psp_id if is_session else snapshot.psp_id) or None
        if charge.status == Charge.Status.NEW:
            charge.registered()
        if is_session and charge.session_id != snapshot.psp_id:
            charge.session_id = snapshot.psp_id
            charge.session_url = snapshot.url
            charge.due_at = batch.now + timedelta(seconds=settings.POLL_AFTER_SECONDS)
        batch.changed_charges.add(charge.pk)
        for other in waiting:
            if other.kind == _K.CANCEL or not charge.cancel_reason:
                make_due(batch, other)
                if other.kind == _K.CONFIRM and other.state == _STATE.PREPARED:
                    batch.next.append(other)
            else:
                close(batch, other, Outcome.NOT_EXECUTED)
    elif operation.closed_at is not None:
        # Refused, or not wanted any more: there is no object, so there is nothing to confirm and nothing to cancel.
        for other in waiting:
            close(batch, other, Outcome.NOT_EXECUTED)
        if charge.cancel_reason and charge.status in (Charge.Status.NEW, Charge.Status.FAILED):
            charges.cancel(batch, charge)
        elif result.outcome == Outcome.DECLINED:
            charges.fail(batch, charge, _failure_of(result))


def _apply_to_charge(batch: Batch, operation: PspOperation, result: Result) -> None:
    """Confirm, capture and cancel: the charge goes where the PSP says it is."""
    charge = _charge(batch, operation)
    if result.snapshot is not None:
        charges.apply(batch, charge, result.snapshot, answers_own_call=True)
    elif result.outcome == Outcome.DECLINED and operation.kind == _K.CONFIRM:
        charges.fail(batch, charge, _failure_of(result))


def _apply_saved_method(batch: Batch, operation: PspOperation, result: Result) -> None:
    """Register every charge of the checkout with the saved method, or fail them all."""
    event = batch.events[operation.payment_id]
    snapshot = result.snapshot
    if snapshot is not None and snapshot.psp_id and operation.parameters.get("psp_id") != snapshot.psp_id:
        operation.parameters = {**operation.parameters, "psp_id": snapshot.psp_id}
    if operation.closed_at is None:
        return
    event.next_action = None
    if result.outcome == Outcome.SUCCEEDED and snapshot is not None:
        event.psp_customer = snapshot.customer
        event.psp_saved_method = snapshot.payment_method
        for charge in batch.charges_of(event.pk):
            # A charge without an object at the PSP is registered first; another is confirmed with the new method.
            kind = _K.CONFIRM if charge.psp_id else _K.REGISTER
            for waiting in batch.open_operations(event.pk, charge.pk, kind):
                make_due(batch, waiting)
        return
    for charge in batch.charges_of(event.pk):
        if charge.status not in (Charge.Status.NEW, Charge.Status.FAILED):
            continue
        for waiting in batch.open_operations(event.pk, charge.pk, _K.REGISTER, _K.CONFIRM, _K.CANCEL):
            close(batch, waiting, Outcome.NOT_EXECUTED)
        if charge.cancel_reason:
            charges.cancel(batch, charge)
        else:
            charges.fail(batch, charge, _failure_of(result))


def _saving_needs_action(batch: Batch, operation: PspOperation, result: Result) -> None:
    snapshot: Snapshot | None = result.snapshot
    event = batch.events[operation.payment_id]
    if snapshot is not None and snapshot.status == ObjectStatus.REQUIRES_ACTION and snapshot.next_action:
        event.next_action = {"type": snapshot.next_action.type, "url": snapshot.next_action.url}


def _apply_refund(batch: Batch, operation: PspOperation, result: Result) -> None:
    assert operation.refund_id is not None
    refund = batch.refunds[operation.refund_id]
    if result.snapshot is None:
        if operation.closed_at is not None and refund.status == refund.Status.PENDING:
            refunds.fail(batch, refund, _failure_of(result))
        return
    if result.snapshot.psp_id and operation.closed_at is None:
        operation.parameters = {**operation.parameters, "psp_id": result.snapshot.psp_id}
    refunds.apply(batch, refund, result.snapshot)
    _give_up_on_late_success(batch, operation, refund)


def hear_of_refund(batch: Batch, charge_id: int | None, snapshot: Snapshot) -> None:
    """Apply what the PSP says of a refund that nobody holds the operation of: the answer to a notification."""
    known = [refund for refund in batch.refunds.values() if refund.psp_id == snapshot.psp_id]
    if not known and (own := found_refunds.made_by_us(batch, snapshot)) is not None:
        known = [own]
    elif not known and charge_id is not None:
        found_refunds.note(batch, batch.charges[charge_id], snapshot)
    for refund in known:
        refunds.apply(batch, refund, snapshot)
        charge = batch.charges[refund.charge_id]
        for operation in batch.operations_of(charge.event_id):
            if operation.refund_id == refund.pk and operation.closed_at is None:
                if refund.status != refund.Status.PENDING:
                    close(batch, operation, "overtaken")
                _give_up_on_late_success(batch, operation, refund)


def _give_up_on_late_success(batch: Batch, operation: PspOperation, refund: Refund) -> None:
    if refund.status == refund.Status.FAILED and refund.order_id is None:
        surrender(batch, operation, "refund_failed", "The PSP could not pay the money back; a person decides.")


def _apply_evidence(batch: Batch, operation: PspOperation, result: Result) -> None:
    """Evidence was handed in, or is not taken; the dispute goes where the PSP says it is."""
    case = next(case for case in batch.cases if case.dispute.pk == operation.dispute_id)
    if operation.closed_at is not None:
        if result.outcome == Outcome.SUCCEEDED:
            disputes.evidence_arrived(batch, case)
        else:
            message = operation.error_message or "The payment provider does not take this evidence."
            disputes.evidence_refused(batch, case, message)
    if result.snapshot is not None:
        disputes.apply(batch, batch.charges[case.dispute.charge_id], result.snapshot)


def _apply_acceptance(batch: Batch, operation: PspOperation, result: Result) -> None:
    """The dispute was given up, or cannot be; it goes where the PSP says it is, or is asked about at once."""
    case = next(case for case in batch.cases if case.dispute.pk == operation.dispute_id)
    if result.snapshot is not None:
        disputes.apply(batch, batch.charges[case.dispute.charge_id], result.snapshot)
    elif operation.closed_at is not None:
        case.dispute.due_at, case.dispute.tries, case.is_changed = batch.now, 0, True


_APPLY = {
    _K.SAVE_METHOD: _apply_saved_method,
    _K.REGISTER: _apply_registration,
    _K.HOSTED_SESSION: _apply_registration,
    _K.CONFIRM: _apply_to_charge,
    _K.CAPTURE: _apply_to_charge,
    _K.CANCEL: _apply_to_charge,
    _K.REFUND: _apply_refund,
    _K.SUBMIT_EVIDENCE: _apply_evidence,
    _K.ACCEPT_DISPUTE: _apply_acceptance,
}


def quarantine(batch: Batch, operation: PspOperation, reason: str) -> None:
    """Put an operation whose answer contradicts our records in front of a person; nothing else was changed."""
    surrender(batch, operation, "psp_mismatch", reason)


def surrender(batch: Batch, operation: PspOperation, code: str, message: str) -> None:
    """Put an operation in front of a person: nothing more is done about it by itself."""
    operation.state = _STATE.DEAD
    operation.dead_at = batch.now
    operation.due_at = None
    operation.lease_until = None
    operation.closed_at = None
    operation.outcome = ""
    operation.error_code = code
    operation.error_message = message[:500]
    batch.changed_operations.add(operation.pk)
    batch.touched_events.add(operation.payment_id)
    _escalate(batch, operation, dead=True)


def close_overtaken(batch: Batch, charge: Charge) -> None:
    """End the operations of a charge that has ended, also those in front of a person: their question is answered."""
    if charge.status not in (Charge.Status.SUCCEEDED, Charge.Status.CANCELLED, Charge.Status.LATE_SUCCESS):
        return
    for operation in batch.operations_of(charge.event_id):
        if operation.charge_id == charge.pk and operation.kind != _K.REFUND and operation.closed_at is None:
            if operation.error_code == "psp_mismatch":
                continue
            close(batch, operation, "overtaken")
