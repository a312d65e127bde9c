"""Payouts that the PSP has and that somebody wants to stop: they come back, or go on, and whoever asked is told."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from config import seam
from payments import payouts
from payments.models import OutboxMessage, Payout, PspOperation
from tests.market import Market
from tests.shop import Shop

_S = Payout.Status
_K = PspOperation.Kind


@pytest.fixture
def sent(shop: Shop, market: Market) -> Payout:
    """Give a payout that the PSP has and no bank yet."""
    market.earn(10_000)
    payout = market.ask(4_000)
    shop.work()
    payout.refresh_from_db()
    assert payout.status == _S.SENT
    return payout


def _stop(payout: Payout) -> Payout:
    payouts.cancel(payout.pk, now=seam.now())
    payout.refresh_from_db()
    return payout


def _facts(payout: Payout) -> list[str]:
    rows = OutboxMessage.objects.filter(subject_kind="payout", subject_id=payout.pk).order_by("id")
    return [row.type.removeprefix("payout.") for row in rows]


def test_a_payout_that_has_not_left_the_psp_is_stopped_there_and_comes_back(
    shop: Shop, market: Market, sent: Payout
) -> None:
    assert _stop(sent).status == _S.SENT, "until the PSP answers"
    assert market.wallet()["in_transit"] == 4_000
    shop.work()
    sent.refresh_from_db()
    assert sent.status == _S.RETURNED
    assert sent.failure is not None
    assert sent.failure["code"] == "payout_cancelled"
    assert market.wallet() == {"pending": 0, "available": 9_000, "reserved": 0, "in_transit": 0, "debt": 0}
    assert market.movements(sent) == ["reserve_payout", "fund_payout", "return_payout"]
    assert _facts(sent) == ["pending", "sent", "failed", "returned"]
    assert [row["status"] for row in shop.books()["payouts"]] == ["canceled"]
    assert market.connected() == market.at_connected_accounts() == 0
    shop.check()


def test_a_payout_that_is_on_its_way_goes_on_and_who_asked_is_told(shop: Shop, market: Market, sent: Payout) -> None:
    shop.psp.control(f"payouts/{sent.psp_id}/advance", status="in_transit")
    _stop(sent)
    shop.work()
    sent.refresh_from_db()
    assert (sent.status, sent.failure) == (_S.SENT, None)
    assert _facts(sent) == ["pending", "sent", "cancellation_refused"]
    asked = PspOperation.objects.get(kind=_K.CANCEL_PAYOUT)
    assert (asked.state, asked.outcome) == ("DONE", "declined")
    market.bank_says(sent, "paid")
    sent.refresh_from_db()
    assert sent.status == _S.PAID
    assert market.movements(sent) == ["reserve_payout", "fund_payout", "pay_out"]
    shop.check()


def test_a_payout_that_bounced_meanwhile_comes_back_once(shop: Shop, market: Market, sent: Payout) -> None:
    shop.psp.control(f"payouts/{sent.psp_id}/advance", status="failed")
    _stop(sent)
    shop.settle_down()
    sent.refresh_from_db()
    assert sent.status == _S.RETURNED
    assert market.movements(sent).count("return_payout") == 1
    assert market.wallet()["available"] == 9_000
    shop.check()


def test_whoever_asks_twice_asks_the_psp_once(shop: Shop, market: Market, sent: Payout) -> None:
    _stop(sent)
    _stop(sent)
    operation = PspOperation.objects.get(kind=_K.CANCEL_PAYOUT)
    with pytest.raises(IntegrityError, match="one_operation_per_payout_and_kind"), transaction.atomic():
        PspOperation.objects.create(
            public_id=seam.new_uuid(),
            book=operation.book,
            psp_account=operation.psp_account,
            kind=_K.CANCEL_PAYOUT,
            payout=sent,
            parameters={},
            created_at=seam.now(),
        )
    shop.work()
    assert PspOperation.objects.filter(kind=_K.CANCEL_PAYOUT).count() == 1
    shop.check()


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "500_before", "500_after", "429", "html_502_after"])
def test_an_answer_that_is_lost_leaves_nothing_half_done(
    shop: Shop, market: Market, sent: Payout, settings: Any, kind: str
) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 0.5
    shop.psp.faults({"operation": "payouts.cancel", "kind": kind, "times": 1}, key=shop.psp_key)
    _stop(sent)
    shop.settle_down()
    sent.refresh_from_db()
    assert sent.status == _S.RETURNED
    assert market.movements(sent) == ["reserve_payout", "fund_payout", "return_payout"]
    assert len([one for one in shop.books()["transfers"] if one["amount_reversed"]]) == 1
    shop.check()


def test_a_notification_of_the_end_that_comes_before_our_answer_changes_nothing_more(
    shop: Shop, market: Market, sent: Payout
) -> None:
    shop.psp.control(f"payouts/{sent.psp_id}/advance", status="canceled")
    shop.notify(times=2)
    _stop(sent)
    shop.settle_down()
    sent.refresh_from_db()
    assert sent.status == _S.RETURNED
    assert market.wallet()["available"] == 9_000
    shop.check()
