"""`POST /webhooks/psp/{psp}/{psp_account}`: where a PSP tells us that something happened.

Verified with the secret of that one account, stored, then answered; nothing is believed or worked on here. A forged,
stale or malformed notification leaves no row.
"""

from __future__ import annotations

import json
from typing import Final

import structlog
from django.http import HttpRequest, HttpResponse

from config import seam
from ledger.ids import parse_public_id
from payments import notifications
from payments.api import json_body
from payments.api.errors import method_not_allowed, problem, refusal_of
from payments.encryption import Unreadable, unseal
from payments.errors import Invalid, NotFound
from payments.models import PspAccount
from payments.psp.base import NotificationRejected
from payments.psp.registry import reader_for

LIMIT_BYTES: Final = 256 * 1024
log = structlog.get_logger(__name__)


def receive(request: HttpRequest, psp: str, psp_account: str) -> HttpResponse:
    """Store a notification: 200, also for one that came before. Anything but a right signature: 400, nothing stored."""
    if request.method != "POST":
        return method_not_allowed("POST")
    try:
        new = _store(request, psp, psp_account)
    except Exception as error:  # noqa: BLE001 - the edge: every exception becomes an answer, none is lost
        return problem(refusal_of(error, writes=True))
    body = b'{"received":true}' if new else b'{"received":true,"duplicate":true}'
    return HttpResponse(body, content_type="application/json", headers={"Content-Length": str(len(body))})


def _store(request: HttpRequest, psp: str, psp_account: str) -> bool:
    now, body, reader = seam.now(), json_body.read(request, limit_bytes=LIMIT_BYTES), reader_for(psp)
    account = _account(psp, psp_account)
    if reader is None or account is None:
        raise NotFound("not_found", "there is nothing at this address")
    try:
        reader.verify(body, request.headers, _secret(account), now)
        ref = reader.parse(body)
        payload = json.loads(body)
    except NotificationRejected as error:
        log.warning("notification_rejected", psp_account=account.code, code=error.code)
        raise Invalid("notification_rejected", f"the notification was not accepted: {error.code}") from None
    return notifications.store(account, ref, payload if isinstance(payload, dict) else {}, now=now)


def _account(psp: str, text: str) -> PspAccount | None:
    value = parse_public_id("psp", text)
    return PspAccount.objects.filter(public_id=value, adapter=psp).first() if value else None


def _secret(account: PspAccount) -> str:
    if account.webhook_secret is None:
        raise NotificationRejected("signature_secret_missing", "no signing secret is known for this account")
    try:
        return unseal(account.webhook_secret, identity=f"psp_account.webhook_secret:{account.public_id}")
    except Unreadable:
        log.exception("webhook_secret_unreadable", psp_account=account.code)
        raise NotificationRejected("signature_secret_missing", "the signing secret cannot be opened") from None
