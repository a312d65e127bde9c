"""The PSP misbehaves: the order ends in the state that the PSP's books show, charged once, posted once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from config import seam
from ledger.models import Transaction
from payments import cancellations, captures, executor, processing
from payments.models import Charge, OutboxMessage, PaymentEvent, PspAccount, PspOperation
from tests.shop import Shop

_KINDS = [
    "drop_before",
    "drop_after",
    "reset_before",
    "reset_after",
    "500_before",
    "500_after",
    "429",
    "409",
    "html_502",
]


@pytest.fixture(autouse=True)
def _impatient(settings: Any) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 0.4


@pytest.mark.parametrize("operation", ["payment_intents.create", "payment_intents.confirm"])
@pytest.mark.parametrize("kind", [*_KINDS, "never_answer"])
def test_a_fault_of_one_call_is_healed_without_help(shop: Shop, operation: str, kind: str) -> None:
    shop.psp.faults({"operation": operation, "kind": kind, "times": 1, "seconds": 2}, key=shop.psp_key)
    event = shop.buy(1999, 501)
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == "succeeded"
    charges = shop.books()["charges"]
    assert [charge["captured"] for charge in charges] == [2500]
    assert Transaction.objects.filter(book=shop.tenant.book, kind="settle_charge").count() == 2
    shop.check()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_fault_of_a_capture_is_healed_without_help(shop: Shop, kind: str) -> None:
    event = shop.buy(1000, capture="manual")
    shop.work()
    shop.psp.faults({"operation": "payment_intents.capture", "kind": kind, "times": 1, "seconds": 2}, key=shop.psp_key)
    captures.capture(event.pk, {shop.orders(event)[0].pk: 600}, now=seam.now())
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == "succeeded"
    assert shop.orders(event)[0].captured_minor == 600
    shop.check()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_fault_of_a_cancellation_is_healed_without_help(shop: Shop, kind: str) -> None:
    event = shop.buy(1000, capture="manual")
    shop.work()
    shop.psp.faults({"operation": "payment_intents.cancel", "kind": kind, "times": 1, "seconds": 2}, key=shop.psp_key)
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == "cancelled"
    shop.check()


@pytest.mark.parametrize("kind", ["drop_after", "500_after", "reset_after", "drop_before", "500_before"])
def test_a_fault_while_a_late_success_is_refunded_refunds_once(shop: Shop, kind: str) -> None:
    event = shop.buy(1000, token="pm_sandbox_late_success", method_types=())
    shop.work()
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.settle_down()
    shop.psp.faults({"operation": "refunds.create", "kind": kind, "times": 1, "seconds": 2}, key=shop.psp_key)
    shop.psp.advance(60)
    shop.notify()
    shop.settle_down()
    assert Charge.objects.get(event=event).status == Charge.Status.LATE_SUCCESS
    (charge,) = shop.books()["charges"]
    assert (charge["captured"], charge["refunded"]) == (1000, 1000)
    assert [kind for kind, _ in shop.journals()] == ["late_success", "settle_refund"]
    shop.check()


def test_a_refused_connection_is_tried_again_and_the_breaker_opens(shop: Shop) -> None:
    PspAccount.objects.filter(pk=shop.tenant.psp_account.pk).update(base_url="http://127.0.0.1:9")
    events = [shop.buy(100 + n) for n in range(12)]
    executor.execute()
    account = PspAccount.objects.get(pk=shop.tenant.psp_account.pk)
    assert account.consecutive_failures >= 10
    assert account.paused_until is not None
    tries = sum(PspOperation.objects.values_list("tries", flat=True))
    shop.pass_time(timedelta(seconds=2))
    assert executor.execute() == 0, "nothing is sent while the breaker is open"
    assert sum(PspOperation.objects.values_list("tries", flat=True)) == tries
    PspAccount.objects.filter(pk=account.pk).update(base_url=shop.psp.url)
    shop.settle_down()
    for event in events:
        event.refresh_from_db()
        assert event.status == "succeeded"
    account.refresh_from_db()
    assert account.consecutive_failures == 0
    assert PspAccount.objects.filter(pk=account.pk, paused_until__isnull=True).exists()
    shop.check()


def test_an_outcome_that_stays_unknown_is_reported_once_and_resolved_by_the_notification(shop: Shop) -> None:
    # The money is taken, the answer is lost, and the PSP cannot be asked either: only its notification tells.
    shop.psp.faults(
        {"operation": "payment_intents.confirm", "kind": "reset_after", "times": 1},
        {"operation": "payment_intents.retrieve", "kind": "500_before", "times": 1000},
        key=shop.psp_key,
    )
    event = shop.buy(1000)
    for _ in range(60):
        shop.work(rounds=200)
        shop.pass_time(timedelta(minutes=1))
    event.refresh_from_db()
    assert event.status == "processing"
    assert not PspOperation.objects.filter(kind="confirm", outcome="declined").exists()
    assert OutboxMessage.objects.filter(type="payment.outcome_unknown").count() == 1
    shop.psp.clear_faults(shop.psp_key)
    shop.notify()
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == "succeeded"
    shop.check()


def test_the_amount_that_the_psp_reports_is_compared_with_ours(shop: Shop) -> None:
    event = shop.buy(1000, token="")
    Charge.objects.filter(event=event).update(amount_minor=900)
    processing.process(event.pk, "pm_card_visa", now=seam.now())
    executor.execute()
    Charge.objects.filter(event=event).update(amount_minor=1000)
    shop.work()
    event.refresh_from_db()
    assert event.status == "processing"
    operation = PspOperation.objects.get(event=event, kind="confirm")
    assert (operation.state, operation.error_code) == ("DEAD", "psp_mismatch")
    assert shop.journals() == []
    assert OutboxMessage.objects.filter(type="payment.outcome_unknown").count() == 1


def test_notifications_twice_and_out_of_order_settle_once(shop: Shop) -> None:
    event = shop.buy(1999, 501)
    executor.execute()
    calls = executor.claim(10)
    answers = [(call, call.run()) for call in calls]
    # The money is taken and the notification is worked off before the answer to our own call is.
    shop.notify(times=3)
    shop.work()
    event.refresh_from_db()
    assert event.status == "succeeded"
    executor.settle(answers)
    shop.notify(times=2)
    shop.settle_down()
    assert Transaction.objects.filter(book=shop.tenant.book).count() == 2
    event.refresh_from_db()
    assert event.status == "succeeded"
    shop.check()


def test_a_worker_that_was_overtaken_cannot_write(shop: Shop) -> None:
    event = shop.buy(1000)
    stale = executor.claim(10)
    answers = [(call, call.run()) for call in stale]
    shop.pass_time(timedelta(minutes=2))
    shop.work()
    event.refresh_from_db()
    assert event.status == "succeeded"
    version = event.version
    executor.settle(answers)
    event.refresh_from_db()
    assert (event.status, event.version) == ("succeeded", version)
    shop.check()


def test_two_workers_share_the_work_and_charge_once(shop: Shop) -> None:
    events = [shop.buy(1000 + n, 2000 + n) for n in range(30)]
    errors: list[Exception] = []

    def work() -> None:
        try:
            executor.drain(seconds=20)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test's own thread reports it
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    shop.settle_down()
    for event in events:
        event.refresh_from_db()
        assert event.status == "succeeded"
    assert len(shop.books()["charges"]) == 30
    shop.check()


def test_fifty_identical_posts_at_once_are_one_payment_and_one_charge(shop: Shop) -> None:
    payment = shop.new_payment(shop.caller(), [1000])
    outcomes: list[str] = []
    barrier = threading.Barrier(50)

    def post() -> None:
        barrier.wait()
        outcomes.extend(answer.outcome for answer in shop.accept(payment))
        connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(set(outcomes)) == ["created", "replayed"]
    assert outcomes.count("created") == 1
    assert PaymentEvent.objects.count() == 1
    shop.work()
    assert len(shop.books()["charges"]) == 1
    shop.check()
