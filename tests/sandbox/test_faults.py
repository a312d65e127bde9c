"""Every fault that can be ordered, seen from the SDK and from the sandbox's books."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
import stripe

from sandbox.psp.faults import REQUEST_KINDS
from tests.sandbox_process import SandboxPsp

CONFIRM = "payment_intents.confirm"
NO_EFFECT = ["drop_before", "reset_before", "never_answer_before", "500_before", "429", "409", "html_502"]
EFFECT = ["drop_after", "reset_after", "never_answer", "500_after", "html_502_after"]
SLOW = ["delay", "delay_before"]
SEEN_AS: dict[str, tuple[type[stripe.StripeError], int | None]] = {
    "drop_before": (stripe.APIConnectionError, None),
    "drop_after": (stripe.APIConnectionError, None),
    "reset_before": (stripe.APIConnectionError, None),
    "reset_after": (stripe.APIConnectionError, None),
    "never_answer": (stripe.APIConnectionError, None),
    "never_answer_before": (stripe.APIConnectionError, None),
    "500_before": (stripe.APIError, 500),
    "500_after": (stripe.APIError, 500),
    "429": (stripe.RateLimitError, 429),
    "409": (stripe.APIError, 409),
    "html_502": (stripe.APIError, 502),
    "html_502_after": (stripe.APIError, 502),
}


def test_every_kind_is_covered_here() -> None:
    assert set(NO_EFFECT) | set(EFFECT) | set(SLOW) == set(REQUEST_KINDS)


@pytest.mark.parametrize("kind", NO_EFFECT + EFFECT)
def test_the_caller_sees_a_failure_and_the_books_show_what_happened(
    sandbox_psp: SandboxPsp,
    key: str,
    connect: Callable[..., Any],
    new_intent: Callable[..., Any],
    kind: str,
) -> None:
    client = connect(key, timeout=0.7 if kind.startswith("never") else 20.0)
    intent = new_intent()
    (rule,) = sandbox_psp.faults({"operation": CONFIRM, "kind": kind}, key=key)
    error, status = SEEN_AS[kind]
    with pytest.raises(error) as caught:
        client.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}, {"idempotency_key": "k"})
    assert caught.value.http_status == status
    happened = kind in EFFECT
    assert client.payment_intents.retrieve(intent.id).status == ("succeeded" if happened else "requires_payment_method")
    assert len(sandbox_psp.books(key)["charges"]) == (1 if happened else 0)
    assert sandbox_psp.fired()[rule["id"]] == 1
    if kind.startswith("500"):
        return
    again = client.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}, {"idempotency_key": "k"})
    assert again.status == "succeeded", "the same key finds the kept answer or does it now"
    assert len(sandbox_psp.books(key)["charges"]) == 1


def test_an_html_page_is_what_a_gateway_says(sandbox_psp: SandboxPsp, key: str) -> None:
    sandbox_psp.faults({"operation": "balance.retrieve", "kind": "html_502"}, key=key)
    answer = requests.get(f"{sandbox_psp.url}/v1/balance", headers={"Authorization": f"Bearer {key}"}, timeout=20)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (502, "text/html")
    assert "Request-Id" not in answer.headers


@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_answer_is_right_and_late(
    psp: Any, sandbox_psp: SandboxPsp, key: str, new_intent: Callable[..., Any], kind: str
) -> None:
    intent = new_intent()
    sandbox_psp.faults({"operation": CONFIRM, "kind": kind, "seconds": 0.6}, key=key)
    begun = time.monotonic()
    assert psp.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    assert time.monotonic() - begun >= 0.55


def test_moving_the_clock_ends_a_delay(
    sandbox_psp: SandboxPsp, key: str, connect: Callable[..., Any], new_intent: Callable[..., Any]
) -> None:
    intent = new_intent()
    sandbox_psp.faults({"operation": CONFIRM, "kind": "delay", "seconds": 300}, key=key)
    with pytest.raises(stripe.APIConnectionError):
        connect(key, timeout=0.3).payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    sandbox_psp.advance(300)
    assert connect(key).payment_intents.retrieve(intent.id).status == "succeeded"


def test_a_fault_happens_as_often_as_ordered_and_lets_some_through_first(
    psp: Any, sandbox_psp: SandboxPsp, key: str
) -> None:
    sandbox_psp.faults({"operation": "balance.*", "kind": "429", "times": 2, "after": 1}, key=key)
    seen = []
    for _ in range(5):
        try:
            psp.balance.retrieve()
            seen.append("ok")
        except stripe.RateLimitError:
            seen.append("429")
    assert seen == ["ok", "429", "429", "ok", "ok"]


def test_a_fault_without_end_lasts_until_it_is_cleared(psp: Any, sandbox_psp: SandboxPsp, key: str) -> None:
    sandbox_psp.faults({"operation": "*", "kind": "429", "times": None}, key=key)
    for _ in range(3):
        with pytest.raises(stripe.RateLimitError):
            psp.customers.create()
    sandbox_psp.clear_faults(key)
    psp.customers.create()


def test_a_fault_can_be_meant_for_one_object(
    psp: Any, sandbox_psp: SandboxPsp, key: str, new_intent: Callable[..., Any]
) -> None:
    one, other = new_intent(metadata={"order": "1"}), new_intent(metadata={"order": "2"})
    sandbox_psp.faults({"operation": CONFIRM, "kind": "drop_after", "match": {"metadata.order": "2"}}, key=key)
    assert psp.payment_intents.confirm(one.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    with pytest.raises(stripe.APIConnectionError):
        psp.payment_intents.confirm(other.id, {"payment_method": "pm_card_visa"})


def test_a_refund_can_be_matched_through_its_payment(
    psp: Any, sandbox_psp: SandboxPsp, key: str, new_intent: Callable[..., Any]
) -> None:
    paid = new_intent(metadata={"order": "9"}, payment_method="pm_card_visa", confirm=True)
    sandbox_psp.faults({"operation": "refunds.create", "kind": "500_after", "match": {"metadata.order": "9"}}, key=key)
    with pytest.raises(stripe.APIError):
        psp.refunds.create({"payment_intent": paid.id, "amount": 100})
    assert [refund["amount"] for refund in sandbox_psp.books(key)["refunds"]] == [100]


def test_a_fault_of_one_account_does_not_touch_another(
    sandbox_psp: SandboxPsp, key: str, connect: Callable[..., Any]
) -> None:
    sandbox_psp.faults({"operation": "*", "kind": "reset_before", "times": None}, key=key)
    other = sandbox_psp.new_key()
    connect(other).customers.create()
    sandbox_psp.clear_faults(other)
    with pytest.raises(stripe.APIConnectionError):
        connect(key).customers.create()


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"operation": "x"},
        {"operation": "x", "kind": "explode"},
        {"operation": "webhooks", "kind": "drop_after"},
        {"operation": "x", "kind": "lose"},
        {"operation": "x", "kind": "429", "times": 0},
        {"operation": "x", "kind": "429", "seconds": -1},
        {"operation": "x", "kind": "429", "colour": "red"},
        {"operation": "x", "kind": "429", "match": []},
        [1],
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_whole(sandbox_psp: SandboxPsp, rule: Any) -> None:
    before = len(sandbox_psp.fired())
    good = {"operation": "nothing", "kind": "429"}
    body = [good, *rule] if isinstance(rule, list) else [good, rule]
    answer = requests.post(f"{sandbox_psp.url}/_sandbox/faults", json=body, timeout=20)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert len(sandbox_psp.fired()) == before
