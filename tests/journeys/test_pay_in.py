"""Pay-in, told as stories: what the buyer and the PSP do, what the orders, the wallets and the books then say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from config import seam
from payments import cancellations, captures, processing
from payments.errors import InvalidState, Unprocessable
from payments.models import (
    Charge,
    OutboxMessage,
    PaymentEvent,
    PaymentOrder,
    PspOperation,
    Refund,
    Transition,
)
from tests.shop import Shop

_S = PaymentOrder.Status


def test_one_charge_pays_two_sellers_and_the_books_move_with_it(shop: Shop) -> None:
    event = shop.buy(1999, 501)
    assert [order.status for order in shop.orders(event)] == [_S.EXECUTING, _S.EXECUTING]
    shop.work()
    event.refresh_from_db()
    assert event.status == "succeeded"
    assert [(o.status, o.captured_minor, o.ledger_updated, o.wallet_updated) for o in shop.orders(event)] == [
        (_S.SUCCESS, 1999, True, True),
        (_S.SUCCESS, 501, True, True),
    ]
    assert [o.method_details for o in shop.orders(event)] == [
        {"type": "card", "funding": "credit", "brand": "visa", "last4": "4242"}
    ] * 2
    sums = shop.balances()
    assert sums[f"psp:{shop.tenant.psp_account.code}:clearing:EUR"] == 2500
    assert sums["fees:platform:EUR"] == -250
    assert sorted(sums[code] for code in sums if ":pending:" in code) == [-1799, -451]
    assert len(shop.books()["charges"]) == 1
    shop.check()


def test_history_and_facts_tell_the_story(shop: Shop) -> None:
    event = shop.buy(1000)
    shop.work()
    order = shop.orders(event)[0]
    told = Transition.objects.filter(machine="payments_paymentorder", object_id=order.pk).values_list(
        "source", "target"
    )
    assert list(told) == [("EXECUTING", "SUCCESS")]
    facts = OutboxMessage.objects.filter(subject_id=event.pk).order_by("id")
    assert [fact.type for fact in facts] == [
        "payment.created",
        "payment_order.succeeded",
        "payment.succeeded",
    ]
    assert facts[2].data["status"] == "succeeded"
    assert facts[2].data["version"] == 2


def test_a_declined_payment_can_be_paid_with_another_card_on_the_same_psp_object(shop: Shop) -> None:
    event = shop.buy(1000, token="pm_card_chargeDeclinedInsufficientFunds")
    shop.work()
    order = shop.orders(event)[0]
    assert order.status == _S.FAILED
    assert order.failure is not None
    assert order.failure["code"] == "insufficient_funds"
    assert shop.journals() == []
    processing.process(event.pk, "pm_card_visa", now=seam.now())
    shop.work()
    event.refresh_from_db()
    assert event.status == "succeeded"
    assert Charge.objects.filter(event=event).count() == 1
    assert len({charge["payment_intent"] for charge in shop.books()["charges"]}) == 1
    shop.check()


def test_each_order_of_a_per_order_checkout_is_charged_by_itself(shop: Shop) -> None:
    event = shop.buy(1000, 2000, charge_mode="per_order")
    shop.work()
    event.refresh_from_db()
    assert event.status == "succeeded"
    assert sorted(charge["captured"] for charge in shop.books()["charges"]) == [1000, 2000]
    shop.check()


def test_a_method_that_cannot_be_saved_fails_every_order_of_a_per_order_checkout(shop: Shop) -> None:
    event = shop.buy(1000, 2000, charge_mode="per_order", token="pm_card_chargeDeclined")
    shop.work()
    event.refresh_from_db()
    assert event.status == "failed"
    assert shop.journals() == []
    processing.process(event.pk, "pm_card_visa", now=seam.now())
    shop.work()
    event.refresh_from_db()
    assert event.status == "succeeded"
    shop.check()


def test_authorized_money_is_captured_in_part_and_the_fee_follows(shop: Shop) -> None:
    event = shop.buy(1000, 2000, capture="manual")
    shop.work()
    event.refresh_from_db()
    assert event.status == "requires_capture"
    assert shop.journals() == []
    first, second = shop.orders(event)
    captures.capture(event.pk, {first.pk: 1000, second.pk: 500}, now=seam.now())
    shop.work()
    event.refresh_from_db()
    assert event.status == "succeeded"
    assert [(o.captured_minor, o.fee_minor) for o in shop.orders(event)] == [(1000, 100), (500, 50)]
    shop.check()


def test_an_order_left_out_of_a_capture_is_released(shop: Shop) -> None:
    event = shop.buy(1000, 2000, capture="manual")
    shop.work()
    first = shop.orders(event)[0]
    captures.capture(event.pk, {first.pk: 700}, now=seam.now())
    shop.work()
    event.refresh_from_db()
    assert [o.status for o in shop.orders(event)] == [_S.SUCCESS, _S.CANCELLED]
    assert event.status == "partially_succeeded"
    shop.check()


def test_more_than_authorized_is_refused_and_changes_nothing(shop: Shop) -> None:
    event = shop.buy(1000, capture="manual")
    shop.work()
    operations = PspOperation.objects.count()
    with pytest.raises(Unprocessable):
        captures.capture(event.pk, {shop.orders(event)[0].pk: 1001}, now=seam.now())
    assert PspOperation.objects.count() == operations
    assert shop.orders(event)[0].capture_requested_minor is None


def test_a_payment_without_a_method_is_cancelled_without_asking_anybody(shop: Shop) -> None:
    event = shop.buy(1000, token="")
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    event.refresh_from_db()
    assert event.status == "cancelled"
    assert shop.books()["charges"] == []


def test_an_authorized_payment_is_cancelled_at_the_psp(shop: Shop) -> None:
    event = shop.buy(1000, capture="manual")
    shop.work()
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    event.refresh_from_db()
    assert event.status == "requires_capture", "the state changes only when the PSP says so"
    shop.work()
    event.refresh_from_db()
    assert event.status == "cancelled"
    assert shop.orders(event)[0].status == _S.CANCELLED
    shop.check()


def test_a_paid_payment_cannot_be_cancelled(shop: Shop) -> None:
    event = shop.buy(1000)
    shop.work()
    with pytest.raises(InvalidState):
        cancellations.cancel(event.pk, reason="cancelled", now=seam.now())


def test_a_cancellation_that_meets_a_payment_on_the_wire_ends_as_the_psp_says(shop: Shop) -> None:
    event = shop.buy(1000)
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.work()
    event.refresh_from_db()
    assert event.status == "cancelled"
    shop.check()


def test_an_unpaid_checkout_expires(shop: Shop) -> None:
    event = shop.buy(1000, token="pm_card_chargeDeclined")
    shop.work()
    shop.pass_time(timedelta(hours=25))
    assert cancellations.expire_due(now=seam.now()) == 1
    shop.work()
    event.refresh_from_db()
    assert event.status == "expired"
    assert shop.orders(event)[0].status == _S.EXPIRED
    assert cancellations.expire_due(now=seam.now()) == 0


def test_money_that_comes_after_the_cancellation_is_booked_and_refunded(shop: Shop) -> None:
    event = shop.buy(1000, token="pm_sandbox_late_success", method_types=())
    shop.work()
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.settle_down()
    shop.psp.advance(60)
    charge = Charge.objects.get(event=event)
    assert charge.status == Charge.Status.CANCELLED
    shop.notify()
    shop.settle_down()
    charge.refresh_from_db()
    assert charge.status == Charge.Status.LATE_SUCCESS
    refund = Refund.objects.get(charge=charge)
    assert (refund.reason, refund.status, refund.amount_minor) == ("late_success", "succeeded", 1000)
    assert [kind for kind, _ in shop.journals()] == ["late_success", "settle_refund"]
    assert shop.orders(event)[0].status == _S.CANCELLED
    shop.check()


def test_a_delayed_payment_is_found_by_polling_when_no_notification_comes(shop: Shop) -> None:
    event = shop.buy(1000, token="pm_sandbox_delayed_success", method_types=())
    shop.work()
    event.refresh_from_db()
    assert event.status == "processing"
    shop.psp.decide(Charge.objects.get(event=event).psp_id or "", "succeed")
    shop.work()
    event.refresh_from_db()
    assert event.status == "processing", "nothing is asked before its time"
    shop.pass_time(timedelta(minutes=2))
    shop.work()
    event.refresh_from_db()
    assert event.status == "succeeded"
    shop.check()


def test_three_d_secure_asks_the_buyer_and_goes_on_when_the_psp_notifies(shop: Shop) -> None:
    event = shop.buy(1000, token="pm_card_authenticationRequired")
    shop.work()
    event.refresh_from_db()
    assert event.status == "requires_action"
    charge = Charge.objects.get(event=event)
    assert charge.next_action is not None
    assert charge.next_action["url"].startswith(shop.psp.url)
    shop.psp.decide(charge.psp_id or "", "succeed")
    assert shop.notify(times=2)
    shop.work()
    event.refresh_from_db()
    assert event.status == "succeeded"
    assert len(shop.journals()) == 1
    shop.check()


@pytest.mark.parametrize(("currency", "amount"), [("JPY", 1999), ("KWD", 12340), ("EUR", 1)])
def test_every_exponent_reaches_the_psp_right(shop: Shop, currency: str, amount: int) -> None:
    event = shop.buy(amount, currency=currency)
    shop.work()
    event.refresh_from_db()
    assert event.status == "succeeded"
    shop.check()


def test_a_checkout_is_one_payment_however_often_it_is_posted(shop: Shop) -> None:
    caller = shop.caller()
    payment = shop.new_payment(caller, [1000])
    first, again = shop.accept(payment)[0], shop.accept(payment)[0]
    assert (first.outcome, again.outcome, again.body) == ("created", "replayed", first.body)
    assert PaymentEvent.objects.count() == 1
    assert PspOperation.objects.count() == 2
