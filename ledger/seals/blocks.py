"""A block of a book's chain: what is hashed, what is signed, and how it is written down. Pure functions.

The hash covers the book, the number, the hash of the block before, the root over the leaves, how many they are and
where they stand in the book's history, the time, and the key that signs.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Self

from ledger.seals import canonical
from ledger.seals.canonical import BYTES, INT4, Unreadable
from ledger.seals.merkle import HASH_BYTES

VERSION = "florin.block.1"
GENESIS = bytes(HASH_BYTES)


@dataclass(frozen=True, slots=True)
class Block:
    """One sealed block. Positions count a book's transactions from 1; `sealed_at` is in microseconds since 2000."""

    book: str
    number: int
    previous_hash: bytes
    root: bytes
    leaf_count: int
    first_position: int
    last_position: int
    sealed_at: int
    key_id: str
    block_hash: bytes = b""
    signature: bytes = b""

    def hashed(self) -> bytes:
        """Return the hash that this block must have: SHA-256 over 0x02 and its header."""
        header = canonical.record(
            (BYTES, VERSION.encode()),
            (BYTES, self.book.encode()),
            canonical.number(self.number),
            (BYTES, self.previous_hash),
            (BYTES, self.root),
            (INT4, self.leaf_count.to_bytes(4, signed=True)),
            canonical.number(self.first_position),
            canonical.number(self.last_position),
            canonical.instant(self.sealed_at),
            (BYTES, self.key_id.encode()),
        )
        return sha256(b"\x02" + header).digest()

    def with_hash(self) -> Self:
        """Return this block with the hash that it must have."""
        return replace(self, block_hash=self.hashed())

    def shown(self) -> dict[str, Any]:
        """Return the block as exports, heads and proofs show it."""
        return {
            "book": self.book,
            "number": self.number,
            "previous_hash": self.previous_hash.hex(),
            "root": self.root.hex(),
            "leaf_count": self.leaf_count,
            "first_position": self.first_position,
            "last_position": self.last_position,
            "sealed_at": canonical.show_instant(self.sealed_at),
            "key_id": self.key_id,
            "block_hash": self.block_hash.hex(),
            "signature": self.signature.hex(),
        }


def read(shown: Mapping[str, Any]) -> Block:
    """Return the block that `Block.shown` wrote. Raises `Unreadable`."""
    try:
        found = Block(
            book=shown["book"],
            number=shown["number"],
            previous_hash=bytes.fromhex(shown["previous_hash"]),
            root=bytes.fromhex(shown["root"]),
            leaf_count=shown["leaf_count"],
            first_position=shown["first_position"],
            last_position=shown["last_position"],
            sealed_at=canonical.read_instant(shown["sealed_at"]),
            key_id=shown["key_id"],
            block_hash=bytes.fromhex(shown["block_hash"]),
            signature=bytes.fromhex(shown["signature"]),
        )
        found.hashed()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    return found
