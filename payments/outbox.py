"""The outbox: facts that we publish, written in the transaction that makes them true.

Subscribers (merchant webhooks, the live stream, analytics) read it with cursors of their own; nothing here calls them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config import seam
from payments.models import OutboxMessage


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened: its type (API.md, *Webhooks and events*) and the whole object as the API shows it."""

    book_id: int
    type: str
    subject_kind: str
    subject_id: int
    data: Mapping[str, Any]


def publish(facts: Sequence[Fact], *, now: datetime) -> None:
    """Write facts in the caller's transaction, in order, with one statement."""
    if not facts:
        return
    OutboxMessage.objects.bulk_create(
        OutboxMessage(
            public_id=seam.new_uuid(),
            book_id=fact.book_id,
            type=fact.type,
            subject_kind=fact.subject_kind,
            subject_id=fact.subject_id,
            data=dict(fact.data),
            created_at=now,
        )
        for fact in facts
    )
