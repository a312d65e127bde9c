"""One client of the bulk shapes: every call is packed in PostgreSQL's binary form before the clock starts.

Measured is what a call costs the server and the way to it, not what Python needs to build arrays.
"""

from __future__ import annotations

import json
import sys

import psycopg
from psycopg import pq

from benchmarks.ledger import calls, clock


def main(*, url: str, book: calls.Book, size: int, first: int, seconds: float, prepared: int) -> None:
    """Pack `prepared` calls of `size` transactions, then send them one after the other until the time is up."""
    with psycopg.connect(url, autocommit=True) as connection:
        statement = calls.bulk_statement(calls.parameters(connection), book, size)
        packed = iter([calls.bulk_arguments(book, size, first + i * size) for i in range(prepared)])
        wire = connection.pgconn
        answer = wire.prepare(b"bulk", statement.encode())
        if answer.status != pq.ExecStatus.COMMAND_OK:
            raise SystemExit(answer.error_message.decode())
        formats = [pq.Format.BINARY] * len(calls.VARYING)

        def step() -> int:
            arguments = next(packed, None)
            if arguments is None:
                return 0
            result = wire.exec_prepared(b"bulk", arguments, formats)
            if result.status != pq.ExecStatus.TUPLES_OK or result.get_value(0, 0) != str(size).encode():
                raise SystemExit(f"a bulk call was refused: {result.error_message.decode()}")
            return size

        clock.work(step, seconds)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    main(book=calls.Book(**given.pop("book")), **given)
