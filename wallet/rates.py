"""Exchange rates: where they come from, and what they say. A rate is evidence: stored with its source and date.

A source publishes, per day, how many units of each currency one unit of its base buys (European Central Bank: 1 EUR).
Cross rates are exact fractions of two published figures of one source and day; nothing here is a float. Nothing here
reaches for a network: a file is given to `load`, and `RateSource` is what another provider implements.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Protocol
from xml.etree import ElementTree as ET

from ledger.money import EXPONENTS
from wallet.models import ExchangeRate

MAX_BYTES = 10_000_000
MAX_RATES = 500_000
# Central banks publish on working days: a rate of Maundy Thursday serves until the Tuesday after Easter.
STALE_AFTER = timedelta(days=5)
_PLAIN = re.compile(r"[0-9]{1,12}(\.[0-9]{1,10})?", re.ASCII)


class RateError(ValueError):
    """A file that is not what it should be, or a rate that is not known. Nothing was changed."""

    code = "rate_unavailable"


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of `base` was worth on a day, in units of `currency`."""

    base: str
    currency: str
    observed_on: date
    value: Decimal


class RateSource(Protocol):
    """A provider of rates. `name` is stored with each rate."""

    name: str

    def read(self) -> Iterable[Rate]:
        """Yield the rates that it knows. Raises `RateError`."""
        ...


class EcbFile:
    """A reference rate file of the European Central Bank: `eurofxref-daily.xml`, `-hist.xml`, or the same as CSV."""

    name = "ecb"

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> Iterator[Rate]:
        """Yield what one euro was worth, day by day; currencies that ISO 4217 no longer knows are left out."""
        if len(self._content) > MAX_BYTES:
            raise RateError(f"the file is larger than {MAX_BYTES} bytes")
        try:
            text = self._content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise RateError("the file is not UTF-8") from None
        rows = _xml_rows(text) if text.lstrip().startswith("<") else _csv_rows(text)
        for day, currency, value in rows:
            if currency in EXPONENTS:
                yield Rate("EUR", currency, day, _value(value, f"{currency} on {day}"))


def _xml_rows(text: str) -> Iterator[tuple[date, str, str]]:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise RateError("a rate file declares no document type")
    try:
        root = ET.fromstring(text)  # noqa: S314 - no DTD, no entities (above), and a limited size
    except ET.ParseError as error:
        raise RateError(f"the file is not XML: {error}") from None
    for day in root.iter():
        if "time" in day.attrib:
            observed_on = _day(day.attrib["time"])
            for row in day:
                yield observed_on, row.attrib.get("currency", ""), row.attrib.get("rate", "")


def _csv_rows(text: str) -> Iterator[tuple[date, str, str]]:
    reader = csv.reader(io.StringIO(text), skipinitialspace=True)
    head = [name.strip() for name in next(reader, [])]
    if not head or head[0] != "Date":
        raise RateError("the first line of a CSV of rates starts with Date")
    for row in reader:
        if not row or not row[0].strip():
            continue
        observed_on = _day(row[0].strip())
        for currency, value in zip(head[1:], row[1:], strict=False):
            if value.strip() not in ("", "N/A"):
                yield observed_on, currency, value.strip()


def _day(text: str) -> date:
    for form in ("%Y-%m-%d", "%d %B %Y"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    raise RateError(f"{text!r} is not a date")


def _value(text: str, what: str) -> Decimal:
    if _PLAIN.fullmatch(text) is None:
        raise RateError(f"the rate of {what} is {text!r}, not a plain decimal number")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise RateError(f"the rate of {what} is {text!r}") from None
    if value <= 0:
        raise RateError(f"the rate of {what} is not above zero")
    return value


def load(source: RateSource, *, now: datetime) -> int:
    """Store the rates of a source, all or none; return how many are new. Loading the same again changes nothing.

    Raises `RateError` for a bad rate, a day in the future, or a rate that differs from the one stored for its day.
    """
    rates = []
    for rate in source.read():
        if rate.observed_on > now.date() + timedelta(days=1):
            raise RateError(f"a rate of {rate.observed_on} lies in the future")
        rates.append(rate)
        if len(rates) > MAX_RATES:
            raise RateError(f"more than {MAX_RATES} rates in one file")
    if not rates:
        raise RateError("there is no rate in the file")
    known = {
        (row.currency_id, row.observed_on): row.value
        for row in ExchangeRate.objects.filter(
            source=source.name,
            observed_on__gte=min(rate.observed_on for rate in rates),
            observed_on__lte=max(rate.observed_on for rate in rates),
        )
    }
    new: dict[tuple[str, date], Rate] = {}
    for rate in rates:
        key = (rate.currency, rate.observed_on)
        stored = known.get(key, new[key].value if key in new else None)
        if stored is None:
            new[key] = rate
        elif stored != rate.value:
            raise RateError(f"the rate of {rate.currency} on {rate.observed_on} is stored as {stored.normalize():f}")
    ExchangeRate.objects.bulk_create(
        (
            ExchangeRate(
                source=source.name,
                base_id=rate.base,
                currency_id=rate.currency,
                observed_on=rate.observed_on,
                value=rate.value,
                loaded_at=now,
            )
            for rate in new.values()
        ),
        batch_size=1000,
    )
    return len(new)


@dataclass(frozen=True, slots=True)
class CrossRate:
    """How many units of `to_currency` one unit of `from_currency` is worth, and who said so for which day."""

    from_currency: str
    to_currency: str
    value: Fraction
    source: str
    observed_on: date

    def minor(self, amount: int) -> Fraction:
        """Return the exact worth of `amount` minor units, in minor units of the other currency."""
        decimals = EXPONENTS[self.to_currency] - EXPONENTS[self.from_currency]
        return amount * self.value * Fraction(10) ** decimals


def current(from_currency: str, to_currency: str, *, now: datetime, source: str = EcbFile.name) -> CrossRate:
    """Return the latest rate between two currencies, of one source and one day.

    Raises `RateError` when a currency has no rate, or the latest is older than `STALE_AFTER`.
    """
    assert from_currency != to_currency, "a currency has no rate to itself"
    # Uses index: exchange_rate_is_one_per_source_currency_and_day.
    newest = list(
        ExchangeRate.objects.filter(
            source=source, currency_id__in=(from_currency, to_currency), observed_on__lte=now.date()
        ).order_by("-observed_on")[:2]
    )
    rows = [row for row in newest if row.observed_on == newest[0].observed_on]
    worth = {row.base_id: Fraction(1) for row in rows} | {row.currency_id: Fraction(row.value) for row in rows}
    if not {from_currency, to_currency} <= worth.keys():
        raise RateError(f"{source} has no rate between {from_currency} and {to_currency}")
    observed_on = rows[0].observed_on
    if now.date() - observed_on > STALE_AFTER:
        raise RateError(f"the latest rate of {source} between {from_currency} and {to_currency} is of {observed_on}")
    return CrossRate(from_currency, to_currency, worth[to_currency] / worth[from_currency], source, observed_on)
