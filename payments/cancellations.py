"""Cancellations and expiry: PSP operations too. The state changes only when the PSP says `canceled`.

If it answers that the money has come, the order succeeds; if money comes after `canceled`, it is booked as a late
success and refunded (payments/appliers/charges.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import structlog
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django_fsm import TransitionNotAllowed

from ledger.errors import LedgerError
from payments import doorbell, settlement
from payments.appliers import batch as batches
from payments.appliers import charges, operations
from payments.appliers.batch import Batch, new_operation
from payments.errors import InvalidState
from payments.models import Charge, PaymentEvent, PspOperation
from payments.psp.base import Outcome

Reason = Literal["cancelled", "expired", "replaced"]
_K = PspOperation.Kind
_S = Charge.Status
_STARTING = (_K.REGISTER, _K.HOSTED_SESSION, _K.CONFIRM)
# An expiry leaves alone what was authorized: the merchant may still capture it.
_EXPIRABLE = (_S.NEW, _S.REGISTERED, _S.PROCESSING, _S.REQUIRES_ACTION, _S.FAILED)
_CANCELLABLE = (*_EXPIRABLE, _S.AUTHORIZED)
EXPIRE_AT_MOST = 100
_AGAIN_AFTER = timedelta(minutes=10)
log = structlog.get_logger(__name__)


def cancel(event_id: int, *, reason: Reason, now: datetime) -> None:
    """Ask the PSP to cancel whatever of a checkout can still be cancelled.

    Idempotent while a cancellation is under way. Raises `InvalidState` when nothing is left to cancel.
    """
    with transaction.atomic():
        batch = batches.lock([event_id], now=now)
        before = settlement.statuses_of(batch)
        states = _CANCELLABLE if reason == "cancelled" else _EXPIRABLE
        open_charges = [charge for charge in batch.charges_of(event_id) if charge.status in states]
        if not open_charges and reason == "cancelled":
            raise InvalidState("payment_not_cancellable", f"The payment is {batch.events[event_id].status}.")
        _stop_saving(batch, event_id)
        for charge in sorted(open_charges, key=lambda charge: charge.pk):
            cancel_charge(batch, charge, reason)
        event = batch.events[event_id]
        event.expiry_due_at = None
        batch.touched_events.add(event_id)
        settlement.commit_batch(batch, before)
    doorbell.ring("psp")


def cancel_charge(batch: Batch, charge: Charge, reason: Reason) -> None:
    """Set the cancellation of one locked charge in motion; one that never reached the PSP ends at once."""
    if charge.cancel_reason:
        if charge.cancel_reason == charges.REPLACED and reason != charges.REPLACED:
            # It was to give way to another charge; now nothing shall follow it.
            charge.cancel_reason = reason
            batch.changed_charges.add(charge.pk)
        return
    charge.cancel_reason = reason
    batch.changed_charges.add(charge.pk)
    sent = False
    for operation in batch.open_operations(charge.event_id, charge.pk, *_STARTING):
        if operation.state == PspOperation.State.PREPARED:
            operations.close(batch, operation, Outcome.NOT_EXECUTED)
        else:
            sent = True
    # A charge may also have failed before the PSP knew it: its method could not be saved, or it was not registered.
    unknown_there = not charge.psp_id and not charge.session_id
    if unknown_there and not sent:
        charges.cancel(batch, charge)
        return
    event = batch.events[charge.event_id]
    # Without an object at the PSP there is nothing to cancel yet: the registration's answer makes this one due.
    batch.new_operations.append(new_operation(_K.CANCEL, event, charge, now=batch.now, due=not unknown_there))


def _stop_saving(batch: Batch, event_id: int) -> None:
    """Give up saving a method, also one that the buyer was asked to confirm: it moves no money."""
    for saving in batch.open_operations(event_id, None, _K.SAVE_METHOD):
        operations.close(batch, saving, Outcome.NOT_EXECUTED)
    batch.events[event_id].next_action = None


def expire_due(*, now: datetime, limit: int = EXPIRE_AT_MOST) -> int:
    """Set the expiry of unpaid checkouts in motion whose time is over; return how many. One transaction each."""
    with connection.cursor() as cursor:
        # Uses index: payment_event_to_expire.
        cursor.execute(
            "SELECT id FROM payments_paymentevent WHERE expiry_due_at <= florin_now() ORDER BY expiry_due_at LIMIT %s",
            [limit],
        )
        due = [row[0] for row in cursor.fetchall()]
    for event_id in due:
        try:
            cancel(event_id, reason="expired", now=now)
        except (DatabaseError, LedgerError, TransitionNotAllowed):
            # One that cannot expire must not hold up the others: it comes again later.
            log.exception("expiry_failed", event_id=event_id)
            PaymentEvent.objects.filter(pk=event_id).update(expiry_due_at=now + _AGAIN_AFTER)
    return len(due)
