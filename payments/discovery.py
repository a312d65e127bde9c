"""Discovery: what has happened at a PSP and nobody told us of, because a notification was lost.

Now and then every PSP account's list of changes is looked through, page by page under its budget of polls. What is new
is stored as the notification that did not arrive, and goes its way: the object is fetched, settlement applies it. So a
dispute is found, a refund that came back, and a payment that succeeded when nobody waited for it any more. Nothing is
believed and nothing is booked here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import connection, transaction

from payments import doorbell, notifications
from payments.models import PspLook
from payments.psp.base import Change, NotificationRef, ObjectKind, Outcome, Result
from payments.psp_calls import with_adapter
from payments.work import Claim

log = structlog.get_logger(__name__)
# Clocks differ, and what happened in the last moments of a look may be listed after it.
OVERLAP = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class LookCall:
    """One page of a PSP account's changes to be read. `began_at` is when the look began."""

    account_id: int
    run: Callable[[], Result]
    fence: int
    began_at: datetime
    operation_id: int | None = None


def watch_new(*, now: datetime) -> int:
    """Begin to look after PSP accounts that came since; return how many. Idempotent, one statement.

    An account that is older than this is looked through from its beginning, as far as its PSP remembers.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_psplook (psp_account_id, looked_until, due_at)"
            " SELECT a.id, least(a.created_at, %s), florin_now() + %s * interval '1 second' FROM payments_pspaccount a"
            "  WHERE NOT EXISTS (SELECT 1 FROM payments_psplook l WHERE l.psp_account_id = a.id)"
            " ON CONFLICT DO NOTHING",
            [now, settings.LOOK_SECONDS],
        )
        return int(cursor.rowcount)


def ask(account_id: int, *, since: datetime, now: datetime) -> None:
    """Have a PSP account's changes since a moment looked through soon, all of them. Idempotent; locks the row."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_psplook AS l (psp_account_id, looked_until, due_at) VALUES (%s, %s, florin_now())"
            " ON CONFLICT (psp_account_id) DO UPDATE SET looked_until = least(l.looked_until, excluded.looked_until),"
            " cursor = '', began_at = NULL, due_at = excluded.due_at, fence = l.fence + 1, lease_until = NULL",
            [account_id, min(since, now)],
        )
        doorbell.ring("psp")


def tell(
    account_id: int, kind: ObjectKind, psp_id: str, *, source: str, charge_psp_id: str = "", now: datetime
) -> bool:
    """Have an object looked up that something else names, as if the PSP had notified us; return whether it is new.

    Idempotent by account and `source` (what names it: a line of a file). `charge_psp_id`: of a refund or a dispute, the
    charge that it is about.
    """
    ref = NotificationRef(source, f"found.{kind}", kind, psp_id, now, charge_psp_id=charge_psp_id)
    with transaction.atomic():
        return notifications.store_missing(account_id, [Change(ref, {"source": source})], now=now) == 1


def calls_of(claims: Sequence[Claim], *, now: datetime) -> list[LookCall]:
    """Return the calls that look through what changed at claimed accounts."""
    fences = {item.id: item.fence for item in claims}
    if not fences:
        return []
    rows = PspLook.objects.filter(pk__in=list(fences)).select_related("psp_account").order_by("pk")
    return [_call(row, fences[row.pk], now=now) for row in rows]


def _call(row: PspLook, fence: int, *, now: datetime) -> LookCall:
    since, cursor = row.looked_until - OVERLAP, row.cursor
    run = with_adapter(row.psp_account, lambda adapter: lambda: adapter.changes(since, cursor))
    return LookCall(row.pk, run, fence, row.began_at or now)


def apply(answers: Sequence[tuple[LookCall, Result]], *, now: datetime) -> int:
    """Store what was found and note how far it was looked; return how many notifications had not arrived.

    Idempotent: a change is stored once, under the PSP's id of it. Whoever lost the lease writes no progress.
    """
    found = 0
    for call, result in answers:
        with transaction.atomic():
            if result.outcome == Outcome.SUCCEEDED:
                new = notifications.store_missing(call.account_id, result.changes, now=now)
                _progress(call, result)
                if new:
                    log.info("notifications_were_missing", psp_account=call.account_id, count=new)
                found += new
            else:
                _put_off(call, starts_over=result.outcome == Outcome.DECLINED)
    return found


def _progress(call: LookCall, result: Result) -> None:
    """Go on with the next page at once, or be done until the next look."""
    is_over = not result.cursor
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_psplook SET lease_until = NULL, tries = 0, cursor = %(cursor)s,"
            " looked_until = CASE WHEN %(over)s THEN greatest(looked_until, %(began)s) ELSE looked_until END,"
            " began_at = CASE WHEN %(over)s THEN NULL ELSE %(began)s END,"
            " due_at = florin_now() + %(wait)s * interval '1 second'"
            " WHERE psp_account_id = %(account)s AND fence = %(fence)s",
            {
                "cursor": result.cursor,
                "over": is_over,
                "began": call.began_at,
                "wait": settings.LOOK_SECONDS if is_over else 0,
                "account": call.account_id,
                "fence": call.fence,
            },
        )


def _put_off(call: LookCall, *, starts_over: bool) -> None:
    """Look again later. A PSP that refuses the page may have forgotten where the last one ended: begin anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_psplook SET lease_until = NULL,"
            " cursor = CASE WHEN %(over)s THEN '' ELSE cursor END,"
            " began_at = CASE WHEN %(over)s THEN NULL ELSE began_at END,"
            " due_at = florin_now() + least(30 * power(2, least(tries, 10)), %(most)s) * interval '1 second'"
            " WHERE psp_account_id = %(account)s AND fence = %(fence)s",
            {
                "over": starts_over,
                "most": settings.LOOK_SECONDS,
                "account": call.account_id,
                "fence": call.fence,
            },
        )
