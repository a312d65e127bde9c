"""Upkeep: what an app above has done every half minute by whoever sweeps, without this one knowing it.

A function is registered once, when the application starts. It is short, may be called by several sweepers at a time,
and is called again half a minute later: what takes long becomes a run (`payments.runs`). One that fails ends no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import connection

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Registry:
    """What is done, by name, in the order in which it was registered."""

    functions: dict[str, Callable[[datetime], object]] = field(default_factory=dict)

    def register(self, name: str, function: Callable[[datetime], object]) -> None:
        """Add a function of the time: once, when the application starts."""
        if self.functions.setdefault(name, function) is not function:
            raise ValueError(f"the upkeep {name} is registered twice")


registry = Registry()
register = registry.register


def do(*, now: datetime) -> int:
    """Do everything once; return how much of it did not fail."""
    done = 0
    for name, function in registry.functions.items():
        try:
            function(now)
            done += 1
        except Exception:  # whatever an app above raises: it is told, and the rest goes on
            log.exception("upkeep_failed", upkeep=name)
            if not connection.in_atomic_block:
                connection.close()
    return done
