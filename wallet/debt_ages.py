"""Debts of a book by age: how much of what each seller owes has been owed for how long.

As in `debts`, what was netted counts for the oldest debt first, so what is left is made of the newest entries of the
debt account. Here it is summed up for all sellers of a book in one statement; nothing is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection

from ledger.ids import parse_public_id

# Upper ends in days; what is older than the last one has no end.
AGES: Final = (30, 60, 90)
AT_MOST: Final = 200
# Of one account so many entries are looked at; what they do not explain is as old as the oldest of them, or older.
LOTS: Final = 1000

# Uses indexes: account_code_is_unique_in_its_book; of an account the unique one by its version.
_LOTS = """
WITH owing AS MATERIALIZED (
    SELECT a.id, a.code, a.currency, b.debits - b.credits AS debt
      FROM ledger_account a JOIN ledger_balance b ON b.account_id = a.id
     -- Codes sort by bytes: this is every account of a seller.
     WHERE a.book_id = %(book)s AND a.code >= 'seller:' AND a.code < 'seller;' AND a.code LIKE 'seller:%%:debt:%%'
       AND b.debits > b.credits
     ORDER BY b.debits - b.credits DESC, a.code LIMIT %(limit)s
)
SELECT o.code, o.currency, o.debt, e.effective_at, least(e.amount, o.debt - e.newer)
  FROM owing o
 CROSS JOIN LATERAL (
       SELECT n.effective_at, n.amount, sum(n.amount) OVER (ORDER BY n.account_version DESC) - n.amount AS newer
         FROM (SELECT effective_at, amount, account_version FROM ledger_entry
                WHERE account_id = o.id AND account_version IS NOT NULL AND side = 'D'
                ORDER BY account_version DESC LIMIT %(lots)s) n) e
 WHERE e.newer < o.debt
 ORDER BY o.debt DESC, o.code, e.newer
"""


@dataclass(slots=True)
class Debt:
    """What a seller owes in one currency, in minor units: `by_age` has a part for each of `AGES`, and one above."""

    seller: UUID
    currency: str
    amount: int
    by_age: list[int]
    oldest_at: datetime


def of_book(book_id: int, *, now: datetime) -> list[Debt]:
    """Return what the sellers of a book owe, the largest numbers first, at most `AT_MOST` of them."""
    with connection.cursor() as cursor:
        cursor.execute(_LOTS, {"book": book_id, "limit": AT_MOST, "lots": LOTS})
        rows = cursor.fetchall()
    found: dict[str, Debt] = {}
    for code, currency, amount, effective_at, part in rows:
        if code not in found:
            seller = parse_public_id("sel", code.split(":")[1])
            assert seller is not None, "the code of a seller's account has the seller's id"
            found[code] = Debt(seller, currency, amount, [0] * (len(AGES) + 1), effective_at)
        found[code].by_age[_place(now - effective_at)] += int(part)
        found[code].oldest_at = min(found[code].oldest_at, effective_at)
    for debt in found.values():
        debt.by_age[_place(now - debt.oldest_at)] += debt.amount - sum(debt.by_age)
    return list(found.values())


def _place(age: timedelta) -> int:
    return sum(age.days > days for days in AGES)
