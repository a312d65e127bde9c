"""The sums that the closing identities are made of, per currency: lines, items, and what is matched.

Each is read from its own table and none from another's result: what two of them have in common only shows in the
identities. Set-based, read-only; meant for one snapshot (`identities.close`). Minor units, signed as lines are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from string import Template
from typing import Any, Final

from django.db import connection

from reconciliation.models import Source

# Of a line: what it changed, what of that was a fee of the source, and what the rest of it moved.
_NET: Final = "(l.gross_minor - l.fee_minor)"
_FEE: Final = "l.fee_minor"
_MOVED: Final = "l.gross_minor"
_WORTH: Final = "(i.amount_minor - i.fee_minor)"

_NAMES: Final = {
    "FEE": _FEE,
    "NET": _NET,
    "MOVED": _MOVED,
    "WORTH": _WORTH,
    # Lines that count: of the source, until the day, and not replaced by a revision.
    "REPLACED": """replaced AS MATERIALIZED (
        SELECT DISTINCT o.id FROM reconciliation_statementline n
          JOIN reconciliation_statementline o ON o.source_id = n.source_id AND o.key = n.key AND o.revision < n.revision
         WHERE n.source_id = %(source)s AND n.revision > 0 AND n.id <= %(lines_to)s)""",
    "COUNTS": """l.source_id = %(source)s AND l.booked_on <= %(day)s AND l.id <= %(lines_to)s
           AND NOT EXISTS (SELECT 1 FROM replaced r WHERE r.id = l.id)""",
    "HELD": """held AS MATERIALIZED (
        SELECT DISTINCT x.id FROM reconciliation_break b, unnest(b.$IDS) AS x (id)
         WHERE b.source_id = %(source)s AND b.state <> 'resolved')""",
}
MAX_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Sum:
    """How many, and how much."""

    count: int = 0
    amount: int = 0


@dataclass(slots=True)
class Lines:
    """Lines of a source in one currency: all that count, and those that nothing was matched with."""

    all: Sum = field(default_factory=Sum)  # net
    absolute: int = 0
    fees: int = 0
    open_in_breaks: Sum = field(default_factory=Sum)  # what they moved, without fees
    open_payouts: Sum = field(default_factory=Sum)  # to our bank, of no break: they wait to be booked
    open_elsewhere: Sum = field(default_factory=Sum)
    open_absolute: int = 0
    later_absolute: int = 0  # of days after the run's
    replaced_absolute: int = 0


@dataclass(slots=True)
class Items:
    """Items of a source in one currency: all, and those that nothing was matched with."""

    fees: int = 0
    all: Sum = field(default_factory=Sum)  # less what our books have of the source's fees already
    absolute: int = 0
    open_in_breaks: Sum = field(default_factory=Sum)
    open_waiting: Sum = field(default_factory=Sum)
    open_overdue: Sum = field(default_factory=Sum)  # of no break, though their day has passed
    open_absolute: int = 0


@dataclass(slots=True)
class Matched:
    """What is matched: absolute amounts of both sides, and by rule the difference of lines and items."""

    absolute: int = 0
    differences: dict[str, Sum] = field(default_factory=dict)
    # Lines that book themselves, without their fees: those booked with their break, and those not booked yet.
    posted_in_breaks: Sum = field(default_factory=Sum)
    posted_unbooked: Sum = field(default_factory=Sum)
    fees_booked: int = 0  # as the matches say


def _filled(text: str, **more: str) -> str:
    """Fill the names in, those inside names too."""
    names = {**_NAMES, **more}
    for _ in range(3):
        text = Template(text).safe_substitute(names)
    return text


def rows(query: str, parameters: Mapping[str, Any], **names: str) -> list[tuple[Any, ...]]:
    """Run a query in which names such as `$NET` stand for the expressions above."""
    with connection.cursor() as cursor:
        cursor.execute(_filled(query, **names), parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


_LINES = """
WITH $REPLACED
SELECT l.currency,
       count(*) FILTER (WHERE l.booked_on <= %(day)s AND r.id IS NULL),
       coalesce(sum($NET) FILTER (WHERE l.booked_on <= %(day)s AND r.id IS NULL), 0),
       coalesce(sum(abs($NET)) FILTER (WHERE l.booked_on <= %(day)s AND r.id IS NULL), 0),
       coalesce(sum($FEE) FILTER (WHERE l.booked_on <= %(day)s AND r.id IS NULL), 0),
       coalesce(sum(abs($NET)) FILTER (WHERE l.booked_on > %(day)s AND r.id IS NULL), 0),
       coalesce(sum(abs($NET)) FILTER (WHERE r.id IS NOT NULL), 0)
  FROM reconciliation_statementline l LEFT JOIN replaced r ON r.id = l.id
 WHERE l.source_id = %(source)s AND l.id <= %(lines_to)s GROUP BY l.currency
"""
_OPEN_LINES = """
WITH $REPLACED, $HELD
SELECT l.currency, CASE WHEN h.id IS NOT NULL THEN 'break' WHEN l.flow = 'payout' THEN 'payout' ELSE 'elsewhere' END,
       count(*), coalesce(sum($MOVED), 0), coalesce(sum(abs($NET)), 0)
  FROM reconciliation_statementline l
  LEFT JOIN reconciliation_match m ON m.line_id = l.id AND m.undone_at IS NULL
  LEFT JOIN held h ON h.id = l.id
 WHERE m.id IS NULL AND $COUNTS GROUP BY 1, 2
"""


def lines(source: Source, *, day: date, lines_to: int = MAX_ID) -> dict[str, Lines]:
    """Return the lines of a source until a day, by currency."""
    found: dict[str, Lines] = {}
    parameters = {"source": source.pk, "day": day, "lines_to": lines_to}
    for currency, count, net, absolute, fees_charged, later, replaced in rows(_LINES, parameters):
        found[currency] = Lines(
            Sum(count, int(net)),
            int(absolute),
            int(fees_charged),
            later_absolute=int(later),
            replaced_absolute=int(replaced),
        )
    for currency, where, count, moved, absolute in rows(_OPEN_LINES, parameters, IDS="line_ids"):
        own, total = found[currency], Sum(count, int(moved))
        if where == "break":
            own.open_in_breaks = total
        elif where == "payout":
            own.open_payouts = total
        else:
            own.open_elsewhere = total
        own.open_absolute += int(absolute)
    return found


_ITEMS = """
SELECT i.currency, sum(i.fee_minor), count(*), coalesce(sum($WORTH), 0), coalesce(sum(abs($WORTH)), 0)
  FROM reconciliation_item i WHERE i.source_id = %(source)s GROUP BY i.currency
"""
_OPEN_ITEMS = """
WITH $HELD
SELECT i.currency,
       CASE WHEN h.id IS NOT NULL THEN 'break' WHEN i.expected_by >= %(day)s THEN 'waiting' ELSE 'overdue' END,
       count(*), coalesce(sum(i.amount_minor), 0), coalesce(sum(abs($WORTH)), 0)
  FROM reconciliation_item i
  LEFT JOIN reconciliation_match m ON m.item_id = i.id AND m.undone_at IS NULL
  LEFT JOIN held h ON h.id = i.id
 WHERE m.id IS NULL AND i.source_id = %(source)s GROUP BY 1, 2
"""


def items(source: Source, *, day: date) -> dict[str, Items]:
    """Return the items of a source, by currency."""
    found: dict[str, Items] = {}
    parameters = {"source": source.pk, "day": day}
    for currency, charged, count, worth, absolute in rows(_ITEMS, parameters):
        found[currency] = Items(int(charged), Sum(count, int(worth)), int(absolute))
    for currency, where, count, worth, absolute in rows(_OPEN_ITEMS, parameters, IDS="item_ids"):
        own, total = found[currency], Sum(count, int(worth))
        if where == "break":
            own.open_in_breaks = total
        elif where == "waiting":
            own.open_waiting = total
        else:
            own.open_overdue = total
        own.open_absolute += int(absolute)
    return found


_MATCHED = """
SELECT coalesce(l.currency, i.currency), m.rule, count(*),
       coalesce(sum($MOVED), 0) - coalesce(sum(i.amount_minor), 0),
       coalesce(sum(abs($NET)), 0) + coalesce(sum(abs($WORTH)), 0)
  FROM reconciliation_match m
  LEFT JOIN reconciliation_statementline l ON l.id = m.line_id
  LEFT JOIN reconciliation_item i ON i.id = m.item_id
 WHERE m.source_id = %(source)s AND m.undone_at IS NULL GROUP BY 1, 2
"""
# Lines that book themselves, by what became of it: a posting names the line, its break was booked, or nothing yet.
_POSTED_LINES = """
SELECT l.currency, b.id IS NOT NULL, count(*), coalesce(sum($MOVED), 0)
  FROM reconciliation_match m JOIN reconciliation_statementline l ON l.id = m.line_id
  LEFT JOIN reconciliation_break b ON b.source_id = m.source_id AND b.transaction_id IS NOT NULL
                                  AND l.id = ANY (b.line_ids)
 WHERE m.source_id = %(source)s AND m.undone_at IS NULL AND m.rule = 'posted' AND l.gross_minor <> 0
   AND NOT EXISTS (SELECT 1 FROM ledger_transaction t
                    WHERE t.book_id = %(book)s AND t.reference = 'psp_payout:line:' || l.id)
 GROUP BY 1, 2
"""
# The fees that are booked: of every line that was ever matched (of a revised one the latest that was), less what our
# books had of them with the object. What the postings of fees say is another thing (`account_sums.posted`).
_FEES = """
WITH $REPLACED, once AS MATERIALIZED (
    SELECT DISTINCT ON (l.key) l.currency, l.fee_minor
      FROM reconciliation_match m JOIN reconciliation_statementline l ON l.id = m.line_id
     WHERE m.source_id = %(source)s AND m.id <= %(matches_to)s ORDER BY l.key, l.revision DESC)
SELECT currency, sum(fee) FROM (
    SELECT o.currency, o.fee_minor AS fee FROM once o WHERE o.fee_minor <> 0
     UNION ALL
    SELECT i.currency, -i.fee_minor FROM reconciliation_item i
     WHERE i.source_id = %(source)s AND i.fee_minor <> 0
       AND EXISTS (SELECT 1 FROM reconciliation_match m WHERE m.item_id = i.id AND m.id <= %(matches_to)s)) x
 GROUP BY currency
"""


def matched(source: Source, *, booked_to: int) -> dict[str, Matched]:
    """Return what is matched of a source, by currency; fees are booked of matches up to `booked_to`."""
    found: dict[str, Matched] = {}
    parameters = {"source": source.pk, "book": source.book_id, "lines_to": MAX_ID, "matches_to": booked_to}
    for currency, rule, count, difference, absolute in rows(_MATCHED, parameters):
        own = found.setdefault(currency, Matched())
        own.differences[rule] = Sum(count, int(difference))
        own.absolute += int(absolute)
    for currency, in_break, count, moved in rows(_POSTED_LINES, parameters):
        if in_break:
            found[currency].posted_in_breaks = Sum(count, int(moved))
        else:
            found[currency].posted_unbooked = Sum(count, int(moved))
    for currency, fee in rows(_FEES, parameters):
        found.setdefault(currency, Matched()).fees_booked = int(fee)
    return found


_SINCE = """
SELECT 'line', l.currency, count(*), sum(abs($NET)) FROM reconciliation_statementline l
 WHERE l.source_id = %(source)s AND l.id > %(line)s GROUP BY 2
 UNION ALL
SELECT 'item', i.currency, count(*), sum(abs($WORTH)) FROM reconciliation_item i
 WHERE i.source_id = %(source)s AND i.id > %(item)s GROUP BY 2
"""


def came(source: Source, *, line: int, item: int) -> dict[tuple[str, str], Sum]:
    """Return lines and items above two ids, by (`line` or `item`, currency); amounts without their signs."""
    found = rows(_SINCE, {"source": source.pk, "line": line, "item": item})
    return {(what, currency): Sum(count, int(amount)) for what, currency, count, amount in found}


_NEWEST = """
SELECT (SELECT coalesce(max(l.id), 0) FROM reconciliation_statementline l WHERE l.source_id = %(source)s),
       (SELECT coalesce(max(i.id), 0) FROM reconciliation_item i WHERE i.source_id = %(source)s)
"""


def newest(source: Source) -> dict[str, int]:
    """Return the newest ids of a source's lines and items."""
    line, item = rows(_NEWEST, {"source": source.pk})[0]
    return {"line": line, "item": item}
