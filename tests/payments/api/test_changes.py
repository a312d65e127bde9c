"""Process, capture, cancel, sellers, merchants: done once per key, refused without effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from config import seam
from payments import merchants
from payments.api import answers
from payments.models import ApiKey, Charge, Merchant, PaymentEvent, PaymentOrder, PspAccount, PspOperation, Seller
from payments.psp import registry
from tests.factories import PSP_API_KEY, Tenant
from tests.payments.api.conftest import Api, count_rows, fields, problem

Block = Callable[[], Any]
TOKEN = {"payment_method": {"token": "pm_card_visa"}}


@pytest.fixture
def unpaid(api: Api, checkout: dict[str, Any]) -> dict[str, Any]:
    """Take a checkout in that has no method yet."""
    del checkout["payment_method"]
    content: dict[str, Any] = json.loads(api.post("payments", checkout).content)
    return content


@pytest.fixture
def authorized(api: Api, checkout: dict[str, Any]) -> dict[str, Any]:
    """Take a checkout in whose money is held."""
    body = checkout | {"capture": "manual"}
    content: dict[str, Any] = json.loads(api.post("payments", body).content)
    PspOperation.objects.update(state="DONE", outcome="succeeded", closed_at=seam.now(), due_at=None)
    PaymentOrder.objects.update(status="AUTHORIZED")
    for status in ("REGISTERED", "AUTHORIZED"):
        Charge.objects.update(status=status, psp_id="pi_1")
    PaymentEvent.objects.update(status="requires_capture")
    return content


def test_processing_starts_once_per_key(api: Api, unpaid: dict[str, Any]) -> None:
    address = f"payments/{unpaid['id']}/process"
    first = api.post(address, TOKEN, idempotency_key="p")
    assert first.status_code == 202, first.content
    assert json.loads(first.content)["status"] == "processing"
    before = count_rows()
    again = api.post(address, TOKEN, idempotency_key="p")
    assert (again.content, again["Idempotency-Replayed"]) == (first.content, "true")
    problem(
        api.post(address, {"payment_method": {"token": "tok_2"}}, idempotency_key="p"), 422, "idempotency_key_reused"
    )
    problem(api.post(f"payments/{unpaid['id']}/cancel", {}, idempotency_key="p"), 422, "idempotency_key_reused")
    problem(api.post(address, TOKEN), 409, "payment_in_progress")
    assert count_rows() == before


def test_a_key_of_intake_cannot_be_used_for_something_else(
    api: Api, checkout: dict[str, Any], unpaid: dict[str, Any], nothing_stored: Block
) -> None:
    api.post("payments", checkout | {"checkout_id": "second"}, idempotency_key="taken")
    with nothing_stored():
        problem(
            api.post(f"payments/{unpaid['id']}/process", TOKEN, idempotency_key="taken"), 422, "idempotency_key_reused"
        )


def test_one_order_can_be_processed_with_its_own_amount_only(api: Api, unpaid: dict[str, Any]) -> None:
    address = f"payment-orders/{unpaid['payment_orders'][0]['id']}/process"
    before = count_rows()
    problem(api.post(address, TOKEN | {"amount": "20.00"}), 422, "amount_mismatch")
    problem(api.post(address, TOKEN | {"amount": "1.999"}), 400, "invalid_request")
    problem(api.post(address, {}), 400, "invalid_request")
    problem(api.post(address, TOKEN, idempotency_key=None), 400, "idempotency_key_missing")
    assert count_rows() == before
    response = api.post(address, TOKEN | {"amount": "19.99"})
    assert response.status_code == 202
    assert answers.PaymentOrder.model_validate_json(response.content).status == "EXECUTING"


def test_everything_authorized_is_captured(api: Api, authorized: dict[str, Any]) -> None:
    response = api.post(f"payments/{authorized['id']}/capture")
    assert response.status_code == 202, response.content
    assert PspOperation.objects.get(kind="capture").amount_minor == 2500


def test_a_part_can_be_captured(api: Api, authorized: dict[str, Any]) -> None:
    parts = [{"id": authorized["payment_orders"][0]["id"], "amount": "10.00"}]
    response = api.post(f"payments/{authorized['id']}/capture", {"payment_orders": parts})
    assert response.status_code == 202, response.content
    assert PspOperation.objects.get(kind="capture").amount_minor == 1000


@pytest.mark.parametrize(
    ("body", "status", "code", "named"),
    [
        ({"amount": "1.00"}, 400, "invalid_request", {"amount": "ambiguous"}),
        ({"amount": 1}, 400, "invalid_request", {"amount": "invalid_amount"}),
        ({"everything": True}, 400, "invalid_request", {"everything": "unknown_field"}),
        ({"payment_orders": []}, 400, "invalid_request", {"payment_orders": "too_short"}),
        (
            {"payment_orders": [{"id": "ord_x", "amount": "1.999"}]},
            400,
            "invalid_request",
            {"payment_orders[0].id": "unknown_order"},
        ),
        (
            {"payment_orders": [{"id": "0", "amount": "1.999"}]},
            400,
            "invalid_request",
            {"payment_orders[0].amount": "invalid_amount"},
        ),
        (
            {"payment_orders": [{"id": "0", "amount": "1"}, {"id": "0", "amount": "1"}]},
            400,
            "invalid_request",
            {"payment_orders[1].id": "duplicate"},
        ),
        ({"payment_orders": [{"id": "0", "amount": "20.00"}]}, 422, "capture_exceeds_authorized", {}),
    ],
)
def test_a_wrong_capture_is_refused(
    *,
    api: Api,
    authorized: dict[str, Any],
    nothing_stored: Block,
    body: dict[str, Any],
    status: int,
    code: str,
    named: dict[str, str],
) -> None:
    for part in body.get("payment_orders", []):
        part["id"] = authorized["payment_orders"][0]["id"] if part["id"] == "0" else part["id"]
    with nothing_stored():
        content = problem(api.post(f"payments/{authorized['id']}/capture", body), status, code)
    assert fields(content) == named


def test_what_is_not_authorized_cannot_be_captured(api: Api, unpaid: dict[str, Any], nothing_stored: Block) -> None:
    with nothing_stored():
        problem(api.post(f"payments/{unpaid['id']}/capture", {}), 409, "payment_not_capturable")


def test_an_unpaid_payment_is_cancelled(api: Api, unpaid: dict[str, Any]) -> None:
    response = api.post(f"payments/{unpaid['id']}/cancel")
    assert response.status_code == 202, response.content
    assert json.loads(response.content)["status"] == "cancelled"
    problem(api.post(f"payments/{unpaid['id']}/cancel"), 409, "payment_not_cancellable")


SELLER = {
    "external_id": "carl",
    "name": "Carl",
    "country": "FR",
    "email": "carl@example.com",
    "default_currency": "EUR",
    "fee_plan": {"basis_points": 250, "fixed": {"EUR": "0.30"}},
    "payout_schedule": {"interval": "weekly", "minimum": "50.00"},
}


def test_a_seller_is_made_once(api: Api, shop: Tenant) -> None:
    first = api.post("sellers", SELLER, idempotency_key="s")
    assert first.status_code == 201, first.content
    shown = answers.Seller.model_validate_json(first.content)
    assert shown.fee_plan is not None
    assert (shown.fee_plan.basis_points, shown.fee_plan.fixed) == (250, {"EUR": "0.30"})
    assert api.post("sellers", SELLER, idempotency_key="s").content == first.content
    before = count_rows()
    content = problem(api.post("sellers", SELLER), 409, "seller_exists")
    assert fields(content) == {"external_id": "seller_exists"}
    assert count_rows() == before
    assert json.loads(api.get("sellers/carl").content) == json.loads(first.content)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"external_id": ""}, {"external_id": "too_short"}),
        ({"external_id": "sel_" + "0" * 26}, {"external_id": "invalid_value"}),
        ({"country": "fr"}, {"country": "invalid_country"}),
        ({"default_currency": "FFR"}, {"default_currency": "invalid_currency"}),
        ({"fee_plan": {"basis_points": 10_001}}, {"fee_plan.basis_points": "invalid_value"}),
        ({"fee_plan": {"basis_points": "10"}}, {"fee_plan.basis_points": "invalid_type"}),
        ({"fee_plan": {"basis_points": 1, "fixed": {"JPY": "0.5"}}}, {"fee_plan.fixed.JPY": "invalid_amount"}),
        ({"payout_schedule": {"interval": "hourly"}}, {"payout_schedule.interval": "invalid_value"}),
        ({"kyc_status": "verified"}, {"kyc_status": "unknown_field"}),
    ],
)
def test_a_wrong_seller_is_refused(
    api: Api, nothing_stored: Block, change: dict[str, Any], named: dict[str, str]
) -> None:
    with nothing_stored():
        assert fields(problem(api.post("sellers", SELLER | change), 400, "invalid_request")) == named


@pytest.fixture
def administrator(db: None) -> Api:
    """Give the API to an administrator."""
    return Api(merchants.issue_key(None, None, name="tests", scopes=(), now=seam.now()).key)


def test_a_merchant_is_made_whole_and_its_secrets_are_shown_once(administrator: Api) -> None:
    first = administrator.post("merchants", {"name": "Bazaar"}, idempotency_key="m")
    assert first.status_code == 201, first.content
    made = answers.MerchantWithSecrets.model_validate_json(first.content)
    again = administrator.post("merchants", {"name": "Bazaar"}, idempotency_key="m")
    assert again["Idempotency-Replayed"] == "true"
    answers.Merchant.model_validate_json(again.content)
    assert made.api_key not in again.content.decode()
    problem(administrator.post("merchants", {"name": "Other"}, idempotency_key="m"), 422, "idempotency_key_reused")
    assert Merchant.objects.count() == 1
    assert Seller.objects.get().external_id == "house"
    assert answers.Merchant.model_validate_json(administrator.get(f"merchants/{made.id}").content).name == "Bazaar"
    owner = Api(made.api_key)
    assert owner.get(f"merchants/{made.id}").status_code == 200
    problem(owner.post("merchants", {"name": "Mine"}), 403, "administrator_required")


def test_a_merchant_sells_as_soon_as_it_has_a_psp_account(administrator: Api, settings: Any) -> None:
    made = answers.MerchantWithSecrets.model_validate_json(administrator.post("merchants", {"name": "Bazaar"}).content)
    address = f"merchants/{made.id}/psp-accounts/stripe"
    credentials = {"api_key": PSP_API_KEY, "webhook_secret": "whsec_1", "base_url": "http://127.0.0.1:9"}
    response = administrator.send("PUT", address, credentials)
    assert response.status_code == 200, response.content
    shown = answers.PspAccount.model_validate_json(response.content)
    assert (shown.api_key, shown.webhook_secret) == ("********", "********")
    assert PSP_API_KEY.encode() not in bytes(PspAccount.objects.get().api_key)
    owner = Api(made.api_key)
    content = problem(owner.send("PUT", address, credentials), 400, "invalid_request")
    assert fields(content) == {"base_url": "not_supported"}  # or a merchant could have us call our own network
    settings.SANDBOX_PSP_URL = credentials["base_url"]
    assert owner.send("PUT", address, credentials | {"webhook_secret": "whsec_2"}).status_code == 200
    assert PspAccount.objects.get().base_url == registry.SANDBOX
    assert PspAccount.objects.count() == 1
    body = {"checkout_id": "c", "currency": "EUR", "amount": "1.00"}
    assert owner.post("payments", body).status_code == 201
    problem(owner.send("PUT", f"merchants/{made.id}/psp-accounts/unheard", credentials), 404, "not_found")
    problem(owner.send("PUT", address, credentials | {"mode": "live"}), 400, "invalid_request")


def test_an_administrators_key_belongs_to_no_book(administrator: Api, checkout: dict[str, Any]) -> None:
    ApiKey.objects.filter(merchant=None).update(scopes=list(merchants.SCOPES))
    before = count_rows()
    for response in (
        administrator.post("payments", checkout),
        administrator.get("payments"),
        administrator.post("sellers", SELLER),
    ):
        problem(response, 403, "merchant_key_required")
    assert count_rows() == before
