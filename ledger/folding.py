"""Folding: moves the tail of recording accounts into their totals and anchors, behind every running transaction.

A balance is exact with or without it; folding keeps the tail short that exact balances have to add. It must never
hold up a posting: it takes no lock that a posting takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

TRANSACTIONS_PER_STEP = 10_000
MAX_STEPS = 100


@dataclass(frozen=True, slots=True)
class Tail:
    """What is not folded yet: how many transactions, and when the oldest of them was posted."""

    transactions: int
    oldest: datetime | None


def fold(*, now: datetime) -> int:
    """Fold what can be folded, in steps that commit by themselves outside a transaction; return how many transactions.

    What is dated otherwise than it was posted is folded a second time, into the anchors of effective dates.

    Idempotent, and safe beside others: whoever comes second does nothing. Transactions that started before a running
    one wait for it.
    """
    folded = _in_steps("SELECT ledger_fold(%s, %s)", now)
    _in_steps("SELECT ledger_fold_redated(%s, %s)", now)
    return folded


def tail() -> Tail:
    """Return the length and age of the tail: a metric, and an alert when a long transaction holds it up."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT transactions, oldest FROM ledger_tail()")
        return Tail(*cursor.fetchone())


def folded_at() -> datetime | None:
    """Return when the mark was moved last; `None` before the first time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT folded_at FROM ledger_fold_mark")
        found: datetime | None = cursor.fetchone()[0]
        return found


def _in_steps(statement: str, now: datetime) -> int:
    folded = 0
    for _ in range(MAX_STEPS):
        with connection.cursor() as cursor:
            cursor.execute(statement, [now, TRANSACTIONS_PER_STEP])
            done: int = cursor.fetchone()[0]
        folded += done
        if done < TRANSACTIONS_PER_STEP:
            break
    return folded
