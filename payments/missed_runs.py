"""Runs that did not happen: which daily runs are late, and when each kind finished last.

A run that fails is tried again and dies in the end, which is counted elsewhere (`runs.dead_runs`). Here it is about
runs that nobody began or finished in time, whatever the reason: no sweeper, one that hangs, or a schedule that was not
written down. Read-only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from payments.runs import scheduled

# A run that fails may begin five times within 20 minutes; an hour after its time something is wrong.
LATE_AFTER: Final = timedelta(hours=1)

# Uses indexes: run_due (one open row for each unit), run_finished.
_STANDINGS = """
WITH kinds AS (SELECT * FROM unnest(%(kinds)s::text[], %(since)s::text[], %(per_book)s::bool[], %(zones)s::text[])
                    AS k (kind, since, per_book, zone)),
     open AS MATERIALIZED (SELECT kind, book_id, min(period) AS first
                             FROM payments_run WHERE due_at IS NOT NULL GROUP BY kind, book_id)
SELECT k.kind,
       count(*) FILTER (WHERE CASE WHEN o.kind IS NOT NULL THEN o.first < k.since
                                   ELSE coalesce(b.created_at, (SELECT f.created_at FROM ledger_book f
                                                                 ORDER BY f.id LIMIT 1)) < %(before)s END) AS late,
       (SELECT r.finished_at FROM payments_run r
         WHERE r.kind = k.kind AND r.finished_at IS NOT NULL ORDER BY r.finished_at DESC LIMIT 1) AS finished_at
  FROM kinds k
  LEFT JOIN ledger_book b ON k.per_book AND (k.zone = '' OR EXISTS (
       SELECT 1 FROM payments_merchantbook m WHERE m.book_id = b.id AND m.time_zone = k.zone))
  LEFT JOIN open o ON o.kind = k.kind AND o.book_id IS NOT DISTINCT FROM b.id
 WHERE b.id IS NOT NULL OR NOT k.per_book
 GROUP BY k.kind ORDER BY k.kind
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a kind of run stands: how many are late (of a kind per book, one a book), and when one finished last."""

    kind: str
    late: int
    finished_at: datetime | None


def standings(*, now: datetime) -> list[Standing]:
    """Return how each kind that has a time of day stands (one statement, and one for the zones of books).

    A run is late when it is not over an hour after its time, or when an hour after the book (or the first book) was
    made its next one is not even written down.
    """
    occurrences = scheduled()
    with connection.cursor() as cursor:
        cursor.execute(
            _STANDINGS,
            {
                "kinds": [kind.name for kind, _ in occurrences],
                # The first occurrence that may still be open: those of earlier days are late.
                "since": [kind.following(now - LATE_AFTER, zone).date().isoformat() for kind, zone in occurrences],
                "per_book": [kind.per_book for kind, _ in occurrences],
                "zones": [zone for _, zone in occurrences],
                "before": now - LATE_AFTER,
            },
        )
        return [Standing(*row) for row in cursor.fetchall()]
