"""Checks an export without any database: every block, every transaction, the published heads.

It must never open a connection: whoever runs the database could answer what they like. Lines are read one by one and a
block is held at a time, so that memory does not grow with the history.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ledger.seals import blocks, canonical
from ledger.seals.blocks import Block
from ledger.seals.canonical import Unreadable
from ledger.seals.chain import Chain, Finding
from ledger.seals.check import MAX_FINDINGS, Report, loaded
from ledger.seals.export import FORMAT
from ledger.seals.heads import Heads
from ledger.seals.keys import by_id
from ledger.seals.merkle import HASH_BYTES

MAX_LINE_BYTES = 32 * 1024 * 1024


def check_file(
    path: Path, *, trusted: Mapping[str, bytes], head_files: Sequence[Path] = (), limit: int = MAX_FINDINGS
) -> Report:
    """Check an export against the trusted keys and files of heads. Raises `OSError`.

    Without a trusted key the ones in the file are believed, which shows only that it agrees with itself; the report
    says so. At most `limit` findings.
    """
    with Heads() as heads:
        reading = _Reading(dict(trusted), heads)
        findings = tuple(islice(_all(path, head_files, heads, reading), limit))
    return Report(
        findings=findings,
        books=len(reading.books),
        blocks=reading.blocks,
        transactions=reading.transactions,
        unsealed=reading.unsealed,
        unsealed_since=None,
        compared_with=tuple(map(str, head_files)),
        keys=tuple(reading.keys),
        keys_are_given=bool(trusted),
    )


def _all(path: Path, head_files: Sequence[Path], heads: Heads, reading: _Reading) -> Iterator[Finding]:
    yield from loaded(heads, head_files)
    with path.open("rb") as file:
        for number, text in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
            try:
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise Unreadable("it is no object")
                yield from reading.take(line)
            except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
                yield Finding("unreadable", f"line {number} of {path}: {type(error).__name__}")
    yield from reading.end()


class _Reading:
    """What was read of an export so far: the chain of one book, and the block whose transactions come."""

    def __init__(self, trusted: dict[str, bytes], heads: Heads) -> None:
        self.keys = trusted
        self.books = set[str]()
        self.blocks = self.transactions = self.unsealed = 0
        self._believe_the_file = not trusted
        self._heads = heads
        self._chain: Chain | None = None
        self._block: Block | None = None
        self._leaves = b""
        self._seen = bytearray()
        self._listed: list[str] | None = None
        self._is_whole = False
        self._ended = False

    def take(self, line: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield what is wrong with the next line."""
        kind = line.get("type")
        if self._ended or (self._listed is None) != (kind == FORMAT):
            raise Unreadable("it does not belong here")
        if kind == FORMAT:
            self._listed, self._is_whole = [str(code) for code in line["books"]], bool(line["all"])
        elif kind == "key":
            self._key(line)
        elif kind == "block":
            yield from self._new_block(blocks.read(line), bytes.fromhex(line["leaves"]))
        elif kind == "transaction":
            self.transactions += 1
            yield from self._transaction(line)
        elif kind == "end":
            yield from self._last_line(line)
        else:
            raise Unreadable("it is of no known type")

    def end(self) -> Iterator[Finding]:
        """Yield what is missing when no line comes any more."""
        yield from self._end_of_book()
        if not self._ended:
            yield Finding("truncated", "the file has no last line: it was cut off, or its export did not end")
        for code in self._heads.books():
            if code not in self.books and (self._is_whole or code in (self._listed or ())):
                yield from Chain(code, self.keys, self._heads).end()

    def _key(self, line: Mapping[str, Any]) -> None:
        if self._believe_the_file:
            try:
                self.keys |= by_id([base64.b64decode(line["public_key"], validate=True)])
            except binascii.Error as error:
                raise Unreadable("it is no key") from error

    def _new_block(self, block: Block, leaves: bytes) -> Iterator[Finding]:
        yield from self._end_of_block()
        if self._chain is None or self._chain.book != block.book:
            yield from self._end_of_book()
            if block.book in self.books:
                yield Finding("unreadable", "its blocks come in two places", block.book, block.number)
            self.books.add(block.book)
            self._chain = Chain(block.book, self.keys, self._heads)
        self.blocks += 1
        self._block, self._leaves, self._seen = block, leaves, bytearray(len(leaves) // HASH_BYTES)
        yield from self._chain.check(block, leaves)

    def _transaction(self, line: Mapping[str, Any]) -> Iterator[Finding]:
        block, position, key = self._block, line["position"], str(line["id"])
        at = -1 if block is None or position is None else position - block.first_position
        if block is None or line["book"] != block.book or not 0 <= at < len(self._seen) or self._seen[at]:
            yield Finding("inserted", "it is in no block: it was inserted", str(line["book"]), None, key)
            return
        self._seen[at] = 1
        try:
            leaf = canonical.leaf(line)
        except Unreadable as error:
            yield Finding("changed", f"position {position} cannot be read ({error})", block.book, block.number, key)
            return
        if leaf != self._leaves[at * HASH_BYTES : (at + 1) * HASH_BYTES]:
            detail = f"position {position} was changed after it was sealed"
            yield Finding("changed", detail, block.book, block.number, key)

    def _end_of_block(self) -> Iterator[Finding]:
        block, self._block = self._block, None
        if block is not None:
            for at, is_there in enumerate(self._seen):
                if not is_there:
                    yield Finding(
                        "missing", f"position {block.first_position + at} is missing", block.book, block.number
                    )

    def _end_of_book(self) -> Iterator[Finding]:
        yield from self._end_of_block()
        if self._chain is not None:
            yield from self._chain.end()
        self._chain = None

    def _last_line(self, line: Mapping[str, Any]) -> Iterator[Finding]:
        yield from self._end_of_book()
        self._ended, self.unsealed = True, int(line["unsealed"])
        for name, counted in (("blocks", self.blocks), ("transactions", self.transactions)):
            if line[name] != counted:
                yield Finding("unreadable", f"the last line says {line[name]} {name}, and there are {counted}")
