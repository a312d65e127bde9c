"""Settlement: everything the outside world tells us about money ends here.

The answer to a call, a notification, a poll and (later) a settlement file all become a `Report`. One database
transaction locks the checkouts, lets the appliers move the state machines forward, writes the rows, posts to wallet
and ledger, and publishes what happened. It never calls a PSP: what has to be done elsewhere becomes a due row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import Error as DatabaseError
from django.db import transaction
from django_fsm import TransitionNotAllowed

from ledger.errors import LedgerError
from payments import doorbell, outbox, representations, work
from payments.appliers import batch as batches
from payments.appliers import charges, disputes, operations, statuses
from payments.appliers.batch import Batch, PspMismatch, Report
from payments.models import PaymentEvent, PaymentOrder, PspOperation
from payments.models.bulk import StaleRows
from payments.outbox import Fact
from payments.psp.base import ObjectKind, ObjectStatus
from payments.work import Claim
from wallet import movements

log = structlog.get_logger(__name__)
MAX_REPORTS = 500


@dataclass(frozen=True, slots=True)
class Applied:
    """How many reports were applied, and what was claimed with them: committed as sent, not sent yet."""

    count: int
    claimed: list[tuple[PspOperation, Claim]]


def apply(reports: Sequence[Report], *, now: datetime) -> int:
    """Apply reports, all in one transaction and a fixed number of statements; return how many were applied.

    Idempotent: a report that was applied before, or is older than what we know, changes nothing. A batch that fails
    is repeated one report at a time, so that one bad report never holds up the others; it stays due and is retried.
    """
    return advance(reports, now=now, claim_next=False).count


def advance(reports: Sequence[Report], *, now: datetime, claim_next: bool = True) -> Applied:
    """Apply reports as `apply` does, and claim what they made due: the payment that follows a registration.

    Saves the caller a round: the claim commits together with the id of the PSP object that is to be paid. The
    operations come with their checkout, charge and PSP account loaded.
    """
    if not reports:
        return Applied(0, [])
    assert len(reports) <= MAX_REPORTS
    try:
        claimed = _apply(reports, now=now, claim_next=claim_next)
    except (StaleRows, LedgerError, TransitionNotAllowed, DatabaseError) as error:
        if len(reports) == 1:
            log.exception("settlement_failed", event_id=reports[0].event_id)
            _put_off(reports[0], f"{type(error).__name__}: {error}", now=now)
            return Applied(0, [])
        log.warning("settlement_batch_split", reports=len(reports), error=f"{type(error).__name__}: {error}")
        parts = [advance([report], now=now, claim_next=claim_next) for report in reports]
        return Applied(sum(part.count for part in parts), [item for part in parts for item in part.claimed])
    doorbell.ring("psp")
    return Applied(len(reports), claimed)


def _put_off(report: Report, reason: str, *, now: datetime) -> None:
    """Schedule the operation of a report that could not be written again, or put it in front of a person."""
    if report.operation_id is None:
        return
    with transaction.atomic():
        batch = batches.lock([report.event_id], now=now)
        operation = batch.operations.get(report.operation_id)
        if operation is not None and operation.fence == report.fence:
            operations.put_off(batch, operation, reason)
            batches.write(batch)
            outbox.publish(batch.facts, now=now)


def _apply(reports: Sequence[Report], *, now: datetime, claim_next: bool) -> list[tuple[PspOperation, Claim]]:
    with transaction.atomic():
        about_disputes = any(report.about_dispute for report in reports)
        batch = batches.lock((report.event_id for report in reports), now=now, disputes=about_disputes)
        before = statuses_of(batch)
        for report in reports:
            _apply_one(batch, report)
        commit_batch(batch, before)
        # Last: the row of the PSP account is locked after everything else.
        return _claim_next(batch) if claim_next else []


def _claim_next(batch: Batch) -> list[tuple[PspOperation, Claim]]:
    """Claim what the batch made due, as far as its accounts allow; the rest stays due for the next claim."""
    waiting = {operation.pk: operation for operation in batch.next if operation.due_at is not None}
    if not waiting:
        return []
    claimed = [(waiting[claim.id], claim) for claim in work.claim_named(list(waiting))]
    for operation, _ in claimed:
        assert operation.charge_id is not None
        operation.event, operation.charge = batch.events[operation.payment_id], batch.charges[operation.charge_id]
        operation.psp_account = operation.charge.psp_account
    return claimed


def _apply_one(batch: Batch, report: Report) -> None:
    operation = batch.operations.get(report.operation_id) if report.operation_id is not None else None
    try:
        if operation is not None and operation.closed_at is None and operation.fence == report.fence:
            operations.apply(batch, operation, report)
        elif report.result.snapshot is not None and report.result.snapshot.kind == ObjectKind.REFUND:
            operations.hear_of_refund(batch, report.charge_id, report.result.snapshot)
        elif report.about_dispute:
            if report.result.snapshot is not None and report.charge_id is not None:
                disputes.apply(batch, batch.charges[report.charge_id], report.result.snapshot)
        elif report.charge_id is not None and report.result.snapshot is not None:
            # Nobody holds the operation any more (or there is none), but what the PSP said of the charge still counts.
            charge = batch.charges[report.charge_id]
            if not _is_stale_decline(report, charge.status):
                charges.apply(batch, charge, report.result.snapshot, answers_own_call=False)
    except PspMismatch as mismatch:
        log.error("psp_mismatch", charge_id=report.charge_id, detail=str(mismatch))
        if operation is not None:
            operations.quarantine(batch, operation, str(mismatch))
    if report.charge_id is not None:
        charge = batch.charges[report.charge_id]
        operations.close_overtaken(batch, charge)
        charges.stop_polling(batch, charge)


def _is_stale_decline(report: Report, status: str) -> bool:
    """Say whether a decline may be older than what we know: the charge has moved on since the question was put.

    A decline is the one state that an object at the PSP leaves again. What is passed over here is asked for again by
    the poll of a charge under way.
    """
    declined = report.result.snapshot is not None and report.result.snapshot.status == ObjectStatus.DECLINED
    return declined and report.charge_status not in ("", status)


def commit_batch(batch: Batch, before: Mapping[int, str]) -> None:
    """Write a batch: decisions that need a locked wallet, derived statuses, rows, facts, and the money last.

    For flows that change locked checkouts without a report (process, capture, cancel). `before` holds the status of
    each order when it was locked.
    """
    batch.take_decisions()
    _close_events(batch, before)
    batches.write(batch)
    outbox.publish(batch.facts, now=batch.now)
    movements.record(batch.movements, now=batch.now)


def statuses_of(batch: Batch) -> dict[int, str]:
    """Return the status of each locked order, to be handed to `commit_batch` after the changes."""
    return {order.pk: order.status for order in batch.orders.values()}


def _close_events(batch: Batch, before: Mapping[int, str]) -> None:
    """Derive the status of each touched checkout and publish what changed."""
    for event_id in sorted(batch.touched_events):
        event = batch.events[event_id]
        orders = batch.orders_of_event(event_id)
        status = statuses.derive(orders, batch.charges_of(event_id), saving_needs_action=event.next_action is not None)
        changed = [order for order in orders if order.status != before[order.pk]]
        if status == event.status and not changed:
            continue
        previous, event.status = event.status, status
        event.version += 1
        event.updated_at = batch.now
        if status in statuses.TERMINAL:
            event.expiry_due_at = None
        _publish(batch, event, orders, changed, status_changed=status != previous)


def _publish(
    batch: Batch,
    event: PaymentEvent,
    orders: Sequence[PaymentOrder],
    changed: Sequence[PaymentOrder],
    *,
    status_changed: bool,
) -> None:
    kinds = {
        PaymentOrder.Status.SUCCESS: "payment_order.succeeded",
        PaymentOrder.Status.FAILED: "payment_order.failed",
    }
    for order in changed:
        kind = kinds.get(PaymentOrder.Status(order.status))
        if kind is not None:
            shown = representations.payment_order(order, event, seller_public_id=batch.sellers[order.seller_id])
            shown["version"] = event.version
            batch.facts.append(Fact(event.book_id, kind, "payment", event.pk, shown))
    kind = statuses.FACT_TYPES.get(PaymentEvent.Status(event.status)) if status_changed else None
    if kind is not None:
        batch.facts.append(
            Fact(
                event.book_id,
                kind,
                "payment",
                event.pk,
                representations.payment(event, orders, sellers=batch.sellers),
            )
        )
