"""A refund whose call fails in every way: the buyer is paid back once, or not at all, and the books say which."""

from __future__ import annotations

from datetime import timedelta

import pytest

from config import seam
from payments import executor, invariants, refunds
from payments.models import OutboxMessage, PaymentOrder, PspNotification, PspOperation, Refund
from payments.refunds import Wanted
from tests.shop import Shop


def paid(shop: Shop, amount: int = 1000, token: str = "pm_card_visa") -> PaymentOrder:
    """Buy and pay one order."""
    event = shop.buy(amount, token=token)
    shop.work()
    return shop.orders(event)[0]


def ask(order: PaymentOrder, amount: int | None = None) -> Refund:
    """Ask for a refund."""
    return refunds.request(order.event_id, Wanted(order.pk, amount), now=seam.now())


def sound(shop: Shop) -> None:
    """Assert that books, wallets and the PSP's books agree."""
    assert invariants.check().violations == []
    shop.check()


@pytest.mark.parametrize(
    "kind",
    ["drop_before", "drop_after", "reset_before", "reset_after", "500_before", "500_after", "html_502_after", "429"],
)
def test_a_refund_is_paid_once_whatever_happens_to_its_call(shop: Shop, settings: object, kind: str) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 0.25  # type: ignore[attr-defined] # pytest-django's settings
    order = paid(shop)
    shop.psp.faults({"operation": "refunds.create", "kind": kind, "times": 2, "seconds": 5}, key=shop.psp_key)
    made = ask(order, 300)
    shop.settle_down()
    made.refresh_from_db()
    assert made.status == "succeeded"
    assert [charge["refunded"] for charge in shop.books()["charges"]] == [300]
    sound(shop)


def test_two_workers_pay_a_refund_once(shop: Shop) -> None:
    order = paid(shop)
    made = ask(order, 300)
    slow = executor.claim(10)
    shop.pass_time(timedelta(minutes=2))
    fast = executor.claim(10)
    assert len(slow) == len(fast) == 1
    answers = [(call, call.run()) for call in (*slow, *fast)]
    executor.settle(answers[1:])
    executor.settle(answers[:1])
    made.refresh_from_db()
    assert made.status == "succeeded"
    assert [charge["refunded"] for charge in shop.books()["charges"]] == [300]
    assert [kind for kind, _ in shop.journals()].count("settle_refund") == 1
    sound(shop)


def test_a_notification_that_is_faster_than_our_answer_loses_nothing(shop: Shop) -> None:
    order = paid(shop)
    made = ask(order)
    (call,) = executor.claim(10)
    result = call.run()
    shop.notify(times=3)
    shop.work()
    made.refresh_from_db()
    assert made.status == "pending", "it was not known yet which refund this is"
    executor.settle([(call, result)])
    shop.work()
    made.refresh_from_db()
    assert made.status == "succeeded"
    assert not PspNotification.objects.filter(dead_at__isnull=False).exists()
    sound(shop)


def test_a_notification_about_a_refund_whose_answer_is_lost_asks_for_it_now(shop: Shop) -> None:
    order = paid(shop, token="pm_card_pendingRefund")
    made = ask(order)
    (call,) = executor.claim(10)
    call.run()
    shop.pass_time(timedelta(minutes=2))
    PspOperation.objects.filter(refund=made).update(due_at=seam.now() + timedelta(days=1), state="UNKNOWN")
    shop.psp.advance(60)
    shop.notify()
    for _ in range(2):
        shop.work()
    made.refresh_from_db()
    assert made.psp_id is not None
    shop.settle_down()
    made.refresh_from_db()
    assert made.status == "succeeded"
    sound(shop)


def test_a_pending_refund_that_cannot_be_looked_at_is_nobodys_alarm(shop: Shop) -> None:
    order = paid(shop, token="pm_card_pendingRefund")
    made = ask(order)
    shop.work()
    shop.psp.faults({"operation": "refunds.retrieve", "kind": "reset_before", "times": 50}, key=shop.psp_key)
    for _ in range(45):
        shop.pass_time(timedelta(hours=7))
        executor.execute()
    operation = PspOperation.objects.get(refund=made)
    assert operation.state == "UNKNOWN", "it is followed for a month, not for forty tries"
    assert not OutboxMessage.objects.filter(type="payment.outcome_unknown").exists()
    shop.psp.clear_faults(shop.psp_key)
    shop.psp.advance(60)
    shop.settle_down(hours=12)
    made.refresh_from_db()
    assert made.status == "succeeded"
    sound(shop)


def test_notifications_in_any_order_and_number_end_in_the_present(shop: Shop) -> None:
    order = paid(shop, token="pm_card_refundFail")
    made = ask(order, 300)
    shop.work()
    shop.psp.advance(60)
    for _ in range(3):
        shop.notify(times=2)
        shop.work()
    made.refresh_from_db()
    assert made.status == "failed"
    kinds = [kind for kind, _ in shop.journals()]
    assert (kinds.count("settle_refund"), kinds.count("refund_returned"), kinds.count("cancel_refund")) == (1, 1, 0)
    told = OutboxMessage.objects.filter(type__startswith="refund.").order_by("id").values_list("type", flat=True)
    assert list(told) == ["refund.pending", "refund.succeeded", "refund.failed"]
    sound(shop)


def test_a_refund_that_came_back_is_heard_of_although_the_question_was_lost(shop: Shop) -> None:
    order = paid(shop, token="pm_card_refundFail")
    made = ask(order, 300)
    shop.work()
    shop.psp.advance(60)
    shop.notify()
    assert executor.claim(10), "these calls die with their process"
    shop.settle_down()
    made.refresh_from_db()
    assert made.status == "failed"
    assert made.attention_at is not None
    sound(shop)
