"""Reading back, page by page, and only what is one's own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.ids import public_id
from payments.api import answers
from payments.models import ApiKey, Charge, PaymentEvent, PaymentOrder
from tests.factories import Tenant
from tests.payments.api.conftest import Api, count_rows, fields, problem


@pytest.fixture
def paid(api: Api, checkout: dict[str, Any]) -> dict[str, Any]:
    """Take a checkout in and give what was answered."""
    content: dict[str, Any] = json.loads(api.post("payments", checkout).content)
    return content


def read(api: Api, address: str) -> Any:
    """GET and parse."""
    response = api.get(address)
    assert response.status_code == 200, response.content
    return json.loads(response.content)


def test_every_part_of_a_payment_can_be_read(api: Api, paid: dict[str, Any], shop: Tenant) -> None:
    order = paid["payment_orders"][0]
    assert read(api, f"payment-orders/{order['id']}") == order
    answers.Charge.model_validate(read(api, f"charges/{order['charge']}"))
    answers.Timeline.model_validate(read(api, f"payments/{paid['id']}/timeline"))
    operations = answers.PspOperations.model_validate(read(api, f"payments/{paid['id']}/transactions"))
    assert [one.type for one in operations.data] == ["register", "confirm"]
    answers.Wallets.model_validate(read(api, f"sellers/{order['seller']}/wallets"))
    answers.Seller.model_validate(read(api, "sellers/ann"))
    assert read(api, f"sellers/{order['seller']}") == read(api, "sellers/ann")
    answers.Sellers.model_validate(read(api, "sellers"))
    shown = answers.Merchant.model_validate(read(api, f"merchants/{public_id('mer', shop.merchant.public_id)}"))
    assert shown.books[0].psp_accounts[0].api_key == "********"


def test_a_receipt_comes_after_success(api: Api, paid: dict[str, Any]) -> None:
    address = f"payment-orders/{paid['payment_orders'][0]['id']}/receipt"
    problem(api.get(address), 409, "receipt_not_ready")
    PaymentOrder.objects.filter(position=0).update(
        status="SUCCESS", captured_minor=1999, succeeded_at=PaymentEvent.objects.get().created_at
    )
    shown = answers.Receipt.model_validate(read(api, address))
    assert (shown.amount, shown.payee.name) == ("19.99", PaymentOrder.objects.get(position=0).seller.name)


def test_lists_are_paged_newest_first(api: Api, checkout: dict[str, Any]) -> None:
    for number in range(5):
        api.post("payments", checkout | {"checkout_id": f"cart-{number}"})
    seen: list[str] = []
    address = "payments?limit=2"
    for _ in range(3):
        page = read(api, address)
        seen += [payment["checkout_id"] for payment in page["data"]]
        address = f"payments?limit=2&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == [f"cart-{number}" for number in (4, 3, 2, 1, 0)]
    orders = read(api, "payment-orders?limit=100&seller=ann&status=EXECUTING&reference=line-1")
    assert len(orders["data"]) == 5
    assert len(read(api, "payment-orders?checkout_id=cart-3")["data"]) == 2


def test_payments_are_found_by_what_the_merchant_knows(api: Api, checkout: dict[str, Any]) -> None:
    api.post("payments", checkout)
    api.post("payments", checkout | {"checkout_id": "second"})
    PaymentEvent.objects.filter(checkout_id="second").update(status="failed")
    assert [one["checkout_id"] for one in read(api, "payments?checkout_id=second")["data"]] == ["second"]
    assert [one["checkout_id"] for one in read(api, "payments?status=failed")["data"]] == ["second"]
    assert len(read(api, "payments?created_after=2020-01-01T00:00:00Z")["data"]) == 2
    assert read(api, "payments?created_after=2099-01-01T00:00:00Z")["data"] == []


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("limit=0", "limit", "invalid_value"),
        ("limit=101", "limit", "invalid_value"),
        ("limit=x", "limit", "invalid_value"),
        ("status=gone", "status", "invalid_value"),
        ("created_after=yesterday", "created_after", "invalid_time"),
        ("colour=red", "colour", "unknown_field"),
        ("limit=1&limit=2", "limit", "duplicate"),
    ],
)
def test_a_wrong_query_is_refused(api: Api, query: str, field: str, code: str) -> None:
    assert fields(problem(api.get(f"payments?{query}"), 400, "invalid_request")) == {field: code}


@pytest.mark.parametrize("cursor", ["x", "AAAAAAAAAAAAAAAAAAAAAA", "%00", "A" * 64])
def test_a_wrong_cursor_is_refused(api: Api, cursor: str) -> None:
    response = api.get(f"payments?cursor={cursor}")
    assert response.status_code == 400


def test_nothing_of_another_merchant_can_be_reached(
    api: Api, paid: dict[str, Any], other: Tenant, shop: Tenant
) -> None:
    order = paid["payment_orders"][0]
    cursor = read(api, "payment-orders?limit=1")["next_cursor"]
    stranger = Api(other.key)
    before = count_rows()
    unknown = problem(stranger.get(f"payments/{public_id('pay', other.merchant.public_id)}"), 404, "not_found")
    merchant = public_id("mer", shop.merchant.public_id)
    token = {"payment_method": {"token": "pm_card_visa"}}
    attempts = [
        ("GET", f"payments/{paid['id']}", None),
        ("GET", f"payments/{paid['id']}/timeline", None),
        ("GET", f"payments/{paid['id']}/transactions", None),
        ("GET", f"payment-orders/{order['id']}", None),
        ("GET", f"payment-orders/{order['id']}/receipt", None),
        ("GET", f"charges/{order['charge']}", None),
        ("GET", f"sellers/{order['seller']}", None),
        ("GET", "sellers/ann", None),
        ("GET", f"sellers/{order['seller']}/wallets", None),
        ("GET", f"merchants/{merchant}", None),
        ("POST", f"payments/{paid['id']}/process", token),
        ("POST", f"payments/{paid['id']}/capture", {}),
        ("POST", f"payments/{paid['id']}/cancel", {}),
        ("POST", f"payment-orders/{order['id']}/process", token),
        ("PUT", f"merchants/{merchant}/psp-accounts/stripe", {"api_key": "sk_test_1"}),
        ("PUT", f"merchants/{merchant}/bank-accounts/main", {"iban": "x", "account_holder": "y"}),
    ]
    for method, address, body in attempts:
        response = stranger.send(method, address, body, **{"Idempotency-Key": "k"})
        content = problem(response, 404, "not_found")
        assert content["detail"] == unknown["detail"], address
    assert read(stranger, "payments")["data"] == []
    assert read(stranger, "payments?checkout_id=cart-9001")["data"] == []
    assert read(stranger, "payment-orders?seller=ann")["data"] == []
    assert read(stranger, f"payment-orders?seller={order['seller']}")["data"] == []
    problem(stranger.get(f"payment-orders?cursor={cursor}"), 400, "invalid_cursor")
    body = {"checkout_id": "c", "currency": "EUR", "payment_orders": [{"seller": order["seller"], "amount": "1.00"}]}
    content = problem(stranger.post("payments", body), 400, "invalid_request")
    assert fields(content) == {"payment_orders[0].seller": "unknown_seller"}
    assert count_rows() == before


@pytest.mark.parametrize("address", ["payments/x", "payments/pay_1", "charges/chg_", "payment-orders/pay_x", "nothing"])
def test_an_id_that_cannot_exist_is_unknown(api: Api, address: str) -> None:
    problem(api.get(address), 404, "not_found")


def test_each_scope_opens_its_own_doors(api: Api, paid: dict[str, Any], shop: Tenant) -> None:
    ApiKey.objects.filter(pk=shop.api_key.pk).update(scopes=["wallet:read"])
    assert api.get("sellers/ann/wallets").status_code == 200
    for address in ("payments", f"payments/{paid['id']}", "payment-orders", "sellers", "sellers/ann"):
        problem(api.get(address), 403, "scope_missing")
    problem(api.post(f"payments/{paid['id']}/cancel", {}), 403, "scope_missing")
    assert Charge.objects.get().cancel_reason == ""


def test_a_request_id_is_kept_when_it_is_a_plain_word(api: Api) -> None:
    assert api.get("payments", **{"X-Request-Id": "abc-1"})["X-Request-Id"] == "abc-1"
    assert api.get("payments", **{"X-Request-Id": "a b\tc"})["X-Request-Id"].startswith("req_")
