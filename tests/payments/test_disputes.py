"""A buyer's bank takes money back: what the PSP says of a dispute is booked once, whatever the order of the news."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ledger.ids import public_id
from payments.models import Charge, Dispute, OutboxMessage, PaymentEvent
from tests.shop import Shop

PARTS = ("pending", "available", "reserved", "in_transit", "debt")


def disputed(shop: Shop, event: PaymentEvent, **body: Any) -> str:
    """Let the buyer's bank open a dispute at the PSP; return the PSP's id of it."""
    charge = Charge.objects.filter(event=event).order_by("id").first()
    assert charge is not None
    return str(shop.psp.control("disputes", payment_intent=charge.psp_id, **body)["id"])


def hear(shop: Shop, *, times: int = 1) -> None:
    """Deliver what the PSP has to tell and work it off."""
    shop.notify(times=times)
    shop.work()
    shop.pass_time(timedelta(seconds=5))
    shop.work()


def wallet(shop: Shop, seller: int = 0, currency: str = "EUR") -> dict[str, int]:
    """Return what a seller has, by account; accounts that hold nothing are left out."""
    name, balances = public_id("sel", shop.sellers[seller].public_id), shop.balances()
    found = {part: -balances.get(f"seller:{name}:{part}:{currency}", 0) for part in PARTS}
    return {part: abs(amount) for part, amount in found.items() if amount}


def platform(shop: Shop, currency: str = "EUR") -> dict[str, int]:
    """Return the platform's own accounts, income above zero and expense below; zeros are left out."""
    names = ("fees:platform", "fees:dispute", "chargeback:loss")
    balances = shop.balances()
    return {name: -amount for name in names if (amount := balances.get(f"{name}:{currency}", 0))}


def held(shop: Shop, currency: str = "EUR") -> int:
    """Return what the PSP holds."""
    return shop.balances().get(f"psp:{shop.tenant.psp_account.code}:dispute_held:{currency}", 0)


def published(event: PaymentEvent) -> list[str]:
    """Return the types of the facts about disputes of a payment."""
    rows = OutboxMessage.objects.filter(subject_kind="payment", subject_id=event.pk, type__startswith="dispute.")
    return list(rows.order_by("id").values_list("type", flat=True))


@pytest.fixture
def paid(shop: Shop) -> PaymentEvent:
    """Give a paid checkout of two sellers: 20.00 with a fee of 2.00, and 5.00 with a fee of 0.50."""
    event = shop.buy(2000, 500)
    shop.settle_down()
    return event


def test_a_dispute_holds_the_money_and_reserves_what_is_the_sellers(shop: Shop, paid: PaymentEvent) -> None:
    disputed(shop, paid)
    hear(shop)
    (dispute,) = Dispute.objects.all()
    assert (dispute.status, dispute.reason, dispute.amount_minor) == ("needs_response", "fraudulent", 2500)
    assert (dispute.taken_minor, dispute.cost_minor, dispute.held_minor) == (2500, 2000, 2500)
    assert dispute.evidence_due_at is not None
    assert [(part.amount_minor, part.fee_minor, part.pending_minor) for part in dispute.parts.order_by("position")] == [
        (2000, 200, 1800),
        (500, 50, 450),
    ]
    assert held(shop) == 2500
    assert wallet(shop) == {"reserved": 1800}
    assert wallet(shop, 1) == {"reserved": 450}
    assert platform(shop) == {"fees:platform": 250, "fees:dispute": -2000}
    assert [(order.disputed_minor, order.pending_minor) for order in shop.orders(paid)] == [(2000, 0), (500, 0)]
    assert published(paid) == ["dispute.opened"]
    shop.check()


def test_a_dispute_that_is_won_gives_everybody_back_what_was_taken(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="won")
    hear(shop)
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.returned_minor, dispute.held_minor, dispute.due_at) == ("won", 2500, 0, None)
    assert held(shop) == 0
    assert (wallet(shop), wallet(shop, 1)) == ({"pending": 1800}, {"pending": 450})
    # The sandbox keeps its charge for the dispute.
    assert platform(shop) == {"fees:platform": 250, "fees:dispute": -2000}
    assert [(order.disputed_minor, order.pending_minor) for order in shop.orders(paid)] == [(0, 1800), (0, 450)]
    assert published(paid) == ["dispute.opened", "dispute.won"]
    shop.check()


def test_a_dispute_that_is_lost_takes_the_sellers_share_and_the_platforms_fee(shop: Shop, paid: PaymentEvent) -> None:
    psp_id = disputed(shop, paid)
    hear(shop)
    shop.psp.control(f"disputes/{psp_id}/close", status="lost")
    hear(shop)
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.lost_minor, dispute.held_minor) == ("lost", 2500, 0)
    assert held(shop) == 0
    assert (wallet(shop), wallet(shop, 1)) == ({}, {})
    assert platform(shop) == {"fees:dispute": -2000}
    assert [order.disputed_minor for order in shop.orders(paid)] == [2000, 500]
    assert published(paid) == ["dispute.opened", "dispute.lost"]
    shop.check()
