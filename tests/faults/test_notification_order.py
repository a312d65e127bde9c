"""What a PSP tells comes in any order, and twice: each thing is booked once, and no state goes back.

Refunds, disputes and payouts; a transfer is told of by its own call only. Between two notifications everything is done
that is due, so that each is looked at by itself.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
import requests

from config import seam
from payments import executor, invariants, notifications, refunds
from payments.models import Charge, Dispute, PaymentEvent, Payout, PspNotification, Refund, Transition
from payments.psp import registry
from payments.refunds import Wanted
from tests.market import Market
from tests.shop import Shop

ORDERS = ("as they came", "newest first", "outside in")


def events(shop: Shop, prefix: str, account: str = "") -> list[dict[str, Any]]:
    """Return the events of a family, oldest first."""
    headers = {"Stripe-Account": account} if account else {}
    answer = requests.get(
        f"{shop.psp.url}/v1/events", params={"limit": 100}, auth=(shop.psp_key, ""), headers=headers, timeout=30
    )
    return [event for event in reversed(answer.json()["data"]) if event["type"].startswith(prefix)]


def arranged(told: list[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    """Return events in an order, each of them twice."""
    if order == "newest first":
        told = told[::-1]
    elif order == "outside in":
        told = [event for pair in zip(told, reversed(told), strict=True) for event in pair][: len(told)]
    return list(itertools.chain(told, told))


def hear(shop: Shop, told: Iterable[dict[str, Any]]) -> None:
    """Deliver events one after the other, each twice in a row, and work each off."""
    reader = registry.reader_for("stripe")
    assert reader is not None
    for event in told:
        ref = reader.parse(json.dumps(event).encode())
        for _ in range(2):
            notifications.store(shop.tenant.psp_account, ref, event, now=seam.now())
        for _ in range(3):
            executor.execute()
    for _ in range(3):
        shop.pass_time(timedelta(seconds=30))
        executor.execute()


def history(machine: str) -> list[str]:
    """Return the states that rows of a machine went to, in order."""
    return list(Transition.objects.filter(machine=machine).order_by("id").values_list("target", flat=True))


def sound(shop: Shop) -> None:
    """Assert that nothing waits, nothing is wrong, and the PSP's books agree."""
    assert not PspNotification.objects.filter(dead_at__isnull=False).exists()
    shop.reset_time()
    assert invariants.check().violations == []
    shop.check()


@pytest.mark.parametrize("order", ORDERS)
def test_a_refund_that_was_slow_paid_and_came_back(shop: Shop, order: str) -> None:
    event = shop.buy(1000, token="pm_card_pendingRefund")
    shop.work()
    made = refunds.request(event.pk, Wanted(shop.orders(event)[0].pk), now=seam.now())
    shop.work()
    shop.psp.advance(10)
    first = events(shop, "refund.")
    hear(shop, arranged(first, order))
    made.refresh_from_db()
    assert made.status == "succeeded"
    shop.psp.control(f"refunds/{made.psp_id}/fail")
    told = events(shop, "refund.") + events(shop, "charge.refund.")
    assert len(told) > len(first)
    hear(shop, arranged(told, order))
    assert history("payments_refund") == ["succeeded", "failed"]
    assert Refund.objects.get().attention_at is not None
    assert [kind for kind, _ in shop.journals()] == [
        "settle_charge", "request_refund", "settle_refund", "refund_returned",
    ]  # fmt: skip
    sound(shop)


@pytest.mark.parametrize("ends", ["won", "lost"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_dispute_that_was_opened_and_decided(shop: Shop, order: str, ends: str) -> None:
    event: PaymentEvent = shop.buy(1000)
    shop.settle_down()
    charge = Charge.objects.get(event=event)
    psp_id = shop.psp.control("disputes", payment_intent=charge.psp_id)["id"]
    if order == "as they came":
        hear(shop, arranged(events(shop, "charge.dispute."), order))
    shop.psp.control(f"disputes/{psp_id}/close", status=ends)
    told = events(shop, "charge.dispute.")
    assert len(told) >= 3
    hear(shop, arranged(told, order))
    assert Dispute.objects.get().status == ends
    # One that is over when it is heard of is born so.
    assert history("payments_dispute") == ([ends] if order == "as they came" else [])
    verbs = [kind for kind, _ in shop.journals() if kind.endswith("_dispute")]
    assert verbs == ["open_dispute", "win_dispute" if ends == "won" else "lose_dispute"]
    sound(shop)


@pytest.mark.parametrize("order", ORDERS)
def test_a_payout_that_was_paid_and_bounced(shop: Shop, market: Market, order: str) -> None:
    market.earn(10_000)
    payout = market.ask(9_000)
    shop.work()
    payout.refresh_from_db()
    (account,) = shop.books()["connected"]
    shop.psp.control(f"payouts/{payout.psp_id}/advance", status="paid")
    told = events(shop, "payout.", account)
    hear(shop, arranged(told, order))
    assert Payout.objects.get().status == "paid"
    shop.psp.control(f"payouts/{payout.psp_id}/advance", status="failed")
    hear(shop, arranged(events(shop, "payout.", account), order))
    assert history("payments_payout") == ["sent", "paid", "failed", "returned"]
    assert market.movements(payout) == ["reserve_payout", "fund_payout", "pay_out", "unpay_payout", "return_payout"]
    assert [row["amount_reversed"] for row in shop.books()["transfers"]] == [9_000]
    sound(shop)
