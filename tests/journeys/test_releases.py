"""Releases, told as stories: when a seller's share becomes available, and what it nets on its way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError

from config import seam
from payments import invariants, refunds, releases, reserves
from payments.errors import InvalidState
from payments.models import MerchantBook, OutboxMessage, PaymentOrder, ReserveHold, Seller
from payments.refunds import Wanted
from tests.shop import Shop
from wallet import movements


def sound(shop: Shop) -> None:
    """Assert that books, wallets and the PSP's books agree."""
    assert invariants.check().violations == []
    shop.check()


def facts(shop: Shop, kind: str) -> list[dict[str, Any]]:
    """Return what was published of a type, in order."""
    return list(
        OutboxMessage.objects.filter(book=shop.tenant.book, type=kind).order_by("id").values_list("data", flat=True)
    )


def terms(shop: Shop, **changes: Any) -> None:
    """Change the merchant's terms."""
    MerchantBook.objects.filter(pk=shop.tenant.book.pk).update(**changes)


def paid(shop: Shop, *amounts: int, **changes: Any) -> list[PaymentOrder]:
    """Buy and pay; return the orders."""
    event = shop.buy(*amounts, **changes)
    shop.work()
    return shop.orders(event)


def deliver(order: PaymentOrder) -> None:
    releases.deliver(order.event_id, order.pk, now=seam.now())


def test_a_delivered_order_is_released_at_once_and_only_that_one(shop: Shop) -> None:
    first, second = paid(shop, 1999, 501)
    deliver(first)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.pending_minor, second.pending_minor) == (0, 451)
    assert first.delivered_at is not None
    assert first.released_at is not None
    assert second.released_at is None
    assert shop.wallet(0).available == 1799
    assert (shop.wallet(1).pending, shop.wallet(1).available) == (451, 0)
    (told,) = facts(shop, "wallet.released")
    assert (told["amount"], told["available"], told["debt"], told["reserved"]) == ("17.99", "17.99", "0.00", "0.00")
    (delivered,) = facts(shop, "payment_order.delivered")
    assert delivered["delivered_at"] is not None
    sound(shop)


def test_a_second_delivery_changes_nothing(shop: Shop) -> None:
    (order,) = paid(shop, 1000)
    deliver(order)
    before = PaymentOrder.objects.values().get(pk=order.pk)
    deliver(order)
    assert PaymentOrder.objects.values().get(pk=order.pk) == before
    assert [kind for kind, _ in shop.journals()] == ["settle_charge", "release"]
    assert len(facts(shop, "wallet.released")) == len(facts(shop, "payment_order.delivered")) == 1


def test_what_is_not_paid_cannot_be_delivered(shop: Shop) -> None:
    event = shop.buy(1000, capture="manual")
    shop.work()
    (order,) = shop.orders(event)
    with pytest.raises(InvalidState, match="AUTHORIZED"):
        deliver(order)
    assert shop.orders(event)[0].delivered_at is None
    assert facts(shop, "payment_order.delivered") == []


def test_a_release_some_days_after_delivery_waits_for_its_day(shop: Shop) -> None:
    terms(shop, release_days_after_delivery=2)
    (order,) = paid(shop, 1000)
    deliver(order)
    order.refresh_from_db()
    assert order.released_at is None
    assert order.release_due_at is not None
    assert order.release_due_at > seam.now() + timedelta(days=1)
    assert releases.release_due(now=seam.now()) == 0
    shop.pass_time(timedelta(days=10))
    assert releases.release_due(now=seam.now()) == 1
    assert releases.release_due(now=seam.now()) == 0
    assert shop.wallet(0).available == 900
    sound(shop)


def test_without_a_delivery_the_time_after_capture_decides(shop: Shop) -> None:
    terms(shop, release_days_after_capture=7)
    waiting, delivered = paid(shop, 1000), paid(shop, 2000)
    deliver(delivered[0])
    assert shop.wallet(0).available == 1800
    shop.pass_time(timedelta(days=8))
    assert releases.release_due(now=seam.now()) == 1
    assert shop.wallet(0).available == 2700
    waiting[0].refresh_from_db()
    assert waiting[0].delivered_at is None
    sound(shop)


def test_a_merchant_may_never_release_without_delivery_nor_by_delivery(shop: Shop) -> None:
    terms(shop, release_days_after_delivery=None)
    (order,) = paid(shop, 1000)
    deliver(order)
    shop.pass_time(timedelta(days=400))
    assert releases.release_due(now=seam.now()) == 0
    assert shop.wallet(0).pending == 900


def test_hundreds_are_released_in_one_transaction_of_a_fixed_number_of_statements(
    shop: Shop, django_assert_max_num_queries: Any
) -> None:
    terms(shop, release_days_after_capture=1)
    for _ in range(30):
        paid(shop, 1000, 500)
    shop.pass_time(timedelta(days=3))
    with django_assert_max_num_queries(16):
        assert releases.release_due(now=seam.now()) == 60
    assert (shop.wallet(0).available, shop.wallet(1).available) == (30 * 900, 30 * 450)
    sound(shop)


def test_a_poisoned_release_holds_up_nobody(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    terms(shop, release_days_after_capture=1)
    orders = [paid(shop, 1000 + n)[0] for n in range(4)]
    shop.pass_time(timedelta(days=3))
    real = movements.record

    def broken_for_one(batch: Any, **named: Any) -> Any:
        if any(line[2] == orders[1].pending_minor for movement in batch for line in movement.lines):
            raise DatabaseError("poison")
        return real(batch, **named)

    monkeypatch.setattr(movements, "record", broken_for_one)
    assert releases.release_due(now=seam.now()) == 4
    monkeypatch.undo()
    for order in orders:
        order.refresh_from_db()
    assert [order.released_at is not None for order in orders] == [True, False, True, True]
    assert orders[1].pending_minor == 901
    shop.pass_time(timedelta(minutes=11))
    assert releases.release_due(now=seam.now()) == 1
    sound(shop)


def test_a_release_nets_what_the_seller_owes_first(shop: Shop) -> None:
    (sold,), (later,) = paid(shop, 1000), paid(shop, 3000)
    deliver(sold)
    shop.empty_wallet(0)
    refunds.request(sold.event_id, Wanted(sold.pk), now=seam.now())
    shop.settle_down()
    assert (shop.wallet(0).available, shop.wallet(0).debt) == (0, 1000)
    deliver(later)
    assert (shop.wallet(0).available, shop.wallet(0).debt) == (1700, 0)
    told = facts(shop, "wallet.released")[-1]
    assert (told["amount"], told["debt"], told["available"]) == ("27.00", "10.00", "17.00")


def test_a_share_is_held_back_and_given_back_when_its_time_is_over(shop: Shop) -> None:
    Seller.objects.filter(pk=shop.sellers[0].pk).update(reserve_basis_points=1000, reserve_days=30)
    (order,) = paid(shop, 1000)
    deliver(order)
    assert (shop.wallet(0).available, shop.wallet(0).reserved) == (810, 90)
    hold = ReserveHold.objects.get(order=order)
    assert (hold.amount_minor, hold.freed_at) == (90, None)
    assert reserves.free_due(now=seam.now()) == 0
    sound(shop)
    shop.pass_time(timedelta(days=31))
    assert reserves.free_due(now=seam.now()) == 1
    assert reserves.free_due(now=seam.now()) == 0
    assert (shop.wallet(0).available, shop.wallet(0).reserved) == (900, 0)
    sound(shop)


def test_a_reserve_nets_debt_when_it_is_freed(shop: Shop) -> None:
    Seller.objects.filter(pk=shop.sellers[0].pk).update(reserve_basis_points=5000, reserve_days=30)
    (order,) = paid(shop, 1000)
    deliver(order)
    shop.empty_wallet(0)
    refunds.request(order.event_id, Wanted(order.pk, 400), now=seam.now())
    shop.settle_down()
    assert (shop.wallet(0).reserved, shop.wallet(0).debt) == (450, 400)
    shop.pass_time(timedelta(days=31))
    assert reserves.free_due(now=seam.now()) == 1
    assert (shop.wallet(0).available, shop.wallet(0).reserved, shop.wallet(0).debt) == (50, 0, 0)


def test_a_release_of_an_order_without_anything_pending_books_nothing(shop: Shop) -> None:
    (order,) = paid(shop, 1000)
    refunds.request(order.event_id, Wanted(order.pk), now=seam.now())
    shop.settle_down()
    deliver(order)
    order.refresh_from_db()
    assert order.released_at is not None
    assert "release" not in [kind for kind, _ in shop.journals()]
    assert facts(shop, "wallet.released") == []
