"""Celery: queues, limits and the beat table on one screen.

A message is only a doorbell: work is owned by PostgreSQL as due rows (docs/architecture.md), so everything here may
lose, repeat or delay messages without harm. Hence early acknowledgement, no ETA, no result backend, no arguments but
a queue's name.
"""

import os

from celery import Celery
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

QUEUES = ("psp", "webhooks", "reconciliation", "default")
BROKER_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
if BROKER_URL.startswith("unix://"):
    BROKER_URL = "redis+socket://" + BROKER_URL.removeprefix("unix://")

app = Celery("florin")
app.conf.update(
    broker_url=BROKER_URL,
    broker_transport_options={
        "visibility_timeout": 300,
        "socket_timeout": 10,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
    visibility_timeout=300,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=False,
    task_publish_retry=False,
    task_reject_on_worker_lost=False,
    task_serializer="json",
    accept_content=["json"],
    task_time_limit=90,
    task_soft_time_limit=75,
    task_default_queue="default",
    task_queues=[Queue(name) for name in QUEUES],
    task_create_missing_queues=False,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=1000,
    worker_max_memory_per_child=400_000,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    enable_utc=True,
    timezone="UTC",
    beat_schedule={
        # Beat only rings: each run is a due row or an idempotent sweep, so a second or a missing beat does no harm.
        "ring-every-queue": {
            "task": "payments.tasks.ring_all",
            "schedule": 30.0,
            "options": {"queue": "default"},
        },
    },
)
app.autodiscover_tasks(["payments"])
