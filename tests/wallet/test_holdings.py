"""What is taken from a seller comes from the same order's pending money, then from what is available, then debt."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from config import seam
from ledger import invariants
from ledger.errors import FloorBroken
from tests.factories import NOW, BookFactory
from tests.ledger.desk import Desk, at_once
from wallet import holdings, movements
from wallet.holdings import Holding
from wallet.movements import Heading, Share

AMOUNTS = st.integers(0, 10**12)


@given(amount=AMOUNTS, order=AMOUNTS, others=AMOUNTS, available=AMOUNTS, debt=AMOUNTS)
def test_what_is_taken_never_touches_other_orders_and_never_overdraws(
    amount: int, order: int, others: int, available: int, debt: int
) -> None:
    held = Holding(order + others, available, 0, 0, debt)
    share = held.take(amount, pending_of_order=order)
    assert share.total == amount
    assert share.pending == min(amount, order)
    assert share.debt == max(0, amount - order - available)
    assert (held.pending, held.available) == (order + others - share.pending, available - share.available)
    assert held.debt == debt + share.debt
    assert held.pending >= others
    assert held.available >= 0


@given(amount=AMOUNTS, debt=AMOUNTS, share=st.floats(0, 1))
def test_what_is_given_nets_debt_before_it_is_available(amount: int, debt: int, share: float) -> None:
    to_pending = int(amount * share)
    held = Holding(0, 0, 0, 0, debt)
    given_back = held.give(amount, to_pending=to_pending)
    assert given_back.total == amount
    assert given_back.debt == min(amount - to_pending, debt)
    assert (held.pending, held.available, held.debt) == (to_pending, given_back.available, debt - given_back.debt)


@pytest.mark.django_db
def test_holdings_are_what_the_books_say_and_cost_two_statements() -> None:
    book = BookFactory.create()
    sellers = [seam.new_uuid() for _ in range(3)]
    sales = [
        movements.settle_charge(
            Heading(book.pk, str(n), "EUR", NOW, "tests"), psp_account="stripe", seller=seller, captured=1000 * n, fee=n
        )
        for n, seller in enumerate(sellers, 1)
    ]
    movements.record(sales, now=NOW)
    owners = [(book.pk, seller, "EUR") for seller in sellers]
    with CaptureQueriesContext(connection) as queries:
        held = holdings.lock(owners)
    assert len(queries) <= 2
    assert [held[owner].pending for owner in owners] == [999, 1998, 2997]
    assert {held[owner].available for owner in owners} == {0}
    assert holdings.lock([]) == {}


def test_two_who_take_at_once_never_take_the_same_money(committed_db: object) -> None:
    book_id = Desk.open().book.pk
    seller = seam.new_uuid()

    def heading(subject: str) -> Heading:
        return Heading(book_id, subject, "EUR", NOW, "tests")

    with transaction.atomic():
        sale = movements.settle_charge(heading("o1"), psp_account="stripe", seller=seller, captured=1000, fee=0)
        movements.record([sale], now=NOW)
        movements.record([movements.release(heading("o1"), seller=seller, amount=1000, debt=0)], now=NOW)

    def refund(number: int) -> None:
        with transaction.atomic():
            owner = (book_id, seller, "EUR")
            share = holdings.lock([owner])[owner].take(300, pending_of_order=0)
            taken = movements.request_refund(heading(f"r{number}"), seller=seller, share=share, fee=0)
            movements.record([taken], now=NOW)

    assert at_once(*(lambda number=number: refund(number) for number in range(6))) == [None] * 6
    owner = (book_id, seller, "EUR")
    with transaction.atomic():
        held = holdings.lock([owner])[owner]
    assert (held.pending, held.available, held.debt) == (0, 0, 800)
    assert invariants.violations() == []


@pytest.mark.django_db
def test_a_plan_that_does_not_fit_the_books_is_refused_by_them() -> None:
    book = BookFactory.create()
    taken = movements.request_refund(
        Heading(book.pk, "r1", "EUR", NOW, "tests"), seller=seam.new_uuid(), share=Share(available=1), fee=0
    )
    with pytest.raises(FloorBroken), transaction.atomic():
        movements.record([taken], now=NOW)
