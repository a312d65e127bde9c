"""The work loop: does everything that is due, without a broker. The sweeper process runs it; so do the tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from config import seam
from ledger import folding
from payments import cancellations, escalations, executor, idempotency, merchants
from wallet import proposals

log = structlog.get_logger(__name__)
_BURST_SECONDS = 30.0
_UPKEEP_SECONDS = 30.0
_FOLD_SECONDS = 5.0


def run_once(*, stop: Callable[[], bool] = lambda: False) -> int:
    """Do what is due now; return how many PSP calls and expiries there were."""
    expired = cancellations.expire_due(now=seam.now())
    return expired + executor.drain(seconds=_BURST_SECONDS, stop=stop)


def run(stop: Callable[[], bool], *, every_seconds: float | None = None) -> None:
    """Run until `stop` says so. What fails is logged and comes again: one bad row must not end the sweeping."""
    pause = settings.SWEEP_SECONDS if every_seconds is None else every_seconds
    upkeep = _Upkeep()
    while not stop():
        try:
            close_old_connections()
            run_once(stop=stop)
            upkeep.when_it_is_time()
            upkeep.fold_when_it_is_time()
        except DatabaseError as error:
            log.error("sweep_failed", error=f"{type(error).__name__}: {error}")
            connection.close()
        except Exception:  # a bug met by one row: the others, and the next round, go on
            log.exception("sweep_failed")
            connection.close()
        _sleep(pause, stop)


@dataclass(slots=True)
class _Upkeep:
    """What is done now and then beside the due rows."""

    next_at: float = 0.0
    next_fold_at: float = 0.0
    connected: int = 0

    def when_it_is_time(self) -> None:
        """Escalate, register at PSPs that were away, forget old answers and proposals."""
        if time.monotonic() < self.next_at:
            return
        self.next_at = time.monotonic() + _UPKEEP_SECONDS
        now = seam.now()
        escalations.escalate_overdue(now=now)
        self.connected = merchants.connect_next(self.connected)
        idempotency.purge(now=now)
        proposals.expire(now=now)

    def fold_when_it_is_time(self) -> None:
        """Keep the tail short that exact balances of hot accounts have to add."""
        if time.monotonic() >= self.next_fold_at:
            self.next_fold_at = time.monotonic() + _FOLD_SECONDS
            folding.fold(now=seam.now())


def _sleep(seconds: float, stop: Callable[[], bool]) -> None:
    ends = time.monotonic() + seconds
    while not stop() and time.monotonic() < ends:
        time.sleep(min(0.1, seconds))
