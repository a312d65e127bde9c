"""The close of a year: result to `retained` in each currency, by maker and checker; the next year opens with zero."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from ledger import balances, invariants, periods
from ledger.accounts import AccountSpec
from ledger.errors import PeriodClosed, ReferenceConflict
from ledger.models import Side, Transaction, TransactionKind
from tests.database import Clone
from tests.factories import BookFactory
from tests.ledger.desk import digests
from wallet import chart, movements, proposals, year_end
from wallet.closing import year_end as end_of
from wallet.errors import ProposalOutdated, YearNotClosable
from wallet.models import Proposal
from wallet.movements import Movement

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MAKER, CHECKER = "user:mia", "user:carl"
IN_2024, IN_2025 = datetime(2024, 7, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
D, C = Side.DEBIT, Side.CREDIT
INSTANT = timedelta(microseconds=1)


def record(
    book: int, reference: str, at: datetime, *lines: tuple[Side, AccountSpec, int], actor: str = "tests"
) -> None:
    made = Movement(TransactionKind.SETTLE_CHARGE, reference, lines, at, actor)
    with transaction.atomic():
        movements.record([made], now=NOW)


def earn(book: int, reference: str, at: datetime, amount: int, currency: str = "EUR", *, actor: str = "tests") -> None:
    clearing, fees = chart.psp_clearing(book, "stripe", currency), chart.platform_fees(book, currency)
    record(book, reference, at, (D, clearing, amount), (C, fees, amount), actor=actor)


def lose(book: int, reference: str, at: datetime, amount: int, currency: str = "EUR") -> None:
    clearing, cost = chart.psp_clearing(book, "stripe", currency), chart.write_off(book, currency)
    record(book, reference, at, (D, cost, amount), (C, clearing, amount))


def soft_close(book: int, year: int, *may_post: str) -> int:
    ends_at = datetime(year + 1, 1, 1, tzinfo=UTC)
    return periods.soft_close(book, ends_at=ends_at, may_post=may_post or [CHECKER], actor="x", now=NOW)


def finish(period: int) -> dict[str, tuple[int, int, int]]:
    """Close for good and return the stored trial balance."""
    periods.begin_close(period, actor="x", now=NOW)
    ends = time.monotonic() + 20
    while not periods.finish_close(period, actor="x", now=NOW):
        assert time.monotonic() < ends
    return {row.code: (row.opening, row.movement, row.closing) for row in periods.balances(period)}


def close(book: int, year: int) -> list[str]:
    """Propose and approve the close of a year; return the references."""
    made = year_end.propose(book, year, maker=MAKER, now=NOW)
    for row, created in made:
        assert created
        proposals.approve(row.pk, checker=CHECKER, now=NOW)
    return [str(row) for row, _ in made]


def at(book: int, code: str, when: datetime) -> int:
    account = balances.of_codes(book, [code])[code].account_id
    return balances.at(account, at=when, basis="effective")


@pytest.fixture
def book(db: None) -> int:
    """Give a book with a profit of 700 EUR cents, a loss of 50 USD cents and nothing in yen in 2024."""
    return tell(BookFactory.create().pk)


def tell(book: int) -> int:
    earn(book, "e1", IN_2024, 1000)
    lose(book, "e2", IN_2024, 300)
    earn(book, "u1", IN_2024, 100, "USD")
    lose(book, "u2", IN_2024, 150, "USD")
    earn(book, "j1", IN_2024, 5, "JPY")
    lose(book, "j2", IN_2024, 5, "JPY")
    clearing = chart.psp_clearing(book, "stripe", "EUR")
    record(book, "fx", IN_2024, (D, clearing, 77), (C, chart.fx_clearing(book, "EUR"), 77))
    return book


def test_profit_and_loss_go_to_retained_in_their_currency_on_the_last_instant(book: int) -> None:
    soft_close(book, 2024)
    before = digests(connection)["ledger_entry"]
    made = [row for row, _ in year_end.propose(book, 2024, maker=MAKER, now=NOW)]
    assert digests(connection)["ledger_entry"] == before
    shown = {row.reference: [(leg["account"], leg["side"], leg["amount"]) for leg in row.legs] for row in made}
    assert shown == {
        "2024:EUR": [("fees:platform:EUR", "D", 1000), ("write_off:EUR", "C", 300), ("retained:EUR", "C", 700)],
        "2024:USD": [("fees:platform:USD", "D", 100), ("write_off:USD", "C", 150), ("retained:USD", "D", 50)],
        "2024:JPY": [("fees:platform:JPY", "D", 5), ("write_off:JPY", "C", 5)],
    }
    for row in made:
        proposals.approve(row.pk, checker=CHECKER, now=NOW)
    last = datetime(2025, 1, 1, tzinfo=UTC) - INSTANT
    assert set(Transaction.objects.filter(kind="year_end_close").values_list("reference", "effective_at")) == {
        (f"year_end_close:2024:{currency}", last) for currency in ("EUR", "USD", "JPY")
    }
    for currency in ("EUR", "USD", "JPY"):
        for code in (f"fees:platform:{currency}", f"write_off:{currency}"):
            assert (at(book, code, last), at(book, code, NOW)) == (0, 0)
    assert at(book, "fees:platform:EUR", last - INSTANT) == 1000
    assert (at(book, "retained:EUR", last), at(book, "retained:USD", last)) == (700, -50)
    assert (at(book, "fx:clearing:EUR", NOW), at(book, "psp:stripe:clearing:EUR", NOW)) == (77, 777)
    assert invariants.violations() == []


def test_proposing_twice_makes_nothing_new_and_what_is_closed_needs_nothing(book: int) -> None:
    soft_close(book, 2024)
    first = year_end.propose(book, 2024, maker=MAKER, now=NOW)
    again = year_end.propose(book, 2024, maker="user:other", now=NOW)
    assert again == [(row, False) for row, _ in first]
    for row, _ in first:
        proposals.approve(row.pk, checker=CHECKER, now=NOW)
    before = digests(connection)
    assert year_end.propose(book, 2024, maker=MAKER, now=NOW) == []
    assert digests(connection) == before


def test_a_year_that_changed_since_it_was_proposed_is_proposed_anew(book: int) -> None:
    soft_close(book, 2024)
    eur = year_end.propose(book, 2024, maker=MAKER, now=NOW)[0][0]
    assert eur.reference == "2024:EUR"
    earn(book, "late", IN_2024, 11, actor=CHECKER)
    before = digests(connection)
    with pytest.raises(ProposalOutdated):
        proposals.approve(eur.pk, checker=CHECKER, now=NOW)
    with pytest.raises(ReferenceConflict):
        year_end.propose(book, 2024, maker=MAKER, now=NOW)
    assert digests(connection) == before
    assert Proposal.objects.get(pk=eur.pk).state == "awaiting_approval"
    proposals.reject(eur.pk, checker=CHECKER, now=NOW)
    fresh = year_end.propose(book, 2024, maker=MAKER, now=NOW)[0][0]
    proposals.approve(fresh.pk, checker=CHECKER, now=NOW)
    assert at(book, "retained:EUR", NOW) == 711


def test_what_comes_after_the_close_and_before_the_hard_close_is_a_supplement(book: int) -> None:
    soft_close(book, 2024)
    close(book, 2024)
    earn(book, "late", IN_2024, 11, actor=CHECKER)
    assert close(book, 2024) == ["year_end_close:2024:EUR:2"]
    assert (at(book, "fees:platform:EUR", NOW), at(book, "retained:EUR", NOW)) == (0, 711)


def test_only_a_softly_closed_year_is_closed(book: int) -> None:
    before = digests(connection)
    with pytest.raises(YearNotClosable, match="not over"):
        year_end.propose(book, 2026, maker=MAKER, now=NOW)
    with pytest.raises(YearNotClosable, match="softly first"):
        year_end.propose(book, 2024, maker=MAKER, now=NOW)
    periods.soft_close(book, ends_at=datetime(2024, 12, 1, tzinfo=UTC), may_post=[CHECKER], actor="x", now=NOW)
    with pytest.raises(YearNotClosable, match="softly first"):
        year_end.propose(book, 2024, maker=MAKER, now=NOW)
    assert {**digests(connection), "ledger_book": ""} == {**before, "ledger_book": ""}
    assert not Proposal.objects.exists()


def test_a_checker_whom_the_year_does_not_name_cannot_approve(book: int) -> None:
    soft_close(book, 2024, "user:finance")
    row = year_end.propose(book, 2024, maker=MAKER, now=NOW)[0][0]
    before = digests(connection)
    with pytest.raises(PeriodClosed):
        proposals.approve(row.pk, checker=CHECKER, now=NOW)
    assert digests(connection) == before
    assert proposals.approve(row.pk, checker="user:finance", now=NOW).state == "approved"


def test_the_last_instant_of_a_year_is_the_microsecond_before_the_next() -> None:
    assert end_of(2024) == datetime(2024, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


def test_two_years_are_closed_and_a_late_fact_lands_in_the_open_one(committed_db: Clone) -> None:
    book = tell(BookFactory.create().pk)
    first = soft_close(book, 2024)
    assert len(close(book, 2024)) == 3
    stored = finish(first)
    assert stored["retained:EUR"] == (0, -700, -700)
    assert "fees:platform:EUR" not in stored

    earn(book, "2025", IN_2025, 60)
    second = soft_close(book, 2025)
    assert close(book, 2025) == ["year_end_close:2025:EUR"]
    stored = finish(second)
    assert stored["retained:EUR"] == (-700, -60, -760)
    assert stored["retained:USD"] == (50, 0, 50)
    assert not [code for code in stored if code.startswith(("fees:", "write_off:"))]
    with pytest.raises(YearNotClosable, match="for good"):
        year_end.propose(book, 2024, maker=MAKER, now=NOW)

    effective_at, occurred_at = periods.landing(book, IN_2024)
    assert (effective_at, occurred_at) == (datetime(2026, 1, 1, tzinfo=UTC), IN_2024)
    earn(book, "very late", effective_at, 9)
    assert at(book, "fees:platform:EUR", NOW) == 9
    assert at(book, "fees:platform:EUR", end_of(2025)) == 0
    assert {row.code: row.closing for row in periods.balances(second)}["retained:EUR"] == -760
    assert invariants.violations() == []
