"""What a seller owes is told debt by debt; what was netted counts for the oldest, and each debt has its age."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config import seam
from tests.factories import NOW, BookFactory
from wallet import debts, movements
from wallet.debts import Debt
from wallet.models import Wallet
from wallet.movements import Heading, Share

pytestmark = pytest.mark.django_db


def heading(book: int, subject: str, currency: str = "EUR") -> Heading:
    return Heading(book, subject, currency, NOW, "tests")


def owe(book: int, seller: UUID, subject: str, amount: int, currency: str = "EUR") -> None:
    """Refund something that the seller does not have any more."""
    share = Share(debt=amount)
    movements.record([movements.request_refund(heading(book, subject, currency), seller=seller, share=share, fee=0)],
                     now=NOW)  # fmt: skip


def net(book: int, seller: UUID, subject: str, amount: int) -> None:
    """Sell something, and let its release net a debt."""
    own = heading(book, subject)
    sale = movements.settle_charge(own, psp_account="stripe", seller=seller, captured=amount, fee=0)
    movements.record([sale, movements.release(own, seller=seller, amount=amount, debt=amount)], now=NOW)


def owed(book: int) -> list[tuple[str, int, int]]:
    wallets = list(Wallet.objects.filter(book_id=book).order_by("pk"))
    return [(debt.subject, debt.owed, debt.of) for debt in debts.of_wallets(wallets)]


def test_what_was_netted_counts_for_the_oldest_debt() -> None:
    book, seller = BookFactory.create().pk, seam.new_uuid()
    for subject, amount in (("r1", 500), ("r2", 300), ("r3", 200)):
        owe(book, seller, subject, amount)
    assert owed(book) == [("r1", 500, 500), ("r2", 300, 300), ("r3", 200, 200)]
    net(book, seller, "o1", 499)
    assert owed(book) == [("r1", 1, 500), ("r2", 300, 300), ("r3", 200, 200)]
    net(book, seller, "o2", 151)
    assert owed(book) == [("r2", 150, 300), ("r3", 200, 200)]
    net(book, seller, "o3", 350)
    assert owed(book) == []
    owe(book, seller, "r4", 7)
    assert owed(book) == [("r4", 7, 7)]


def test_each_wallet_has_its_own_debts_and_the_kind_says_why() -> None:
    book, seller = BookFactory.create().pk, seam.new_uuid()
    owe(book, seller, "r1", 500)
    owe(book, seller, "r2", 900, "JPY")
    wallets = list(Wallet.objects.filter(book_id=book).order_by("currency_id"))
    with CaptureQueriesContext(connection) as queries:
        found = debts.of_wallets(wallets)
    assert len(queries) == 1
    assert [(debt.wallet.currency_id, debt.kind, debt.owed) for debt in found] == [
        ("EUR", "request_refund", 500),
        ("JPY", "request_refund", 900),
    ]
    assert debts.of_wallets([]) == []


@pytest.mark.parametrize(
    ("days", "age"),
    [(0, "0-30"), (30, "0-30"), (31, "31-60"), (60, "31-60"), (61, "61-90"), (90, "61-90"), (91, "over 90")],
)
def test_a_debt_is_as_old_as_its_posting(days: int, age: str) -> None:
    debt = Debt(Wallet(), "open_dispute", "dsp_1:1", seam.new_uuid(), NOW - timedelta(days=days, hours=3), 1, 1)
    assert (debt.days(NOW), debt.age(NOW)) == (days, age)
