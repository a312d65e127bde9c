"""The export: blocks and transactions as lines of JSON, for a check without the database (`offline`).

It shows what is there, without judging: a transaction that is gone has no line, one that was inserted has a line
without a position. Lines come one by one; memory does not grow with the history.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import connection

from ledger.seals import canonical, check, keys, sealing
from ledger.seals.check import BLOCK_COLUMNS, block_of

FORMAT = "florin.seals.1"
MAX_INSERTED = 10_000  # beyond that many nobody needs the list

_BLOCKS = f"""
SELECT {BLOCK_COLUMNS}, s.leaves, s.transaction_ids FROM ledger_seal s
 WHERE s.book_id = %s AND s.number > %s ORDER BY s.number LIMIT 1
"""  # noqa: S608 - constants
_TRANSACTIONS = f"""
SELECT u.at, {canonical.FIELDS}
  FROM unnest(%s::bigint[]) WITH ORDINALITY AS u (id, at) JOIN ledger_book b ON b.id = %s
  JOIN LATERAL (SELECT k.* FROM ledger_transaction k WHERE k.id = u.id AND k.book_id = b.id OFFSET 0) t ON true
 ORDER BY u.at
"""  # noqa: S608 - constants


def lines(*, book: str | None = None, now: datetime) -> Iterator[str]:
    """Yield the lines of an export of one book, or of all."""
    books = check.books(book)
    yield _line({"type": FORMAT, "exported_at": now.isoformat(), "books": [code for _, code in books], "all": not book})
    for key_id, public_key in keys.shown(check.stored_keys()).items():
        yield _line({"type": "key", "key_id": key_id, "public_key": public_key})
    blocks = transactions = 0
    for book_id, code in books:
        after = 0
        while (row := _next_block(book_id, after)) is not None:
            block = block_of(code, row[:10])
            yield _line({"type": "block", **block.shown(), "leaves": bytes(row[10]).hex()})
            for at, shown in _transactions(book_id, row[11]):
                position = block.first_position + at - 1
                yield _line({"type": "transaction", "position": position, **shown})
                transactions += 1
            after, blocks = block.number, blocks + 1
        for _, shown in _transactions(book_id, check.inserted_ids(book_id, limit=MAX_INSERTED)):
            yield _line({"type": "transaction", "position": None, **shown})
            transactions += 1
    tail = sealing.unsealed()
    yield _line({"type": "end", "blocks": blocks, "transactions": transactions, "unsealed": tail.transactions})


def _next_block(book_id: int, after: int) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(_BLOCKS, [book_id, after])
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def _transactions(book_id: int, ids: list[int]) -> Iterator[tuple[int, canonical.Document]]:
    with connection.cursor() as cursor:
        cursor.execute(_TRANSACTIONS, [ids, book_id])
        while rows := cursor.fetchmany(1000):
            for at, *fields in rows:
                yield at, canonical.document(fields)


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
