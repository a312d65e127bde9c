"""Payments that are settled while something else goes on: so many a second, and how long each took.

A batch is begun at its time whether or not the one before it has ended, so that waiting counts. The PSP is in this
process; what is measured is Florin and the database.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from benchmarks.reconciliation.history import playing, stories
from benchmarks.reconciliation.history.days import Clock
from benchmarks.reconciliation.history.playing import Stage
from benchmarks.reconciliation.history.stories import Plan, Sale
from payments import callers, executor, intake

BATCH: Final = 5
PER_SECOND: Final = 50


class _RealClock(Clock):
    """The time that it is."""

    def now(self) -> datetime:
        """Return it."""
        return datetime.now(UTC)


@dataclass(slots=True)
class Shop:
    """A merchant that sells."""

    stage: Stage
    sold: int = 0

    @classmethod
    def open(cls, superuser_url: str) -> Shop:
        """Make the merchant."""
        plan = Plan(999, datetime.now(UTC).date(), ("EUR",), accounts=1)
        stage = Stage(plan, _RealClock(superuser_url, datetime.now(UTC)), superuser_url)
        with stage.set_up():
            stage.open()
        return cls(stage)

    def latencies(self, seconds: float) -> list[float]:
        """Sell for so long; return how many seconds each payment took from its time to its booking."""
        names = [f"seller-{number}" for number in range(stories.SELLERS)]
        found: list[float] = []
        with self.stage.set_up():
            caller = callers.find_caller(self.stage.key, seller_refs=names, now=self.stage.clock.now())
            assert caller is not None
            caller = replace(caller, psp_account_id=self.stage.psp_accounts[0].pk)
            began = time.monotonic()
            for number in range(int(seconds * PER_SECOND / BATCH)):
                due = began + number * BATCH / PER_SECOND
                time.sleep(max(0.0, due - time.monotonic()))
                sales = [self._sale() for _ in range(BATCH)]
                intake.accept(caller, [playing.checkout(sale, caller) for sale in sales], now=self.stage.clock.now())
                while executor.execute(go_on=True):
                    pass
                found += [time.monotonic() - due] * BATCH
        return found

    def _sale(self) -> Sale:
        self.sold += 1
        name = f"bulk{time.monotonic_ns()}n{self.sold}"
        return Sale(name, 0, 9.0, 0, "EUR", (1999, 501), (self.sold % 5, (self.sold + 1) % 5))


def quantile(values: list[float], share: float) -> float:
    """Return the value below which so much of them lies, in seconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
