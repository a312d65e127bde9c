"""What the PSP's answer means for a refund."""

from __future__ import annotations

from ledger.ids import public_id
from payments.appliers.batch import Batch
from payments.models import Refund
from payments.psp.base import ObjectStatus, Snapshot
from wallet import movements


def apply_by_psp_id(batch: Batch, snapshot: Snapshot) -> None:
    """Apply a snapshot that nobody asked for by operation: a notification about a refund that was paid before."""
    for refund in batch.refunds.values():
        if refund.psp_id == snapshot.psp_id:
            apply(batch, refund, snapshot)


def apply(batch: Batch, refund: Refund, snapshot: Snapshot) -> None:
    """Move a locked refund forward and book it. A repeated or older snapshot does nothing."""
    charge = batch.charges[refund.charge_id]
    if snapshot.psp_id and refund.psp_id != snapshot.psp_id:
        refund.psp_id = snapshot.psp_id
        batch.changed_refunds.add(refund.pk)
    if snapshot.status == ObjectStatus.SUCCEEDED and refund.status == Refund.Status.PENDING:
        refund.succeeded()
        verb = movements.settle_refund
    elif snapshot.status == ObjectStatus.FAILED and refund.status == Refund.Status.SUCCEEDED:
        # After settlement the money is back at the PSP and still the buyer's: a person decides (DESIGN: movements).
        refund.failed()
        verb = movements.refund_returned
    elif refund.status == Refund.Status.PENDING and snapshot.status in (ObjectStatus.FAILED, ObjectStatus.CANCELLED):
        refund.failed()
        batch.changed_refunds.add(refund.pk)
        batch.touched_events.add(charge.event_id)
        return
    else:
        return
    batch.changed_refunds.add(refund.pk)
    batch.touched_events.add(charge.event_id)
    batch.movements.append(
        verb(
            batch.heading(refund.book_id, public_id("rfd", refund.public_id), refund.currency_id),
            psp_account=charge.psp_account.code,
            amount=refund.amount_minor,
        )
    )
