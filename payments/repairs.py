"""Repairs: what a person may set in motion again from the back office.

Nothing is decided here and nothing is sent: a row becomes due again, and the ordinary flow does the rest with
its own checks (ask before repeating, the same idempotency key, the same fence). A repair that is not needed
is harmless. Tries are kept: a row that has used them up gets one more.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction

from payments import doorbell
from payments.errors import InvalidState, NotFound
from payments.models import Charge, PspNotification, PspOperation

log = structlog.get_logger(__name__)

POLLABLE = (*Charge.OPEN, Charge.Status.AUTHORIZED)


def retry_operation(operation_id: int, *, actor: str, now: datetime) -> PspOperation:
    """Let an operation run now; a dead one is revived: asked about first if it was ever sent.

    Locks the operation. Raises `NotFound`, or `InvalidState` when it has ended or waits for another one.
    """
    with transaction.atomic():
        operation = PspOperation.objects.select_for_update(no_key=True).filter(pk=operation_id).first()
        if operation is None:
            raise NotFound("not_found", "There is no such operation.")
        if operation.closed_at is not None:
            raise InvalidState("invalid_state", "This operation has ended; there is nothing to retry.")
        if operation.state == PspOperation.State.DEAD:
            was_sent = operation.first_sent_at is not None
            operation.state = PspOperation.State.UNKNOWN if was_sent else PspOperation.State.PREPARED
            operation.dead_at = None
        elif operation.due_at is None:
            raise InvalidState("invalid_state", "This operation waits for another one of the same payment.")
        operation.due_at = now
        operation.save(update_fields=["state", "dead_at", "due_at"])
        log.info("operation_retried", operation_id=operation_id, kind=operation.kind, actor=actor)
        doorbell.ring("psp")
    return operation


def requery_charge(charge_id: int, *, actor: str, now: datetime) -> Charge:
    """Ask the PSP now what a charge is; what it answers is settled like any other report.

    Locks the charge. Raises `NotFound`, or `InvalidState` when the PSP knows no object of it or it has ended.
    """
    with transaction.atomic():
        charge = Charge.objects.select_for_update(no_key=True).filter(pk=charge_id).first()
        if charge is None:
            raise NotFound("not_found", "There is no such charge.")
        if not charge.psp_id and not charge.session_id:
            raise InvalidState("invalid_state", "The PSP has no object of this charge yet.")
        if charge.status not in POLLABLE:
            raise InvalidState("invalid_state", "This charge has ended; the PSP has nothing new to say.")
        charge.due_at = now
        charge.save(update_fields=["due_at"])
        log.info("charge_requeried", charge_id=charge_id, actor=actor)
        doorbell.ring("psp")
    return charge


def replay_notification(notification_id: int, *, actor: str, now: datetime) -> PspNotification:
    """Work off a notification now; a dead one is revived.

    Locks the notification. Raises `NotFound`, or `InvalidState` when it was processed.
    """
    with transaction.atomic():
        notification = PspNotification.objects.select_for_update(no_key=True).filter(pk=notification_id).first()
        if notification is None:
            raise NotFound("not_found", "There is no such notification.")
        if notification.processed_at is not None:
            raise InvalidState("invalid_state", "This notification was processed.")
        notification.due_at = now
        notification.dead_at = None
        notification.save(update_fields=["due_at", "dead_at"])
        log.info("notification_replayed", notification_id=notification_id, actor=actor)
        doorbell.ring("psp")
    return notification
