"""Money is exact: what is read is what is written, what is split adds up, and nothing else counts as an amount."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MoneyError
from ledger.models import Currency
from ledger.money import EXPONENTS, MAX_INTEGER_DIGITS, Money, allocate, exponent_of, format_minor

BY_EXPONENT = {0: "JPY", 2: "EUR", 3: "KWD", 4: "CLF"}
currencies = st.sampled_from(sorted(EXPONENTS))
weights = st.lists(st.integers(0, 10**12), min_size=1, max_size=40)


@pytest.mark.parametrize(("exponent", "currency"), BY_EXPONENT.items())
def test_the_number_of_decimals_is_the_currencys(exponent: int, currency: str) -> None:
    assert exponent_of(currency) == exponent
    text = "1" if exponent == 0 else f"0.{'0' * (exponent - 1)}1" if exponent > 1 else "0.1"
    assert Money.parse(text, currency).minor == 1
    assert Money.parse("1999", currency).minor == 1999 * 10**exponent


@given(currency=currencies, minor=st.integers(1, 10**MAX_INTEGER_DIGITS - 1))
def test_what_is_written_is_read_back(currency: str, minor: int) -> None:
    money = Money(minor, currency)
    assert Money.parse(str(money), currency) == money
    assert Decimal(str(money)) * 10 ** exponent_of(currency) == minor


@given(currency=currencies, minor=st.integers(-(10**18), 10**18))
def test_balances_below_zero_are_written_with_a_sign(currency: str, minor: int) -> None:
    written = format_minor(minor, currency)
    assert Decimal(written) * 10 ** exponent_of(currency) == minor
    assert written.startswith("-") == (minor < 0)


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("19.99", 1999),
        ("19.9", 1990),
        ("19", 1900),
        ("0.01", 1),
        ("999999999999.99", 99_999_999_999_999),
    ],
)
def test_missing_decimals_are_zeros(text: str, minor: int) -> None:
    assert Money.parse(text, "EUR").minor == minor


BAD = [
    "",
    " ",
    "0",
    "0.00",
    "00.01",
    "007",
    "-1",
    "+1",
    "-0.01",
    "1e2",
    "1E2",
    "1e-2",
    "0x10",
    "1_000",
    "1,000.00",
    "1.000,00",
    ".5",
    "5.",
    ".",
    "1.999",
    "1.2.3",
    "NaN",
    "nan",
    "Infinity",
    "-inf",
    "null",
    "None",
    "true",
    "€5",
    "5 EUR",
    " 1",
    "1 ",
    "1\n",
    "\t1",
    "1\x00",
    "1000000000000",  # 13 integer digits
    "1000000000000.00",
    "9" * 400,
    "\u0661",  # ARABIC-INDIC DIGIT ONE
    "1\u0669",
    "\uff11",  # FULLWIDTH DIGIT ONE
    "\u0967.50",  # DEVANAGARI DIGIT ONE
    "1\u200b",
    "1\u00b2",
    "\u221e",
    "\u2212\u0031",  # MINUS SIGN
]


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(MoneyError):
        Money.parse(text, "EUR")


@pytest.mark.parametrize("value", [1, 1.5, 0.1, True, None, b"1.00", Decimal("1.00"), ["1.00"], {"amount": "1"}])
def test_an_amount_is_a_string_and_nothing_else(value: Any) -> None:
    with pytest.raises(MoneyError):
        Money.parse(value, "EUR")


@pytest.mark.parametrize(
    ("currency", "text"), [("JPY", "1.0"), ("JPY", "1.5"), ("EUR", "1.001"), ("KWD", "1.0001"), ("CLF", "1.00001")]
)
def test_more_decimals_than_the_currency_has_are_refused(currency: str, text: str) -> None:
    with pytest.raises(MoneyError, match="decimals"):
        Money.parse(text, currency)


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "XXX", "XAU", "BTC", "E\u0055R ", "\u0415UR"])
def test_an_unknown_currency_is_refused(currency: str) -> None:
    with pytest.raises(MoneyError):
        Money.parse("1.00", currency)


@given(text=st.text(max_size=20), currency=currencies)
def test_no_text_is_read_as_something_that_it_does_not_say(text: str, currency: str) -> None:
    try:
        money = Money.parse(text, currency)
    except MoneyError:
        return
    assert text.isascii()
    assert money.minor > 0
    assert Decimal(text) * 10 ** exponent_of(currency) == money.minor


@given(total=st.integers(0, 10**15), shares=weights)
def test_the_parts_are_exactly_the_whole_and_none_is_negative(total: int, shares: list[int]) -> None:
    parts = allocate(total, shares)
    assert len(parts) == len(shares)
    assert sum(parts) == total
    assert min(parts) >= 0


@given(total=st.integers(0, 10**15), shares=weights)
def test_a_part_is_within_one_unit_of_its_exact_share(total: int, shares: list[int]) -> None:
    scale = sum(shares)
    if scale == 0:
        assert allocate(total, shares) == [total, *[0] * (len(shares) - 1)]
        return
    for part, weight in zip(allocate(total, shares), shares, strict=True):
        assert abs(part * scale - total * weight) < scale
        assert weight > 0 or part == 0


@given(total=st.integers(0, 10**12), weight=st.integers(1, 10**6), count=st.integers(1, 50))
def test_equals_get_the_same_up_to_one_unit_and_the_first_get_more(total: int, weight: int, count: int) -> None:
    parts = allocate(total, [weight] * count)
    assert max(parts) - min(parts) <= 1
    assert parts == sorted(parts, reverse=True)


@given(total=st.integers(0, 10**12), shares=weights)
def test_a_bigger_weight_never_gets_less(total: int, shares: list[int]) -> None:
    parts = allocate(total, shares)
    ranked = sorted(zip(shares, parts, strict=True), key=lambda pair: pair[0])
    for (low, less), (high, more) in pairwise(ranked):
        assert low == high or less <= more


@pytest.mark.parametrize(("total", "shares"), [(-1, [1]), (1, []), (1, [1, -1])])
def test_an_allocation_without_sense_is_refused(total: int, shares: list[int]) -> None:
    with pytest.raises(MoneyError):
        allocate(total, shares)


def test_money_allocates_and_adds_in_its_own_currency_only() -> None:
    assert [part.minor for part in Money(100, "EUR").allocate([1, 1, 1])] == [34, 33, 33]
    assert Money(1, "EUR") + Money(2, "EUR") == Money(3, "EUR")
    with pytest.raises(MoneyError):
        Money(1, "EUR") + Money(1, "USD")


def test_money_cannot_be_ordered_or_changed() -> None:
    with pytest.raises(TypeError):
        sorted([Money(1, "EUR"), Money(2, "USD")])  # type: ignore[type-var]
    with pytest.raises(AttributeError):
        Money(1, "EUR").minor = 2  # type: ignore[misc]


@pytest.mark.django_db
def test_the_database_knows_the_same_currencies() -> None:
    assert dict(Currency.objects.values_list("code", "exponent")) == EXPONENTS
