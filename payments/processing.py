"""Processing: start a payment with a token, or try a declined one again with another method."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from payments import doorbell, settlement
from payments.appliers import batch as batches
from payments.appliers.batch import Batch, new_operation
from payments.errors import InvalidState
from payments.models import Charge, PaymentOrder, PspOperation

_K = PspOperation.Kind
_STARTABLE = (Charge.Status.NEW, Charge.Status.REGISTERED, Charge.Status.FAILED)


def process(event_id: int, token: str, *, order_id: int | None = None, now: datetime) -> None:
    """Pay what is unpaid of a checkout with `token`, or only the charge of one order.

    Writes operations and rings; nothing is sent here. Raises `InvalidState` when nothing can be started now: a
    payment is under way, has ended, or is open on the PSP's own page.
    """
    with transaction.atomic():
        batch = batches.lock([event_id], now=now)
        before = settlement.statuses_of(batch)
        charges = startable(batch, event_id, order_id=order_id)
        _start(batch, event_id, charges, token)
        settlement.commit_batch(batch, before)
    doorbell.ring("psp")


def startable(batch: Batch, event_id: int, *, order_id: int | None = None) -> list[Charge]:
    """Return the unpaid charges of a locked checkout (or of one order), by id. Raises `InvalidState` as `process`."""
    charges = [charge for charge in batch.charges_of(event_id) if charge.status in _STARTABLE]
    if order_id is not None:
        charges = [charge for charge in charges if charge.pk == batch.orders[order_id].charge_id]
    _check(batch, event_id, charges)
    return sorted(charges, key=lambda charge: charge.pk)


def _check(batch: Batch, event_id: int, charges: list[Charge]) -> None:
    if not charges:
        raise InvalidState("payment_not_processable", f"The payment is {batch.events[event_id].status}.")
    if batch.open_operations(event_id, None, _K.SAVE_METHOD):
        raise InvalidState("payment_in_progress", "A payment of this checkout is under way.")
    for charge in charges:
        if charge.cancel_reason:
            raise InvalidState("payment_not_processable", "The payment is being cancelled.")
        if charge.session_id:
            raise InvalidState("hosted_page_open", "The payment is open on the PSP's own page.")
        if batch.open_operations(event_id, charge.pk, *_K.values):
            raise InvalidState("payment_in_progress", "A payment of this checkout is under way.")
        if any(op.charge_id == charge.pk and op.state == op.State.DEAD for op in batch.operations.values()):
            raise InvalidState(
                "outcome_unknown", "The outcome of an earlier try is unknown; a person is looking at it."
            )


def _start(batch: Batch, event_id: int, charges: list[Charge], token: str) -> None:
    event, now = batch.events[event_id], batch.now
    several = len(charges) > 1
    if several:
        # A token pays once: save the method first, then pay every charge with the saved one.
        parameters: dict[str, object] = {"token": token, "customer": event.psp_customer}
        saving = new_operation(_K.SAVE_METHOD, event, charges[0], now=now, parameters=parameters)
        saving.charge = None
        batch.new_operations.append(saving)
        event.psp_saved_method = ""
    for charge in charges:
        unregistered = not charge.psp_id
        if unregistered:
            batch.new_operations.append(
                new_operation(_K.REGISTER, event, charge, now=now, due=not several, amount_minor=charge.amount_minor)
            )
        batch.new_operations.append(
            new_operation(
                _K.CONFIRM,
                event,
                charge,
                now=now,
                due=not several and not unregistered,
                amount_minor=charge.amount_minor,
                parameters={} if several else {"token": token},
            )
        )
        for order in batch.orders_of(charge):
            if order.status in (PaymentOrder.Status.NOT_STARTED, PaymentOrder.Status.FAILED):
                order.executing()
                order.updated_at = now
                batch.changed_orders.add(order.pk)
    batch.touched_events.add(event_id)
