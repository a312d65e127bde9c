"""What the PSP's answer means for a refund."""

from __future__ import annotations

from functools import partial

from ledger.ids import public_id
from payments import representations
from payments.appliers import changing
from payments.appliers.batch import Batch, PspMismatch
from payments.appliers.changing import Changing
from payments.models import MerchantBook, PaymentOrder, Refund
from payments.outbox import Fact
from payments.psp.base import ObjectStatus, Snapshot
from wallet import movements
from wallet.conversions import MarginPolicy
from wallet.holdings import Holding
from wallet.movements import Share

_S = Refund.Status
_ENDED_BADLY = (ObjectStatus.FAILED, ObjectStatus.CANCELLED)


def apply(batch: Batch, refund: Refund, snapshot: Snapshot) -> None:
    """Move a locked refund forward and book it. A repeated or older snapshot does nothing.

    Raises `PspMismatch` when the PSP shows another refund than ours; nothing was changed then.
    """
    _check(batch, refund, snapshot)
    if snapshot.psp_id and refund.psp_id != snapshot.psp_id:
        refund.psp_id = snapshot.psp_id
        batch.changed_refunds.add(refund.pk)
    if snapshot.status == ObjectStatus.SUCCEEDED and refund.status == _S.PENDING:
        refund.succeeded(batch.now)
        _book(batch, refund, paid_out=True)
    elif snapshot.status in _ENDED_BADLY and refund.status == _S.PENDING:
        fail(batch, refund, _failure_of(snapshot))
    elif snapshot.status in _ENDED_BADLY and refund.status == _S.SUCCEEDED:
        # After settlement the money is back at the PSP and still the buyer's: a person decides (DESIGN: movements).
        refund.failed(_failure_of(snapshot))
        refund.attention_at = batch.now
        _book(batch, refund, paid_out=False)
    elif snapshot.status == ObjectStatus.SUCCEEDED and refund.status == _S.FAILED and refund.settled_at is None:
        # It was taken back, and yet the PSP says that it paid: nothing may be booked by itself.
        refund.attention_at = refund.attention_at or batch.now
        batch.changed_refunds.add(refund.pk)


def keep(batch: Batch, refund: Refund) -> None:
    """Let a locked, pending refund go to the buyer's stored value. No PSP has a part in it."""
    assert refund.stored_value_of_id is not None
    refund.succeeded(batch.now)
    batch.changed_refunds.add(refund.pk)
    batch.movements.append(
        movements.stored_refund(
            batch.heading(refund.book_id, public_id("rfd", refund.public_id), refund.currency_id),
            buyer=refund.stored_value_of_id,
            amount=refund.amount_minor,
        )
    )
    publish(batch, refund)


def fail(batch: Batch, refund: Refund, failure: dict[str, object]) -> None:
    """End a locked refund that the PSP will never pay out, and take its request back.

    The seller and the platform have their parts again: what was pending of the order is pending again unless the
    order was released meanwhile, and of the rest debt is netted first. A late success has no order to give it back to:
    it stays owed to the buyer, and a person decides.
    """
    refund.failed(failure)
    batch.changed_refunds.add(refund.pk)
    if refund.order_id is None:
        refund.attention_at = batch.now
        publish(batch, refund)
        return
    order = batch.orders[refund.order_id]
    order.refunded_minor -= refund.amount_minor
    order.fee_refunded_minor -= refund.fee_minor
    batch.touch(order)
    publish(batch, refund)
    changing.decide(batch, order, partial(_give_back, batch, refund, order))


def publish(batch: Batch, refund: Refund) -> None:
    """Publish where a refund stands now, as the API shows it, with a new version of its payment."""
    charge = batch.charges[refund.charge_id]
    event = batch.new_version(charge.event_id)
    order = batch.orders[refund.order_id] if refund.order_id is not None else None
    shown = representations.refund(refund, event, charge, order)
    batch.facts.append(Fact(refund.book_id, f"refund.{refund.status}", "payment", event.pk, shown))


def share_of(refund: Refund) -> Share:
    """Return what was taken from the seller for a refund."""
    return Share(refund.from_pending_minor, refund.from_available_minor, refund.from_debt_minor)


def margin_of(refund: Refund) -> MarginPolicy:
    """Say whether the platform keeps what it took of a conversion: as it keeps its fee."""
    return "keep" if refund.fee_policy == MerchantBook.RefundFeePolicy.KEEP else "return"


def _give_back(batch: Batch, refund: Refund, order: PaymentOrder, holding: Holding, changed: Changing | None) -> None:
    to_pending = refund.from_pending_minor if order.released_at is None else 0
    share = holding.give(share_of(refund).total, to_pending=to_pending)
    order.pending_minor += share.pending
    batch.movements.append(
        movements.cancel_refund(
            batch.heading(refund.book_id, public_id("rfd", refund.public_id), refund.currency_id),
            seller=batch.sellers[order.seller_id],
            share=share,
            fee=refund.fee_minor,
        )
    )
    if changed is not None:
        again = min(refund.changed_back_minor, share.available)
        changed.again(again, margin=margin_of(refund), subject=public_id("rfd", refund.public_id))
        refund.changed_back_minor -= again


def _book(batch: Batch, refund: Refund, *, paid_out: bool) -> None:
    batch.changed_refunds.add(refund.pk)
    verb = movements.settle_refund if paid_out else movements.refund_returned
    batch.movements.append(
        verb(
            batch.heading(refund.book_id, public_id("rfd", refund.public_id), refund.currency_id),
            psp_account=batch.charges[refund.charge_id].psp_account.code,
            amount=refund.amount_minor,
        )
    )
    publish(batch, refund)


def _check(batch: Batch, refund: Refund, snapshot: Snapshot) -> None:
    # One that was found at the PSP is split over the orders of its charge.
    parts = [row for row in batch.refunds.values() if row.psp_id and row.psp_id == refund.psp_id] or [refund]
    amount = sum(row.amount_minor for row in parts)
    if snapshot.currency and (snapshot.amount_minor, snapshot.currency) != (amount, refund.currency_id):
        raise PspMismatch(
            f"the PSP says {snapshot.amount_minor} {snapshot.currency} minor units, "
            f"the refund is {amount} {refund.currency_id}"
        )
    if refund.psp_id and snapshot.psp_id and refund.psp_id != snapshot.psp_id:
        raise PspMismatch(f"the PSP has two refunds for this one: {refund.psp_id} and {snapshot.psp_id}")


def _failure_of(snapshot: Snapshot) -> dict[str, object]:
    failure = snapshot.failure
    if failure is None:
        return {"code": "refund_failed", "message": "The PSP could not pay the money back."}
    return {"code": failure.code, "message": failure.message, "psp_code": failure.psp_code}
