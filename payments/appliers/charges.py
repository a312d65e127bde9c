"""What a snapshot of a charge means: move the charge and its orders forward, and book the money."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

from django.conf import settings

from config import seam
from ledger.ids import public_id
from ledger.money import allocate
from payments import fees
from payments.appliers.batch import Batch, PspMismatch, new_operation
from payments.models import Charge, PaymentOrder, PspOperation, Refund
from payments.psp.base import ObjectKind, ObjectStatus, Snapshot
from wallet import movements

_S = Charge.Status
REPLACED = "replaced"  # the reason of a charge that gives way to one on the PSP's own page
_WAITING = (_S.PROCESSING, _S.REQUIRES_ACTION, _S.AUTHORIZED)
_FINAL = (_S.SUCCEEDED, _S.LATE_SUCCESS)
_AUTHORIZATION_POLL = timedelta(days=1)


def apply(batch: Batch, charge: Charge, snapshot: Snapshot, *, answers_own_call: bool) -> None:
    """Move a locked charge to where the PSP says it is; forward only, so an old or repeated snapshot does nothing.

    `answers_own_call`: the snapshot is the answer to a call that we hold. A decline heard of in any other way may be
    older than a confirmation that is on the wire now, so it does not count while there is one.
    Raises `PspMismatch` when amount or currency differ from ours; nothing was changed then.
    """
    if charge.status in _FINAL:
        return
    _check(charge, snapshot)
    is_charge = snapshot.kind == ObjectKind.CHARGE
    if is_charge and snapshot.psp_id and not charge.psp_id:
        # A hosted session's charge object may come into being only when the buyer pays.
        charge.psp_id = snapshot.psp_id
        batch.changed_charges.add(charge.pk)
    if charge.status == _S.NEW and is_charge:
        charge.registered()
        batch.registered.add(charge.pk)
        batch.changed_charges.add(charge.pk)
    if charge.status == _S.CANCELLED:
        if snapshot.status == ObjectStatus.SUCCEEDED:
            _late_success(batch, charge, snapshot)
        return
    if snapshot.method is not None and charge.method_details != asdict(snapshot.method):
        charge.method_details = asdict(snapshot.method)
        batch.changed_charges.add(charge.pk)
    _move(batch, charge, snapshot, answers_own_call=answers_own_call)


def _move(batch: Batch, charge: Charge, snapshot: Snapshot, *, answers_own_call: bool) -> None:
    match snapshot.status:
        case ObjectStatus.PROCESSING:
            _processing(batch, charge)
        case ObjectStatus.REQUIRES_ACTION:
            _requires_action(batch, charge, snapshot)
        case ObjectStatus.DECLINED | ObjectStatus.FAILED:
            in_flight = batch.open_operations(charge.event_id, charge.pk, PspOperation.Kind.CONFIRM)
            if answers_own_call or not in_flight:
                _declined(batch, charge, snapshot)
        case ObjectStatus.AUTHORIZED:
            _authorized(batch, charge)
        case ObjectStatus.SUCCEEDED:
            _succeeded(batch, charge, snapshot)
        case ObjectStatus.CANCELLED:
            cancel(batch, charge)
        case ObjectStatus.OPEN:
            return


def stop_polling(batch: Batch, charge: Charge) -> None:
    """Take a locked charge out of the polls when it waits for nobody."""
    hosted = charge.session_id and charge.status in (_S.REGISTERED, _S.FAILED)
    if charge.due_at is not None and not hosted and charge.status not in _WAITING:
        charge.due_at = None
        batch.changed_charges.add(charge.pk)
        batch.touched_events.add(charge.event_id)


def cancel(batch: Batch, charge: Charge) -> None:
    """End a locked charge that will take no money, and its orders with it."""
    charge.cancelled()
    batch.changed_charges.add(charge.pk)
    batch.touched_events.add(charge.event_id)
    if charge.cancel_reason == REPLACED:
        _replace(batch, charge)
        return
    expired = charge.cancel_reason == "expired"
    for order in batch.orders_of(charge):
        if expired:
            order.expired()
        else:
            order.cancelled()
        batch.touch(order)


def _replace(batch: Batch, charge: Charge) -> None:
    """Open a second charge for the same orders, now that the PSP says that the first will never take money."""
    event = batch.events[charge.event_id]
    successor = Charge(
        public_id=seam.new_uuid(),
        book_id=charge.book_id,
        event=event,
        psp_account=charge.psp_account,
        currency_id=charge.currency_id,
        amount_minor=charge.amount_minor,
        created_at=batch.now,
    )
    operation = new_operation(
        PspOperation.Kind.HOSTED_SESSION, event, successor, now=batch.now, amount_minor=charge.amount_minor
    )
    batch.new_charges.append((successor, operation, batch.orders_of(charge)))


def _check(charge: Charge, snapshot: Snapshot) -> None:
    if not snapshot.currency or snapshot.status == ObjectStatus.CANCELLED:
        return
    if (snapshot.amount_minor, snapshot.currency) != (charge.amount_minor, charge.currency_id):
        raise PspMismatch(
            f"the PSP says {snapshot.amount_minor} {snapshot.currency} minor units, "
            f"the charge is {charge.amount_minor} {charge.currency_id}"
        )


def _processing(batch: Batch, charge: Charge) -> None:
    if charge.status in (_S.REGISTERED, _S.REQUIRES_ACTION, _S.FAILED):
        charge.processing()
        _executing(batch, charge)
        _poll_later(batch, charge)


def _requires_action(batch: Batch, charge: Charge, snapshot: Snapshot) -> None:
    action = asdict(snapshot.next_action) if snapshot.next_action else None
    if charge.status in (_S.REGISTERED, _S.PROCESSING, _S.FAILED):
        charge.requires_action()
        _executing(batch, charge)
        _poll_later(batch, charge)
    if charge.status == _S.REQUIRES_ACTION and charge.next_action != action:
        charge.next_action = action
        batch.changed_charges.add(charge.pk)


def _declined(batch: Batch, charge: Charge, snapshot: Snapshot) -> None:
    failure: dict[str, object] = (
        asdict(snapshot.failure) if snapshot.failure else {"code": "declined", "message": "Declined."}
    )
    fail(batch, charge, failure)


def fail(batch: Batch, charge: Charge, failure: dict[str, object]) -> None:
    """Record that a locked charge was declined; its orders can be tried again."""
    if charge.status in (_S.NEW, _S.REGISTERED, _S.PROCESSING, _S.REQUIRES_ACTION):
        charge.failed(failure)
        if charge.session_id:
            _poll_later(batch, charge)
    elif charge.status == _S.FAILED:
        charge.failure = failure
    else:
        return
    batch.changed_charges.add(charge.pk)
    for order in batch.orders_of(charge):
        if order.status in (PaymentOrder.Status.EXECUTING, PaymentOrder.Status.NOT_STARTED):
            order.failed(failure)
            batch.touch(order)
        elif order.status == PaymentOrder.Status.FAILED:
            order.failure = failure
            batch.touch(order)


def _authorized(batch: Batch, charge: Charge) -> None:
    if charge.status == _S.AUTHORIZED:
        return
    charge.authorized()
    charge.due_at = batch.now + _AUTHORIZATION_POLL
    batch.changed_charges.add(charge.pk)
    for order in batch.orders_of(charge):
        order.authorized()
        order.method_details = charge.method_details
        batch.touch(order)


def _succeeded(batch: Batch, charge: Charge, snapshot: Snapshot) -> None:
    charge.succeeded(snapshot.captured_minor)
    batch.changed_charges.add(charge.pk)
    orders = batch.orders_of(charge)
    for order, captured in zip(orders, _captured_per_order(charge, orders), strict=True):
        if captured == 0:
            order.cancelled()
            batch.touch(order)
            continue
        order.fee_minor = fees.fee_of_capture(order.fee_minor, order.amount_minor, captured)
        order.succeeded(captured, batch.now)
        order.method_details = charge.method_details
        batch.touch(order)
        if order.top_up_of_id is not None:
            _top_up(batch, charge, order)
            continue
        order.release_due_at = batch.terms_of(order.event_id).release_after_capture(batch.now)
        batch.movements.append(
            movements.settle_charge(
                batch.heading(order.book_id, public_id("ord", order.public_id), order.currency_id),
                psp_account=charge.psp_account.code,
                seller=batch.sellers[order.seller_id],
                captured=captured,
                fee=order.fee_minor,
            )
        )


def _top_up(batch: Batch, charge: Charge, order: PaymentOrder) -> None:
    """Book captured money as a buyer's stored value: nothing of it is a seller's, so nothing is pending."""
    assert order.top_up_of_id is not None
    order.pending_minor = 0
    batch.movements.append(
        movements.stored_top_up(
            batch.heading(order.book_id, public_id("ord", order.public_id), order.currency_id),
            psp_account=charge.psp_account.code,
            buyer=order.top_up_of_id,
            seller=batch.sellers[order.seller_id],
            amount=order.captured_minor,
        )
    )


def _captured_per_order(charge: Charge, orders: list[PaymentOrder]) -> list[int]:
    """Split what was captured: in full, as the merchant asked, or else in proportion. Always sums exactly."""
    if charge.captured_minor == charge.amount_minor:
        return [order.amount_minor for order in orders]
    asked = [order.capture_requested_minor or 0 for order in orders]
    if sum(asked) == charge.captured_minor:
        return asked
    return allocate(charge.captured_minor, [order.amount_minor for order in orders])


def _late_success(batch: Batch, charge: Charge, snapshot: Snapshot) -> None:
    """Money came for a cancelled or expired charge: book it as the buyer's and send it back."""
    charge.succeeded_late(snapshot.captured_minor)
    batch.changed_charges.add(charge.pk)
    batch.touched_events.add(charge.event_id)
    refund = Refund(
        public_id=seam.new_uuid(),
        book_id=charge.book_id,
        charge=charge,
        reason=Refund.Reason.LATE_SUCCESS,
        currency_id=charge.currency_id,
        amount_minor=snapshot.captured_minor,
        created_at=batch.now,
    )
    operation = new_operation(
        PspOperation.Kind.REFUND,
        batch.events[charge.event_id],
        charge,
        now=batch.now,
        amount_minor=snapshot.captured_minor,
        lane=PspOperation.Lane.REFUNDS,
    )
    batch.new_refunds.append((refund, operation))
    batch.movements.append(
        movements.late_success(
            batch.heading(charge.book_id, public_id("chg", charge.public_id), charge.currency_id),
            psp_account=charge.psp_account.code,
            amount=snapshot.captured_minor,
        )
    )


def _executing(batch: Batch, charge: Charge) -> None:
    for order in batch.orders_of(charge):
        if order.status in (PaymentOrder.Status.NOT_STARTED, PaymentOrder.Status.FAILED):
            order.executing()
            batch.touch(order)


def _poll_later(batch: Batch, charge: Charge) -> None:
    charge.due_at = batch.now + timedelta(seconds=settings.POLL_AFTER_SECONDS)
    charge.tries = 0
    batch.changed_charges.add(charge.pk)
    batch.touched_events.add(charge.event_id)
