"""Escalations: an outcome that is unknown for too long is told to the merchant and the operators, once (promise 4).

Each try does this by itself (payments/appliers/operations.py); this sweep is for operations that are not tried, because
their PSP account is paused by the circuit breaker.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from payments import outbox
from payments.appliers import batch as batches
from payments.appliers import operations, payout_batch
from payments.appliers import payouts as payout_applier

AT_MOST = 100

# Uses index: operation_due.
_OVERDUE = """
SELECT DISTINCT event_id, payout_id FROM payments_pspoperation
 WHERE due_at IS NOT NULL AND state = 'UNKNOWN' AND error_code <> ''
   AND first_sent_at < florin_now() - %s::interval AND NOT parameters ? 'escalated'
   AND NOT (kind = 'refund' AND parameters ? 'psp_id')
 LIMIT %s
"""


def escalate_overdue(*, now: datetime, limit: int = AT_MOST) -> int:
    """Publish `payment.outcome_unknown` for operations that nobody has answered in time; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_OVERDUE, [f"{operations.ATTENTION_AFTER.total_seconds()} seconds", limit])
        rows = cursor.fetchall()
    payouts = [payout_id for _, payout_id in rows if payout_id is not None]
    if payouts:
        with transaction.atomic():
            about = payout_batch.lock(payouts, now=now)
            for operation in about.operations.values():
                if payout_applier.is_overdue(operation, now=now):
                    payout_applier.escalate(about, operation)
            payout_batch.write(about)
    events = [event_id for event_id, _ in rows if event_id is not None]
    for event_id in events:
        with transaction.atomic():
            batch = batches.lock([event_id], now=now)
            operations.escalate_overdue(batch)
            batches.write(batch)
            outbox.publish(batch.facts, now=now)
    return len(events) + len(payouts)
