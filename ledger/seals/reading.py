"""The blocks of a book as a list. Read-only."""

from __future__ import annotations

from django.db import connection

from ledger.seals.blocks import Block
from ledger.seals.check import BLOCK_COLUMNS, block_of

# Uses index: the primary key of ledger_seal.
_NEWEST = f"""
SELECT b.code, {BLOCK_COLUMNS} FROM ledger_seal s JOIN ledger_book b ON b.id = s.book_id
 WHERE s.book_id = %s AND s.number < %s ORDER BY s.number DESC LIMIT %s
"""  # noqa: S608 - constants
_NO_END = 2**63 - 1


def newest(book_id: int, *, before: int | None = None, limit: int) -> list[Block]:
    """Return blocks of a book, the newest first: all, or those before a number."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [book_id, _NO_END if before is None else before, limit])
        return [block_of(row[0], row[1:]) for row in cursor.fetchall()]
