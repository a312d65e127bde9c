"""Account statements: a page of entries with the balance before, after each and after the last of them.

In the order of posting or of effective dates, forwards or backwards, paged by entry, never by offset or count, so that
a page costs the same however long the account is. The opening balance is read from the entry before the page, or for a
recording account from its anchors. It must never write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from ledger.balances import Basis
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
    """A page in order of time. Balances in minor units, positive on the account's normal side."""

    account: Account
    opening: int
    lines: tuple[Line, ...]
    closing: int
    older: int | None  # pass as `before` for the page before this one; None: this is the first
    newer: int | None  # pass as `after` for the page after this one; None: this is the last


# One statement, so that the opening balance and the lines are of the same snapshot. The opening balance is
# materialized, or it would be worked out for each line again. A cursor names an entry, whose time is looked up; one
# that names none is beyond the end that it looks from.
_PAGE: Final = """
WITH cursor AS MATERIALIZED (
    SELECT coalesce((SELECT {time} FROM ledger_entry WHERE id = %(after)s),
                    CASE %(after)s WHEN 0 THEN '-infinity' ELSE 'infinity' END::timestamptz) AS after,
           coalesce((SELECT {time} FROM ledger_entry WHERE id = %(before)s),
                    CASE %(before)s WHEN %(end)s THEN 'infinity' ELSE '-infinity' END::timestamptz) AS before
), place AS MATERIALIZED (
    SELECT {place} FROM cursor c
), {page}, first AS (
    SELECT {time} AS at, id FROM page
    UNION ALL
    SELECT p.at, p.id + %(step)s FROM place p WHERE NOT EXISTS (SELECT 1 FROM page)
    ORDER BY 1, 2 LIMIT 1
), opening AS MATERIALIZED (
    SELECT CASE %(normal)s WHEN 'D' THEN 1 ELSE -1 END * {net}(%(account)s, f.at, f.id) AS net FROM first f
)
SELECT f.net,
       e.side, e.amount, e.id, e.transaction_id, t.public_id, t.kind, t.reference, e.effective_at, e.posted_at
  FROM opening f LEFT JOIN page e ON true LEFT JOIN ledger_transaction t ON t.id = e.transaction_id
 ORDER BY e.{time}, e.id
"""
# Where a page begins: after the cursor or at the beginning of the period; before the cursor or at the period's end. One
# position and not two conditions: an index is entered at one of them, and reads up to the other.
_PLACES: Final = {
    True: "greatest(c.after, %(since)s::timestamptz) AS at,"
    " CASE WHEN c.after < %(since)s::timestamptz THEN 0 ELSE %(after)s END AS id",
    False: "least(c.before, %(until)s::timestamptz) AS at,"
    " CASE WHEN c.before > %(until)s::timestamptz THEN 0 ELSE %(before)s END AS id",
}
_BOUNDS: Final = {
    True: "({time}, id) > ((SELECT at FROM place), (SELECT id FROM place)) AND {time} < %(until)s",
    False: "({time}, id) < ((SELECT at FROM place), (SELECT id FROM place)) AND {time} >= %(since)s",
}
_RANGE: Final = """
    SELECT id, transaction_id, effective_at, side, amount, posted_at FROM ledger_entry
     WHERE account_id = %(account)s AND {bound}{also}
     ORDER BY {time} {order}, id {order} LIMIT %(limit)s"""
# Uses index: entry_by_account (account_id, posted_at, id).
_POSTED: Final = "page AS ({posted})"
# Merged from two ranges: of entry_by_account without the entries that carry another date than that of their posting,
# and of entry_of_another_date (account_id, effective_at, id). Where the second fills a page, the first ends with it.
_OWN: Final = " AND effective_at = posted_at AND posted_at {compare} (SELECT at FROM reach)"
_EFFECTIVE: Final = """redated AS MATERIALIZED ({redated}
), reach AS MATERIALIZED (
    SELECT CASE WHEN count(*) = %(limit)s THEN {last}(effective_at) ELSE '{limitless}' END AS at FROM redated
), page AS (
    SELECT * FROM redated UNION ALL ({own}) ORDER BY effective_at {order}, id {order} LIMIT %(limit)s
)"""


def _page_sql(basis: Basis, *, forward: bool) -> str:
    order = "ASC" if forward else "DESC"

    def read(time: str, also: str = "") -> str:
        return _RANGE.format(time=time, bound=_BOUNDS[forward].format(time=time), order=order, also=also)

    if basis == "posted":
        time, net, page = "posted_at", "ledger_net_before", _POSTED.format(posted=read("posted_at"))
    else:
        time, net = "effective_at", "ledger_net_effective_before"
        page = _EFFECTIVE.format(
            redated=read("effective_at", " AND effective_at <> posted_at"),
            own=read("posted_at", _OWN.format(compare="<=" if forward else ">=")),
            last="max" if forward else "min",
            limitless="infinity" if forward else "-infinity",
            order=order,
        )
    return _PAGE.format(time=time, page=page, place=_PLACES[forward], net=net)


_BASES: Final[tuple[Basis, ...]] = ("posted", "effective")
_PAGES: Final = {(basis, forward): _page_sql(basis, forward=forward) for basis in _BASES for forward in (True, False)}


def statement(
    account: Account,
    *,
    before: int | None = None,
    after: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    basis: Basis = "posted",
    limit: int = 50,
) -> Statement:
    """Return one page of an account's entries: the newest, those `before` an entry id, or those `after` one.

    Give at most one of `before` and `after`; `after` 0 is the oldest page. `since` (included) and `until` (not
    included) bound the time by which the basis orders. One statement; at most `MAX_LINES` lines.
    """
    assert before is None or after is None, "a page is before or after an entry, not both"
    limit = max(1, min(limit, MAX_LINES))
    forward = after is not None
    normal = Side.DEBIT if account.type in DEBIT_NORMAL else Side.CREDIT
    parameters: dict[str, Any] = {
        "account": account.pk,
        "after": after or 0,
        "before": before or _END,
        "end": _END,
        "since": since or "-infinity",
        "until": until or "infinity",
        "limit": limit + 1,
        "step": int(forward),
        "normal": str(normal),
    }
    with connection.cursor() as cursor:
        cursor.execute(_PAGES[basis, forward], parameters)
        rows = cursor.fetchall()
    opening = int(rows[0][0])
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
