"""Celery tasks: each answers a doorbell with one call. They carry no data but a queue's name."""

from __future__ import annotations

from celery import shared_task
from django.db import close_old_connections

from payments import doorbell, work_loop

BURST_SECONDS = 30.0


@shared_task(name="payments.tasks.drain")
def drain(queue: str, **_later: object) -> None:
    """Work off what is due on a queue."""
    close_old_connections()
    doorbell.answer(queue)
    if queue == "psp":
        work_loop.run_once()


@shared_task(name="payments.tasks.ring_all")
def ring_all(**_later: object) -> None:
    """Ring every doorbell once (beat): a hint more, in case one was lost."""
    for queue in doorbell.QUEUES:
        doorbell.ring(queue)
