"""Health, figures, documents, and what is answered when something is away."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client

from payments import merchants, queues
from payments.api import authentication, intake, payment_lookup
from payments.models import PspOperation
from reconciliation import metrics
from tests.payments.api.conftest import Api, problem

AWAY = OperationalError("the server closed the connection")


@pytest.fixture
def browser() -> Client:
    """Give a client without a key."""
    return Client(raise_request_exception=False)


def test_the_process_answers_without_a_database(browser: Client) -> None:
    assert browser.get("/healthz").status_code == 200


def test_readiness_tells_the_lag_of_every_queue(browser: Client, db: None, settings: Any) -> None:
    settings.DOORBELLS = False
    content = json.loads(browser.get("/readyz").content)
    assert (content["status"], content["database"], content["broker"]) == ("ready", "up", "off")
    assert set(content["queues"]) == {
        "operations",
        "notifications",
        "polls",
        "disputes",
        "expiries",
        "releases",
        "reserves",
        "looks",
        "conversions",
        "runs",
    }


def test_without_the_broker_it_is_degraded_and_serves(browser: Client, db: None, settings: Any) -> None:
    settings.DOORBELLS, settings.REDIS_URL = True, "redis://127.0.0.1:1/0"
    response = browser.get("/readyz")
    assert (response.status_code, json.loads(response.content)["status"]) == (200, "degraded")


def test_without_the_database_it_is_down(browser: Client, settings: Any) -> None:
    settings.DOORBELLS = False
    with (
        mock.patch.object(queues, "lags", side_effect=AWAY),
        mock.patch.object(metrics.connection, "cursor", side_effect=AWAY),
    ):
        assert browser.get("/readyz").status_code == 503
        assert b"florin_database_up 0.0" in browser.get("/metrics").content


def test_figures_count_what_is_due(browser: Client, api: Api, checkout: dict[str, Any]) -> None:
    api.post("payments", checkout)
    assert PspOperation.objects.filter(due_at__isnull=False).count() == 1
    content = browser.get("/metrics").content.decode()
    assert 'florin_queue_due{queue="operations"} 1.0' in content
    assert "florin_ledger_tail_transactions 0.0" in content
    assert re.search(r'florin_queue_oldest_seconds\{queue="operations"\} [0-9.e-]+', content)
    assert "process_cpu_seconds_total" in content


@pytest.fixture
def document(browser: Client) -> dict[str, Any]:
    """Give the OpenAPI document."""
    response = browser.get("/api/schema/")
    assert response.status_code == 200
    content: dict[str, Any] = json.loads(response.content)
    return content


def references(value: Any) -> Iterator[str]:
    """Yield every reference of a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_the_document_describes_every_operation_with_its_bodies(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    operations = {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post", "put")
    }
    page = (Path(settings.BASE_DIR) / "docs/reference/api.md").read_text(encoding="utf-8")
    assert len(operations) == len(re.findall(r"^\| `(?:GET|POST|PUT) /", page, re.MULTILINE))
    for name, operation in operations.items():
        assert operation["security"] == [{"api_key": []}], name
        assert "401" in operation["responses"], name
        # The parts of a bulk carry keys of their own; a statement is known by its bytes.
        if name.startswith("POST") and "bulk" not in name and not name.endswith("/reconciliation/files"):
            assert "Idempotency-Key" in {one["name"] for one in operation["parameters"]}, name
            assert "requestBody" in operation, name
    body = operations["POST /api/v1/payments"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/NewPayment"}
    schemas = document["components"]["schemas"]
    assert schemas["NewPayment"]["additionalProperties"] is False
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_the_reference_lists_every_operation_and_scope(document: dict[str, Any]) -> None:
    page = (Path(settings.BASE_DIR) / "docs/reference/api.md").read_text(encoding="utf-8")
    for path, item in document["paths"].items():
        for method in item:
            assert f"| `{method.upper()} {path.removeprefix('/api/v1')}`" in page
    for scope in merchants.SCOPES:
        assert f"`{scope}`" in page or scope == "ledger:read"


def test_the_pages_of_the_documentation_need_nobody_else(browser: Client) -> None:
    page = browser.get("/api/docs/")
    content = page.content.decode()
    assert "script-src 'self'" in page["Content-Security-Policy"]
    assert "http:" not in content
    assert "https:" not in content
    for place in re.findall(r'(?:src|href)="(/static/[^"]+)"', content):
        response = browser.get(place)
        assert response.status_code == 200, place
        assert "script-src" not in response["Content-Security-Policy"]
    errors = browser.get("/api/docs/errors/").content.decode()
    assert 'id="card_number_not_accepted"' in errors


def test_a_lost_database_is_a_503_to_be_repeated(api: Api, checkout: dict[str, Any]) -> None:
    def check(response: HttpResponse, outcome: str) -> None:
        content = json.loads(response.content)
        assert (response.status_code, content["code"]) == (503, "service_unavailable")
        assert (content["retryable"], content["outcome"]) == (True, outcome)
        assert response["Retry-After"] == "2"
        assert "server closed" not in response.content.decode()

    with mock.patch.object(authentication, "find_caller", side_effect=AWAY):
        check(api.post("payments", checkout), "unknown")
        check(api.post("payments/bulk", {"payments": [checkout]}, idempotency_key=None), "unknown")
    with mock.patch.object(payment_lookup, "payment", side_effect=AWAY):
        check(api.get("payments/pay_x"), "none")
        check(api.post("payments/pay_x/cancel"), "unknown")


def test_a_bug_is_a_500_that_tells_nothing(api: Api, checkout: dict[str, Any]) -> None:
    with mock.patch.object(authentication, "find_caller", side_effect=ZeroDivisionError("secret")):
        response = api.post("payments", checkout)
    content = json.loads(response.content)
    assert (response.status_code, content["code"], content["outcome"]) == (500, "internal_error", "unknown")
    assert "secret" not in response.content.decode()


def test_a_first_request_that_still_runs_is_waited_for(api: Api, checkout: dict[str, Any]) -> None:
    locked = OperationalError("canceling statement due to lock timeout")
    locked.__cause__ = type("LockNotAvailable", (Exception,), {"sqlstate": "55P03"})()
    with mock.patch.object(intake.intake, "accept", side_effect=locked):
        response = api.post("payments", checkout)
    problem(response, 409, "idempotency_in_progress")
    assert response["Retry-After"] == "2"


def test_what_is_nowhere_is_a_problem_document(browser: Client, db: None) -> None:
    problem(browser.get("/nothing"), 404, "not_found")
    problem(browser.get("/api/v1/nothing"), 404, "not_found")
    problem(browser.get("/", headers={"Host": "evil.example"}), 404, "not_found")
