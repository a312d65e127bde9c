"""A seller who is paid in another currency than the buyer pays, told as stories."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from config import seam
from payments import exchange
from payments.models import MerchantBook, OrderConversion, PaymentOrder, Seller
from tests.journeys.test_refunds import fresh, refund
from tests.journeys.test_releases import deliver, paid, sound, terms
from tests.shop import Shop
from wallet import rates
from wallet.models import Quote
from wallet.rates import EcbFile


def publish_rates(dollars: str = "1.25", *, days: int = 0) -> None:
    """Store what a euro is worth, `days` after today."""
    now = seam.now() + timedelta(days=days)
    with transaction.atomic():
        rates.load(EcbFile(f"Date, USD, JPY\n{now.date().isoformat()}, {dollars}, 160\n".encode()), now=now)


@pytest.fixture
def abroad(shop: Shop) -> Shop:
    """Give a shop whose first seller is paid in euros; a conversion costs one percent."""
    Seller.objects.filter(pk=shop.sellers[0].pk).update(settlement_currency="EUR")
    MerchantBook.objects.filter(book=shop.tenant.book).update(fx_margin_basis_points=100)
    terms(shop, refund_fee_policy="return")
    return shop


def convert() -> int:
    return exchange.convert_due(now=seam.now())


def sold(shop: Shop, amount: int = 10_000) -> PaymentOrder:
    """Sell something for dollars, with a fee of ten percent, and deliver it."""
    (order,) = paid(shop, amount, currency="USD")
    deliver(order)
    return fresh(order)


def test_what_is_released_is_changed_into_the_sellers_currency(abroad: Shop) -> None:
    publish_rates()
    order = sold(abroad)
    assert abroad.wallet(0, "USD").available == 9_000
    assert convert() == 1
    assert (abroad.wallet(0, "USD").available, abroad.wallet(0).available) == (0, 7_128)
    quote = Quote.objects.get()
    assert (quote.amount_minor, quote.mid_minor, quote.margin_minor) == (9_000, 7_200, 72)
    assert OrderConversion.objects.get(order=order).quote == quote
    assert convert() == 0
    held = abroad.balances()
    assert (held["fx:clearing:USD"], held["fx:clearing:EUR"], held["fees:fx:EUR"]) == (-9_000, 7_200, -72)
    sound(abroad)


def test_without_a_rate_the_money_waits_where_it_is_and_is_changed_when_there_is_one(abroad: Shop) -> None:
    order = sold(abroad)
    assert convert() == 1
    waiting = OrderConversion.objects.get(order=order)
    assert (waiting.done_at, waiting.tries, waiting.outcome) == (None, 1, "ecb has no rate between USD and EUR")
    assert abroad.wallet(0, "USD").available == 9_000
    assert convert() == 0, "not before ten minutes have passed"
    publish_rates()
    abroad.pass_time(timedelta(minutes=11))
    assert convert() == 1
    assert abroad.wallet(0).available == 7_128
    sound(abroad)


def test_a_refund_takes_back_at_the_rate_of_the_sale_whatever_rates_do(abroad: Shop) -> None:
    publish_rates("1.25")
    order = sold(abroad)
    convert()
    made = refund(order, 5_000)
    assert (made.fee_minor, made.from_available_minor, made.from_debt_minor) == (1_000, 4_000, 0)
    quote = Quote.objects.get()
    assert (quote.undone_minor, quote.undone_received_minor, quote.undone_margin_minor) == (4_000, 3_168, 32)
    assert abroad.wallet(0).available == 7_128 - 3_168
    second = refund(order)
    assert (second.from_available_minor, second.from_debt_minor) == (5_000, 0)
    assert (abroad.wallet(0).available, abroad.wallet(0, "USD").balance) == (0, 0)
    abroad.work()
    assert fresh(second).status == "succeeded"
    held = abroad.balances()
    assert {
        held[code] for code in ("fx:clearing:USD", "fx:clearing:EUR", "fees:fx:EUR", "rounding:EUR") if code in held
    } == {0}
    sound(abroad)


def test_what_was_paid_out_meanwhile_becomes_a_debt_in_the_sellers_currency(abroad: Shop) -> None:
    publish_rates()
    order = sold(abroad)
    convert()
    assert abroad.empty_wallet() == 7_128
    made = refund(order)
    assert (made.from_available_minor, made.from_debt_minor) == (9_000, 0)
    assert abroad.wallet(0).debt == 7_128
    assert abroad.wallet(0, "USD").debt == 0
    abroad.work()
    sound(abroad)


def test_a_refund_before_the_release_changes_nothing(abroad: Shop) -> None:
    publish_rates()
    (order,) = paid(abroad, 10_000, currency="USD")
    refund(order)
    deliver(order)
    assert convert() == 0
    assert not Quote.objects.exists()
    abroad.work()
    sound(abroad)


def test_a_seller_who_is_paid_as_buyers_pay_is_left_alone(shop: Shop) -> None:
    publish_rates()
    sold(shop)
    assert convert() == 0
    assert shop.wallet(0, "USD").available == 9_000


def test_one_that_cannot_be_changed_holds_up_nobody(abroad: Shop) -> None:
    publish_rates()
    poor, rich = sold(abroad, 100), sold(abroad, 10_000)
    abroad.empty_wallet(currency="USD")
    sold(abroad, 1_000)
    assert convert() == 3
    done = {row.order_id: row.outcome for row in OrderConversion.objects.filter(done_at__isnull=False)}
    assert len(done) == 3
    assert done[rich.pk] == "nothing to change any more" or done[poor.pk] == ""
    assert abroad.wallet(0, "USD").available == 0
    sound(abroad)
