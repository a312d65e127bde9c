"""The work loop: does everything that is due, without a broker. The sweeper process runs it; so do the tests."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from config import seam
from payments import cancellations, executor, merchants

log = structlog.get_logger(__name__)
_BURST_SECONDS = 30.0
_CONNECT_SECONDS = 30.0


def run_once(*, stop: Callable[[], bool] = lambda: False) -> int:
    """Do what is due now; return how many PSP calls and expiries there were."""
    expired = cancellations.expire_due(now=seam.now())
    return expired + executor.drain(seconds=_BURST_SECONDS, stop=stop)


def run(stop: Callable[[], bool], *, every_seconds: float | None = None) -> None:
    """Run until `stop` says so. A database that is away is waited for; nothing else is swallowed."""
    pause = settings.SWEEP_SECONDS if every_seconds is None else every_seconds
    connect_after = 0.0
    while not stop():
        try:
            close_old_connections()
            run_once(stop=stop)
            if time.monotonic() >= connect_after:
                connect_after = time.monotonic() + _CONNECT_SECONDS
                merchants.connect_unconnected()
        except DatabaseError as error:
            log.error("sweep_failed", error=f"{type(error).__name__}: {error}")
            connection.close()
        _sleep(pause, stop)


def _sleep(seconds: float, stop: Callable[[], bool]) -> None:
    ends = time.monotonic() + seconds
    while not stop() and time.monotonic() < ends:
        time.sleep(min(0.1, seconds))
