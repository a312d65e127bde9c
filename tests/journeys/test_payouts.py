"""Payouts, told as stories: what the seller asks for, what the PSP does, where the money is at each moment."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction

from config import seam
from ledger.ids import public_id
from payments import bank_accounts, destinations, executor, explaining, payouts
from payments.errors import PaymentsError
from payments.models import (
    MerchantBook,
    OutboxMessage,
    Payee,
    Payout,
    PayoutAllocation,
    PspOperation,
    Seller,
    Transition,
)
from payments.payout_calls import PayoutCall
from tests.market import ACTOR, BOUNCING_IBAN, REFUSED_IBAN, Market
from tests.shop import Shop

_S = Payout.Status
_K = PspOperation.Kind


def _again(payout: Payout) -> Payout:
    payout.refresh_from_db()
    return payout


def test_a_payout_is_transferred_paid_and_explained(shop: Shop, market: Market) -> None:
    market.earn(10_000, 5_000)
    assert market.wallet()["available"] == 13_500
    payout = market.ask(12_000)
    assert payout.status == _S.PENDING
    assert market.wallet() == {"pending": 0, "available": 1_500, "reserved": 0, "in_transit": 12_000, "debt": 0}
    allocated = PayoutAllocation.objects.filter(payout=payout).order_by("position_minor")
    assert [row.amount_minor for row in allocated] == [9_000, 3_000]
    shop.work()
    assert (_again(payout).status, payout.waiting_for) == (_S.SENT, "")
    assert market.connected() == 12_000
    shop.check()
    market.arrive()
    assert _again(payout).status == _S.PAID
    assert market.wallet()["in_transit"] == 0
    assert market.connected() == market.at_connected_accounts() == 0
    assert market.movements(payout) == ["reserve_payout", "fund_payout", "pay_out"]
    told = Transition.objects.filter(machine="payments_payout", object_id=payout.pk).order_by("id")
    assert [(row.source, row.target) for row in told] == [("pending", "sent"), ("sent", "paid")]
    facts = OutboxMessage.objects.filter(subject_kind="payout", subject_id=payout.pk).order_by("id")
    assert [fact.type for fact in facts] == ["payout.pending", "payout.sent", "payout.paid"]
    assert [fact.data["version"] for fact in facts] == [1, 2, 3]
    shop.check()


def test_the_bank_account_is_made_known_to_the_psp_once(shop: Shop, market: Market) -> None:
    market.earn(10_000)
    for _ in range(3):
        market.ask(1_000)
    shop.work()
    assert Payee.objects.count() == 1
    assert PspOperation.objects.filter(kind=_K.CREATE_PAYEE).count() == 1
    assert {row.status for row in Payout.objects.all()} == {_S.SENT}
    assert len(shop.books()["transfers"]) == 3
    shop.check()


def test_a_payout_that_bounces_after_it_was_paid_is_in_the_wallet_only_when_it_is_really_back(
    shop: Shop, market: Market
) -> None:
    market.earn(10_000)
    payout = market.ask(9_000)
    shop.work()
    market.bank_says(payout, "paid")
    assert _again(payout).status == _S.PAID
    shop.psp.faults({"operation": "transfers.reversals.create", "kind": "429", "times": 1}, key=shop.psp_key)
    market.bank_says(payout, "failed", work=False)
    executor.execute()
    assert _again(payout).status == _S.FAILED
    assert market.wallet()["available"] == 0, "the money is at the PSP, not here"
    assert market.wallet()["in_transit"] == market.connected() == market.at_connected_accounts() == 9_000
    assert payout.failure is not None
    assert payout.failure["code"] == "payout_failed"
    shop.check()
    shop.settle_down()
    assert _again(payout).status == _S.RETURNED
    assert market.wallet() == {"pending": 0, "available": 9_000, "reserved": 0, "in_transit": 0, "debt": 0}
    assert market.connected() == market.at_connected_accounts() == 0
    assert market.movements(payout) == ["reserve_payout", "fund_payout", "pay_out", "unpay_payout", "return_payout"]
    shop.check()


def test_a_payout_that_never_arrived_comes_back_too(shop: Shop, market: Market) -> None:
    market.earn(10_000)
    payout = market.ask(9_000)
    shop.work()
    market.bank_says(payout, "failed")
    assert _again(payout).status == _S.RETURNED
    assert market.movements(payout) == ["reserve_payout", "fund_payout", "return_payout"]
    assert market.wallet()["available"] == 9_000
    shop.check()


def test_what_comes_back_is_explained_by_what_it_had_paid(shop: Shop, market: Market) -> None:
    market.earn(10_000, 5_000)
    first = market.ask(12_000)
    payouts.cancel(first.pk, now=seam.now())
    second = market.ask(13_000)
    tree = explaining.explain(second)
    assert [(part["kind"], part["amount"]) for part in tree["pays"]] == [
        ("release", "15.00"),
        ("cancel_payout", "115.00"),
    ]
    back = tree["pays"][1]
    assert back["payout"] == public_id("pyo", first.public_id)
    assert [(leaf["kind"], leaf["amount"], leaf["order"]["platform_fee"]) for leaf in back["pays"]] == [
        ("release", "90.00", "10.00"),
        ("release", "25.00", "5.00"),
    ]
    assert tree["not_named"] == "0.00"
    third = market.ask(None)
    (part,) = explaining.explain(third)["pays"]
    assert (part["kind"], part["amount"], part["of"]) == ("cancel_payout", "5.00", "120.00")
    assert [leaf["amount"] for leaf in part["pays"]] == ["5.00"]
    shop.check()


def test_everything_that_is_available_is_paid_out(shop: Shop, market: Market) -> None:
    market.earn(10_000, 3_333)
    payout = market.ask(None)
    assert payout.amount_minor == 12_000
    assert market.wallet()["available"] == 0
    with pytest.raises(PaymentsError) as refusal:
        market.ask(None)
    assert refusal.value.code == "insufficient_available_balance"


def test_a_payout_waits_visibly_for_money_that_the_psp_does_not_have_yet(shop: Shop, market: Market) -> None:
    market.earn(10_000, token="pm_card_visa")  # at the PSP available in two days
    first, second = market.ask(5_000), market.ask(1_000)
    shop.work()
    assert [_again(row).status for row in (first, second)] == [_S.PENDING, _S.PENDING]
    assert first.waiting_for == "funding"
    assert shop.books()["transfers"] == []
    market.earn(2_000)
    shop.pass_time(timedelta(minutes=2))
    shop.work()
    assert [_again(row).status for row in (first, second)] == [_S.PENDING, _S.SENT], "what fits goes"
    shop.psp.advance(3 * 24 * 3600)
    shop.pass_time(timedelta(minutes=2))
    shop.work()
    assert _again(first).status == _S.SENT
    shop.check()


def test_a_bank_account_that_the_psp_refuses_ends_the_payouts_that_wait_for_it(shop: Shop, market: Market) -> None:
    market.destination(market.seller, iban=REFUSED_IBAN)
    market.earn(10_000)
    rows = [market.ask(4_000), market.ask(5_000)]
    shop.work()
    assert [_again(row).status for row in rows] == [_S.CANCELLED, _S.CANCELLED]
    assert rows[1].failure is not None
    assert rows[1].failure["code"] == "payout_not_possible"
    assert market.wallet()["available"] == 9_000
    assert Payee.objects.count() == 0
    market.destination(market.seller)
    again = market.ask(9_000)
    shop.work()
    assert _again(again).status == _S.SENT
    shop.check()


def test_a_payout_is_cancelled_before_anything_was_sent_and_not_when_it_has_ended(shop: Shop, market: Market) -> None:
    market.earn(10_000)
    payout = market.ask(4_000)
    payouts.cancel(payout.pk, now=seam.now())
    assert _again(payout).status == _S.CANCELLED
    assert market.wallet()["available"] == 9_000
    paid = market.ask(5_000)
    shop.work()
    market.bank_says(paid, "paid")
    for over in (payout, paid):
        with pytest.raises(PaymentsError) as refusal:
            payouts.cancel(over.pk, now=seam.now())
        assert refusal.value.code == "payout_not_cancellable"
    assert [_again(row).status for row in (payout, paid)] == [_S.CANCELLED, _S.PAID]
    assert not PspOperation.objects.filter(kind=_K.CANCEL_PAYOUT).exists()
    shop.check()


def test_a_second_person_approves_a_payout_above_the_threshold(shop: Shop, market: Market) -> None:
    MerchantBook.objects.filter(pk=shop.tenant.book.pk).update(payout_approval_above={"EUR": 5_000})
    market.earn(20_000)
    small, big = market.ask(5_000), market.ask(5_001)
    assert (small.status, big.status) == (_S.PENDING, _S.REQUIRES_APPROVAL)
    shop.work()
    assert _again(big).status == _S.REQUIRES_APPROVAL
    with pytest.raises(PaymentsError) as refusal:
        payouts.approve(big.pk, actor=ACTOR, now=seam.now())
    assert refusal.value.code == "maker_is_not_checker"
    with pytest.raises(IntegrityError, match="payout_is_approved_by_somebody_else"), transaction.atomic():
        Payout.objects.filter(pk=big.pk).update(approved_by=ACTOR)
    payouts.approve(big.pk, actor="user:bob", now=seam.now())
    shop.work()
    assert _again(big).status == _S.SENT
    shop.check()


def test_a_changed_bank_account_voids_the_approval(shop: Shop, market: Market) -> None:
    MerchantBook.objects.filter(pk=shop.tenant.book.pk).update(payout_approval_above={"EUR": 1})
    market.earn(20_000)
    payout = payouts.approve(market.ask(5_000).pk, actor="user:bob", now=seam.now())
    market.destination(market.seller, iban=BOUNCING_IBAN)
    shop.work()
    assert (_again(payout).status, payout.approved_by) == (_S.REQUIRES_APPROVAL, None)
    assert shop.books()["transfers"] == []
    payouts.approve(payout.pk, actor="user:bob", now=seam.now())
    shop.work()
    assert _again(payout).status == _S.SENT
    assert payout.destination.masked == "DE **** 3001"
    shop.check()


def test_a_payout_without_approval_ends_when_the_bank_account_changes_before_it_is_sent(
    shop: Shop, market: Market
) -> None:
    market.earn(20_000)
    payout = market.ask(5_000)
    market.destination(market.seller, iban=BOUNCING_IBAN)
    shop.work()
    assert _again(payout).status == _S.CANCELLED
    assert payout.failure is not None
    assert payout.failure["code"] == "destination_changed"
    assert market.wallet()["available"] == 18_000
    shop.check()


def test_what_changed_about_the_seller_holds_a_payout_back(shop: Shop, market: Market) -> None:
    market.earn(20_000)
    payout = market.ask(5_000)
    Seller.objects.filter(pk=market.seller.pk).update(kyc_status="rejected")
    shop.work()
    assert (_again(payout).status, payout.waiting_for) == (_S.PENDING, "seller")
    Seller.objects.filter(pk=market.seller.pk).update(kyc_status="verified")
    shop.pass_time(timedelta(minutes=2))
    shop.work()
    assert _again(payout).status == _S.SENT


def test_a_new_bank_account_cools_down_and_the_same_one_does_not_start_again(
    shop: Shop, market: Market, settings: object
) -> None:
    settings.PAYOUT_COOL_DOWN_HOURS = {"test": 24, "live": 24}  # type: ignore[attr-defined]
    market.earn(20_000)
    row = market.destination(market.seller, iban=BOUNCING_IBAN)
    with pytest.raises(PaymentsError) as refusal:
        market.ask(5_000)
    assert refusal.value.code == "payout_destination_cooling_down"
    account = bank_accounts.iban(BOUNCING_IBAN.lower(), "Another Spelling")
    later = seam.now() + timedelta(hours=23)
    again = destinations.put(market.seller, account, currency="EUR", actor=ACTOR, now=later)
    assert (again.pk, again.usable_at) == (row.pk, row.usable_at)
    assert Payout.objects.count() == 0
    assert market.wallet()["in_transit"] == 0


def test_two_workers_on_one_payout_send_it_once(shop: Shop, market: Market) -> None:
    market.earn(10_000)
    market.ask(9_000)
    executor.execute()  # the balance
    executor.execute()  # the payee
    first = executor.claim(10)
    shop.pass_time(timedelta(minutes=5))  # its lease is over; it is only slow
    second = executor.claim(10)
    assert [len(first), len(second)] == [1, 1]
    answers = [(call, call.run()) for call in (*second, *first)]
    executor.settle(answers)
    shop.settle_down()
    assert len(shop.books()["transfers"]) == 1
    assert market.movements(Payout.objects.get()).count("fund_payout") == 1
    shop.check()


def test_twenty_who_ask_for_everything_at_once_get_one_payout(shop: Shop, market: Market) -> None:
    market.earn(10_000)

    def ask(_number: int) -> str:
        try:
            return str(market.ask(None).amount_minor)
        except PaymentsError as refusal:
            return refusal.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as pool:
        answers = Counter(pool.map(ask, range(20)))
    assert answers == {"9000": 1, "insufficient_available_balance": 19}
    assert Payout.objects.count() == 1
    assert market.wallet()["in_transit"] == 9_000
    shop.check()


def test_a_transfer_whose_answer_is_lost_for_good_is_found_and_not_sent_again(
    shop: Shop, market: Market, settings: Any
) -> None:
    """No answer, and the PSP has forgotten the key: the list finds it by our metadata."""
    settings.PSP_READ_TIMEOUT_SECONDS = 0.3
    market.earn(20_000)
    market.ask(1_000)
    shop.work()  # the payee is known now
    shop.psp.faults({"operation": "transfers.create", "kind": "never_answer", "times": 1}, key=shop.psp_key)
    payout = market.ask(9_000)
    shop.work()
    transfer = PspOperation.objects.get(payout=payout, kind=_K.TRANSFER)
    long_ago = transfer.first_sent_at - timedelta(hours=30) if transfer.first_sent_at else None
    if transfer.closed_at is None:
        PspOperation.objects.filter(pk=transfer.pk).update(first_sent_at=long_ago, due_at=seam.now())
    shop.settle_down()
    assert _again(payout).status == _S.SENT
    assert len([one for one in shop.books()["transfers"] if one["amount"] == 9_000]) == 1
    shop.check()


def test_a_late_answer_of_an_earlier_state_changes_nothing(shop: Shop, market: Market) -> None:
    """`paid` that is looked at before, and told after, `failed`."""
    market.earn(10_000)
    payout = market.ask(9_000)
    shop.work()
    market.bank_says(payout, "paid", work=False)
    (old,) = [call for call in executor.claim(10) if isinstance(call, PayoutCall)]
    answer = old.run()
    shop.pass_time(timedelta(minutes=2))  # the question's lease is over
    market.bank_says(payout, "failed")
    shop.settle_down()
    assert _again(payout).status == _S.RETURNED
    executor.settle([(old, answer), (old, answer)])
    assert _again(payout).status == _S.RETURNED
    assert market.movements(payout) == ["reserve_payout", "fund_payout", "return_payout"]
    shop.check()
