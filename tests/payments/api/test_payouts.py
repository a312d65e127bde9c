"""Payouts over the API: bank accounts, verification, requests, and every refusal with nothing moved."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from config import seam
from ledger.ids import public_id
from ledger.invariants import Violation
from ledger.models import Account
from payments import own_bank_accounts, payout_stops
from payments.api import answers
from payments.api.signatures import sign
from payments.encryption import unseal
from payments.models import OutboxMessage, OwnBankAccount, Payout, PayoutDestination, PspAccount, Seller
from tests.factories import SIGNING_SECRET, Tenant
from tests.market import GOOD_IBAN, REFUSED_IBAN
from tests.payments.api.conftest import Api, fields, problem
from wallet import movements
from wallet.movements import Heading


def signed(api: Api, method: str, address: str, body: Any) -> Any:
    """Send a request with a signature."""
    content = json.dumps(body).encode()
    at, nonce = f"{seam.now():%Y-%m-%dT%H:%M:%SZ}", seam.new_uuid().hex
    signature = sign(
        SIGNING_SECRET,
        method=method,
        address=f"/api/v1/{address}",
        at=at,
        nonce=nonce,
        idempotency_key=nonce if method == "POST" else "",
        body=content,
    )
    headers = {"X-Request-Timestamp": at, "X-Request-Nonce": nonce, "X-Signature": f"sha256={signature}"}
    if method == "POST":
        headers["Idempotency-Key"] = nonce
    return api.send(method, address, content, **headers)


@pytest.fixture
def seller(shop: Tenant) -> Seller:
    """Make a verified seller with 90.00 EUR available."""
    row = shop.seller(external_id="ann", kyc_status="verified")
    now = seam.now()
    sale = Heading(shop.book.pk, "ord_1", "EUR", now, "tests")
    movements.record(
        [
            movements.settle_charge(sale, psp_account="stripe", seller=row.public_id, captured=10_000, fee=1_000),
            movements.release(sale, seller=row.public_id, amount=9_000, debt=0),
        ],
        now=now,
    )
    return row


@pytest.fixture
def payable(api: Api, seller: Seller) -> Seller:
    """Give the seller a bank account."""
    body = {"type": "iban", "iban": GOOD_IBAN, "account_holder": "Ann Example"}
    assert signed(api, "PUT", "sellers/ann/payout-destination", body).status_code == 200
    return seller


def test_a_bank_account_is_kept_sealed_and_shown_masked(api: Api, seller: Seller) -> None:
    body = {"type": "iban", "iban": "de89 3704 0044 0532 0130 00", "account_holder": "Ann Example"}
    answer = signed(api, "PUT", "sellers/ann/payout-destination", body)
    shown = json.loads(answer.content)
    assert (answer.status_code, shown["account"], shown["currency"]) == (200, "DE **** 3000", "EUR")
    assert GOOD_IBAN not in answer.content.decode()
    row = PayoutDestination.objects.get()
    opened = json.loads(unseal(row.details, identity=f"payout_destination.details:{row.public_id}"))
    assert opened == {"account_number": GOOD_IBAN, "account_holder": "Ann Example"}
    assert GOOD_IBAN.encode() not in bytes(row.details)
    assert signed(api, "PUT", "sellers/ann/payout-destination", body).content == answer.content
    assert PayoutDestination.objects.count() == 1


def test_a_change_of_bank_details_must_be_signed(api: Api, seller: Seller) -> None:
    body = {"type": "iban", "iban": GOOD_IBAN, "account_holder": "Ann Example"}
    problem(api.send("PUT", "sellers/ann/payout-destination", body), 401, "signature_required")
    assert PayoutDestination.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"type": "iban", "iban": "DE88370400440532013000"}, {"iban": "invalid_bank_account"}),
        ({"type": "iban", "iban": "DE8937040044053201300"}, {"iban": "invalid_bank_account"}),
        ({"type": "iban", "iban": "US89370400440532013000"}, {"iban": "invalid_bank_account"}),
        ({"type": "iban", "iban": "4242424242424242"}, {"iban": "invalid_bank_account"}),
        ({"type": "iban"}, {"iban": "required"}),
        ({"type": "iban", "iban": GOOD_IBAN, "sort_code": "200000"}, {"sort_code": "not_supported"}),
        ({"type": "us_bank", "routing_number": "110000001", "account_number": "000123456789"},
         {"routing_number": "invalid_bank_account"}),
        ({"type": "us_bank", "routing_number": "110000000", "account_number": "12x"},
         {"account_number": "invalid_bank_account"}),
        ({"type": "gb_bank", "sort_code": "1088", "account_number": "00012345"}, {"sort_code": "invalid_bank_account"}),
        ({"type": "gb_bank", "account_number": "00012345"}, {"sort_code": "required"}),
        ({"type": "paypal"}, {"type": "invalid_value"}),
    ],
)  # fmt: skip
def test_what_is_no_bank_account_is_refused(
    api: Api, seller: Seller, body: dict[str, str], wrong: dict[str, str]
) -> None:
    answer = signed(api, "PUT", "sellers/ann/payout-destination", {"account_holder": "Ann Example", **body})
    assert fields(problem(answer, 400, "invalid_request")) == wrong
    for value in body.values():
        assert value == body["type"] or value not in answer.content.decode()
    assert PayoutDestination.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"type": "us_bank", "routing_number": "110000000", "account_number": "000123456789"}, ("USD", "US **** 6789")),
        ({"type": "gb_bank", "sort_code": "10-88-00", "account_number": "00012345"}, ("GBP", "GB **** 2345")),
        ({"type": "iban", "iban": "FR1420041010050500013M02606"}, ("EUR", "FR **** 2606")),
        ({"type": "iban", "iban": GOOD_IBAN, "currency": "CHF"}, ("CHF", "DE **** 3000")),
    ],
)
def test_bank_accounts_of_other_countries(
    api: Api, seller: Seller, body: dict[str, str], shown: tuple[str, str]
) -> None:
    answer = signed(api, "PUT", "sellers/ann/payout-destination", {"account_holder": "Ann Example", **body})
    content = json.loads(answer.content)
    assert (content["currency"], content["account"]) == shown


def test_a_payout_is_asked_for_once_per_key(api: Api, payable: Seller) -> None:
    body = {"seller": "ann", "amount": "40.00", "currency": "EUR", "reference": "week-1"}
    answer = api.post("payouts", body, idempotency_key="k1")
    shown = json.loads(answer.content)
    assert (answer.status_code, shown["status"], shown["amount"]) == (201, "pending", "40.00")
    again = api.post("payouts", body, idempotency_key="k1")
    assert (again["Idempotency-Replayed"], again.content) == ("true", answer.content)
    assert json.loads(api.get(f"payouts/{shown['id']}").content) == shown
    assert json.loads(api.get("payouts?reference=week-1").content)["data"] == [shown]
    problem(api.post("payouts", body), 409, "payout_reference_exists")
    assert Payout.objects.count() == 1
    assert OutboxMessage.objects.filter(type="payout.pending").count() == 1
    wallets = json.loads(api.get("sellers/ann/wallets").content)["data"]
    assert (wallets[0]["available"], wallets[0]["in_transit"], wallets[0]["balance"]) == ("50.00", "40.00", "50.00")


def test_the_explanation_closes(api: Api, payable: Seller) -> None:
    made = json.loads(api.post("payouts", {"seller": "ann", "amount": "all", "currency": "EUR"}).content)
    tree = json.loads(api.get(f"payouts/{made['id']}/explain").content)
    assert (tree["amount"], tree["not_named"]) == ("90.00", "0.00")
    assert [(part["kind"], part["amount"], part["of"]) for part in tree["pays"]] == [("release", "90.00", "90.00")]


_BODY = {"seller": "ann", "amount": "40.00", "currency": "EUR"}


def _unmoved(block: Callable[[], Any]) -> Any:
    with connection.cursor() as cursor:
        count = "SELECT (SELECT count(*) FROM ledger_entry), (SELECT count(*) FROM payments_outboxmessage)"
        cursor.execute(count)
        before = cursor.fetchone()
        answer = block()
        cursor.execute(count)
        assert cursor.fetchone() == before
    assert Payout.objects.count() == 0
    return answer


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": "90.01"}, 422, "insufficient_available_balance"),
        ({"amount": "9.99"}, 422, "payout_below_minimum"),
        ({"currency": "USD"}, 422, "payout_currency_mismatch"),
        ({"seller": "nobody"}, 400, "invalid_request"),
        ({"amount": "1.001"}, 400, "invalid_request"),
        ({"amount": "0.00"}, 400, "invalid_request"),
        ({"amount": "everything"}, 400, "invalid_request"),
        ({"fee": "1"}, 400, "invalid_request"),
    ],
)
def test_a_wrong_payout_is_refused_and_moves_nothing(
    api: Api, payable: Seller, change: dict[str, str], status: int, code: str
) -> None:
    Seller.objects.filter(pk=payable.pk).update(payout_schedule={"interval": "manual", "minimum": "10.00"})
    _unmoved(lambda: problem(api.post("payouts", {**_BODY, **change}), status, code))


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"kyc_status": "unverified"}, 422, "seller_not_verified"),
        ({"kyc_status": "pending"}, 422, "seller_not_verified"),
        ({"kyc_status": "rejected"}, 422, "seller_not_verified"),
        ({"closed_at": seam.now()}, 409, "seller_closed"),
    ],
)
def test_a_seller_that_may_not_be_paid_is_refused(
    api: Api, payable: Seller, change: dict[str, Any], status: int, code: str
) -> None:
    Seller.objects.filter(pk=payable.pk).update(**change)
    _unmoved(lambda: problem(api.post("payouts", _BODY), status, code))


def test_a_seller_without_a_bank_account_is_refused(api: Api, seller: Seller) -> None:
    _unmoved(lambda: problem(api.post("payouts", _BODY), 422, "payout_destination_missing"))


def test_a_bank_account_that_cools_down_is_not_paid_to(api: Api, seller: Seller, settings: Any) -> None:
    settings.PAYOUT_COOL_DOWN_HOURS = {"test": 1, "live": 1}
    body = {"type": "iban", "iban": REFUSED_IBAN, "account_holder": "Ann Example"}
    signed(api, "PUT", "sellers/ann/payout-destination", body)
    _unmoved(lambda: problem(api.post("payouts", _BODY), 422, "payout_destination_cooling_down"))


def test_another_merchants_payout_does_not_exist(api: Api, other: Tenant, payable: Seller) -> None:
    made = json.loads(api.post("payouts", _BODY).content)
    for address in (f"payouts/{made['id']}", f"payouts/{made['id']}/explain"):
        problem(Api(other.key).get(address), 404, "not_found")
    problem(Api(other.key).post(f"payouts/{made['id']}/cancel", {}), 404, "not_found")
    problem(Api(other.key).post("payouts", _BODY), 400, "invalid_request")
    assert Payout.objects.get().status == "pending"


def test_a_payout_is_cancelled_over_the_api(api: Api, payable: Seller) -> None:
    made = json.loads(api.post("payouts", _BODY).content)
    answer = api.post(f"payouts/{made['id']}/cancel", {})
    assert (answer.status_code, json.loads(answer.content)["status"]) == (200, "cancelled")
    problem(api.post(f"payouts/{made['id']}/cancel", {}), 409, "payout_not_cancellable")


def test_verification_and_changes_of_a_seller(api: Api, seller: Seller) -> None:
    answer = json.loads(api.post("sellers/ann/kyc", {"status": "rejected", "reference": "case 7"}).content)
    assert answer["kyc_status"] == "rejected"
    changed = api.send(
        "PATCH",
        "sellers/ann",
        {"name": "Ann's", "payout_schedule": {"interval": "weekly", "minimum": "20.00"}, "status": "closed"},
    )
    shown = json.loads(changed.content)
    assert (shown["name"], shown["status"], shown["payout_schedule"]) == (
        "Ann's",
        "closed",
        {"interval": "weekly", "minimum": "20.00"},
    )
    assert json.loads(api.send("PATCH", "sellers/ann", {"status": "active"}).content)["status"] == "active"
    wrong = api.send("PATCH", "sellers/ann", {"payout_schedule": {"interval": "hourly"}, "country": "FR"})
    assert fields(problem(wrong, 400, "invalid_request")) == {
        "payout_schedule.interval": "invalid_value",
        "country": "unknown_field",
    }


def test_a_stopped_book_pays_nothing_out(api: Api, shop: Tenant, payable: Seller) -> None:
    found = Violation("book_sums_to_zero", "off by one", book_id=shop.book.pk)
    assert payout_stops.stop([found], actor="checks", now=seam.now()) == 1
    _unmoved(lambda: problem(api.post("payouts", _BODY), 409, "payouts_stopped"))


def test_the_pay_out_event_is_a_payout(api: Api, payable: Seller) -> None:
    body = {"payment_type": "pay_out", "seller": "ann", "amount": "40.00", "currency": "EUR"}
    answer = api.post("payments", body, idempotency_key="k1")
    shown = json.loads(answer.content)
    assert (answer.status_code, shown["object"], shown["status"]) == (201, "payout", "pending")
    again = api.post("payments", body, idempotency_key="k1")
    assert (again["Idempotency-Replayed"], again.content) == ("true", answer.content)
    assert Payout.objects.count() == 1
    problem(api.post("payments", {**body, "amount": "40.01"}, idempotency_key="k1"), 422, "idempotency_key_reused")
    problem(api.post("payments", {**body, "amount": "90.00"}), 422, "insufficient_available_balance")
    problem(api.post("payments", body, idempotency_key=None), 400, "idempotency_key_missing")
    wrong = api.post("payments", {**body, "buyer": {}, "amount": "x"})
    assert fields(problem(wrong, 400, "invalid_request")) == {"buyer": "unknown_field", "amount": "invalid_amount"}
    assert Payout.objects.count() == 1


def test_a_pay_out_event_needs_the_scope_of_payouts(api: Api, shop: Tenant, payable: Seller) -> None:
    shop.api_key.scopes = ["payments:write"]
    shop.api_key.save()
    body = {"payment_type": "pay_out", "seller": "ann", "amount": "40.00", "currency": "EUR"}
    problem(api.post("payments", body), 403, "scope_missing")
    bulk = api.post("payments/bulk", {"payments": [{**body, "idempotency_key": "b1"}]}, idempotency_key=None)
    assert [item["status"] for item in json.loads(bulk.content)["data"]] == [403]
    assert Payout.objects.count() == 0


def test_a_bulk_request_mixes_both_types(api: Api, payable: Seller) -> None:
    items = [
        {"idempotency_key": "b1", "payment_type": "pay_out", "seller": "ann", "amount": "40.00", "currency": "EUR"},
        {"idempotency_key": "b2", "checkout_id": "c-1", "currency": "EUR", "amount": "10.00"},
        {"idempotency_key": "b3", "payment_type": "pay_out", "seller": "ann", "amount": "60.00", "currency": "EUR"},
        {"idempotency_key": "b4", "payment_type": "pay_out", "seller": "ann", "amount": "all", "currency": "EUR"},
    ]
    answer = api.post("payments/bulk", {"payments": items}, idempotency_key=None)
    data = json.loads(answer.content)["data"]
    assert [item["status"] for item in data] == [201, 201, 422, 201]
    assert data[2]["error"]["code"] == "insufficient_available_balance"
    assert [data[0]["payout"]["amount"], data[3]["payout"]["amount"]] == ["40.00", "50.00"]
    again = json.loads(api.post("payments/bulk", {"payments": items}, idempotency_key=None).content)["data"]
    assert again[0] == {**data[0], "replayed": True}
    assert Payout.objects.count() == 2


def test_bank_details_that_come_along_are_put_and_must_be_signed(api: Api, seller: Seller, settings: Any) -> None:
    details = {"type": "iban", "iban": GOOD_IBAN, "account_holder": "Ann Example"}
    body = {**_BODY, "payment_type": "pay_out", "seller_details": details}
    problem(api.post("payments", body), 401, "signature_required")
    wrong = {**body, "seller_details": {**details, "iban": "DE88370400440532013000"}}
    problem(signed(api, "POST", "payments", wrong), 400, "invalid_request")
    settings.PAYOUT_COOL_DOWN_HOURS = {"test": 1, "live": 1}
    problem(signed(api, "POST", "payments", body), 422, "payout_destination_cooling_down")
    assert (Payout.objects.count(), PayoutDestination.objects.count()) == (0, 0)
    settings.PAYOUT_COOL_DOWN_HOURS = {"test": 0, "live": 1}
    answer = signed(api, "POST", "payments", body)
    assert (answer.status_code, json.loads(answer.content)["destination"]["account"]) == (201, "DE **** 3000")


# --- the merchant's own bank account -------------------------------------------------------------------------------

_OWN = {"iban": "DE02 1203 0000 0000 2020 51", "account_holder": "Market GmbH", "bic": "BYLADEM1001"}


def test_a_merchant_sets_its_own_bank_account_down(api: Api, shop: Tenant) -> None:
    address = f"merchants/{public_id('mer', shop.merchant.public_id)}/bank-accounts/main"
    answer = signed(api, "PUT", address, _OWN)
    assert answer.status_code == 200, answer.content
    shown = answers.OwnBankAccount.model_validate_json(answer.content)
    assert list(json.loads(answer.content)) == list(answers.OwnBankAccount.model_fields)
    assert (shown.name, shown.account, shown.bic, shown.status) == ("main", "DE **** 2051", "BYLADEM1001", "paying")
    row = OwnBankAccount.objects.get()
    assert b"0000202051" not in bytes(row.details)
    assert own_bank_accounts.iban_of(row) == "DE02120300000000202051"
    found = own_bank_accounts.by_iban(shop.book.pk, "de02120300000000202051")
    assert found is not None
    assert found.pk == row.pk
    assert Account.objects.filter(book=shop.book, code="bank:main:EUR").exists()
    assert signed(api, "PUT", address, _OWN).content == answer.content
    other = {**_OWN, "iban": "DE02500105170137075030"}
    problem(signed(api, "PUT", address, other), 409, "bank_account_exists")
    assert signed(api, "PUT", address.replace("main", "second"), other).status_code == 200
    assert [(one.name, one.closed_at is None) for one in OwnBankAccount.objects.order_by("pk")] == [
        ("main", False),
        ("second", True),
    ]


@pytest.mark.parametrize(
    ("name", "change", "wrong"),
    [
        ("main", {"iban": "DE02120300000000202052"}, {"iban": "invalid_bank_account"}),
        ("main", {"bic": "XX"}, {"bic": "invalid_value"}),
        ("main", {"account_holder": ""}, {"account_holder": "too_short"}),
        ("main", {"file_format": "pain.008.001.02"}, {"file_format": "invalid_value"}),
        ("main", {"mode": "live"}, {"mode": "invalid_value"}),
        ("main", {"currency": "XXX"}, {"currency": "invalid_currency"}),
        ("in_transit", {}, {"name": "invalid_value"}),
        ("A:b", {}, {"name": "invalid_value"}),
    ],
)
def test_a_wrong_bank_account_of_its_own_is_refused(
    api: Api, shop: Tenant, name: str, change: dict[str, str], wrong: dict[str, str]
) -> None:
    address = f"merchants/{public_id('mer', shop.merchant.public_id)}/bank-accounts/{name}"
    content = problem(signed(api, "PUT", address, {**_OWN, **change}), 400, "invalid_request")
    assert fields(content) == wrong
    assert "2020" not in json.dumps(content)
    problem(api.send("PUT", address, {**_OWN, **change}), 401, "signature_required")
    assert OwnBankAccount.objects.count() == 0


def test_a_merchant_whose_bank_pays_is_told_what_the_bank_cannot_do(api: Api, shop: Tenant, seller: Seller) -> None:
    PspAccount.objects.filter(book=shop.book).update(payout_mode="bank")
    problem(api.post("payouts", _BODY), 409, "no_bank_account")
    problem(api.post("payouts", {**_BODY, "currency": "USD"}), 422, "payout_currency_not_sepa")
    assert Payout.objects.count() == 0
