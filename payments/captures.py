"""Captures: take the money that was authorized, all of it or less."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from payments import doorbell, settlement
from payments.appliers import batch as batches
from payments.appliers.batch import new_operation
from payments.errors import InvalidState, Unprocessable
from payments.models import Charge, PspOperation

_K = PspOperation.Kind


def capture(event_id: int, amounts: Mapping[int, int] | None, *, now: datetime) -> None:
    """Capture authorized orders: all in full, or `amounts` in minor units by order id.

    A charge can be captured once. What is not captured of it is released by the PSP, so an order that shares a charge
    with a captured one and is not named ends as cancelled. Raises `InvalidState` or `Unprocessable`.
    """
    with transaction.atomic():
        batch = batches.lock([event_id], now=now)
        before = settlement.statuses_of(batch)
        event = batch.events[event_id]
        for order_id, amount in (amounts or {}).items():
            order = batch.orders[order_id]
            if amount > order.amount_minor:
                raise Unprocessable("capture_exceeds_authorized", "More than was authorized for this order.")
            if order.status != order.Status.AUTHORIZED:
                raise InvalidState("payment_not_capturable", f"The order is {order.status}.")
        captured = 0
        for charge in batch.charges_of(event_id):
            orders = batch.orders_of(charge)
            wanted = {order.pk: order.amount_minor if amounts is None else amounts.get(order.pk, 0) for order in orders}
            total = sum(wanted.values())
            if charge.status != Charge.Status.AUTHORIZED or total == 0:
                continue
            if charge.cancel_reason or batch.open_operations(event_id, charge.pk, _K.CAPTURE, _K.CANCEL):
                raise InvalidState("payment_in_progress", "A capture or a cancellation is under way.")
            if any(op.charge_id == charge.pk and op.state == op.State.DEAD for op in batch.operations.values()):
                raise InvalidState(
                    "outcome_unknown", "The outcome of an earlier try is unknown; a person is looking at it."
                )
            for order in orders:
                order.capture_requested_minor = wanted[order.pk]
                batch.changed_orders.add(order.pk)
            batch.new_operations.append(new_operation(_K.CAPTURE, event, charge, now=now, amount_minor=total))
            captured += total
        if not captured:
            raise InvalidState("payment_not_capturable", f"The payment is {event.status}: nothing is authorized.")
        batch.touched_events.add(event_id)
        settlement.commit_batch(batch, before)
    doorbell.ring("psp")
