"""Conversions: what a seller has in one currency becomes money of another, by a quote that is kept as evidence.

A quote says the rate, its source and day, the margin, and until when it holds. Executing it books both halves in one
transaction. A refund or dispute of money that was converted takes it back at the rate of the conversion (`undo`), and
what comes back of that is changed again at the same rate (`redo`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.db import transaction

from config import seam
from ledger.ids import public_id
from wallet import holdings, movements, rates
from wallet.errors import InsufficientAvailable, QuoteExpired, QuoteUsed, TooLittle
from wallet.holdings import Holding
from wallet.models import Quote
from wallet.movements import Heading, Movement
from wallet.rates import CrossRate

VALID_FOR = timedelta(minutes=15)
_WHOLE = 10_000  # basis points
MarginPolicy = Literal["keep", "return"]


@dataclass(frozen=True, slots=True)
class Terms:
    """Who changes how much of what into what, and what the platform keeps. `subject`: what it is for, if anything."""

    book_id: int
    seller: UUID
    currency: str
    to_currency: str
    amount: int
    margin_basis_points: int = 0
    subject: str = ""


def quote(terms: Terms, *, now: datetime) -> Quote:
    """Store a quote at the current rate.

    Raises `RateError` without a fresh rate, `TooLittle` when nothing would arrive.
    """
    rate = rates.current(terms.currency, terms.to_currency, now=now)
    return Quote.objects.create(**figures(terms, rate), quoted_at=now, expires_at=now + VALID_FOR)


def figures(terms: Terms, rate: CrossRate) -> dict[str, object]:
    """Return the columns of a quote: each figure rounded half to even by itself, and what that leaves as rounding."""
    exact = rate.minor(terms.amount)
    margin = round(exact * terms.margin_basis_points / _WHOLE)
    received = round(exact * (_WHOLE - terms.margin_basis_points) / _WHOLE)
    if received == 0:
        raise TooLittle(f"{terms.amount} minor units of {terms.currency} are worth nothing in {terms.to_currency}")
    return {
        "public_id": seam.new_uuid(),
        "book_id": terms.book_id,
        "seller": terms.seller,
        "subject": terms.subject,
        "currency_id": terms.currency,
        "to_currency_id": terms.to_currency,
        "amount_minor": terms.amount,
        "mid_minor": round(exact),
        "received_minor": received,
        "margin_minor": margin,
        "rounding_minor": round(exact) - received - margin,
        "margin_basis_points": terms.margin_basis_points,
        "source": rate.source,
        "observed_on": rate.observed_on,
        "rate_numerator": rate.value.numerator,
        "rate_denominator": rate.value.denominator,
    }


def execute(quote_id: int, *, now: datetime, actor: str) -> Quote:
    """Convert by a quote, in one transaction of its own. What the seller owes in the other currency is netted first.

    Raises `QuoteUsed`, `QuoteExpired` or `InsufficientAvailable`; nothing was changed then.
    """
    with transaction.atomic():
        row = Quote.objects.select_for_update(no_key=True).get(pk=quote_id)
        if row.executed_at is not None:
            raise QuoteUsed(f"the quote was executed at {row.executed_at.isoformat()}")
        if now > row.expires_at:
            raise QuoteExpired(f"the quote held until {row.expires_at.isoformat()}")
        sold, bought = _holdings(row)
        if sold.available < row.amount_minor:
            raise InsufficientAvailable(f"{sold.available} minor units of {row.currency_id} are available")
        row.executed_at = now
        row.save(update_fields=["executed_at"])
        converted = movements.convert(
            Heading(row.book_id, public_id("quo", row.public_id), row.currency_id, now, actor),
            seller=row.seller,
            amount=row.amount_minor,
            to_currency=row.to_currency_id,
            share=bought.give(row.received_minor),
            margin=row.margin_minor,
            rounding=row.rounding_minor,
        )
        movements.record([converted], now=now)
    return row


def undo(
    row: Quote,
    amount: int,
    *,
    sold: Holding,
    bought: Holding,
    margin: MarginPolicy,
    subject: str,
    now: datetime,
    actor: str,
) -> Movement:
    """Plan to change `amount` of an executed conversion back at its own rate; the caller writes `UNDONE` and records.

    `row` and both wallets (`sold` has the money again, `bought` gives it) are locked by the caller. Parts add up to the
    whole exactly: each is what all parts so far are worth, minus what was undone before. With `keep` the platform keeps
    its margin and the seller bears it. What the seller does not have becomes debt.
    """
    assert row.executed_at is not None, "only what was converted can be undone"
    assert 0 < amount <= row.amount_minor - row.undone_minor, "no more can be undone than was converted"
    total = row.undone_minor + amount

    def part(whole: int, before: int) -> int:
        return whole * total // row.amount_minor - before

    received = part(row.received_minor, row.undone_received_minor)
    fee = part(row.margin_minor, row.undone_margin_minor)
    mid = part(row.mid_minor, row.undone_received_minor + row.undone_margin_minor + row.undone_rounding_minor)
    row.undone_minor = total
    row.undone_received_minor += received
    row.undone_margin_minor += fee
    row.undone_rounding_minor += mid - received - fee
    kept = fee if margin == "keep" else 0
    row.undone_kept_minor += kept
    sold.available += amount
    return movements.unconvert(
        Heading(row.book_id, subject, row.currency_id, now, actor),
        seller=row.seller,
        amount=amount,
        to_currency=row.to_currency_id,
        share=bought.take(received + kept, pending_of_order=0),
        margin=fee - kept,
        rounding=mid - received - fee,
    )


def redo(
    row: Quote,
    amount: int,
    *,
    sold: Holding,
    bought: Holding,
    margin: MarginPolicy,
    subject: str,
    now: datetime,
    actor: str,
) -> Movement:
    """Plan to change `amount` again that `undo` changed back, at the same rate; the caller writes `UNDONE` and records.

    The exact opposite of an `undo` over the same amount, with the same `margin`; what the seller owes in the other
    currency is netted first. `row` and both wallets are locked by the caller.
    """
    assert 0 < amount <= row.undone_minor, "no more is changed again than was changed back"
    assert amount <= sold.available, "only what is available is changed"
    total = row.undone_minor - amount

    def part(whole: int, before: int) -> int:
        return before - whole * total // row.amount_minor

    received = part(row.received_minor, row.undone_received_minor)
    fee = part(row.margin_minor, row.undone_margin_minor)
    mid = part(row.mid_minor, row.undone_received_minor + row.undone_margin_minor + row.undone_rounding_minor)
    row.undone_minor = total
    row.undone_received_minor -= received
    row.undone_margin_minor -= fee
    row.undone_rounding_minor -= mid - received - fee
    kept = fee if margin == "keep" else 0
    row.undone_kept_minor -= kept
    sold.available -= amount
    return movements.reconvert(
        Heading(row.book_id, subject, row.currency_id, now, actor),
        seller=row.seller,
        amount=amount,
        to_currency=row.to_currency_id,
        share=bought.give(received + kept),
        margin=fee - kept,
        rounding=mid - received - fee,
    )


UNDONE = (
    "undone_minor", "undone_received_minor", "undone_margin_minor", "undone_rounding_minor", "undone_kept_minor",
)  # fmt: skip


def _holdings(row: Quote) -> tuple[Holding, Holding]:
    sold = (row.book_id, row.seller, row.currency_id)
    bought = (row.book_id, row.seller, row.to_currency_id)
    held = holdings.lock([sold, bought])
    return held[sold], held[bought]
