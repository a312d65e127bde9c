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


def claim_named(ids: list[int]) -> list[Claim]:
    """Claim operations that the caller has locked and just made due, never sent before; part of its transaction.

    Within the budget of their accounts, and nothing for an account that is paused or on probation. Locks the rows of
    the accounts: call it last.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM_NAMED, {"ids": ids, "lease": _lease(), "threshold": BREAKER_THRESHOLD})
        return [Claim(*row) for row in cursor.fetchall()]


# The rules are those of payments_claim_operations, for rows that are known and locked already.
_CLAIM_NAMED = """
WITH clock AS MATERIALIZED (SELECT florin_now() AS at), wanted AS (
    SELECT o.id, o.psp_account_id AS account, row_number() OVER (PARTITION BY o.psp_account_id ORDER BY o.id) AS place
      FROM payments_pspoperation o
     WHERE o.id = ANY (%(ids)s::bigint[]) AND o.state = 'PREPARED' AND o.due_at IS NOT NULL AND o.lease_until IS NULL
), accounts AS MATERIALIZED (
    SELECT a.id, least(greatest(a.calls_per_second, 1), a.call_tokens
                   + greatest(extract(epoch FROM clock.at - a.refilled_at), 0) * a.calls_per_second) AS tokens,
           least(greatest(a.polls_per_minute, 1), a.poll_tokens
                   + greatest(extract(epoch FROM clock.at - a.refilled_at), 0) * a.polls_per_minute / 60) AS polls
      FROM payments_pspaccount a, clock
     WHERE a.id IN (SELECT account FROM wanted) AND a.consecutive_failures < %(threshold)s
       AND (a.paused_until IS NULL OR a.paused_until <= clock.at)
     ORDER BY a.id FOR NO KEY UPDATE OF a
), allowed AS MATERIALIZED (
    SELECT w.id, w.account FROM wanted w JOIN accounts a ON a.id = w.account WHERE w.place <= floor(a.tokens)
), spent AS (
    UPDATE payments_pspaccount p
       SET call_tokens = a.tokens - (SELECT count(*) FROM allowed x WHERE x.account = a.id), poll_tokens = a.polls,
           refilled_at = greatest(clock.at, p.refilled_at)
      FROM accounts a, clock WHERE p.id = a.id
)
UPDATE payments_pspoperation o
   SET lease_until = clock.at + %(lease)s::interval, fence = o.fence + 1, tries = o.tries + 1, state = 'SENT',
       first_sent_at = coalesce(o.first_sent_at, clock.at)
  FROM allowed, clock WHERE o.id = allowed.id
RETURNING o.id, o.fence, 'PREPARED'
"""


def claim_polls(limit: int) -> list[Claim]:
    """Claim charges of which nothing was heard for a while."""
    again = f"{settings.POLL_AFTER_SECONDS} seconds"
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM payments_claim_polls(%s, %s::interval, %s::interval)", [limit, _lease(), again])
        return [Claim(*row) for row in cursor.fetchall()]


def claim_watched(limit: int) -> tuple[list[Claim], list[Claim]]:
    """Claim disputes to be asked about, and PSP accounts whose changes are to be looked through (rows of PspLook).

    Both are rare, and so one statement; of `limit` a quarter, and at least one, is kept for the accounts.
    """
    again = f"{settings.POLL_AFTER_SECONDS} seconds"
    looks = (limit + 3) // 4
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 'dispute', c.* FROM payments_claim_dispute_polls(%s, %s::interval, %s::interval) c"
            " UNION ALL SELECT 'look', c.* FROM payments_claim_looks(%s, %s::interval) c",
            [limit - looks, _lease(), again, looks, _lease()],
        )
        rows = cursor.fetchall()
    return (
        [Claim(*row) for what, *row in rows if what == "dispute"],
        [Claim(*row) for what, *row in rows if what == "look"],
    )


def claim_payouts(limit: int) -> tuple[list[Claim], list[Claim]]:
    """Claim payouts to be asked about at the PSP, and balances that waiting payouts need (rows of PspFunding)."""
    again = f"{settings.POLL_AFTER_SECONDS} seconds"
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM payments_claim_payouts(%s, %s::interval, %s::interval)", [limit, _lease(), again])
        rows = cursor.fetchall()
    return (
        [Claim(row_id, fence) for what, row_id, fence in rows if what == "payout"],
        [Claim(row_id, fence) for what, row_id, fence in rows if what == "funding"],
    )


def claim_notifications(limit: int) -> list[Claim]:
    """Claim stored notifications that are due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM payments_claim_notifications(%s, %s::interval)", [limit, _lease()])
        return [Claim(*row) for row in cursor.fetchall()]
