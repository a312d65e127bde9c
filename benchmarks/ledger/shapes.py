"""The shapes of posting that are measured, each with what is noted about it and the check of the books after it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.ledger import books, calls, load
from benchmarks.ledger.report import Figures
from benchmarks.ledger.server import Server

CORES = os.cpu_count() or 2
BULK_CLIENTS = {100: 4, 1000: 2}
# More than the fastest run of the plainest form of posting on the machines we know; what is left over is thrown away.
PREPARED_PER_SECOND = 40_000


@dataclass(slots=True)
class Shapes:
    """The book on its server, the figures, and a supply of numbers for references."""

    server: Server
    book: calls.Book
    figures: Figures
    wrong: list[str] = field(default_factory=list)
    _supply: Iterator[int] = field(default_factory=lambda: itertools.count(10**15, 10**9))

    def first(self) -> int:
        """Return the first of a thousand million numbers that nobody else uses."""
        return next(self._supply)

    def uniform(self, seconds: float) -> load.Result:
        """(a) From a random seller to another, one posting in each call, through pgbench."""
        return self._pgbench("uniform", seconds)

    def checkout(self, seconds: float) -> load.Result:
        """(b) From one clearing account to a random seller and one fee account, through pgbench."""
        return self._pgbench("checkout", seconds)

    def _pgbench(self, shape: str, seconds: float) -> load.Result:
        script = calls.pgbench_script(self.book, shape)
        return load.pgbench(self.server.url(role="florin_app"), script, seconds, self.first())

    def bulk(self, size: int, seconds: float) -> load.Result:
        """(c) `size` transfers between distinct random sellers in each call, packed before the clock starts."""
        clients = BULK_CLIENTS[size]
        prepared = max(3, int(seconds * PREPARED_PER_SECOND / clients / size))
        given = [
            {
                "url": self.server.url(role="florin_app"),
                "book": {name: getattr(self.book, name) for name in self.book.__slots__},
                "size": size,
                "first": self.first(),
                "seconds": seconds,
                "prepared": prepared,
            }
            for _ in range(clients)
        ]
        return load.clients("benchmarks.ledger.bulk_client", given, self.server.environment)

    def python(self, size: int, seconds: float) -> load.Result:
        """Through `ledger.posting.post`, `size` in each atomic block, as many processes as cores."""
        given = [
            {
                "book": {name: getattr(self.book, name) for name in self.book.__slots__},
                "size": size,
                "first": self.first(),
                "seconds": seconds,
            }
            for _ in range(CORES)
        ]
        return load.clients("benchmarks.ledger.python_client", given, self.server.environment)

    def measure(self, name: str, work: Callable[[float], load.Result], seconds: float, *, fully: bool) -> None:
        """Run one slice and note its figures; then check the books: the totals, and everything when `fully`."""
        self.server.settle("florin")
        count, size, spent = books.count(self.server), books.size(self.server), self.server.cpu_seconds()
        result, session = load.watched(lambda: work(seconds), self.server.largest_session_bytes)
        spent = self.server.cpu_seconds() - spent
        self.figures.note(name, result)
        self.figures.add(f"{name}: server CPU, us per posting", spent * 1e6 / result.total)
        self.figures.add(f"{name}: bytes per posting", (books.size(self.server) - size) / result.total)
        self.figures.add(f"{name}: largest session, MB", session / 1e6)
        posted = books.count(self.server) - count
        if posted != result.total:
            self.wrong.append(f"{name}: {result.total} postings were answered, {posted} are in the books")
        if not books.totals_are_right(self.server):
            self.wrong.append(f"{name}: the totals of the books differ")
        if fully:
            self.wrong += [f"{name}: {one['check']}: {one['detail']}" for one in books.violations(self.server)]
