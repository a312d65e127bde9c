"""What comes back of a converted order: at the rate of the sale, whatever rates do, and again at that rate when it is
the seller's after all.
"""

from __future__ import annotations

from datetime import timedelta

from payments.models import Charge, Dispute, DisputePart, PaymentOrder
from tests.journeys.test_exchange import abroad, convert, publish_rates, sold
from tests.journeys.test_refunds import fresh, refund
from tests.journeys.test_releases import deliver, paid, sound
from tests.shop import Shop
from wallet.models import Quote

__all__ = ["abroad"]


def exchanged(shop: Shop, amount: int = 10_000) -> PaymentOrder:
    """Sell for dollars and change the share into euros: 72.00 less one percent for 100.00 less ten percent."""
    publish_rates("1.25")
    order = sold(shop, amount)
    convert()
    return order


def disputed(shop: Shop, order: PaymentOrder, **body: object) -> str:
    """Let the buyer's bank take an order's money back; return the PSP's id of the dispute."""
    intent = Charge.objects.get(pk=order.charge_id).psp_id
    return str(shop.psp.control("disputes", payment_intent=intent, **body)["id"])


def decided(shop: Shop, dispute: str, status: str, **body: object) -> None:
    shop.psp.control(f"disputes/{dispute}/close", status=status, **body)
    hear(shop)


def hear(shop: Shop) -> None:
    shop.notify()
    shop.work()
    shop.pass_time(timedelta(seconds=5))
    shop.work()


def money(shop: Shop) -> dict[str, int]:
    """Return what is not zero of the seller's wallets and of the accounts of exchange."""
    found = {
        f"{part}:{currency}": getattr(shop.wallet(0, currency), part)
        for currency in ("USD", "EUR")
        for part in ("pending", "available", "reserved", "in_transit", "debt")
    }
    names = ("fx:clearing:USD", "fx:clearing:EUR", "fees:fx:EUR", "rounding:EUR")
    found |= {name: shop.balances().get(name, 0) for name in names}
    return {name: amount for name, amount in found.items() if amount}


EXCHANGED = {"available:EUR": 7_128, "fx:clearing:USD": -9_000, "fx:clearing:EUR": 7_200, "fees:fx:EUR": -72}


def test_a_dispute_takes_the_sellers_share_back_at_the_rate_of_the_sale(abroad: Shop) -> None:
    order = exchanged(abroad)
    assert money(abroad) == EXCHANGED
    publish_rates("2.50", days=1)
    dispute = disputed(abroad, order)
    hear(abroad)
    part = DisputePart.objects.get()
    assert (part.available_minor, part.debt_minor, part.changed_back_minor) == (9_000, 0, 9_000)
    assert money(abroad) == {"reserved:USD": 9_000}
    sound(abroad)
    decided(abroad, dispute, "lost")
    assert money(abroad) == {}, "neither the seller nor the platform keeps anything of the sale"
    sound(abroad)


def test_a_dispute_that_is_won_is_changed_again_at_the_rate_of_the_sale(abroad: Shop) -> None:
    order = exchanged(abroad)
    dispute = disputed(abroad, order)
    hear(abroad)
    publish_rates("2.50", days=1)
    decided(abroad, dispute, "won")
    assert money(abroad) == EXCHANGED
    quote = Quote.objects.get()
    assert (quote.undone_minor, quote.undone_received_minor, quote.undone_margin_minor) == (0, 0, 0)
    assert DisputePart.objects.get().changed_back_minor == 0
    kinds = [kind for kind, reference in abroad.journals() if ":dsp_" in reference]
    assert kinds == ["unconvert", "open_dispute", "win_dispute", "reconvert"]
    sound(abroad)


def test_a_seller_who_was_paid_out_owes_in_its_own_currency(abroad: Shop) -> None:
    order = exchanged(abroad)
    assert abroad.empty_wallet() == 7_128
    dispute = disputed(abroad, order)
    hear(abroad)
    assert money(abroad) == {"reserved:USD": 9_000, "debt:EUR": 7_128}
    decided(abroad, dispute, "lost")
    assert money(abroad) == {"debt:EUR": 7_128}
    sound(abroad)


def test_a_debt_is_netted_when_the_dispute_is_won(abroad: Shop) -> None:
    order = exchanged(abroad)
    abroad.empty_wallet()
    dispute = disputed(abroad, order)
    hear(abroad)
    decided(abroad, dispute, "won")
    assert money(abroad) == {name: amount for name, amount in EXCHANGED.items() if name != "available:EUR"}
    sound(abroad)


def test_what_comes_back_in_two_steps_is_changed_again_in_two(abroad: Shop) -> None:
    order = exchanged(abroad)
    dispute = disputed(abroad, order)
    hear(abroad)
    decided(abroad, dispute, "won", returned=4_000)
    quote = Quote.objects.get()
    assert quote.undone_minor == 9_000 - 3_600
    assert abroad.wallet(0).available == 7_128 - quote.undone_received_minor
    sound(abroad)
    abroad.psp.control(f"disputes/{dispute}/reinstate", amount=6_000)
    hear(abroad)
    assert money(abroad) == EXCHANGED
    assert Dispute.objects.get().regained_minor == 6_000
    sound(abroad)


def test_refunds_and_disputes_of_one_order_together_undo_exactly_the_conversion(abroad: Shop) -> None:
    order = exchanged(abroad, 3_333)
    refund(order, 1_111)
    abroad.work()
    for amount in (1_000, 1_222):
        dispute = disputed(abroad, order, amount=amount, again=True)
        hear(abroad)
        decided(abroad, dispute, "lost")
    assert money(abroad) == {}
    quote = Quote.objects.get()
    assert (quote.undone_minor, quote.undone_received_minor) == (quote.amount_minor, quote.received_minor)
    sound(abroad)


def test_a_dispute_that_is_heard_of_when_it_is_won_leaves_the_conversion_as_it_was(abroad: Shop) -> None:
    order = exchanged(abroad)
    dispute = disputed(abroad, order)
    decided(abroad, dispute, "won")
    assert money(abroad) == EXCHANGED
    assert Dispute.objects.get().status == "won"
    sound(abroad)


def test_a_dispute_before_the_conversion_is_taken_in_the_orders_currency(abroad: Shop) -> None:
    publish_rates("1.25")
    (order,) = paid(abroad, 10_000, currency="USD")
    disputed(abroad, order, amount=4_000)
    hear(abroad)
    assert DisputePart.objects.get().changed_back_minor == 0
    deliver(order)
    convert()
    assert money(abroad)["reserved:USD"] == 3_600
    assert Quote.objects.get().amount_minor == 5_400
    sound(abroad)


def test_a_refund_that_fails_is_changed_again_at_the_rate_of_the_sale(abroad: Shop) -> None:
    publish_rates("1.25")
    (order,) = paid(abroad, 10_000, currency="USD", token="pm_card_pendingRefund")
    deliver(order)
    convert()
    made = refund(order, 5_000)
    abroad.work()
    assert (fresh(made).changed_back_minor, abroad.wallet(0).available) == (4_000, 3_960)
    publish_rates("2.50", days=1)
    abroad.psp.control(f"refunds/{fresh(made).psp_id}/fail")
    hear(abroad)
    assert (fresh(made).status, fresh(made).changed_back_minor) == ("failed", 0)
    assert money(abroad) == EXCHANGED
    sound(abroad)
