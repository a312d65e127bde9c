"""Stored value: what buyers keep with a merchant, as a way to pay that needs no PSP.

Off unless the merchant switches it on. The balance is that of one account of the ledger per buyer and currency, whose
floor is zero: the database refuses what is not there, whoever pays at the same moment. A payment is paid in one
transaction, all its unpaid orders or none. Nothing here calls a PSP or writes an operation for one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from ledger.errors import FloorBroken
from ledger.ids import public_id
from payments import buyers, processing, settlement
from payments.appliers import batch as batches
from payments.appliers.batch import Batch
from payments.errors import InvalidState, Unprocessable
from payments.models import Buyer, Charge, PaymentEvent
from wallet import movements

METHOD: Final[dict[str, object]] = {"type": "stored_value", "funding": "", "brand": "", "last4": ""}


def pay(event_id: int, *, now: datetime) -> None:
    """Pay everything that is unpaid of a checkout from its buyer's stored value, at once.

    Locks the checkout, then the balances. Raises `InvalidState` when the merchant has it switched off, nothing can be
    started, or a PSP has to do with the payment; `Unprocessable` for a buyer without an id, or with too little. Then
    nothing is paid.
    """
    try:
        with transaction.atomic():
            batch = batches.lock([event_id], now=now)
            before = settlement.statuses_of(batch)
            buyer, charges = _check(batch, event_id)
            for charge in charges:
                _pay(batch, charge, buyer)
            settlement.commit_batch(batch, before)
            Charge.objects.filter(pk__in=[charge.pk for charge in charges]).update(stored_value_of=buyer)
    except FloorBroken:
        raise _insufficient() from None


def _check(batch: Batch, event_id: int) -> tuple[Buyer, list[Charge]]:
    event = batch.events[event_id]
    buyers.check_on(on=batch.terms_of(event_id).stored_value)
    charges = processing.startable(batch, event_id)
    if any(charge.status != Charge.Status.NEW or charge.psp_id for charge in charges):
        raise InvalidState("stored_value_not_possible", "The payment is registered at the PSP.")
    if any(order.top_up_of_id is not None for order in batch.orders_of_event(event_id)):
        raise InvalidState("stored_value_not_possible", "Stored value does not pay for itself.")
    if event.capture == PaymentEvent.Capture.MANUAL:
        raise InvalidState(
            "stored_value_not_possible", "Stored value is taken at once; this payment holds money first."
        )
    buyer = Buyer.objects.filter(book_id=event.book_id, external_id=buyers.name_of(event)).first()
    if buyer is None:
        raise _insufficient()
    return buyer, charges


def _pay(batch: Batch, charge: Charge, buyer: Buyer) -> None:
    charge.paid_without_psp(METHOD)
    batch.changed_charges.add(charge.pk)
    for order in batch.orders_of(charge):
        order.succeeded(order.amount_minor, batch.now)
        order.release_due_at = batch.terms_of(order.event_id).release_after_capture(batch.now)
        order.method_details = charge.method_details
        batch.touch(order)
        batch.movements.append(
            movements.stored_pay(
                batch.heading(order.book_id, public_id("ord", order.public_id), order.currency_id),
                buyer=buyer.public_id,
                seller=batch.sellers[order.seller_id],
                captured=order.captured_minor,
                fee=order.fee_minor,
            )
        )


def _insufficient() -> Unprocessable:
    return Unprocessable("insufficient_stored_value", "The buyer has less stored value than is unpaid.")
