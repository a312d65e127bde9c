"""What the PSP says of a refund whose id we do not know: one of ours after all, or noted for a person.

A refund that nobody asked us for leaves the books untouched.
"""

from __future__ import annotations

from uuid import UUID

from payments.appliers.batch import Batch
from payments.models import Charge, FoundRefund, PspOperation, Refund
from payments.psp.base import Snapshot


def made_by_us(batch: Batch, snapshot: Snapshot) -> Refund | None:
    """Return the locked refund that a call of ours made, by the operation that the PSP's metadata name."""
    try:
        name = UUID(snapshot.metadata.get("florin_operation", ""))
    except ValueError:
        return None
    # Uses the unique index of public_id. Ended operations are not in the batch.
    refund_id = PspOperation.objects.filter(public_id=name).values_list("refund_id", flat=True).first()
    refund = batch.refunds.get(refund_id) if refund_id is not None else None
    return refund if refund is not None and not refund.psp_id else None


def note(batch: Batch, charge: Charge, snapshot: Snapshot) -> None:
    """Note a refund of a locked charge that is none of ours, or where it stands now. Idempotent."""
    batch.found_refunds.append(
        FoundRefund(
            book_id=charge.book_id,
            psp_account_id=charge.psp_account_id,
            charge=charge,
            psp_id=snapshot.psp_id,
            psp_status=str(snapshot.status),
            currency_id=snapshot.currency,
            amount_minor=snapshot.amount_minor,
            found_at=batch.now,
            seen_at=batch.now,
        )
    )
