"""Webhooks: signed, tried again, and everything that can be ordered to go wrong with them."""

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from sandbox.psp.faults import WEBHOOK_KINDS
from tests.sandbox.conftest import Receiver
from tests.sandbox_process import SandboxPsp

ONE_TYPE = "payment_intent.succeeded"


@pytest.fixture
def one_secret(psp: Any, receiver: Receiver) -> str:
    """Register the receiver for payment_intent.succeeded only and give its signing secret."""
    return str(psp.webhook_endpoints.create({"url": receiver.url, "enabled_events": [ONE_TYPE]}).secret)


def test_every_kind_of_fault_is_covered_here() -> None:
    assert set(WEBHOOK_KINDS) == {"lose", "duplicate", "reorder", "delay", "forge"}


def test_events_are_signed_and_tell_the_story(
    psp: Any, receiver: Receiver, secret: str, new_intent: Callable[..., Any]
) -> None:
    intent = new_intent(metadata={"order": "1"})
    psp.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    events = [one.verified(secret) for one in receiver.wait(3)]
    assert {event.type for event in events} == {"payment_intent.created", "charge.succeeded", ONE_TYPE}
    (paid,) = [event for event in events if event.type == ONE_TYPE]
    assert paid.id.startswith("evt_")
    assert paid.livemode is False
    assert paid.api_version == "2026-10-28.endive"
    assert paid.data.object["status"] == "succeeded"
    assert paid.data.object["metadata"]["order"] == "1"
    assert psp.events.retrieve(paid.id).data.object["id"] == intent.id


def test_a_snapshot_shows_the_object_as_it_was_and_hides_what_is_the_sandboxs_own(
    receiver: Receiver, secret: str, new_intent: Callable[..., Any]
) -> None:
    new_intent(payment_method="pm_card_visa", confirm=True)
    bodies = [json.loads(one.body) for one in receiver.wait(3)]
    created = next(body for body in bodies if body["type"] == "payment_intent.created")
    assert created["data"]["object"]["status"] == "requires_confirmation"
    assert all(b'"_"' not in one.body for one in receiver.received)


def test_the_signature_belongs_to_the_endpoint_and_the_body(
    receiver: Receiver, one_secret: str, new_intent: Callable[..., Any]
) -> None:
    new_intent(payment_method="pm_card_visa", confirm=True)
    (one,) = receiver.wait(1)
    with pytest.raises(stripe.SignatureVerificationError):
        one.verified("whsec_other")
    one.body += b" "
    with pytest.raises(stripe.SignatureVerificationError):
        one.verified(one_secret)


def test_the_secret_is_shown_once(psp: Any, receiver: Receiver) -> None:
    created = psp.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    assert created.secret.startswith("whsec_")
    assert "secret" not in psp.webhook_endpoints.retrieve(created.id).to_dict()
    assert "secret" not in psp.webhook_endpoints.list().data[0].to_dict()


def test_a_deleted_or_disabled_endpoint_hears_nothing(
    psp: Any, receiver: Receiver, new_intent: Callable[..., Any]
) -> None:
    endpoint = psp.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    psp.webhook_endpoints.update(endpoint.id, {"disabled": True})
    new_intent()
    psp.webhook_endpoints.delete(endpoint.id)
    new_intent()
    assert receiver.quiet() == 0


def test_a_refused_delivery_is_tried_again_with_growing_pauses_of_the_sandboxs_time(
    receiver: Receiver, one_secret: str, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, key: str
) -> None:
    receiver.answers = [500, 302, 500]
    new_intent(payment_method="pm_card_visa", confirm=True)
    receiver.wait(1)
    assert receiver.quiet(0.3) == 1
    for count in (2, 3, 4):
        sandbox_psp.advance(10)
        receiver.wait(count)
    until = time.monotonic() + 5
    while sandbox_psp.deliveries(key)[0]["state"] != "done" and time.monotonic() < until:
        time.sleep(0.02)
    (delivery,) = sandbox_psp.deliveries(key)
    assert (delivery["state"], delivery["tries"]) == ("done", 4)
    assert len({one.verified(one_secret).id for one in receiver.received}) == 1


def test_a_lost_event_never_comes_but_can_be_resent(
    psp: Any,
    *,
    receiver: Receiver,
    one_secret: str,
    new_intent: Callable[..., Any],
    sandbox_psp: SandboxPsp,
    key: str,
) -> None:
    sandbox_psp.faults({"operation": "webhooks", "kind": "lose"}, key=key)
    intent = new_intent(payment_method="pm_card_visa", confirm=True)
    assert receiver.quiet() == 0
    assert sandbox_psp.deliveries(key)[0]["state"] == "lost"
    assert psp.payment_intents.retrieve(intent.id).status == "succeeded"
    assert sandbox_psp.control("webhooks/resend", account=key)["queued"] == 1
    assert receiver.wait(1)[0].verified(one_secret).data.object["id"] == intent.id


def test_a_duplicate_comes_twice_with_the_same_id(
    receiver: Receiver, one_secret: str, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, key: str
) -> None:
    sandbox_psp.faults({"operation": "webhooks", "kind": "duplicate"}, key=key)
    new_intent(payment_method="pm_card_visa", confirm=True)
    first, second = (one.verified(one_secret) for one in receiver.wait(2))
    assert first.id == second.id


def test_a_reordered_event_comes_after_later_ones(
    psp: Any,
    *,
    receiver: Receiver,
    secret: str,
    new_intent: Callable[..., Any],
    sandbox_psp: SandboxPsp,
    key: str,
) -> None:
    rule = {"operation": "webhooks", "kind": "reorder", "match": {"type": "payment_intent.created"}}
    sandbox_psp.faults(rule, key=key)
    intent = new_intent()
    psp.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    names = [one.verified(secret).type for one in receiver.wait(3)]
    assert names[-1] == "payment_intent.created"


def test_a_delayed_event_comes_when_its_time_has_come(
    receiver: Receiver, one_secret: str, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, key: str
) -> None:
    sandbox_psp.faults({"operation": "webhooks", "kind": "delay", "seconds": 600}, key=key)
    new_intent(payment_method="pm_card_visa", confirm=True)
    assert receiver.quiet() == 0
    sandbox_psp.advance(601)
    assert receiver.wait(1)[0].verified(one_secret).type == ONE_TYPE


def test_a_forged_copy_lies_and_does_not_verify_and_the_true_event_follows(
    receiver: Receiver, one_secret: str, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, key: str
) -> None:
    sandbox_psp.faults({"operation": "webhooks", "kind": "forge"}, key=key)
    new_intent(payment_method="pm_card_visa", confirm=True)
    both = receiver.wait(2)
    forged = [one for one in both if json.loads(one.body)["data"]["object"]["amount"] != 1999]
    assert len(forged) == 1
    with pytest.raises(stripe.SignatureVerificationError):
        forged[0].verified(one_secret)
    (true,) = [one for one in both if one not in forged]
    assert true.verified(one_secret).data.object["status"] == "succeeded"


def test_a_webhook_can_arrive_before_the_answer_of_the_call_that_caused_it(
    receiver: Receiver, one_secret: str, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, key: str
) -> None:
    rule = {"operation": "payment_intents.create", "kind": "delay", "seconds": 1}
    sandbox_psp.faults(rule, key=key)
    new_intent(payment_method="pm_card_visa", confirm=True)
    answered = time.monotonic()
    assert receiver.wait(1)[0].at < answered
    assert one_secret


def test_an_effect_whose_answer_was_lost_is_told_all_the_same(
    receiver: Receiver, one_secret: str, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, key: str
) -> None:
    sandbox_psp.faults({"operation": "payment_intents.create", "kind": "drop_after"}, key=key)
    with pytest.raises(stripe.APIConnectionError):
        new_intent(payment_method="pm_card_visa", confirm=True)
    assert receiver.wait(1)[0].verified(one_secret).type == ONE_TYPE


@pytest.mark.parametrize(
    ("token", "names"),
    [
        ("pm_card_chargeDeclined", {"charge.failed", "payment_intent.payment_failed"}),
        ("pm_card_authenticationRequired", {"payment_intent.requires_action"}),
        ("pm_sandbox_qr", {"charge.pending", "payment_intent.processing"}),
    ],
)
def test_other_outcomes_have_their_own_events(
    psp: Any, new_intent: Callable[..., Any], token: str, names: set[str]
) -> None:
    intent = new_intent()
    with contextlib.suppress(stripe.CardError):
        psp.payment_intents.confirm(intent.id, {"payment_method": token})
    told = {event.type for event in psp.events.list({"limit": 100}).data}
    assert told == {"payment_intent.created"} | names


def test_manual_capture_and_cancel_have_their_own_events(psp: Any, new_intent: Callable[..., Any]) -> None:
    held = new_intent(payment_method="pm_card_visa", confirm=True, capture_method="manual")
    psp.payment_intents.capture(held.id)
    psp.payment_intents.cancel(new_intent().id)
    told = [event.type for event in reversed(psp.events.list({"limit": 100}).data)]
    assert told == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
        "payment_intent.created",
        "payment_intent.canceled",
    ]


def test_an_endpoint_that_is_away_does_not_hold_up_the_others(
    psp: Any, receiver: Receiver, one_secret: str, new_intent: Callable[..., Any]
) -> None:
    psp.webhook_endpoints.create({"url": "http://127.0.0.1:9/nobody", "enabled_events": ["*"]})
    for _ in range(20):
        new_intent(payment_method="pm_card_visa", confirm=True)
    assert len({one.verified(one_secret).id for one in receiver.wait(20)}) == 20
