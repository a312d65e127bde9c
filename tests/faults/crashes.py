"""Dying at a chosen boundary: an observer of the seam that counts crossings and raises at one of them.

A campaign plays the same story once for each boundary where it dies. In the suite a few stories of each flow die beside
every call to the PSP and at a spread of the other boundaries; with FLORIN_CRASHES=every all of them die at each one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import ProgrammingError, connection

from config import seam
from config.seam import Crash, Crossing

EVERY = os.environ.get("FLORIN_CRASHES", "") == "every"
MAX_BOUNDARIES = 2000
STRIDE = 41


def stories(plans: Iterable[str], *in_suite: str) -> list[Any]:
    """Return which stories of a flow are played: all of them, or those that the suite has time for."""
    return [pytest.param(name, marks=pytest.mark.timeout(3600)) for name in plans] if EVERY else list(in_suite)


@dataclass
class Boundaries:
    """Counts crossings (each has two sides); dies at number `crash_at`, or at number `crash_at_call` of the PSP's."""

    crash_at: int | None = None
    crash_at_call: int | None = None
    seen: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    died_at: Crossing | None = None

    def __call__(self, crossing: Crossing) -> None:
        """Note a crossing; die at the chosen one."""
        if self.died_at is not None:
            raise Crash("the process is dead already")
        number = self.seen
        self.seen += 1
        self.kinds[crossing.kind] += crossing.side == "before"
        is_chosen = number == self.crash_at
        if crossing.kind == "http":
            is_chosen |= self.calls == self.crash_at_call
            self.calls += 1
        if is_chosen:
            self.died_at = crossing
            raise Crash(f"{crossing.side} {crossing.kind} {crossing.name}")


def bury() -> None:
    """What the operating system does to a dead process: its database session ends without a commit."""
    connection.close()
    # A crash inside a transaction leaves Django's bookkeeping behind that a new process would not have.
    connection.in_atomic_block = False
    connection.savepoint_ids = []
    connection.needs_rollback = False
    connection.run_on_commit = []
    connection.closed_in_transaction = False
    connection.connection = None


def observed(boundaries: Boundaries, story: Callable[[], None]) -> None:
    """Play a story that may die on its way, and bury it then."""
    try:
        with seam.observed_by(boundaries):
            story()
    except (Crash, ProgrammingError):
        # Django tidies up after a death inside COMMIT and trips over the open transaction: a dead process would not.
        assert boundaries.died_at is not None
        bury()


def campaign(
    flow: str,
    live: Callable[[Boundaries], None],
    tell: Callable[[str, object], None],
    *,
    calls: int,
    answers: int,
    begin_at: int = 0,
) -> None:
    """Play `live` once for each boundary to die at, and tell how many deaths there were.

    `calls` is how often the story calls the PSP at least, and `answers` how often it gets an answer that says yes (a
    call that raises has no other side); `begin_at` is where the spread begins, so that several campaigns of a flow die
    at different places.
    """
    live(Boundaries())  # connections are warm, prepared statements are known
    baseline = Boundaries()
    live(baseline)
    died: Counter[str] = Counter()
    assert baseline.kinds["http"] >= calls, baseline.kinds
    for chosen in _to_die_at(baseline, begin_at):
        live(chosen)
        if chosen.died_at is None and EVERY:
            break
        if chosen.died_at is not None:
            died[f"{chosen.died_at.kind}, {chosen.died_at.side}"] += 1
    assert died["http, before"] >= calls
    assert died["http, after"] >= answers
    assert died.total() >= (baseline.seen * 9 // 10 if EVERY else calls + answers)
    tell("crash_flow", flow)
    tell("crash_scenarios", died.total())
    tell("crash_boundaries", dict(died))


def _to_die_at(baseline: Boundaries, begin_at: int) -> Iterator[Boundaries]:
    """Choose boundaries: all of them, or those of the calls to the PSP and every so many of the others."""
    if EVERY:
        yield from (Boundaries(crash_at=number) for number in range(MAX_BOUNDARIES))
        return
    # By their own number: the statements before a call are not the same each time.
    yield from (Boundaries(crash_at_call=number) for number in range(baseline.calls))
    yield from (Boundaries(crash_at=number) for number in range(begin_at % STRIDE, baseline.seen, STRIDE))
