"""Stored value over the API: switched on by the merchant, paid with, refunded into, read; refused without effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from config import seam
from ledger.ids import public_id
from payments import buyers
from payments.api import answers
from payments.models import ApiKey, MerchantBook, PaymentEvent, PaymentOrder
from tests.factories import Tenant
from tests.payments.api.conftest import Api, content, fields, problem
from wallet import movements
from wallet.movements import Heading

Block = Callable[[], Any]
STORED = {"payment_method": {"type": "stored_value"}}


@pytest.fixture
def unpaid(api: Api, checkout: dict[str, Any]) -> dict[str, Any]:
    """Take a checkout over 25.00 EUR in that has no method yet."""
    del checkout["payment_method"]
    return content(api.post("payments", checkout), 201)


def give(shop: Tenant, amount: int, name: str = "u-1") -> None:
    """Switch stored value on and give a buyer some."""
    MerchantBook.objects.filter(pk=shop.book.pk).update(stored_value=True)
    event = PaymentEvent.objects.get(book=shop.book)
    event.buyer = {"id": name}
    buyer = buyers.receiver(event, on=True, now=seam.now())
    heading = Heading(shop.book.pk, f"test:{seam.new_uuid()}", "EUR", seam.now(), "tests")
    movements.record([movements.stored_refund(heading, buyer=buyer, amount=amount)], now=seam.now())


def switch(api: Api, shop: Tenant, **body: Any) -> Any:
    """Set the terms of the merchant, with stored value unless told otherwise."""
    merchant = public_id("mer", shop.merchant.public_id)
    terms = {"release_days_after_delivery": 0, "release_days_after_capture": None, "refund_fee_policy": "keep"}
    return api.send("PUT", f"merchants/{merchant}/terms", {**terms, "stored_value": True, **body})


def test_a_merchant_switches_it_on_and_off(api: Api, shop: Tenant) -> None:
    assert content(api.get("buyers/u-1/stored-value"), 200)["enabled"] is False
    for on in (True, True, False):
        shown = content(switch(api, shop, stored_value=on), 200)
        assert answers.Merchant.model_validate(shown).books[0].terms.stored_value is on
        assert MerchantBook.objects.get(book=shop.book).stored_value is on


def test_only_the_merchant_itself_switches_it(api: Api, shop: Tenant, other: Tenant) -> None:
    problem(switch(api, other), 404, "not_found")
    assert fields(problem(switch(api, shop, mode="live"), 400, "invalid_request")) == {"mode": "invalid_value"}
    for body in ({"stored_value": "yes"}, {"stored_value": 1}, {"stored_value": None}):
        problem(switch(api, shop, **body), 400, "invalid_request")
    ApiKey.objects.filter(pk=shop.api_key.pk).update(scopes=["merchants:read", "payments:write"])
    problem(switch(api, shop), 403, "scope_missing")
    problem(api.get("buyers/u-1/stored-value"), 403, "scope_missing")
    assert not MerchantBook.objects.filter(stored_value=True).exists()


def test_a_payment_is_paid_once_per_key_and_answered_as_paid(api: Api, shop: Tenant, unpaid: dict[str, Any]) -> None:
    give(shop, 3000)
    address = f"payments/{unpaid['id']}/process"
    first = api.post(address, STORED, idempotency_key="p")
    paid = content(first, 200)
    answers.Payment.model_validate(paid)
    assert (paid["status"], paid["amount_captured"], paid["ledger_updated"]) == ("succeeded", "25.00", True)
    again = api.post(address, STORED, idempotency_key="p")
    assert (again.content, again["Idempotency-Replayed"]) == (first.content, "true")
    problem(api.post(address, STORED), 409, "payment_not_processable")
    shown = content(api.get("buyers/u-1/stored-value"), 200)
    answers.StoredValue.model_validate(shown)
    assert shown["balances"] == [{"currency": "EUR", "amount": "5.00"}]
    charge = content(api.get(f"charges/{paid['payment_orders'][0]['charge']}"), 200)
    assert (charge["status"], charge["psp_id"]) == ("SUCCEEDED", None)
    answers.Charge.model_validate(charge)


def test_a_refund_of_it_is_there_at_once(api: Api, shop: Tenant, unpaid: dict[str, Any]) -> None:
    give(shop, 2500)
    paid = content(api.post(f"payments/{unpaid['id']}/process", STORED), 200)
    body = {"payment_order": paid["payment_orders"][0]["id"], "amount": "9.99"}
    made = content(api.post("refunds", body), 201)
    answers.Refund.model_validate(made)
    assert (made["status"], made["to"], made["amount"]) == ("succeeded", "stored_value", "9.99")
    assert content(api.get("buyers/u-1/stored-value"), 200)["balances"] == [{"currency": "EUR", "amount": "9.99"}]


def test_too_little_or_switched_off_pays_nothing(
    api: Api, shop: Tenant, unpaid: dict[str, Any], nothing_stored: Block
) -> None:
    address = f"payments/{unpaid['id']}/process"
    with nothing_stored():
        problem(api.post(address, STORED), 409, "stored_value_off")
    give(shop, 2499)
    with nothing_stored():
        problem(api.post(address, STORED), 422, "insufficient_stored_value")
    assert content(api.get(f"payments/{unpaid['id']}"), 200) == unpaid
    assert content(api.post(address, {"payment_method": {"token": "pm_card_visa"}}), 202)["status"] == "processing"


@pytest.mark.parametrize(
    ("method", "bad"),
    [
        ({}, {"payment_method.token": "required"}),
        ({"type": "token"}, {"payment_method.token": "required"}),
        ({"type": "stored_value", "token": "pm_1"}, {"payment_method.token": "ambiguous"}),
        ({"type": "cash"}, {"payment_method.type": "invalid_value"}),
        ({"type": None}, {"payment_method.type": "invalid_value"}),
        ({"type": "stored_value", "amount": "1.00"}, {"payment_method.amount": "unknown_field"}),
    ],
)
def test_a_method_that_makes_no_sense_is_refused(
    api: Api, unpaid: dict[str, Any], nothing_stored: Block, method: Any, bad: Any
) -> None:
    with nothing_stored():
        refused = problem(
            api.post(f"payments/{unpaid['id']}/process", {"payment_method": method}), 400, "invalid_request"
        )
    assert fields(refused) == bad


def test_one_order_alone_is_not_paid_with_it(
    api: Api, shop: Tenant, unpaid: dict[str, Any], nothing_stored: Block
) -> None:
    give(shop, 5000)
    with nothing_stored():
        order = unpaid["payment_orders"][0]["id"]
        problem(api.post(f"payment-orders/{order}/process", STORED), 400, "invalid_request")


def test_another_merchants_buyer_of_the_same_name_has_nothing(
    api: Api, shop: Tenant, other: Tenant, unpaid: dict[str, Any]
) -> None:
    give(shop, 100)
    assert content(Api(other.key).get("buyers/u-1/stored-value"), 200)["balances"] == []
    assert content(api.get("buyers/nobody/stored-value"), 200)["balances"] == []
    problem(Api(other.key).post(f"payments/{unpaid['id']}/process", STORED), 404, "not_found")
    assert json.loads(api.get("buyers/u-1/stored-value").content)["balances"] == [{"currency": "EUR", "amount": "1.00"}]


TOP_UP = {"checkout_id": "in-1", "currency": "EUR", "amount": "50.00", "payment_method": {"token": "pm_card_visa"}}


def test_a_top_up_is_a_payment_without_a_fee_and_taken_in_once(api: Api, shop: Tenant) -> None:
    content(switch(api, shop), 200)
    first = api.post("buyers/u-1/top-ups", TOP_UP, idempotency_key="t")
    made = content(first, 201)
    answers.Payment.model_validate(made)
    assert (made["status"], made["amount"], made["buyer"]) == ("processing", "50.00", {"id": "u-1"})
    assert made["payment_orders"][0]["platform_fee"] == "0.00"
    again = api.post("buyers/u-1/top-ups", TOP_UP, idempotency_key="t")
    assert (again.content, again["Idempotency-Replayed"]) == (first.content, "true")
    assert content(api.post("buyers/u-1/top-ups", TOP_UP), 200)["id"] == made["id"]
    (order,) = PaymentOrder.objects.all()
    assert order.top_up_of is not None
    assert order.top_up_of.external_id == "u-1"


def test_a_top_up_that_cannot_be_leaves_nothing(api: Api, shop: Tenant, nothing_stored: Block) -> None:
    with nothing_stored():
        problem(api.post("buyers/u-1/top-ups", TOP_UP), 409, "stored_value_off")
    content(switch(api, shop), 200)
    with nothing_stored():
        for change in (
            {"amount": "0"},
            {"amount": "1.999"},
            {"currency": "XXX"},
            {"seller": "ann"},
            {"checkout_id": ""},
        ):
            problem(api.post("buyers/u-1/top-ups", TOP_UP | change), 400, "invalid_request")
        problem(api.post("buyers/u-1/top-ups", TOP_UP, idempotency_key=None), 400, "idempotency_key_missing")
    content(api.post("buyers/u-1/top-ups", TOP_UP, idempotency_key="t"), 201)
    with nothing_stored():
        problem(api.post("buyers/u-2/top-ups", TOP_UP), 409, "checkout_id_conflict")
        problem(api.post("buyers/u-1/top-ups", TOP_UP | {"amount": "51.00"}), 409, "checkout_id_conflict")
        problem(api.post("buyers/u-2/top-ups", TOP_UP, idempotency_key="t"), 422, "idempotency_key_reused")
