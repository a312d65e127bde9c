"""One bad row or one lost answer must not hold up others, hide money or leave a checkout without an end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
from django_fsm import TransitionNotAllowed

from config import seam
from payments import cancellations, captures, executor, hosted, notifications, processing
from payments.errors import InvalidState
from payments.models import (
    Charge,
    OutboxMessage,
    PaymentEvent,
    PspAccount,
    PspNotification,
    PspOperation,
    Refund,
    Transition,
)
from payments.psp.base import ObjectKind, ObjectStatus, Outcome
from payments.psp.registry import reader_for
from tests.shop import Shop, open_shop

_DECLINED = "pm_card_chargeDeclined"


def _unreadable(shop: Shop) -> None:
    """Give the account credentials that were sealed with another key."""
    account = PspAccount.objects.get(pk=shop.tenant.psp_account.pk)
    account.api_key = bytes(account.api_key)[:-1] + bytes([bytes(account.api_key)[-1] ^ 1])
    account.save(update_fields=["api_key"])


def test_an_account_whose_credentials_do_not_open_holds_up_nobody_else(shop: Shop, committed_db: Any) -> None:
    bad = shop.buy(1000)
    _unreadable(shop)
    other = open_shop(committed_db, shop.psp)
    good = other.buy(1000)
    for _ in range(5):
        executor.execute()
    good.refresh_from_db()
    assert good.status == "succeeded"
    bad.refresh_from_db()
    assert bad.status == "processing"
    operation = PspOperation.objects.get(event=bad, kind="register")
    assert (operation.state, operation.error_code) == ("PREPARED", "psp_misconfigured"), "it was never sent"


def test_a_notification_of_a_strange_form_holds_up_nobody_else(shop: Shop) -> None:
    event = shop.buy(1000)
    reader = reader_for("stripe")
    assert reader is not None
    body: dict[str, Any] = {
        "id": "evt_strange",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": 1_700_000_000,
        "data": {"object": {"id": "pi_strange", "object": "payment_intent", "metadata": ["not", "an", "object"]}},
    }
    ref = reader.parse(json.dumps(body).encode())
    assert notifications.store(shop.tenant.psp_account, ref, body, now=seam.now())
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == "succeeded"
    assert PspNotification.objects.get(psp_event_id="evt_strange").dead_at is not None


def test_a_replay_that_did_not_arrive_does_not_make_the_first_call_unsent(shop: Shop, settings: Any) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 0.4
    shop.psp.faults(
        {"operation": "payment_intents.create", "kind": "reset_after", "times": 1},
        key=shop.psp_key,
    )
    event = shop.buy(1000)
    executor.execute()
    operation = PspOperation.objects.get(event=event, kind="register")
    assert operation.state == "UNKNOWN"
    shop.psp.faults({"operation": "payment_intents.create", "kind": "429", "times": 1}, key=shop.psp_key)
    shop.pass_time(timedelta(seconds=30))
    executor.execute()
    operation.refresh_from_db()
    assert (operation.state, operation.error_code) == ("UNKNOWN", "psp_rate_limited")
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == "succeeded"
    shop.check()


@pytest.mark.parametrize("reason", ["cancelled", "expired"])
def test_a_charge_that_failed_before_the_psp_knew_it_can_end(shop: Shop, reason: Any) -> None:
    event = shop.buy(1000, 2000, charge_mode="per_order", token=_DECLINED)
    shop.work()
    event.refresh_from_db()
    assert event.status == "failed"
    assert not Charge.objects.filter(event=event, psp_id__isnull=False).exists()
    cancellations.cancel(event.pk, reason=reason, now=seam.now())
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == reason
    assert PspOperation.objects.filter(event=event, closed_at__isnull=True).count() == 0


def test_a_charge_that_failed_before_the_psp_knew_it_can_move_to_the_psps_page(shop: Shop) -> None:
    event = shop.buy(1000, 2000, charge_mode="per_order", token=_DECLINED)
    shop.work()
    hosted.open_page(event, now=seam.now())
    shop.work()
    event.refresh_from_db()
    assert hosted.payable_url(event)


def test_a_checkout_that_ends_while_a_method_is_being_saved_says_so(shop: Shop) -> None:
    event = shop.buy(1000, 2000, charge_mode="per_order", token="pm_card_authenticationRequiredOnSetup")
    shop.work()
    event.refresh_from_db()
    assert event.status == "requires_action"
    cancellations.cancel(event.pk, reason="expired", now=seam.now())
    shop.work()
    event.refresh_from_db()
    assert (event.status, event.next_action) == ("expired", None)
    assert OutboxMessage.objects.filter(type="payment.expired", subject_id=event.pk).count() == 1
    assert PspOperation.objects.filter(event=event, closed_at__isnull=True).count() == 0


def test_a_cancellation_is_not_lost_while_a_charge_gives_way_to_the_psps_page(shop: Shop) -> None:
    event = shop.buy(1000, token=_DECLINED)
    shop.work()
    hosted.open_page(event, now=seam.now())
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.work()
    event.refresh_from_db()
    assert event.status == "cancelled"
    assert Charge.objects.filter(event=event).count() == 1


def test_a_decline_that_is_older_than_what_we_know_counts_for_nothing(shop: Shop) -> None:
    event = shop.buy(1000, token=_DECLINED)
    shop.work()
    shop.notify()
    stale = executor.claim(10)
    answers = [(call, call.run()) for call in stale]
    assert answers
    processing.process(event.pk, "pm_card_authenticationRequired", now=seam.now())
    shop.work()
    event.refresh_from_db()
    assert event.status == "requires_action"
    executor.settle(answers)
    event.refresh_from_db()
    assert event.status == "requires_action"
    assert Charge.objects.get(event=event).due_at is not None


def test_a_dead_capture_is_not_captured_beside(shop: Shop) -> None:
    event = shop.buy(1000, capture="manual")
    shop.work()
    captures.capture(event.pk, None, now=seam.now())
    PspOperation.objects.filter(event=event, kind="capture").update(state="DEAD", dead_at=seam.now(), due_at=None)
    with pytest.raises(InvalidState, match="unknown"):
        captures.capture(event.pk, None, now=seam.now())


def _late_success(shop: Shop) -> PaymentEvent:
    event = shop.buy(1000, token="pm_sandbox_late_success", method_types=())
    shop.work()
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.settle_down()
    shop.psp.advance(60)
    return event


def test_a_refund_that_the_psp_refuses_is_put_in_front_of_a_person(shop: Shop) -> None:
    event = _late_success(shop)
    shop.notify()
    executor.execute()
    charge = Charge.objects.get(event=event)
    assert charge.status == Charge.Status.LATE_SUCCESS
    Charge.objects.filter(pk=charge.pk).update(psp_id="pi_unknown_to_the_psp")
    shop.work()
    assert PspOperation.objects.get(event=event, kind="refund").state == "DEAD", "a person decides"
    assert OutboxMessage.objects.filter(type="payment.outcome_unknown").count() == 1


def test_a_refund_on_its_way_is_followed_until_it_has_arrived(shop: Shop) -> None:
    event = _late_success(shop)
    shop.notify()
    executor.execute()
    (call,) = [call for call in executor.claim(10) if call.operation_id is not None]
    result = call.run()
    assert result.snapshot is not None
    assert result.snapshot.kind == ObjectKind.REFUND
    pending = replace(
        result, outcome=Outcome.PENDING, snapshot=replace(result.snapshot, status=ObjectStatus.PROCESSING)
    )
    executor.settle([(call, pending)])
    refund = Refund.objects.get(charge__event=event)
    assert refund.status == Refund.Status.PENDING
    shop.settle_down()
    refund.refresh_from_db()
    assert refund.status == Refund.Status.SUCCEEDED
    shop.check()


@pytest.mark.parametrize("status", [ObjectStatus.FAILED, ObjectStatus.CANCELLED])
def test_a_refund_that_will_not_arrive_is_put_in_front_of_a_person(shop: Shop, status: ObjectStatus) -> None:
    event = _late_success(shop)
    shop.notify()
    executor.execute()
    (call,) = [call for call in executor.claim(10) if call.operation_id is not None]
    result = call.run()
    assert result.snapshot is not None
    executor.settle(
        [(call, replace(result, outcome=Outcome.DECLINED, snapshot=replace(result.snapshot, status=status)))]
    )
    assert Refund.objects.get(charge__event=event).status == Refund.Status.FAILED
    assert PspOperation.objects.get(event=event, kind="refund").state == "DEAD"


def test_one_expiry_that_fails_holds_up_no_other(shop: Shop, monkeypatch: Any) -> None:
    events = [shop.buy(1000, token="") for _ in range(2)]
    shop.pass_time(timedelta(hours=25))
    genuine = cancellations.cancel

    def cancel(event_id: int, **kwargs: Any) -> None:
        if event_id == events[0].pk:
            raise TransitionNotAllowed("a row that nobody foresaw")
        genuine(event_id, **kwargs)

    monkeypatch.setattr(cancellations, "cancel", cancel)
    cancellations.expire_due(now=seam.now())
    assert [PaymentEvent.objects.get(pk=event.pk).status for event in events] == ["requires_payment_method", "expired"]


def test_several_declined_charges_can_be_paid_with_another_method(shop: Shop) -> None:
    event = shop.buy(1000, 2000, charge_mode="per_order", token="pm_card_chargeCustomerFail")
    shop.work()
    event.refresh_from_db()
    assert event.status == "failed"
    processing.process(event.pk, "pm_card_visa", now=seam.now())
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == "succeeded"
    shop.check()


def test_one_of_several_declined_charges_is_tried_again_with_the_buyer_there(shop: Shop) -> None:
    event = shop.buy(1000, 2000, charge_mode="per_order", token="pm_card_chargeCustomerFail")
    shop.work()
    processing.process(event.pk, "pm_card_authenticationRequired", order_id=shop.orders(event)[0].pk, now=seam.now())
    shop.work()
    event.refresh_from_db()
    assert event.status == "requires_action", "asked for, not refused as if nobody were there"


@pytest.mark.parametrize(
    ("token", "capture", "status"),
    [
        ("pm_card_visa", "automatic", "SUCCEEDED"),
        ("pm_card_visa", "manual", "AUTHORIZED"),
        ("pm_card_authenticationRequired", "automatic", "REQUIRES_ACTION"),
    ],
)
def test_a_charge_that_is_first_heard_of_when_it_was_tried_takes_every_step(
    shop: Shop, token: str, capture: str, status: str
) -> None:
    """The answer to the registration is lost, and somebody pays with the object that it made."""
    event = shop.buy(1000, capture=capture)
    (call,) = executor.claim(10)
    made = call.run()
    assert made.snapshot is not None
    requests.post(
        f"{shop.psp.url}/v1/payment_intents/{made.snapshot.psp_id}/confirm",
        data={"payment_method": token, "return_url": "https://shop.example/"},
        auth=(shop.psp_key, ""),
        timeout=30,
    )
    assert Charge.objects.get(event=event).status == Charge.Status.NEW
    shop.notify()
    executor.execute()
    charge = Charge.objects.get(event=event)
    assert charge.status == status, "the notification alone is enough"
    steps = Transition.objects.filter(machine="payments_charge", object_id=charge.pk).order_by("id")
    assert list(steps.values_list("source", "target")) == [("NEW", "REGISTERED"), ("REGISTERED", status)]
    shop.check()
