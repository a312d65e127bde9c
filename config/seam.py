"""The seam: every clock, id, SQL, commit, HTTP and broker call of a flow passes here and is numbered.

Why it exists: a crash can only be tested at *every* boundary if no boundary is chosen by hand. An observer that is
installed here sees each crossing twice (before and after) with a running number, and may raise `Crash` or record it.
Why it is in `config`: it is the one module that every app may import, and it imports none of them.

It must never contain business logic, and nothing may go around it (`tests/test_architecture.py` looks for that).
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

Side = Literal["before", "after"]
Kind = Literal["sql", "commit", "http", "broker", "clock", "id"]


class Crash(BaseException):
    """The process dies here. Not an `Exception`: no handler of the product may survive it."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """One passage through the seam: what kind of I/O, what it is called, and on which side of it we are."""

    kind: Kind
    name: str
    side: Side


Observer = Callable[[Crossing], None]

_local = threading.local()
_shared_observer: Observer | None = None


def _observer() -> Observer | None:
    own: Observer | None = getattr(_local, "observer", None)
    return own or _shared_observer


@contextlib.contextmanager
def observed_by(observer: Observer, *, all_threads: bool = True) -> Iterator[None]:
    """Install an observer for the duration of a block (tests and tracing only)."""
    global _shared_observer
    if all_threads:
        previous, _shared_observer = _shared_observer, observer
        try:
            yield
        finally:
            _shared_observer = previous
    else:
        _local.observer = observer
        try:
            yield
        finally:
            _local.observer = None


@contextlib.contextmanager
def crossing(kind: Kind, name: str) -> Iterator[None]:
    """Wrap one I/O call: the observer is told before it, and after it when it returned."""
    observer = _observer()
    if observer is None:
        yield
        return
    observer(Crossing(kind, name, "before"))
    yield
    observer(Crossing(kind, name, "after"))


def now() -> datetime:
    """Return the current time in UTC. Called at the edges only: flows are handed `now`."""
    with crossing("clock", "now"):
        return datetime.now(UTC)


def new_uuid() -> UUID:
    """Return a fresh UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    with crossing("id", "uuid7"):
        milliseconds = int(datetime.now(UTC).timestamp() * 1000)
        random = int.from_bytes(os.urandom(10))
        value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        value |= 0x7000 << 64
        value |= ((random >> 62) & 0xFFF) << 64
        value |= 0b10 << 62
        value |= random & 0x3FFF_FFFF_FFFF_FFFF
        return UUID(int=value)
