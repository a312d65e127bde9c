"""Many at once: a double click pays once, whatever the endpoint; a lost connection is replaced."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.http import HttpResponse

from payments.merchants import SCOPES
from payments.models import ApiKey, Charge, IdempotencyRecord, PaymentEvent, PspOperation, Seller
from tests.database import Clone
from tests.factories import Tenant, tenant
from tests.payments.api.conftest import Api, problem

AT_ONCE = 50
BODY = {"checkout_id": "c", "currency": "EUR", "amount": "10.00", "payment_method": {"token": "pm_card_visa"}}


@pytest.fixture
def place(committed_db: Clone) -> Tenant:
    """Make a merchant whose rows are really committed."""
    made = tenant()
    ApiKey.objects.filter(pk=made.api_key.pk).update(scopes=list(SCOPES))
    return made


def at_once(place: Tenant, address: str, body: Any, times: int = AT_ONCE) -> list[HttpResponse]:
    """Send the same request from many threads."""

    def send(_number: int) -> HttpResponse:
        try:
            return Api(place.key).post(address, body, idempotency_key="click")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=times) as threads:
        return list(threads.map(send, range(times)))


def check_one_answer(answers: list[HttpResponse], status: int) -> None:
    """Check that one request was carried out and the others got its answer."""
    assert {answer.status_code for answer in answers} == {status}, Counter(a.content for a in answers)
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in answers) == 1


def test_fifty_clicks_make_one_payment(place: Tenant) -> None:
    check_one_answer(at_once(place, "payments", BODY), 201)
    assert (PaymentEvent.objects.count(), Charge.objects.count(), PspOperation.objects.count()) == (1, 1, 2)


def test_a_repetition_while_the_first_request_is_under_way_is_told_to_wait(place: Tenant) -> None:
    under_way, over = threading.Event(), threading.Event()

    def send() -> HttpResponse:
        try:
            with transaction.atomic():
                answer = Api(place.key).post("payments", BODY, idempotency_key="click")
                under_way.set()
                over.wait(60)
            return answer
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=1) as threads:
        waiting = threads.submit(send)
        try:
            assert under_way.wait(60)
            repeated = Api(place.key).post("payments", BODY, idempotency_key="click")
        finally:
            over.set()
        first = waiting.result()
    problem(repeated, 409, "idempotency_in_progress")
    assert repeated["Retry-After"]
    again = Api(place.key).post("payments", BODY, idempotency_key="click")
    assert (again.content, again["Idempotency-Replayed"]) == (first.content, "true")
    assert (PaymentEvent.objects.count(), Charge.objects.count()) == (1, 1)


def test_many_clicks_cancel_once(place: Tenant) -> None:
    paid = json.loads(Api(place.key).post("payments", BODY | {"payment_method": None}).content)
    check_one_answer(at_once(place, f"payments/{paid['id']}/cancel", {}, times=12), 202)
    assert IdempotencyRecord.objects.count() == 2


def test_many_clicks_make_one_seller(place: Tenant) -> None:
    body = {"external_id": "x", "name": "X", "country": "DE", "default_currency": "EUR"}
    check_one_answer(at_once(place, "sellers", body, times=12), 201)
    assert Seller.objects.filter(external_id="x").count() == 1


def test_a_connection_that_was_lost_is_replaced(place: Tenant) -> None:
    api = Api(place.key)
    assert api.get("payments").status_code == 200
    for answer in (lambda: api.get("payments"), lambda: api.post("payments", BODY)):
        connection.ensure_connection()
        assert connection.connection is not None
        connection.connection.close()
        assert answer().status_code in (200, 201)
