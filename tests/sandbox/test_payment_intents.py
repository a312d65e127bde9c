"""The life of a PaymentIntent, as Stripe documents it."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.sandbox.conftest import NEVER_REDIRECT
from tests.sandbox_process import SandboxPsp

UNEXPECTED = "payment_intent_unexpected_state"


def test_a_payment_intent_waits_for_a_method_is_confirmed_and_succeeds(
    psp: Any, new_intent: Callable[..., Any]
) -> None:
    created = new_intent(metadata={"order": "7"})
    assert created.status == "requires_payment_method"
    assert created.latest_charge is None
    paid = psp.payment_intents.confirm(created.id, {"payment_method": "pm_card_visa", "expand": ["latest_charge"]})
    assert (paid.status, paid.amount_received) == ("succeeded", 1999)
    assert paid.latest_charge.metadata.to_dict() == {"order": "7"}
    assert paid.latest_charge.captured


def test_with_a_method_and_without_confirmation_it_waits_for_confirmation(
    psp: Any, new_intent: Callable[..., Any]
) -> None:
    created = new_intent(payment_method="pm_card_visa")
    assert created.status == "requires_confirmation"
    assert psp.payment_intents.confirm(created.id).status == "succeeded"


def test_create_and_confirm_in_one_call(new_intent: Callable[..., Any]) -> None:
    assert new_intent(payment_method="pm_card_mastercard", confirm=True).status == "succeeded"


def test_a_decline_is_a_card_error_with_the_intent_inside_and_leaves_it_payable(
    psp: Any, new_intent: Callable[..., Any]
) -> None:
    intent = new_intent()
    with pytest.raises(stripe.CardError) as caught:
        psp.payment_intents.confirm(intent.id, {"payment_method": "pm_card_chargeDeclinedInsufficientFunds"})
    error = caught.value.error
    assert caught.value.http_status == 402
    assert (error.code, error.decline_code) == ("card_declined", "insufficient_funds")
    assert error.payment_intent.id == intent.id
    assert error.payment_intent.status == "requires_payment_method"
    after = psp.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert after.last_payment_error.decline_code == "insufficient_funds"
    assert after.latest_charge.status == "failed"
    assert after.payment_method is None
    assert psp.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"


def test_a_declined_creation_with_confirmation_leaves_the_intent_behind(
    psp: Any, new_intent: Callable[..., Any]
) -> None:
    with pytest.raises(stripe.CardError):
        new_intent(payment_method="pm_card_chargeDeclined", confirm=True)
    (left,) = psp.payment_intents.list().data
    assert left.status == "requires_payment_method"


def test_one_that_has_succeeded_can_neither_be_confirmed_nor_cancelled_nor_changed(
    psp: Any, new_intent: Callable[..., Any], key: str, sandbox_psp: SandboxPsp
) -> None:
    paid = new_intent(payment_method="pm_card_visa", confirm=True)
    for attempt in (
        lambda: psp.payment_intents.confirm(paid.id, {"payment_method": "pm_card_visa"}),
        lambda: psp.payment_intents.cancel(paid.id),
        lambda: psp.payment_intents.capture(paid.id),
        lambda: psp.payment_intents.update(paid.id, {"amount": 5}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            attempt()
        assert (caught.value.http_status, caught.value.code) == (400, UNEXPECTED)
        assert caught.value.error.payment_intent.status == "succeeded"
    (charge,) = sandbox_psp.books(key)["charges"]
    assert charge["captured"] == 1999


def test_without_a_method_it_cannot_be_confirmed(psp: Any, new_intent: Callable[..., Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        psp.payment_intents.confirm(new_intent().id)
    assert caught.value.code == UNEXPECTED


def test_a_method_that_may_redirect_needs_an_address_to_come_back_to(psp: Any) -> None:
    intent = psp.payment_intents.create({"amount": 100, "currency": "eur"})
    with pytest.raises(stripe.InvalidRequestError, match="return_url"):
        psp.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    body = {"payment_method": "pm_card_visa", "return_url": "https://shop.example/back"}
    assert psp.payment_intents.confirm(intent.id, body).status == "succeeded"


def test_manual_capture_of_a_part_releases_the_rest(
    psp: Any, new_intent: Callable[..., Any], key: str, sandbox_psp: SandboxPsp
) -> None:
    held = new_intent(payment_method="pm_card_visa", confirm=True, capture_method="manual")
    assert (held.status, held.amount_capturable, held.amount_received) == ("requires_capture", 1999, 0)
    assert sandbox_psp.books(key)["balance"] == {}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        psp.payment_intents.capture(held.id, {"amount_to_capture": 2000})
    assert caught.value.code == "amount_too_large"
    taken = psp.payment_intents.capture(held.id, {"amount_to_capture": 1200, "expand": ["latest_charge"]})
    assert (taken.status, taken.amount_capturable, taken.amount_received) == ("succeeded", 0, 1200)
    assert taken.latest_charge.amount_captured == 1200
    with pytest.raises(stripe.InvalidRequestError) as caught:
        psp.payment_intents.capture(held.id)
    assert caught.value.code == UNEXPECTED
    (charge,) = sandbox_psp.books(key)["charges"]
    assert (charge["amount"], charge["captured"], charge["refunded"]) == (1999, 1200, 0)
    with pytest.raises(stripe.InvalidRequestError):
        psp.refunds.create({"payment_intent": held.id, "amount": 1201})
    assert psp.refunds.create({"payment_intent": held.id}).amount == 1200


def test_an_authorisation_can_be_cancelled_and_ends_by_itself_after_seven_days(
    psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp
) -> None:
    held = new_intent(payment_method="pm_card_visa", confirm=True, capture_method="manual")
    gone = psp.payment_intents.cancel(held.id, {"cancellation_reason": "requested_by_customer"})
    assert (gone.status, gone.amount_capturable) == ("canceled", 0)
    assert gone.cancellation_reason == "requested_by_customer"
    other = new_intent(payment_method="pm_card_visa", confirm=True, capture_method="manual")
    sandbox_psp.advance(7 * 24 * 3600 + 1)
    assert psp.payment_intents.retrieve(other.id).status == "canceled"


@pytest.mark.parametrize("status", ["requires_payment_method", "requires_confirmation", "requires_action"])
def test_one_that_has_not_paid_can_be_cancelled_and_is_then_final(
    psp: Any, new_intent: Callable[..., Any], status: str
) -> None:
    method = {"requires_confirmation": "pm_card_visa", "requires_action": "pm_card_authenticationRequired"}
    intent = new_intent(payment_method=method.get(status), confirm=status == "requires_action" or None)
    assert intent.status == status
    assert psp.payment_intents.cancel(intent.id).status == "canceled"
    for attempt in (psp.payment_intents.confirm, psp.payment_intents.cancel):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            attempt(intent.id)
        assert caught.value.code == UNEXPECTED


def test_update_merges_metadata_and_changes_the_amount_before_payment(psp: Any, new_intent: Callable[..., Any]) -> None:
    intent = new_intent(metadata={"a": "1", "b": "2"})
    changed = psp.payment_intents.update(intent.id, {"metadata": {"b": "", "c": "3"}, "amount": 500})
    assert changed.metadata.to_dict() == {"a": "1", "c": "3"}
    assert changed.amount == 500


def test_off_session_pays_with_a_saved_method_and_is_refused_where_the_bank_wants_to_ask(
    psp: Any, new_intent: Callable[..., Any]
) -> None:
    customer = psp.customers.create({"email": "buyer@example.com"})
    saved = psp.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    for _ in range(2):
        paid = new_intent(customer=customer.id, payment_method=saved.id, confirm=True, off_session=True)
        assert paid.status == "succeeded"
    strict = psp.payment_methods.attach("pm_card_authenticationRequired", {"customer": customer.id})
    with pytest.raises(stripe.CardError) as caught:
        new_intent(customer=customer.id, payment_method=strict.id, confirm=True, off_session=True)
    assert caught.value.code == "authentication_required"
    assert caught.value.error.payment_intent.status == "requires_payment_method"


def test_a_method_pays_once_unless_it_is_attached_to_a_customer(
    psp: Any, new_intent: Callable[..., Any], key: str, sandbox_psp: SandboxPsp
) -> None:
    method = psp.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    assert new_intent(payment_method=method.id, confirm=True).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError, match="previously used"):
        new_intent(payment_method=method.id, confirm=True)
    assert len(sandbox_psp.books(key)["charges"]) == 1


def test_an_attached_method_needs_its_own_customer(psp: Any, new_intent: Callable[..., Any]) -> None:
    owner, other = psp.customers.create(), psp.customers.create()
    saved = psp.payment_methods.attach("pm_card_visa", {"customer": owner.id})
    with pytest.raises(stripe.InvalidRequestError, match="belongs to the Customer"):
        new_intent(payment_method=saved.id, confirm=True)
    with pytest.raises(stripe.InvalidRequestError, match="attached"):
        new_intent(payment_method=saved.id, customer=other.id, confirm=True)


def test_setup_future_usage_attaches_the_method_to_the_customer(psp: Any, new_intent: Callable[..., Any]) -> None:
    customer = psp.customers.create()
    paid = new_intent(
        customer=customer.id, payment_method="pm_card_visa", confirm=True, setup_future_usage="off_session"
    )
    assert psp.payment_methods.retrieve(paid.payment_method).customer == customer.id
    again = new_intent(customer=customer.id, payment_method=paid.payment_method, confirm=True, off_session=True)
    assert again.status == "succeeded"


def test_a_method_of_another_type_is_refused(new_intent: Callable[..., Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="not allowed"):
        new_intent(
            automatic_payment_methods=None,
            allowed_payment_method_types=["card"],
            payment_method="pm_sandbox_wallet",
            confirm=True,
        )


@pytest.mark.parametrize(
    ("params", "param", "code"),
    [
        ({"currency": "eur"}, "amount", "parameter_missing"),
        ({"amount": 100}, "currency", "parameter_missing"),
        ({"amount": 0, "currency": "eur"}, "amount", "parameter_invalid_integer"),
        ({"amount": "12.5", "currency": "eur"}, "amount", "parameter_invalid_integer"),
        ({"amount": 100_000_000, "currency": "eur"}, "amount", "amount_too_large"),
        ({"amount": 100, "currency": "xxx"}, "currency", None),
        ({"amount": 1234, "currency": "kwd"}, "amount", None),
        ({"amount": 150, "currency": "ugx"}, "amount", None),
        ({"amount": 100, "currency": "eur", "colour": "red"}, "colour", "parameter_unknown"),
        ({"amount": 100, "currency": "eur", "capture_method": "later"}, "capture_method", None),
        ({"amount": 100, "currency": "eur", "customer": "cus_none"}, "customer", "resource_missing"),
        (
            {"amount": 100, "currency": "eur", "payment_method": "pm_none"},
            "payment_method",
            "resource_missing",
        ),
        ({"amount": 100, "currency": "eur", "metadata": {"k" * 41: "v"}}, None, None),
    ],
)
def test_a_wrong_parameter_is_named_and_nothing_is_stored(
    psp: Any, params: dict[str, Any], param: str | None, code: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        psp.payment_intents.create(params)
    assert caught.value.http_status == 400
    assert caught.value.code == code
    if param is not None:
        assert caught.value.param == param
    assert psp.payment_intents.list().data == []


def test_card_numbers_are_refused_and_never_repeated(psp: Any) -> None:
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    with pytest.raises(stripe.CardError) as caught:
        psp.payment_methods.create({"type": "card", "card": card})
    assert "4242424242424242" not in str(caught.value)
    with pytest.raises(stripe.CardError):
        psp.payment_intents.create(
            {"amount": 1, "currency": "eur", "payment_method_data": {"type": "card", "card": card}}
        )
    assert psp.payment_intents.list().data == []


@pytest.mark.parametrize(
    ("amount", "currency", "fee"),
    [(1999, "eur", 55), (10_000, "usd", 175), (1000, "jpy", 40), (33, "eur", 25), (10_000, "kwd", 400)],
)
def test_fees_are_exact_in_every_exponent(
    psp: Any, new_intent: Callable[..., Any], amount: int, currency: str, fee: int
) -> None:
    paid = new_intent(
        amount=amount,
        currency=currency,
        payment_method="pm_card_visa",
        confirm=True,
        expand=["latest_charge.balance_transaction"],
    )
    booked = paid.latest_charge.balance_transaction
    assert (booked.amount, booked.fee, booked.net) == (amount, fee, amount - fee)
    assert booked.status == "pending"
    assert sum(part.amount for part in booked.fee_details) == fee


def test_money_is_pending_for_two_days_and_then_available(
    psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp
) -> None:
    new_intent(payment_method="pm_card_visa", confirm=True)
    before = psp.balance.retrieve()
    assert [(part.amount, part.currency) for part in before.pending] == [(1944, "eur")]
    assert before.available[0].amount == 0
    sandbox_psp.advance(2 * 24 * 3600 + 1)
    after = psp.balance.retrieve()
    assert (after.available[0].amount, after.pending[0].amount) == (1944, 0)
    assert psp.balance_transactions.list().data[0].status == "available"


def test_the_default_is_never_to_redirect_only_if_asked(psp: Any) -> None:
    intent = psp.payment_intents.create({"amount": 100, "currency": "eur", "automatic_payment_methods": NEVER_REDIRECT})
    assert intent.automatic_payment_methods.allow_redirects == "never"
    assert intent.capture_method == "automatic_async"


def test_an_error_instead_of_an_action_can_be_asked_for(new_intent: Callable[..., Any]) -> None:
    with pytest.raises(stripe.CardError) as caught:
        new_intent(payment_method="pm_card_authenticationRequired", confirm=True, error_on_requires_action=True)
    assert caught.value.code == "authentication_required"


@pytest.mark.parametrize(
    "more",
    [
        {"payment_method_data": {"type": "link"}},
        {"confirmation_method": "manual"},
        {"transfer_data": {"destination": "acct_1"}},
    ],
)
def test_what_the_sandbox_cannot_do_is_refused_and_not_ignored(
    psp: Any, new_intent: Callable[..., Any], more: dict[str, Any]
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        new_intent(**more)
    assert caught.value.code == "parameter_unknown"
    assert psp.payment_intents.list().data == []
