"""Published heads: one line of JSON for each block, appended to a file outside the database and flushed to the disk.

Whoever holds such a file can tell that blocks were replaced, or cut off together with their transactions, which the
database alone cannot show. Nothing here touches the network.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ledger.seals import blocks
from ledger.seals.blocks import Block
from ledger.seals.canonical import Unreadable

MAX_LINE_BYTES = 10_000


def line(block: Block) -> str:
    """Return a head as it is published: one line, always the same for the same block."""
    return json.dumps(block.shown(), ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"


def place_of(path: Path) -> str:
    """Return how a file is called where it is noted what was published to it."""
    return f"file:{path.absolute()}"


def append(path: Path, heads: Sequence[Block]) -> None:
    """Append heads to the file and return when they are on the disk. A line that a crash has torn is taken off first.

    Raises `OSError`; what was written then is not acknowledged, and may come twice.
    """
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(_end_of_whole_lines(path, file.seek(0, os.SEEK_END)))
        file.truncate()
        file.write("".join(map(line, heads)).encode())
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        _flush_directory(path.parent)


class Heads:
    """The heads of a file by book and number, kept in a temporary index on the disk: memory does not grow with them."""

    def __init__(self) -> None:
        self._index = sqlite3.connect("", isolation_level=None)
        self._index.execute(
            "CREATE TABLE head (book TEXT, number INTEGER, hash BLOB, PRIMARY KEY (book, number)) WITHOUT ROWID"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._index.close()

    def load(self, path: Path) -> Iterator[tuple[int, str]]:
        """Read a file of heads; yield the number of each line that is wrong, and why. Raises `OSError`."""
        self._index.execute("BEGIN")
        with path.open("rb") as file:
            for number, text in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
                wrong = self._take(text)
                if wrong:
                    yield number, wrong
        self._index.execute("COMMIT")

    def find(self, book: str, number: int) -> bytes | None:
        """Return the hash that was published for a block."""
        row = self._index.execute("SELECT hash FROM head WHERE book = ? AND number = ?", (book, number)).fetchone()
        return None if row is None else row[0]

    def last(self, book: str) -> int | None:
        """Return the highest number that was published for a book."""
        found: int | None = self._index.execute("SELECT max(number) FROM head WHERE book = ?", (book,)).fetchone()[0]
        return found

    def books(self) -> Iterable[str]:
        """Return the books of which there are heads."""
        return [row[0] for row in self._index.execute("SELECT DISTINCT book FROM head ORDER BY book")]

    def _take(self, text: bytes) -> str | None:
        try:
            head = blocks.read(json.loads(text))
        except (Unreadable, ValueError, RecursionError):
            return "it is no head"
        if head.hashed() != head.block_hash:
            return f"head {head.number} of book {head.book} was changed: it does not have its hash"
        try:
            known = self.find(head.book, head.number)
            if known is None:
                self._index.execute("INSERT INTO head VALUES (?, ?, ?)", (head.book, head.number, head.block_hash))
            elif known != head.block_hash:
                return f"two heads were published for block {head.number} of book {head.book}"
        except (sqlite3.Error, OverflowError, UnicodeEncodeError):
            return "it is no head"
        return None


def _end_of_whole_lines(path: Path, size: int) -> int:
    """Return where the last whole line ends."""
    with path.open("rb") as file:
        while size > 0:
            start = max(0, size - MAX_LINE_BYTES)
            file.seek(start)
            end = file.read(size - start).rfind(b"\n")
            if end >= 0:
                return start + end + 1
            size = start
    return 0


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
