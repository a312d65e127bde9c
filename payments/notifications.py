"""Notifications of PSPs: stored before they are answered, worked off as due rows.

A notification is a hint: what it says is not believed, the object is fetched. One for an object that we do not know
(yet) waits, because its operation may be about to commit; it is given up, visibly, after a bounded number of tries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from ledger.ids import parse_public_id
from payments import dispute_watch, doorbell, psp_calls, refund_watch, retries, work
from payments.models import Charge, Payout, PspAccount, PspNotification, PspOperation, Refund
from payments.models.bulk import update_rows
from payments.psp.base import Change, NotificationRef, ObjectKind
from payments.psp_calls import Call

MAX_DEPTH = 20  # as of a body that the API takes
# Unlike `bulk_create(ignore_conflicts=True)`, the statement tells whether there was a row already.
_STORE = """
INSERT INTO payments_pspnotification (psp_account_id, psp_event_id, type, object_kind, object_psp_id, charge_psp_id,
       payload, psp_created_at, received_at, due_at, processed_at, result)
VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""


def store(account: PspAccount, ref: NotificationRef, payload: Mapping[str, Any], *, now: datetime) -> bool:
    """Store a verified notification; return False when it was stored before. Rings the PSP queue."""
    return _store(account.pk, ref, payload, now=now)


def _store(account_id: int, ref: NotificationRef, payload: Mapping[str, Any], *, now: datetime) -> bool:
    followed = ref.kind is not None
    with connection.cursor() as cursor:
        cursor.execute(
            _STORE,
            [
                account_id,
                ref.event_id,
                ref.type,
                str(ref.kind or ""),
                ref.psp_id,
                ref.charge_psp_id[:255],
                json.dumps(_without_secrets(dict(payload))),
                ref.created_at,
                now,
                now if followed else None,
                None if followed else now,
                "" if followed else "not a kind that is followed",
            ],
        )
        stored: bool = cursor.rowcount == 1
    if followed:
        doorbell.ring("psp")
    return stored


def _without_secrets(value: Any, depth: int = 0) -> Any:
    """Return a payload as PostgreSQL can keep it: without what would let a client act for the buyer."""
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, Mapping):
        return {key: _without_secrets(item, depth + 1) for key, item in value.items() if key != "client_secret"}
    if isinstance(value, list):
        return [_without_secrets(item, depth + 1) for item in value]
    return value.replace("\0", "") if isinstance(value, str) else value


def store_missing(account_id: int, changes: Sequence[Change], *, now: datetime) -> int:
    """Store those of a PSP's changes that it had not notified us of; return how many. In the caller's transaction."""
    names = [change.ref.event_id for change in changes]
    # Uses index: notification_is_stored_once.
    known = set(
        PspNotification.objects.filter(psp_account_id=account_id, psp_event_id__in=names).values_list(
            "psp_event_id", flat=True
        )
    )
    # The oldest first, as they would have come.
    missing = [change for change in reversed(changes) if change.ref.event_id not in known]
    return sum(_store(account_id, change.ref, change.payload, now=now) for change in missing)


@dataclass(slots=True)
class _Heard:
    """What due notifications are about: each object is asked about once, however many tell of it."""

    now: datetime
    charges: Mapping[int, Charge]
    refunds: Mapping[int, Refund]
    disputes: Mapping[int, dispute_watch.Notice]
    foreign: Mapping[int, refund_watch.Notice]
    under_way: set[UUID]
    found: dict[int, Charge] = field(default_factory=dict)
    asked: dict[int, Refund] = field(default_factory=dict)
    about: dict[tuple[int, str], dispute_watch.Notice] = field(default_factory=dict)
    strange: dict[tuple[int, str], refund_watch.Notice] = field(default_factory=dict)
    unheard: set[UUID] = field(default_factory=set)

    def place(self, row: PspNotification) -> None:
        """Note what a notification is about, and finish it, or let it wait."""
        if row.object_kind == ObjectKind.DISPUTE and row.pk in self.disputes:
            notice = self.disputes[row.pk]
            self.about.setdefault(notice.key, notice)
            # A dispute that is not known is asked for by nothing else if the call is lost: it stays until it is.
            self._end(row, "dispute looked up" if notice.is_known else "")
        elif row.object_kind == ObjectKind.REFUND and self._place_refund(row):
            return
        elif row.pk in self.charges:
            self.found[self.charges[row.pk].pk] = self.charges[row.pk]
            self._end(row, "looked up")
        elif _wake_payout(row, now=self.now):
            self._end(row, "payout asked")
        elif _wake_saved_method(row, now=self.now):
            self._end(row, "saved method asked")
        else:
            self._end(row, "")

    def _place_refund(self, row: PspNotification) -> bool:
        named = _operation_named(row)
        if row.pk in self.refunds:
            refund = self.refunds[row.pk]
            self.asked[refund.pk] = refund
            # Nobody follows a refund that was paid: that it came back stays until it is booked, if the call is lost.
            came_back = refund.status == Refund.Status.SUCCEEDED and _status(row) in _CAME_BACK
            self._end(row, "" if came_back else "refund looked up")
        elif named is not None and named in self.under_way:
            self.unheard.add(named)
            self._end(row, "refund asked")
        elif row.pk in self.foreign:
            notice = self.foreign[row.pk]
            is_noted = notice.is_after(row)
            if not is_noted:
                self.strange.setdefault(notice.key, notice)
            # Nothing else would ask for it if the call is lost: it stays until the refund was looked at.
            self._end(row, "refund noted" if is_noted else "")
        else:
            return False
        return True

    def _end(self, row: PspNotification, result: str) -> None:
        if result:
            _finish(row, result, now=self.now)
        else:
            _wait(row, now=self.now)


def claim(limit: int, *, now: datetime) -> list[Call]:
    """Claim due notifications, note what each is about, and return the calls that look at it.

    Several notifications about one charge lead to one call. A notification is finished here, with the charge made
    due for a poll in the same transaction: if the call is lost, the poll repeats it.
    """
    with transaction.atomic():
        claims = work.claim_notifications(limit)
        if not claims:
            return []
        rows = list(PspNotification.objects.filter(id__in=[item.id for item in claims]).order_by("id"))
        refunds = _refunds_of(rows)
        foreign = refund_watch.look_up([row for row in rows if row.pk not in refunds])
        heard = _Heard(now, _charges_of(rows), refunds, dispute_watch.look_up(rows), foreign, _operations_named(rows))
        for row in rows:
            heard.place(row)
        update_rows(rows, ("processed_at", "result", "due_at", "lease_until", "dead_at"))
        open_charges = [charge for charge in heard.found.values() if charge.status not in _ENDED]
        Charge.objects.filter(id__in=[charge.pk for charge in open_charges]).update(due_at=now + _REPEAT_AFTER, tries=0)
        dispute_watch.ask_soon(heard.about.values(), at=now + _REPEAT_AFTER)
        # Its id is in an answer that we have not stored: the operation asks again now. After the charges, as locks go.
        PspOperation.objects.filter(
            public_id__in=heard.unheard, kind=PspOperation.Kind.REFUND, closed_at__isnull=True, due_at__isnull=False
        ).update(due_at=now)
        if heard.unheard:
            doorbell.ring("psp")
    return [
        *(psp_calls.of_charge(charge) for charge in open_charges),
        *(psp_calls.of_refund(refund) for refund in heard.asked.values()),
        *(notice.call() for notice in heard.about.values()),
        *(notice.call() for notice in heard.strange.values()),
    ]


# If the call that follows is lost with its process, a poll repeats it soon.
_REPEAT_AFTER = timedelta(seconds=10)
# How a PSP says that a refund did not arrive; a hint for how long to keep the notification, nothing is believed.
_CAME_BACK = ("failed", "canceled")
_ENDED = (Charge.Status.SUCCEEDED, Charge.Status.LATE_SUCCESS)


def _refunds_of(rows: list[PspNotification]) -> dict[int, Refund]:
    """Find the refund of each notification about one, by the PSP's id. One that is not known yet is asked for by us."""
    about = {row.object_psp_id: row for row in rows if row.object_kind == ObjectKind.REFUND}
    if not about:
        return {}
    known = Refund.objects.filter(psp_id__in=list(about)).select_related("charge__psp_account")
    by_id = {(refund.charge.psp_account_id, refund.psp_id): refund for refund in known}
    return {
        row.pk: by_id[row.psp_account_id, row.object_psp_id]
        for row in rows
        if (row.psp_account_id, row.object_psp_id) in by_id and row.object_kind == ObjectKind.REFUND
    }


def _charges_of(rows: list[PspNotification]) -> dict[int, Charge]:
    """Find the charge of each notification: by the PSP's id, else by our id in the object's metadata."""
    by_psp_id = {
        (charge.psp_account_id, name): charge
        for charge in Charge.objects.filter(psp_id__in=[row.object_psp_id for row in rows]).select_related(
            "psp_account"
        )
        for name in (charge.psp_id,)
    }
    public_ids = {row.pk: parse_public_id("chg", _metadata(row).get("florin_charge", "")) for row in rows}
    by_public_id = {
        charge.public_id: charge
        for charge in Charge.objects.filter(
            public_id__in=[value for value in public_ids.values() if value is not None]
        ).select_related("psp_account")
    }
    result: dict[int, Charge] = {}
    for row in rows:
        charge = by_psp_id.get((row.psp_account_id, row.object_psp_id))
        if charge is None:
            value = public_ids[row.pk]
            charge = by_public_id.get(value) if value is not None else None
            if charge is not None and charge.psp_account_id != row.psp_account_id:
                charge = None
            if charge is not None and charge.psp_id is None and row.object_kind == ObjectKind.CHARGE:
                charge.psp_id = row.object_psp_id
        if charge is not None:
            result[row.pk] = charge
    return result


def _metadata(row: PspNotification) -> dict[str, str]:
    value: Any = row.payload
    for name in ("data", "object", "metadata"):
        # Verified is who sent it, not its form: a row that cannot be read must not hold up the others.
        value = value.get(name) if isinstance(value, dict) else None
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}


def _wake_payout(row: PspNotification, *, now: datetime) -> bool:
    """Let a payout be looked at now. One whose id at the PSP is not known yet is told by its own call."""
    if row.object_kind != ObjectKind.PAYOUT:
        return False
    known = Payout.objects.filter(psp_account_id=row.psp_account_id, psp_id=row.object_psp_id)
    known.filter(due_at__isnull=False).update(due_at=now, tries=0)
    return known.exists()


def _wake_saved_method(row: PspNotification, *, now: datetime) -> bool:
    if row.object_kind != ObjectKind.SAVED_METHOD:
        return False
    named = _operation_named(row)
    if named is None:
        return False
    savings = PspOperation.objects.filter(
        psp_account_id=row.psp_account_id, kind=PspOperation.Kind.SAVE_METHOD, public_id=named
    )
    savings.filter(closed_at__isnull=True, due_at__isnull=False).update(due_at=now)
    return savings.exists()


def _operations_named(rows: list[PspNotification]) -> set[UUID]:
    """Return which open operations of ours notifications of refunds name: those ask by themselves, and soon."""
    told = (_operation_named(row) for row in rows if row.object_kind == ObjectKind.REFUND)
    named = {name for name in told if name is not None}
    if not named:
        return set()
    return set(
        PspOperation.objects.filter(public_id__in=named, closed_at__isnull=True, due_at__isnull=False).values_list(
            "public_id", flat=True
        )
    )


def _operation_named(row: PspNotification) -> UUID | None:
    return _uuid(_metadata(row).get("florin_operation", ""))


def _status(row: PspNotification) -> object:
    value: Any = row.payload
    for name in ("data", "object", "status"):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _finish(row: PspNotification, result: str, *, now: datetime) -> None:
    row.processed_at = now
    row.result = result
    row.due_at = None
    row.lease_until = None


def _wait(row: PspNotification, *, now: datetime) -> None:
    wait = retries.NOTIFICATION.wait(row.tries)
    row.lease_until = None
    if wait is None:
        row.due_at = None
        row.dead_at = now
        row.result = "no such object here"
    else:
        row.due_at = now + wait
