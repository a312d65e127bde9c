"""Packed arrays arrive as what they were; statements that the server keeps survive a new version of their function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper

from ledger import arrays
from tests.database import Clone

WINTER = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
EAST = datetime(2026, 3, 1, 5, 30, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))

CASES: dict[str, tuple[Callable[[Any], arrays.Array], str, Sequence[Any]]] = {
    "ints": (arrays.ints, "integer[]", [0, 1, -1, 2**31 - 1, -(2**31)]),
    "no ints": (arrays.ints, "integer[]", []),
    "ints and NULL": (arrays.ints_or_nulls, "integer[]", [None, 7, None]),
    "bigints": (arrays.bigints, "bigint[]", [0, 2**63 - 1, -(2**63)]),
    "bigints and NULL": (arrays.bigints_or_nulls, "bigint[]", [None, 2**40]),
    "NULL alone": (arrays.bigints_or_nulls, "bigint[]", [None]),
    "texts": (arrays.texts, "text[]", ["", "NULL", '"{},\\', "'); DROP TABLE x; --", "Grüße €", " "]),
    "blobs": (arrays.blobs, "bytea[]", [b"", b"\x00\xff", b"5f"]),
    "uuids": (arrays.uuids, "uuid[]", [UUID(int=0), UUID(int=2**128 - 1)]),
    "instants": (arrays.instants, "timestamp with time zone[]", [WINTER, EAST, None, datetime(2000, 1, 1, tzinfo=UTC)]),
}


def prepared() -> CursorWrapper:
    """Return a cursor of the kind that posts."""
    database: Any = connection
    cursor: CursorWrapper = database.prepared_cursor()
    return cursor


@pytest.mark.parametrize("name", CASES)
def test_a_packed_array_arrives_as_it_was(db: None, name: str) -> None:
    pack, kind, values = CASES[name]
    with prepared() as cursor:
        cursor.execute("SELECT x, pg_typeof(x)::text FROM (SELECT %s AS x) y", [pack(values)])
        assert cursor.fetchone() == (list(values), kind)


def test_documents_arrive_as_json(db: None) -> None:
    with prepared() as cursor:
        cursor.execute("SELECT x ->> 'k' FROM unnest(%s) x", [arrays.documents(["{}", '{"k": "v\'\\"€"}'])])
        assert cursor.fetchall() == [(None,), ("v'\"€",)]


def test_a_number_that_does_not_fit_is_refused_before_it_is_sent() -> None:
    with pytest.raises(Exception, match="format requires"):
        arrays.bigints([2**63])


def test_a_kept_statement_takes_the_new_version_of_its_function(committed_db: None, clone: Clone) -> None:
    """A deployment may drop and make functions under sessions that have called them."""

    def answers(times: int) -> list[Any]:
        found = []
        for _ in range(times):  # a few times: PostgreSQL makes a plan for good after five
            with prepared() as cursor:
                cursor.execute("SELECT version_of(%s)", [arrays.ints([1])])
                found.append(cursor.fetchone())
        return found

    with psycopg.connect(clone.owner_url, autocommit=True) as owner:
        try:
            owner.execute("CREATE FUNCTION version_of(int[]) RETURNS int LANGUAGE sql AS 'SELECT 1'")
            assert answers(7) == [(1,)] * 7
            owner.execute("DROP FUNCTION version_of(int[])")
            owner.execute("CREATE FUNCTION version_of(int[]) RETURNS int LANGUAGE sql AS 'SELECT 2'")
            assert answers(2) == [(2,)] * 2
        finally:
            owner.execute("DROP FUNCTION version_of(int[])")
