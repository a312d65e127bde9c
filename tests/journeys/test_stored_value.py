"""Stored value, told as stories: refunded into, paid with, never below zero, and no PSP hears of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from config import seam
from payments import buyers, cancellations, invariants, processing, refunds, releases, stored_value, top_ups
from payments.errors import InvalidState, PaymentsError, Unprocessable
from payments.intake import NewOrder
from payments.models import Buyer, Charge, OutboxMessage, PaymentEvent, PaymentOrder, PspOperation, Refund
from payments.refunds import Wanted
from payments.timeline import timeline
from tests.journeys.test_releases import deliver, facts, paid, sound, terms
from tests.shop import Shop


def keep(shop: Shop, amount: int, **changes: Any) -> Refund:
    """Give the buyer stored value: buy by card, and refund into it."""
    terms(shop, stored_value=True)
    (order,) = paid(shop, amount, **changes)
    return refunds.request(order.event_id, Wanted(order.pk, to_stored_value=True), now=seam.now())


def cart(shop: Shop, *amounts: int, **changes: Any) -> PaymentEvent:
    """Take a checkout in that is not paid yet."""
    return shop.buy(*amounts, **{"token": "", **changes})


def has(shop: Shop, name: str = "u-1") -> dict[str, int]:
    """Return what a buyer has."""
    return dict(buyers.balances_of(shop.tenant.book.pk, name))


def everything(shop: Shop) -> tuple[Any, ...]:
    """Return what a refusal must leave as it is."""
    return (
        list(PaymentOrder.objects.order_by("pk").values()),
        list(Charge.objects.order_by("pk").values()),
        Refund.objects.count(),
        PspOperation.objects.count(),
        OutboxMessage.objects.count(),
        Buyer.objects.count(),
        shop.journals(),
    )


def test_a_refund_into_stored_value_has_arrived_at_once_and_the_psp_hears_of_nothing(shop: Shop) -> None:
    made = keep(shop, 1000)
    assert (made.status, made.psp_id) == ("succeeded", None)
    assert made.settled_at is not None
    assert has(shop) == {"EUR": 1000}
    assert shop.balances()["refund:payable:EUR"] == 0
    assert [kind for kind, _ in shop.journals()] == ["settle_charge", "request_refund", "stored_refund"]
    assert not PspOperation.objects.filter(kind="refund").exists()
    assert [fact["to"] for kind in ("refund.pending", "refund.succeeded") for fact in facts(shop, kind)] == [
        "stored_value",
        "stored_value",
    ]
    code = next(code for code in shop.balances() if code.startswith("buyer:"))
    assert "u-1" not in code
    sound(shop)


@pytest.mark.parametrize("mode", ["single", "per_order"])
def test_stored_value_pays_every_order_at_once_and_no_psp_is_asked(shop: Shop, mode: str) -> None:
    keep(shop, 3000)
    event = cart(shop, 1999, 501, charge_mode=mode)
    operations = PspOperation.objects.count()
    stored_value.pay(event.pk, now=seam.now())
    event.refresh_from_db()
    assert event.status == "succeeded"
    first, second = shop.orders(event)
    assert {(order.status, order.ledger_updated, order.wallet_updated) for order in (first, second)} == {
        ("SUCCESS", True, True)
    }
    assert first.method_details is not None
    assert first.method_details["type"] == "stored_value"
    assert (first.pending_minor, second.pending_minor) == (1799, 451)
    assert has(shop) == {"EUR": 500}
    assert PspOperation.objects.count() == operations
    assert [kind for kind, _ in shop.journals()][-2:] == ["stored_pay", "stored_pay"]
    assert len(facts(shop, "payment.succeeded")) == 2
    assert len(facts(shop, "payment_order.succeeded")) == 3
    assert "stored_pay" in {fact.data.get("kind") for fact in timeline(event)}
    sound(shop)
    shop.settle_down()
    deliver(first)
    assert shop.wallet(0).available == 1799 - 300, "what the seller owed for the fee of the first sale is netted"
    sound(shop)


def test_what_stored_value_paid_goes_back_to_stored_value_whatever_is_asked_for(shop: Shop) -> None:
    keep(shop, 3000)
    event = cart(shop, 2000)
    stored_value.pay(event.pk, now=seam.now())
    (order,) = shop.orders(event)
    terms(shop, stored_value=False)
    first = refunds.request(event.pk, Wanted(order.pk, 700), now=seam.now())
    assert (first.status, has(shop)) == ("succeeded", {"EUR": 1700})
    refunds.request(event.pk, Wanted(order.pk), now=seam.now())
    with pytest.raises(Unprocessable) as refused:
        refunds.request(event.pk, Wanted(order.pk, 1), now=seam.now())
    assert refused.value.code == "refund_exceeds_captured"
    assert has(shop) == {"EUR": 3000}
    shop.work()
    assert sum(charge["refunded"] for charge in shop.books()["charges"]) == 0
    sound(shop)


def test_a_released_order_is_refunded_from_what_is_available_or_owed(shop: Shop) -> None:
    keep(shop, 1000)
    event = cart(shop, 1000)
    stored_value.pay(event.pk, now=seam.now())
    (order,) = shop.orders(event)
    releases.deliver(event.pk, order.pk, now=seam.now())
    made = refunds.request(event.pk, Wanted(order.pk), now=seam.now())
    assert made.from_pending_minor == 0
    assert made.from_available_minor + made.from_debt_minor == 1000
    assert has(shop) == {"EUR": 1000}
    sound(shop)


def test_a_balance_that_is_too_small_pays_nothing_of_anything(shop: Shop) -> None:
    keep(shop, 1999)
    event = cart(shop, 1000, 1000, charge_mode="per_order")
    before = everything(shop)
    with pytest.raises(Unprocessable) as refused:
        stored_value.pay(event.pk, now=seam.now())
    assert refused.value.code == "insufficient_stored_value"
    assert everything(shop) == before
    assert has(shop) == {"EUR": 1999}
    processing.process(event.pk, "pm_card_visa", now=seam.now())
    shop.settle_down()
    assert PaymentEvent.objects.get(pk=event.pk).status == "succeeded", "a token still pays it"
    sound(shop)


def test_another_buyer_and_another_currency_are_other_balances(shop: Shop) -> None:
    keep(shop, 1000)
    for changes in ({"buyer": {"id": "u-2"}}, {"currency": "USD"}):
        event = cart(shop, 1000, **changes)
        before = everything(shop)
        with pytest.raises(Unprocessable) as refused:
            stored_value.pay(event.pk, now=seam.now())
        assert refused.value.code == "insufficient_stored_value"
        assert everything(shop) == before
    assert (has(shop), has(shop, "u-2")) == ({"EUR": 1000}, {})


def test_switched_off_it_pays_nothing_and_takes_nothing(shop: Shop) -> None:
    keep(shop, 2000)
    (order,) = paid(shop, 500)
    event = cart(shop, 1000)
    terms(shop, stored_value=False)
    before = everything(shop)
    with pytest.raises(InvalidState) as refused:
        stored_value.pay(event.pk, now=seam.now())
    assert refused.value.code == "stored_value_off"
    with pytest.raises(InvalidState) as refused:
        refunds.request(order.event_id, Wanted(order.pk, to_stored_value=True), now=seam.now())
    assert refused.value.code == "stored_value_off"
    assert everything(shop) == before


def test_it_is_off_until_it_is_switched_on(shop: Shop) -> None:
    assert not buyers.is_on(shop.tenant.book.pk)
    terms(shop, stored_value=True)
    assert buyers.is_on(shop.tenant.book.pk)


def test_a_buyer_without_an_id_has_no_stored_value(shop: Shop) -> None:
    terms(shop, stored_value=True)
    (order,) = paid(shop, 500, buyer={"country": "DE"})
    event = cart(shop, 1000, buyer={})
    before = everything(shop)
    for attempt in (
        lambda: stored_value.pay(event.pk, now=seam.now()),
        lambda: refunds.request(order.event_id, Wanted(order.pk, to_stored_value=True), now=seam.now()),
    ):
        with pytest.raises(Unprocessable) as refused:
            attempt()
        assert refused.value.code == "buyer_unknown"
    assert everything(shop) == before


def test_a_payment_that_a_psp_has_to_do_with_is_not_paid_twice(shop: Shop) -> None:
    keep(shop, 5000)
    declined = shop.buy(700, token="pm_card_chargeDeclined")
    shop.work()
    under_way = shop.buy(700)
    held = cart(shop, 700, capture="manual")
    ended = cart(shop, 700)
    cancellations.cancel(ended.pk, reason="cancelled", now=seam.now())
    shop.buy(300)
    before = everything(shop)
    for event, code in (
        (declined, "stored_value_not_possible"),
        (under_way, "payment_in_progress"),
        (held, "stored_value_not_possible"),
        (ended, "payment_not_processable"),
    ):
        with pytest.raises(InvalidState) as refused:
            stored_value.pay(event.pk, now=seam.now())
        assert refused.value.code == code
    assert everything(shop) == before
    shop.settle_down()
    sound(shop)


def test_a_paid_payment_is_not_cancelled_polled_or_expired(shop: Shop) -> None:
    keep(shop, 1000)
    event = cart(shop, 1000)
    stored_value.pay(event.pk, now=seam.now())
    with pytest.raises(InvalidState):
        stored_value.pay(event.pk, now=seam.now())
    with pytest.raises(InvalidState):
        cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.pass_time(timedelta(days=3))
    shop.work()
    assert PaymentEvent.objects.get(pk=event.pk).status == "succeeded"
    assert Charge.objects.get(event=event).due_at is None
    sound(shop)


def _outcomes(jobs: list[Any]) -> list[str]:
    def run(job: Any) -> str:
        try:
            job()
            return "done"
        except PaymentsError as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as threads:
        return sorted(threads.map(run, jobs))


def test_of_twenty_payments_at_once_those_succeed_that_the_balance_covers(shop: Shop) -> None:
    keep(shop, 1000)
    events = [cart(shop, 100, 50) for _ in range(20)]
    jobs = [lambda event=event: stored_value.pay(event.pk, now=seam.now()) for event in events]
    assert _outcomes(jobs) == ["done"] * 6 + ["insufficient_stored_value"] * 14
    assert has(shop) == {"EUR": 100}
    assert PaymentEvent.objects.filter(status="succeeded").count() == 7
    sound(shop)


def test_one_payment_paid_by_many_at_once_is_paid_once(shop: Shop) -> None:
    keep(shop, 3000)
    event = cart(shop, 300)
    outcomes = _outcomes([lambda: stored_value.pay(event.pk, now=seam.now())] * 10)
    assert outcomes == ["done"] + ["payment_not_processable"] * 9
    assert has(shop) == {"EUR": 2700}
    sound(shop)


def test_a_token_and_stored_value_at_once_pay_once(shop: Shop) -> None:
    keep(shop, 3000)
    for _ in range(5):
        event = cart(shop, 300)
        outcomes = _outcomes(
            [
                lambda event=event: stored_value.pay(event.pk, now=seam.now()),
                lambda event=event: processing.process(event.pk, "pm_card_visa", now=seam.now()),
            ]
        )
        assert outcomes[0] == "done"
        assert outcomes[1] in ("payment_in_progress", "payment_not_processable")
    shop.settle_down()
    sound(shop)


def test_payments_and_refunds_of_one_buyer_at_once_neither_hang_nor_lose(shop: Shop) -> None:
    keep(shop, 2000)
    back = [order for _ in range(6) for order in paid(shop, 100)]
    events = [cart(shop, 100) for _ in range(6)]
    jobs: list[Any] = [lambda event=event: stored_value.pay(event.pk, now=seam.now()) for event in events]
    jobs += [
        lambda order=order: refunds.request(order.event_id, Wanted(order.pk, to_stored_value=True), now=seam.now())
        for order in back
    ]
    assert _outcomes(jobs) == ["done"] * 12
    assert has(shop) == {"EUR": 2000}
    sound(shop)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments_charge SET psp_id = 'pi_1' WHERE stored_value_of IS NOT NULL",
        "UPDATE payments_charge SET session_id = 'cs_1' WHERE stored_value_of IS NOT NULL",
        "UPDATE payments_charge SET stored_value_of = gen_random_uuid()",
        "UPDATE payments_refund SET psp_id = 're_1' WHERE stored_value_of IS NOT NULL",
        "UPDATE payments_refund SET stored_value_of = gen_random_uuid()",
        "UPDATE payments_buyer SET public_id = gen_random_uuid()",
        "DELETE FROM payments_buyer",
    ],
)
def test_the_database_keeps_psp_and_stored_value_apart(shop: Shop, statement: str) -> None:
    keep(shop, 1000)
    event = cart(shop, 1000)
    stored_value.pay(event.pk, now=seam.now())
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert invariants.check().violations == []


def pay_in(shop: Shop, amount: int, **changes: Any) -> PaymentEvent:
    """Let a buyer pay in by card; return the payment."""
    terms(shop, stored_value=True)
    caller = shop.caller()
    order = NewOrder(top_ups.house(caller), amount, "", "Stored value", {})
    payment = shop.new_payment(caller, [amount], orders=(order,), **changes)
    assert top_ups.accept(caller, payment, now=seam.now()).outcome == "created"
    return PaymentEvent.objects.get(checkout_id=payment.checkout_id)


def test_what_a_buyer_pays_in_is_stored_value_when_it_was_captured_and_bears_no_fee(shop: Shop) -> None:
    event = pay_in(shop, 5000)
    assert has(shop) == {}
    shop.settle_down()
    event.refresh_from_db()
    (order,) = shop.orders(event)
    assert (event.status, order.fee_minor, order.pending_minor) == ("succeeded", 0, 0)
    assert has(shop) == {"EUR": 5000}
    assert [kind for kind, _ in shop.journals()] == ["stored_top_up"]
    sound(shop)
    deliver(order)
    bought = cart(shop, 1999, 501)
    stored_value.pay(bought.pk, now=seam.now())
    assert has(shop) == {"EUR": 2500}
    sound(shop)


def test_a_declined_top_up_gives_nothing_and_another_token_tries_again(shop: Shop) -> None:
    event = pay_in(shop, 5000, token="pm_card_chargeDeclined")
    shop.settle_down()
    assert has(shop) == {}
    processing.process(event.pk, "pm_card_visa", now=seam.now())
    shop.settle_down()
    assert has(shop) == {"EUR": 5000}
    sound(shop)


def test_a_top_up_is_neither_refunded_nor_paid_with_stored_value(shop: Shop) -> None:
    event, unpaid = pay_in(shop, 5000), pay_in(shop, 700, token="")
    shop.settle_down()
    before = everything(shop)
    with pytest.raises(InvalidState) as refused:
        refunds.request(event.pk, Wanted(shop.orders(event)[0].pk), now=seam.now())
    assert refused.value.code == "top_up_not_refundable"
    with pytest.raises(InvalidState) as refused:
        stored_value.pay(unpaid.pk, now=seam.now())
    assert refused.value.code == "stored_value_not_possible"
    assert everything(shop) == before


def test_a_disputed_top_up_is_borne_by_the_house_and_not_by_the_buyer(shop: Shop) -> None:
    event = pay_in(shop, 5000)
    shop.settle_down()
    shop.psp.advance(60)
    shop.psp.control("disputes", payment_intent=Charge.objects.get(event=event).psp_id)
    shop.notify()
    shop.settle_down()
    assert has(shop) == {"EUR": 5000}
    assert any(code.endswith(":debt:EUR") and amount == 5000 for code, amount in shop.balances().items())
    sound(shop)
