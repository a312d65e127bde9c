"""The hosted pages, driven as a browser without scripts would."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import stripe

from sandbox.psp.pages import CHOICES
from tests.sandbox_process import SandboxPsp

SUCCESS = "https://shop.example/thanks?session={CHECKOUT_SESSION_ID}"
CANCEL = "https://shop.example/basket"
LINES = [
    {
        "quantity": 2,
        "price_data": {"currency": "eur", "unit_amount": 700, "product_data": {"name": "Green <tea>"}},
    },
    {"quantity": 1, "price_data": {"currency": "eur", "unit_amount": 599, "product_data": {"name": "Pot"}}},
]


@pytest.fixture
def session(psp: Any) -> Any:
    """Give a payment session of 19.99 EUR."""
    return psp.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": SUCCESS,
            "cancel_url": CANCEL,
            "line_items": LINES,
            "payment_intent_data": {"metadata": {"order": "7"}},
            "metadata": {"checkout": "1"},
        }
    )


@pytest.fixture
def setup_session(psp: Any) -> Any:
    """Give a session that saves a card for a customer that it makes itself."""
    return psp.checkout.sessions.create(
        {
            "mode": "setup",
            "success_url": SUCCESS,
            "cancel_url": CANCEL,
            "currency": "eur",
            "customer_creation": "always",
            "setup_intent_data": {"metadata": {"order": "7"}},
        }
    )


def thanks(session: Any) -> str:
    """Answer where a buyer ends who has paid."""
    return SUCCESS.replace("{CHECKOUT_SESSION_ID}", session.id)


def choose(psp: SandboxPsp, session: Any, choice: str) -> requests.Response:
    """Press one of the buttons."""
    return psp.answer_page(session.url, choice=choice)


def test_the_payment_intent_exists_before_money_moves(psp: Any, session: Any) -> None:
    opened = psp.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent", "line_items"]})
    assert opened.payment_intent.status == "requires_payment_method"
    assert opened.payment_intent.metadata.to_dict() == {"order": "7"}
    assert (opened.amount_total, opened.currency, opened.payment_status) == (1999, "eur", "unpaid")
    assert [(line.description, line.amount_total) for line in opened.line_items.data] == [
        ("Green <tea>", 1400),
        ("Pot", 599),
    ]


def test_the_page_shows_the_order_and_runs_no_script(session: Any) -> None:
    page = requests.get(session.url, timeout=20)
    assert page.status_code == 200
    for text in (
        "2 &times; Green &lt;tea&gt;",
        "14.00 EUR",
        "19.99 EUR",
        *[title for _, title, _ in CHOICES.values()],
    ):
        assert text in page.text
    assert "<script" not in page.text
    assert "<tea>" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' https://shop.example;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("choice", ["card", "debit", "wallet"])
def test_a_choice_that_pays_leads_back_to_the_shop(
    psp: Any, sandbox_psp: SandboxPsp, session: Any, choice: str, key: str
) -> None:
    answer = choose(sandbox_psp, session, choice)
    assert (answer.status_code, answer.headers["Location"]) == (303, thanks(session))
    paid = psp.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.payment_intent.status == "succeeded"
    assert paid.payment_intent.latest_charge.amount == 1999
    again = choose(sandbox_psp, session, choice)
    assert again.headers["Location"] == thanks(session)
    assert len(sandbox_psp.books(key)["charges"]) == 1
    assert "checkout.session.completed" in [event.type for event in psp.events.list({"limit": 50}).data]


@pytest.mark.parametrize("choice", ["declined", "insufficient_funds"])
def test_a_decline_stays_on_the_page_and_lets_the_buyer_try_again(
    psp: Any, sandbox_psp: SandboxPsp, session: Any, choice: str
) -> None:
    answer = choose(sandbox_psp, session, choice)
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert psp.payment_intents.retrieve(session.payment_intent).status == "requires_payment_method"
    assert choose(sandbox_psp, session, "card").headers["Location"] == thanks(session)


def test_qr_completes_the_session_unpaid_and_the_money_follows(psp: Any, sandbox_psp: SandboxPsp, session: Any) -> None:
    assert choose(sandbox_psp, session, "qr").headers["Location"] == thanks(session)
    waiting = psp.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    assert waiting.payment_intent.status == "processing"
    sandbox_psp.advance(3)
    assert psp.checkout.sessions.retrieve(session.id).payment_status == "paid"
    names = [event.type for event in psp.events.list({"limit": 50}).data]
    assert "checkout.session.async_payment_succeeded" in names


@pytest.mark.parametrize(("answer", "status"), [("approve", "succeeded"), ("refuse", "requires_payment_method")])
def test_three_d_secure_on_the_hosted_page(
    psp: Any, sandbox_psp: SandboxPsp, session: Any, answer: str, status: str
) -> None:
    asked = choose(sandbox_psp, session, "three_d_secure")
    challenge = asked.headers["Location"]
    assert urlsplit(challenge).path.startswith(f"/3ds/{session.payment_intent}/")
    page = requests.get(challenge, timeout=20)
    assert "19.99 EUR" in page.text
    back = sandbox_psp.answer_page(challenge, answer=answer)
    assert (back.status_code, back.headers["Location"]) == (303, session.url)
    then = requests.get(session.url, timeout=20, allow_redirects=False)
    if answer == "approve":
        assert then.headers["Location"] == thanks(session)
    else:
        assert "unable to authenticate" in then.text
    assert psp.payment_intents.retrieve(session.payment_intent).status == status
    assert sandbox_psp.answer_page(challenge, answer="approve").status_code == 404


@pytest.mark.parametrize(("answer", "word"), [("approve", "succeeded"), ("refuse", "failed")])
def test_three_d_secure_of_an_intent_leads_back_to_its_own_address(
    new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, answer: str, word: str
) -> None:
    intent = new_intent(
        payment_method="pm_card_authenticationRequired",
        confirm=True,
        return_url="https://shop.example/back?a=1",
    )
    url = intent.next_action.redirect_to_url.url
    assert "https://shop.example" in requests.get(url, timeout=20).headers["Content-Security-Policy"]
    back = sandbox_psp.answer_page(url, answer=answer)
    assert back.status_code == 303
    query = parse_qs(urlsplit(back.headers["Location"]).query)
    assert query["a"] == ["1"]
    assert query["payment_intent"] == [intent.id]
    assert query["payment_intent_client_secret"] == [intent.client_secret]
    assert query["redirect_status"] == [word]


def test_a_challenge_needs_its_secret(new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, psp: Any) -> None:
    intent = new_intent(payment_method="pm_card_authenticationRequired", confirm=True)
    wrong = f"{sandbox_psp.url}/3ds/{intent.id}/{'x' * 24}"
    assert sandbox_psp.answer_page(wrong, answer="approve").status_code == 404
    assert psp.payment_intents.retrieve(intent.id).status == "requires_action"


def test_cancelling_leads_back_and_leaves_the_session_open(psp: Any, sandbox_psp: SandboxPsp, session: Any) -> None:
    assert choose(sandbox_psp, session, "cancel").headers["Location"] == CANCEL
    assert psp.checkout.sessions.retrieve(session.id).status == "open"


@pytest.mark.parametrize("choice", ["", "gold", "card'\"><"])
def test_an_unknown_choice_changes_nothing(psp: Any, sandbox_psp: SandboxPsp, session: Any, choice: str) -> None:
    assert choose(sandbox_psp, session, choice).status_code == 400
    assert psp.payment_intents.retrieve(session.payment_intent).status == "requires_payment_method"


def test_an_unknown_page_is_404(sandbox_psp: SandboxPsp) -> None:
    assert requests.get(f"{sandbox_psp.url}/pay/cs_test_none", timeout=20).status_code == 404
    assert requests.get(f"{sandbox_psp.url}/3ds/pi_none/x", timeout=20).status_code == 404


def test_an_expired_session_cannot_be_paid_and_its_intent_is_cancelled(
    psp: Any, sandbox_psp: SandboxPsp, session: Any, key: str
) -> None:
    expired = psp.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    assert psp.payment_intents.retrieve(session.payment_intent).status == "canceled"
    assert choose(sandbox_psp, session, "card").status_code == 410
    assert sandbox_psp.books(key)["charges"] == []
    with pytest.raises(stripe.InvalidRequestError):
        psp.checkout.sessions.expire(session.id)


def test_a_session_expires_by_itself(psp: Any, sandbox_psp: SandboxPsp, session: Any) -> None:
    sandbox_psp.advance(24 * 3600 + 1)
    assert psp.checkout.sessions.retrieve(session.id).status == "expired"
    assert "checkout.session.expired" in [event.type for event in psp.events.list({"limit": 50}).data]


def test_the_intent_of_an_open_session_can_neither_be_cancelled_nor_confirmed_over_the_api(
    psp: Any, session: Any
) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        psp.payment_intents.cancel(session.payment_intent)
    with pytest.raises(stripe.InvalidRequestError):
        psp.payment_intents.confirm(session.payment_intent, {"payment_method": "pm_card_visa"})
    assert psp.checkout.sessions.retrieve(session.id).status == "open"


def test_a_session_may_capture_later(psp: Any, sandbox_psp: SandboxPsp) -> None:
    session = psp.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": SUCCESS,
            "line_items": LINES,
            "payment_intent_data": {"capture_method": "manual"},
        }
    )
    assert "QR code" not in requests.get(session.url, timeout=20).text
    choose(sandbox_psp, session, "card")
    held = psp.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (held.status, held.payment_status, held.payment_intent.status) == (
        "complete",
        "unpaid",
        "requires_capture",
    )
    psp.payment_intents.capture(session.payment_intent)
    sandbox_psp.advance(0)
    assert psp.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_only_the_allowed_ways_to_pay_are_offered(psp: Any, sandbox_psp: SandboxPsp) -> None:
    session = psp.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": SUCCESS,
            "line_items": LINES,
            "allowed_payment_method_types": ["card"],
        }
    )
    offered = re.findall(r'name="choice" value="(\w+)"', requests.get(session.url, timeout=20).text)
    assert offered == ["card", "debit", "three_d_secure", "declined", "insufficient_funds"]
    assert choose(sandbox_psp, session, "wallet").status_code == 400


def test_saving_a_card_makes_the_customer_that_can_be_charged_later(
    psp: Any, sandbox_psp: SandboxPsp, setup_session: Any, new_intent: Callable[..., Any]
) -> None:
    assert "Save a way to pay" in requests.get(setup_session.url, timeout=20).text
    assert choose(sandbox_psp, setup_session, "card").headers["Location"] == thanks(setup_session)
    done = psp.checkout.sessions.retrieve(setup_session.id, {"expand": ["setup_intent"]})
    assert (done.status, done.payment_status) == ("complete", "no_payment_required")
    saved = done.setup_intent
    assert (saved.status, saved.customer) == ("succeeded", done.customer)
    assert saved.metadata.to_dict() == {"order": "7"}
    paid = new_intent(customer=done.customer, payment_method=saved.payment_method, confirm=True, off_session=True)
    assert paid.status == "succeeded"


def test_saving_a_card_with_three_d_secure(psp: Any, sandbox_psp: SandboxPsp, setup_session: Any) -> None:
    asked = choose(sandbox_psp, setup_session, "three_d_secure")
    sandbox_psp.answer_page(asked.headers["Location"], answer="approve")
    assert psp.checkout.sessions.retrieve(setup_session.id).status == "complete"


def test_a_declined_card_is_not_saved(psp: Any, sandbox_psp: SandboxPsp, setup_session: Any) -> None:
    assert 'role="alert"' in choose(sandbox_psp, setup_session, "declined").text
    after = psp.setup_intents.retrieve(setup_session.setup_intent)
    assert after.status == "requires_payment_method"
    assert after.last_setup_error.code == "card_declined"


@pytest.mark.parametrize(
    "change",
    [
        {"success_url": "javascript:alert(1)"},
        {"success_url": None},
        {"line_items": []},
        {"line_items": [{"quantity": 1, "price_data": {"currency": "eur", "unit_amount": 5}}]},
        {"line_items": [*LINES, {**LINES[0], "price_data": {**LINES[0]["price_data"], "currency": "usd"}}]},  # type: ignore[dict-item]
        {"mode": "subscription"},
        {"expires_at": 1},
    ],
)
def test_a_wrong_session_is_refused(psp: Any, change: dict[str, Any]) -> None:
    body = {"mode": "payment", "success_url": SUCCESS, "line_items": LINES, **change}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        psp.checkout.sessions.create({name: value for name, value in body.items() if value is not None})
    assert caught.value.http_status == 400
    assert psp.payment_intents.list().data == []
