"""Dying at a chosen boundary: an observer of the seam that counts crossings and raises at one of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from django.db import connection

from config.seam import Crash, Crossing


@dataclass
class Boundaries:
    """Counts crossings (each has two sides) and dies at number `crash_at`, if given."""

    crash_at: int | None = None
    seen: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    died_at: Crossing | None = None

    def __call__(self, crossing: Crossing) -> None:
        """Note a crossing; die at the chosen one."""
        if self.died_at is not None:
            raise Crash("the process is dead already")
        number = self.seen
        self.seen += 1
        self.kinds[crossing.kind] += crossing.side == "before"
        if number == self.crash_at:
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
