"""Checks the database against its seals: every block, every sealed row, what lies between, and the published heads.

Each leaf is computed again from the rows, by the expression of `canonical` and not by a function that the database
keeps. Nothing is written and no lock is taken. Rows are read in batches of blocks: memory does not grow with the
history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection

from ledger.ids import public_id
from ledger.seals import canonical, keys, sealing
from ledger.seals.blocks import Block
from ledger.seals.chain import Chain, Finding
from ledger.seals.heads import Heads, place_of
from ledger.seals.merkle import HASH_BYTES

NAME = "seals_cover_history"  # in verify_books
MAX_FINDINGS = 100
_BLOCKS = 64

BLOCK_COLUMNS = """s.number, s.previous_hash, s.root, s.leaf_count, s.first_position, s.last_position,
       timestamptz_send(s.sealed_at), s.key_id, s.block_hash, s.signature"""

_NEXT = f"""
WITH s AS MATERIALIZED (
    SELECT * FROM ledger_seal x WHERE x.book_id = %s AND x.number > %s ORDER BY x.number LIMIT %s
)
SELECT {BLOCK_COLUMNS}, s.leaves, s.transaction_ids,
       (SELECT string_agg(CASE WHEN t.id IS NULL THEN '\\x00'::bytea ELSE {canonical.LEAF} END, ''::bytea ORDER BY u.at)
          FROM unnest(s.transaction_ids) WITH ORDINALITY AS u (id, at)
          LEFT JOIN LATERAL (SELECT k.* FROM ledger_transaction k
                              WHERE k.id = u.id AND k.book_id = s.book_id OFFSET 0) t ON true)
  FROM s JOIN ledger_book b ON b.id = s.book_id ORDER BY s.number
"""  # noqa: S608 - constants

# Everything up to the mark is in exactly one block, and everything in a block is at or before the mark.
_COVERAGE = """
WITH sealed AS (
    SELECT s.book_id, u.id, count(*) AS times, min(s.number) AS block
      FROM ledger_seal s CROSS JOIN LATERAL unnest(s.transaction_ids) AS u (id)
     WHERE %(book)s::bigint IS NULL OR s.book_id = %(book)s GROUP BY s.book_id, u.id
), passed AS (
    SELECT t.id, t.book_id, t.public_id FROM ledger_seal_mark m JOIN ledger_transaction t
        ON (t.cluster_epoch, t.created_xid, t.id) <= (m.cluster_epoch, m.xid, m.transaction_id)
     WHERE %(book)s::bigint IS NULL OR t.book_id = %(book)s
)
SELECT b.code, coalesce(p.public_id, t.public_id), s.block, coalesce(s.times, 0), p.id IS NOT NULL, coalesce(p.id, s.id)
  FROM sealed s FULL JOIN passed p ON p.id = s.id AND p.book_id = s.book_id
  LEFT JOIN ledger_transaction t ON t.id = s.id AND p.id IS NULL
  JOIN ledger_book b ON b.id = coalesce(p.book_id, s.book_id)
 WHERE s.id IS NULL OR s.times > 1 OR p.id IS NULL AND t.id IS NOT NULL
 ORDER BY coalesce(p.id, s.id) LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, what it covered, and what no seal covers yet."""

    findings: tuple[Finding, ...]
    books: int
    blocks: int
    transactions: int
    unsealed: int
    unsealed_since: datetime | None
    compared_with: tuple[str, ...]
    keys: tuple[str, ...]
    keys_are_given: bool


@dataclass(slots=True)
class _Count:
    books: int = 0
    blocks: int = 0
    transactions: int = 0


def check(
    *,
    trusted: Mapping[str, bytes],
    book: str | None = None,
    head_files: Sequence[Path] = (),
    limit: int = MAX_FINDINGS,
) -> Report:
    """Check the seals of one book, or of all, against the rows, the trusted keys and files of heads.

    Without a trusted key the ones in the database are believed, which shows only that the chain agrees with itself; the
    report says so. At most `limit` findings.
    """
    count = _Count()
    believed = dict(trusted) or stored_keys()
    with Heads() as heads:
        found = _all(book, heads, head_files, believed, count)
        findings = tuple(islice(found, limit))
    tail = sealing.unsealed()
    return Report(
        findings=findings,
        books=count.books,
        blocks=count.blocks,
        transactions=count.transactions,
        unsealed=tail.transactions,
        unsealed_since=tail.oldest,
        compared_with=tuple(map(str, head_files)),
        keys=tuple(believed),
        keys_are_given=bool(trusted),
    )


def findings(limit: int = MAX_FINDINGS) -> list[Finding]:
    """Return what is wrong with the seals of all books, without the heads: the part of `verify_books`."""
    try:
        trusted = keys.trusted()
    except keys.UnusableKey as error:
        return [Finding("unreadable", str(error))]
    return list(check(trusted=trusted, limit=limit).findings)


def loaded(heads: Heads, head_files: Sequence[Path]) -> Iterator[Finding]:
    """Read files of heads and yield what is wrong with them."""
    for path in head_files:
        try:
            for number, wrong in heads.load(path):
                yield Finding("unreadable", f"line {number} of {path}: {wrong}")
        except OSError as error:
            yield Finding("unreadable", f"{path} cannot be read: {error.strerror}")


def stored_keys() -> dict[str, bytes]:
    """Return the public keys that the database keeps, by id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT public_key FROM ledger_seal_key ORDER BY added_at, key_id LIMIT 1000")
        return keys.by_id(bytes(row[0]) for row in cursor.fetchall())


def block_of(book: str, row: tuple[Any, ...]) -> Block:
    """Return the block of a row of `BLOCK_COLUMNS`."""
    number, previous_hash, root, leaf_count, first, last, sealed_at, key_id, block_hash, signature = row
    return Block(
        book=book,
        number=number,
        previous_hash=bytes(previous_hash),
        root=bytes(root),
        leaf_count=leaf_count,
        first_position=first,
        last_position=last,
        sealed_at=int.from_bytes(sealed_at, signed=True),
        key_id=key_id,
        block_hash=bytes(block_hash),
        signature=bytes(signature),
    )


def _all(
    book: str | None, heads: Heads, head_files: Sequence[Path], believed: Mapping[str, bytes], count: _Count
) -> Iterator[Finding]:
    published = _published(book, head_files)  # before the files are read: more may be written meanwhile
    yield from loaded(heads, head_files)
    for code, number in published:
        last = heads.last(code) or 0
        if last < number:
            yield Finding("unpublished", f"the heads of blocks {last + 1} to {number} are not in their file", code)
    codes = set[str]()
    for book_id, code in books(book):
        codes.add(code)
        count.books += 1
        chain = Chain(code, believed, heads)
        yield from _blocks(book_id, chain, count)
        yield from chain.end()
        if book is not None:
            yield from _coverage(book_id)
    for code in heads.books():
        if code not in codes and book in (None, code):
            yield from Chain(code, believed, heads).end()
    if book is None:
        yield from _coverage(None)


def _published(book: str | None, head_files: Sequence[Path]) -> list[tuple[str, int]]:
    """Return up to which block the heads of each book were written to these files."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT b.code, max(p.number) FROM ledger_seal_published p JOIN ledger_book b ON b.id = p.book_id"
            " WHERE p.place = ANY (%s) AND (%s::text IS NULL OR b.code = %s) GROUP BY b.code ORDER BY b.code",
            [[place_of(path) for path in head_files], book, book],
        )
        return list(cursor.fetchall())


def books(book: str | None = None) -> list[tuple[int, str]]:
    """Return id and code of one book, or of all."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, code FROM ledger_book WHERE %s::text IS NULL OR code = %s ORDER BY id", [book, book])
        return list(cursor.fetchall())


def _blocks(book_id: int, chain: Chain, count: _Count) -> Iterator[Finding]:
    after = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_NEXT, [book_id, after, _BLOCKS])
            rows = cursor.fetchall()
        for row in rows:
            block = block_of(chain.book, row[:10])
            leaves, ids, now = bytes(row[10]), row[11], bytes(row[12] or b"")
            count.blocks += 1
            count.transactions += block.leaf_count
            yield from chain.check(block, leaves)
            if now != leaves:
                yield from _changed(book_id, block, leaves, ids)
            after = block.number
        if len(rows) < _BLOCKS:
            return


def _changed(book_id: int, block: Block, leaves: bytes, ids: list[int]) -> Iterator[Finding]:
    """Yield the rows of a block that are not as they were sealed."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT u.at, u.id, t.public_id, CASE WHEN t.id IS NOT NULL THEN {canonical.LEAF} END
                  FROM unnest(%s::bigint[]) WITH ORDINALITY AS u (id, at) JOIN ledger_book b ON b.id = %s
                  LEFT JOIN LATERAL (SELECT k.* FROM ledger_transaction k
                                      WHERE k.id = u.id AND k.book_id = b.id OFFSET 0) t ON true
                 ORDER BY u.at""",  # noqa: S608 - constants
            [ids, book_id],
        )
        rows: list[tuple[int, int, UUID | None, bytes | None]] = cursor.fetchall()
    for at, pk, key, leaf in rows:
        place = f"position {block.first_position + at - 1}"
        if key is None:
            yield Finding("missing", f"{place} is missing (internal id {pk})", block.book, block.number)
        elif leaf is None or bytes(leaf) != leaves[(at - 1) * HASH_BYTES : at * HASH_BYTES]:
            shown = public_id("txn", key)
            detail = f"{place} was changed after it was sealed (internal id {pk})"
            yield Finding("changed", detail, block.book, block.number, shown)


def inserted_ids(book_id: int, *, limit: int) -> list[int]:
    """Return the transactions of a book that lie in the sealed history and are in no block, by internal id."""
    return [pk for _, _, _, times, is_passed, pk in _uncovered(book_id, limit) if is_passed and times == 0]


def _uncovered(book_id: int | None, limit: int) -> list[tuple[str, UUID, int | None, int, bool, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_COVERAGE, {"book": book_id, "limit": limit})
        return list(cursor.fetchall())


def _coverage(book_id: int | None) -> Iterator[Finding]:
    for code, key, block, times, is_passed, pk in _uncovered(book_id, MAX_FINDINGS):
        if times > 1:
            detail = f"it is in {times} blocks (internal id {pk})"
        elif is_passed:
            detail = f"it lies in the sealed history and is in no block: it was inserted (internal id {pk})"
        else:
            detail = f"it was moved behind what is sealed (internal id {pk})"
        yield Finding("inserted" if is_passed and times == 0 else "altered", detail, code, block, public_id("txn", key))
