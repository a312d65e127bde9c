"""Releases: a seller's share of an order becomes available, once, after delivery or when its time has come.

A release is a due row of the database alone: no PSP is asked, so it needs no lease. Due orders are locked with SKIP
LOCKED, hundreds in one transaction, and their sellers' wallets after them. What a seller owes is netted first; of the
rest a share may be held back for a while (`reserves.py` frees it), and what a seller is paid in another currency is due
to be changed (`exchange.py`). One that fails is put off, and holds up nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import Error as DatabaseError
from django.db import connection, transaction

from ledger.errors import LedgerError
from ledger.ids import public_id
from payments import calendars, outbox, representations, settlement, terms
from payments.appliers import batch as batches
from payments.errors import InvalidState
from payments.models import OrderConversion, PaymentEvent, PaymentOrder, ReserveHold
from payments.models.bulk import StaleRows, by_id, read_rows, update_rows
from payments.outbox import Fact
from payments.representations import ReleasedParts
from payments.terms import Terms
from wallet import holdings, movements
from wallet.holdings import Holding
from wallet.movements import Heading

RELEASE_AT_MOST: Final = 300
AGAIN_AFTER: Final = timedelta(minutes=10)
_SELLER: Final = (
    "(SELECT jsonb_build_array(s.public_id, s.reserve_basis_points, s.reserve_days, s.settlement_currency)::text"
    " FROM payments_seller s WHERE s.id = t.seller_id) AS seller_terms"
)
_WHOLE: Final = 10_000  # basis points
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Seller:
    """Whose share it is, and how much of it is held back for how long."""

    public_id: UUID
    basis_points: int
    days: int
    settlement_currency: str | None

    @classmethod
    def read(cls, order: PaymentOrder) -> _Seller:
        """Return what was read with an order."""
        public, *terms_of_seller = json.loads(order.__dict__["seller_terms"])
        return cls(UUID(public), *terms_of_seller)


def deliver(event_id: int, order_id: int, *, now: datetime) -> None:
    """Record that an order was delivered; release it at once or make it due, as the merchant's terms say.

    Idempotent: a second delivery changes nothing. Raises `InvalidState` for an order that is not paid.
    """
    with transaction.atomic():
        batch = batches.lock([event_id], now=now)
        before = settlement.statuses_of(batch)
        order = batch.orders[order_id]
        if order.status != PaymentOrder.Status.SUCCESS:
            raise InvalidState("payment_order_not_paid", f"The order is {order.status}: it can be delivered when paid.")
        if order.delivered_at is not None:
            return
        order.delivered_at = now
        due_at = batch.terms_of(event_id).release_after_delivery(now)
        at_once = due_at is not None and due_at <= now and order.released_at is None
        if due_at is not None and order.released_at is None:
            order.release_due_at = min(due_at, order.release_due_at or due_at)
        batch.touch(order)
        event = batch.new_version(event_id)
        shown = representations.payment_order(order, event, seller_public_id=batch.sellers[order.seller_id])
        shown["version"] = event.version
        batch.facts.append(Fact(order.book_id, "payment_order.delivered", "payment", event_id, shown))
        settlement.commit_batch(batch, before)
        if at_once:
            _release([order_id], now=now)


def release_due(*, now: datetime, limit: int = RELEASE_AT_MOST) -> int:
    """Release orders whose time has come, all in one transaction; return how many were due.

    A batch that fails is repeated one order at a time; one that fails by itself is put off.
    """
    with transaction.atomic():
        due = _claim(limit)
        try:
            with transaction.atomic():
                _release(due, now=now)
            return len(due)
        except (StaleRows, LedgerError, DatabaseError) as error:
            log.warning("release_batch_split", orders=len(due), error=f"{type(error).__name__}: {error}")
    for order_id in due:
        _release_alone(order_id, now=now)
    return len(due)


def _claim(limit: int) -> list[int]:
    with connection.cursor() as cursor:
        # Uses index: payment_order_to_release.
        cursor.execute(
            "SELECT id FROM payments_paymentorder WHERE release_due_at <= florin_now()"
            " ORDER BY release_due_at, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED",
            [limit],
        )
        return [row[0] for row in cursor.fetchall()]


def _release_alone(order_id: int, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            _release([order_id], now=now)
    except (StaleRows, LedgerError, DatabaseError):
        log.exception("release_failed", order_id=order_id)
        waiting = PaymentOrder.objects.filter(pk=order_id, released_at__isnull=True, release_due_at__isnull=False)
        waiting.update(release_due_at=now + AGAIN_AFTER)


def _release(order_ids: Iterable[int], *, now: datetime) -> None:
    """Release orders in the caller's transaction: a fixed number of statements. Released ones are passed over.

    Locks the orders, then the sellers' wallets.
    """
    rows = read_rows(PaymentOrder, "id", order_ids, lock=True, also=_SELLER, where="t.released_at IS NULL")
    if not rows:
        return
    events = by_id(read_rows(PaymentEvent, "id", {row.event_id for row in rows}, also=terms.COLUMN))
    sellers = {row.pk: _Seller.read(row) for row in rows}
    held = holdings.lock((row.book_id, sellers[row.pk].public_id, row.currency_id) for row in rows if row.pending_minor)
    booked, facts, holds, changes = [], [], [], []
    for row in rows:
        seller, event, amount = sellers[row.pk], events[row.event_id], row.pending_minor
        row.pending_minor, row.release_due_at, row.released_at, row.updated_at = 0, None, now, now
        if not amount:
            continue
        parts = _parts(held[row.book_id, seller.public_id, row.currency_id], amount, seller.basis_points)
        heading = Heading(row.book_id, public_id("ord", row.public_id), row.currency_id, now, "release")
        booked.append(movements.release(heading, seller=seller.public_id, amount=amount, debt=parts.debt))
        if parts.reserved:
            booked.append(movements.hold_reserve(heading, seller=seller.public_id, amount=parts.reserved))
            holds.append(_hold(row, parts.reserved, seller.days, terms.read(event.__dict__["terms"]), now=now))
        if seller.settlement_currency not in (None, row.currency_id) and parts.available:
            changes.append(OrderConversion(order=row, book_id=row.book_id, amount_minor=parts.available, due_at=now))
        shown = representations.released(row, event, seller.public_id, parts)
        facts.append(Fact(row.book_id, "wallet.released", "payment", event.pk, shown))
    update_rows(rows, ("pending_minor", "release_due_at", "released_at", "updated_at"))
    ReserveHold.objects.bulk_create(holds)
    OrderConversion.objects.bulk_create(changes)
    outbox.publish(facts, now=now)
    movements.record(booked, now=now)


def _parts(holding: Holding, amount: int, basis_points: int) -> ReleasedParts:
    """Plan where a released share goes: to debt first, then its reserve, then to what is available."""
    holding.pending -= amount
    share = holding.give(amount)
    reserved = min(share.available, (2 * amount * basis_points + _WHOLE) // (2 * _WHOLE))
    holding.available -= reserved
    holding.reserved += reserved
    return ReleasedParts(amount, share.available - reserved, share.debt, reserved)


def _hold(order: PaymentOrder, amount: int, days: int, of_book: Terms, *, now: datetime) -> ReserveHold:
    due_at = calendars.after(now, days, business=False, calendar=of_book.business_calendar, time_zone=of_book.time_zone)
    return ReserveHold(
        book_id=order.book_id,
        seller_id=order.seller_id,
        order_id=order.pk,
        currency_id=order.currency_id,
        amount_minor=amount,
        created_at=now,
        due_at=due_at,
    )
