"""Celery tasks: each answers a doorbell with one call. They carry no data but a queue's name."""

from __future__ import annotations

import time

from celery import shared_task
from django.db import close_old_connections, connection

from payments import doorbell, work_loop

BURST_SECONDS = 30.0
STAY_SECONDS = 0.5


@shared_task(name="payments.tasks.drain")
def drain(queue: str, **_later: object) -> None:
    """Work off what is due on a queue, and stay a moment for what comes next."""
    if queue != "psp":
        return
    ends = time.monotonic() + BURST_SECONDS
    while True:
        close_old_connections()
        doorbell.answer(queue)
        work_loop.run_once()
        if time.monotonic() >= ends:
            doorbell.ring(queue)
            return
        connection.close()
        if not doorbell.rings_again(queue, within_seconds=STAY_SECONDS):
            return


@shared_task(name="payments.tasks.ring_all")
def ring_all(**_later: object) -> None:
    """Ring every doorbell once (beat): a hint more, in case one was lost."""
    for queue in doorbell.QUEUES:
        doorbell.ring(queue)
