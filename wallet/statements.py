"""Wallet statements: what moved a seller's money in one currency, in the order of posting, with the balance after each.

A line is one transaction: what it changed in each part of the wallet. The balance is what is the seller's and has not
left: pending + available + reserved - debt. Pages go by key; nothing here counts or sums the whole wallet, and nothing
writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from wallet import chart
from wallet.models import Wallet

MAX_LINES = 1000
Place = tuple[datetime, int]  # when a transaction was posted, and its id


@dataclass(frozen=True, slots=True)
class Parts:
    """An amount in each part of a wallet, in minor units."""

    pending: int = 0
    available: int = 0
    reserved: int = 0
    in_transit: int = 0
    debt: int = 0

    def __add__(self, other: Parts) -> Parts:
        return Parts(
            self.pending + other.pending,
            self.available + other.available,
            self.reserved + other.reserved,
            self.in_transit + other.in_transit,
            self.debt + other.debt,
        )

    @property
    def balance(self) -> int:
        """Return pending + available + reserved - debt."""
        return self.pending + self.available + self.reserved - self.debt


@dataclass(frozen=True, slots=True)
class Line:
    """One transaction: how it changed the wallet, and what was in the wallet after it."""

    transaction_id: int
    transaction_public_id: UUID
    kind: str
    reference: str
    memo: str
    effective_at: datetime
    posted_at: datetime
    change: Parts
    after: Parts

    @property
    def place(self) -> Place:
        """Return where the line stands, to ask for what comes after it."""
        return self.posted_at, self.transaction_id

    @property
    def subject(self) -> str:
        """Return the public id of what the transaction is about, if its reference names one."""
        return self.reference.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines of a statement, with what was in the wallet before and after them."""

    opening: Parts
    lines: tuple[Line, ...]
    closing: Parts
    more: bool


# Uses indexes: entry_by_account (account_id, posted_at, id) and the primary key. Each part of the wallet gives its
# oldest entries after the place, no more than the page needs: a page costs the same however long the wallet is. What
# lies behind the last entry of a part that gave all it may is left to the next page; a line is of all its legs.
_PAGE = """
WITH part AS MATERIALIZED (
    SELECT a.id, p.name, CASE p.name WHEN 'debt' THEN 1 ELSE -1 END AS sign
      FROM unnest(%(codes)s::text[], %(names)s::text[]) AS p (code, name)
      JOIN ledger_account a ON a.book_id = %(book)s AND a.code = p.code
), entry AS MATERIALIZED (
    SELECT p.name, e.*
      FROM part p CROSS JOIN LATERAL (
           SELECT x.posted_at, x.transaction_id FROM ledger_entry x
            WHERE x.account_id = p.id AND (x.posted_at, x.id) > (%(after)s, %(after_id)s * 32768 + 32767)
              AND x.posted_at < %(to)s
            ORDER BY x.posted_at, x.id LIMIT %(limit)s) e
), bound AS MATERIALIZED (
    SELECT e.posted_at, max(e.transaction_id) AS transaction_id
      FROM entry e JOIN (SELECT f.name, max(f.posted_at) AS posted_at FROM entry f
                          GROUP BY f.name HAVING count(*) >= %(limit)s) l USING (name, posted_at)
     GROUP BY e.name, e.posted_at ORDER BY 1, 2 LIMIT 1
), line AS MATERIALIZED (
    SELECT DISTINCT e.posted_at, e.transaction_id FROM entry e
     WHERE NOT EXISTS (SELECT 1 FROM bound b
                        WHERE (e.posted_at, e.transaction_id) > (b.posted_at, b.transaction_id))
     ORDER BY 1, 2 LIMIT %(limit)s
)
SELECT EXISTS (SELECT 1 FROM bound), t.id, t.public_id, t.kind, t.reference, t.memo, t.effective_at, l.posted_at, c.*
  FROM line l JOIN ledger_transaction t ON t.id = l.transaction_id
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(x.amount) FILTER (WHERE x.name = 'pending'), 0),
              coalesce(sum(x.amount) FILTER (WHERE x.name = 'available'), 0),
              coalesce(sum(x.amount) FILTER (WHERE x.name = 'reserved'), 0),
              coalesce(sum(x.amount) FILTER (WHERE x.name = 'in_transit'), 0),
              coalesce(sum(x.amount) FILTER (WHERE x.name = 'debt'), 0)
         FROM (SELECT p.name, p.sign * CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END AS amount
                 FROM ledger_entry e JOIN part p ON p.id = e.account_id
                WHERE e.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767) x) c
 ORDER BY l.posted_at, l.transaction_id
"""

_STANDING = """
SELECT p.name, CASE p.name WHEN 'debt' THEN 1 ELSE -1 END * ledger_net_before(a.id, %(at)s, %(before)s)
  FROM unnest(%(codes)s::text[], %(names)s::text[]) AS p (code, name)
  JOIN ledger_account a ON a.book_id = %(book)s AND a.code = p.code
"""


def standing(wallet: Wallet, at: datetime, *, after_id: int = 0) -> Parts:
    """Return what was in a wallet before an instant, or right after the transaction `after_id` that was posted then."""
    before = (after_id + 1) * 32768 if after_id else 0
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, {**_accounts(wallet), "at": at, "before": before})
        return Parts(**{name: int(amount) for name, amount in cursor.fetchall()})


def page(wallet: Wallet, *, start: datetime, end: datetime, after: Place | None = None, limit: int = 100) -> Page:
    """Return the oldest lines of [start, end), or those after a place; at most `MAX_LINES`. Two statements.

    A statement of a period is final when no transaction that began in the period runs any more.
    """
    limit = max(1, min(limit, MAX_LINES))
    at, after_id = after if after is not None else (start, -1)
    # A place before every entry of `start` itself: an id below all others.
    opening = standing(wallet, at, after_id=max(after_id, 0))
    with connection.cursor() as cursor:
        cursor.execute(_PAGE, {**_accounts(wallet), "after": at, "after_id": after_id, "to": end, "limit": limit + 1})
        rows = cursor.fetchall()
    lines: list[Line] = []
    held = opening
    for row in rows[:limit]:
        change = Parts(*(int(amount) for amount in row[8:]))
        held += change
        head: tuple[int, UUID, str, str, str, datetime, datetime] = row[1:8]
        lines.append(Line(*head, change=change, after=held))
    return Page(opening, tuple(lines), held, len(rows) > limit or (bool(rows) and rows[0][0]))


def is_longer_than(wallet: Wallet, most: int, *, start: datetime, end: datetime) -> bool:
    """Say whether more than `most` entries lie in [start, end). Looks at no more than it has to (one statement)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(n.entries) > %(most)s FROM unnest(%(codes)s::text[]) AS p (code)"
            "  JOIN ledger_account a ON a.book_id = %(book)s AND a.code = p.code"
            " CROSS JOIN LATERAL (SELECT count(*) AS entries FROM (SELECT 1 FROM ledger_entry e"
            "        WHERE e.account_id = a.id AND e.posted_at >= %(start)s AND e.posted_at < %(to)s"
            "        LIMIT %(most)s + 1) x) n",
            {**_accounts(wallet), "start": start, "to": end, "most": most},
        )
        return bool(cursor.fetchone()[0])


def lines(wallet: Wallet, *, start: datetime, end: datetime, most: int) -> Iterator[Line]:
    """Yield the lines of [start, end), page by page, so that memory and snapshot stay small; at most `most`."""
    after: Place | None = None
    given = 0
    while given < most:
        found = page(wallet, start=start, end=end, after=after, limit=min(MAX_LINES, most - given))
        yield from found.lines
        given += len(found.lines)
        if not found.more:
            return
        after = found.lines[-1].place


def _accounts(wallet: Wallet) -> dict[str, Any]:
    parts = chart.SELLER_PARTS
    codes = [chart.seller(wallet.book_id, wallet.seller, part, wallet.currency_id).code for part in parts]
    return {"book": wallet.book_id, "codes": codes, "names": list(parts)}
