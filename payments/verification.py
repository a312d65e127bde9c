"""Verification: the books as they grow, everything every night and on demand; a wrong sum stops payouts.

The checks themselves are in `ledger.checking`, `ledger.invariants` and `payments.invariants`. Here is when they run, in
which snapshot, where their findings are written, and what follows from them. Nothing is repaired.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import connection, transaction

from ledger import checking
from ledger import invariants as books
from ledger.checking import TRANSACTIONS_PER_STEP, Watermark
from ledger.invariants import LIMIT, Violation
from payments import invariants, payout_stops
from payments.models import Run

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What a full check found, how much it looked at, and how far the incremental one had come."""

    violations: list[Violation]
    warnings: list[Violation]
    checked: dict[str, int]
    watermark: Watermark


def verify_new(*, now: datetime, seconds: float = 2.0) -> int:
    """Verify what was committed since the last time, for at most about `seconds`; return how many transactions.

    Each step commits its cursor, its findings and the stops that follow from them together, so a crash between steps
    loses nothing and repeats nothing. The sums of the books are looked at when nothing is left to pass.
    """
    ends, passed = time.monotonic() + seconds, 0
    while True:
        with transaction.atomic():
            step = checking.step(now=now)
            _act(step.findings, step.violations, actor="check:incremental", now=now)
        passed += step.passed
        if step.passed < TRANSACTIONS_PER_STEP:
            break
        if time.monotonic() >= ends:
            return passed
    with transaction.atomic():
        sums = checking.sums(now=now)
        _act(sums.findings, sums.violations, actor="check:sums", now=now)
    return passed


def look_at_everything() -> Report:
    """Run every check over all books, in one read-only snapshot; payments that move meanwhile raise no false alarm.

    Inside a transaction it checks what that transaction sees.
    """
    inside = connection.in_atomic_block
    snapshot: AbstractContextManager[None] = nullcontext() if inside else transaction.atomic()
    with snapshot:
        if not inside:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        violations = books.violations()
        findings = invariants.check()
        checked = invariants.counts()
        watermark = checking.watermark()
    checked["checks"] = len(books.names()) + len(invariants.names())
    return Report([*violations, *findings.violations], findings.warnings, checked, watermark)


def verify_everything(*, now: datetime, actor: str = "check:full") -> Report:
    """Look at everything, write the findings down, and stop payouts where a sum is wrong.

    A server that only reads (a standby, a session set to read only) is looked at all the same; nothing is written down.
    """
    report = look_at_everything()
    if _may_write():
        with transaction.atomic():
            checking.record_full(now, transactions=report.checked["transactions"], violations=report.violations)
            _act(report.violations, len(report.violations), actor=actor, now=now)
    return report


def full_check(_run: Run, now: datetime) -> Mapping[str, Any]:
    """Do the nightly run: everything, over all books."""
    report = verify_everything(now=now)
    return {
        "ok": not report.violations,
        "checked": report.checked,
        "violations": [{"check": found.check, "detail": found.detail} for found in report.violations[:LIMIT]],
        "warnings": len(report.warnings),
    }


def _act(found: Sequence[Violation], count: int, *, actor: str, now: datetime) -> None:
    if found:
        checks = sorted({violation.check for violation in found})
        log.error("books_wrong", actor=actor, violations=count, checks=checks, first=found[0].detail)
        payout_stops.stop(found, actor=actor, now=now)


def _may_write() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'off'")
        return bool(cursor.fetchone()[0])
