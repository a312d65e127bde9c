"""Arrays for the functions of the books, packed into PostgreSQL's binary form in one go.

psycopg looks at every element of a list to find out what it is, which costs more than posting it. Here the caller says
the type. It holds no knowledge of postings and sends nothing itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import adapters, pq
from psycopg.abc import PyFormat
from psycopg.adapt import Dumper

_HEAD = struct.Struct(">iiIii")  # dimensions, whether there are NULLs, type of the elements, their number, first index
_LENGTH = struct.Struct(">i")
_NULL = _LENGTH.pack(-1)
_INT, _BIGINT, _TEXT, _BYTEA, _UUID, _TIMESTAMPTZ, _JSONB = 23, 20, 25, 17, 2950, 1184, 3802
_ARRAY_OF = {_INT: 1007, _BIGINT: 1016, _TEXT: 1009, _BYTEA: 1001, _UUID: 2951, _TIMESTAMPTZ: 1185, _JSONB: 3807}
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Array:
    """A one-dimensional array, ready to be a parameter of a statement."""

    oid: int
    packed: bytes


class _ArrayDumper(Dumper):
    """Hands an `Array` to the wire as it is."""

    format = pq.Format.BINARY

    def get_key(self, obj: Any, format: PyFormat) -> Any:  # noqa: A002, ARG002 - psycopg says so
        return (self.cls, obj.oid)

    def upgrade(self, obj: Any, format: PyFormat) -> Dumper:  # noqa: A002, ARG002 - psycopg says so
        dumper = _ArrayDumper(self.cls)
        dumper.oid = obj.oid
        return dumper

    def dump(self, obj: Any) -> bytes:
        packed: bytes = obj.packed
        return packed


def register() -> None:
    """Make psycopg know `Array`, for connections opened from now on. Once, at the start of the process."""
    adapters.register_dumper(Array, _ArrayDumper)


def ints(values: Sequence[int]) -> Array:
    """Return an int[]."""
    return _fixed(_INT, "i", 4, values)


def ints_or_nulls(values: Sequence[int | None]) -> Array:
    """Return an int[] in which NULLs may be."""
    return _packed(_INT, [None if value is None else _LENGTH.pack(value) for value in values])


def bigints(values: Sequence[int]) -> Array:
    """Return a bigint[]."""
    return _fixed(_BIGINT, "q", 8, values)


def bigints_or_nulls(values: Sequence[int | None]) -> Array:
    """Return a bigint[] in which NULLs may be."""
    return _packed(_BIGINT, [None if value is None else struct.pack(">q", value) for value in values])


def texts(values: Iterable[str]) -> Array:
    """Return a text[]."""
    return _packed(_TEXT, [value.encode() for value in values])


def blobs(values: Sequence[bytes]) -> Array:
    """Return a bytea[]."""
    return _packed(_BYTEA, values)


def uuids(values: Iterable[UUID]) -> Array:
    """Return a uuid[]."""
    return _packed(_UUID, [value.bytes for value in values])


def documents(values: Iterable[str]) -> Array:
    """Return a jsonb[] of JSON texts."""
    return _packed(_JSONB, [b"\x01" + value.encode() for value in values])


def instants(values: Iterable[datetime | None]) -> Array:
    """Return a timestamptz[] in which NULLs may be."""
    return _packed(
        _TIMESTAMPTZ,
        [None if value is None else struct.pack(">q", (value - _EPOCH) // _MICROSECOND) for value in values],
    )


def _fixed(element: int, code: str, size: int, values: Sequence[int]) -> Array:
    """Pack numbers of one size, each behind its length, by a single call."""
    flat = [size] * (2 * len(values))
    flat[1::2] = values
    body = struct.pack(">" + ("i" + code) * len(values), *flat)
    return Array(_ARRAY_OF[element], _HEAD.pack(1, 0, element, len(values), 1) + body)


def _packed(element: int, values: Sequence[bytes | None]) -> Array:
    parts = [_NULL if value is None else _LENGTH.pack(len(value)) + value for value in values]
    has_null = any(value is None for value in values)
    return Array(_ARRAY_OF[element], _HEAD.pack(1, has_null, element, len(parts), 1) + b"".join(parts))
