"""Periods: months and years of a book are closed softly, then for good. What is closed takes no entry any more.

The database refuses what is effective in a closed period, and closes without a race (`ledger/sql/0003/periods.sql`).
A fact that comes too late is posted at the first open instant and keeps its own date as `occurred_at` (`landing`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection, transaction

from ledger.errors import PeriodOrder
from ledger.models import Period
from ledger.posting import refusal

_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Balance:
    """An account at the end of a closed period, in minor units, debit positive."""

    account_id: int
    code: str
    currency: str
    opening: int
    movement: int
    closing: int


def soft_close(book_id: int, *, ends_at: datetime, may_post: Sequence[str], actor: str, now: datetime) -> int:
    """Close a book before `ends_at` to everyone but the actors named; return the period. Repeatable to name others.

    Raises `PeriodOrder` unless the period before is closed and this one is over.
    """
    return int(_call("ledger_soft_close(%s, %s, %s::text[], %s, %s)", book_id, ends_at, list(may_post), now, actor))


def begin_close(period_id: int, *, actor: str, now: datetime) -> None:
    """Refuse every posting into a softly closed period from the commit of this on. Commit it before `finish_close`."""
    _call("ledger_begin_close(%s, %s, %s)", period_id, now, actor)


def finish_close(period_id: int, *, actor: str, now: datetime) -> bool:
    """Store the trial balance and close for good, once nobody can still be posting into the period.

    False: a transaction that began before is still running; call again. The first call always says so.
    """
    return bool(_call("ledger_finish_close(%s, %s, %s)", period_id, now, actor))


def finish_within(period_id: int, *, seconds: float, actor: str, now: datetime) -> bool:
    """Call `finish_close` until it says yes, each time in a transaction of its own; give up after `seconds`.

    Not to be called in a transaction: that would itself be one that is still running.
    """
    ends = time.monotonic() + seconds
    while True:
        with transaction.atomic():
            if finish_close(period_id, actor=actor, now=now):
                return True
        if time.monotonic() >= ends:
            return False
        time.sleep(_PAUSE_SECONDS)


def require_closing(period_id: int) -> None:
    """Raise `PeriodOrder` unless the period is being closed."""
    if not Period.objects.filter(pk=period_id, status=Period.Status.CLOSING).exists():
        raise PeriodOrder("the period is not being closed")


def balances(period_id: int, *, limit: int | None = None) -> list[Balance]:
    """Return the stored trial balance of a closed period, by account code. Sums to zero per currency."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT b.account_id, a.code, a.currency, b.opening, b.movement, b.closing"
            "  FROM ledger_period_balance b JOIN ledger_account a ON a.id = b.account_id"
            " WHERE b.period_id = %s ORDER BY a.code LIMIT %s",
            [period_id, limit],
        )
        return [
            Balance(pk, code, currency, int(opening), int(movement), int(closing))
            for pk, code, currency, opening, movement, closing in cursor.fetchall()
        ]


def landing(book_id: int, occurred_at: datetime) -> tuple[datetime, datetime | None]:
    """Return the effective date for a fact of `occurred_at`, and what to keep as its own date.

    That is its own date where the period is open, and otherwise the first open instant.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT greatest(closed_before, soft_closed_before) FROM ledger_book WHERE id = %s", [book_id])
        row = cursor.fetchone()
    opened_at: datetime | None = row[0] if row else None
    if opened_at is None or occurred_at >= opened_at:
        return occurred_at, None
    return opened_at, occurred_at


def _call(function: str, *parameters: Any) -> Any:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT " + function, parameters)
            return cursor.fetchone()[0]
    except DatabaseError as error:
        raise refusal(error) from error
