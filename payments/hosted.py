"""The PSP's own page: opened by a due row, because no web request waits for a PSP."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from payments import doorbell, settlement
from payments.appliers import batch as batches
from payments.appliers.batch import Batch, new_operation
from payments.cancellations import cancel_charge
from payments.models import Charge, PaymentEvent, PspOperation

_K = PspOperation.Kind
_S = Charge.Status
_PAYABLE = (_S.NEW, _S.REGISTERED, _S.FAILED)


def open_page(event: PaymentEvent, *, now: datetime) -> None:
    """See to it that the PSP opens a page for what is unpaid; its address appears on the charge (`payable_url`).

    Idempotent. A charge that was declined with a token cannot move to the PSP's page: it is cancelled there first, and
    a second one is opened when the PSP has said so.
    """
    with transaction.atomic():
        batch = batches.lock([event.pk], now=now)
        before = settlement.statuses_of(batch)
        charge = _next_unpaid(batch, event.pk)
        if charge is None or charge.session_id or charge.cancel_reason:
            return
        if any(operation.charge_id == charge.pk for operation in batch.operations.values()):
            return
        if charge.status == _S.NEW:
            batch.new_operations.append(
                new_operation(
                    _K.HOSTED_SESSION,
                    batch.events[event.pk],
                    charge,
                    now=now,
                    amount_minor=charge.amount_minor,
                )
            )
        else:
            cancel_charge(batch, charge, "replaced")
        settlement.commit_batch(batch, before)
    doorbell.ring("psp")


def payable_url(event: PaymentEvent) -> str | None:
    """Return the address of the PSP's page for the next unpaid charge, once it is open (one statement)."""
    charge = (
        Charge.objects.filter(event=event, status__in=_PAYABLE, cancel_reason="").exclude(session_url="")
        .order_by("id").first()
    )  # fmt: skip
    return charge.session_url if charge else None


def _next_unpaid(batch: Batch, event_id: int) -> Charge | None:
    """Return the first charge that the buyer still has to pay; several (charge_mode per_order) are paid one by one."""
    unpaid = [charge for charge in batch.charges_of(event_id) if charge.status in _PAYABLE]
    return min(unpaid, key=lambda charge: charge.pk, default=None)
