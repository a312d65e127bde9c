"""The circuit breaker per PSP account: after many calls without an answer nothing is sent for a while.

An answer of any kind (also a decline) closes it again. While it is open due rows simply stay due; the first claim
after the pause gets one row, as a probe (`payments/sql/work.sql`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from payments.psp.base import Outcome, Result
from payments.work import BREAKER_THRESHOLD

PAUSE = "5 seconds"
LONGEST_PAUSE = "60 seconds"

# Rate limiting, a lost reply and a refused connection all count as silence; "not wanted" was never sent.
_SILENT = (Outcome.UNKNOWN, Outcome.NOT_EXECUTED)


def note_health(answers: Iterable[tuple[int, Result]], *, now: datetime) -> None:
    """Count silent calls per account and open or close its breaker; no statement when nothing is worth noting."""
    silent: dict[int, int] = {}
    heard: set[int] = set()
    for account_id, result in answers:
        if result.outcome in _SILENT and result.error is not None and result.error.http_status is None:
            silent[account_id] = silent.get(account_id, 0) + (result.error.code != "no_longer_wanted")
        else:
            heard.add(account_id)
    failing = {account: count for account, count in silent.items() if account not in heard and count}
    if not failing and not heard:
        return
    with connection.cursor() as cursor:
        if heard:
            cursor.execute(
                "UPDATE payments_pspaccount SET consecutive_failures = 0, paused_until = NULL"
                " WHERE id = ANY (%s) AND consecutive_failures > 0",
                [sorted(heard)],
            )
        if failing:
            cursor.execute(
                "UPDATE payments_pspaccount a SET consecutive_failures = a.consecutive_failures + v.failures,"
                " paused_until = CASE WHEN a.consecutive_failures + v.failures >= %s"
                "   THEN %s::timestamptz + least(%s::interval * power(2,"
                "        least((a.consecutive_failures + v.failures) / %s - 1, 10)), %s::interval) END"
                " FROM unnest(%s::bigint[], %s::int[]) AS v (id, failures) WHERE a.id = v.id",
                [
                    BREAKER_THRESHOLD, now, PAUSE, BREAKER_THRESHOLD, LONGEST_PAUSE,
                    list(failing), list(failing.values()),
                ],
            )  # fmt: skip
