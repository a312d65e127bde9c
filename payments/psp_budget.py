"""The budget of one more call to a PSP, for work that reads page after page and claims no rows.

It is the budget of polls (payments/sql/work.sql), so reading a list never takes the calls that payments need.
"""

from __future__ import annotations

from django.db import connection

# Uses the same clock and the same way to refill as payments_claim_polls.
_TAKE = """
WITH at AS MATERIALIZED (SELECT florin_now() AS now)
UPDATE payments_pspaccount a
   SET poll_tokens = least(greatest(a.polls_per_minute, 1),
                           a.poll_tokens + passed.seconds * a.polls_per_minute / 60) - 1,
       call_tokens = least(greatest(a.calls_per_second, 1), a.call_tokens + passed.seconds * a.calls_per_second),
       refilled_at = greatest(at.now, a.refilled_at)
  FROM at, LATERAL (SELECT greatest(extract(epoch FROM at.now - b.refilled_at), 0)::float8 AS seconds
                      FROM payments_pspaccount b WHERE b.id = %(account)s) passed
 WHERE a.id = %(account)s AND (a.paused_until IS NULL OR a.paused_until <= at.now)
   AND a.poll_tokens + passed.seconds * a.polls_per_minute / 60 >= 1
"""


def take_poll(account_id: int) -> bool:
    """Take one poll from an account's budget; False when there is none now, or its circuit breaker is open."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"account": account_id})
        return bool(cursor.rowcount)
