"""Doorbells: tell a Celery worker that a queue has due rows. A hint and nothing more.

Coalesced per queue through one Redis key, never one message per row; and while a worker stays at the door, no message
at all. Losing a ring costs at most one sweep (5 s): the rows are in PostgreSQL. So Redis may be slow, full, empty or
gone; a broken bell is left alone for a few seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import redis
import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from config import seam

QUEUES = ("psp", "webhooks", "reconciliation", "default")
_COALESCE_SECONDS = 5
_SILENCE_SECONDS = 3.0
_TIMEOUT_SECONDS = 0.25
_STAY_MILLISECONDS = 1000
_LOOK_SECONDS = 0.02

log = structlog.get_logger(__name__)
_lock = threading.Lock()
_client: redis.Redis | None = None
_silent_until = 0.0


def _redis() -> redis.Redis:
    global _client
    with _lock:
        if _client is None:
            _client = redis.Redis.from_url(
                settings.REDIS_URL,
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
                max_connections=64,
            )
        return _client


def ring(queue: str) -> None:
    """Ring after the current transaction commits (at once outside one). Never raises, never blocks for long."""
    if settings.DOORBELLS and settings.REDIS_URL:
        transaction.on_commit(lambda: _ring(queue))


def answer(queue: str) -> None:
    """Take the bell down before looking at the queue, so that whoever commits from now on rings again."""
    if settings.DOORBELLS and settings.REDIS_URL:
        _quietly(lambda: _redis().delete(_bell(queue)), f"answer {queue}")


def rings_again(queue: str, *, within_seconds: float) -> bool:
    """Stay at the door for a while after the work is done; return as soon as the bell rings.

    While somebody stays, ringing is one cheap command and no message. The last look comes after leaving the door: a
    ring before that look is seen by it, one after it finds nobody there and sends a message.
    """
    if not (settings.DOORBELLS and settings.REDIS_URL):
        return False
    rung = [False]

    def stay() -> None:
        client, ends = _redis(), time.monotonic() + within_seconds
        while not rung[0] and time.monotonic() < ends:
            client.set(_door(queue), "1", px=_STAY_MILLISECONDS)
            rung[0] = bool(client.exists(_bell(queue)))
            if not rung[0]:
                time.sleep(_LOOK_SECONDS)
        if not rung[0]:
            client.delete(_door(queue))
            rung[0] = bool(client.exists(_bell(queue)))

    _quietly(stay, f"stay {queue}")
    return rung[0]


def _ring(queue: str) -> None:
    def call() -> None:
        # In this order, but not as one: whoever leaves the door looks at the bell after it (`rings_again`).
        with _redis().pipeline(transaction=False) as commands:
            commands.set(_bell(queue), "1", nx=True, ex=_COALESCE_SECONDS)
            commands.exists(_door(queue))
            is_first, is_attended = commands.execute()
        if is_first and not is_attended:
            current_app.send_task("payments.tasks.drain", args=[queue], queue=queue)

    _quietly(call, f"ring {queue}")


def _bell(queue: str) -> str:
    return f"florin:bell:{queue}"


def _door(queue: str) -> str:
    return f"florin:door:{queue}"


def _quietly(call: Callable[[], object], name: str) -> None:
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        with seam.crossing("broker", name):
            call()
    except (redis.RedisError, OperationalError, OSError) as error:
        # However the broker is broken (refused, timed out, full, read-only), the sweeper will do the work.
        _silent_until = time.monotonic() + _SILENCE_SECONDS
        log.warning("doorbell_failed", queue_call=name, error=type(error).__name__)
