"""Between nights: what failed, and what is unknown for long, is asked about again within a minute.

History rows are the events: the trigger writes one in the transaction that makes it true, so none is missed by a crash.
Every failure of a charge or refund is asked about once, as if the PSP had notified us: it may have done what we think
that it has not. An operation whose outcome is unknown waits no longer than a minute for its next question, and is
repeated only when the PSP proves that it did nothing (`payments/executor.py`).

Only due rows are written here; the executor asks, in batches and within the budgets of the accounts, and settlement
applies what the PSP says. What is missed while nobody sweeps is found by the night.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from django.db import connection, transaction

from payments import discovery, doorbell
from payments.psp.base import ObjectKind

log = structlog.get_logger(__name__)

BATCH: Final = 256
# Not at once: what the PSP has just said it says again. And how far back a process looks that has just begun.
SETTLES_IN: Final = "15 seconds"
LOOKS_BACK: Final = "10 minutes"
WAITS_AT_MOST: Final = "60 seconds"

_BEGIN: Final = """
SELECT coalesce((SELECT id FROM payments_transition WHERE at < clock_timestamp() - %s::interval
                  ORDER BY id DESC LIMIT 1), 0)
"""

# A transaction that writes history may commit after a later one: rows are looked at again until they are old.
_FAILED: Final = """
WITH recent AS MATERIALIZED (
    SELECT t.id, t.machine, t.object_id, t.at FROM payments_transition t
     WHERE t.id > %(since)s AND t.machine IN ('payments_charge', 'payments_refund')
       AND t.target IN ('FAILED', 'failed') AND t.at < clock_timestamp() - %(settles_in)s::interval),
failed AS (
    SELECT r.id, 'charge' AS kind, c.psp_account_id, c.psp_id, '' AS charge
      FROM recent r JOIN payments_charge c ON c.id = r.object_id
     WHERE r.machine = 'payments_charge' AND c.status = 'FAILED' AND c.psp_id IS NOT NULL
     UNION ALL
    SELECT r.id, 'refund', c.psp_account_id, f.psp_id, coalesce(c.psp_id, '')
      FROM recent r JOIN payments_refund f ON f.id = r.object_id JOIN payments_charge c ON c.id = f.charge_id
     WHERE r.machine = 'payments_refund' AND f.status = 'failed' AND f.psp_id IS NOT NULL)
SELECT f.id, f.kind, f.psp_account_id, f.psp_id, f.charge FROM failed f
 WHERE NOT EXISTS (SELECT 1 FROM payments_pspnotification n
                    WHERE n.psp_account_id = f.psp_account_id AND n.psp_event_id = 'watch:' || f.id)
 ORDER BY f.id LIMIT %(batch)s
"""

# Uses index: operation_due.
_UNKNOWN: Final = """
WITH waiting AS (
    SELECT o.id FROM payments_pspoperation o
     WHERE o.due_at > florin_now() + %(most)s::interval AND o.state = 'UNKNOWN' AND o.error_code <> ''
       AND o.closed_at IS NULL AND (o.lease_until IS NULL OR o.lease_until < florin_now())
       AND NOT (o.kind = 'refund' AND o.parameters ? 'psp_id')
     ORDER BY o.due_at LIMIT %(batch)s FOR NO KEY UPDATE SKIP LOCKED)
UPDATE payments_pspoperation o SET due_at = florin_now() FROM waiting w WHERE o.id = w.id
"""


@dataclass(slots=True)
class Watch:
    """How far this process has read the history; another one has its own, and the same failure is asked about once."""

    since: int = -1

    def look(self, now: datetime) -> int:
        """Have failures and long unknown outcomes asked about; return how many. Short, idempotent."""
        with connection.cursor() as cursor:
            cursor.execute(_BEGIN, [LOOKS_BACK])
            self.since = max(self.since, int(cursor.fetchone()[0]))
            cursor.execute(_FAILED, {"since": self.since, "settles_in": SETTLES_IN, "batch": BATCH})
            failed = cursor.fetchall()
        asked = sum(
            discovery.tell(account, ObjectKind(kind), psp_id, source=f"watch:{row}", charge_psp_id=charge, now=now)
            for row, kind, account, psp_id, charge in failed
        )
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_UNKNOWN, {"most": WAITS_AT_MOST, "batch": BATCH})
            hurried = int(cursor.rowcount)
            if hurried:
                doorbell.ring("psp")
        if asked or hurried:
            log.info("asked_again", failed=asked, unknown=hurried)
        return asked + hurried


_watch = Watch()
look = _watch.look
