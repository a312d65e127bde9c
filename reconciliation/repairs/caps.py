"""Caps: how much an automatic repair may move, per item and per day, in one class and currency.

A book's own caps are rows (`RepairCap`); without one the amounts below apply, in whole units of the currency. A class
that is not named here moves nothing by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db import connection

from ledger.money import EXPONENTS
from reconciliation.models import Break, RepairCap

# (per item, per day), in hundredths of a unit: roundings are smaller than one.
_DEFAULTS: Final = {
    "A02": (10_000_00, 100_000_00),
    "A09": (10_000_00, 100_000_00),
    "A11": (1_000_00, 10_000_00),
    "B04": (10_000_00, 100_000_00),
    "B05": (1_000_000_00, 10_000_000_00),
    "B07": (1_000_00, 10_000_00),
    "B13": (1_000_000_00, 10_000_000_00),
    "C01": (5, 5_00),
    "C02": (10_000_00, 100_000_00),
    "C03": (1_000_00, 10_000_00),
}
_HUNDREDTHS: Final = 2

# What repairs of a class have moved on a day, in each currency.
_MOVED = """
SELECT b.currency, coalesce(sum(abs(b.amount_minor)), 0)
  FROM reconciliation_break b
 WHERE b.book_id = %s AND b.code = %s AND b.transaction_id IS NOT NULL
   AND EXISTS (SELECT 1 FROM reconciliation_breakevent e JOIN reconciliation_reconciliationrun r ON r.id = e.run_id
                WHERE e.break_id = b.id AND e.what = 'repaired' AND r.day = %s)
 GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Cap:
    """Minor units that one repair, and all of a day, may move."""

    item: int
    day: int


def cap(book_id: int, code: str, currency: str) -> Cap:
    """Return the cap of a class in a currency; nothing for a class that has none."""
    # Uses index: a_cap_is_one_per_class_and_currency.
    row = RepairCap.objects.filter(book_id=book_id, code=code, currency_id=currency).first()
    if row is not None:
        return Cap(row.item_minor, row.day_minor)
    item, day = _DEFAULTS.get(code, (0, 0))
    shift = EXPONENTS[currency] - _HUNDREDTHS
    return Cap(_shifted(item, shift), _shifted(day, shift))


def within(book_id: int, code: str, day: date, found: Sequence[Break]) -> tuple[list[Break], list[Break]]:
    """Split breaks of one class into those that may be repaired on a day, and those that are above a cap."""
    with connection.cursor() as cursor:
        cursor.execute(_MOVED, [book_id, code, day])
        moved = {currency: int(total) for currency, total in cursor.fetchall()}
    caps: dict[str, Cap] = {}
    allowed: list[Break] = []
    above: list[Break] = []
    for row in found:
        assert row.currency_id is not None
        limit = caps.setdefault(row.currency_id, cap(book_id, code, row.currency_id))
        amount = abs(row.amount_minor)
        total = moved.get(row.currency_id, 0) + amount
        if amount <= limit.item and total <= limit.day:
            moved[row.currency_id] = total
            allowed.append(row)
        else:
            above.append(row)
    return allowed, above


def _shifted(hundredths: int, shift: int) -> int:
    # A yen has no hundredths; a cap below one of them is one, because roundings of a yen are a yen.
    return hundredths * 10**shift if shift >= 0 else max(1, hundredths // 10**-shift) if hundredths else 0
