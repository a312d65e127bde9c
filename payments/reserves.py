"""Reserves: what was held back of a release is given back when its time is over; what the seller owes is netted first.

Due rows of the database alone, worked off as releases are: SKIP LOCKED, hundreds in one transaction, one by one when a
batch fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import Error as DatabaseError
from django.db import connection, transaction

from ledger.errors import LedgerError
from ledger.ids import public_id
from payments.models import ReserveHold
from payments.models.bulk import StaleRows, read_rows, update_rows
from wallet import holdings, movements
from wallet.holdings import Owner
from wallet.movements import Heading

FREE_AT_MOST: Final = 300
AGAIN_AFTER: Final = timedelta(minutes=10)
_NAMES: Final = (
    "(SELECT ARRAY[s.public_id, o.public_id] FROM payments_seller s, payments_paymentorder o"
    " WHERE s.id = t.seller_id AND o.id = t.order_id) AS names"
)
log = structlog.get_logger(__name__)


def free_due(*, now: datetime, limit: int = FREE_AT_MOST) -> int:
    """Give back what was held back long enough, all in one transaction; return how many were due."""
    with transaction.atomic():
        due = _claim(limit)
        try:
            with transaction.atomic():
                _free(due, now=now)
            return len(due)
        except (StaleRows, LedgerError, DatabaseError) as error:
            log.warning("reserve_batch_split", reserves=len(due), error=f"{type(error).__name__}: {error}")
    for hold_id in due:
        _free_alone(hold_id, now=now)
    return len(due)


def _claim(limit: int) -> list[int]:
    with connection.cursor() as cursor:
        # Uses index: reserve_to_free.
        cursor.execute(
            "SELECT id FROM payments_reservehold WHERE due_at <= florin_now()"
            " ORDER BY due_at, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED",
            [limit],
        )
        return [row[0] for row in cursor.fetchall()]


def _free_alone(hold_id: int, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            _free([hold_id], now=now)
    except (StaleRows, LedgerError, DatabaseError):
        log.exception("reserve_failed", reserve_id=hold_id)
        ReserveHold.objects.filter(pk=hold_id, freed_at__isnull=True).update(due_at=now + AGAIN_AFTER)


def _free(hold_ids: Iterable[int], *, now: datetime) -> None:
    """Free reserves in the caller's transaction: a fixed number of statements. Freed ones are passed over."""
    rows = read_rows(ReserveHold, "id", hold_ids, lock=True, also=_NAMES, where="t.freed_at IS NULL")
    if not rows:
        return
    owners: dict[int, Owner] = {}
    orders: dict[int, UUID] = {}
    for row in rows:
        seller, orders[row.pk] = row.__dict__["names"]
        owners[row.pk] = (row.book_id, seller, row.currency_id)
    held = holdings.lock(owners.values())
    booked = []
    for row in rows:
        holding, heading = (
            held[owners[row.pk]],
            Heading(row.book_id, public_id("ord", orders[row.pk]), row.currency_id, now, "release"),
        )
        holding.reserved -= row.amount_minor
        share = holding.give(row.amount_minor)
        booked.append(
            movements.free_reserve(heading, seller=owners[row.pk][1], amount=row.amount_minor, debt=share.debt)
        )
        row.due_at, row.freed_at = None, now
    update_rows(rows, ("due_at", "freed_at"))
    movements.record(booked, now=now)
