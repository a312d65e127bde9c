"""How far behind the work is: due rows per queue, the age of the oldest, and what a person has to look at.

One statement over partial indexes of due rows, so that asking often is cheap. Read-only; for `/readyz`, `/metrics` and
the back office.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

# Uses partial indexes of due rows: operation_due, notification_due, charge_to_poll, dispute_to_poll,
# payment_event_to_expire, payment_order_to_release, reserve_to_free, look_due, conversion_due, run_due.
_LAG = """
WITH clock AS (SELECT florin_now() AS at), due AS (
    SELECT 'operations' AS queue, due_at FROM payments_pspoperation, clock WHERE due_at <= clock.at
    UNION ALL
    SELECT 'notifications', due_at FROM payments_pspnotification, clock WHERE due_at <= clock.at
    UNION ALL
    SELECT 'polls', due_at FROM payments_charge, clock WHERE due_at <= clock.at
    UNION ALL
    SELECT 'disputes', due_at FROM payments_dispute, clock WHERE due_at <= clock.at
    UNION ALL
    SELECT 'expiries', expiry_due_at FROM payments_paymentevent, clock WHERE expiry_due_at <= clock.at
    UNION ALL
    SELECT 'releases', release_due_at FROM payments_paymentorder, clock WHERE release_due_at <= clock.at
    UNION ALL
    SELECT 'reserves', due_at FROM payments_reservehold, clock WHERE due_at <= clock.at
    UNION ALL
    SELECT 'looks', due_at FROM payments_psplook, clock WHERE due_at <= clock.at
    UNION ALL
    SELECT 'conversions', due_at FROM payments_orderconversion, clock WHERE due_at <= clock.at
    UNION ALL
    SELECT 'runs', due_at FROM payments_run, clock WHERE due_at <= clock.at
)
SELECT q.queue, count(due.due_at), coalesce(extract(epoch FROM max(clock.at - due.due_at)), 0)::float8
  FROM clock, unnest(ARRAY['operations', 'notifications', 'polls', 'disputes', 'expiries', 'releases', 'reserves',
                           'looks', 'conversions', 'runs']) AS q (queue)
  LEFT JOIN due ON due.queue = q.queue
 GROUP BY q.queue ORDER BY q.queue
"""


@dataclass(frozen=True, slots=True)
class Lag:
    """How many rows of a queue are due, and for how long the oldest has been."""

    queue: str
    due: int
    oldest_seconds: float


def lags() -> list[Lag]:
    """Return the lag of every queue (one statement)."""
    with connection.cursor() as cursor:
        cursor.execute(_LAG)
        return [Lag(*row) for row in cursor.fetchall()]
