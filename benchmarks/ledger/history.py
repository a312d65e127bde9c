"""Reading accounts with a long history: a page of the statement, and the memory of the server while it is read.

The history is posted through ledger_post like everything else, in calls of a thousand between one recording account,
one authorizing account and nothing more: each transaction adds an entry to both.
"""

from __future__ import annotations

import itertools
import os
import statistics
import struct
import sys
import time
from collections.abc import Callable

import psycopg
from psycopg import pq

from benchmarks.ledger import books, calls
from benchmarks.ledger.shapes import Shapes

IN_A_CALL = 1000
READS = 200
PAGE = 50
FIRST_PAGE = (
    "SELECT id, transaction_id, side, amount, balance_after, effective_at FROM ledger_entry"
    " WHERE account_id = %s ORDER BY id DESC LIMIT %s"
)
LATER_PAGE = FIRST_PAGE.replace(" ORDER", " AND id < %s ORDER")


def measured(shapes: Shapes, entries: int) -> None:
    """Fill one recording and one authorizing account with `entries` each and time reads of them, warm."""
    shapes.server.settle("florin")
    _fill(shapes, entries)
    with shapes.server.connect() as database:
        database.execute("VACUUM ANALYZE")
    shapes.server.settle("florin")
    for name, account in (("recording", shapes.book.clearing), ("authorizing", shapes.book.low)):
        with psycopg.connect(shapes.server.url(role="florin_app"), autocommit=True) as database:
            row = database.execute(
                "SELECT id FROM ledger_entry WHERE account_id = %s ORDER BY id OFFSET %s LIMIT 1",
                [account, entries // 2],
            ).fetchone()
            assert row is not None
            middle = row[0]

            def first(where: int = account) -> None:
                database.execute(FIRST_PAGE, [where, PAGE]).fetchall()

            def later(where: int = account, above: int = middle) -> None:
                database.execute(LATER_PAGE, [where, above, PAGE]).fetchall()

            _time(shapes, f"{name} account, {entries} entries: first page", first)
            _time(shapes, f"{name} account, {entries} entries: middle page", later)
            shapes.figures.add(
                f"{name} account, {entries} entries: largest session, MB",
                shapes.server.largest_session_bytes() / 1e6,
            )
    shapes.wrong += [f"history: {one['check']}: {one['detail']}" for one in books.violations(shapes.server)]


def _time(shapes: Shapes, name: str, read: Callable[[], None]) -> None:
    """Note p50 and p99 of a read, after as many that warm it up."""
    taken = []
    for number in range(2 * READS):
        started = time.perf_counter()
        read()
        if number >= READS:
            taken.append((time.perf_counter() - started) * 1000)
    shapes.figures.add(f"{name}, p50 ms", statistics.median(taken))
    shapes.figures.add(f"{name}, p99 ms", statistics.quantiles(taken, n=100)[98])


def _fill(shapes: Shapes, entries: int) -> None:
    """Post `entries` transactions from the clearing account to the first wallet."""
    book, size = shapes.book, IN_A_CALL
    with psycopg.connect(shapes.server.url(role="florin_app"), autocommit=True) as connection:
        statement = calls.bulk_statement(calls.parameters(connection), book, size)
        wire = connection.pgconn
        wire.prepare(b"fill", statement.encode())
        formats = [pq.Format.BINARY] * len(calls.VARYING)
        pair = [struct.pack(">q", book.clearing), struct.pack(">q", book.low)] * size
        for number, first in zip(range(0, entries, size), itertools.count(shapes.first(), size), strict=False):
            arguments = calls.bulk_arguments(book, size, first, pair)
            result = wire.exec_prepared(b"fill", arguments, formats)
            if result.status != pq.ExecStatus.TUPLES_OK:
                raise SystemExit(f"the history was refused: {result.error_message.decode()}")
            if number % 1_000_000 == 0 and os.isatty(2):
                print(f"bench: {number} of {entries}", file=sys.stderr, flush=True)
