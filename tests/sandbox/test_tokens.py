"""Every magic token does what it stands for."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from sandbox.psp.tokens import TOKENS
from tests.sandbox_process import SandboxPsp

AT_ONCE = [
    name
    for name, token in TOKENS.items()
    if token.decline is None and token.challenge is None and token.delayed is None
]
DECLINED = {
    "pm_card_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedLostCard": ("card_declined", "lost_card"),
    "pm_card_visa_chargeDeclinedStolenCard": ("card_declined", "stolen_card"),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": ("card_declined", "card_velocity_exceeded"),
    "pm_card_radarBlock": ("card_declined", "fraudulent"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", "expired_card"),
    "pm_card_chargeDeclinedIncorrectCvc": ("incorrect_cvc", "incorrect_cvc"),
    "pm_card_chargeDeclinedProcessingError": ("processing_error", "processing_error"),
    "pm_card_chargeCustomerFail": ("card_declined", "generic_decline"),
}
CHALLENGED = [name for name, token in TOKENS.items() if token.challenge is not None]


def test_every_token_is_covered_here() -> None:
    delayed = [name for name, token in TOKENS.items() if token.delayed is not None]
    assert set(AT_ONCE) | set(DECLINED) | set(CHALLENGED) | set(delayed) == set(TOKENS)


@pytest.mark.parametrize("token", AT_ONCE)
def test_it_pays_at_once(psp: Any, new_intent: Callable[..., Any], token: str) -> None:
    paid = new_intent(payment_method=token, confirm=True, expand=["payment_method", "latest_charge"])
    assert paid.status == "succeeded"
    assert paid.payment_method.type == TOKENS[token].type
    assert paid.latest_charge.payment_method_details.type == TOKENS[token].type
    if TOKENS[token].type == "card":
        assert paid.payment_method.card.brand == TOKENS[token].brand
        assert paid.payment_method.card.funding == TOKENS[token].funding


@pytest.mark.parametrize("token", DECLINED)
def test_it_is_declined(new_intent: Callable[..., Any], token: str, key: str, sandbox_psp: SandboxPsp) -> None:
    with pytest.raises(stripe.CardError) as caught:
        new_intent(payment_method=token, confirm=True)
    assert (caught.value.code, caught.value.error.decline_code) == DECLINED[token]
    books = sandbox_psp.books(key)
    assert [charge["captured"] for charge in books["charges"]] == [0]
    assert books["balance"] == {}


@pytest.mark.parametrize("token", CHALLENGED)
def test_the_bank_asks_first(psp: Any, new_intent: Callable[..., Any], token: str, sandbox_psp: SandboxPsp) -> None:
    intent = new_intent(payment_method=token, confirm=True, return_url="https://shop.example/back")
    assert intent.status == "requires_action"
    action = intent.next_action
    assert action.type == "redirect_to_url"
    assert action.redirect_to_url.url.startswith(f"{sandbox_psp.url}/3ds/{intent.id}/")
    assert action.redirect_to_url.return_url == "https://shop.example/back"
    sandbox_psp.decide(intent.id, "succeed")
    after = psp.payment_intents.retrieve(intent.id)
    expected = "requires_payment_method" if TOKENS[token].decline else "succeeded"
    assert after.status == expected
    assert after.next_action is None


def test_a_refused_challenge_leaves_the_intent_payable(
    psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp
) -> None:
    intent = new_intent(payment_method="pm_card_authenticationRequired", confirm=True)
    assert intent.next_action.type == "use_stripe_sdk"
    sandbox_psp.decide(intent.id, "decline")
    after = psp.payment_intents.retrieve(intent.id)
    assert after.status == "requires_payment_method"
    assert after.last_payment_error.code == "payment_intent_authentication_failure"


def test_a_method_that_was_set_up_with_authentication_pays_off_session(
    psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp
) -> None:
    customer = psp.customers.create()
    setup = psp.setup_intents.create(
        {
            "customer": customer.id,
            "payment_method": "pm_card_authenticationRequiredOnSetup",
            "confirm": True,
            "return_url": "https://shop.example/back",
        }
    )
    assert setup.status == "requires_action"
    sandbox_psp.answer_page(setup.next_action.redirect_to_url.url, answer="approve")
    assert psp.setup_intents.retrieve(setup.id).status == "succeeded"
    paid = new_intent(customer=customer.id, payment_method=setup.payment_method, confirm=True, off_session=True)
    assert paid.status == "succeeded"


@pytest.mark.parametrize("token", ["pm_sandbox_qr", "pm_sandbox_delayed_success"])
def test_it_is_processing_first_and_succeeds_by_itself(
    psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, token: str, key: str
) -> None:
    intent = new_intent(payment_method=token, confirm=True)
    assert intent.status == "processing"
    assert sandbox_psp.books(key)["balance"] == {}
    with pytest.raises(stripe.InvalidRequestError):
        psp.payment_intents.cancel(intent.id)
    sandbox_psp.advance(6)
    after = psp.payment_intents.retrieve(intent.id)
    assert (after.status, after.amount_received) == ("succeeded", 1999)


@pytest.mark.parametrize("token", ["pm_sandbox_qr_declined", "pm_sandbox_delayed_decline"])
def test_it_is_processing_first_and_is_declined_by_itself(
    psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, token: str, key: str
) -> None:
    intent = new_intent(payment_method=token, confirm=True)
    assert intent.status == "processing"
    sandbox_psp.advance(6)
    after = psp.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert after.status == "requires_payment_method"
    assert after.last_payment_error.code == "payment_intent_payment_attempt_failed"
    assert after.latest_charge.status == "failed"
    assert sandbox_psp.books(key)["balance"] == {}


@pytest.mark.parametrize(("outcome", "status"), [("succeed", "succeeded"), ("decline", "requires_payment_method")])
def test_a_delayed_one_can_be_decided_by_hand(
    psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, outcome: str, status: str
) -> None:
    intent = new_intent(payment_method="pm_sandbox_delayed_success", confirm=True)
    assert sandbox_psp.decide(intent.id, outcome)["status"] == status
    sandbox_psp.advance(60)
    assert psp.payment_intents.retrieve(intent.id).status == status


def test_late_success_is_cancelled_and_paid_afterwards(
    psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, key: str
) -> None:
    intent = new_intent(payment_method="pm_sandbox_late_success", confirm=True)
    assert intent.status == "processing"
    assert psp.payment_intents.cancel(intent.id).status == "canceled"
    sandbox_psp.advance(3)
    assert psp.payment_intents.retrieve(intent.id).status == "succeeded"
    assert [charge["captured"] for charge in sandbox_psp.books(key)["charges"]] == [1999]
    names = [event.type for event in psp.events.list({"limit": 100}).data]
    assert names.index("payment_intent.succeeded") < names.index("payment_intent.canceled"), "newest first"


@pytest.mark.parametrize("token", ["pm_sandbox_qr", "pm_sandbox_delayed_success"])
def test_bank_methods_cannot_be_captured_later(new_intent: Callable[..., Any], token: str) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        new_intent(payment_method=token, confirm=True, capture_method="manual")


def test_a_declined_card_cannot_be_attached_but_one_that_fails_later_can(
    psp: Any, new_intent: Callable[..., Any]
) -> None:
    customer = psp.customers.create()
    with pytest.raises(stripe.CardError):
        psp.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer.id})
    saved = psp.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    with pytest.raises(stripe.CardError):
        new_intent(customer=customer.id, payment_method=saved.id, confirm=True)


def test_bypass_pending_is_available_at_once(psp: Any, new_intent: Callable[..., Any]) -> None:
    new_intent(payment_method="pm_card_bypassPending", confirm=True)
    assert psp.balance.retrieve().available[0].amount == 1944
