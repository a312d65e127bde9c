"""`./florin bench ledger`: postings per second in three shapes beside their anchors, in one run on one server.

Client and server share the machine. Printed are medians over interleaved rounds, and ratios: those mean more than any
figure. The books are checked after each shape; when they are wrong the exit code is 1 and the figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from benchmarks.ledger import anchors, books, hordak, report, upkeep
from benchmarks.ledger.history import measured as measure_history
from benchmarks.ledger.server import Server, started
from benchmarks.ledger.shapes import CORES, Shapes

FLUSH_MICROSECONDS = 1000
MEASURED = (
    "uniform and checkout: one call of ledger_post_one for each posting, 8 pgbench clients, prepared.",
    "bulk: arrays packed in binary form before the clock starts; measured is the call, not the packing.",
    "uniform_kept: (a) again while another process seals and checks what is posted, once a second.",
    "python: ledger.posting.post in an atomic block, packing included, one process a core; hordak likewise.",
)


def main() -> None:
    """Run the rounds and print the result."""
    parser = argparse.ArgumentParser(prog="bench ledger")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--accounts", type=int, default=100_000, help="wallets of sellers")
    parser.add_argument("--pgledger", type=Path, help="folder with the SQL files of pgledger")
    parser.add_argument("--history", type=int, default=0, help="entries in one account before it is read")
    parser.add_argument("--no-hordak", action="store_true", help="leave out the anchor that is installed on demand")
    options = parser.parse_args()
    if options.accounts < 200:
        parser.error("--accounts: at least 200, a bulk call needs distinct ones")
    with started() as server:
        result = _run(server, options)
    for line in report.lines(result):
        print(line, file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(json.dumps(result))
    if result["wrong"]:
        sys.exit(1)


def _run(server: Server, options: argparse.Namespace) -> dict[str, object]:
    seconds, accounts = options.seconds, options.accounts
    _say("preparing")
    figures, notes = report.Figures(), list(MEASURED)
    shapes = Shapes(server, books.opened(server, accounts), figures)
    anchors.prepare_tpc_b(server, max(1, min(anchors.TPC_B_SCALE, accounts // 2000)))
    anchors.prepare_limit(server, accounts)
    interpreter = "" if options.no_hordak else hordak.python()
    if interpreter:
        hordak.prepare(server, interpreter, accounts)
    if options.pgledger:
        anchors.prepare_pgledger(server, options.pgledger, accounts)

    for number in range(options.rounds):
        _say(f"round {number + 1} of {options.rounds}")
        measure = partial(shapes.measure, seconds=seconds, fully=number == options.rounds - 1)
        server.settle(anchors.TPC_B)
        figures.note("tpc_b", anchors.tpc_b(server, seconds))
        measure("uniform", shapes.uniform)
        measure("checkout", shapes.checkout)
        server.settle(anchors.LIMIT)
        figures.note("limit", anchors.limit(server, accounts, seconds, shapes.first()))
        measure("bulk_100", partial(shapes.bulk, 100))
        if accounts >= 2000:
            measure("bulk_1000", partial(shapes.bulk, 1000))
        measure("python_one", partial(shapes.python, 1))
        if interpreter:
            server.settle(hordak.DATABASE)
            figures.note("hordak", hordak.transfers(server, interpreter, accounts, seconds, CORES))
        measure("python_100", partial(shapes.python, 100))
        upkeep.measured(shapes, seconds, fully=number == options.rounds - 1)
        if options.pgledger:
            for name, hot in (("pgledger", False), ("pgledger_hot", True)):
                server.settle(anchors.PGLEDGER)
                figures.note(name, anchors.pgledger(server, accounts, seconds, hot=hot))

    _say("the same with slow flushes")
    if server.slow_down(FLUSH_MICROSECONDS):
        for number in range(options.rounds):
            measure = partial(shapes.measure, seconds=seconds, fully=number == options.rounds - 1)
            measure("slow_uniform", shapes.uniform)
            measure("slow_checkout", shapes.checkout)
    else:
        notes.append("slow flushes were not measured: that takes Linux and a C compiler (cc)")
    if options.history:
        _say(f"filling accounts with {options.history} entries")
        server.postgres.stop()
        server.postgres.start()
        measure_history(shapes, options.history)
    return report.made(figures, shapes.wrong, notes)


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
