"""Checkouts that are taken in: what is answered, what is stored, and what a repetition gets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ledger.ids import public_id
from payments.api import answers
from payments.models import ApiKey, MerchantBook, PaymentEvent, PaymentOrder, PspOperation
from tests.factories import Tenant
from tests.payments.api.conftest import Api, count_rows, fields, problem


def test_a_checkout_is_answered_as_documented(api: Api, checkout: dict[str, Any], shop: Tenant) -> None:
    response = api.post("payments", checkout)
    assert response.status_code == 201
    assert response["Content-Type"] == "application/json"
    assert response["Content-Length"] == str(len(response.content))
    shown = json.loads(response.content)
    answers.Payment.model_validate(shown)
    event = PaymentEvent.objects.get()
    order = PaymentOrder.objects.get(position=0)
    assert list(shown) == list(answers.Payment.model_fields)
    assert list(shown["payment_orders"][0]) == list(answers.PaymentOrder.model_fields)
    assert shown["id"] == public_id("pay", event.public_id)
    assert (shown["status"], shown["result"], shown["amount"]) == ("processing", "in_progress", "25.00")
    assert shown["checkout_url"].endswith(f"/checkout/{shown['id']}?token={shown['client_token']}")
    assert shown["payment_orders"][0] | {"id": "", "charge": "", "seller": ""} == {
        "id": "",
        "object": "payment_order",
        "reference": "line-1",
        "seller": "",
        "amount": "19.99",
        "currency": "EUR",
        "platform_fee": "2.00",
        "status": "EXECUTING",
        "failure": None,
        "ledger_updated": False,
        "wallet_updated": False,
        "amount_captured": "0.00",
        "amount_refunded": "0.00",
        "delivered_at": None,
        "charge": "",
        "payment": shown["id"],
        "checkout_id": "cart-9001",
        "payment_method_details": None,
        "description": "Teapot",
        "metadata": {},
    }
    assert shown["buyer"] == checkout["buyer"]
    assert order.charge_id is not None
    assert json.loads(api.get(f"payments/{shown['id']}").content) == shown


def test_intake_costs_two_statements(api: Api, checkout: dict[str, Any]) -> None:
    api.post("payments", checkout | {"checkout_id": "warm"})
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert api.post("payments", checkout).status_code == 201
    assert len(queries) == 2


def test_without_a_method_the_buyer_pays_on_the_page(api: Api, checkout: dict[str, Any]) -> None:
    del checkout["payment_method"]
    shown = json.loads(api.post("payments", checkout).content)
    assert shown["status"] == "requires_payment_method"
    assert {order["status"] for order in shown["payment_orders"]} == {"NOT_STARTED"}
    assert PspOperation.objects.count() == 0


def test_an_amount_alone_is_for_the_house(api: Api, shop: Tenant) -> None:
    body = {"checkout_id": "c", "currency": "JPY", "amount": "1999"}
    shown = json.loads(api.post("payments", body).content)
    assert (shown["amount"], shown["buyer"]) == ("1999", {})
    assert [order["seller"] for order in shown["payment_orders"]] == [shop.seller_id(shop.house_seller)]


def test_without_a_house_seller_an_amount_alone_is_refused(api: Api, shop: Tenant) -> None:
    MerchantBook.objects.filter(book=shop.book).update(house_seller=None)
    body = {"checkout_id": "c", "currency": "EUR", "amount": "1.00"}
    assert fields(problem(api.post("payments", body), 400, "invalid_request")) == {"amount": "not_supported"}


def test_items_become_one_order_per_seller(api: Api, checkout: dict[str, Any], shop: Tenant) -> None:
    del checkout["payment_orders"]
    ann, bob = "ann", "bob"
    body = checkout | {
        "amount": "10.00",
        "items": [
            {"seller": ann, "amount": "1.00", "description": "Cup"},
            {"seller": bob, "amount": "2.00", "reference": "r-2", "currency": "EUR"},
            {"seller": ann, "amount": "7.00", "description": "Pot", "reference": "r-3"},
        ],
    }
    orders = json.loads(api.post("payments", body).content)["payment_orders"]
    assert [(order["amount"], order["description"], order["reference"]) for order in orders] == [
        ("8.00", "Cup, Pot", "r-3"),
        ("2.00", "", "r-2"),
    ]


def test_orders_charged_one_by_one_do_not_offer_a_qr_code(api: Api, checkout: dict[str, Any]) -> None:
    shown = json.loads(api.post("payments", checkout | {"charge_mode": "per_order"}).content)
    assert shown["charge_mode"] == "per_order"
    assert len({order["charge"] for order in shown["payment_orders"]}) == 2
    assert PaymentEvent.objects.get().payment_method_types == ["card", "wallet"]


def test_a_qr_code_alone_forces_one_charge(api: Api, checkout: dict[str, Any]) -> None:
    body = checkout | {"charge_mode": "per_order", "payment_method_types": ["qr"]}
    shown = json.loads(api.post("payments", body).content)
    assert shown["charge_mode"] == "single"
    assert len({order["charge"] for order in shown["payment_orders"]}) == 1


def test_the_same_key_gets_the_first_answer_again(api: Api, checkout: dict[str, Any]) -> None:
    first = api.post("payments", checkout, idempotency_key="k")
    before = count_rows()
    again = api.post("payments", json.dumps(checkout, indent=2).encode(), idempotency_key='"k"')
    assert (again.status_code, again.content) == (201, first.content)
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert count_rows() == before


def test_the_same_key_for_another_request_is_refused(api: Api, checkout: dict[str, Any]) -> None:
    api.post("payments", checkout, idempotency_key="k")
    before = count_rows()
    problem(
        api.post("payments", checkout | {"checkout_id": "other"}, idempotency_key="k"), 422, "idempotency_key_reused"
    )
    assert count_rows() == before


def test_a_known_checkout_is_answered_as_it_is_now(api: Api, checkout: dict[str, Any]) -> None:
    first = json.loads(api.post("payments", checkout).content)
    PaymentEvent.objects.update(status="succeeded", version=7)
    before = count_rows()
    again = api.post("payments", checkout)
    assert again.status_code == 200
    assert json.loads(again.content) == first | {"status": "succeeded", "result": "success", "version": 7}
    assert count_rows() == before


def test_a_known_checkout_with_other_content_is_a_conflict(api: Api, checkout: dict[str, Any]) -> None:
    api.post("payments", checkout)
    before = count_rows()
    checkout["payment_orders"][0]["amount"] = "20.00"
    problem(api.post("payments", checkout), 409, "checkout_id_conflict")
    assert count_rows() == before


def test_bulk_answers_each_by_itself_in_order(api: Api, checkout: dict[str, Any]) -> None:
    first = api.post("payments", checkout, idempotency_key="single")
    body = {
        "payments": [
            checkout | {"idempotency_key": "single"},
            checkout | {"idempotency_key": "a", "checkout_id": "a"},
            checkout | {"idempotency_key": "b", "checkout_id": ""},
            checkout | {"idempotency_key": "c"},
            checkout | {"checkout_id": "d"},
            "text",
            checkout | {"idempotency_key": "e", "checkout_id": "e", "metadata": {"n": "4242424242424242"}},
            checkout | {"idempotency_key": "f", "checkout_id": "a", "capture": "manual"},
            checkout | {"idempotency_key": "a", "checkout_id": "z"},
        ]
    }
    response = api.post("payments/bulk", body, idempotency_key=None)
    assert response.status_code == 200, response.content
    content = json.loads(response.content)
    answers.Bulk.model_validate(content)
    data = content["data"]
    assert [item["status"] for item in data] == [201, 201, 400, 200, 400, 400, 400, 409, 422]
    assert data[0] == {"status": 201, "payment": json.loads(first.content), "replayed": True}
    assert fields(data[2]["error"]) == {"checkout_id": "too_short"}
    assert data[3]["payment"]["id"] == data[0]["payment"]["id"]
    assert data[4]["error"]["code"] == "idempotency_key_missing"
    assert data[6]["error"]["code"] == "card_number_not_accepted"
    assert data[7]["error"]["code"] == "checkout_id_conflict"
    assert data[8]["error"]["code"] == "idempotency_key_reused"
    assert PaymentEvent.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "payments", "required"),
        ({"payments": []}, "payments", "too_short"),
        ({"payments": "x"}, "payments", "invalid_type"),
        ({"payments": [{}] * 501}, "payments", "too_long"),
        ({"payments": [{}], "mode": "fast"}, "mode", "unknown_field"),
    ],
)
def test_a_bulk_request_that_is_none_is_refused(api: Api, body: Any, field: str, code: str) -> None:
    content = problem(api.post("payments/bulk", body, idempotency_key=None), 400, "invalid_request")
    assert fields(content) == {field: code}


def test_bulk_takes_no_key_of_its_own(api: Api, checkout: dict[str, Any]) -> None:
    body = {"payments": [checkout | {"idempotency_key": "a"}]}
    problem(api.post("payments/bulk", body, idempotency_key="k"), 400, "idempotency_key_not_allowed")
    assert PaymentEvent.objects.count() == 0


def test_a_merchant_without_a_psp_account_is_told_so(api: Api, checkout: dict[str, Any], shop: Tenant) -> None:
    MerchantBook.objects.filter(book=shop.book).update(default_psp_account=None)
    problem(api.post("payments", checkout), 409, "no_psp_account")
    assert PaymentEvent.objects.count() == 0


def test_a_key_without_the_scope_is_refused(api: Api, checkout: dict[str, Any], shop: Tenant) -> None:
    ApiKey.objects.filter(pk=shop.api_key.pk).update(scopes=["payments:read"])
    problem(api.post("payments", checkout), 403, "scope_missing")
    assert PaymentEvent.objects.count() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_key_that_has_ended_is_refused(
    api: Api, checkout: dict[str, Any], shop: Tenant, change: dict[str, datetime]
) -> None:
    ApiKey.objects.filter(pk=shop.api_key.pk).update(**change)
    problem(api.post("payments", checkout), 401, "api_key_invalid")
    problem(api.get("payments"), 401, "api_key_invalid")
    assert PaymentEvent.objects.count() == 0


def test_a_suspended_merchant_is_refused(api: Api, checkout: dict[str, Any], shop: Tenant) -> None:
    shop.merchant.status = "suspended"
    shop.merchant.save()
    problem(api.post("payments", checkout), 401, "api_key_invalid")
