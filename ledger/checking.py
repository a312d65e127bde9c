"""Checking as the books grow: verifies each transaction once, soon after its commit, and remembers how far it came.

A full check (`ledger.invariants`) reads everything and takes as long as the history is. This one reads what is new, by
a cursor in the order that no late commit can disturb (`ledger/sql/0008/checking.sql`), and keeps what it verified of
each account: so a balance is compared with its whole history at the cost of its newest entries. What is changed behind
the cursor it does not see; the nightly full check does. It repairs nothing, and locks nothing that a posting takes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from ledger.invariants import LIMIT, Violation

TRANSACTIONS_PER_STEP = 5_000
ACCOUNTS_PER_ROUND = 5_000
# The sums are over all accounts, so they are looked at less often.
SUMS_EVERY = timedelta(minutes=5)
UNVERIFIED_COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class Step:
    """What one step passed, and what it found (at most 100 findings, and how many there were)."""

    passed: int
    violations: int
    findings: list[Violation]


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far the books are verified: through which entry and when, how much in all, and what still waits.

    `entry_id` is the last entry of the last transaction in commit order. `unverified` stops counting at 100,000.
    """

    entry_id: int
    checked_at: datetime | None
    sums_at: datetime | None
    transactions: int
    entries: int
    unverified: int
    oldest_unverified: datetime | None


def step(*, now: datetime, limit: int = TRANSACTIONS_PER_STEP) -> Step:
    """Verify the next transactions that no running one can come before; findings and cursor are written together.

    Safe beside others: whoever comes second passes nothing. Transactions that started after a running one wait for it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT passed, violations, findings FROM ledger_check(%s, %s)", [now, limit])
        return _step(cursor.fetchone())


def sums(*, now: datetime, every: timedelta = SUMS_EVERY) -> Step:
    """Look at the sums of all books and at the next wallets of the round, unless that was done less than `every` ago.

    For when `step` has nothing left to pass.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 0, violations, findings FROM ledger_check_sums(%s, %s, %s)", [now, now - every, ACCOUNTS_PER_ROUND]
        )
        return _step(cursor.fetchone())


def record_full(started: datetime, *, transactions: int, violations: Sequence[Violation]) -> None:
    """Write down that everything was checked, and what was found. Moves no cursor."""
    findings = [{"check": v.check, "detail": v.detail, "book": v.book_id} for v in violations[:LIMIT]]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ledger_record_full_check(%s, %s, %s, %s::jsonb)",
            [started, transactions, len(violations), json.dumps(findings)],
        )


def watermark() -> Watermark:
    """Return how far the books are verified."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.entry_id, m.checked_at, m.sums_at, m.transactions, m.entries, u.transactions, u.oldest"
            "  FROM ledger_check_mark m, ledger_unverified(%s) u",
            [UNVERIFIED_COUNTED],
        )
        return Watermark(*cursor.fetchone())


def _step(row: tuple[int, int, str | list[dict[str, Any]]]) -> Step:
    passed, violations, found = row
    listed: list[dict[str, Any]] = json.loads(found) if isinstance(found, str) else found
    return Step(passed, violations, [Violation(one["check"], one["detail"], one["book"]) for one in listed])
