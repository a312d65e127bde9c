"""Refunds that were found at the PSP: a person says that they are refunds of their charge's orders.

Then they are booked as if they had been asked for here: by the merchant's fee policy, split over the orders by what is
left of each; and followed at the PSP until they are paid. Nothing is sent.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction

from ledger.money import allocate, format_minor
from payments import doorbell, refunds, settlement
from payments.appliers import batch as batches
from payments.appliers.batch import Batch
from payments.errors import InvalidState, NotFound, Unprocessable
from payments.models import Charge, FoundRefund, PspOperation

log = structlog.get_logger(__name__)
_NEVER_PAID = ("failed", "cancelled")


def is_open(found: FoundRefund) -> bool:
    """Say whether a person has to decide about a refund."""
    return found.decided_at is None and found.psp_status not in _NEVER_PAID


def book(found_id: int, *, actor: str, now: datetime) -> FoundRefund:
    """Book a refund that was found at the PSP as refunds of its charge's orders. `actor` is a person (`user:...`).

    Locks the payment, then the found refund, then the sellers' wallets. Raises `NotFound`, `InvalidState` when it was
    decided or needs no decision, `Unprocessable` when less is left of the orders.
    """
    charge_id = FoundRefund.objects.filter(pk=found_id).values_list("charge_id", flat=True).first()
    if charge_id is None:
        raise NotFound("not_found", "There is no such refund.")
    event_id = Charge.objects.values_list("event_id", flat=True).get(pk=charge_id)
    with transaction.atomic():
        batch = batches.lock([event_id], now=now)
        before = settlement.statuses_of(batch)
        found = FoundRefund.objects.select_for_update(no_key=True).get(pk=found_id)
        charge = batch.charges[charge_id]
        if not is_open(found):
            raise InvalidState("invalid_state", "This refund was booked, or did not happen.")
        if charge.status == Charge.Status.LATE_SUCCESS:
            _take_for_ours(batch, charge, found)
        else:
            _share_out(batch, charge, found)
        found.decided_at, found.decided_by = now, actor
        found.save(update_fields=["decided_at", "decided_by"])
        settlement.commit_batch(batch, before)
        log.info("found_refund_booked", psp_id=found.psp_id, charge_id=charge_id, actor=actor)
    doorbell.ring("psp")
    return found


def _share_out(batch: Batch, charge: Charge, found: FoundRefund) -> None:
    """Let the orders of a paid charge bear a refund, by what is left of each."""
    orders = batch.orders_of(charge)
    left = [refunds.left_of(order) for order in orders]
    if found.currency_id != charge.currency_id or found.amount_minor > sum(left):
        shown = f"{format_minor(sum(left), charge.currency_id)} {charge.currency_id}"
        raise Unprocessable("refund_exceeds_captured", f"Of this charge {shown} can still be refunded.")
    for order, amount in zip(orders, allocate(found.amount_minor, left), strict=True):
        if amount:
            refunds.follow(batch, order, amount, found.psp_id)


def _take_for_ours(batch: Batch, charge: Charge, found: FoundRefund) -> None:
    """Take a refund of money that came too late for the one that we owe: the PSP has refused ours, as nothing is left.

    Raises `InvalidState` while our own call may still pay it, and for another amount.
    """
    for refund in batch.refunds.values():
        calls = [call for call in batch.operations_of(charge.event_id) if call.refund_id == refund.pk]
        is_refused = all(call.state == PspOperation.State.DEAD for call in calls)
        if refund.charge_id == charge.pk and refund.psp_id is None and calls and is_refused:
            if (refund.amount_minor, refund.currency_id) != (found.amount_minor, found.currency_id):
                break
            refund.psp_id = found.psp_id
            batch.changed_refunds.add(refund.pk)
            for call in calls:
                call.parameters = {**call.parameters, "psp_id": found.psp_id}
                call.state, call.dead_at, call.due_at = PspOperation.State.UNKNOWN, None, batch.now
                batch.changed_operations.add(call.pk)
            return
    raise InvalidState("invalid_state", "It is not the refund that is owed, or our own call may still pay that.")
