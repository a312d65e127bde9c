"""Signed requests: who is asked for a signature, what it covers, and that a captured request is worthless."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.models import Mode
from payments.merchants import SCOPES
from payments.models import ApiKey, PaymentEvent, RequestNonce
from tests.factories import SIGNING_SECRET, Tenant, tenant
from tests.payments.api.conftest import Api, problem

ADDRESS = "/api/v1/payments"


def signed(
    body: bytes,
    *,
    method: str = "POST",
    address: str = ADDRESS,
    at: str | None = None,
    nonce: str = "n-1",
    key: str = "k",
    secret: str = SIGNING_SECRET,
) -> dict[str, str]:
    """Sign as API.md says, written out once more on purpose."""
    at = at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"{method}\n{address}\n{at}\n{nonce}\n{key}\n{hashlib.sha256(body).hexdigest()}"
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {"X-Request-Timestamp": at, "X-Request-Nonce": nonce, "X-Signature": f"sha256={digest}"}


@pytest.fixture
def body(checkout: dict[str, Any]) -> bytes:
    """Give the bytes of a checkout."""
    return json.dumps(checkout).encode()


@pytest.fixture
def strict(api: Api, shop: Tenant) -> Api:
    """Give the API to a key that has to sign."""
    ApiKey.objects.filter(pk=shop.api_key.pk).update(requires_signature=True)
    return api


def test_a_signed_request_is_accepted(strict: Api, body: bytes) -> None:
    assert strict.post("payments", body, idempotency_key="k", **signed(body)).status_code == 201


def test_the_key_may_be_signed_as_it_was_quoted(strict: Api, body: bytes) -> None:
    headers = signed(body, key='"k"')
    assert strict.post("payments", body, idempotency_key='"k"', **headers).status_code == 201


def test_reading_is_signed_with_an_empty_key(strict: Api) -> None:
    address = "/api/v1/payments?limit=2&status=succeeded"
    headers = signed(b"", method="GET", address=address, key="")
    assert strict.get(address, **headers).status_code == 200
    problem(strict.get("payments"), 401, "signature_required")


def test_a_live_key_always_signs(db: None, checkout: dict[str, Any]) -> None:
    live = tenant(mode=Mode.LIVE)
    ApiKey.objects.filter(pk=live.api_key.pk).update(scopes=list(SCOPES))
    live.seller(external_id="ann")
    live.seller(external_id="bob")
    checkout["payment_orders"][0]["seller"] = "ann"
    content = json.dumps(checkout).encode()
    api = Api(live.key)
    problem(api.post("payments", content), 401, "signature_required")
    assert api.post("payments", content, idempotency_key="k", **signed(content)).status_code == 201


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"nonce": "n-2", "X-Request-Nonce": "n-1"}, "signature_invalid"),
        ({"method": "GET"}, "signature_invalid"),
        ({"address": "/api/v1/payments/bulk"}, "signature_invalid"),
        ({"address": "/api/v1/payments?x=1"}, "signature_invalid"),
        ({"key": "other"}, "signature_invalid"),
        ({"secret": "another"}, "signature_invalid"),
        ({"X-Signature": "sha256="}, "signature_invalid"),
        ({"X-Signature": "md5=00"}, "signature_invalid"),
        ({"X-Signature": ""}, "signature_required"),
        ({"X-Request-Nonce": ""}, "signature_required"),
        ({"at": "2020-01-01T00:00:00Z"}, "timestamp_stale"),
        ({"at": "yesterday"}, "timestamp_stale"),
        ({"at": "2026-13-45T99:00:00Z"}, "timestamp_stale"),
    ],
)
def test_a_wrong_signature_is_refused(api: Api, body: bytes, change: dict[str, str], code: str) -> None:
    headers = {name: value for name, value in change.items() if name.startswith("X-")}
    arguments = {name: value for name, value in change.items() if not name.startswith("X-")}
    response = api.post("payments", body, idempotency_key="k", **(signed(body, **arguments) | headers))
    problem(response, 401, code)
    assert PaymentEvent.objects.count() == 0
    assert RequestNonce.objects.count() == 0


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_time_too_far_away_is_stale(api: Api, body: bytes, seconds: int) -> None:
    at = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    response = api.post("payments", body, idempotency_key="k", **signed(body, at=at))
    problem(response, 401, "timestamp_stale")


def test_another_body_does_not_fit(api: Api, body: bytes, checkout: dict[str, Any]) -> None:
    other = json.dumps(checkout | {"checkout_id": "another"}).encode()
    problem(api.post("payments", other, idempotency_key="k", **signed(body)), 401, "signature_invalid")
    assert PaymentEvent.objects.count() == 0


def test_a_captured_request_cannot_be_sent_again(strict: Api, body: bytes) -> None:
    headers = signed(body)
    assert strict.post("payments", body, idempotency_key="k", **headers).status_code == 201
    problem(strict.post("payments", body, idempotency_key="k", **headers), 401, "nonce_replayed")
    again = signed(body, nonce="n-2")
    assert strict.post("payments", body, idempotency_key="k", **again)["Idempotency-Replayed"] == "true"


def test_a_nonce_may_come_again_after_its_time(strict: Api, body: bytes) -> None:
    strict.post("payments", body, idempotency_key="k", **signed(body))
    RequestNonce.objects.update(seen_at=datetime.now(UTC) - timedelta(minutes=11))
    assert strict.post("payments", body, idempotency_key="k", **signed(body)).status_code == 201


def test_old_nonces_are_taken_away(strict: Api, shop: Tenant) -> None:
    old = datetime.now(UTC) - timedelta(minutes=11)
    RequestNonce.objects.bulk_create(
        RequestNonce(api_key=shop.api_key, nonce=f"old-{n}", seen_at=old) for n in range(3)
    )
    strict.get("payments", **signed(b"", method="GET", key=""))
    assert list(RequestNonce.objects.values_list("nonce", flat=True)) == ["n-1"]
