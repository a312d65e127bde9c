"""Account statements: a page of entries with the balance before, after each and after the last of them.

Paged by entry id, never by offset or count, so that a page costs the same however long the account is. Where
an account keeps a balance row the opening balance is read from the entry before the page; for a recording
account it is the sum of the entries before it. It must never write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from ledger.models import DEBIT_NORMAL, Account, PostingMode, Side

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


# Uses index: entry_by_account (account_id, id). One statement, so that the opening balance and the lines are
# of the same snapshot: an entry with a smaller id may be committed at any moment. Of the two halves of the
# union, and of the two ways to the opening balance, only one runs.
_PAGE = """
WITH page AS (
    (SELECT id, transaction_id, effective_at, side, amount FROM ledger_entry
      WHERE %(forward)s AND account_id = %(account)s AND id > %(after)s ORDER BY id LIMIT %(limit)s)
    UNION ALL
    (SELECT id, transaction_id, effective_at, side, amount FROM ledger_entry
      WHERE NOT %(forward)s AND account_id = %(account)s AND id < %(before)s ORDER BY id DESC LIMIT %(limit)s)
), first AS (
    SELECT coalesce(min(id), %(after)s + 1) AS id FROM page
), opening AS (
    SELECT coalesce(
        CASE WHEN %(keeps_balance)s
             THEN (SELECT e.balance_after FROM ledger_entry e
                    WHERE e.account_id = %(account)s AND e.id < first.id ORDER BY e.id DESC LIMIT 1)
             ELSE (SELECT sum(CASE e.side WHEN %(normal)s THEN e.amount ELSE -e.amount END)
                     FROM ledger_entry e WHERE e.account_id = %(account)s AND e.id < first.id)
        END, 0)::bigint AS balance
      FROM first
)
SELECT o.balance, e.side, e.amount, e.id, e.transaction_id, t.public_id, t.kind, t.reference, e.effective_at,
       t.posted_at
  FROM opening o LEFT JOIN page e ON true LEFT JOIN ledger_transaction t ON t.id = e.transaction_id
 ORDER BY e.id
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
                "limit": limit + 1,
                "keeps_balance": account.mode == PostingMode.AUTHORIZING,
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
    first, last = (lines[0].entry_id, lines[-1].entry_id) if lines else ((after or 0) + 1, (before or 1) - 1)
    return Statement(
        account=account,
        opening=opening,
        lines=tuple(lines),
        closing=balance,
        older=first if (bool(after) if forward else more) else None,
        newer=last if (more if forward else before is not None) else None,
    )
