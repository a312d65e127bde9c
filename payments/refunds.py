"""Refunds: money of a paid order goes back to its buyer, all of it or a part, until nothing is left.

The request decides at once whose money it is: the platform's part of its fee by the merchant's policy, and the seller's
share from what is pending of this order, then from what is available, the rest as debt. It is booked as owed to the
buyer in the same transaction, and the call to the PSP becomes a due row. How the PSP's answer is booked is in
`appliers/refunds.py`. What goes to the buyer's stored value needs no PSP and is booked in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import IntegrityError, transaction

from config import seam
from ledger.ids import public_id
from ledger.money import format_minor
from payments import buyers, doorbell, fees, settlement
from payments.appliers import batch as batches
from payments.appliers import changing
from payments.appliers import refunds as applier
from payments.appliers.batch import Batch, new_operation
from payments.appliers.changing import Changing
from payments.errors import Conflict, InvalidState, Unprocessable
from payments.models import MerchantBook, PaymentOrder, PspOperation, Refund
from wallet import chart, movements
from wallet.holdings import Holding

_LIVE = (Refund.Status.PENDING, Refund.Status.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A refund that a merchant asks for. Without an amount it is the whole rest; amounts in minor units."""

    order_id: int
    amount_minor: int | None = None
    to_stored_value: bool = False
    reason: str = Refund.Reason.REQUESTED_BY_CUSTOMER
    reference: str = ""


def request(event_id: int, wanted: Wanted, *, now: datetime) -> Refund:
    """Owe a buyer money of one order and let the PSP pay it out; return the refund, pending.

    One that goes to stored value, because it was asked for or because stored value paid, has succeeded at once. Locks
    the checkout, then the seller's wallet and the stored value. Raises `InvalidState` for an order that is not paid or
    a merchant without stored value, `Unprocessable` for more than is left of the capture after refunds and disputes or
    a buyer without an id, `Conflict` for a reference that was used.
    """
    try:
        with transaction.atomic():
            batch = batches.lock([event_id], now=now)
            before = settlement.statuses_of(batch)
            refund = _request(batch, batch.orders[wanted.order_id], wanted)
            settlement.commit_batch(batch, before)
            if refund.stored_value_of_id is not None:
                batch = batches.lock([event_id], now=now)
                before = settlement.statuses_of(batch)
                refund = batch.refunds[refund.pk]
                applier.keep(batch, refund)
                settlement.commit_batch(batch, before)
    except IntegrityError as error:
        if "refund_reference_is_unique_in_its_book" in str(error):
            raise Conflict("refund_exists", "a refund with this reference exists", field="reference") from None
        raise
    doorbell.ring("psp")
    return refund


def follow(batch: Batch, order: PaymentOrder, amount_minor: int, psp_id: str) -> None:
    """Owe a buyer money of a locked order that the PSP is paying out already: its refund is followed, never sent.

    For `found_refunds`; the caller commits the batch. Raises as `request`.
    """
    _request(batch, order, Wanted(order.pk, amount_minor), psp_id=psp_id)


def left_of(order: PaymentOrder) -> int:
    """Return what of an order can still be refunded, in minor units: not what disputes have taken."""
    return max(0, order.captured_minor - order.refunded_minor - order.disputed_minor)


def _request(batch: Batch, order: PaymentOrder, wanted: Wanted, *, psp_id: str = "") -> Refund:
    if order.status != PaymentOrder.Status.SUCCESS:
        raise InvalidState("payment_order_not_paid", f"The order is {order.status}: only what was paid can go back.")
    if order.top_up_of_id is not None:
        raise InvalidState("top_up_not_refundable", "The buyer has this money as stored value: it may be spent.")
    left = left_of(order)
    amount = left if wanted.amount_minor is None else wanted.amount_minor
    if amount > left or left == 0:
        shown = f"{format_minor(left, order.currency_id)} {order.currency_id}"
        raise Unprocessable("refund_exceeds_captured", f"Of this order {shown} can still be refunded.", field="amount")
    event, charge = batch.events[order.event_id], batch.charges[order.charge_id]
    stored = charge.stored_value_of_id
    if stored is None and wanted.to_stored_value:
        stored = buyers.receiver(event, on=batch.terms_of(event.pk).stored_value, now=batch.now)
    policy = batch.terms_of(order.event_id).refund_fee_policy
    refund = Refund(
        public_id=seam.new_uuid(),
        book_id=order.book_id,
        charge_id=order.charge_id,
        order_id=order.pk,
        stored_value_of_id=stored,
        reference=wanted.reference,
        reason=wanted.reason,
        currency_id=order.currency_id,
        amount_minor=amount,
        fee_policy=policy,
        fee_minor=_fee(batch, order, policy, amount),
        psp_id=psp_id or None,
        created_at=batch.now,
    )
    order.refunded_minor += amount
    order.fee_refunded_minor += refund.fee_minor
    batch.touch(order)
    changing.decide(batch, order, partial(_take, batch, order, refund))
    operation = None
    if stored is None:
        lane = PspOperation.Lane.REFUNDS
        kind = PspOperation.Kind.REFUND
        operation = new_operation(kind, event, charge, now=batch.now, amount_minor=amount, lane=lane)
        if psp_id:
            operation.parameters, operation.state = {"psp_id": psp_id}, PspOperation.State.UNKNOWN
    else:
        batch.also_locked.append(chart.buyer_stored(order.book_id, stored, order.currency_id))
    batch.new_refunds.append((refund, operation))
    return refund


def _fee(batch: Batch, order: PaymentOrder, policy: str, amount: int) -> int:
    """Return the platform's part of a refund; refunds that were taken back do not count."""
    earlier = [
        row
        for row in batch.refunds.values()
        if row.order_id == order.pk
        and row.fee_policy == MerchantBook.RefundFeePolicy.PROPORTIONAL
        and (row.status in _LIVE or row.settled_at is not None)
    ]
    return fees.fee_of_refund(
        policy,
        amount=amount,
        captured=order.captured_minor,
        fee=order.fee_minor,
        given_back=order.fee_refunded_minor + order.fee_disputed_minor,
        in_proportion=(sum(row.amount_minor for row in earlier), sum(row.fee_minor for row in earlier)),
    )


def _take(batch: Batch, order: PaymentOrder, refund: Refund, holding: Holding, changed: Changing | None) -> None:
    """Take the seller's share, now that its wallets are locked, and book the request.

    What lacks in the order's currency is changed back first, at the rate at which it was changed.
    """
    if changed is not None:
        refund.changed_back_minor = changed.back(
            refund.amount_minor - refund.fee_minor,
            pending=order.pending_minor,
            margin=applier.margin_of(refund),
            subject=public_id("rfd", refund.public_id),
        )
    share = holding.take(refund.amount_minor - refund.fee_minor, pending_of_order=order.pending_minor)
    order.pending_minor -= share.pending
    refund.from_pending_minor = share.pending
    refund.from_available_minor = share.available
    refund.from_debt_minor = share.debt
    batch.movements.append(
        movements.request_refund(
            batch.heading(refund.book_id, public_id("rfd", refund.public_id), refund.currency_id),
            seller=batch.sellers[order.seller_id],
            share=share,
            fee=refund.fee_minor,
        )
    )
    applier.publish(batch, refund)
