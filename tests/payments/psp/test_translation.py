"""Stripe's objects in our words: its published samples, every status, and what must not be guessed."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import stripe

from payments.psp.base import ObjectKind, ObjectStatus
from payments.psp.failures import MESSAGES, RETRYABLE_BY_BUYER, FailureCode, failure_of
from payments.psp.stripe.fields import UnexpectedFormError
from payments.psp.stripe.translation import (
    TRANSLATORS,
    balance_snapshot,
    charge_snapshot,
    failure_from,
    method_details,
    next_action,
    refund_snapshot,
    saved_method_snapshot,
    session_snapshot,
)
from tests.sandbox_process import ROOT

SAMPLES = ROOT.parent / "shared" / "data" / "stripe-fixtures3.json"
NAMES = {
    ObjectKind.CHARGE: "payment_intent",
    ObjectKind.SESSION: "checkout.session",
    ObjectKind.SAVED_METHOD: "setup_intent",
    ObjectKind.REFUND: "refund",
    ObjectKind.DISPUTE: "dispute",
    ObjectKind.PAYEE: "account",
    ObjectKind.TRANSFER: "transfer",
    ObjectKind.REVERSAL: "transfer_reversal",
    ObjectKind.PAYOUT: "payout",
}
CLASSES = {
    ObjectKind.CHARGE: stripe.PaymentIntent,
    ObjectKind.SESSION: stripe.checkout.Session,
    ObjectKind.SAVED_METHOD: stripe.SetupIntent,
    ObjectKind.REFUND: stripe.Refund,
    ObjectKind.DISPUTE: stripe.Dispute,
    ObjectKind.PAYEE: stripe.Account,
    ObjectKind.TRANSFER: stripe.Transfer,
    ObjectKind.REVERSAL: stripe.TransferReversal,
    ObjectKind.PAYOUT: stripe.Payout,
}
INTENT: dict[str, Any] = {
    "object": "payment_intent",
    "id": "pi_1",
    "status": "succeeded",
    "currency": "eur",
    "amount": 500,
    "amount_received": 500,
    "amount_capturable": 0,
    "created": 1,
    "metadata": {"florin_operation": "op"},
}
SETUP: dict[str, Any] = {"object": "setup_intent", "id": "seti_1", "status": "succeeded", "created": 1, "metadata": {}}
SESSION: dict[str, Any] = {
    "object": "checkout.session",
    "id": "cs_1",
    "status": "open",
    "currency": "eur",
    "created": 1,
}
REFUND: dict[str, Any] = {"object": "refund", "id": "re_1", "status": "succeeded", "currency": "eur", "amount": 5}
DISPUTE: dict[str, Any] = {
    "object": "dispute",
    "id": "du_1",
    "status": "lost",
    "currency": "eur",
    "amount": 5,
    "created": 1,
    "payment_intent": "pi_1",
    "balance_transactions": [],
}
OBJECTS = {
    ObjectKind.CHARGE: INTENT,
    ObjectKind.SESSION: SESSION,
    ObjectKind.SAVED_METHOD: SETUP,
    ObjectKind.REFUND: REFUND,
    ObjectKind.DISPUTE: DISPUTE,
    ObjectKind.PAYEE: {"object": "account", "id": "acct_1", "created": 1, "metadata": {}},
    ObjectKind.TRANSFER: {
        "object": "transfer", "id": "tr_1", "currency": "eur", "amount": 5, "created": 1, "destination": "acct_1",
    },
    ObjectKind.REVERSAL: {
        "object": "transfer_reversal", "id": "trr_1", "currency": "eur", "amount": 5, "created": 1, "transfer": "tr_1",
    },
    ObjectKind.PAYOUT: {
        "object": "payout", "id": "po_1", "status": "paid", "currency": "eur", "amount": 5, "created": 1,
    },
}  # fmt: skip
WITHOUT_STATUS = (ObjectKind.PAYEE, ObjectKind.TRANSFER, ObjectKind.REVERSAL)


class Watched(Mapping[str, object]):
    """An object that remembers which of its fields were read."""

    def __init__(self, inner: dict[str, object]) -> None:
        self.inner = inner
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> object:
        self.read.add(name)
        return self.inner[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.inner)

    def __len__(self) -> int:
        return len(self.inner)


@pytest.mark.parametrize("kind", TRANSLATORS)
def test_only_fields_that_the_sdk_knows_are_read(kind: ObjectKind) -> None:
    """A field name that we had made up would always read as absent, and nothing else would notice."""
    watched = Watched(OBJECTS[kind])
    TRANSLATORS[kind](watched)
    assert watched.read >= {"object", "id"} | ({"status"} if kind not in WITHOUT_STATUS else set())
    assert watched.read <= set(CLASSES[kind].__annotations__)


@pytest.mark.skipif(not SAMPLES.exists(), reason="Stripe's published samples are not beside this checkout")
@pytest.mark.parametrize("kind", TRANSLATORS)
def test_the_published_samples_are_understood(kind: ObjectKind) -> None:
    sample = json.loads(SAMPLES.read_text())["resources"][NAMES[kind]]
    snapshot = TRANSLATORS[kind](sample)
    assert (snapshot.kind, snapshot.psp_id) == (kind, sample["id"])
    if "amount" in sample:
        assert (snapshot.amount_minor, snapshot.currency) == (sample["amount"], sample["currency"].upper())


@pytest.mark.parametrize(
    ("status", "more", "expected"),
    [
        ("requires_payment_method", {}, ObjectStatus.OPEN),
        ("requires_payment_method", {"last_payment_error": {"code": "card_declined"}}, ObjectStatus.DECLINED),
        ("requires_confirmation", {}, ObjectStatus.OPEN),
        ("requires_action", {}, ObjectStatus.REQUIRES_ACTION),
        ("processing", {}, ObjectStatus.PROCESSING),
        ("requires_capture", {}, ObjectStatus.AUTHORIZED),
        ("succeeded", {}, ObjectStatus.SUCCEEDED),
        ("canceled", {"last_payment_error": {"code": "card_declined"}}, ObjectStatus.CANCELLED),
    ],
)
def test_statuses_of_an_intent(status: str, more: dict[str, Any], expected: ObjectStatus) -> None:
    snapshot = charge_snapshot({**INTENT, "status": status, **more})
    assert snapshot.status is expected
    assert (snapshot.failure is not None) == (expected is ObjectStatus.DECLINED)


@pytest.mark.parametrize(
    "status", ["requires_payment_method", "requires_action", "processing", "succeeded", "canceled"]
)
def test_statuses_of_a_setup_intent_are_the_same(status: str) -> None:
    assert (
        saved_method_snapshot({**SETUP, "status": status}).status
        is charge_snapshot({**INTENT, "status": status}).status
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"status": "open"}, ObjectStatus.OPEN),
        ({"status": "expired"}, ObjectStatus.CANCELLED),
        ({"status": "complete", "payment_status": "paid"}, ObjectStatus.SUCCEEDED),
        ({"status": "complete", "payment_status": "no_payment_required"}, ObjectStatus.SUCCEEDED),
        ({"status": "complete", "payment_status": "unpaid"}, ObjectStatus.PROCESSING),
        ({"status": "complete", "payment_status": "unpaid", "payment_intent": "pi_1"}, ObjectStatus.PROCESSING),
        (
            {
                "status": "complete",
                "payment_status": "unpaid",
                "payment_intent": {**INTENT, "status": "requires_capture"},
            },
            ObjectStatus.AUTHORIZED,
        ),
        ({"status": "complete", "payment_status": "paid", "payment_intent": INTENT}, ObjectStatus.SUCCEEDED),
        (
            {"status": "complete", "payment_status": "no_payment_required", "setup_intent": SETUP},
            ObjectStatus.SUCCEEDED,
        ),
    ],
)
def test_statuses_of_a_session(more: dict[str, Any], expected: ObjectStatus) -> None:
    snapshot = session_snapshot({**SESSION, **more})
    assert snapshot.status is expected
    assert snapshot.charge_psp_id == ("pi_1" if "payment_intent" in more else "")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", ObjectStatus.PROCESSING),
        ("requires_action", ObjectStatus.REQUIRES_ACTION),
        ("succeeded", ObjectStatus.SUCCEEDED),
        ("failed", ObjectStatus.FAILED),
        ("canceled", ObjectStatus.CANCELLED),
    ],
)
def test_statuses_of_a_refund(status: str, expected: ObjectStatus) -> None:
    snapshot = refund_snapshot(
        {**REFUND, "status": status, "charge": "ch_1", "failure_reason": "expired_or_canceled_card"}
    )
    assert (snapshot.status, snapshot.charge_psp_id) == (expected, "ch_1")
    assert (snapshot.failure is not None) == (expected is ObjectStatus.FAILED)


@pytest.mark.parametrize("kind", TRANSLATORS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"object": "charge"},
        {"id": None},
        {"id": 5},
        {"status": "brand_new"},
        {"status": None},
        {"created": "yesterday"},
        {"created": 10**40},
    ],
)
def test_another_form_is_not_guessed_at(kind: ObjectKind, wrong: dict[str, Any]) -> None:
    if "status" in wrong and kind in WITHOUT_STATUS:
        TRANSLATORS[kind]({**OBJECTS[kind], **wrong})  # it has none, so none is read
        return
    with pytest.raises(UnexpectedFormError):
        TRANSLATORS[kind]({**OBJECTS[kind], **wrong})


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", ObjectStatus.PROCESSING),
        ("in_transit", ObjectStatus.PROCESSING),
        ("paid", ObjectStatus.SUCCEEDED),
        ("failed", ObjectStatus.FAILED),
        ("canceled", ObjectStatus.CANCELLED),
    ],
)
def test_statuses_of_a_payout(status: str, expected: ObjectStatus) -> None:
    shown = {**OBJECTS[ObjectKind.PAYOUT], "status": status, "failure_code": "account_closed"}
    snapshot = TRANSLATORS[ObjectKind.PAYOUT](shown)
    assert snapshot.status is expected
    assert (snapshot.failure is not None) == (status in ("failed", "canceled"))


def test_a_balance_is_what_is_available_of_the_currency() -> None:
    part = {"amount": 700, "currency": "eur"}
    balance = {"object": "balance", "available": [part, {"amount": -5, "currency": "usd"}], "pending": [part]}
    assert balance_snapshot(balance, "EUR").amount_minor == 700
    assert balance_snapshot(balance, "USD").amount_minor == -5
    assert balance_snapshot(balance, "CHF").amount_minor == 0
    for wrong in ({"available": None}, {"available": [{"currency": "eur"}]}, {"object": "charge"}):
        with pytest.raises(UnexpectedFormError):
            balance_snapshot({**balance, **wrong}, "EUR")


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "500"},
        {"amount": 5.0},
        {"amount": True},
        {"amount": None},
        {"currency": ""},
        {"currency": "xxx"},
        {"currency": "isk", "amount": 550},
        {"amount_received": "500"},
        {"amount_received": None},
        {"amount_received": None, "latest_charge": {"amount_refunded": 100}},
        {"amount_capturable": 1.5},
        {"next_action": {"type": None}},
        {"customer": {"id": 5}},
    ],
)
def test_amounts_and_references_are_never_guessed(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedFormError):
        charge_snapshot({**INTENT, **wrong})


def test_what_a_server_of_an_older_dialect_says_for_certain_is_read() -> None:
    older = {**INTENT, "amount_received": None}
    assert charge_snapshot({**older, "latest_charge": {"amount_captured": 300}}).captured_minor == 300
    assert charge_snapshot({**older, "latest_charge": {"amount_refunded": 0}}).captured_minor == 500
    assert charge_snapshot({**older, "status": "processing"}).captured_minor == 0
    held = charge_snapshot({**older, "status": "requires_capture", "amount_capturable": None})
    assert (held.captured_minor, held.capturable_minor) == (0, 500)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (None, None),
        ({"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}, None),
        (
            {"type": "redirect_to_url", "redirect_to_url": {"url": "https://a/", "return_url": "https://b/"}},
            ("redirect", "https://a/"),
        ),
        (
            {
                "type": "promptpay_display_qr_code",
                "promptpay_display_qr_code": {"hosted_instructions_url": "https://q/"},
            },
            ("display_qr_code", "https://q/"),
        ),
        (
            {"type": "wechat_pay_display_qr_code", "wechat_pay_display_qr_code": {"image_url_png": "https://i/"}},
            ("display_qr_code", "https://i/"),
        ),
        (
            {"type": "boleto_display_details", "boleto_display_details": {"hosted_voucher_url": "https://v/"}},
            ("redirect", "https://v/"),
        ),
        ({"type": "something_new"}, None),
    ],
)
def test_where_the_buyer_goes(action: dict[str, Any] | None, expected: tuple[str, str] | None) -> None:
    found = next_action({"next_action": action})
    assert (None if found is None else (found.type, found.url)) == expected


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (
            {"type": "card", "card": {"brand": "visa", "funding": "credit", "last4": "4242"}},
            ("card", "credit", "visa", "4242"),
        ),
        (
            {"type": "card", "card": {"brand": "visa", "funding": "unknown", "last4": "4242"}},
            ("card", "", "visa", "4242"),
        ),
        (
            {
                "type": "card",
                "card": {"brand": "amex", "funding": "prepaid", "last4": "1", "wallet": {"type": "apple_pay"}},
            },
            ("wallet", "prepaid", "amex", "1"),
        ),
        ({"type": "card", "card": {"last4": "4111111111111111"}}, ("card", "", "", "1111")),
        ({"type": "link", "link": {}}, ("wallet", "", "link", "")),
        ({"type": "wechat_pay"}, ("qr", "", "wechat_pay", "")),
        ({"type": "brand_new"}, ("wallet", "", "brand_new", "")),
    ],
)
def test_a_method_is_described_with_no_more_than_this(details: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = method_details(details)
    assert (found.type, found.funding, found.brand, found.last4) == expected


@pytest.mark.parametrize(
    ("error", "code", "psp_code"),
    [
        ({"code": "card_declined", "decline_code": "insufficient_funds"}, "insufficient_funds", "insufficient_funds"),
        ({"code": "card_declined", "decline_code": "lost_card"}, "card_declined", "lost_card"),
        ({"code": "card_declined", "decline_code": "never_heard_of"}, "card_declined", "never_heard_of"),
        ({"code": "expired_card"}, "expired_card", "expired_card"),
        ({"code": "authentication_required"}, "authentication_required", "authentication_required"),
        ({"code": "amount_too_small"}, "amount_not_accepted", "amount_too_small"),
        ({"type": "card_error"}, "card_declined", "card_error"),
        ({}, "card_declined", ""),
        ({"code": 5, "decline_code": []}, "card_declined", ""),
    ],
)
def test_reasons(error: dict[str, Any], code: str, psp_code: str) -> None:
    failure = failure_from(error)
    assert (failure.code, failure.psp_code) == (code, psp_code)


def test_the_list_of_reasons_is_closed_and_fit_for_a_buyer() -> None:
    assert set(MESSAGES) == set(FailureCode)
    assert set(FailureCode) >= RETRYABLE_BY_BUYER
    for code, message in MESSAGES.items():
        assert message.endswith(".")
        assert "stripe" not in message.lower()
        assert failure_of(code).retryable_by_buyer == (code in RETRYABLE_BY_BUYER)
