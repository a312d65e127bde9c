"""Refunds, deliveries and terms over the API: done once per key, refused without effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from config import seam
from ledger import accounts
from ledger.ids import public_id
from payments import settlement
from payments.api import answers
from payments.appliers.batch import Report
from payments.models import Charge, MerchantBook, PaymentOrder, Refund, Seller
from payments.psp.base import ObjectKind, ObjectStatus, Outcome, Result, Snapshot
from tests.factories import Tenant
from tests.payments.api.conftest import Api, count_rows, fields, problem

Block = Callable[[], Any]


@pytest.fixture
def paid(api: Api, checkout: dict[str, Any]) -> list[str]:
    """Take a checkout in that the PSP says is paid; return the ids of its orders."""
    accounts.forget()
    content = json.loads(api.post("payments", checkout).content)
    charge = Charge.objects.get()
    for status, captured in ((ObjectStatus.OPEN, 0), (ObjectStatus.SUCCEEDED, 2500)):
        snapshot = Snapshot(ObjectKind.CHARGE, "pi_1", status, "EUR", 2500, captured_minor=captured)
        report = Report(charge.event_id, charge.pk, Result(Outcome.SUCCEEDED, snapshot))
        assert settlement.apply([report], now=seam.now())
    return [order["id"] for order in content["payment_orders"]]


def test_a_refund_is_made_once_per_key_and_read(api: Api, paid: list[str]) -> None:
    body = {"payment_order": paid[0], "amount": "5.00", "reason": "duplicate", "reference": "r-1"}
    first = api.post("refunds", body, idempotency_key="r")
    assert first.status_code == 201, first.content
    shown = answers.Refund.model_validate_json(first.content)
    assert (shown.status, shown.amount, shown.payment_order, shown.reason) == ("pending", "5.00", paid[0], "duplicate")
    before = count_rows()
    again = api.post("refunds", body, idempotency_key="r")
    assert (again.content, again["Idempotency-Replayed"]) == (first.content, "true")
    problem(api.post("refunds", body | {"amount": "6.00"}, idempotency_key="r"), 422, "idempotency_key_reused")
    problem(api.post("refunds", body), 409, "refund_exists")
    assert count_rows() == before
    read = api.get(f"refunds/{shown.id}")
    assert json.loads(read.content) == json.loads(first.content)
    listed = answers.Refunds.model_validate_json(api.get(f"refunds?payment_order={paid[0]}").content)
    assert [one.id for one in listed.data] == [shown.id]
    assert answers.Refunds.model_validate_json(api.get(f"refunds?payment_order={paid[1]}").content).data == []
    order = answers.PaymentOrder.model_validate_json(api.get(f"payment-orders/{paid[0]}").content)
    assert order.amount_refunded == "5.00"


def test_a_refund_without_an_amount_is_the_whole_rest(api: Api, paid: list[str]) -> None:
    api.post("refunds", {"payment_order": paid[0], "amount": "5.00"})
    rest = json.loads(api.post("refunds", {"payment_order": paid[0]}).content)
    assert rest["amount"] == "14.99"
    problem(api.post("refunds", {"payment_order": paid[0]}), 422, "refund_exceeds_captured")


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"amount": "20.00"}, 422, "refund_exceeds_captured", "amount"),
        ({"amount": "1.999"}, 400, "invalid_request", "amount"),
        ({"amount": "0"}, 400, "invalid_request", "amount"),
        ({"amount": "-1.00"}, 400, "invalid_request", "amount"),
        ({"amount": 5}, 400, "invalid_request", "amount"),
        ({"reason": "because"}, 400, "invalid_request", "reason"),
        ({"reason": "late_success"}, 400, "invalid_request", "reason"),
        ({"to": "somewhere"}, 400, "invalid_request", "to"),
        ({"to": "stored_value"}, 409, "stored_value_off", ""),
        ({"reference": "x" * 256}, 400, "invalid_request", "reference"),
        ({"currency": "EUR"}, 400, "invalid_request", "currency"),
        ({"payment_order": "ord_nothing"}, 404, "not_found", ""),
        ({"payment_order": public_id("ord", seam.new_uuid())}, 404, "not_found", ""),
        ({"payment_order": None}, 400, "invalid_request", "payment_order"),
    ],
)
def test_what_cannot_be_refunded_leaves_nothing(
    api: Api, paid: list[str], change: dict[str, Any], status: int, *, code: str, field: str
) -> None:
    before = (count_rows(), Refund.objects.count())
    content = problem(api.post("refunds", {"payment_order": paid[0], "amount": "1.00"} | change), status, code)
    assert not field or field in fields(content)
    assert (count_rows(), Refund.objects.count()) == before
    assert set(PaymentOrder.objects.values_list("refunded_minor", flat=True)) == {0}


def test_an_unpaid_order_is_neither_refunded_nor_delivered(
    api: Api, checkout: dict[str, Any], nothing_stored: Block
) -> None:
    order = json.loads(api.post("payments", checkout).content)["payment_orders"][0]["id"]
    with nothing_stored():
        problem(api.post("refunds", {"payment_order": order}), 409, "payment_order_not_paid")
        problem(api.post(f"payment-orders/{order}/deliver", {}), 409, "payment_order_not_paid")
        problem(api.post("refunds", {"payment_order": order}, idempotency_key=None), 400, "idempotency_key_missing")


def test_another_merchants_order_and_refund_do_not_exist(api: Api, paid: list[str], other: Tenant) -> None:
    made = json.loads(api.post("refunds", {"payment_order": paid[0], "amount": "1.00"}).content)
    stranger = Api(other.key)
    problem(stranger.get(f"refunds/{made['id']}"), 404, "not_found")
    problem(stranger.post("refunds", {"payment_order": paid[0]}), 404, "not_found")
    problem(stranger.post(f"payment-orders/{paid[0]}/deliver", {}), 404, "not_found")
    assert json.loads(stranger.get("refunds").content)["data"] == []


def test_a_delivery_releases_once_whatever_the_key(api: Api, paid: list[str], shop: Tenant) -> None:
    for key in ("d", "d", "e"):
        response = api.post(f"payment-orders/{paid[0]}/deliver", {}, idempotency_key=key)
        assert response.status_code == 200, response.content
        assert answers.PaymentOrder.model_validate_json(response.content).delivered_at is not None
    seller = json.loads(api.get(f"payment-orders/{paid[0]}").content)["seller"]
    (wallet,) = json.loads(api.get(f"sellers/{seller}/wallets").content)["data"]
    assert (wallet["pending"], wallet["available"]) == ("0.00", "17.99")


TERMS = {
    "release_days_after_delivery": 2,
    "release_days_after_capture": None,
    "capture_days_are_business_days": False,
    "business_calendar": "DE",
    "time_zone": "Europe/Berlin",
    "refund_fee_policy": "proportional",
    "stored_value": False,
}


def test_a_merchant_sets_its_terms(api: Api, shop: Tenant) -> None:
    address = f"merchants/{public_id('mer', shop.merchant.public_id)}"
    response = api.send("PUT", f"{address}/terms", TERMS)
    assert response.status_code == 200, response.content
    shown = {**TERMS, "payout_approval_above": {}}
    assert answers.Merchant.model_validate_json(response.content).books[0].terms.model_dump() == shown
    assert json.loads(api.get(address).content)["books"][0]["terms"] == shown


@pytest.mark.parametrize(
    "change",
    [
        {"business_calendar": "XX"},
        {"time_zone": "Mars/Base"},
        {"refund_fee_policy": "some"},
        {"release_days_after_delivery": -1},
        {"release_days_after_capture": 366},
        {"mode": "live"},
        {"more": 1},
        {"payout_approval_above": {}},  # who pays out does not say what needs a second person
    ],
)
def test_wrong_terms_change_nothing(api: Api, shop: Tenant, change: dict[str, Any]) -> None:
    before = MerchantBook.objects.values().get(pk=shop.book.pk)
    response = api.send("PUT", f"merchants/{public_id('mer', shop.merchant.public_id)}/terms", TERMS | change)
    assert next(iter(change)) in fields(problem(response, 400, "invalid_request"))
    assert MerchantBook.objects.values().get(pk=shop.book.pk) == before


def test_a_seller_has_a_reserve(api: Api) -> None:
    body = {"external_id": "eve", "name": "Eve", "country": "DE", "default_currency": "EUR"}
    made = json.loads(api.post("sellers", body | {"reserve": {"basis_points": 500, "days": 90}}).content)
    assert made["reserve"] == {"basis_points": 500, "days": 90}
    changed = api.send("PATCH", "sellers/eve", {"reserve": {"basis_points": 0, "days": 0}})
    assert json.loads(changed.content)["reserve"] == {"basis_points": 0, "days": 0}
    for wrong in ({"basis_points": 500, "days": 0}, {"basis_points": 10_001, "days": 1}, {"basis_points": 1}):
        problem(api.send("PATCH", "sellers/eve", {"reserve": wrong}), 400, "invalid_request")
    assert Seller.objects.get(external_id="eve").reserve_days == 0
