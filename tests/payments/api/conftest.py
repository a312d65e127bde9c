"""A client of the API as a merchant has one, and the proof that a refusal left nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from payments.merchants import SCOPES
from payments.models import ApiKey
from tests.factories import Tenant, tenant

TABLES = (
    "payments_paymentevent",
    "payments_paymentorder",
    "payments_charge",
    "payments_pspoperation",
    "payments_outboxmessage",
    "payments_idempotencyrecord",
    "payments_pspnotification",
    "payments_seller",
    "payments_merchant",
    "payments_apikey",
    "payments_pspaccount",
    "payments_feeplan",
    "ledger_entry",
)


class Api:
    """Sends requests with a key, as JSON."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.client = Client(raise_request_exception=False)
        self._keys = 0

    def post(self, address: str, body: Any = None, *, idempotency_key: str | None = "", **headers: str) -> HttpResponse:
        """POST JSON (or raw bytes) with a fresh Idempotency-Key unless told otherwise (`None`: without)."""
        if idempotency_key == "":
            self._keys += 1
            idempotency_key = f"key-{self._keys}"
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        return self.send("POST", address, body, **headers)

    def send(self, method: str, address: str, body: Any = None, **headers: str) -> HttpResponse:
        """Send one request."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        headers = {"Authorization": f"Bearer {self.key}", **headers}
        return self.client.generic(
            method,
            address if address.startswith("/") else f"/api/v1/{address}",
            content,
            content_type=headers.pop("Content-Type", "application/json"),
            headers=headers,
        )

    def get(self, address: str, **headers: str) -> HttpResponse:
        """GET."""
        return self.send("GET", address, **headers)


@pytest.fixture
def shop(db: None) -> Tenant:
    """Make a merchant that can sell, whose key has every scope."""
    made = tenant(fixed={"EUR": 0})
    ApiKey.objects.filter(pk=made.api_key.pk).update(scopes=list(SCOPES))
    return made


@pytest.fixture
def other(db: None) -> Tenant:
    """Make another merchant."""
    made = tenant()
    ApiKey.objects.filter(pk=made.api_key.pk).update(scopes=list(SCOPES))
    return made


@pytest.fixture
def api(shop: Tenant) -> Api:
    """Give the API as the merchant's shop uses it."""
    return Api(shop.key)


@pytest.fixture
def checkout(shop: Tenant) -> dict[str, Any]:
    """Give a valid checkout over 25.00 EUR for two sellers."""
    ann, bob = shop.seller(external_id="ann"), shop.seller(external_id="bob")
    return {
        "checkout_id": "cart-9001",
        "payment_type": "pay_in",
        "currency": "EUR",
        "buyer": {"id": "u-1", "email": "ann@example.com", "country": "DE"},
        "payment_orders": [
            {
                "reference": "line-1",
                "seller": shop.seller_id(ann),
                "amount": "19.99",
                "description": "Teapot",
                "metadata": {},
            },
            {"reference": "line-2", "seller": bob.external_id, "amount": "5.01"},
        ],
        "payment_method": {"token": "pm_card_visa"},
        "payment_method_types": ["card", "wallet", "qr"],
        "charge_mode": "single",
        "capture": "automatic",
        "return_url": "https://shop.example/thanks",
        "metadata": {"cart": "9001"},
    }


def count_rows() -> dict[str, int]:
    """Count what requests could store."""
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in TABLES))
        return dict(cursor.fetchall())


@pytest.fixture
def nothing_stored(db: None) -> Callable[[], Any]:
    """Give a block in which no row may appear."""

    @contextmanager
    def block() -> Iterator[None]:
        before = count_rows()
        yield
        assert count_rows() == before

    return block


def problem(response: HttpResponse, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem document and return it."""
    content = json.loads(response.content)
    assert (response.status_code, content.get("code")) == (status, code), content
    assert response["Content-Type"] == "application/problem+json"
    assert list(content) == [
        "type",
        "title",
        "status",
        "detail",
        "code",
        "request_id",
        "retryable",
        "outcome",
        "errors",
    ]
    assert content["status"] == status
    assert content["request_id"] == response["X-Request-Id"]
    assert content["outcome"] == "none"
    return dict(content)


def fields(content: dict[str, Any]) -> dict[str, str]:
    """Return the code of each bad field."""
    return {error["field"]: error["code"] for error in content["errors"]}


def content(response: HttpResponse, status: int) -> dict[str, Any]:
    """Return what was answered, which must be of this status."""
    read: dict[str, Any] = json.loads(response.content)
    assert response.status_code == status, read
    return read
