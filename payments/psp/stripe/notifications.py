"""Stripe's notifications: is it really from Stripe and fresh, and what does it point to.

The SDK's own verification reads the clock itself; here `now` is passed in, and a time too far in the future
is refused as well. Source: docs.stripe.com/webhooks/signature. A notification is a hint, so an embedded
object that cannot be translated is left out, never refused. Nothing here may be called with an unverified
body but `verify`.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from payments.psp.base import NotificationRef, NotificationRejected, ObjectKind, Snapshot
from payments.psp.stripe.fields import (
    Json,
    UnexpectedFormError,
    mapping,
    moment,
    reference,
    text,
    text_or_empty,
    texts,
)
from payments.psp.stripe.translation import TRANSLATORS

TOLERANCE_SECONDS: Final = 300
MAX_HEADER_LENGTH: Final = 4096
MAX_ID_LENGTH: Final = 255

_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_FAMILIES: Final = {
    "payment_intent.": ("payment_intent", ObjectKind.CHARGE),
    "checkout.session.": ("checkout.session", ObjectKind.SESSION),
    "setup_intent.": ("setup_intent", ObjectKind.SAVED_METHOD),
    "refund.": ("refund", ObjectKind.REFUND),
    "charge.refund.": ("refund", ObjectKind.REFUND),
    "charge.dispute.": ("dispute", ObjectKind.DISPUTE),
    "payout.": ("payout", ObjectKind.PAYOUT),
}
_OF_A_CHARGE: Final = (ObjectKind.REFUND, ObjectKind.DISPUTE)


class StripeNotifications:
    """How Stripe's notifications are verified and read (`base.NotificationReader`)."""

    def verify(self, body: bytes, headers: Mapping[str, str], secret: str, now: datetime) -> None:
        """Raise `NotificationRejected` unless a v1 signature is right and at most 300 s from `now`."""
        if not secret:
            raise NotificationRejected("signature_secret_missing", "no signing secret is known for this account")
        header = next((value for name, value in headers.items() if name.lower() == "stripe-signature"), "")
        if not header or len(header) > MAX_HEADER_LENGTH:
            raise NotificationRejected("signature_missing", "the Stripe-Signature header is missing or too long")
        parts = [part.strip().partition("=") for part in header.split(",")]
        times = {value for scheme, _, value in parts if scheme == "t"}
        # Never v0: it is for tests only.
        signatures = [value for scheme, _, value in parts if scheme == "v1"]
        if len(times) != 1 or not signatures:
            raise NotificationRejected("signature_malformed", "the Stripe-Signature header has no t or no v1")
        timestamp = times.pop()
        if not _TIMESTAMP.fullmatch(timestamp):
            raise NotificationRejected("signature_malformed", "t is not a time")
        signed = f"{timestamp}.".encode() + body
        # One secret for our account's endpoint and one for that of connected accounts (see `subscriptions`).
        expected = [
            hmac.new(one.encode(), signed, hashlib.sha256).hexdigest().encode() for one in secret.split(",") if one
        ]
        # Every one is compared, so the time it takes tells nothing about which came close.
        matches = [
            hmac.compare_digest(one, given.encode("utf-8", "replace")) for given in signatures for one in expected
        ]
        if not any(matches):
            raise NotificationRejected("signature_mismatch", "no v1 signature is right")
        if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
            raise NotificationRejected("signature_stale", f"signed more than {TOLERANCE_SECONDS} s from now")

    def parse(self, body: bytes) -> NotificationRef:
        """Read a verified body. Raises `NotificationRejected` if it is not an event of Stripe's."""
        try:
            return event_reference(mapping(json.loads(body), "the body"))
        except (ValueError, RecursionError) as problem:
            raise NotificationRejected("body_malformed", str(problem)[:200]) from problem


def event_reference(event: Json) -> NotificationRef:
    """Return what an event points to. Raises `UnexpectedFormError` if it is no event of Stripe's."""
    if event.get("object") != "event":
        raise UnexpectedFormError("the body is not an event")
    event_id, event_type, created_at = text(event, "id"), text(event, "type"), moment(event, "created")
    shown = mapping(mapping(event.get("data"), "data").get("object"), "data.object")
    kind, psp_id = _pointed_to(event_type, shown)
    if len(event_id) > MAX_ID_LENGTH or len(event_type) > MAX_ID_LENGTH or len(psp_id) > MAX_ID_LENGTH:
        raise UnexpectedFormError("an id is too long")
    return NotificationRef(
        event_id=event_id,
        type=event_type,
        kind=kind,
        psp_id=psp_id,
        created_at=created_at,
        metadata=texts(shown, "metadata"),
        snapshot=_snapshot(kind, psp_id, shown),
        charge_psp_id=reference(shown, "payment_intent") if kind in _OF_A_CHARGE else "",
    )


def _pointed_to(event_type: str, shown: Json) -> tuple[ObjectKind | None, str]:
    for prefix, (name, kind) in _FAMILIES.items():
        if event_type.startswith(prefix) and shown.get("object") == name:
            return kind, text(shown, "id")
    if event_type == "charge.refunded" and (intent_id := reference(shown, "payment_intent")):
        return ObjectKind.CHARGE, intent_id  # it shows Stripe's Charge, and does not say which refund it was
    return None, text_or_empty(shown, "id")


def _snapshot(kind: ObjectKind | None, psp_id: str, shown: Json) -> Snapshot | None:
    if kind is None or shown.get("id") != psp_id:
        return None
    try:
        return TRANSLATORS[kind](shown)
    except UnexpectedFormError:
        return None
