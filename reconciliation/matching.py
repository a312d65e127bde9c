"""Matching: which lines and items are the same movement. Set-based, in one order, the same whoever runs it how often.

A rule pairs what is open, and the next one sees what is left. Nothing is guessed: a rule pairs by an identifier that
both sides carry, or, where a bank carries none, when an amount within some days has exactly one candidate on each side.
"""

from __future__ import annotations

from datetime import datetime
from string import Template
from typing import Any, Final

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Max

from payments.models import MerchantBook
from reconciliation.models import ReconciliationRun, Source

RULES_VERSION: Final = 1
# How many days a bank may take from the PSP's payout to the credit, when only the amount tells.
AMOUNT_WITHIN_DAYS: Final = 10

# The line that a revision replaces, and whether it says the same about what is matched: most revisions only add the
# payout that a line belongs to.
_REVISED = """
WITH revised AS (
    SELECT n.id AS new_id, o.id AS old_id,
           (n.flow, n.reference, n.own_reference, n.currency, n.gross_minor)
           = (o.flow, o.reference, o.own_reference, o.currency, o.gross_minor) AS same
      FROM reconciliation_statementline n
      JOIN reconciliation_statementline o ON o.source_id = n.source_id AND o.key = n.key AND o.revision < n.revision
     WHERE n.source_id = %(source)s AND n.id > %(lines_from)s AND n.revision > 0 AND n.booked_on <= %(day)s),
"""
# What says the same stays matched: its match is made anew with the line that is valid now.
_CARRY_OVER = Template("""$revised
ended AS (
    UPDATE reconciliation_match m SET undone_at = %(now)s, undone_by = 'revision', note = 'the line was revised'
      FROM revised r WHERE r.same AND m.line_id = r.old_id AND m.undone_at IS NULL
    RETURNING m.rule, m.rules_version, m."group", r.new_id, m.item_id, m.actor)
INSERT INTO reconciliation_match (source_id, run_id, rule, rules_version, "group", line_id, item_id, actor)
SELECT %(source)s, %(run)s, rule, rules_version, "group", new_id, item_id, actor FROM ended ORDER BY new_id
""").substitute(revised=_REVISED)
# What says something else is open again, with everything that it was matched with.
_UNDO_REVISED = Template("""$revised
groups AS (SELECT DISTINCT m.rule, m."group" FROM revised r JOIN reconciliation_match m ON m.line_id = r.old_id
            WHERE NOT r.same AND m.undone_at IS NULL AND m."group" IS NOT NULL)
UPDATE reconciliation_match m SET undone_at = %(now)s, undone_by = 'revision', note = 'the line was revised'
 WHERE m.source_id = %(source)s AND m.undone_at IS NULL
   AND (m.line_id IN (SELECT r.old_id FROM revised r WHERE NOT r.same)
        OR (m.rule, m."group") IN (SELECT g.rule, g."group" FROM groups g))
""").substitute(revised=_REVISED)

# What is open: what lies above the floor, belongs to an unresolved break,
# or had a match that was undone; unless matched.
_LINES = """
  FROM reconciliation_statementline l
 WHERE l.source_id = %(source)s AND l.booked_on <= %(day)s
   AND (l.id > %(lines_from)s
        OR l.id IN (SELECT unnest(b.line_ids) FROM reconciliation_break b
                     WHERE b.source_id = %(source)s AND b.state <> 'resolved')
        OR l.id IN (SELECT m.line_id FROM reconciliation_match m
                     WHERE m.source_id = %(source)s AND m.undone_at IS NOT NULL))
   AND NOT EXISTS (SELECT 1 FROM reconciliation_match m WHERE m.line_id = l.id AND m.undone_at IS NULL)
   AND NOT EXISTS (SELECT 1 FROM reconciliation_statementline n
                    WHERE n.source_id = %(source)s AND n.key = l.key AND n.revision > 0 AND n.revision > l.revision)
"""
_ITEMS = """
  FROM reconciliation_item i
 WHERE i.source_id = %(source)s
   AND (i.id > %(items_from)s
        OR i.id IN (SELECT unnest(b.item_ids) FROM reconciliation_break b
                     WHERE b.source_id = %(source)s AND b.state <> 'resolved')
        OR i.id IN (SELECT m.item_id FROM reconciliation_match m
                     WHERE m.source_id = %(source)s AND m.undone_at IS NOT NULL))
   AND NOT EXISTS (SELECT 1 FROM reconciliation_match m WHERE m.item_id = i.id AND m.undone_at IS NULL)
"""
# A transfer's reversal is known to us by the operation that asked for it; a transfer of our bank by the end-to-end id
# that we gave it, which a bank may write in capitals; everything else by the other side's id of it.
_KEY = """CASE WHEN l.flow = 'transfer_reversal' THEN l.own_reference
            WHEN l.flow IN ('debit', 'return') THEN lower(replace(l.own_reference, '_', '-'))
            ELSE l.reference END"""

# Nearly everything: one line and one item of the same object, currency and amount. Read from the tables as they are,
# so that of a million lines only the few that are left are ever copied.
_SINGLES = Template("""
WITH l AS MATERIALIZED (
        SELECT l.flow, $key AS match_key, l.currency, min(l.id) AS id, min(l.gross_minor) AS amount $lines
         GROUP BY 1, 2, 3 HAVING count(*) = 1),
     i AS MATERIALIZED (
        SELECT i.flow, i.reference, i.currency, min(i.id) AS id, min(i.amount_minor) AS amount $items
         GROUP BY 1, 2, 3 HAVING count(*) = 1)
INSERT INTO reconciliation_match (source_id, run_id, rule, rules_version, line_id, item_id)
SELECT %(source)s, %(run)s, 'reference', %(version)s, l.id, i.id
  FROM l JOIN i ON i.flow = l.flow AND i.reference = l.match_key AND i.currency = l.currency AND i.amount = l.amount
""").substitute(key=_KEY, lines=_LINES, items=_ITEMS)

_OPEN_LINES = Template("INSERT INTO reconciliation_open_line SELECT l.*, $key $lines").substitute(
    key=_KEY, lines=_LINES
)
_OPEN_ITEMS = Template("INSERT INTO reconciliation_open_item SELECT i.* $items").substitute(items=_ITEMS)

# An object that moved several times (captured in part, disputed twice): all its lines against all its items.
_GROUPS = """
WITH l AS (SELECT flow, match_key, currency, count(*) AS n, min(id) AS id, sum(gross_minor) AS amount
             FROM reconciliation_open_line WHERE match_key <> '' GROUP BY 1, 2, 3),
     i AS (SELECT flow, reference, currency, count(*) AS n, sum(amount_minor) AS amount
             FROM reconciliation_open_item GROUP BY 1, 2, 3),
     pairs AS (SELECT l.* FROM l JOIN i ON i.flow = l.flow AND i.reference = l.match_key AND i.currency = l.currency
                                       AND i.amount = l.amount)
INSERT INTO reconciliation_match (source_id, run_id, rule, rules_version, "group", line_id, item_id)
SELECT %(source)s, %(run)s, 'group', %(version)s, p.id, x.line_id, x.item_id
  FROM pairs p
 CROSS JOIN LATERAL (
       SELECT o.id AS line_id, NULL::bigint AS item_id FROM reconciliation_open_line o
        WHERE o.flow = p.flow AND o.match_key = p.match_key AND o.currency = p.currency
        UNION ALL
       SELECT NULL, o.id FROM reconciliation_open_item o
        WHERE o.flow = p.flow AND o.reference = p.match_key AND o.currency = p.currency) x
 ORDER BY p.id, x.line_id, x.item_id
"""

# A line that a revised document left out: it ends with nothing, and what it was matched with is open.
_WITHDRAWN = """
INSERT INTO reconciliation_match (source_id, run_id, rule, rules_version, "group", line_id)
SELECT %(source)s, %(run)s, 'netted', %(version)s, l.id, l.id FROM reconciliation_open_line l
 WHERE l.revision > 0 AND l.gross_minor = 0 AND l.fee_minor = 0 ORDER BY l.id
"""

# Lines about one object that take each other back, and that we never booked: a refund that failed before it was paid.
_NETTED = """
WITH sums AS (SELECT coalesce(nullif(match_key, ''), key) AS of, currency, min(id) AS id
                FROM reconciliation_open_line
               WHERE flow IN ('charge', 'refund', 'refund_failure', 'dispute', 'dispute_reversal', 'payout',
                              'payout_reversal')
               GROUP BY 1, 2
              HAVING count(*) > 1 AND sum(gross_minor) = 0 AND sum(fee_minor) = 0)
INSERT INTO reconciliation_match (source_id, run_id, rule, rules_version, "group", line_id)
SELECT %(source)s, %(run)s, 'netted', %(version)s, s.id, l.id
  FROM sums s JOIN reconciliation_open_line l ON coalesce(nullif(l.match_key, ''), l.key) = s.of
    AND l.currency = s.currency
 WHERE NOT EXISTS (SELECT 1 FROM reconciliation_open_item i WHERE i.reference = s.of AND i.currency = s.currency)
   AND l.flow IN ('charge', 'refund', 'refund_failure', 'dispute', 'dispute_reversal', 'payout', 'payout_reversal')
 ORDER BY l.id
"""

# A payout that came back to the PSP before it arrived, a transfer that our bank refused: its entries know of neither.
_NEVER_ARRIVED = """
WITH sums AS (SELECT reference, currency, min(id) AS id FROM reconciliation_open_item
               WHERE flow IN ('credit', 'debit') GROUP BY 1, 2 HAVING count(*) > 1 AND sum(amount_minor) = 0)
INSERT INTO reconciliation_match (source_id, run_id, rule, rules_version, "group", item_id)
SELECT %(source)s, %(run)s, 'netted', %(version)s, s.id, i.id
  FROM sums s JOIN reconciliation_open_item i ON i.flow IN ('credit', 'debit') AND i.reference = s.reference
                                             AND i.currency = s.currency
 ORDER BY i.id
"""

# A bank names the payout somewhere: in its reference, or in the text.
_BY_TEXT = """
WITH named AS (
    SELECT l.id AS line_id, i.id AS item_id, count(*) OVER (PARTITION BY l.id) AS of_line,
           count(*) OVER (PARTITION BY i.id) AS of_item
      FROM reconciliation_open_item i
      JOIN reconciliation_open_line l ON l.flow IN ('credit', 'debit', 'return') AND l.currency = i.currency
        AND l.gross_minor = i.amount_minor
       AND (i.reference IN (l.reference, l.own_reference, l.batch) OR position(i.reference IN l.text) > 0)
     WHERE i.flow = 'credit')
INSERT INTO reconciliation_match (source_id, run_id, rule, rules_version, line_id, item_id)
SELECT %(source)s, %(run)s, 'payout', %(version)s, line_id, item_id FROM named
 WHERE of_line = 1 AND of_item = 1 ORDER BY line_id
"""

_BY_AMOUNT_AND_DATE = """
WITH candidates AS (
    SELECT l.id AS line_id, i.id AS item_id, count(*) OVER (PARTITION BY l.id) AS of_line,
           count(*) OVER (PARTITION BY i.id) AS of_item
      FROM reconciliation_open_item i
      JOIN reconciliation_open_line l ON l.flow IN ('credit', 'debit', 'return') AND l.currency = i.currency
        AND l.gross_minor = i.amount_minor
       AND l.booked_on BETWEEN (i.occurred_at AT TIME ZONE %(zone)s)::date
                           AND (i.occurred_at AT TIME ZONE %(zone)s)::date + %(days)s::integer
     WHERE i.flow = 'credit')
INSERT INTO reconciliation_match (source_id, run_id, rule, rules_version, line_id, item_id)
SELECT %(source)s, %(run)s, 'amount_date', %(version)s, line_id, item_id FROM candidates
 WHERE of_line = 1 AND of_item = 1 ORDER BY line_id
"""

_FORGET_LINES: Final = """
DELETE FROM reconciliation_open_line o USING reconciliation_match m
 WHERE m.line_id = o.id AND m.undone_at IS NULL AND m.run_id = %(run)s
"""
_FORGET_ITEMS: Final = """
DELETE FROM reconciliation_open_item o USING reconciliation_match m
 WHERE m.item_id = o.id AND m.undone_at IS NULL AND m.run_id = %(run)s
"""

_RULES_OF_A_PSP: Final = (("withdrawn", _WITHDRAWN), ("group", _GROUPS), ("netted", _NETTED))
_RULES_OF_A_BANK: Final = (
    ("withdrawn", _WITHDRAWN),
    ("payout", _BY_TEXT),
    ("never_arrived", _NEVER_ARRIVED),
    ("amount_date", _BY_AMOUNT_AND_DATE),
    ("netted", _NETTED),
)


def pair(run: ReconciliationRun, *, now: datetime) -> dict[str, int]:
    """Pair what is open at the source of a run, up to its day; return how many rows each rule wrote.

    In the caller's transaction; leaves the open sets behind in it for who classifies (`open_sets`). Idempotent: what is
    matched is not looked at again.
    """
    assert run.source is not None
    parameters = parameters_of(run, now=now)
    written = {}
    with connection.cursor() as cursor:
        of_many_rows(cursor)
        cursor.execute(_CARRY_OVER, parameters)
        cursor.execute(_UNDO_REVISED, parameters)
        cursor.execute(_SINGLES, parameters)
        written["reference"] = cursor.rowcount
        open_sets(cursor, parameters)
        of_few_rows(cursor)
        for rule, statement in _RULES_OF_A_PSP if run.source.side == Source.Side.PSP else _RULES_OF_A_BANK:
            cursor.execute(statement, parameters)
            written[rule] = cursor.rowcount
            if cursor.rowcount:
                cursor.execute(_FORGET_LINES, parameters)
                cursor.execute(_FORGET_ITEMS, parameters)
    return written


def of_many_rows(cursor: CursorWrapper) -> None:
    """Plan what follows for a day's worth of rows: hash joins in memory, never a look-up for each line.

    The tables have grown by that much since anybody counted them, so the planner cannot know.
    """
    cursor.execute("SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '256MB', true)")


def of_few_rows(cursor: CursorWrapper) -> None:
    """Plan what follows as usual again."""
    cursor.execute("SELECT set_config('enable_nestloop', 'on', true)")


def open_sets(cursor: CursorWrapper, parameters: dict[str, Any]) -> None:
    """Look up what is open, into `reconciliation_open_line` and `reconciliation_open_item` of this transaction."""
    cursor.execute("SELECT reconciliation_open_sets()")
    cursor.execute(_OPEN_LINES, parameters)
    cursor.execute(_OPEN_ITEMS, parameters)


def parameters_of(run: ReconciliationRun, *, now: datetime) -> dict[str, Any]:
    """Return what every statement about a run needs: source, day, floors, the zone of its days."""
    assert run.source_id is not None
    # Uses index: a_day_of_a_source_is_one_run.
    before = (
        ReconciliationRun.objects.filter(book_id=run.book_id, source_id=run.source_id, state="finished")
        .exclude(pk=run.pk)
        .aggregate(lines=Max("lines_to"), items=Max("items_to"))
    )
    zone = MerchantBook.objects.values_list("time_zone", flat=True).get(pk=run.book_id)
    return {
        "source": run.source_id,
        "book": run.book_id,
        "run": run.pk,
        "day": run.day,
        "now": now,
        "zone": zone,
        "version": RULES_VERSION,
        "days": AMOUNT_WITHIN_DAYS,
        "lines_from": before["lines"] or 0,
        "items_from": before["items"] or 0,
    }
