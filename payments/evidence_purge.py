"""Evidence is forgotten: it holds personal data of buyers, and is kept only as long as a dispute may be reopened.

That a dispute was answered, and when, stays with the dispute. What was handed in is deleted a settled number of days
after it was over. A daily run in short transactions; begun again, it goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from payments.models import DisputeEvidence, EvidenceFile, PspOperation, Run

CHUNK = 100
MAX_CHUNKS = 200


def run(_run: Run, now: datetime) -> Mapping[str, Any]:
    """Forget what is old enough, at most `CHUNK * MAX_CHUNKS` answers; the rest is the next run's."""
    forgotten = 0
    for _ in range(MAX_CHUNKS):
        deleted = purge(now=now)
        forgotten += deleted
        if deleted < CHUNK:
            break
    return {"forgotten": forgotten}


def purge(*, now: datetime, limit: int = CHUNK) -> int:
    """Delete the evidence of disputes that have long been over; return how many answers. Idempotent.

    Locks the rows of evidence; leaves out what somebody else has locked, and what is still on its way to the PSP.
    """
    over_since = now - timedelta(days=settings.EVIDENCE_DAYS)
    with transaction.atomic():
        old = DisputeEvidence.objects.filter(dispute__closed_at__lte=over_since).exclude(
            dispute__in=PspOperation.objects.filter(dispute__isnull=False, closed_at__isnull=True).values("dispute")
        )
        rows = old.select_for_update(skip_locked=True, of=("self",), no_key=True).order_by("pk")
        keys = list(rows.values_list("pk", flat=True)[:limit])
        EvidenceFile.objects.filter(evidence_id__in=keys).delete()
        DisputeEvidence.objects.filter(pk__in=keys).delete()
    return len(keys)
