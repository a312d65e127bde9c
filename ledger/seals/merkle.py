"""The Merkle tree of a block, as in RFC 6962: hashes of leaves and of nodes differ, and no leaf is ever doubled.

A lone node moves up unchanged, so two lists of leaves never share a root. Pure functions over bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

HASH_BYTES = 32


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf's content: SHA-256 over 0x00 and the content."""
    return sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node: SHA-256 over 0x01, the left and the right hash."""
    return sha256(b"\x01" + left + right).digest()


def split(leaves: bytes) -> list[bytes]:
    """Return the hashes that were written one after another."""
    return [leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES)]


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes. A tree has at least one leaf."""
    assert leaves, "an empty block is never sealed"
    level = list(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes beside the way from leaf `index` (from 0) up to the root, lowest first."""
    assert 0 <= index < len(leaves), "a leaf of this tree"
    level, at, beside = list(leaves), index, []
    while len(level) > 1:
        if at ^ 1 < len(level):
            beside.append(level[at ^ 1])
        level, at = _parents(level), at // 2
    return beside


def climb(leaf: bytes, index: int, count: int, beside: Sequence[bytes]) -> bytes | None:
    """Return the root that a path leads to, or `None` if it cannot be a path of leaf `index` among `count`."""
    if not 0 <= index < count:
        return None
    found, at, last, left = leaf, index, count - 1, list(beside)
    while last > 0:
        if at % 2 or at < last:
            if not left:
                return None
            other = left.pop(0)
            found = node_hash(other, found) if at % 2 else node_hash(found, other)
        at, last = at // 2, last // 2
    return found if not left else None


def _parents(level: list[bytes]) -> list[bytes]:
    pairs = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    return pairs + level[len(level) - 1 :] if len(level) % 2 else pairs
