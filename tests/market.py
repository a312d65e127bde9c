"""A marketplace whose sellers have money to be paid out: verbs for tests of payouts, on top of `tests.shop`."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from config import seam
from ledger.ids import public_id
from payments import bank_accounts, destinations, payouts
from payments.models import PaymentOrder, Payout, PayoutDestination, Seller
from payments.payouts import PayoutRequest
from tests.shop import Shop
from wallet import movements
from wallet.movements import Heading

GOOD_IBAN = "DE89370400440532013000"
# The sandbox's bank gives back what is paid to an account that ends like this, after it was paid.
BOUNCING_IBAN = "DE62370400440532013001"
REFUSED_IBAN = "DE11370400440532011009"
ACTOR = "key:tests"


class Market:
    """Sells, releases and pays out."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.seller = shop.sellers[0]

    def verified(self, seller: Seller | None = None, *, iban: str = GOOD_IBAN, currency: str = "EUR") -> Seller:
        """Give a seller a verified identity and a bank account."""
        row = seller or self.seller
        Seller.objects.filter(pk=row.pk).update(kyc_status=Seller.Kyc.VERIFIED)
        self.destination(row, iban=iban, currency=currency)
        row.refresh_from_db()
        return row

    def destination(self, seller: Seller, *, iban: str = GOOD_IBAN, currency: str = "EUR") -> PayoutDestination:
        """Give a seller a bank account."""
        account = bank_accounts.iban(iban, "Ann Example")
        return destinations.put(seller, account, currency=currency, actor=ACTOR, now=seam.now())

    def earn(self, *amounts: int, release: bool = True, **changes: Any) -> list[PaymentOrder]:
        """Sell one order after the other to the first seller, with money that the PSP has at once."""
        orders = []
        for amount in amounts:
            event = self.shop.buy(amount, **{"token": "pm_card_bypassPending", **changes})
            self.shop.work()
            orders += self.shop.orders(event)
        if release:
            self.release(*orders)
        return orders

    def release(self, *orders: PaymentOrder) -> None:
        """Make what is pending of orders available."""
        now = seam.now()
        with transaction.atomic():
            found = []
            for order in orders:
                row = PaymentOrder.objects.select_related("seller").get(pk=order.pk)
                heading = Heading(row.book_id, public_id("ord", row.public_id), row.currency_id, now, "tests")
                found.append(movements.release(heading, seller=row.seller.public_id, amount=row.pending_minor, debt=0))
                PaymentOrder.objects.filter(pk=row.pk).update(pending_minor=0, released_at=now, release_due_at=None)
            movements.record(found, now=now)

    def ask(self, amount: int | None, *, seller: Seller | None = None, actor: str = ACTOR, **more: Any) -> Payout:
        """Ask for a payout."""
        row = seller or self.seller
        wanted = PayoutRequest(row.pk, more.pop("currency", "EUR"), amount, more.pop("reference", None))
        return payouts.request(row.book_id, wanted, actor=actor, now=seam.now())

    def arrive(self, seconds: float = 200_000) -> None:
        """Let the PSP's payouts arrive (or bounce), look at them, and do what follows."""
        self.shop.psp.advance(seconds)
        self.look()

    def bank_says(self, payout: Payout, status: str, *, work: bool = True) -> None:
        """Let the PSP's payout go where the bank says, and tell us of it."""
        payout.refresh_from_db()
        self.shop.psp.control(f"payouts/{payout.psp_id}/advance", status=status)
        Payout.objects.filter(pk=payout.pk).update(due_at=seam.now(), tries=0)
        if work:
            self.shop.work()

    def look(self) -> None:
        """Look at every payout that is at the PSP, as after a notification."""
        payouts_at_psp = Payout.objects.filter(book=self.shop.tenant.book, status__in=["sent", "paid"])
        payouts_at_psp.update(due_at=seam.now(), tries=0)
        self.shop.work()

    def movements(self, payout: Payout) -> list[str]:
        """Return the verbs that were booked about a payout, in order."""
        name = public_id("pyo", payout.public_id)
        return [kind for kind, reference in self.shop.journals() if reference.endswith(name)]

    def wallet(self, seller: Seller | None = None, currency: str = "EUR") -> dict[str, int]:
        """Return what a seller has, by part, in minor units."""
        name = public_id("sel", (seller or self.seller).public_id)
        sums = self.shop.balances()
        parts = ("pending", "available", "reserved", "in_transit", "debt")
        return {part: -sums.get(f"seller:{name}:{part}:{currency}", 0) for part in parts}

    def connected(self, currency: str = "EUR") -> int:
        """Return what our books say is on connected accounts."""
        return self.shop.balances().get(f"psp:{self.shop.tenant.psp_account.code}:connected:{currency}", 0)

    def at_connected_accounts(self, currency: str = "eur") -> int:
        """Return what the PSP says is on connected accounts."""
        held = self.shop.books()["connected"]
        return sum(sum(amounts.get(currency, {}).values()) for amounts in held.values())


@pytest.fixture
def market(shop: Shop) -> Market:
    """Give a marketplace whose first seller may be paid out."""
    place = Market(shop)
    place.verified()
    return place
