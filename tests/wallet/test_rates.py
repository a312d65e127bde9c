"""Rates are exact, of one source and one day, never stale, and a bad file changes nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import EXPONENTS
from wallet import rates
from wallet.models import ExchangeRate
from wallet.rates import CrossRate, EcbFile, RateError

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
DAILY = b"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
                 xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
  <gesmes:subject>Reference rates</gesmes:subject>
  <Cube><Cube time="2026-11-20">
    <Cube currency="USD" rate="1.0850"/><Cube currency="JPY" rate="163.21"/><Cube currency="GBP" rate="0.83450"/>
    <Cube currency="XYZ" rate="12.3"/>
  </Cube><Cube time="2026-11-19"><Cube currency="USD" rate="1.0800"/></Cube></Cube>
</gesmes:Envelope>"""
TABLE = b"Date, USD, JPY, HRK, \n2026-11-20, 1.0850, 163.21, N/A, \n19 November 2026, 1.0800, 162.00, N/A, \n"


@pytest.mark.django_db
@pytest.mark.parametrize(("content", "count"), [(DAILY, 4), (TABLE, 4)])
def test_a_file_is_loaded_once(content: bytes, count: int) -> None:
    assert rates.load(EcbFile(content), now=NOW) == count
    assert rates.load(EcbFile(content), now=NOW) == 0
    stored = ExchangeRate.objects.get(currency_id="USD", observed_on=date(2026, 11, 20))
    assert (stored.source, stored.base_id, stored.value) == ("ecb", "EUR", Decimal("1.0850"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "starts with Date"),
        (b"Date, USD\n", "no rate in the file"),
        (b"Date, USD\n2026-11-20, 1.08\n2026-11-20, 1.09\n", "stored as 1.08"),
        (b"Date, USD\n2026-11-20, 0\n", "not above zero"),
        (b"Date, USD\n2026-11-20, -1.08\n", "not a plain decimal"),
        (b"Date, USD\n2026-11-20, 1e3\n", "not a plain decimal"),
        (b"Date, USD\n2026-11-20, NaN\n", "not a plain decimal"),
        (b"Date, USD\nyesterday, 1.08\n", "not a date"),
        (b"Date, USD\n2026-12-20, 1.08\n", "in the future"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"<a><b></a>", "not XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x/>', "document type"),
        (b"<x/>", "no rate in the file"),
        (b"x" * (rates.MAX_BYTES + 1), "larger than"),
    ],
)
def test_a_bad_file_is_refused_whole(content: bytes, words: str) -> None:
    with pytest.raises(RateError, match=words):
        rates.load(EcbFile(content), now=NOW)
    assert not ExchangeRate.objects.exists()


@pytest.mark.django_db
def test_a_rate_that_was_published_is_never_changed() -> None:
    rates.load(EcbFile(DAILY), now=NOW)
    with pytest.raises(RateError, match=r"stored as 1\.085"):
        rates.load(EcbFile(b"Date, GBP, USD\n2026-11-18, 0.83, 1.07\n2026-11-20, 0.8345, 1.0851\n"), now=NOW)
    assert ExchangeRate.objects.count() == 4


@pytest.mark.django_db
def test_a_cross_rate_is_an_exact_fraction_of_one_day() -> None:
    rates.load(EcbFile(DAILY), now=NOW)
    assert rates.current("EUR", "USD", now=NOW).value == Fraction("1.085")
    assert rates.current("USD", "EUR", now=NOW).value == 1 / Fraction("1.085")
    crossed = rates.current("USD", "JPY", now=NOW)
    assert crossed.value == Fraction("163.21") / Fraction("1.085")
    assert (crossed.source, crossed.observed_on) == ("ecb", date(2026, 11, 20))
    # 100.00 USD are 15042.396... yen: a yen has no decimals.
    assert round(crossed.minor(10_000)) == 15_042


@pytest.mark.django_db
def test_a_rate_of_another_day_is_not_crossed_with() -> None:
    rates.load(EcbFile(b"Date, USD, GBP\n2026-11-20, 1.0850, N/A\n2026-11-19, 1.08, 0.83\n"), now=NOW)
    with pytest.raises(RateError, match="no rate between"):
        rates.current("USD", "GBP", now=NOW)


@pytest.mark.django_db
def test_a_stale_or_missing_rate_is_no_rate() -> None:
    with pytest.raises(RateError, match="no rate between"):
        rates.current("EUR", "USD", now=NOW)
    rates.load(EcbFile(DAILY), now=NOW)
    assert rates.current("EUR", "USD", now=NOW + rates.STALE_AFTER)
    with pytest.raises(RateError, match="is of 2026-11-20"):
        rates.current("EUR", "USD", now=NOW + rates.STALE_AFTER + timedelta(days=1))
    with pytest.raises(RateError, match="no rate between"):
        rates.current("EUR", "KWD", now=NOW)


@given(amount=st.integers(1, 10**14), codes=st.tuples(*[st.sampled_from(sorted(EXPONENTS))] * 2))
def test_there_and_back_is_exact_for_every_pair_of_exponents(amount: int, codes: tuple[str, str]) -> None:
    there = CrossRate(codes[0], codes[1], Fraction(7, 3), "ecb", NOW.date())
    back = CrossRate(codes[1], codes[0], Fraction(3, 7), "ecb", NOW.date())
    worth = there.minor(amount)
    assert back.minor(1) * worth == amount


@pytest.mark.django_db
def test_the_command_loads_a_file_and_says_what_is_wrong_with_another(tmp_path: Path) -> None:
    good, bad = tmp_path / "rates.xml", tmp_path / "bad.csv"
    # The command asks the clock: the file is of a day that is always past.
    good.write_bytes(DAILY.replace(b"2026-11-20", b"2020-11-20").replace(b"2026-11-19", b"2020-11-19"))
    bad.write_bytes(b"Date, USD\n2020-11-20, one\n")
    out = StringIO()
    call_command("load_rates", str(good), stdout=out)
    assert out.getvalue() == "4 new rates.\n"
    for path, words in ((bad, "not a plain decimal"), (tmp_path / "none", "No such file")):
        with pytest.raises(CommandError, match=words):
            call_command("load_rates", str(path))
    assert ExchangeRate.objects.count() == 4
