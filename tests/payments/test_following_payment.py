"""A payment is claimed with the registration that it waited for: one round less, and no rule of claiming is bent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config import seam
from payments import cancellations, executor, processing
from payments.models import Charge, PaymentEvent, PspAccount, PspOperation
from tests.shop import Shop


def _confirmation(event: PaymentEvent) -> PspOperation:
    return PspOperation.objects.get(event=event, kind="confirm")


def _status(event: PaymentEvent) -> str:
    event.refresh_from_db()
    return str(event.status)


def test_one_round_registers_and_pays(shop: Shop) -> None:
    events = [shop.buy(1000, 500) for _ in range(3)]
    assert executor.execute(go_on=True) == 6
    assert [_status(event) for event in events] == ["succeeded"] * 3
    assert executor.execute() == 0
    shop.check()


def test_the_id_is_committed_with_the_claim_before_the_payment_is_sent(shop: Shop) -> None:
    event = shop.buy(1000)
    (registration,) = executor.claim(10)
    (payment,) = executor.settle([(registration, registration.run())], go_on=True)
    charge, confirmation = Charge.objects.get(event=event), _confirmation(event)
    assert charge.psp_id
    assert charge.status == "REGISTERED"
    assert (confirmation.state, confirmation.tries, confirmation.fence) == ("SENT", 1, payment.fence)
    assert confirmation.lease_until is not None
    assert confirmation.first_sent_at is not None
    assert not payment.sent_before
    assert executor.claim(10) == [], "it is leased"
    executor.settle([(payment, payment.run())])
    assert _status(event) == "succeeded"
    shop.check()


def test_the_call_is_taken_from_the_accounts_budget(shop: Shop) -> None:
    events = [shop.buy(1000) for _ in range(4)]
    registrations = executor.claim(10)
    answers = [(call, call.run()) for call in registrations]
    PspAccount.objects.filter(pk=shop.tenant.psp_account.pk).update(calls_per_second=0.0001, call_tokens=3)
    # A budget never holds more than one second's calls, but at least one.
    assert len(executor.settle(answers, go_on=True)) == 1
    assert sorted(_confirmation(event).state for event in events) == ["PREPARED"] * 3 + ["SENT"]
    assert sum(_confirmation(event).lease_until is None for event in events) == 3
    assert PspAccount.objects.get(pk=shop.tenant.psp_account.pk).call_tokens < 0.1
    assert executor.claim(10) == []


@pytest.mark.parametrize("trouble", ["paused", "probation"])
def test_nothing_follows_at_a_paused_account_or_one_on_probation(shop: Shop, trouble: str) -> None:
    accounts = PspAccount.objects.filter(pk=shop.tenant.psp_account.pk)
    event = shop.buy(1000)
    (registration,) = executor.claim(10)
    if trouble == "paused":
        accounts.update(paused_until=seam.now() + timedelta(hours=1))
    else:
        accounts.update(consecutive_failures=10)
    assert executor.settle([(registration, registration.run())], go_on=True) == []
    assert (_confirmation(event).state, _confirmation(event).tries) == ("PREPARED", 0)
    accounts.update(paused_until=None, consecutive_failures=0)
    shop.work()
    assert _status(event) == "succeeded"


def test_a_payment_that_was_cancelled_meanwhile_does_not_follow(shop: Shop) -> None:
    event = shop.buy(1000)
    (registration,) = executor.claim(10)
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    assert executor.settle([(registration, registration.run())], go_on=True) == []
    shop.settle_down()
    assert _status(event) == "cancelled"
    assert [charge["captured"] for charge in shop.books()["charges"] if charge["captured"]] == []


def test_a_registration_answered_too_late_is_followed_once(shop: Shop) -> None:
    """Two workers hold answers of the same registration: only the one with the fence goes on."""
    event = shop.buy(1000)
    (stale,) = executor.claim(10)
    PspOperation.objects.filter(event=event, kind="register").update(lease_until=None)
    (fresh,) = executor.claim(10)
    answers = [(stale, stale.run()), (fresh, fresh.run())]
    assert executor.settle(answers[:1], go_on=True) == []
    (payment,) = executor.settle(answers[1:], go_on=True)
    executor.settle([(payment, payment.run())])
    assert _status(event) == "succeeded"
    shop.check()


def test_what_follows_is_claimed_by_one_statement_whatever_its_number(shop: Shop) -> None:
    shop.buy(1000)
    shop.work()
    costs = []
    for count in (2, 40):
        for _ in range(count):
            shop.buy(1000)
        answers = [(call, call.run()) for call in executor.claim(100)]
        with CaptureQueriesContext(connection) as captured:
            assert len(executor.settle(answers, go_on=True)) == count
        costs.append(len(captured))
    assert costs[0] == costs[1]


def test_another_try_of_a_declined_charge_is_not_registered_again(shop: Shop, settings: Any) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 2
    event = shop.buy(1000, token="pm_card_chargeDeclined")
    executor.execute(go_on=True)
    assert _status(event) == "failed"
    processing.process(event.pk, "pm_card_visa", now=seam.now())
    assert executor.execute(go_on=True) == 1
    assert _status(event) == "succeeded"
    shop.check()


def test_more_calls_than_threads_wait_in_line(shop: Shop, settings: Any) -> None:
    """Operations and notifications are claimed side by side, so one claim may bring more than there is room for."""
    settings.PSP_CALLS_IN_FLIGHT = 2
    held = [shop.buy(1000, capture="manual") for _ in range(6)]
    shop.work()
    assert [_status(event) for event in held] == ["requires_capture"] * 6
    assert shop.notify() >= 6
    events = [shop.buy(1000) for _ in range(6)]
    executor.drain(seconds=20)
    assert [_status(event) for event in events] == ["succeeded"] * 6
    shop.settle_down()
    shop.check()
