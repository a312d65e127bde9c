"""What cannot be done now is tried again, bounded, and ends in front of a person; it never ends in silence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError

from config import seam
from payments import cancellations, escalations, executor, retries
from payments.models import Charge, OutboxMessage, PaymentEvent, PspAccount, PspOperation, Refund
from tests.factories import PspAccountFactory
from tests.shop import Shop
from wallet import movements


def _cancel_then_late_money(shop: Shop, token: str = "pm_sandbox_late_success") -> PaymentEvent:
    event = shop.buy(1000, token=token, method_types=())
    shop.work()
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.settle_down()
    shop.psp.advance(60)
    return event


def test_a_report_that_cannot_be_written_ends_in_front_of_a_person(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    event = shop.buy(1000)
    executor.execute()

    def broken(*_args: object, **_named: object) -> None:
        raise DatabaseError("the books are broken for this one")

    monkeypatch.setattr(movements, "record", broken)
    for _ in range(retries.UNKNOWN.max_tries + 2):
        executor.execute()
        shop.pass_time(timedelta(minutes=5))
    operation = PspOperation.objects.get(event=event, kind="confirm")
    assert (operation.state, operation.error_code) == ("DEAD", "settlement_failed")
    assert OutboxMessage.objects.filter(type="payment.outcome_unknown").count() == 1
    assert shop.journals() == []
    monkeypatch.undo()
    shop.notify()
    shop.settle_down()
    event.refresh_from_db()
    assert event.status == "succeeded", "the notification heals what a person would have had to"
    shop.check()


def test_one_broken_report_does_not_hold_up_the_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [shop.buy(1000 + n) for n in range(5)]
    poison = events[2].pk
    real = movements.record

    def broken_for_one(batch: Any, **named: Any) -> Any:
        if any(f"{1000 + 2}" in str(line[2]) for movement in batch for line in movement.lines):
            raise DatabaseError("poison")
        return real(batch, **named)

    monkeypatch.setattr(movements, "record", broken_for_one)
    shop.work(rounds=4)
    for event in events:
        event.refresh_from_db()
    assert [event.status for event in events if event.pk != poison] == ["succeeded"] * 4
    monkeypatch.undo()
    shop.settle_down()
    events[2].refresh_from_db()
    assert events[2].status == "succeeded"
    shop.check()


def test_a_refund_whose_answer_is_lost_is_followed_until_it_is_paid(shop: Shop) -> None:
    event = _cancel_then_late_money(shop)
    shop.psp.faults({"operation": "refunds.create", "kind": "reset_after", "times": 1}, key=shop.psp_key)
    shop.notify()
    shop.settle_down()
    refund = Refund.objects.get(charge__event=event)
    assert refund.status == "succeeded"
    shop.check()


def test_the_notification_of_a_failed_refund_books_the_money_back_and_a_person_decides(shop: Shop) -> None:
    event = _cancel_then_late_money(shop)
    shop.notify()
    shop.settle_down()
    refund = Refund.objects.get(charge__event=event)
    shop.psp.control(f"refunds/{refund.psp_id}/fail")
    shop.notify()
    shop.settle_down()
    refund.refresh_from_db()
    assert refund.status == "failed"
    assert [kind for kind, _ in shop.journals()] == ["late_success", "settle_refund", "refund_returned"]
    assert shop.balances()["refund:payable:EUR"] == -1000, "still the buyer's"


def test_an_account_without_budget_does_not_hide_another(shop: Shop) -> None:
    events = [shop.buy(1000) for _ in range(3)]
    other = PspAccountFactory.create(book=shop.tenant.book, base_url=shop.psp.url)
    PspAccount.objects.filter(pk=other.pk).update(
        api_key=shop.tenant.psp_account.api_key, calls_per_second=0.000001, call_tokens=0
    )
    stalled = [shop.buy(2000) for _ in range(3)]
    Charge.objects.filter(event__in=stalled).update(psp_account=other)
    PspOperation.objects.filter(event__in=stalled).update(psp_account=other, due_at=seam.now() - timedelta(hours=1))
    assert PspOperation.objects.filter(due_at__isnull=False, kind="register").count() == 6
    for _ in range(4):
        executor.execute(limit=3)
    for event in events:
        event.refresh_from_db()
        assert event.status == "succeeded"


def test_an_unknown_outcome_behind_an_open_breaker_is_still_told(shop: Shop) -> None:
    shop.psp.faults(
        {"operation": "payment_intents.confirm", "kind": "reset_after", "times": 1},
        {"operation": "payment_intents.retrieve", "kind": "reset_before", "times": 50},
        key=shop.psp_key,
    )
    event = shop.buy(1000)
    executor.execute()
    executor.execute()
    PspOperation.objects.filter(event=event, kind="confirm").update(first_sent_at=seam.now() - timedelta(minutes=40))
    PspAccount.objects.update(paused_until=seam.now() + timedelta(days=1))
    assert escalations.escalate_overdue(now=seam.now()) == 1
    assert escalations.escalate_overdue(now=seam.now()) == 0
    assert OutboxMessage.objects.filter(type="payment.outcome_unknown").count() == 1


def test_the_waits_are_spread_also_at_the_ceiling() -> None:
    waits = {retries.UNKNOWN.wait(30) for _ in range(50)}
    assert len(waits) > 10
    assert max(wait for wait in waits if wait) <= timedelta(seconds=retries.UNKNOWN.ceiling_seconds)
