"""What must hold along a chain of blocks, wherever it was read from: the database, or a file without one.

`Chain` takes the blocks of one book in order and yields what is wrong. It holds the last block only, so a check takes
the same memory whatever the length of the history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ledger.seals import merkle
from ledger.seals.blocks import GENESIS, Block
from ledger.seals.heads import Heads
from ledger.seals.keys import is_signed


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where: a book, a block of it, a transaction, as far as they are known.

    `what` is one of: changed, missing, inserted, truncated (rows and blocks at the end), altered (a block), forged (a
    signature), unpublished (a head that differs or lacks), unreadable.
    """

    what: str
    detail: str
    book: str = ""
    block: int | None = None
    transaction: str | None = None

    def __str__(self) -> str:
        place = f"book {self.book}" if self.book else "seals"
        if self.block is not None:
            place += f", block {self.block}"
        if self.transaction is not None:
            place += f", transaction {self.transaction}"
        return f"{place}: {self.detail}"


class Chain:
    """The chain of one book, checked block by block."""

    def __init__(self, book: str, keys: Mapping[str, bytes], heads: Heads | None) -> None:
        self.book = book
        self._keys = keys
        self._heads = heads
        self._last: Block | None = None

    @property
    def last(self) -> Block | None:
        """The last block that was checked."""
        return self._last

    def check(self, block: Block, leaves: bytes) -> Iterator[Finding]:
        """Yield what is wrong with the next block and with the way it continues the one before."""
        last, self._last = self._last, block
        yield from self._continues(block, last)
        if block.hashed() != block.block_hash:
            yield self._at(block, "altered", "its header was changed: it does not have its hash")
        if len(leaves) != block.leaf_count * merkle.HASH_BYTES or block.leaf_count < 1:
            yield self._at(
                block, "altered", f"it says {block.leaf_count} leaves and has {len(leaves) / merkle.HASH_BYTES:g}"
            )
        elif merkle.root(merkle.split(leaves)) != block.root:
            yield self._at(block, "altered", "its leaves do not give its root")
        key = self._keys.get(block.key_id)
        if key is None:
            yield self._at(block, "forged", f"it is signed with key {block.key_id}, which is not trusted")
        elif not is_signed(block.block_hash, block.signature, key):
            yield self._at(block, "forged", f"its signature is not one of key {block.key_id}")
        published = self._heads.find(self.book, block.number) if self._heads else None
        if published is not None and published != block.block_hash:
            yield self._at(block, "altered", f"another head was published for it: {published.hex()}")

    def end(self) -> Iterator[Finding]:
        """Yield what was published beyond the last block."""
        number = self._last.number if self._last else 0
        published = self._heads.last(self.book) if self._heads else None
        if published is not None and published > number:
            position = self._last.last_position if self._last else 0
            yield Finding(
                "truncated",
                f"blocks {number + 1} to {published} were published and are gone, and with them every transaction"
                f" after position {position}",
                self.book,
                number + 1,
            )

    def _continues(self, block: Block, last: Block | None) -> Iterator[Finding]:
        expected = last.number + 1 if last else 1
        if block.number > expected:
            yield self._at(block, "missing", f"blocks {expected} to {block.number - 1} before it are missing")
        elif block.number < expected:
            yield self._at(block, "altered", f"it comes where block {expected} belongs")
        elif block.previous_hash != (last.block_hash if last else GENESIS):
            yield self._at(block, "altered", "it does not continue the block before it")
        elif block.first_position != (last.last_position if last else 0) + 1:
            yield self._at(block, "altered", "its positions do not follow those of the block before it")
        if block.last_position != block.first_position + block.leaf_count - 1:
            yield self._at(block, "altered", "its positions are not as many as its leaves")
        if last and block.sealed_at < last.sealed_at:
            yield self._at(block, "altered", "it was sealed before the block before it")

    def _at(self, block: Block, what: str, detail: str) -> Finding:
        return Finding(what, detail, self.book, block.number)
