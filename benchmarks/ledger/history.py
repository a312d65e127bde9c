"""Reading accounts with a long history: the balance at a past instant, and pages of the statement.

The history is posted through ledger_post like everything else, in calls of a thousand transactions between one
recording and one authorizing account, so each has as many entries, spread over three years and folded as they come.
"""

from __future__ import annotations

import itertools
import json
import struct
import subprocess
import sys
import time

import psycopg
from psycopg import pq

from benchmarks.ledger import books, calls
from benchmarks.ledger.shapes import Shapes
from config.local_stack.home import ROOT

IN_A_CALL = 1000
FOLD_EVERY = 100  # calls
FOLD_LIMIT = 10_000
YEARS_SECONDS = 3 * 365 * 86_400
READING_SECONDS = 600


def measured(shapes: Shapes, entries: int) -> None:
    """Fill both accounts with `entries` and note p50 and p99 of reading them, warm, through the product's functions."""
    recording, authorizing = books.pair_without_history(shapes.server, shapes.book.id)
    shapes.server.settle("florin")
    _fill(shapes, entries, recording, authorizing)
    with shapes.server.connect() as database:
        database.execute("VACUUM ANALYZE")
    shapes.server.settle("florin")
    accounts = {"recording": recording, "authorizing": authorizing}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ledger.reading_client", json.dumps(accounts)],
        env=shapes.server.environment, cwd=ROOT, capture_output=True, text=True, timeout=READING_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"the accounts could not be read: {done.stderr.strip()}")
    for name, milliseconds in json.loads(done.stdout.strip().splitlines()[-1]).items():
        shapes.figures.add(f"{entries} entries: {name}", milliseconds)
    shapes.wrong += [f"history: {one['check']}: {one['detail']}" for one in books.violations(shapes.server)]


def _fill(shapes: Shapes, entries: int, recording: int, authorizing: int) -> None:
    """Post `entries` transactions from one account to the other, the oldest first."""
    book, size = shapes.book, IN_A_CALL
    started = time.perf_counter()
    with psycopg.connect(shapes.server.url(role="florin_app"), autocommit=True) as connection:
        statement = calls.bulk_statement(calls.parameters(connection), book, size, dated=True)
        wire = connection.pgconn
        prepared = wire.prepare(b"fill", statement.encode())
        if prepared.status != pq.ExecStatus.COMMAND_OK:
            raise SystemExit(prepared.error_message.decode())
        formats = [pq.Format.BINARY] * (len(calls.VARYING) + 1)
        pair = [struct.pack(">q", recording), struct.pack(">q", authorizing)] * size
        numbers = itertools.count(shapes.first(), size)
        for turn, done in enumerate(range(0, entries, size), 1):
            ago = YEARS_SECONDS - YEARS_SECONDS * done // entries
            arguments = [*calls.bulk_arguments(book, size, next(numbers), pair), struct.pack(">q", ago)]
            result = wire.exec_prepared(b"fill", arguments, formats)
            if result.status != pq.ExecStatus.TUPLES_OK:
                raise SystemExit(f"the history was refused: {result.error_message.decode()}")
            if turn % FOLD_EVERY == 0:
                _fold(shapes)
        _fold(shapes)
    shapes.figures.add("history: posted and folded per second", entries / (time.perf_counter() - started))


def _fold(shapes: Shapes) -> None:
    """Fold as the product does: what was posted, and then what is dated otherwise."""
    with shapes.server.connect() as database:
        for function in ("ledger_fold", "ledger_fold_redated"):
            for _ in range(FOLD_LIMIT):
                row = database.execute(f"SELECT {function}(now(), %s)", [FOLD_LIMIT]).fetchone()
                if row is None or not row[0]:
                    break
            else:
                raise SystemExit("folding does not come to an end")
