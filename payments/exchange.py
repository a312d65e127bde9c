"""Exchange: what a seller earned in one currency is changed into the currency that the seller is paid in.

What a release made available becomes a due row, changed with the rate of the day as soon as there is one. Each is a
transaction of its own: one that cannot be changed holds up nobody. What refunds and disputes take back of it is changed
at the rate of the sale (`appliers/changing.py`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import Error as DatabaseError
from django.db import connection, transaction

from ledger.errors import LedgerError
from ledger.ids import public_id
from payments.models import MerchantBook, OrderConversion, PaymentOrder
from wallet import conversions
from wallet.balances import of_wallets
from wallet.conversions import Terms
from wallet.errors import WalletError
from wallet.models import Wallet
from wallet.rates import RateError

CONVERT_AT_MOST: Final = 200
AGAIN_AFTER: Final = timedelta(minutes=10)
log = structlog.get_logger(__name__)


def convert_due(*, now: datetime, limit: int = CONVERT_AT_MOST) -> int:
    """Change what is due, one after the other; return how many were looked at. Safe beside others doing the same."""
    looked = 0
    for _ in range(limit):
        order_id = _next()
        if order_id is None:
            break
        looked += 1
        try:
            _convert(order_id, now=now)
        except (LedgerError, WalletError, DatabaseError) as error:
            log.warning("conversion_put_off", order_id=order_id, error=f"{type(error).__name__}: {error}")
            _put_off(order_id, f"{type(error).__name__}: {error}", now=now)
    return looked


def _next() -> int | None:
    with connection.cursor() as cursor:
        # Uses index: conversion_due.
        cursor.execute(
            "SELECT order_id FROM payments_orderconversion WHERE due_at <= florin_now()"
            " ORDER BY due_at, order_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _convert(order_id: int, *, now: datetime) -> None:
    """Change what of an order's money is still there. Locks the row, the quote, then both wallets."""
    with transaction.atomic():
        row = OrderConversion.objects.select_for_update(no_key=True).get(pk=order_id)
        if row.due_at is None:
            return
        order = PaymentOrder.objects.select_related("seller").get(pk=order_id)
        wallet = Wallet.objects.get(book_id=order.book_id, seller=order.seller.public_id, currency_id=order.currency_id)
        target = order.seller.settlement_currency_id
        amount = min(row.amount_minor, of_wallets([wallet])[0].available)
        if target is None or target == order.currency_id or amount == 0:
            _done(row, "nothing to change any more", now=now)
            return
        margin = MerchantBook.objects.values_list("fx_margin_basis_points", flat=True).get(book_id=order.book_id)
        terms = Terms(
            order.book_id,
            order.seller.public_id,
            order.currency_id,
            target,
            amount,
            margin,
            public_id("ord", order.public_id),
        )
        try:
            row.quote = conversions.quote(terms, now=now)
        except RateError as error:
            row.due_at, row.tries, row.outcome = now + AGAIN_AFTER, row.tries + 1, str(error)[:200]
            row.save(update_fields=["due_at", "tries", "outcome"])
            return
        conversions.execute(row.quote.pk, now=now, actor="exchange")
        _done(row, "", now=now)


def _done(row: OrderConversion, outcome: str, *, now: datetime) -> None:
    row.due_at, row.done_at, row.outcome = None, now, outcome
    row.save(update_fields=["due_at", "done_at", "outcome", "quote"])


def _put_off(order_id: int, reason: str, *, now: datetime) -> None:
    waiting = OrderConversion.objects.filter(pk=order_id, due_at__isnull=False)
    waiting.update(due_at=now + AGAIN_AFTER, outcome=reason[:200])
