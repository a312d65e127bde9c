"""Which heads a place outside the database does not have yet, and what it has. Knows places by name only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from ledger.seals.blocks import Block
from ledger.seals.check import BLOCK_COLUMNS, block_of

HEADS_AT_ONCE = 500

# Uses index: the primary key of ledger_seal, once for each book.
_NEXT = f"""
SELECT b.id, b.code, {BLOCK_COLUMNS}
  FROM ledger_book b LEFT JOIN ledger_seal_published p ON p.place = %s AND p.book_id = b.id
 CROSS JOIN LATERAL (SELECT * FROM ledger_seal x WHERE x.book_id = b.id AND x.number > coalesce(p.number, 0)
                      ORDER BY x.number LIMIT %s) s
 ORDER BY b.id, s.number LIMIT %s
"""  # noqa: S608 - constants
_MISSING = """
SELECT coalesce(sum(l.number - coalesce(p.number, 0)), 0)::bigint
  FROM ledger_book b LEFT JOIN ledger_seal_published p ON p.place = %s AND p.book_id = b.id
 CROSS JOIN LATERAL (SELECT x.number FROM ledger_seal x WHERE x.book_id = b.id ORDER BY x.number DESC LIMIT 1) l
"""


def next_heads(place: str) -> list[tuple[int, Block]]:
    """Return the next heads that a place lacks, with the internal ids of their books, in the order of each chain."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [place, HEADS_AT_ONCE, HEADS_AT_ONCE])
        return [(row[0], block_of(row[1], row[2:])) for row in cursor.fetchall()]


def note(place: str, heads: Sequence[tuple[int, Block]], *, now: datetime) -> None:
    """Note that a place has these heads. Idempotent; never goes back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ledger_note_published(%s, %s::bigint[], %s::bigint[], %s)",
            [place, [book_id for book_id, _ in heads], [block.number for _, block in heads], now],
        )


def has_any(place: str) -> bool:
    """True when heads were written to a place at some time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM ledger_seal_published WHERE place = %s)", [place])
        found: bool = cursor.fetchone()[0]
        return found


def missing(place: str) -> int:
    """Return how many heads a place lacks: a metric."""
    with connection.cursor() as cursor:
        cursor.execute(_MISSING, [place])
        found: int = cursor.fetchone()[0]
        return found
