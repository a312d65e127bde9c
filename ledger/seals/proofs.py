"""Proof that one transaction is in a sealed block: what somebody without the database needs to check it.

The check is docs/verify_proof.py. Read-only, one statement.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import connection

from ledger.seals import canonical, keys, merkle
from ledger.seals.check import BLOCK_COLUMNS, block_of

# Uses index: seal_by_commit_order. The block of a transaction is the first that ends at or after it.
_FIND = f"""
SELECT s.at, s.leaves, s.public_key, {BLOCK_COLUMNS}, {canonical.FIELDS}
  FROM ledger_transaction t JOIN ledger_book b ON b.id = t.book_id
  LEFT JOIN LATERAL (
       SELECT x.*, array_position(x.transaction_ids, t.id) AS at, k.public_key
         FROM ledger_seal x JOIN ledger_seal_key k ON k.key_id = x.key_id
        WHERE x.book_id = t.book_id AND (x.last_epoch, x.last_xid, x.last_id) >= (t.cluster_epoch, t.created_xid, t.id)
        ORDER BY x.last_epoch, x.last_xid, x.last_id LIMIT 1) s ON true
 WHERE t.public_id = %s AND t.book_id = %s
"""  # noqa: S608 - constants


class NotSealed(Exception):
    """No block holds the transaction yet."""


def proof(book_id: int, key: UUID) -> dict[str, Any] | None:
    """Return the proof of a transaction by its public id; `None` when the book has none. Raises `NotSealed`.

    It shows the transaction as it is now: was it changed since, the proof does not lead to the root.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [key, book_id])
        row = cursor.fetchone()
    if row is None:
        return None
    at, leaves, public_key, *columns = row
    if at is None:
        raise NotSealed
    shown = canonical.document(columns[10:])
    hashes = merkle.split(bytes(leaves))
    return {
        "transaction": shown,
        "index": at - 1,
        "path": [beside.hex() for beside in merkle.path(hashes, at - 1)],
        "block": block_of(shown["book"], tuple(columns[:10])).shown(),
        "public_key": next(iter(keys.shown(keys.by_id([bytes(public_key)])).values())),
    }
