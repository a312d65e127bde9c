"""`./florin reconcile score` and `./florin bench reconciliation`: the two judgements of reconciliation."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.reconciliation import scratch

MAX_SEEDS = 1000
MAX_MISS = 500  # characters of a miss that are shown; JSON has all of it


def main(words: Sequence[str]) -> int:
    """Read the words, judge, print; 0 when everything is as it has to be."""
    parser = argparse.ArgumentParser(prog="florin reconcile")
    parser.add_argument("what", nargs="?", default="speed", choices=("score", "speed", "catalogue"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--lines", type=int, nargs="+", help="speed: sizes (100000 1000000 5000000)")
    parser.add_argument("--rounds", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(words)
    if not 1 <= given.seeds <= MAX_SEEDS or not 0 <= given.first_seed <= 10**6 or not 1 <= given.jobs <= 64:
        parser.error(f"--seeds is 1 to {MAX_SEEDS}, --first-seed 0 to a million, --jobs 1 to 64")
    if given.what == "catalogue":
        from benchmarks.reconciliation.history import catalogue

        print(catalogue.as_markdown())
        return 0
    if given.what == "speed":
        from benchmarks.reconciliation import speed

        return speed.run(tuple(given.lines or speed.SIZES), as_json=given.json)
    return score(range(given.first_seed, given.first_seed + given.seeds), jobs=given.jobs, as_json=given.json)


def score(seeds: range, *, jobs: int, as_json: bool) -> int:
    """Play seeds, several at once, and print how well their breaks were found."""
    began = time.monotonic()
    with scratch.server() as running:
        from benchmarks.reconciliation import score as scoring

        context = multiprocessing.get_context("fork")
        with context.Pool(min(jobs, len(seeds)), maxtasksperchild=1) as pool:
            sheets = list(pool.imap(_Play(scratch.Address(running.socket)), seeds))
        summary = scoring.summary(sheets) | {
            "seeds": len(seeds),
            "first_seed": seeds.start,
            "seconds": round(time.monotonic() - began, 1),
        }
    _show(summary)
    if as_json:
        print(json.dumps(summary, default=str), flush=True)
    return 0 if summary["passed"] else 1


class _Play:
    """Plays one seed in a process of its own, on a database of its own."""

    def __init__(self, address: scratch.Address) -> None:
        self.address = address

    def __call__(self, seed: int) -> Any:
        from benchmarks.reconciliation import score as scoring

        with scratch.database(self.address, f"seed_{seed}") as url:
            sheet = scoring.play(seed, url)
        print(f"seed {seed}: {sheet.verdict()}", file=sys.stderr, flush=True)
        for miss in sheet.misses:
            print(f"  miss: {json.dumps(miss, default=str)[:MAX_MISS]}", file=sys.stderr, flush=True)
        return sheet


def _show(summary: dict[str, Any]) -> None:
    print(f"{'class':<7}{'planted':>9}{'found':>7}{'right':>7}{'precision':>11}{'recall':>9}", file=sys.stderr)
    for code, row in summary["classes"].items():
        print(
            f"{code:<7}{row['planted']:>9}{row['found']:>7}{row['right']:>7}"
            f"{row['precision']:>11.3f}{row['recall']:>9.3f}",
            file=sys.stderr,
        )
    print(
        f"precision {summary['precision']:.4f}  recall {summary['recall']:.4f}  wrongly posted"
        f" {summary['wrongly_posted'] or 0}  ({summary['seeds']} seeds, {summary['seconds']} s)",
        file=sys.stderr,
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
