"""What happens by itself later: a QR payment succeeds, a session expires, a payout arrives.

Due rows on the sandbox's clock, each run in a transaction of its own. Moving the clock runs what became
due before the control request answers, so a test needs no sleep.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .call import Call

if TYPE_CHECKING:
    from .sandbox import Sandbox

type Work = Callable[[Call, str, str], None]

log = logging.getLogger(__name__)
BATCH: Final = 500
MAX_JOBS_A_RUN: Final = 100_000
IDLE_SECONDS: Final = 3600.0


class Jobs:
    """The due rows and the loop that works them off."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self.sandbox = sandbox
        self.kinds: dict[str, Work] = {}
        self.woken = asyncio.Event()

    def schedule(self, call: Call, kind: str, target: str, *, after_seconds: float, word: str = "") -> None:
        """Do something to an object later; it is done then even if the process was away meanwhile."""
        if kind not in self.kinds:
            raise LookupError(f"no job is called {kind}")
        call.store.db.execute(
            "INSERT INTO jobs (due, kind, scope, target, word) VALUES (?, ?, ?, ?, ?)",
            (self.sandbox.clock.now() + after_seconds, kind, call.scope, target, word),
        )
        self.woken.set()

    def cancel(self, call: Call, kind: str, target: str) -> None:
        """Forget a job that was not done yet."""
        call.store.db.execute("DELETE FROM jobs WHERE kind = ? AND target = ?", (kind, target))

    def run_due(self) -> int:
        """Do what is due and answer how much that was."""
        store, done = self.sandbox.store, 0
        while done < MAX_JOBS_A_RUN:
            rows = store.db.execute(
                "SELECT id, kind, scope, target, word FROM jobs WHERE due <= ? ORDER BY due, id LIMIT ?",
                (self.sandbox.clock.now(), BATCH),
            ).fetchall()
            if not rows:
                break
            for identifier, kind, scope, target, word in rows:
                done += 1
                try:
                    with store.transaction():
                        if store.db.execute("DELETE FROM jobs WHERE id = ?", (identifier,)).rowcount:
                            self.kinds[kind](self.sandbox.call(scope), target, word)
                except Exception:
                    log.exception("job %s of %s failed and is dropped", kind, target)
                    store.db.execute("DELETE FROM jobs WHERE id = ?", (identifier,))
        return done

    async def run(self) -> None:
        """Work off due rows until cancelled."""
        while True:
            self.woken.clear()
            self.run_due()
            (due,) = self.sandbox.store.db.execute("SELECT min(due) FROM jobs").fetchone()
            wait = IDLE_SECONDS if due is None else max(0.01, due - self.sandbox.clock.now())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.woken.wait(), wait)
