"""The outbox: facts that we publish, written in the transaction that makes them true.

Subscribers (merchant webhooks, the live stream, analytics) read it with cursors of their own; nothing here calls them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from config import seam


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
    rows = [
        {
            "place": place,
            "public_id": str(seam.new_uuid()),
            "book_id": fact.book_id,
            "type": fact.type,
            "subject_kind": fact.subject_kind,
            "subject_id": fact.subject_id,
            "data": fact.data,
        }
        for place, fact in enumerate(facts)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_outboxmessage (public_id, book_id, type, subject_kind, subject_id, data, created_at)"
            " SELECT f.public_id, f.book_id, f.type, f.subject_kind, f.subject_id, f.data, %s"
            " FROM jsonb_to_recordset(%s::jsonb) AS f (place int, public_id uuid, book_id bigint, type text,"
            " subject_kind text, subject_id bigint, data jsonb) ORDER BY f.place",
            [now, json.dumps(rows)],
        )
