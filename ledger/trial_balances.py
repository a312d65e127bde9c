"""The trial balance of a book at an instant, by control account.

Accounts whose codes differ only in the public id inside them (`seller:sel_...:available:EUR`) are one row,
`seller:*:available:EUR`, so that a book with a million sellers has a trial balance that can be read. The sums are over
all rows, also those that are not on the page. It must never write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from ledger.balances import Basis

_MEMBER: Final = "(^|:)[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}(?=:|$)"
_SQL: Final = """
WITH accounts AS MATERIALIZED (
    SELECT regexp_replace(a.code, %(member)s, '\\1*', 'g') AS code, a.type, a.currency,
           ledger_net_at(a.id, %(at)s, %(basis)s) AS net
      FROM ledger_account a
     WHERE a.book_id = %(book)s AND (%(currency)s::text IS NULL OR a.currency = %(currency)s)
), control AS MATERIALIZED (
    SELECT code COLLATE "C" AS code, type, currency, count(*) AS accounts,
           greatest(sum(net), 0) AS debit, greatest(-sum(net), 0) AS credit
      FROM accounts WHERE net <> 0 GROUP BY 1, 2, 3
)
(SELECT 'row', code, type, currency, accounts, debit, credit FROM control
  WHERE %(after)s::text IS NULL OR (code, type, currency) > (%(after)s, %(after_type)s, %(after_currency)s)
  ORDER BY code, type, currency LIMIT %(limit)s)
UNION ALL
(SELECT 'sum', '', coalesce(type, ''), currency, sum(accounts), sum(debit), sum(credit) FROM control
  GROUP BY GROUPING SETS ((currency, type), (currency)) ORDER BY currency, type)
"""
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A control account, or a sum: of a type in a currency, or (type empty) of the currency. In minor units."""

    code: str
    type: str
    currency: str
    accounts: int  # how many accounts with a balance other than zero
    debit: int
    credit: int

    @property
    def key(self) -> Key:
        """Return what the rows are ordered by."""
        return self.code, self.type, self.currency


def of_book(
    book_id: int,
    *,
    at: datetime,
    basis: Basis = "posted",
    currency: str | None = None,
    after: Key | None = None,
    limit: int,
) -> tuple[list[Row], list[Row]]:
    """Return the rows of a trial balance after a key, and the sums over all of them by type and by currency.

    One statement, one snapshot. It reads one entry or a few anchors of every account.
    """
    parameters: dict[str, Any] = {
        "member": _MEMBER,
        "book": book_id,
        "at": at,
        "basis": basis,
        "currency": currency,
        "after": after[0] if after is not None else None,
        "after_type": after[1] if after is not None else None,
        "after_currency": after[2] if after is not None else None,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SQL, parameters)
        found = cursor.fetchall()
    rows = [(row[0], Row(row[1], row[2], row[3], int(row[4]), int(row[5]), int(row[6]))) for row in found]
    return [row for kind, row in rows if kind == "row"], [row for kind, row in rows if kind == "sum"]
