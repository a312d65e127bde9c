"""Work is a due row: claiming with a lease and a fence, in batches, with SKIP LOCKED (`payments/sql/work.sql`)."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import connection

BREAKER_THRESHOLD = 10


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that is ours until the lease ends. Writing it needs the fence. `was` is an operation's former state."""

    id: int
    fence: int
    was: str = ""


def _lease() -> str:
    return f"{settings.LEASE_SECONDS} seconds"


def claim_operations(limit: int) -> list[Claim]:
    """Claim due PSP operations and mark them sent, one statement, committed by the caller before any call."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM payments_claim_operations(%s, %s::interval, %s)", [limit, _lease(), BREAKER_THRESHOLD]
        )
        return [Claim(*row) for row in cursor.fetchall()]


def claim_polls(limit: int) -> list[Claim]:
    """Claim charges of which nothing was heard for a while."""
    again = f"{settings.POLL_AFTER_SECONDS} seconds"
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM payments_claim_polls(%s, %s::interval, %s::interval)", [limit, _lease(), again])
        return [Claim(*row) for row in cursor.fetchall()]


def claim_notifications(limit: int) -> list[Claim]:
    """Claim stored notifications that are due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM payments_claim_notifications(%s, %s::interval)", [limit, _lease()])
        return [Claim(*row) for row in cursor.fetchall()]
