"""Sealing: appends blocks to the chains of all books, behind every running transaction.

It walks the transactions as the fold does, in an order that no late commit can disturb, and takes no lock that a
posting takes. Each step is a database transaction of its own: it reads leaves, signs, and appends at most one block to
each book. Where the heads are published is not known here (`payments/seal_anchor.py`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from ledger.seals import canonical, merkle
from ledger.seals.blocks import GENESIS, Block
from ledger.seals.keys import Signer

TRANSACTIONS_PER_STEP = 5000
MAX_SECONDS = 10.0

_BEGIN = f"""
WITH book AS (
    SELECT t.book_id, b.code, count(*) AS leaves,
           string_agg({canonical.LEAF}, ''::bytea ORDER BY t.ordinality) AS hashes
      FROM ledger_begin_sealing(%s) WITH ORDINALITY t
      JOIN LATERAL (SELECT k.code FROM ledger_book k WHERE k.id = t.book_id OFFSET 0) b ON true
     GROUP BY t.book_id, b.code
)
SELECT k.book_id, k.code, k.leaves, k.hashes,
       coalesce(l.number, 0), l.block_hash, coalesce(l.last_position, 0), l.sealed_at
  FROM book k LEFT JOIN LATERAL (
       SELECT s.number, s.block_hash, s.last_position, s.sealed_at FROM ledger_seal s
        WHERE s.book_id = k.book_id ORDER BY s.number DESC LIMIT 1) l ON true
 ORDER BY k.book_id
"""  # noqa: S608 - constants
_APPEND = """
SELECT ledger_append_seals(%s, %s, %s::bigint[], %s::bigint[], %s::bytea[], %s::bytea[], %s::int[], %s::bytea[],
                           %s::bytea[], %s::bytea[])
"""


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What no seal covers yet: how many transactions (counted to a million), and when the oldest was posted."""

    transactions: int
    oldest: datetime | None


class _Share(NamedTuple):
    """The transactions of one book in a step, and where its chain ends."""

    book_id: int
    code: str
    leaf_count: int
    leaves: bytes
    number: int
    block_hash: bytes | None
    position: int
    sealed_at: datetime | None


def seal(signer: Signer, *, now: datetime) -> int:
    """Seal what can be sealed, in steps that commit by themselves outside a transaction; return how many transactions.

    It stops after some seconds; the rest waits for the next round.

    Idempotent, and safe beside others: whoever comes second does nothing. Transactions that started before a running
    one wait for it.
    """
    sealed, ends = 0, time.monotonic() + MAX_SECONDS
    while True:
        done = _step(signer, now)
        sealed += done
        if done < TRANSACTIONS_PER_STEP or time.monotonic() >= ends:
            return sealed


def unsealed() -> Unsealed:
    """Return the length and age of what is not sealed: a metric, and what every check says that it does not cover."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT transactions, oldest FROM ledger_unsealed()")
        return Unsealed(*cursor.fetchone())


def _step(signer: Signer, now: datetime) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_BEGIN, [TRANSACTIONS_PER_STEP])
        shares = [_Share(*row) for row in cursor.fetchall()]
        if not shares:
            return 0
        # A clock that was set back does not set a chain back.
        sealed_at = max([now, *(share.sealed_at for share in shares if share.sealed_at is not None)])
        blocks = [_block(share, signer, sealed_at) for share in shares]
        cursor.execute(_APPEND, _arrays(signer, sealed_at, shares, blocks))
    return sum(share.leaf_count for share in shares)


def _block(share: _Share, signer: Signer, sealed_at: datetime) -> Block:
    block = Block(
        book=share.code,
        number=share.number + 1,
        previous_hash=bytes(share.block_hash or GENESIS),
        root=merkle.root(merkle.split(bytes(share.leaves))),
        leaf_count=share.leaf_count,
        first_position=share.position + 1,
        last_position=share.position + share.leaf_count,
        sealed_at=canonical.microseconds(sealed_at),
        key_id=signer.key_id,
    ).with_hash()
    return replace(block, signature=signer.sign(block.block_hash))


def _arrays(signer: Signer, sealed_at: datetime, shares: Sequence[_Share], blocks: Sequence[Block]) -> list[Any]:
    """Return the parameters of `_APPEND`."""
    return [
        signer.public_key,
        sealed_at,
        [share.book_id for share in shares],
        [block.number for block in blocks],
        [block.previous_hash for block in blocks],
        [block.root for block in blocks],
        [block.leaf_count for block in blocks],
        [block.block_hash for block in blocks],
        [block.signature for block in blocks],
        [bytes(share.leaves) for share in shares],
    ]
