"""Figures of reconciliation for Prometheus: unresolved breaks, how old they are, how the last runs ended, and when.

Read at the moment of the scrape; without a database there are none. Registered by `config.urls`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.db import Error, connection
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from reconciliation.models import ReconciliationRun

# Uses index: break_unresolved.
_BREAKS: Final = """
SELECT code, priority, count(*), extract(epoch FROM clock_timestamp() - min(created_at))::float8
  FROM reconciliation_break WHERE state <> 'resolved' GROUP BY code, priority ORDER BY code
"""
# The last finished run of each source that is read, and of the books of each merchant.
_LAST: Final = """
SELECT r.verdict, r.finished_at FROM (
       SELECT id AS source_id, book_id FROM reconciliation_source WHERE active
        UNION ALL
       SELECT NULL, book_id FROM payments_merchantbook) s
 CROSS JOIN LATERAL (
       SELECT verdict, finished_at FROM reconciliation_reconciliationrun r
        WHERE r.book_id = s.book_id AND r.source_id IS NOT DISTINCT FROM s.source_id AND r.state = 'finished'
        ORDER BY r.day DESC LIMIT 1) r
"""


class Reconciliation(Collector):
    """Breaks and verdicts as they are at the moment of the scrape."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read them; nothing when the database is away."""
        found = GaugeMetricFamily("florin_breaks", "Unresolved breaks", labels=["code", "priority"])
        oldest = GaugeMetricFamily(
            "florin_break_oldest_seconds", "For how long the oldest of them is known", labels=["priority"]
        )
        verdicts = GaugeMetricFamily(
            "florin_reconciliation_verdicts", "Sources and books by how their last run ended", labels=["verdict"]
        )
        last = GaugeMetricFamily(
            "florin_reconciliation_timestamp_seconds", "When the source that waits for longest was reconciled"
        )
        ages: dict[str, float] = {}
        counted = dict.fromkeys(map(str, ReconciliationRun.Verdict.values), 0)
        try:
            with connection.cursor() as cursor:
                cursor.execute(_BREAKS)
                for code, priority, count, age in cursor.fetchall():
                    found.add_metric([code, str(priority)], count)
                    ages[str(priority)] = max(age, ages.get(str(priority), 0.0))
                cursor.execute(_LAST)
                rows = cursor.fetchall()
        except Error:
            return
        for priority, age in sorted(ages.items()):
            oldest.add_metric([priority], age)
        for verdict, _ in rows:
            counted[verdict] += 1
        for verdict, count in counted.items():
            verdicts.add_metric([verdict], count)
        if rows:
            last.add_metric([], min(at for _, at in rows).timestamp())
        yield from (found, oldest, verdicts, last)
