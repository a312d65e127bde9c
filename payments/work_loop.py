"""The work loop: does everything that is due, without a broker. The sweeper process runs it; so do the tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from config import seam
from ledger import folding
from payments import (
    cancellations,
    discovery,
    escalations,
    exchange,
    executor,
    idempotency,
    merchants,
    refund_decisions,
    releases,
    reserves,
    runs,
    schedules,
    seal_anchor,
    upkeep,
    verification,
)
from wallet import proposals

log = structlog.get_logger(__name__)
_BURST_SECONDS = 30.0
_UPKEEP_SECONDS = 30.0
_FOLD_SECONDS = 5.0


def run_once(*, stop: Callable[[], bool] = lambda: False) -> int:
    """Do what is due now; return how many PSP calls, expiries and releases there were."""
    done = cancellations.expire_due(now=seam.now())
    done += releases.release_due(now=seam.now()) + reserves.free_due(now=seam.now())
    done += exchange.convert_due(now=seam.now())
    return done + executor.drain(seconds=_BURST_SECONDS, stop=stop)


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
            upkeep.check_when_it_is_time()
            upkeep.run_what_is_due()
            upkeep.seal_when_it_is_time()
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
    next_check_at: float = 0.0
    next_seal_at: float = 0.0
    connected: int = 0
    runner: threading.Thread | None = None

    def when_it_is_time(self) -> None:
        """Escalate, register at PSPs, pay what was released, forget old answers and proposals, write down next runs."""
        if time.monotonic() < self.next_at:
            return
        self.next_at = time.monotonic() + _UPKEEP_SECONDS
        now = seam.now()
        escalations.escalate_overdue(now=now)
        self.connected = merchants.connect_next(self.connected)
        discovery.watch_new(now=now)
        idempotency.purge(now=now)
        schedules.pay_released(now=now)
        proposals.expire(now=now)
        refund_decisions.conclude(now=now)
        upkeep.do(now=now)
        runs.schedule(now=now)

    def fold_when_it_is_time(self) -> None:
        """Keep the tail short that exact balances of hot accounts have to add."""
        if time.monotonic() >= self.next_fold_at:
            self.next_fold_at = time.monotonic() + _FOLD_SECONDS
            folding.fold(now=seam.now())

    def check_when_it_is_time(self) -> None:
        """Verify what was posted since the last time, for a short while."""
        if time.monotonic() >= self.next_check_at:
            self.next_check_at = time.monotonic() + settings.CHECK_SECONDS
            verification.verify_new(now=seam.now())

    def seal_when_it_is_time(self) -> None:
        """Seal what was committed since, and publish the heads."""
        if time.monotonic() >= self.next_seal_at:
            self.next_seal_at = time.monotonic() + settings.SEAL_SECONDS
            seal_anchor.seal_and_publish(now=seam.now())

    def run_what_is_due(self) -> None:
        """Start a run beside the loop, one at a time: it may take minutes, and payments do not wait for it.

        It dies with the process; whoever comes after it takes over when the lease has run out.
        """
        if self.runner is None or not self.runner.is_alive():
            for claimed in runs.claim():
                self.runner = threading.Thread(target=_execute, args=(claimed,), name="run", daemon=True)
                self.runner.start()


def _execute(claimed: runs.Claim) -> None:
    try:
        runs.execute(claimed, now=seam.now())
    except Exception:  # the database was away, most likely: the lease runs out, and the run is taken up again
        log.exception("run_failed")
    finally:
        connection.close()


def _sleep(seconds: float, stop: Callable[[], bool]) -> None:
    ends = time.monotonic() + seconds
    while not stop() and time.monotonic() < ends:
        time.sleep(min(0.1, seconds))
