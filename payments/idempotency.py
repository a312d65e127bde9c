"""Idempotency keys of everything but intake: the first answer is kept in the transaction of the effect.

The key's row is inserted first, so a second request with the same key waits for the first one at the unique index
(`lock_timeout` bounds the wait: 409) and then finds its answer. A refused request keeps no row: it had no effect.
Intake does the same inside `payments_accept`. A key is unique per book, whatever the endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from payments.errors import Unprocessable
from payments.models import IdempotencyRecord


@dataclass(frozen=True, slots=True)
class Effect:
    """What an effect led to. `shown_once` (secrets) is sent with the first answer and never stored."""

    status: int
    body: Mapping[str, Any]
    shown_once: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent: status, JSON text, and whether it is a repetition of the first answer."""

    status: int
    body: str
    replayed: bool = False


# Uses index: idempotency_key_is_unique_in_its_book.
_OPEN = """
INSERT INTO payments_idempotencyrecord (book_id, key, fingerprint, status, body, created_at)
VALUES (%s, %s, %s, 0, '', %s) ON CONFLICT (book_id, key) DO NOTHING RETURNING id
"""


KEPT_DAYS = 31
_PURGE_AT_MOST = 5000


def purge(*, now: datetime) -> int:
    """Delete answers older than 31 days, a bounded number in one statement; return how many."""
    with connection.cursor() as cursor:
        # Uses index: idempotency_by_age.
        cursor.execute(
            "DELETE FROM payments_idempotencyrecord WHERE id IN (SELECT id FROM payments_idempotencyrecord"
            " WHERE created_at < %s ORDER BY created_at LIMIT %s)",
            [now - timedelta(days=KEPT_DAYS), _PURGE_AT_MOST],
        )
        return int(cursor.rowcount)


def replay_or_run(book_id: int, key: str, fingerprint: bytes, run: Callable[[], Effect], *, now: datetime) -> Answer:
    """Run an effect once per (book, key); answer a repetition with the first answer, byte for byte.

    Opens a transaction; whatever `run` raises rolls everything back, the key included. Raises `Unprocessable` when
    the key was used for another request, and lets Django's `OperationalError` through when the first request holds
    the key for longer than `lock_timeout`.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_OPEN, [book_id, key, fingerprint, now])
            opened = cursor.fetchone()
        if opened is None:
            return replay(IdempotencyRecord.objects.get(book_id=book_id, key=key), fingerprint)
        effect = run()
        stored = _text(effect.body)
        IdempotencyRecord.objects.filter(pk=opened[0]).update(status=effect.status, body=stored)
    return Answer(effect.status, _text({**effect.body, **effect.shown_once}) if effect.shown_once else stored)


def replay(first: IdempotencyRecord, fingerprint: bytes) -> Answer:
    """Return the first answer again. Raises `Unprocessable` when the key was used for another request."""
    if bytes(first.fingerprint) != fingerprint:
        raise Unprocessable("idempotency_key_reused", "this Idempotency-Key was used for another request")
    return Answer(first.status, first.body, replayed=True)


def _text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
