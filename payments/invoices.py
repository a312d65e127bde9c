"""Invoices: once a month each seller is billed what the platform kept, as the books have it, to the cent.

The source are the entries of the platform's fee accounts, so that the invoices of a month and what no seller explains
are together exactly what those accounts moved. A whole book is billed in one transaction: numbers have no gap, and a
month is there whole or not at all. Nothing is posted: the money was kept when the sale was settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from config import seam
from ledger.ids import parse_public_id
from payments import subjects
from payments.errors import InvalidState, NotFound, Unprocessable
from payments.models import BillingProfile, Invoice, Run, Seller, VatRate
from wallet import chart

MAX_UNNAMED: Final = 100_000
_WHOLE: Final = 10_000  # basis points

# Uses indexes: entry_by_account (account_id, posted_at, id) and the primary key of entries. Of a sale whose whole
# amount is the fee there is no seller's leg: its reference says whose it was.
_FEES = """
SELECT coalesce(s.name, ''), CASE WHEN s.name IS NULL THEN t.reference ELSE '' END, t.kind, count(*),
       sum(CASE f.side WHEN 'C' THEN f.amount ELSE -f.amount END)
  FROM ledger_account a
  JOIN ledger_entry f ON f.account_id = a.id AND f.posted_at >= %(start)s AND f.posted_at < %(end)s
  JOIN ledger_transaction t ON t.id = f.transaction_id
  LEFT JOIN LATERAL (
       SELECT split_part(o.code, ':', 2) AS name
         FROM ledger_entry e JOIN ledger_account o ON o.id = e.account_id
        WHERE e.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767 AND o.code LIKE 'seller:%%'
        ORDER BY e.id LIMIT 1) s ON true
 WHERE a.book_id = %(book)s AND a.code = ANY (%(codes)s::text[]) GROUP BY 1, 2, 3
"""


@dataclass(slots=True)
class Fees:
    """What the platform kept of one seller: by kind of movement, how many there were and what they come to."""

    by_kind: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kind: str, count: int, amount: int) -> None:
        """Count movements of a kind in."""
        known = self.by_kind.setdefault(kind, [0, 0])
        known[0] += count
        known[1] += amount

    @property
    def total(self) -> int:
        """Return what they come to, in minor units; below zero when more was given back."""
        return sum(amount for _, amount in self.by_kind.values())


def issue(book_id: int, month: date, *, now: datetime) -> list[Invoice]:
    """Bill every seller of a book for a month that is over; return the invoices, none if they were issued before.

    Months are billed one after another. One transaction; locks the billing profile. Nothing is issued when it raises:
    `NotFound` without a profile, `InvalidState` for a month that is not over or not next, `Unprocessable` when a
    country has no rate.
    """
    assert month.day == 1, "a month is named by its first day"
    following = _next_month(month)
    if now < _midnight(following):
        raise InvalidState("month_not_billable", f"{month:%Y-%m} is not over")
    with transaction.atomic():
        profile = BillingProfile.objects.select_for_update(no_key=True).filter(pk=book_id).first()
        if profile is None:
            raise NotFound("not_found", "this book has no billing profile")
        if profile.issued_until is not None and following <= profile.issued_until:
            return []
        if profile.issued_until is not None and month != profile.issued_until:
            raise InvalidState("month_not_billable", f"the next month to bill is {profile.issued_until:%Y-%m}")
        made = [row for currency in _currencies(book_id) for row in _invoices(profile, month, currency, now=now)]
        _number(profile, made)
        Invoice.objects.bulk_create(made, batch_size=500)
        profile.issued_until = following
        profile.save(update_fields=["issued_until", "next_number"])
    return made


def fees_of(book_id: int, currency: str, start: datetime, end: datetime) -> dict[UUID | None, Fees]:
    """Return what the platform kept in [start, end), by seller's public id; under `None` what no seller explains."""
    codes = [chart.platform_fees(book_id, currency).code, chart.fx_fees(book_id, currency).code]
    found: dict[UUID | None, Fees] = {}
    unnamed: list[tuple[str, str, int, int]] = []
    day = start
    while day < end:  # day by day: a statement over a month of a busy book would run for minutes
        until = min(day + timedelta(days=1), end)
        with connection.cursor() as cursor:
            cursor.execute(_FEES, {"book": book_id, "codes": codes, "start": day, "end": until})
            for name, reference, kind, count, amount in cursor.fetchall():
                if name:
                    found.setdefault(parse_public_id("sel", name), Fees()).add(kind, count, int(amount))
                else:
                    unnamed.append((reference.partition(":")[2], kind, count, int(amount)))
        day = until
        if len(unnamed) > MAX_UNNAMED:
            raise Unprocessable("posting_refused", f"more than {MAX_UNNAMED} fees name no seller")
    known = subjects.of_orders(book_id, (subject for subject, *_ in unnamed))
    for subject, kind, count, amount in unnamed:
        owner = known[subject].seller if subject in known else None
        found.setdefault(owner, Fees()).add(kind, count, amount)
    return found


def _invoices(profile: BillingProfile, month: date, currency: str, *, now: datetime) -> list[Invoice]:
    kept = fees_of(profile.book_id, currency, _midnight(month), _midnight(_next_month(month)))
    billed = {seller: fees for seller, fees in kept.items() if seller is not None and fees.total != 0}
    sellers = Seller.objects.filter(book_id=profile.book_id, public_id__in=billed).order_by("id")
    rates = _rates(profile.book_id, month)
    made, without = [], set()
    for seller in sellers.iterator(chunk_size=2000):
        rate = rates.get(seller.country)
        if rate is None:
            without.add(seller.country)
            continue
        fees = billed[seller.public_id]
        made.append(invoice(profile, seller, rate, currency=currency, month=month, fees=fees, now=now))
    if without:
        raise Unprocessable("vat_rate_missing", f"no rate of value added tax for {', '.join(sorted(without)[:20])}")
    return made


def invoice(
    profile: BillingProfile,
    seller: Seller,
    rate: VatRate,
    *,
    currency: str,
    month: date,
    fees: Fees,
    now: datetime,
) -> Invoice:
    """Build (not save) the invoice of one seller, without its number. The tax is inside: what was kept is the gross."""
    gross = fees.total
    net = _rounded(abs(gross) * _WHOLE, _WHOLE + rate.basis_points) * (1 if gross > 0 else -1)
    return Invoice(
        public_id=seam.new_uuid(),
        book_id=profile.book_id,
        seller=seller,
        currency_id=currency,
        month=month,
        gross_minor=gross,
        net_minor=net,
        vat_minor=gross - net,
        vat_basis_points=rate.basis_points,
        lines=[
            {"kind": kind, "count": count, "amount_minor": amount}
            for kind, (count, amount) in sorted(fees.by_kind.items())
        ],
        issuer={
            "name": profile.name,
            "address": profile.address,
            "country": profile.country,
            "vat_id": profile.vat_id,
            "note": rate.note,
        },
        recipient={"name": seller.name, "country": seller.country},
        issued_at=now,
    )


def _rounded(dividend: int, divisor: int) -> int:
    """Divide and round half up; both above or at zero."""
    return (2 * dividend + divisor) // (2 * divisor)


def _number(profile: BillingProfile, made: list[Invoice]) -> None:
    for row in made:
        row.number = f"{profile.prefix}{profile.next_number:06d}"
        profile.next_number += 1


def _rates(book_id: int, month: date) -> Mapping[str, VatRate]:
    """Return the rate of each country that is valid on the last day of a month."""
    last = _next_month(month) - timedelta(days=1)
    rows = VatRate.objects.filter(book_id=book_id, valid_from__lte=last).order_by("valid_from")
    return {row.country: row for row in rows}


def _currencies(book_id: int) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT currency FROM ledger_account"
            " WHERE book_id = %s AND (code LIKE 'fees:platform:%%' OR code LIKE 'fees:fx:%%') ORDER BY 1",
            [book_id],
        )
        return [row[0] for row in cursor.fetchall()]


def _next_month(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def issue_due(_run: Run, now: datetime) -> Mapping[str, Any]:
    """Bill the month before this one, for each book that has a billing profile and is behind (a daily run)."""
    month = (now.astimezone(UTC).date().replace(day=1) - timedelta(days=1)).replace(day=1)
    issued: dict[str, int] = {}
    behind = BillingProfile.objects.exclude(issued_until__gt=month).values_list("book_id", "issued_until")
    for book_id, until in behind:
        due = until or month
        while due <= month:
            issued[f"{book_id} {due:%Y-%m}"] = len(issue(book_id, due, now=now))
            due = _next_month(due)
    return {"issued": issued}
