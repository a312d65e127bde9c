"""A conversion follows its quote to the cent, once, before it expires; undone in parts it adds up to the whole."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from config import seam
from ledger import balances, invariants
from ledger.models import Transaction
from tests.ledger.desk import Desk, at_once, digests
from tests.wallet.test_rates import DAILY, NOW
from wallet import conversions, holdings, movements, rates
from wallet.conversions import MarginPolicy, Terms
from wallet.errors import InsufficientAvailable, QuoteExpired, TooLittle
from wallet.holdings import Holding
from wallet.models import Quote
from wallet.movements import Heading, Share
from wallet.rates import CrossRate, EcbFile, RateError


@pytest.fixture
def seller(committed_db: object) -> tuple[int, UUID]:
    """Give a seller with 100.00 EUR available, and rates of the day."""
    book_id, seller = Desk.open().book.pk, seam.new_uuid()
    heading = Heading(book_id, "o1", "EUR", NOW, "tests")
    with transaction.atomic():
        rates.load(EcbFile(DAILY), now=NOW)
        sale = movements.settle_charge(heading, psp_account="stripe", seller=seller, captured=10_000, fee=0)
        movements.record([sale, movements.release(heading, seller=seller, amount=10_000, debt=0)], now=NOW)
    return book_id, seller


def held(owner: tuple[int, UUID], currency: str) -> Holding:
    with transaction.atomic():
        key = (*owner, currency)
        return holdings.lock([key])[key]


def terms(owner: tuple[int, UUID], amount: int = 10_000, **changes: object) -> Terms:
    values: dict[str, object] = {"currency": "EUR", "to_currency": "USD", "margin_basis_points": 100, **changes}
    return Terms(owner[0], owner[1], amount=amount, **values)  # type: ignore[arg-type]


def test_a_quote_is_evidence_and_its_execution_follows_it(seller: tuple[int, UUID]) -> None:
    row = conversions.quote(terms(seller), now=NOW)
    assert (row.mid_minor, row.received_minor, row.margin_minor, row.rounding_minor) == (10_850, 10_742, 108, 0)
    assert Fraction(int(row.rate_numerator), int(row.rate_denominator)) == Fraction("1.085")
    assert (row.source, str(row.observed_on)) == ("ecb", "2026-11-20")
    conversions.execute(row.pk, now=NOW, actor="tests")
    assert (held(seller, "EUR").available, held(seller, "USD").available) == (0, 10_742)
    found = {row.code: row.balance for row in balances.trial_balance(seller[0])}
    assert (found["fx:clearing:EUR"], found["fx:clearing:USD"], found["fees:fx:USD"]) == (10_000, -10_850, 108)
    assert invariants.violations() == []


def test_what_the_seller_owes_in_the_other_currency_is_netted_first(seller: tuple[int, UUID]) -> None:
    heading = Heading(seller[0], "r1", "USD", NOW, "tests")
    with transaction.atomic():
        movements.record([movements.request_refund(heading, seller=seller[1], share=Share(debt=742), fee=0)], now=NOW)
    conversions.execute(conversions.quote(terms(seller), now=NOW).pk, now=NOW, actor="tests")
    dollars = held(seller, "USD")
    assert (dollars.available, dollars.debt) == (10_000, 0)
    assert invariants.violations() == []


def test_a_quote_is_executed_once_however_many_try(seller: tuple[int, UUID]) -> None:
    row = conversions.quote(terms(seller, 4_000), now=NOW)

    def try_it() -> None:
        conversions.execute(row.pk, now=NOW, actor="tests")

    outcomes = at_once(*[try_it] * 4)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", *["QuoteUsed"] * 3]
    assert held(seller, "EUR").available == 6_000
    assert Transaction.objects.filter(kind="convert").count() == 1


def test_what_cannot_be_converted_changes_nothing(seller: tuple[int, UUID]) -> None:
    late = conversions.quote(terms(seller), now=NOW)
    more = conversions.quote(terms(seller, 10_001), now=NOW)
    before = digests(connection)
    with pytest.raises(QuoteExpired):
        conversions.execute(late.pk, now=NOW + conversions.VALID_FOR + timedelta(seconds=1), actor="tests")
    with pytest.raises(InsufficientAvailable):
        conversions.execute(more.pk, now=NOW, actor="tests")
    with pytest.raises(TooLittle):
        conversions.quote(terms(seller, 1, currency="JPY", to_currency="EUR", margin_basis_points=2000), now=NOW)
    with pytest.raises(RateError):
        conversions.quote(terms(seller, to_currency="KWD"), now=NOW)
    assert digests(connection) == before
    assert not Quote.objects.filter(executed_at__isnull=False).exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wallet_quote SET received_minor = received_minor + 1, margin_minor = margin_minor - 1",
        "UPDATE wallet_quote SET expires_at = expires_at + interval '1 day'",
        "DELETE FROM wallet_quote",
        "UPDATE wallet_exchangerate SET value = value * 2",
        "DELETE FROM wallet_exchangerate",
    ],
)
def test_the_runtime_role_cannot_change_the_evidence(seller: tuple[int, UUID], statement: str) -> None:
    conversions.quote(terms(seller), now=NOW)
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def plan(amount: int, rate: Fraction, basis_points: int) -> Quote | None:
    """Return an executed quote that is not stored; none where nothing would arrive."""
    crossed = CrossRate("EUR", "USD", rate, "ecb", NOW.date())
    try:
        figures = conversions.figures(Terms(1, UUID(int=1), "EUR", "USD", amount, basis_points), crossed)
    except TooLittle:
        return None
    undone = dict.fromkeys(conversions.UNDONE, 0)
    return Quote(**figures, **undone, quoted_at=NOW, expires_at=NOW, executed_at=NOW)


RATES = st.fractions(min_value=Fraction(1, 10_000), max_value=10_000)


@given(amount=st.integers(1, 10**12), rate=RATES, basis_points=st.integers(0, 2000))
def test_the_figures_of_a_quote_are_within_half_a_cent_of_exact(amount: int, rate: Fraction, basis_points: int) -> None:
    row = plan(amount, rate, basis_points)
    if row is None:
        return
    exact = amount * rate
    assert row.mid_minor == row.received_minor + row.margin_minor + row.rounding_minor
    assert row.rounding_minor in (-1, 0, 1)
    assert abs(row.mid_minor - exact) <= Fraction(1, 2)
    assert abs(row.margin_minor - exact * basis_points / 10_000) <= Fraction(1, 2)


@given(
    amount=st.integers(1, 10**9),
    rate=RATES,
    basis_points=st.integers(0, 2000),
    cuts=st.lists(st.floats(0, 1), max_size=5),
    policy=st.sampled_from(["keep", "return"]),
)
def test_a_conversion_undone_in_parts_is_undone_exactly(
    amount: int, rate: Fraction, basis_points: int, cuts: list[float], policy: MarginPolicy
) -> None:
    row = plan(amount, rate, basis_points)
    if row is None:
        return
    received, margin, mid = row.received_minor, row.margin_minor, row.mid_minor
    sold, bought = Holding(0, 0, 0, 0, 0), Holding(0, received, 0, 0, 0)
    points = sorted({int(cut * amount) for cut in cuts} | {0, amount})
    totals: dict[str, int] = {}
    for start, end in pairwise(points):
        undone = conversions.undo(
            row, end - start, sold=sold, bought=bought, margin=policy, subject=str(end), now=NOW, actor="tests"
        )
        sums: dict[str, int] = {}
        for side, spec, value in undone.lines:
            assert value > 0
            signed = value if side == "D" else -value
            sums[spec.currency] = sums.get(spec.currency, 0) + signed
            totals[spec.code.rpartition(":")[0]] = totals.get(spec.code.rpartition(":")[0], 0) + signed
        assert set(sums.values()) <= {0}
    assert sold.available == amount
    assert (row.undone_minor, row.undone_received_minor, row.undone_margin_minor) == (amount, received, margin)
    assert row.undone_rounding_minor == row.rounding_minor
    assert bought.available - bought.debt == (-margin if policy == "keep" else 0)
    assert totals.get("fees:fx", 0) == (0 if policy == "keep" else margin)
    assert totals["fx:clearing"] == amount - mid


def test_a_refund_at_the_old_rate_becomes_debt_where_the_money_has_left(seller: tuple[int, UUID]) -> None:
    row = conversions.execute(conversions.quote(terms(seller), now=NOW).pk, now=NOW, actor="tests")
    with transaction.atomic():
        keys = [(*seller, "EUR"), (*seller, "USD")]
        wallets = holdings.lock(keys)
        gone = movements.reserve_payout(Heading(seller[0], "p1", "USD", NOW, "t"), seller=seller[1], amount=10_000)
        wallets[keys[1]].available -= 10_000
        undone = conversions.undo(
            row,
            5_000,
            sold=wallets[keys[0]],
            bought=wallets[keys[1]],
            margin="return",
            subject="rfd_1",
            now=NOW,
            actor="tests",
        )
        row.save(update_fields=conversions.UNDONE)
        movements.record([gone, undone], now=NOW)
    dollars = held(seller, "USD")
    assert held(seller, "EUR").available == 5_000
    assert (dollars.available, dollars.debt) == (0, 5_371 - 742)
    assert invariants.violations() == []
