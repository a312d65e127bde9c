"""Repairs that ask: the PSP is asked again about what a statement names, and settlement does the rest.

The question goes the way of any notification (`payments.discovery.tell`): it is written down once, the object is
fetched, and whatever comes of it is idempotent. Nothing is posted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import connection

from payments import discovery
from payments.psp.base import ObjectKind
from reconciliation.models import Break, BreakEvent, ReconciliationRun

_KINDS: Final = {
    "charge": ObjectKind.CHARGE,
    "refund": ObjectKind.REFUND,
    "refund_failure": ObjectKind.REFUND,
    "dispute": ObjectKind.DISPUTE,
    "dispute_reversal": ObjectKind.DISPUTE,
}

# What was at the PSP before a payout, without it: enough, or it was not paid from this.
_COVERED = """
SELECT coalesce(sum(l.gross_minor - l.fee_minor), 0)
  FROM reconciliation_statementline l
 WHERE l.source_id = %s AND l.currency = %s AND l.booked_on <= (SELECT p.booked_on FROM reconciliation_statementline p
                                                                 WHERE p.id = %s)
"""


def look_up(run: ReconciliationRun, found: Sequence[Break], *, now: datetime) -> int:
    """Ask the PSP about the objects of breaks that it was not asked about before; return about how many."""
    assert run.source is not None
    account = run.source.psp_account
    if account is None:
        return 0
    asked = 0
    for row in found:
        kind = _KINDS.get(str(row.evidence.get("flow")))
        name = str(row.evidence.get("object") or "")
        if kind is None or not name:
            continue
        # A line is asked about once; what has no line, once for each day.
        about = max(row.line_ids) if row.line_ids else f"{row.pk}:{run.day}"
        source, charge = f"line:{about}", str(row.evidence.get("charge") or "")
        if discovery.tell(account.pk, kind, name, source=source, charge_psp_id=charge, now=now):
            BreakEvent.objects.create(
                break_found=row, what="looked_up", code=row.code, actor="run", run=run, detail=name[:1000], at=now
            )
            asked += 1
    return asked


def covers(run: ReconciliationRun, row: Break) -> bool:
    """Say whether what lay at the PSP covers a payout that no line names: then it was paid from it, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_COVERED, [run.source_id, row.currency_id, max(row.line_ids)])
        (rest,) = cursor.fetchone()
    return int(rest) >= 0
