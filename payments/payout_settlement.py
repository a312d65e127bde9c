"""Settlement of payouts: what PSPs say about payouts, and about the money that they need, ends here.

One database transaction a batch: lock, move forward, write, publish, post. It never calls a PSP. A payout is taken up
only within proven funding: what the PSP says is available, less what we may have sent since it was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django_fsm import TransitionNotAllowed

from ledger.errors import LedgerError
from payments import doorbell, retries
from payments.appliers import funding
from payments.appliers import payout_batch as batches
from payments.appliers import payouts as applier
from payments.appliers.batch import PspMismatch
from payments.appliers.payouts import FundingReport, PayoutReport
from payments.models import BankInstruction, Payout, PspFunding, PspOperation
from payments.models.bulk import StaleRows, read_rows
from payments.psp.base import Outcome

log = structlog.get_logger(__name__)
MAX_REPORTS = 500
# Clocks of workers differ: what was closed shortly before the question counts as not contained in its answer.
CLOCK_SKEW = timedelta(minutes=1)


def apply(reports: Sequence[PayoutReport | FundingReport], *, now: datetime) -> None:
    """Apply reports. Idempotent: what was applied before, or is older than what we know, changes nothing.

    Payouts are settled in batches; one that fails is repeated one by one, and a bad report stays due.
    """
    about = [report for report in reports if isinstance(report, PayoutReport)]
    for start in range(0, len(about), MAX_REPORTS):
        _settle(about[start : start + MAX_REPORTS], now=now)
    for report in reports:
        if isinstance(report, FundingReport):
            _fund(report, now=now)
    doorbell.ring("psp")


def _settle(reports: Sequence[PayoutReport], *, now: datetime) -> None:
    try:
        with transaction.atomic():
            batch = batches.lock((report.payout_id for report in reports), now=now)
            for report in reports:
                applier.apply(batch, report)
            batches.write(batch)
    except (StaleRows, LedgerError, TransitionNotAllowed, DatabaseError, PspMismatch) as error:
        if len(reports) > 1:
            log.warning("payout_batch_split", reports=len(reports), error=f"{type(error).__name__}: {error}")
            for report in reports:
                _settle([report], now=now)
            return
        log.exception("payout_settlement_failed", payout_id=reports[0].payout_id)
        _put_off(reports[0], f"{type(error).__name__}: {error}", now=now)


def _put_off(report: PayoutReport, reason: str, *, now: datetime) -> None:
    """Schedule the operation of a report that could not be written again, or put it in front of a person."""
    if report.operation_id is None:
        return
    with transaction.atomic():
        batch = batches.lock([report.payout_id], now=now)
        operation = batch.operations.get(report.operation_id)
        if operation is not None and operation.fence == report.fence:
            operation.error_code, operation.error_message = "settlement_failed", reason[:500]
            operation.lease_until = None
            applier.again(batch, operation, retries.UNKNOWN, PspOperation.State.UNKNOWN)
            batches.write(batch)


def _fund(report: FundingReport, *, now: datetime) -> None:
    """Take up the payouts that the answer about a balance pays for, oldest first; the others wait, visibly."""
    with transaction.atomic():
        (row,) = read_rows(PspFunding, "id", [report.funding_id], lock=True)
        if row.fence != report.fence:
            return
        row.lease_until = None
        snapshot = report.result.snapshot
        if report.result.outcome != Outcome.SUCCEEDED or snapshot is None:
            row.next_at = now + (retries.FUNDING.wait(min(row.tries, retries.FUNDING.max_tries - 1)) or timedelta(0))
            row.save(update_fields=["lease_until", "next_at"])
            return
        row.available_minor, row.asked_at, row.next_at, row.tries = snapshot.amount_minor, report.asked_at, None, 0
        row.save(update_fields=["lease_until", "next_at", "available_minor", "asked_at", "tries"])
        waiting, clock = _waiting(row)
        batch = batches.lock(waiting, now=now)
        funding.allot(batch, snapshot.amount_minor - _may_be_missing(row, report.asked_at), now=now, clock=clock)
        batches.write(batch)


# Uses index: payout_due.
_WAITING = """
SELECT id, florin_now() FROM payments_payout
 WHERE due_at <= florin_now() AND status = 'pending' AND psp_account_id = %s AND currency = %s ORDER BY id LIMIT %s
"""
# Transfers that the answer may not contain: under way, or ended around or after the question. A proven no is none.
_UNDER_WAY = """
SELECT coalesce(sum(o.amount_minor), 0) FROM payments_pspoperation o JOIN payments_payout p ON p.id = o.payout_id
 WHERE o.kind = 'transfer' AND o.psp_account_id = %s AND p.currency = %s
   AND (o.closed_at IS NULL OR o.outcome = 'succeeded' AND o.closed_at > %s)
"""


def _waiting(row: PspFunding) -> tuple[list[int], datetime | None]:
    """Return the payouts that are due, and the time by the clock that they are due by."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [row.psp_account_id, row.currency_id, settings.PAYOUTS_PER_FUNDING])
        found = cursor.fetchall()
    return [key for key, _ in found], found[0][1] if found else None


def _may_be_missing(row: PspFunding, asked_at: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_UNDER_WAY, [row.psp_account_id, row.currency_id, asked_at - CLOCK_SKEW])
        (amount,) = cursor.fetchone()
    return int(amount)


def cancel(payout_id: int, *, now: datetime) -> Payout | None:
    """Cancel a payout of which nothing was sent, or ask the PSP to stop one that it has, in the caller's transaction.

    `None` when it is too late for both. Asking again while the PSP is being asked changes nothing.
    """
    batch = batches.lock([payout_id], now=now)
    payout = batch.payouts[payout_id]
    under_way = [operation for operation in batch.operations.values() if operation.payout_id == payout_id]
    if payout.status in Payout.SET_ASIDE:
        in_a_file = BankInstruction.objects.filter(payout_id=payout_id, withdrawn_at__isnull=True)
        if in_a_file.exists() or any(
            o.kind == PspOperation.Kind.CREATE_PAYEE or o.first_sent_at is not None for o in under_way
        ):
            return None
        applier.cancel(batch, payout)
    elif payout.status == Payout.Status.SENT and payout.psp_id:
        asked = [operation for operation in under_way if operation.kind == PspOperation.Kind.CANCEL_PAYOUT]
        if any(operation.dead_at is not None for operation in asked):
            return None
        if not asked:
            batch.operation(payout, PspOperation.Kind.CANCEL_PAYOUT)
    else:
        return None
    batches.write(batch)
    return payout
