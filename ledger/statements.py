"""Account statements: a page of entries with the balance before, after each and after the last of them.

In posting order, paged by entry, never by offset or count, so that a page costs the same however long the account is.
The opening balance is read from the entry before the page, or for a recording account from its anchors. It must never
write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from ledger.models import DEBIT_NORMAL, Account, Side

MAX_LINES = 500
_END = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as a statement shows it. Amounts in minor units; `balance` is the balance after the entry."""

    balance: int
    side: str
    amount: int
    entry_id: int
    transaction_id: int
    transaction_public_id: UUID
    kind: str
    reference: str
    effective_at: datetime
    posted_at: datetime


@dataclass(frozen=True, slots=True)
class Statement:
    """A page in posting order. Balances in minor units, positive on the account's normal side."""

    account: Account
    opening: int
    lines: tuple[Line, ...]
    closing: int
    older: int | None  # pass as `before` for the page before this one; None: this is the first
    newer: int | None  # pass as `after` for the page after this one; None: this is the last


# Uses index: entry_by_account (account_id, posted_at, id). One statement, so that the opening balance and the lines are
# of the same snapshot. Of the two halves of the union only one runs. A cursor names an entry, whose time is looked up;
# one that names none is beyond the end that it looks from.
_PAGE = """
WITH place AS MATERIALIZED (
    SELECT coalesce((SELECT posted_at FROM ledger_entry WHERE id = %(after)s),
                    CASE %(after)s WHEN 0 THEN '-infinity' ELSE 'infinity' END::timestamptz) AS after,
           coalesce((SELECT posted_at FROM ledger_entry WHERE id = %(before)s),
                    CASE %(before)s WHEN %(end)s THEN 'infinity' ELSE '-infinity' END::timestamptz) AS before
), page AS (
    (SELECT id, transaction_id, effective_at, side, amount, posted_at FROM ledger_entry
      WHERE %(forward)s AND account_id = %(account)s AND (posted_at, id) > ((SELECT after FROM place), %(after)s)
      ORDER BY posted_at, id LIMIT %(limit)s)
    UNION ALL
    (SELECT id, transaction_id, effective_at, side, amount, posted_at FROM ledger_entry
      WHERE NOT %(forward)s AND account_id = %(account)s AND (posted_at, id) < ((SELECT before FROM place), %(before)s)
      ORDER BY posted_at DESC, id DESC LIMIT %(limit)s)
), first AS (
    SELECT posted_at, id FROM page
    UNION ALL
    SELECT CASE WHEN %(forward)s THEN p.after ELSE p.before END,
           CASE WHEN %(forward)s THEN %(after)s + 1 ELSE %(before)s END
      FROM place p
     WHERE NOT EXISTS (SELECT 1 FROM page)
    ORDER BY 1, 2 LIMIT 1
)
SELECT (CASE %(normal)s WHEN 'D' THEN 1 ELSE -1 END * ledger_net_before(%(account)s, f.posted_at, f.id))::bigint,
       e.side, e.amount, e.id, e.transaction_id, t.public_id, t.kind, t.reference, e.effective_at, e.posted_at
  FROM first f LEFT JOIN page e ON true LEFT JOIN ledger_transaction t ON t.id = e.transaction_id
 ORDER BY e.posted_at, e.id
"""


def statement(account: Account, *, before: int | None = None, after: int | None = None, limit: int = 50) -> Statement:
    """Return one page of an account's entries: the newest, those `before` an entry id, or those `after` one.

    Give at most one of `before` and `after`. One statement; at most `MAX_LINES` lines.
    """
    assert before is None or after is None, "a page is before or after an entry, not both"
    limit = max(1, min(limit, MAX_LINES))
    forward = after is not None
    normal = Side.DEBIT if account.type in DEBIT_NORMAL else Side.CREDIT
    with connection.cursor() as cursor:
        cursor.execute(
            _PAGE,
            {
                "account": account.pk,
                "forward": forward,
                "after": after or 0,
                "before": before or _END,
                "end": _END,
                "limit": limit + 1,
                "normal": str(normal),
            },
        )
        rows = cursor.fetchall()
    opening: int = rows[0][0]
    found = [row[1:] for row in rows if row[1] is not None]
    more = len(found) > limit
    if more and not forward:  # the extra row is the oldest: it belongs to the opening balance
        side, amount = found.pop(0)[:2]
        opening += amount if side == normal else -amount
    elif more:
        found.pop()
    lines: list[Line] = []
    balance = opening
    for row in found:
        balance += row[1] if row[0] == normal else -row[1]
        lines.append(Line(balance, *row))
    first, last = (lines[0].entry_id, lines[-1].entry_id) if lines else (_END, 0)
    return Statement(
        account=account,
        opening=opening,
        lines=tuple(lines),
        closing=balance,
        older=first if (bool(after) if forward else more) else None,
        newer=last if (more if forward else before is not None) else None,
    )
