"""Every notification is lost: what has happened at the PSP is found all the same, once, and booked as ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction

from config import seam
from payments import cancellations, discovery, executor, found_refunds, invariants, refunds
from payments.errors import InvalidState, Unprocessable
from payments.models import (
    Charge,
    Dispute,
    FoundRefund,
    MerchantBook,
    PaymentEvent,
    PaymentOrder,
    PspAccount,
    PspLook,
    PspNotification,
    PspOperation,
    Refund,
)
from payments.psp.base import ObjectKind
from payments.psp.stripe import changes
from payments.refunds import Wanted
from tests.shop import Shop

LOOK = timedelta(seconds=settings.LOOK_SECONDS + 1)
CHECKER = "user:checker"


def look(shop: Shop) -> None:
    """Let the time of the next look come, and do what follows from it."""
    discovery.watch_new(now=seam.now())
    shop.pass_time(LOOK)
    shop.work()
    shop.pass_time(timedelta(seconds=5))
    shop.work()


def paid(shop: Shop, *amounts: int, **changes: Any) -> PaymentEvent:
    """Take a checkout in and let it be paid."""
    event = shop.buy(*amounts, **changes)
    shop.settle_down()
    return event


def intent_of(event: PaymentEvent) -> str:
    """Return the PSP's id of a checkout's first charge."""
    return str(Charge.objects.filter(event=event).order_by("id")[0].psp_id)


def sound(shop: Shop) -> None:
    """Assert that books, wallets and the PSP's books agree."""
    assert invariants.check().violations == []
    shop.check()


@pytest.mark.parametrize("ends", ["", "won", "lost"])
def test_a_dispute_of_which_every_notification_was_lost_is_found(shop: Shop, ends: str) -> None:
    event = paid(shop, 2000, 500)
    dispute = shop.psp.control("disputes", payment_intent=intent_of(event))
    if ends:
        shop.psp.control(f"disputes/{dispute['id']}/close", status=ends)
    shop.pass_time(timedelta(hours=20))
    shop.work()
    shop.reset_time()
    assert not Dispute.objects.exists(), "nobody knows of it"
    look(shop)
    assert Dispute.objects.get().status == (ends or "needs_response")
    assert [kind for kind, _ in shop.journals()].count("open_dispute") == 2
    look(shop)
    assert [kind for kind, _ in shop.journals()].count("open_dispute") == 2
    sound(shop)


def test_a_refund_that_came_back_is_found_although_nobody_told_us(shop: Shop) -> None:
    event = paid(shop, 1000, token="pm_card_refundFail")
    made = refunds.request(event.pk, Wanted(shop.orders(event)[0].pk), now=seam.now())
    shop.work()
    shop.psp.advance(60)
    look(shop)
    made.refresh_from_db()
    assert (made.status, made.attention_at is not None) == ("failed", True)
    sound(shop)


def test_money_that_came_too_late_is_found_and_sent_back(shop: Shop) -> None:
    event = shop.buy(1000, token="pm_sandbox_late_success", method_types=())
    shop.work()
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.settle_down()
    shop.psp.advance(60)
    look(shop)
    assert Charge.objects.get(event=event).status == Charge.Status.LATE_SUCCESS
    assert [kind for kind, _ in shop.journals()] == ["late_success", "settle_refund"]
    sound(shop)


def test_what_was_told_is_not_found_again(shop: Shop) -> None:
    event = paid(shop, 1000)
    shop.psp.control("disputes", payment_intent=intent_of(event))
    told = shop.notify()
    shop.work()
    discovery.watch_new(now=seam.now())
    shop.pass_time(LOOK)
    shop.work()
    assert PspNotification.objects.count() == told
    row = PspLook.objects.get()
    assert (row.cursor, row.began_at, row.lease_until) == ("", None, None)
    assert row.looked_until > seam.now() - timedelta(minutes=1)


def test_a_look_goes_on_page_by_page_and_after_a_death(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PAGE_SIZE", 2)
    events = [paid(shop, 1000) for _ in range(3)]
    for event in events:
        shop.psp.control("disputes", payment_intent=intent_of(event))
    discovery.watch_new(now=seam.now())
    began = PspLook.objects.get().looked_until
    shop.pass_time(LOOK)
    (first,) = executor.claim(1)
    executor.settle([(first, first.run())])
    row = PspLook.objects.get()
    assert (row.cursor != "", row.began_at is not None, row.looked_until) == (True, True, began)
    assert [call for call in executor.claim(1) if isinstance(call, discovery.LookCall)], "it dies with its process"
    shop.pass_time(timedelta(minutes=2))
    executor.settle([(first, first.run())])
    assert PspLook.objects.get().fence == row.fence + 1, "a late answer of an earlier page is no progress"
    assert PspLook.objects.get().cursor == row.cursor
    shop.work()
    shop.pass_time(timedelta(seconds=5))
    shop.work()
    assert Dispute.objects.count() == 3
    assert PspLook.objects.get().cursor == ""
    sound(shop)


@pytest.mark.parametrize("kind", ["500_before", "drop_before", "429", "html_502"])
def test_a_look_that_fails_is_repeated_and_loses_nothing(shop: Shop, kind: str) -> None:
    event = paid(shop, 1000)
    shop.psp.control("disputes", payment_intent=intent_of(event))
    shop.psp.faults({"operation": "events.list", "kind": kind, "times": 2, "seconds": 2}, key=shop.psp_key)
    discovery.watch_new(now=seam.now())
    began = PspLook.objects.get().looked_until
    shop.pass_time(LOOK)
    shop.work()
    assert PspLook.objects.get().looked_until == began
    for _ in range(2):
        shop.pass_time(timedelta(minutes=3))
        shop.work()
    shop.pass_time(timedelta(seconds=5))
    shop.work()
    assert Dispute.objects.count() == 1
    sound(shop)


def test_a_cursor_that_the_psp_has_forgotten_begins_anew(shop: Shop) -> None:
    event = paid(shop, 1000)
    shop.psp.control("disputes", payment_intent=intent_of(event))
    discovery.watch_new(now=seam.now())
    PspLook.objects.update(cursor="evt_long_gone", began_at=seam.now())
    look(shop)
    assert PspLook.objects.get().cursor == ""
    look(shop)
    assert Dispute.objects.count() == 1


def test_nothing_is_asked_of_an_account_without_budget_or_in_a_pause(shop: Shop) -> None:
    discovery.watch_new(now=seam.now())
    shop.pass_time(LOOK)
    PspAccount.objects.update(polls_per_minute=0.001, poll_tokens=0)
    assert executor.claim(10) == []
    PspAccount.objects.update(polls_per_minute=600, poll_tokens=1, paused_until=seam.now() + timedelta(days=9))
    assert executor.claim(10) == []
    PspAccount.objects.update(paused_until=None)
    assert len(executor.claim(10)) == 1
    assert executor.claim(10) == [], "it is leased"


def test_what_another_finds_is_looked_up_once(shop: Shop) -> None:
    """A line of a settlement file names a dispute that nobody told us of."""
    event = paid(shop, 1000)
    dispute, account = shop.psp.control("disputes", payment_intent=intent_of(event)), shop.tenant.psp_account
    for new in (True, False):
        assert new is discovery.tell(
            account.pk,
            ObjectKind.DISPUTE,
            dispute["id"],
            source="line:17",
            charge_psp_id=intent_of(event),
            now=seam.now(),
        )
        shop.work()
    assert Dispute.objects.count() == 1
    sound(shop)


def test_everything_since_a_day_can_be_asked_for_again(shop: Shop) -> None:
    discovery.watch_new(now=seam.now())
    PspLook.objects.update(looked_until=seam.now() + timedelta(days=365))
    event = paid(shop, 1000)
    shop.psp.control("disputes", payment_intent=intent_of(event))
    look(shop)
    assert not Dispute.objects.exists()
    for _ in range(2):
        discovery.ask(shop.tenant.psp_account.pk, since=seam.now() - timedelta(days=2), now=seam.now())
    shop.work()
    shop.pass_time(timedelta(seconds=5))
    shop.work()
    assert Dispute.objects.count() == 1


def found(shop: Shop, event: PaymentEvent, amount: int) -> FoundRefund:
    """Refund by hand at the PSP, find it, and return what was noted."""
    shop.refund_by_hand(intent_of(event), amount)
    look(shop)
    return FoundRefund.objects.get()


@pytest.mark.parametrize("mode", ["single", "per_order"])
def test_a_refund_made_at_the_psp_is_in_front_of_a_person_and_debits_nobody(shop: Shop, mode: str) -> None:
    event = paid(shop, 2000, 500, charge_mode=mode)
    before = (shop.balances(), shop.journals())
    row = found(shop, event, 400)
    assert (row.amount_minor, row.currency_id, row.psp_status, row.decided_by) == (400, "EUR", "succeeded", "")
    assert (shop.balances(), shop.journals()) == before
    assert not Refund.objects.exists()
    checked = invariants.check()
    assert checked.violations == []
    assert any("was made at the PSP and is not booked" in str(warning) for warning in checked.warnings)
    assert not PspNotification.objects.filter(due_at__isnull=False).exists(), "nothing waits any more"


@pytest.mark.parametrize(("policy", "fees"), [("keep", [0, 0]), ("return", [200, 50]), ("proportional", [80, 20])])
def test_a_person_books_it_by_the_merchants_policy_over_the_orders(shop: Shop, policy: str, fees: list[int]) -> None:
    MerchantBook.objects.filter(pk=shop.tenant.book.pk).update(refund_fee_policy=policy)
    event = paid(shop, 2000, 500)
    row = found(shop, event, 1000)
    found_refunds.book(row.pk, actor=CHECKER, now=seam.now())
    shop.work()
    made = list(Refund.objects.order_by("id"))
    assert [(refund.amount_minor, refund.fee_minor, refund.status) for refund in made] == [
        (800, fees[0], "succeeded"),
        (200, fees[1], "succeeded"),
    ]
    assert [charge["refunded"] for charge in shop.books()["charges"]] == [1000], "nothing was sent"
    row.refresh_from_db()
    assert (row.decided_by, row.decided_at is not None) == (CHECKER, True)
    assert not any("not booked" in str(warning) for warning in invariants.check().warnings)
    with pytest.raises(InvalidState):
        found_refunds.book(row.pk, actor=CHECKER, now=seam.now())
    assert Refund.objects.count() == 2
    look(shop)
    assert FoundRefund.objects.count() == 1
    sound(shop)


def test_a_found_refund_that_comes_back_after_it_was_booked_waits_for_a_person(shop: Shop) -> None:
    event = paid(shop, 1000, 500)
    row = found(shop, event, 1500)
    found_refunds.book(row.pk, actor=CHECKER, now=seam.now())
    shop.work()
    shop.psp.control(f"refunds/{row.psp_id}/fail")
    look(shop)
    assert [refund.status for refund in Refund.objects.all()] == ["failed", "failed"]
    assert shop.balances()["refund:payable:EUR"] == -1500
    sound(shop)


def test_a_found_refund_that_failed_before_it_was_booked_needs_nobody(shop: Shop) -> None:
    event = paid(shop, 1000)
    row = found(shop, event, 300)
    shop.psp.control(f"refunds/{row.psp_id}/fail")
    look(shop)
    row.refresh_from_db()
    assert (row.psp_status, found_refunds.is_open(row)) == ("failed", False)
    with pytest.raises(InvalidState):
        found_refunds.book(row.pk, actor=CHECKER, now=seam.now())
    assert invariants.check().warnings == []
    sound(shop)


def test_the_question_about_a_booked_refund_that_does_not_arrive_sends_nothing(shop: Shop) -> None:
    event = paid(shop, 1000)
    row = found(shop, event, 300)
    found_refunds.book(row.pk, actor=CHECKER, now=seam.now())
    shop.psp.faults({"operation": "refunds.retrieve", "kind": "429", "times": 2}, key=shop.psp_key)
    for _ in range(4):
        shop.work()
        shop.pass_time(timedelta(hours=7))
    shop.reset_time()
    assert [charge["refunded"] for charge in shop.books()["charges"]] == [300]
    assert Refund.objects.get().status == "succeeded"
    sound(shop)


def test_more_than_is_left_of_the_orders_is_not_booked(shop: Shop) -> None:
    event = paid(shop, 1000)
    shop.refund_by_hand(intent_of(event), 800)
    ours = refunds.request(event.pk, Wanted(shop.orders(event)[0].pk, 900), now=seam.now())
    look_at = PaymentOrder.objects.get(event=event)
    discovery.watch_new(now=seam.now())
    discovery.ask(shop.tenant.psp_account.pk, since=seam.now() - timedelta(days=1), now=seam.now())
    shop.psp.faults({"operation": "refunds.create", "kind": "429", "times": 100}, key=shop.psp_key)
    shop.work()
    before = shop.journals()
    with pytest.raises(Unprocessable):
        found_refunds.book(FoundRefund.objects.get().pk, actor=CHECKER, now=seam.now())
    assert shop.journals() == before
    assert FoundRefund.objects.get().decided_at is None
    shop.psp.clear_faults(shop.psp_key)
    shop.settle_down()
    ours.refresh_from_db()
    assert ours.status == "failed", "the PSP has no more to give"
    found_refunds.book(FoundRefund.objects.get().pk, actor=CHECKER, now=seam.now())
    shop.settle_down()
    look_at.refresh_from_db()
    assert look_at.refunded_minor == 800
    sound(shop)


def test_money_that_came_too_late_and_was_sent_back_by_hand_is_taken_for_ours(shop: Shop) -> None:
    event = shop.buy(1000, token="pm_sandbox_late_success", method_types=())
    shop.work()
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.settle_down()
    shop.psp.advance(60)
    shop.refund_by_hand(intent_of(event), 1000)
    shop.reset_time()
    look(shop)
    shop.settle_down()
    own = PspOperation.objects.filter(kind=PspOperation.Kind.REFUND)
    assert [operation.state for operation in own] == ["DEAD"], "the PSP has nothing left to refund"
    own.update(state="SENT", dead_at=None, due_at=seam.now() + timedelta(days=1))
    with pytest.raises(InvalidState):
        found_refunds.book(FoundRefund.objects.get().pk, actor=CHECKER, now=seam.now())
    own.update(state="DEAD", dead_at=seam.now(), due_at=None)
    found_refunds.book(FoundRefund.objects.get().pk, actor=CHECKER, now=seam.now())
    shop.settle_down()
    assert Refund.objects.get().status == "succeeded"
    assert [charge["refunded"] for charge in shop.books()["charges"]] == [1000]
    assert not PspOperation.objects.filter(dead_at__isnull=False).exists()
    sound(shop)


def test_only_a_person_decides(shop: Shop) -> None:
    event = paid(shop, 1000)
    row = found(shop, event, 300)
    before = shop.journals()
    for actor in ("", "key:merchant", "user:"):
        with pytest.raises(IntegrityError), transaction.atomic():
            found_refunds.book(row.pk, actor=actor, now=seam.now())
    assert shop.journals() == before
    assert not Refund.objects.exists()
