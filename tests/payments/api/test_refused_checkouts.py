"""Whatever is wrong with a checkout is named, all of it at once, and nothing is stored."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.payments.api.conftest import Api, fields, problem

Block = Callable[[], Any]
REMOVE = object()


def fullwidth(digits: str) -> str:
    """Write digits in their full-width form."""
    return "".join(chr(ord(digit) + 0xFEE0) for digit in digits)


def changed(checkout: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return the checkout with one place changed (`payment_orders.0.amount`)."""
    result = copy.deepcopy(checkout)
    place: Any = result
    *steps, last = path.split(".")
    for step in steps:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is REMOVE:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return result


@pytest.mark.parametrize(
    ("path", "value", "field", "code"),
    [
        ("checkout_id", REMOVE, "checkout_id", "required"),
        ("checkout_id", "", "checkout_id", "too_short"),
        ("checkout_id", "x" * 256, "checkout_id", "too_long"),
        ("checkout_id", "a\nb", "checkout_id", "invalid_value"),
        ("checkout_id", 7, "checkout_id", "invalid_type"),
        ("payment_type", "pay_over", "payment_type", "invalid_value"),
        ("currency", REMOVE, "currency", "required"),
        ("currency", "eur", "currency", "invalid_currency"),
        ("currency", "XXX", "currency", "invalid_currency"),
        ("currency", 978, "currency", "invalid_currency"),
        ("buyer", "ann", "buyer", "invalid_type"),
        ("buyer.email", "ann", "buyer.email", "invalid_email"),
        ("buyer.country", "Germany", "buyer.country", "invalid_country"),
        ("buyer.kind", "robot", "buyer.kind", "invalid_value"),
        ("buyer.ssn", "1", "buyer.ssn", "unknown_field"),
        ("payment_orders", REMOVE, "payment_orders", "required"),
        ("payment_orders", [], "payment_orders", "too_short"),
        ("payment_orders", {}, "payment_orders", "invalid_type"),
        ("payment_orders.0", "x", "payment_orders[0]", "invalid_type"),
        ("payment_orders.1.seller", REMOVE, "payment_orders[1].seller", "required"),
        ("payment_orders.1.seller", "nobody", "payment_orders[1].seller", "unknown_seller"),
        ("payment_orders.1.seller", "sel_" + "0" * 26, "payment_orders[1].seller", "unknown_seller"),
        ("payment_orders.1.seller", 5, "payment_orders[1].seller", "invalid_type"),
        ("payment_orders.0.amount", REMOVE, "payment_orders[0].amount", "required"),
        ("payment_orders.0.currency", "USD", "payment_orders[0].currency", "currency_mismatch"),
        ("payment_orders.0.status", "SUCCESS", "payment_orders[0].status", "unknown_field"),
        ("payment_orders.0.metadata", {"a": 1}, "payment_orders[0].metadata", "invalid_type"),
        ("payment_orders.0.description", "x" * 501, "payment_orders[0].description", "too_long"),
        ("amount_captured", "25.00", "amount_captured", "unknown_field"),
        ("merchant_id", "mer_1", "merchant_id", "unknown_field"),
        ("fee", "0.00", "fee", "unknown_field"),
        ("amount", "24.00", "amount", "sum_mismatch"),
        ("items", [{"seller": "ann", "amount": "25.00"}], "items", "ambiguous"),
        ("payment_method", {}, "payment_method.token", "required"),
        ("payment_method", {"token": "pm card"}, "payment_method.token", "invalid_token"),
        ("payment_method_types", [], "payment_method_types", "too_short"),
        ("payment_method_types", ["cheque"], "payment_method_types[0]", "invalid_value"),
        ("payment_method_types", ["card", "card"], "payment_method_types", "duplicate"),
        ("charge_mode", "both", "charge_mode", "invalid_value"),
        ("capture", "later", "capture", "invalid_value"),
        ("return_url", "javascript:alert(1)", "return_url", "invalid_url"),
        ("return_url", "//evil.example", "return_url", "invalid_url"),
        ("return_url", "https://user:word@shop.example/", "return_url", "invalid_url"),
        ("return_url", "https://shop.example/\r\nSet-Cookie: a=b", "return_url", "invalid_url"),
        ("return_url", "https://shop.example/" + "x" * 2048, "return_url", "too_long"),
        ("metadata", {str(n): "v" for n in range(51)}, "metadata", "too_long"),
        ("metadata", {"k" * 41: "v"}, "metadata", "too_long"),
        ("metadata", {"k": "v" * 501}, "metadata", "too_long"),
        ("metadata", ["k"], "metadata", "invalid_type"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(
    *, api: Api, checkout: dict[str, Any], nothing_stored: Block, path: str, value: Any, field: str, code: str
) -> None:
    with nothing_stored():
        content = problem(api.post("payments", changed(checkout, path, value)), 400, "invalid_request")
    assert fields(content) == {field: code}


@pytest.mark.parametrize(
    "amount",
    [
        *("1e3", "-1", "+1", "0", "0.00", "01.00", "1,00", "1.", ".5", " 1", "1 ", "\u0663", "10\u0660", "1.999"),
        *("1" * 13, 10.5, 10, True, None, [], {}, "NaN", "Infinity", "9223372036854775808", "0x10", ""),
    ],
)
def test_what_is_no_amount_is_refused(api: Api, checkout: dict[str, Any], nothing_stored: Block, amount: Any) -> None:
    with nothing_stored():
        content = problem(
            api.post("payments", changed(checkout, "payment_orders.0.amount", amount)), 400, "invalid_request"
        )
    assert fields(content) == {"payment_orders[0].amount": "invalid_amount"}


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "19.9"), ("KWD", "1.9999"), ("EUR", "1.999")])
def test_decimals_belong_to_the_currency(
    api: Api, checkout: dict[str, Any], nothing_stored: Block, currency: str, amount: str
) -> None:
    body = changed(changed(checkout, "currency", currency), "payment_orders", [{"seller": "ann", "amount": amount}])
    with nothing_stored():
        content = problem(api.post("payments", body), 400, "invalid_request")
    assert fields(content) == {"payment_orders[0].amount": "invalid_amount"}


def test_every_bad_field_is_named_at_once(api: Api, checkout: dict[str, Any], nothing_stored: Block) -> None:
    body = checkout | {"checkout_id": "", "colour": "red", "return_url": "ftp://x", "amount": "1.00"}
    body["payment_orders"] = [
        {"seller": "nobody", "amount": "1.999"},
        {"seller": "ann", "amount": 5, "currency": "USD"},
    ]
    with nothing_stored():
        content = problem(api.post("payments", body), 400, "invalid_request")
    assert fields(content) == {
        "checkout_id": "too_short",
        "colour": "unknown_field",
        "return_url": "invalid_url",
        "payment_orders[0].seller": "unknown_seller",
        "payment_orders[0].amount": "invalid_amount",
        "payment_orders[1].amount": "invalid_amount",
        "payment_orders[1].currency": "currency_mismatch",
    }


def test_more_than_a_hundred_orders_are_refused(api: Api, checkout: dict[str, Any], nothing_stored: Block) -> None:
    body = changed(checkout, "payment_orders", [{"seller": "ann", "amount": "1.00"}] * 101)
    with nothing_stored():
        content = problem(api.post("payments", body), 400, "invalid_request")
    assert fields(content) == {"payment_orders": "too_long"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"a": 1, "a": 2}',
        b'{"metadata": {"a": "1", "a": "2"}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\xff"}',
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": "\\ud800"}',
        b"\xef\xbb\xbf{}",
        b'{"a": ' + b"[" * 25 + b"]" * 25 + b"}",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_not_strict_json_is_refused(api: Api, nothing_stored: Block, body: bytes) -> None:
    with nothing_stored():
        problem(api.post("payments", body), 400, "invalid_json")


def test_a_body_over_its_limit_is_refused_unread(api: Api, nothing_stored: Block) -> None:
    with nothing_stored():
        problem(api.post("payments", b" " * (256 * 1024 + 1)), 413, "body_too_large")
        problem(api.post("payments/bulk", b" " * (2 * 1024 * 1024 + 1), idempotency_key=None), 413, "body_too_large")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin-1"]
)
def test_another_content_type_is_refused(
    api: Api, checkout: dict[str, Any], nothing_stored: Block, content_type: str
) -> None:
    with nothing_stored():
        response = api.post("payments", checkout, **{"Content-Type": content_type})
        problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_missing"),
        ('"', "idempotency_key_invalid"),
        ('""', "idempotency_key_invalid"),
        ("a" * 256, "idempotency_key_invalid"),
        ("one, two", "idempotency_key_invalid"),
        ('"one", "two"', "idempotency_key_invalid"),
        ("schlüssel", "idempotency_key_invalid"),
        ("4242424242424242", "card_number_not_accepted"),
    ],
)
def test_a_bad_idempotency_key_is_refused(
    api: Api, checkout: dict[str, Any], nothing_stored: Block, key: str | None, code: str
) -> None:
    with nothing_stored():
        problem(api.post("payments", checkout, idempotency_key=key), 400, code)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata", {"note": "4242424242424242"}),
        ("metadata", {"4242424242424242": "x"}),
        ("metadata", {"reference": "4242424242424242"}),
        ("payment_orders.0.description", "card 4242 4242 4242 4242 12/27"),
        ("payment_orders.0.description", "4242-4242-4242-4242"),
        ("payment_orders.0.description", fullwidth("378282246310005")),
        ("payment_orders.0.description", '{"card": {"number": "5555555555554444"}}'),
        ("payment_orders.0.metadata", {"a": "4242%204242%204242%204242"}),
        ("buyer.name", "6011 1111 1111 1117"),
        ("buyer.id", "4000056655665556"),
        ("payment_method.token", "4242424242424242"),
        ("return_url", "https://shop.example/?pan=4242424242424242"),
        ("unknown", 4242424242424242),
    ],
)
def test_a_card_number_is_refused_wherever_it_is(
    api: Api, checkout: dict[str, Any], nothing_stored: Block, path: str, value: Any
) -> None:
    with nothing_stored():
        response = api.post("payments", changed(checkout, path, value))
        content = problem(response, 400, "card_number_not_accepted")
    assert "4242" not in json.dumps(content)


def test_a_card_number_in_the_address_is_refused(api: Api, checkout: dict[str, Any], nothing_stored: Block) -> None:
    with nothing_stored():
        problem(api.post("payments?x=4242424242424242", checkout), 400, "card_number_not_accepted")
        problem(api.get("payments?status=4242424242424242"), 400, "card_number_not_accepted")
        problem(api.get("payments?x=4242%204242%204242%204242"), 400, "card_number_not_accepted")
        problem(api.get("payments/4242424242424242"), 400, "card_number_not_accepted")


def test_ids_may_look_like_card_numbers(api: Api, checkout: dict[str, Any]) -> None:
    body = changed(checkout, "checkout_id", "4242424242424242")
    body = changed(body, "payment_orders.0.reference", "5555555555554444")
    assert api.post("payments", body).status_code == 201
    assert len(json.loads(api.get("payments?checkout_id=4242424242424242").content)["data"]) == 1
    assert len(json.loads(api.get("payment-orders?reference=5555555555554444").content)["data"]) == 1
    problem(api.get("sellers/4242424242424242"), 404, "not_found")


def test_without_a_valid_key_nothing_is_told(api: Api, checkout: dict[str, Any], nothing_stored: Block) -> None:
    with nothing_stored():
        api.key = "sk_test_unknown"
        problem(api.post("payments", checkout), 401, "api_key_invalid")
        problem(api.post("payments", b"{"), 401, "api_key_invalid")
        problem(api.post("payments", changed(checkout, "currency", "x")), 401, "api_key_invalid")
        problem(api.post("payments", checkout, Authorization="Basic abc"), 401, "authentication_required")
        problem(api.post("payments", checkout, Authorization="Bearer "), 401, "authentication_required")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_method_that_does_not_exist_is_refused(api: Api, method: str) -> None:
    response = api.send(method, "payments", {})
    problem(response, 405, "method_not_allowed")
    assert "POST" in response["Allow"]
