"""Classification: what is left open after matching is a break of some class, or pending.

Pending is no break: an item may be missing until its day, and a line may come before we have heard of it only when
somebody will tell us. Everything else gets a class, by the questions of `reconciliation.differences`, in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db import connection

from reconciliation import breaks, differences, matching
from reconciliation.codes import CODES
from reconciliation.models import ReconciliationRun, Source

STUCK_DAYS: Final = 7
# A notification about something unknown is a break while it is this young; afterwards it is history.
ORPHAN_DAYS: Final = 30
# A grace of business days, in days of the calendar, for what has no row of its own that says its day.
DAYS_PER_BUSINESS_DAY: Final = 2

# The first answer about a leg, key and currency counts: of two, the earlier question is the more particular one.
_COLLECT = """
INSERT INTO reconciliation_found (identity, question, code, currency, amount, reference, detail, line_ids, item_ids,
                                  evidence, priority)
SELECT sha256(convert_to(concat_ws('|', %(book)s::text, %(source)s::text, q.leg, q.key, coalesce(q.currency, '')),
  'UTF8')),
       %(question)s, q.code, q.currency, q.amount, q.reference, q.detail, q.line_ids, q.item_ids, q.evidence, p.priority
  FROM ({question}) q
  JOIN unnest(%(all_codes)s::text[], %(priorities)s::smallint[]) AS p (code, priority) ON p.code = q.code
 -- A line or an item that an earlier question has spoken for is not asked about again.
 WHERE (q.line_ids = '{}' OR q.line_ids[1] NOT IN (SELECT unnest(f.line_ids) FROM reconciliation_found f))
   AND (q.item_ids = '{}' OR q.item_ids[1] NOT IN (SELECT unnest(f.item_ids) FROM reconciliation_found f))
 ORDER BY q.leg, q.key, q.currency, q.code LIMIT %(limit)s
ON CONFLICT (identity) DO NOTHING
"""

_PENDING = """
SELECT flow, currency, count(*), sum(amount_minor), min(expected_by)
  FROM reconciliation_open_item i
 WHERE i.expected_by >= %(day)s
   AND NOT EXISTS (SELECT 1 FROM reconciliation_found f WHERE i.id = ANY (f.item_ids))
 GROUP BY 1, 2 ORDER BY 1, 2
"""

# Every line and item up to here is matched, or a break has it.
_FLOORS = """
UPDATE reconciliation_reconciliationrun r
   SET lines_to = coalesce((SELECT min(l.id) - 1 FROM reconciliation_open_line l
                             WHERE NOT EXISTS (SELECT 1 FROM reconciliation_break b
                                                WHERE b.source_id = %(source)s AND l.id = ANY (b.line_ids))),
                           (SELECT coalesce(min(l.id) - 1, (SELECT max(id) FROM reconciliation_statementline
                                                             WHERE source_id = %(source)s), 0)
                              FROM reconciliation_statementline l
                             WHERE l.source_id = %(source)s AND l.booked_on > %(day)s AND l.id > %(lines_from)s), 0),
       items_to = coalesce((SELECT min(i.id) - 1 FROM reconciliation_open_item i
                             WHERE NOT EXISTS (SELECT 1 FROM reconciliation_break b
                                                WHERE b.source_id = %(source)s AND i.id = ANY (b.item_ids))),
                           (SELECT max(id) FROM reconciliation_item WHERE source_id = %(source)s), 0)
 WHERE r.id = %(run)s
"""


@dataclass(frozen=True, slots=True)
class Pending:
    """What may still come: how many movements of a kind, their sum, and the first day on which one would be a break."""

    flow: str
    currency: str
    count: int
    amount_minor: int
    due_on: date


@dataclass(frozen=True, slots=True)
class Classified:
    """What a run made of what was left open."""

    new: int
    reopened: int
    reclassified: int
    resolved: int
    pending: tuple[Pending, ...]


def classify(run: ReconciliationRun, *, now: datetime) -> Classified:
    """Write the breaks of what `matching.pair` left open in this transaction, and end those that are explained.

    Set-based; the run's floors move up. Idempotent: the same open sets make the same breaks.
    """
    assert run.source is not None
    parameters = matching.parameters_of(run, now=now) | _days(run) | {"limit": breaks.MAX_BREAKS}
    parameters |= {"all_codes": list(CODES), "priorities": [code.priority for code in CODES.values()]}
    questions = differences.PSP if run.source.side == Source.Side.PSP else differences.BANK
    with connection.cursor() as cursor:
        cursor.execute("SELECT reconciliation_open_found()")
        for place, question in enumerate(questions):
            cursor.execute(_COLLECT.replace("{question}", question), parameters | {"question": place})
        written = breaks.record(parameters, codes=_own_codes())
        cursor.execute(_PENDING, parameters)
        pending = tuple(Pending(*row) for row in cursor.fetchall())
        cursor.execute(_FLOORS, parameters)
    return Classified(*written, pending=pending)


def _own_codes() -> list[str]:
    """Return the codes that end when these questions do not find them any more.

    B08, B09, B10 and D are asked by others. What is seen once, with the match it is about (a fee, a payee, a closed
    period), is ended by a person or a repair.
    """
    others = {"B08", "B09", "B10", "A10", "A22", "B12"}
    return [code for code in CODES if code[0] in "ABC" and code not in others]


def _days(run: ReconciliationRun) -> dict[str, Any]:
    assert run.source is not None
    grace = run.source.grace_days * DAYS_PER_BUSINESS_DAY
    return {
        "due_since": run.day - timedelta(days=grace),
        "stuck_since": run.day - timedelta(days=STUCK_DAYS),
        "orphans_since": run.day - timedelta(days=ORPHAN_DAYS),
    }
