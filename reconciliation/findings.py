"""Findings: differences that a check in Python or in words has made out, written as breaks like all others.

What matching leaves open is classified by SQL (`reconciliation/classification.py`). Checks of files, balances and books
come here: they say what they found, and those of their codes that they do not find any more are resolved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connection

from reconciliation import breaks
from reconciliation.codes import CODES
from reconciliation.models import ReconciliationRun

# Leg, key and currency name a break for good (`reconciliation/breaks.py`); the first finding of a name counts.
_INSERT: Final = """
INSERT INTO reconciliation_found (identity, question, code, currency, amount, reference, detail, line_ids, item_ids,
                                  evidence, priority)
SELECT sha256(convert_to(concat_ws('|', %(book)s::text, %(source)s::text, f.leg, f.key, coalesce(f.currency, '')),
                         'UTF8')),
       f.place, f.code, f.currency, f.amount, f.reference, f.detail, '{}', '{}', f.evidence, f.priority
  FROM jsonb_to_recordset(%(found)s::jsonb) AS f (place int, code text, priority smallint, leg text, key text,
                                                  currency text, amount bigint, reference text, detail text,
                                                  evidence jsonb)
 ORDER BY f.place LIMIT %(limit)s
ON CONFLICT (identity) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `leg` and `key` say which it is, whatever its class; `amount` is outside minus ours."""

    code: str
    leg: str
    key: str
    detail: str
    currency: str | None = None
    amount: int = 0
    reference: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


def record(run: ReconciliationRun, found: Sequence[Finding], *, codes: Sequence[str], now: datetime) -> None:
    """Write breaks of what was found, and resolve those of `codes` at the run's source that were not.

    In the caller's transaction; idempotent.
    """
    rows = [
        {
            "place": place,
            "code": one.code,
            "priority": CODES[one.code].priority,
            "leg": one.leg,
            "key": one.key,
            "currency": one.currency,
            "amount": one.amount,
            "reference": one.reference[:255],
            "detail": one.detail[:500],
            "evidence": dict(one.evidence),
        }
        for place, one in enumerate(found)
    ]
    parameters = {
        "book": run.book_id,
        "source": run.source_id,
        "run": run.pk,
        "day": run.day,
        "now": now,
        "limit": breaks.MAX_BREAKS,
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT reconciliation_open_found()")
        cursor.execute(_INSERT, parameters | {"found": json.dumps(rows)})
    breaks.record(parameters, codes=list(codes))
