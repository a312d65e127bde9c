"""Scheduled payouts: sellers who are paid everything that is available, by the day or as soon as it is released.

The nightly run is a due row per book and day (`runs.py`), and its days are days in UTC: they are never shorter, longer
or missing, whatever clocks do. A seller is due when one of its days has come since it was last looked at, so a run that
was missed is made up for by the next one, and a run that is begun again goes on where it stopped. Chunks of a few
hundred sellers are transactions of their own.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import connection, transaction

from ledger import balances
from payments import payout_ways, payouts
from payments.errors import InvalidState
from payments.models import MerchantBook, PayoutDestination, Run, Seller
from payments.models.bulk import by_id, read_rows, update_rows
from payments.payout_stops import payouts_stopped
from payments.payouts import Due
from wallet import chart, holdings

CHUNK: Final = 250
ACTOR: Final = "schedule"
MAX_PAGES: Final = 400
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Outcome:
    """What a run led to, for its row."""

    sellers: int = 0
    payouts: int = 0
    amount_minor: dict[str, int] | None = None

    def as_result(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"sellers": self.sellers, "payouts": self.payouts, "amount_minor": self.amount_minor or {}}

    def add(self, made: Sequence[Due]) -> None:
        """Count payouts."""
        sums = dict(self.amount_minor or {})
        for due in made:
            sums[due.currency] = sums.get(due.currency, 0) + due.amount_minor
        self.payouts, self.amount_minor = self.payouts + len(made), sums


def run_book(run: Run, now: datetime) -> Mapping[str, Any]:
    """Pay the sellers of a book whose day it is (a kind of run). Raises `InvalidState` while the book is stopped."""
    assert run.book_id is not None, "payouts are scheduled per book"
    day = date.fromisoformat(run.period)
    outcome, after = Outcome(), 0
    if not MerchantBook.objects.filter(pk=run.book_id, default_psp_account__isnull=False).exists():
        return outcome.as_result()
    while True:
        with transaction.atomic():
            if payouts_stopped(run.book_id):
                raise InvalidState("payouts_stopped", "this book pays nothing out until a person has looked at it")
            keys = _next(run.book_id, day, after)
            if not keys:
                return outcome.as_result()
            after = keys[-1]
            outcome.sellers += len(keys)
            outcome.add(_pay(run.book_id, keys, day, now=now))


def pay_released(*, now: datetime) -> int:
    """Pay sellers on schedule `on_release` what is available; return how many payouts there were.

    Reads the wallets page by page and locks only those with money to pay out.
    """
    made, after = 0, 0
    for _ in range(MAX_PAGES):
        with connection.cursor() as cursor:
            cursor.execute(_RELEASED, [now, after, CHUNK])
            rows = cursor.fetchall()
        if not rows:
            return made
        after = rows[-1][0]
        found: dict[int, list[int]] = {}
        for seller_id, book_id in _with_money(rows):
            found.setdefault(book_id, []).append(seller_id)
        for book_id, sellers in sorted(found.items()):
            with transaction.atomic():
                if not payouts_stopped(book_id):
                    made += len(_pay(book_id, sellers, None, now=now))
    return made


def _with_money(rows: Sequence[tuple[int, int, UUID, str]]) -> list[tuple[int, int]]:
    """Leave out sellers who have nothing available; a reading, not a promise."""
    codes: dict[int, dict[str, int]] = {}
    for seller_id, book_id, public, currency in rows:
        codes.setdefault(book_id, {})[chart.seller(book_id, public, "available", currency).code] = seller_id
    return sorted(
        {
            (names[code], book_id)
            for book_id, names in codes.items()
            for code, balance in balances.of_codes(book_id, names).items()
            if balance.balance > 0
        }
    )


# Uses index: seller_by_payout_interval. Those whose day it cannot be are passed over without being locked.
_NEXT = """
SELECT s.id, s.payout_schedule ->> 'interval', s.payout_schedule ->> 'day',
       greatest(s.payouts_scheduled_through, (s.created_at AT TIME ZONE 'UTC')::date)
  FROM payments_seller s
 WHERE s.book_id = %s AND s.id > %s AND s.payout_schedule ->> 'interval' IN ('daily', 'weekly', 'monthly')
   AND s.closed_at IS NULL AND (s.payouts_scheduled_through IS NULL OR s.payouts_scheduled_through < %s)
 ORDER BY s.id LIMIT %s
"""
# Uses index: seller_by_payout_interval.
_RELEASED = """
SELECT s.id, s.book_id, s.public_id, d.currency
  FROM payments_seller s
  JOIN payments_merchantbook m ON m.book_id = s.book_id AND m.default_psp_account_id IS NOT NULL
  JOIN payments_payoutdestination d ON d.seller_id = s.id AND d.superseded_at IS NULL AND d.usable_at <= %s
 WHERE s.payout_schedule ->> 'interval' = 'on_release' AND s.closed_at IS NULL AND s.kyc_status = 'verified'
   AND s.id > %s
 ORDER BY s.id LIMIT %s
"""


def _next(book_id: int, day: date, after: int) -> list[int]:
    """Return the next sellers whose day has come since they were looked at, at most a chunk."""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_NEXT, [book_id, after, day, 4 * CHUNK])
            rows = cursor.fetchall()
        due = [
            key
            for key, interval, wanted, since in rows
            if is_due(interval, int(wanted) if wanted else 1, since=since, day=day)
        ]
        if due or len(rows) < 4 * CHUNK:
            return due[:CHUNK]
        after = rows[-1][0]


def is_due(interval: str, wanted: int, *, since: date, day: date) -> bool:
    """Say whether a scheduled day lies after `since` and not after `day`.

    `wanted` is the ISO weekday of `weekly`, the day of the month of `monthly`: one that a month does not have is its
    last day.
    """
    if interval == "daily":
        return since < day
    if interval == "weekly":
        return since < day - timedelta(days=(day.isoweekday() - wanted) % 7)
    this = _in_month(day, wanted)
    return since < (this if this <= day else _in_month(day.replace(day=1) - timedelta(days=1), wanted))


def _in_month(month: date, wanted: int) -> date:
    return month.replace(day=min(wanted, calendar.monthrange(month.year, month.month)[1]))


def _pay(book_id: int, seller_ids: Sequence[int], day: date | None, *, now: datetime) -> list[Due]:
    """Ask for everything that is available for each seller that may be paid; lock sellers, then their wallets."""
    sellers = by_id(read_rows(Seller, "id", seller_ids, lock=True))
    payable = {
        key: row
        for key, row in sellers.items()
        if row.closed_at is None
        and row.kyc_status == Seller.Kyc.VERIFIED
        and (day is None or row.payouts_scheduled_through is None or row.payouts_scheduled_through < day)
    }
    usable = [
        row
        for row in read_rows(PayoutDestination, "seller_id", payable, where="t.superseded_at IS NULL")
        if row.usable_at <= now
    ]
    destinations = payout_ways.reached(book_id, usable)
    with_money = _with_wallets(book_id, payable, destinations)
    held = holdings.lock(owner for owner, _ in with_money)
    due = []
    for owner, destination in with_money:
        seller, amount = payable[destination.seller_id], held[owner].available
        if amount >= max(1, payouts.minimum_minor(seller, destination.currency_id)):
            due.append(Due(seller, destination, amount))
    if day is not None:
        for row in sellers.values():
            row.payouts_scheduled_through = day
        update_rows(list(sellers.values()), ("payouts_scheduled_through",))
    payouts.request_due(book_id, due, actor=ACTOR, reference=f"scheduled-{day}" if day else None, now=now)
    return due


def _with_wallets(
    book_id: int, sellers: Mapping[int, Seller], destinations: Sequence[PayoutDestination]
) -> list[tuple[holdings.Owner, PayoutDestination]]:
    """Leave out who never sold anything in a currency: locking a wallet would open it."""
    owners = {
        (book_id, sellers[row.seller_id].public_id, row.currency_id): row
        for row in sorted(destinations, key=lambda row: (row.seller_id, row.pk))
    }
    if not owners:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT w.seller, w.currency FROM wallet_wallet w WHERE w.book_id = %s AND w.seller = ANY (%s::uuid[])",
            [book_id, list({str(owner[1]) for owner in owners})],
        )
        there = set(cursor.fetchall())
    return [(owner, row) for owner, row in owners.items() if (owner[1], owner[2]) in there]
