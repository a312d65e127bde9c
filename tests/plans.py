"""How a statement was executed: which indexes it read, how many rows of a table, and how many it sorted.

Plans are those of the statements that the code under test sends. What functions of the database read inside is not in a
plan; `sequential_scans` counts it too, because the server does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

Nodes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """The nodes of all statements, as they were executed."""

    nodes: tuple[Nodes, ...]

    def scans(self, table: str) -> set[str]:
        """Return the indexes by which a table was read, or the kind of the scan where it was none."""
        return {str(node.get("Index Name") or node["Node Type"]) for node in self._of(table)}

    def rows_read(self, table: str) -> int:
        """Return how many rows of a table were read, those included that a filter took away."""
        return sum(
            (node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0))
            * node["Actual Loops"]
            for node in self._of(table)
        )

    def rows_sorted(self) -> int:
        """Return how many rows came into the sorts."""
        sorts = [node for node in self.nodes if "Sort" in node["Node Type"]]
        return sum(below["Actual Rows"] * below["Actual Loops"] for node in sorts for below in node["Plans"][:1])

    def _of(self, table: str) -> Iterator[Nodes]:
        return (node for node in self.nodes if node.get("Relation Name") == table)


def plan_of(read: Callable[[], object]) -> Plan:
    """Execute what reads, and again each of its statements under EXPLAIN."""
    with CaptureQueriesContext(connection) as captured:
        read()
    nodes: list[Nodes] = []
    with transaction.atomic(), connection.cursor() as cursor:
        for query in captured.captured_queries:
            if query["sql"].lstrip().startswith(("SELECT", "WITH")):
                cursor.execute("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + query["sql"].replace("%", "%%"), [])
                (found,) = cursor.fetchone()
                nodes += _flat((json.loads(found) if isinstance(found, str) else found)[0]["Plan"])
    assert nodes, "nothing was read"
    return Plan(tuple(nodes))


def sequential_scans(read: Callable[[], object], tables: tuple[str, ...]) -> dict[str, int]:
    """Return how many rows of these tables were read by sequential scans, those of functions included."""
    statement = "SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = ANY (%s)"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [list(tables)])
        before = dict(cursor.fetchall())
        read()
        cursor.execute(statement, [list(tables)])
        return {name: count - before[name] for name, count in cursor.fetchall() if count != before[name]}


def _flat(node: Nodes) -> list[Nodes]:
    return [node, *(one for below in node.get("Plans", []) for one in _flat(below))]
