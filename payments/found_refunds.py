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
from payments.errors import InvalidState, NotFound, Unprocessable
from payments.models import Charge, FoundRefund

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
        if not is_open(found) or charge.status != Charge.Status.SUCCEEDED:
            raise InvalidState("invalid_state", "This refund was booked, did not happen, or is of no paid order.")
        orders = batch.orders_of(charge)
        left = [refunds.left_of(order) for order in orders]
        if found.currency_id != charge.currency_id or found.amount_minor > sum(left):
            shown = f"{format_minor(sum(left), charge.currency_id)} {charge.currency_id}"
            raise Unprocessable("refund_exceeds_captured", f"Of this charge {shown} can still be refunded.")
        for order, amount in zip(orders, allocate(found.amount_minor, left), strict=True):
            if amount:
                refunds.follow(batch, order, amount, found.psp_id)
        found.decided_at, found.decided_by = now, actor
        found.save(update_fields=["decided_at", "decided_by"])
        settlement.commit_batch(batch, before)
        log.info("found_refund_booked", psp_id=found.psp_id, charge_id=charge_id, actor=actor)
    doorbell.ring("psp")
    return found
