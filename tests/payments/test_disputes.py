"""A buyer's bank takes money back: what the PSP says of a dispute is booked once, whatever the order of the news."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from hypothesis import given
from hypothesis import strategies as st

from config import seam
from ledger.ids import public_id
from payments import cancellations, dispute_shares, executor, invariants, psp_calls, refunds
from payments.errors import Unprocessable
from payments.models import Charge, Dispute, DisputePart, OutboxMessage, PaymentEvent, PaymentOrder
from payments.psp.base import DisputeStage, Result, Snapshot
from payments.psp_calls import Call
from payments.refunds import Wanted
from tests.shop import Shop
from wallet import holdings, movements
from wallet.movements import Heading

PARTS = ("pending", "available", "reserved", "in_transit", "debt")


def disputed(shop: Shop, event: PaymentEvent, **body: Any) -> str:
    """Let the buyer's bank open a dispute at the PSP; return the PSP's id of it."""
    charge = Charge.objects.filter(event=event).order_by("id").first()
    assert charge is not None
    return str(shop.psp.control("disputes", payment_intent=charge.psp_id, **body)["id"])


def hear(shop: Shop, *, times: int = 1) -> None:
    """Deliver what the PSP has to tell and work it off."""
    shop.notify(times=times)
    shop.work()
    shop.pass_time(timedelta(seconds=5))
    shop.work()


def wallet(shop: Shop, seller: int = 0, currency: str = "EUR") -> dict[str, int]:
    """Return what a seller has, by account; accounts that hold nothing are left out."""
    name, balances = public_id("sel", shop.sellers[seller].public_id), shop.balances()
    found = {part: -balances.get(f"seller:{name}:{part}:{currency}", 0) for part in PARTS}
    return {part: abs(amount) for part, amount in found.items() if amount}


def platform(shop: Shop, currency: str = "EUR") -> dict[str, int]:
    """Return the platform's own accounts, income above zero and expense below; zeros are left out."""
    names = ("fees:platform", "fees:dispute", "chargeback:loss")
    balances = shop.balances()
    return {name: -amount for name in names if (amount := balances.get(f"{name}:{currency}", 0))}


def held(shop: Shop, currency: str = "EUR") -> int:
    """Return what the PSP holds."""
    return shop.balances().get(f"psp:{shop.tenant.psp_account.code}:dispute_held:{currency}", 0)


def published(event: PaymentEvent) -> list[str]:
    """Return the types of the facts about disputes of a payment."""
    rows = OutboxMessage.objects.filter(subject_kind="payment", subject_id=event.pk, type__startswith="dispute.")
    return list(rows.order_by("id").values_list("type", flat=True))


@pytest.fixture
def paid(shop: Shop) -> PaymentEvent:
    """Give a paid checkout of two sellers: 20.00 with a fee of 2.00, and 5.00 with a fee of 0.50."""
    event = shop.buy(2000, 500)
    shop.settle_down()
    return event


def test_a_dispute_holds_the_money_and_reserves_what_is_the_sellers(shop: Shop, paid: PaymentEvent) -> None:
    disputed(shop, paid)
    hear(shop)
    (dispute,) = Dispute.objects.all()
    assert (dispute.status, dispute.reason, dispute.amount_minor) == ("needs_response", "fraudulent", 2500)
    assert (dispute.taken_minor, dispute.cost_minor, dispute.held_minor) == (2500, 2000, 2500)
    assert dispute.evidence_due_at is not None
    assert [(part.amount_minor, part.fee_minor, part.pending_minor) for part in dispute.parts.order_by("position")] == [
        (2000, 200, 1800),
        (500, 50, 450),
    ]
    assert held(shop) == 2500
    assert wallet(shop) == {"reserved": 1800}
    assert wallet(shop, 1) == {"reserved": 450}
    assert platform(shop) == {"fees:platform": 250, "fees:dispute": -2000}
    assert [(order.disputed_minor, order.pending_minor) for order in shop.orders(paid)] == [(2000, 0), (500, 0)]
    assert published(paid) == ["dispute.opened"]
    shop.check()


def test_a_dispute_that_is_won_gives_everybody_back_what_was_taken(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="won")
    hear(shop)
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.returned_minor, dispute.held_minor, dispute.due_at) == ("won", 2500, 0, None)
    assert held(shop) == 0
    assert (wallet(shop), wallet(shop, 1)) == ({"pending": 1800}, {"pending": 450})
    # The sandbox keeps its charge for the dispute.
    assert platform(shop) == {"fees:platform": 250, "fees:dispute": -2000}
    assert [(order.disputed_minor, order.pending_minor) for order in shop.orders(paid)] == [(0, 1800), (0, 450)]
    assert published(paid) == ["dispute.opened", "dispute.won"]
    shop.check()


def test_the_psp_may_return_its_charge_for_a_dispute_that_is_lost_all_the_same(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="lost", fee_returned=True)
    for _ in range(2):
        hear(shop, times=2)
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.cost_minor, dispute.cost_returned_minor) == ("lost", 2000, 2000)
    assert platform(shop) == {}, "neither its fee nor the charge for the dispute is left"
    assert wallet(shop) == {}
    assert [name.rpartition(":")[2] for kind, name in shop.journals() if kind == "win_dispute"] == ["cost"]
    shop.psp.control(f"disputes/{psp_id}/close", status="won")
    hear(shop)
    assert (Dispute.objects.get().status, Dispute.objects.get().regained_minor) == ("won", 2500)
    assert platform(shop) == {"fees:platform": 250}
    assert invariants.check().violations == []
    shop.check()


def test_a_dispute_that_is_lost_takes_the_sellers_share_and_the_platforms_fee(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="lost")
    hear(shop)
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.lost_minor, dispute.held_minor) == ("lost", 2500, 0)
    assert held(shop) == 0
    assert (wallet(shop), wallet(shop, 1)) == ({}, {})
    assert platform(shop) == {"fees:dispute": -2000}
    assert [order.disputed_minor for order in shop.orders(paid)] == [2000, 500]
    assert published(paid) == ["dispute.opened", "dispute.lost"]
    shop.check()


@pytest.mark.parametrize("status", ["won", "lost"])
def test_a_dispute_that_is_over_when_it_is_heard_of_is_opened_and_closed_at_once(
    shop: Shop, paid: PaymentEvent, status: str
) -> None:
    psp_id = disputed(shop, paid)
    shop.psp.control(f"disputes/{psp_id}/close", status=status)
    hear(shop)
    assert Dispute.objects.get().status == status
    kinds = {kind for kind, _ in shop.journals() if kind.endswith("_dispute")}
    assert kinds == {"open_dispute", "win_dispute" if status == "won" else "lose_dispute"}
    assert published(paid) == ["dispute.opened", f"dispute.{status}"]
    assert held(shop) == 0
    shop.check()


def test_the_news_of_a_dispute_three_times_at_once_and_reversed_books_once(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    shop.notify(times=3)
    claimed = executor.claim(10)
    answers = [(call, call.run()) for call in claimed]
    again = [(psp_calls.of_dispute(charge, psp_id),) for charge in Charge.objects.select_related("psp_account")]
    answers += [(call, call.run()) for (call,) in again for _ in range(2)]
    errors: list[BaseException] = []
    barrier = threading.Barrier(3)

    def settle(part: list[tuple[Call, Result]]) -> None:
        barrier.wait()
        try:
            executor.settle(part)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test's own thread reports it
            errors.append(error)
        finally:
            connections.close_all()

    parts = [[answer for answer in answers if answer[0].about_dispute][place::3] for place in range(3)]
    assert all(parts)
    threads = [threading.Thread(target=settle, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    hear(shop, times=2)
    assert Dispute.objects.count() == 1
    assert [kind for kind, _ in shop.journals()].count("open_dispute") == 2
    assert published(paid) == ["dispute.opened"]
    shop.check()


def test_an_old_answer_after_a_newer_one_changes_nothing(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    charge = Charge.objects.select_related("psp_account").get()
    call = psp_calls.of_dispute(charge, psp_id)
    old = call.run()
    shop.psp.control(f"disputes/{psp_id}/close", status="lost")
    hear(shop)
    before = (shop.journals(), Dispute.objects.values().get())
    executor.settle([(call, old)])
    assert (shop.journals(), Dispute.objects.values().get()) == before
    shop.check()


def test_a_dispute_of_a_charge_whose_money_is_not_booked_yet_waits_for_it(shop: Shop) -> None:
    event = shop.buy(2000, 500)
    executor.execute()
    calls = executor.claim(10)
    answers = [(call, call.run()) for call in calls]
    # The money is taken and disputed, and our worker has not written the answer yet.
    charge = Charge.objects.get(event=event)
    shop.psp.control("disputes", payment_intent=charge.psp_id)
    shop.notify()
    for _ in range(3):
        shop.work()
        shop.pass_time(timedelta(seconds=10))
    assert Dispute.objects.get().taken_minor == 2500
    assert [kind for kind, _ in shop.journals()] == ["settle_charge", "settle_charge", "open_dispute", "open_dispute"]
    executor.settle(answers)
    shop.settle_down()
    shop.check()


def test_a_dispute_of_a_part_is_spread_over_the_orders_of_the_charge(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid, amount=1001)
    hear(shop)
    parts = list(DisputePart.objects.order_by("position"))
    assert [(part.amount_minor, part.fee_minor) for part in parts] == [(801, 80), (200, 20)]
    assert wallet(shop) == {"pending": 1800 - 721, "reserved": 721}
    shop.psp.control(f"disputes/{psp_id}/close", status="lost")
    hear(shop)
    assert wallet(shop) == {"pending": 1800 - 721}
    assert wallet(shop, 1) == {"pending": 450 - 180}
    assert platform(shop) == {"fees:platform": 250 - 100, "fees:dispute": -2000}
    assert [(order.disputed_minor, order.fee_disputed_minor) for order in shop.orders(paid)] == [(801, 80), (200, 20)]
    shop.check()


def test_with_a_charge_for_each_order_only_its_own_order_is_disputed(shop: Shop) -> None:
    event = shop.buy(2000, 500, charge_mode="per_order")
    shop.settle_down()
    disputed(shop, event)
    hear(shop)
    assert [order.disputed_minor for order in shop.orders(event)] == [2000, 0]
    assert (wallet(shop), wallet(shop, 1)) == ({"reserved": 1800}, {"pending": 450})
    shop.check()


def test_two_orders_of_one_seller_are_taken_one_after_the_other(shop: Shop) -> None:
    caller = shop.caller()
    event = shop.buy(orders=(shop.order(caller, 1000, 0), shop.order(caller, 700, 0)))
    shop.settle_down()
    release(shop, event)
    spend(shop, event, 1000)
    disputed(shop, event)
    hear(shop)
    assert wallet(shop) == {"reserved": 1530, "debt": 1000}
    assert [(part.available_minor, part.debt_minor) for part in DisputePart.objects.order_by("position")] == [
        (530, 370),
        (0, 630),
    ]
    shop.check()


def test_what_a_second_dispute_takes_beyond_the_order_is_the_platforms_loss(shop: Shop, paid: PaymentEvent) -> None:
    first = disputed(shop, paid, amount=2000)
    second = disputed(shop, paid, again=True)
    hear(shop)
    assert {(d.psp_id, d.taken_minor) for d in Dispute.objects.all()} == {(first, 2000), (second, 2500)}
    assert held(shop) == 4500
    assert sum(part.excess_minor for part in DisputePart.objects.all()) == 2000
    assert (wallet(shop), wallet(shop, 1)) == ({"reserved": 1800}, {"reserved": 450})
    for psp_id in (first, second):
        shop.psp.control(f"disputes/{psp_id}/close", status="lost")
    hear(shop)
    assert (wallet(shop), wallet(shop, 1)) == ({}, {})
    assert platform(shop) == {"fees:dispute": -4000, "chargeback:loss": -2000}
    shop.check()


def test_a_dispute_of_a_charge_that_was_refunded_takes_what_is_left_and_the_rest_is_the_platforms_loss(
    shop: Shop, paid: PaymentEvent
) -> None:
    """The buyer has 8.00 back from us and claims the whole 25.00 from the bank, which takes it."""
    order = shop.orders(paid)[0]
    refund = refunds.request(paid.pk, Wanted(order.pk, 800), now=seam.now())
    shop.work()
    refund.refresh_from_db()
    assert refund.status == "succeeded"
    psp_id = disputed(shop, paid)
    hear(shop)
    assert [(part.amount_minor, part.excess_minor) for part in Dispute.objects.get().parts.order_by("position")] == [
        (1840, 640),
        (660, 160),
    ]
    assert held(shop) == 2500
    assert [(row.refunded_minor, row.pending_minor) for row in shop.orders(paid)] == [(800, 0), (0, 0)]
    shop.check()
    shop.psp.control(f"disputes/{psp_id}/close", status="lost")
    hear(shop)
    assert platform(shop)["chargeback:loss"] == -800, "what the buyer has twice"
    assert wallet(shop) == wallet(shop, 1) == {}
    with pytest.raises(Unprocessable):
        refunds.request(paid.pk, Wanted(order.pk, 1), now=seam.now())
    assert invariants.check().violations == []
    shop.check()


def test_of_two_disputes_one_won_and_one_lost_the_sellers_have_what_is_left(shop: Shop, paid: PaymentEvent) -> None:
    first = disputed(shop, paid)
    hear(shop)
    second = disputed(shop, paid, again=True)
    hear(shop)
    shop.psp.control(f"disputes/{first}/close", status="lost")
    shop.psp.control(f"disputes/{second}/close", status="won")
    hear(shop)
    assert (wallet(shop), wallet(shop, 1)) == ({}, {})
    assert platform(shop) == {"fees:dispute": -4000}
    assert [order.disputed_minor for order in shop.orders(paid)] == [2000, 500]
    shop.check()


def test_a_released_order_gives_from_what_is_available_and_gets_it_back_there(shop: Shop, paid: PaymentEvent) -> None:
    release(shop, paid)
    psp_id = disputed(shop, paid)
    hear(shop)
    assert wallet(shop) == {"reserved": 1800}
    shop.psp.control(f"disputes/{psp_id}/close", status="won")
    hear(shop)
    assert wallet(shop) == {"available": 1800}
    assert [order.pending_minor for order in shop.orders(paid)] == [0, 0]
    shop.check()


def test_an_order_released_while_it_was_disputed_gets_its_money_as_available(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid, amount=1250)
    hear(shop)
    assert wallet(shop) == {"pending": 900, "reserved": 900}
    release(shop, paid)
    shop.psp.control(f"disputes/{psp_id}/close", status="won")
    hear(shop)
    assert wallet(shop) == {"available": 1800}
    shop.check()


@pytest.mark.parametrize(
    ("status", "seller"),
    [("won", {}), ("lost", {"debt": 1800})],
)
def test_a_seller_that_was_paid_out_owes_its_share_until_the_dispute_is_won(
    shop: Shop, paid: PaymentEvent, status: str, seller: dict[str, int]
) -> None:
    release(shop, paid)
    spend(shop, paid, 1800)
    psp_id = disputed(shop, paid)
    hear(shop)
    assert wallet(shop) == {"reserved": 1800, "debt": 1800}
    shop.psp.control(f"disputes/{psp_id}/close", status=status)
    hear(shop)
    assert wallet(shop) == seller
    shop.check()


def test_debt_that_was_netted_meanwhile_comes_back_as_available_money(shop: Shop, paid: PaymentEvent) -> None:
    release(shop, paid)
    spend(shop, paid, 1800)
    psp_id = disputed(shop, paid)
    hear(shop)
    other = shop.buy(1000)
    shop.settle_down()
    release(shop, other)
    assert wallet(shop) == {"reserved": 1800, "debt": 900}
    shop.psp.control(f"disputes/{psp_id}/close", status="won")
    hear(shop)
    assert wallet(shop) == {"available": 900}
    shop.check()


def test_the_fee_of_a_dispute_comes_back_when_the_psp_returns_it(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="won", fee_returned=True)
    hear(shop)
    assert platform(shop) == {"fees:platform": 250}
    dispute = Dispute.objects.get()
    assert (dispute.cost_minor, dispute.cost_returned_minor) == (2000, 2000)
    shop.check()


@pytest.mark.parametrize("status", ["won", "lost"])
def test_what_comes_back_of_a_partly_decided_dispute_is_shared_and_the_rest_is_gone(
    shop: Shop, paid: PaymentEvent, status: str
) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status=status, returned=1000)
    hear(shop)
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.returned_minor, dispute.lost_minor) == (status, 1000, 1500)
    assert (wallet(shop), wallet(shop, 1)) == ({"pending": 720}, {"pending": 180})
    assert platform(shop) == {"fees:platform": 100, "fees:dispute": -2000}
    assert [order.disputed_minor for order in shop.orders(paid)] == [1200, 300]
    shop.check()


def test_what_comes_back_goes_first_to_what_was_beyond_the_order(shop: Shop, paid: PaymentEvent) -> None:
    first = disputed(shop, paid, amount=1000)
    hear(shop)
    shop.psp.control(f"disputes/{first}/close", status="lost")
    second = disputed(shop, paid, again=True)
    hear(shop)
    shop.psp.control(f"disputes/{second}/close", status="lost", returned=1000)
    hear(shop)
    assert platform(shop) == {"fees:dispute": -4000}
    assert (wallet(shop), wallet(shop, 1)) == ({}, {})
    shop.check()


def test_a_dispute_counts_as_won_when_the_money_is_back(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="won", returned=0)
    hear(shop)
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.held_minor) == ("under_review", 2500)
    assert published(paid) == ["dispute.opened"]
    shop.psp.control(f"disputes/{psp_id}/reinstate", amount=2500)
    # The notification is lost: the poll finds it.
    shop.pass_time(timedelta(hours=2))
    shop.work()
    assert Dispute.objects.get().status == "won"
    assert wallet(shop) == {"pending": 1800}
    assert published(paid) == ["dispute.opened", "dispute.won"]
    shop.check()


@pytest.mark.parametrize("returned", [2500, 1000])
def test_a_lost_dispute_that_is_won_after_all_gives_back_what_was_given_up(
    shop: Shop, paid: PaymentEvent, returned: int
) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="lost")
    hear(shop)
    release(shop, paid)
    shop.psp.control(f"disputes/{psp_id}/close", status="won", returned=returned, fee_returned=True)
    hear(shop)
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.regained_minor, dispute.lost_minor) == ("won", returned, 2500)
    assert wallet(shop) == {"available": 1800 * returned // 2500}
    assert platform(shop) == {"fees:platform": returned // 10}
    assert published(paid) == ["dispute.opened", "dispute.lost", "dispute.won"]
    shop.check()


def test_an_inquiry_moves_no_money_and_may_become_a_dispute(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid, inquiry=True)
    hear(shop)
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.taken_minor) == ("inquiry_open", 0)
    assert wallet(shop) == {"pending": 1800}
    shop.check()
    shop.psp.control(f"disputes/{psp_id}/escalate")
    hear(shop)
    dispute.refresh_from_db()
    assert (dispute.status, dispute.taken_minor) == ("needs_response", 2500)
    assert published(paid) == ["dispute.opened", "dispute.opened"]
    shop.check()


def test_an_inquiry_may_end_without_a_dispute(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid, inquiry=True)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="warning_closed")
    hear(shop)
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.due_at) == ("inquiry_closed", None)
    assert not any(kind.endswith("dispute") for kind, _ in shop.journals())
    shop.check()


def test_money_in_another_currency_is_put_in_front_of_a_person_with_the_books_untouched(
    shop: Shop, paid: PaymentEvent
) -> None:
    before = (shop.journals(), [order.updated_at for order in shop.orders(paid)])
    psp_id = disputed(shop, paid, settled_in="usd")
    hear(shop)
    dispute = Dispute.objects.get()
    assert dispute.quarantined_at is not None
    assert dispute.quarantine_reason == "money moved in USD, the charge is in EUR"
    assert (dispute.taken_minor, dispute.parts.count()) == (0, 0)
    assert (shop.journals(), [order.updated_at for order in shop.orders(paid)]) == before
    assert published(paid) == []
    shop.psp.control(f"disputes/{psp_id}/close", status="lost")
    hear(shop)
    assert shop.journals() == before[0]
    assert [warning.check for warning in invariants.check().warnings] == ["dispute_in_quarantine"]
    assert invariants.check().violations == []


def _facts(snapshot: Snapshot, **changes: Any) -> Snapshot:
    assert snapshot.dispute is not None
    return replace(snapshot, dispute=replace(snapshot.dispute, **changes))


CONTRADICTIONS: dict[str, Callable[[Snapshot], Snapshot]] = {
    "another currency": lambda told: replace(told, currency="USD"),
    "another charge": lambda told: replace(told, charge_psp_id="pi_other"),
    "more taken than disputed": lambda told: replace(_facts(told, taken_minor=2501), amount_minor=2500),
    "other money taken than before": lambda told: _facts(told, taken_minor=2400),
    "another cost than before": lambda told: _facts(told, cost_minor=2500),
    "more back than taken": lambda told: _facts(told, stage=DisputeStage.WON, returned_minor=2501),
    "two currencies": lambda told: _facts(told, money_currency="EUR+USD"),
}


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_what_contradicts_the_books_is_not_booked_and_heals_when_it_is_told_rightly(
    shop: Shop, paid: PaymentEvent, contradiction: str
) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    charge = Charge.objects.select_related("psp_account").get()
    call = psp_calls.of_dispute(charge, psp_id)
    told = call.run()
    assert told.snapshot is not None
    before = (shop.journals(), list(DisputePart.objects.values()), Dispute.objects.get().status)
    executor.settle([(call, replace(told, snapshot=CONTRADICTIONS[contradiction](told.snapshot)))])
    assert (shop.journals(), list(DisputePart.objects.values()), Dispute.objects.get().status) == before
    assert Dispute.objects.get().quarantined_at is not None
    executor.settle([(call, told)])
    assert Dispute.objects.get().quarantined_at is None
    shop.check()


def test_a_dispute_that_was_won_and_is_told_as_lost_is_put_in_front_of_a_person(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="won")
    hear(shop)
    call = psp_calls.of_dispute(Charge.objects.select_related("psp_account").get(), psp_id)
    told = call.run()
    assert told.snapshot is not None
    before = shop.journals()
    executor.settle([(call, replace(told, snapshot=_facts(told.snapshot, stage=DisputeStage.LOST)))])
    assert (Dispute.objects.get().status, Dispute.objects.get().quarantined_at is not None) == ("won", True)
    assert shop.journals() == before


def test_the_end_of_a_dispute_is_found_when_every_notification_of_it_is_lost(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="lost")
    shop.pass_time(timedelta(hours=20))
    shop.work()
    assert Dispute.objects.get().status == "needs_response"
    shop.pass_time(timedelta(hours=5))
    shop.work()
    assert Dispute.objects.get().status == "lost"
    shop.check()


def test_a_poll_that_fails_comes_again_sooner_than_the_next_day(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="lost")
    shop.psp.faults({"operation": "disputes.retrieve", "kind": "500_before", "times": 2}, key=shop.psp_key)
    shop.pass_time(timedelta(hours=25))
    shop.work()
    assert Dispute.objects.get().status == "needs_response"
    for _ in range(3):
        shop.pass_time(timedelta(minutes=15))
        shop.work()
    assert Dispute.objects.get().status == "lost"


def test_money_that_came_too_late_and_is_disputed_is_the_platforms_loss(shop: Shop) -> None:
    event = shop.buy(1000, token="pm_sandbox_late_success", method_types=())
    shop.work()
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.settle_down()
    shop.psp.advance(60)
    shop.notify()
    shop.settle_down()
    assert Charge.objects.get(event=event).status == Charge.Status.LATE_SUCCESS
    psp_id = disputed(shop, event)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="lost")
    hear(shop)
    assert platform(shop) == {"chargeback:loss": -1000, "fees:dispute": -2000}
    assert wallet(shop) == {}
    shop.check()


@pytest.mark.parametrize(("currency", "amount"), [("JPY", 1999), ("KWD", 19990)])
def test_currencies_of_other_exponents(shop: Shop, currency: str, amount: int) -> None:
    event = shop.buy(amount, currency=currency)
    shop.settle_down()
    psp_id = disputed(shop, event)
    hear(shop)
    assert Dispute.objects.get().taken_minor == amount
    shop.psp.control(f"disputes/{psp_id}/close", status="won", fee_returned=True)
    hear(shop)
    assert held(shop, currency) == 0
    assert platform(shop, currency) == {"fees:platform": round(amount / 10)}
    shop.check()


@given(
    fee=st.integers(0, 5000),
    excess=st.integers(0, 5000),
    owed=st.integers(0, 5000),
    percents=st.lists(st.integers(0, 100), max_size=4),
)
def test_what_comes_back_in_steps_is_split_as_if_it_came_at_once(
    fee: int, excess: int, owed: int, percents: list[int]
) -> None:
    total = fee + excess + owed
    part = DisputePart(amount_minor=total, excess_minor=excess, fee_minor=fee)
    steps = sorted(total * percent // 100 for percent in percents)
    marks = [0, *steps, total]
    splits = [dispute_shares.between(part, low, high) for low, high in itertools.pairwise(marks)]
    assert all(min(split.seller, split.fee, split.excess) >= 0 for split in splits)
    whole = [sum(split.seller for split in splits), sum(split.fee for split in splits)]
    assert whole == [owed, fee]
    assert sum(split.excess for split in splits) == excess


def release(shop: Shop, event: PaymentEvent) -> None:
    """Make what is pending of a checkout's orders available, netting debt, as a release does."""
    with transaction.atomic():
        for order in PaymentOrder.objects.filter(event=event).select_related("seller").order_by("position"):
            rest, owner = order.pending_minor, (order.book_id, order.seller.public_id, order.currency_id)
            order.pending_minor, order.released_at = 0, seam.now()
            order.save(update_fields=["pending_minor", "released_at"])
            if not rest:
                continue
            share = holdings.lock([owner])[owner].give(rest)
            heading = Heading(order.book_id, public_id("ord", order.public_id), order.currency_id, seam.now(), "tests")
            movement = movements.release(heading, seller=order.seller.public_id, amount=rest, debt=share.debt)
            movements.record([movement], now=seam.now())


def spend(shop: Shop, event: PaymentEvent, amount: int) -> None:
    """Pay available money of the first seller out, so that it is gone."""
    order = shop.orders(event)[0]
    seller, book = shop.sellers[0].public_id, order.book_id
    heading = Heading(book, f"paid out {order.pk}", order.currency_id, seam.now(), "tests")
    with transaction.atomic():
        movements.record(
            [
                movements.reserve_payout(heading, seller=seller, amount=amount),
                movements.bank_payout(heading, bank="house", seller=seller, amount=amount),
            ],
            now=seam.now(),
        )
