"""Debts of sellers by age: what is paid back pays the oldest first, and every part is in one of four ages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config import seam
from ledger.models import Book, Side
from tests.factories import BookFactory
from wallet import debt_ages, holdings, movements
from wallet.movements import Heading, Share

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
D, C = Side.DEBIT, Side.CREDIT


@pytest.fixture
def book(db: None) -> Book:
    """Give a book."""
    return BookFactory.create()


def owe(book: Book, seller: UUID, amount: int, *, days_ago: int, currency: str = "EUR") -> None:
    """Let a seller owe: it is to bear a refund of an order of which it has nothing left."""
    at = NOW - timedelta(days=days_ago)
    heading = Heading(book.pk, str(seam.new_uuid()), currency, at, "tests")
    movements.record([movements.request_refund(heading, seller=seller, share=Share(0, 0, amount), fee=0)], now=at)


def pay_back(book: Book, seller: UUID, amount: int, *, currency: str = "EUR") -> None:
    """Let a release of exactly what is paid back be netted."""
    name = str(seam.new_uuid())
    heading = Heading(book.pk, name, currency, NOW, "tests")
    sale = movements.settle_charge(heading, psp_account="stripe", seller=seller, captured=amount, fee=0)
    movements.record([sale, movements.release(heading, seller=seller, amount=amount, debt=amount)], now=NOW)


def test_each_part_has_its_age_and_the_ages_sum_to_the_debt(book: Book) -> None:
    seller = seam.new_uuid()
    for amount, days in ((600_000, 400), (50_000, 91), (4_000, 61), (300, 31), (20, 30), (1, 0)):
        owe(book, seller, amount, days_ago=days)
    (debt,) = debt_ages.of_book(book.pk, now=NOW)
    assert (debt.seller, debt.currency, debt.amount) == (seller, "EUR", 654_321)
    assert debt.by_age == [21, 300, 4_000, 650_000]
    assert debt.oldest_at == NOW - timedelta(days=400)


def test_what_is_paid_back_pays_the_oldest_debt_first(book: Book) -> None:
    seller = seam.new_uuid()
    owe(book, seller, 1_000, days_ago=100)
    owe(book, seller, 500, days_ago=45)
    owe(book, seller, 70, days_ago=1)
    pay_back(book, seller, 1_200)
    (debt,) = debt_ages.of_book(book.pk, now=NOW)
    assert (debt.amount, debt.by_age) == (370, [70, 300, 0, 0])
    assert debt.oldest_at == NOW - timedelta(days=45)
    pay_back(book, seller, 370)
    assert debt_ages.of_book(book.pk, now=NOW) == []
    assert holdings.lock([(book.pk, seller, "EUR")])[book.pk, seller, "EUR"].debt == 0


def test_the_largest_debts_of_a_book_come_first_and_nobody_elses(book: Book) -> None:
    ann, bob = seam.new_uuid(), seam.new_uuid()
    owe(book, ann, 100, days_ago=5)
    owe(book, bob, 900, days_ago=70)
    owe(book, bob, 50, days_ago=2, currency="JPY")
    owe(BookFactory.create(), ann, 7_000, days_ago=1)
    found = debt_ages.of_book(book.pk, now=NOW)
    assert [(one.seller, one.currency, one.amount) for one in found] == [
        (bob, "EUR", 900),
        (ann, "EUR", 100),
        (bob, "JPY", 50),
    ]
    assert [one.by_age for one in found] == [[0, 0, 900, 0], [100, 0, 0, 0], [50, 0, 0, 0]]


def test_of_a_debt_of_very_many_entries_the_rest_is_as_old_as_the_oldest_that_is_looked_at(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    seller = seam.new_uuid()
    for days in (200, 150, 40, 3):
        owe(book, seller, 10, days_ago=days)
    monkeypatch.setattr(debt_ages, "LOTS", 2)
    (debt,) = debt_ages.of_book(book.pk, now=NOW)
    assert (debt.amount, debt.by_age) == (40, [10, 30, 0, 0])


def test_it_costs_one_statement_however_many_owe(book: Book) -> None:
    for _ in range(5):
        owe(book, seam.new_uuid(), 10, days_ago=1)
    with CaptureQueriesContext(connection) as queries:
        assert len(debt_ages.of_book(book.pk, now=NOW)) == 5
    assert len(queries) == 1
