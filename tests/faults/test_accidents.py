"""Accidents that other systems had: docs/explanation/accidents.md names the test of each; these had none yet."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests
from django.db import connections

from config import seam
from ledger.models import Transaction
from payments import executor, refunds
from payments.models import Charge, FeePlan, MerchantBook, OutboxMessage, PspOperation
from payments.refunds import Wanted
from tests.market import Market
from tests.shop import Shop


def settled(shop: Shop) -> int:
    """Return how many orders were booked as paid."""
    return Transaction.objects.filter(book=shop.tenant.book, kind="settle_charge").count()


def test_a_payment_stays_paid_when_our_own_call_comes_too_late(shop: Shop) -> None:
    """The notification is booked between the claim of our call and its answer, which is a refusal."""
    event = shop.buy(1999, 501)
    executor.execute()
    calls = executor.claim(10)
    assert PspOperation.objects.get(state="SENT").kind == PspOperation.Kind.CONFIRM
    intent = Charge.objects.get(event=event).psp_id
    requests.post(
        f"{shop.psp.url}/v1/payment_intents/{intent}/confirm",
        data={"payment_method": "pm_card_visa"},
        auth=(shop.psp_key, ""),
        timeout=30,
    ).raise_for_status()
    shop.notify()
    shop.work()
    event.refresh_from_db()
    assert event.status == "succeeded"
    executor.settle([(call, call.run()) for call in calls])
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == "succeeded"
    assert [order.status for order in shop.orders(event)] == ["SUCCESS", "SUCCESS"]
    assert settled(shop) == 2
    assert [charge["captured"] for charge in shop.books()["charges"]] == [2500]
    shop.check()


def test_the_same_notification_three_times_at_once_is_booked_once(shop: Shop) -> None:
    event = shop.buy(1999, 501)
    executor.execute()
    answers = [(call, call.run()) for call in executor.claim(10)]
    barrier = threading.Barrier(3)

    def hear(_number: int) -> int:
        try:
            barrier.wait(30)
            new = shop.notify()
            barrier.wait(30)
            executor.execute()
        finally:
            connections.close_all()
        return new

    with ThreadPoolExecutor(3) as threads:
        new = list(threads.map(hear, range(3)))
    told = requests.get(f"{shop.psp.url}/v1/events", params={"limit": 100}, auth=(shop.psp_key, ""), timeout=30).json()
    assert sum(new) == len(told["data"])
    executor.settle(answers)
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == "succeeded"
    assert settled(shop) == 2
    assert OutboxMessage.objects.filter(type="payment.succeeded").count() == 1
    shop.check()


def test_a_page_of_a_proxy_instead_of_an_answer_is_an_unknown_outcome_and_is_resolved(shop: Shop) -> None:
    shop.psp.faults(
        {"operation": "payment_intents.confirm", "kind": "html_502_after", "times": 1},
        {"operation": "payment_intents.retrieve", "kind": "html_502", "times": 1000},
        key=shop.psp_key,
    )
    event = shop.buy(1000)
    executor.execute()
    executor.execute()
    event.refresh_from_db()
    operation = PspOperation.objects.get(kind=PspOperation.Kind.CONFIRM)
    assert (event.status, operation.state) == ("processing", "UNKNOWN")
    assert settled(shop) == 0
    shop.psp.clear_faults(shop.psp_key)
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == "succeeded"
    assert [charge["captured"] for charge in shop.books()["charges"]] == [1000]
    shop.check()


@pytest.mark.parametrize("paid_before", [False, True])
def test_a_fee_plan_that_is_edited_after_the_sale_changes_no_old_order(shop: Shop, paid_before: bool) -> None:
    MerchantBook.objects.filter(pk=shop.tenant.book.pk).update(refund_fee_policy="proportional")
    event = shop.buy(1000)
    if paid_before:
        shop.work()
    FeePlan.objects.filter(book=shop.tenant.book).update(basis_points=5000)
    shop.work()
    (order,) = shop.orders(event)
    assert (order.fee_minor, order.pending_minor) == (100, 900)
    refund = refunds.request(event.pk, Wanted(order.pk, 500), now=seam.now())
    assert (refund.fee_minor, refund.from_pending_minor) == (50, 450)
    later = shop.buy(1000)
    shop.work()
    assert shop.orders(later)[0].fee_minor == 500, "a new order has the new fee"
    shop.check()


@pytest.mark.parametrize(("kind", "transfers"), [("drop_after", 1), ("drop_before", 0)])
def test_a_transfer_whose_answer_was_lost_is_found_after_a_day_and_not_sent_again(
    shop: Shop, market: Market, kind: str, transfers: int
) -> None:
    market.earn(10_000)
    payout = market.ask(9_000)
    shop.psp.faults({"operation": "transfers.create", "kind": kind, "times": 1}, key=shop.psp_key)
    for _ in ("balance", "payee", "transfer"):
        executor.execute()
    lost = PspOperation.objects.filter(kind=PspOperation.Kind.TRANSFER)
    assert [operation.state for operation in lost] == ["UNKNOWN"]
    # A day passes without anybody asking: both sides forget the key.
    lost.update(first_sent_at=seam.now() - timedelta(hours=25))
    shop.psp.advance(25 * 3600)
    for _ in range(5):
        shop.pass_time(timedelta(minutes=10))
        shop.work()
    payout.refresh_from_db()
    assert len(shop.books()["transfers"]) == transfers
    assert market.movements(payout).count("fund_payout") == transfers
    assert payout.status == ("sent" if transfers else "pending"), "what is not there is a person's decision"
    assert market.wallet()["in_transit"] == 9_000
    shop.check()
