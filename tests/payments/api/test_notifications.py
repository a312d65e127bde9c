"""A PSP's notification is stored once, and only when it is really that account's."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from ledger.ids import public_id
from payments.models import PspAccount, PspNotification
from tests.factories import PSP_WEBHOOK_SECRET, Tenant
from tests.payments.api.conftest import problem

EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "payment_intent.succeeded",
    "created": 1_770_000_000,
    "data": {"object": {"id": "pi_1", "object": "payment_intent", "client_secret": "pi_1_secret_x"}},
}


def send(
    account: PspAccount, body: bytes, *, secret: str = PSP_WEBHOOK_SECRET, psp: str = "stripe", at: int | None = None
) -> HttpResponse:
    """Notify as Stripe does."""
    at = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return Client().post(
        f"/webhooks/psp/{psp}/{public_id('psp', account.public_id)}",
        body,
        content_type="application/json",
        headers={"Stripe-Signature": f"t={at},v1={digest}"},
    )


@pytest.fixture
def event() -> bytes:
    """Give a notification."""
    return json.dumps(EVENT).encode()


def test_a_notification_is_stored_once_and_without_secrets(shop: Tenant, event: bytes) -> None:
    first, second = send(shop.psp_account, event), send(shop.psp_account, event)
    assert (first.status_code, json.loads(first.content)) == (200, {"received": True})
    assert (second.status_code, json.loads(second.content)) == (200, {"received": True, "duplicate": True})
    row = PspNotification.objects.get()
    assert (row.psp_event_id, row.object_psp_id, row.due_at is not None) == ("evt_1", "pi_1", True)
    assert "secret" not in json.dumps(row.payload)


def test_a_forged_notification_leaves_nothing(
    shop: Tenant, other: Tenant, event: bytes, nothing_stored: Callable[[], Any]
) -> None:
    with nothing_stored():
        problem(send(shop.psp_account, event, secret="whsec_guess"), 400, "notification_rejected")
        problem(send(shop.psp_account, event, at=int(time.time()) - 301), 400, "notification_rejected")
        problem(send(shop.psp_account, b"{}"), 400, "notification_rejected")
        problem(send(shop.psp_account, b"\xff"), 400, "notification_rejected")
        problem(send(shop.psp_account, event, psp="unheard"), 404, "not_found")
        PspAccount.objects.filter(pk=other.psp_account.pk).update(webhook_secret=None)
        problem(send(other.psp_account, event), 400, "notification_rejected")
        problem(send(shop.psp_account, b" " * (256 * 1024 + 1)), 413, "body_too_large")
        address = f"/webhooks/psp/stripe/{public_id('psp', shop.psp_account.public_id)}"
        problem(Client().post(address, event, content_type="application/json"), 400, "notification_rejected")
        problem(Client().get(address), 405, "method_not_allowed")
        problem(Client().post("/webhooks/psp/stripe/nobody", event, content_type="application/json"), 404, "not_found")


def test_the_secret_of_another_account_does_not_fit(shop: Tenant, event: bytes) -> None:
    secret = "whsec_another"
    problem(send(shop.psp_account, event, secret=secret), 400, "notification_rejected")
    assert PspNotification.objects.count() == 0


def test_what_a_database_cannot_keep_is_no_server_error(shop: Tenant) -> None:
    odd = EVENT | {"data": {"object": {"id": "pi_1", "object": "payment_intent", "description": "a\0b"}}}
    assert send(shop.psp_account, json.dumps(odd).encode()).status_code == 200
    long = EVENT | {"id": "evt_2", "type": "payment_intent." + "x" * 150}
    problem(send(shop.psp_account, json.dumps(long).encode()), 400, "invalid_request")
