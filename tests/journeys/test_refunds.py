"""Refunds, told as stories: whose money goes back, what the PSP says, and what the books say then."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection

from config import seam
from payments import captures, invariants, refunds, releases
from payments.errors import Conflict, InvalidState, PaymentsError, Unprocessable
from payments.models import OutboxMessage, PaymentEvent, PaymentOrder, PspOperation, Refund
from payments.refunds import Wanted
from payments.timeline import timeline
from tests.journeys.test_releases import deliver, facts, paid, sound, terms
from tests.shop import Shop


def refund(order: PaymentOrder, amount: int | None = None, reference: str = "") -> Refund:
    """Ask for a refund."""
    return refunds.request(order.event_id, Wanted(order.pk, amount, reference=reference), now=seam.now())


def split(row: Refund) -> tuple[int, int, int, int]:
    """Return the platform's part, and the seller's from pending, available and debt."""
    return row.fee_minor, row.from_pending_minor, row.from_available_minor, row.from_debt_minor


def fresh[Row: (Refund, PaymentOrder)](row: Row) -> Row:
    """Return a row as it is now."""
    row.refresh_from_db()
    return row


@pytest.mark.parametrize("mode", ["single", "per_order"])
def test_a_full_refund_takes_the_whole_order_back_and_leaves_its_neighbour(shop: Shop, mode: str) -> None:
    terms(shop, refund_fee_policy="return")
    first, second = paid(shop, 1999, 501, charge_mode=mode)
    made = refund(first)
    assert (made.status, made.amount_minor, split(made)) == ("pending", 1999, (200, 1799, 0, 0))
    assert fresh(first).refunded_minor == 1999
    assert shop.balances()["refund:payable:EUR"] == -1999
    assert shop.books()["charges"][0]["refunded"] == 0, "nothing is sent within the request"
    shop.work()
    assert fresh(made).status == "succeeded"
    assert made.settled_at is not None
    assert made.psp_id is not None
    assert shop.balances()["refund:payable:EUR"] == 0
    assert (shop.wallet(0).balance, shop.wallet(1).pending) == (0, 451)
    assert fresh(second).refunded_minor == 0
    assert sum(charge["refunded"] for charge in shop.books()["charges"]) == 1999
    assert [fact["status"] for kind in ("refund.pending", "refund.succeeded") for fact in facts(shop, kind)] == [
        "pending",
        "succeeded",
    ]
    event = PaymentEvent.objects.get(pk=first.event_id)
    assert event.status == "succeeded"
    assert event.version == 4, "each step of a refund is a new version of the payment"
    sound(shop)


def test_several_partial_refunds_of_one_order_end_exactly_at_the_capture(shop: Shop) -> None:
    (order,) = paid(shop, 1000)
    rows = [refund(order, amount) for amount in (333, 333, 333)]
    with pytest.raises(Unprocessable) as refused:
        refund(order, 2)
    assert refused.value.code == "refund_exceeds_captured"
    rows.append(refund(order))
    assert rows[-1].amount_minor == 1
    with pytest.raises(Unprocessable):
        refund(order)
    shop.work()
    assert {fresh(row).status for row in rows} == {"succeeded"}
    assert fresh(order).refunded_minor == 1000
    sound(shop)


@pytest.mark.parametrize(
    ("policy", "fees"),
    [("keep", [0, 0, 0, 0]), ("return", [100, 0, 0, 0]), ("proportional", [33, 34, 33, 0])],
)
def test_the_fee_goes_back_as_the_merchants_policy_says(shop: Shop, policy: str, fees: list[int]) -> None:
    terms(shop, refund_fee_policy=policy)
    (order,) = paid(shop, 1000)
    rows = [refund(order, amount) for amount in (333, 333, 333, 1)]
    assert [row.fee_minor for row in rows] == fees
    assert {row.fee_policy for row in rows} == {policy}
    shop.work()
    assert shop.balances()["fees:platform:EUR"] == -100 + sum(fees)
    assert fresh(order).fee_refunded_minor == sum(fees)
    sound(shop)


def test_a_fee_beyond_the_pending_share_is_taken_from_what_is_available_or_owed(shop: Shop) -> None:
    (sold,), (order,) = paid(shop, 500), paid(shop, 1000)
    deliver(sold)
    made = refund(order)
    assert split(made) == (0, 900, 100, 0), "the seller bears the fee that the platform keeps"
    shop.work()
    assert shop.wallet(0).balance == 350
    sound(shop)


def test_a_refund_after_the_seller_was_paid_out_is_a_debt_until_the_next_release(shop: Shop) -> None:
    (sold,), (next_sale,) = paid(shop, 1000), paid(shop, 2000)
    deliver(sold)
    assert shop.empty_wallet() == 900
    made = refund(sold)
    assert split(made) == (0, 0, 0, 1000)
    shop.work()
    wallet = shop.wallet()
    assert (wallet.available, wallet.debt, wallet.pending) == (0, 1000, 1800), "another order's pending is not touched"
    deliver(next_sale)
    wallet = shop.wallet()
    assert (wallet.available, wallet.debt, wallet.pending) == (800, 0, 0)


def test_a_refund_takes_no_more_from_pending_than_its_own_order_has(shop: Shop) -> None:
    (first,), (second,) = paid(shop, 1000), paid(shop, 1000)
    made = refund(first)
    assert split(made) == (0, 900, 0, 100)
    assert fresh(second).pending_minor == 900
    shop.work()
    sound(shop)


def test_what_was_captured_in_part_is_all_that_can_go_back(shop: Shop) -> None:
    event = shop.buy(1000, 2000, capture="manual")
    shop.work()
    first, second = shop.orders(event)
    with pytest.raises(InvalidState, match="AUTHORIZED"):
        refund(first)
    captures.capture(event.pk, {first.pk: 300, second.pk: 0}, now=seam.now())
    shop.work()
    with pytest.raises(Unprocessable):
        refund(first, 301)
    with pytest.raises(InvalidState, match="CANCELLED"):
        refund(second)
    assert refund(first).amount_minor == 300
    shop.work()
    sound(shop)


def test_what_disputes_have_taken_cannot_be_refunded_again(shop: Shop) -> None:
    (order,) = paid(shop, 1000)
    PaymentOrder.objects.filter(pk=order.pk).update(disputed_minor=600)
    with pytest.raises(Unprocessable):
        refund(order, 401)
    assert Refund.objects.count() == 0
    assert refund(order).amount_minor == 400


def test_a_refused_refund_leaves_nothing_behind(shop: Shop) -> None:
    (order,) = paid(shop, 1000)
    counts = (PspOperation.objects.count(), OutboxMessage.objects.count(), len(shop.journals()))
    for amount in (1001, 10**12):
        with pytest.raises(Unprocessable):
            refund(order, amount)
    assert (PspOperation.objects.count(), OutboxMessage.objects.count(), len(shop.journals())) == counts
    assert (fresh(order).refunded_minor, Refund.objects.count()) == (0, 0)


def test_a_reference_names_one_refund_of_a_book(shop: Shop) -> None:
    first, second = paid(shop, 1000, 500)
    refund(first, 100, reference="r-1")
    before = len(shop.journals())
    with pytest.raises(Conflict) as refused:
        refund(second, 100, reference="r-1")
    assert refused.value.code == "refund_exists"
    assert (Refund.objects.count(), len(shop.journals()), fresh(second).refunded_minor) == (1, before, 0)
    refund(second, 100)
    refund(second, 100)
    assert Refund.objects.count() == 3, "no reference is no name"


def test_of_twenty_refunds_at_once_exactly_those_succeed_that_fit(shop: Shop) -> None:
    (order,) = paid(shop, 1000)

    def ask(_number: int) -> str:
        try:
            return refund(order, 150).status
        except PaymentsError as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, range(20)))
    assert sorted(answers) == ["pending"] * 6 + ["refund_exceeds_captured"] * 14
    shop.work()
    assert fresh(order).refunded_minor == 900
    assert Refund.objects.filter(status="succeeded").count() == 6
    sound(shop)


def test_the_constraint_holds_without_the_lock(shop: Shop) -> None:
    (order,) = paid(shop, 1000)
    with pytest.raises(IntegrityError, match="refund_total_within_capture"):
        PaymentOrder.objects.filter(pk=order.pk).update(refunded_minor=1001)


def test_a_slow_refund_is_followed_until_it_is_paid(shop: Shop) -> None:
    (order,) = paid(shop, 1000, token="pm_card_pendingRefund")
    made = refund(order)
    shop.work()
    assert fresh(made).status == "pending"
    operation = PspOperation.objects.get(refund=made)
    assert (operation.state, operation.error_code) == ("UNKNOWN", "")
    shop.psp.advance(60)
    shop.settle_down()
    assert fresh(made).status == "succeeded"
    sound(shop)


def test_a_slow_refund_is_heard_of_by_notification(shop: Shop) -> None:
    (order,) = paid(shop, 1000, token="pm_card_pendingRefund")
    made = refund(order)
    shop.work()
    PspOperation.objects.filter(refund=made).update(due_at=seam.now() + timedelta(days=2))
    shop.psp.advance(60)
    assert shop.notify(times=2)
    shop.work()
    assert fresh(made).status == "succeeded"
    operation = PspOperation.objects.get(refund=made)
    assert (operation.state, operation.outcome) == ("DONE", "overtaken")
    sound(shop)


def test_a_refund_that_fails_before_it_was_paid_is_taken_back(shop: Shop) -> None:
    terms(shop, refund_fee_policy="proportional")
    (order,) = paid(shop, 1000, token="pm_card_pendingRefund")
    made = refund(order, 400)
    shop.work()
    assert split(fresh(made)) == (40, 360, 0, 0)
    shop.psp.control(f"refunds/{made.psp_id}/fail")
    shop.notify()
    shop.work()
    assert fresh(made).status == "failed"
    assert (made.settled_at, made.attention_at) == (None, None)
    assert made.failure is not None
    order = fresh(order)
    assert (order.refunded_minor, order.fee_refunded_minor, order.pending_minor) == (0, 0, 900)
    assert [kind for kind, _ in shop.journals()] == ["settle_charge", "request_refund", "cancel_refund"]
    (told,) = facts(shop, "refund.failed")
    assert told["failure"]["code"]
    sound(shop)
    again = refund(order)
    assert split(again) == (100, 900, 0, 0)


def test_what_failed_after_the_release_goes_to_what_is_available_and_nets_debt_first(shop: Shop) -> None:
    (order,), (other,) = paid(shop, 1000, token="pm_card_pendingRefund"), paid(shop, 500)
    made = refund(order, 400)
    shop.work()
    deliver(order)
    assert shop.wallet().available == 500
    shop.empty_wallet()
    deliver(other)
    shop.empty_wallet()
    refund(other, 100)
    shop.psp.control(f"refunds/{fresh(made).psp_id}/fail")
    shop.notify()
    shop.work()
    wallet = shop.wallet()
    assert (wallet.pending, wallet.available, wallet.debt) == (0, 300, 0)
    assert fresh(order).pending_minor == 0


def test_a_refund_that_comes_back_after_it_was_paid_waits_for_a_person(shop: Shop) -> None:
    (order,) = paid(shop, 1000, token="pm_card_refundFail")
    made = refund(order)
    shop.work()
    assert fresh(made).status == "succeeded"
    shop.psp.advance(60)
    shop.notify(times=2)
    shop.work()
    made = fresh(made)
    assert made.status == "failed"
    assert made.settled_at is not None
    assert made.attention_at is not None
    assert shop.balances()["refund:payable:EUR"] == -1000, "still the buyer's, never the seller's by itself"
    assert fresh(order).refunded_minor == 1000
    with pytest.raises(Unprocessable):
        refund(order)
    assert [kind for kind, _ in shop.journals()][-2:] == ["settle_refund", "refund_returned"]
    sound(shop)


def test_a_refund_that_the_psp_refuses_is_taken_back(shop: Shop) -> None:
    """Somebody refunded at the PSP by hand: ours is refused for good, and the seller has the share again."""
    (order,) = paid(shop, 1000)
    intent = shop.books()["charges"][0]["payment_intent"]
    shop.refund_by_hand(intent, 1000)
    made = refund(order)
    shop.work()
    assert fresh(made).status == "failed"
    assert fresh(order).pending_minor == 900
    assert PspOperation.objects.get(refund=made).state == "DONE"
    assert invariants.check().violations == []


def test_a_refund_of_another_amount_than_ours_books_nothing(shop: Shop) -> None:
    (order,) = paid(shop, 1000)
    made = refund(order, 500)
    Refund.objects.filter(pk=made.pk).update(amount_minor=499, from_pending_minor=499)
    shop.work()
    assert fresh(made).status == "pending"
    operation = PspOperation.objects.get(refund=made)
    assert (operation.state, operation.error_code) == ("DEAD", "psp_mismatch")
    assert "settle_refund" not in [kind for kind, _ in shop.journals()]


def test_the_timeline_tells_a_refund(shop: Shop) -> None:
    (order,) = paid(shop, 1000)
    refund(order, 250)
    shop.work()
    told = [fact.summary for fact in timeline(PaymentEvent.objects.get(pk=order.event_id))]
    for part in (
        "posted: request refund",
        "refund: sent to the PSP",
        "posted: settle refund",
        "published: refund.succeeded",
    ):
        assert part in told


def test_a_refund_meets_the_release_of_its_order(shop: Shop) -> None:
    """Whoever comes first: the seller has the same in the end."""
    for turn in range(4):
        (order,) = paid(shop, 1000)

        def both(number: int, order: PaymentOrder = order, turn: int = turn) -> None:
            try:
                if number == turn % 2:
                    releases.deliver(order.event_id, order.pk, now=seam.now())
                else:
                    refund(order, 300)
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(both, range(2)))
    shop.work()
    assert shop.wallet().balance == 4 * 600
    sound(shop)
