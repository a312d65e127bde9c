"""Money: an integer of minor units and a currency. Pure Python; never a float, no cent lost in rounding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import MoneyError

# ISO 4217 (amendment 179): the active codes by number of decimals.
_BY_EXPONENT: Final = {
    0: """
        BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF
    """,
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY
        COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
        IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR
        MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG
        SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES
        WST XCD XCG YER ZAR ZMW ZWG
    """,
    3: """
        BHD IQD JOD KWD LYD OMR TND
    """,
    4: """
        CLF UYW
    """,
}
EXPONENTS: Final[dict[str, int]] = {
    code: exponent for exponent, codes in _BY_EXPONENT.items() for code in codes.split()
}

# 12 integer digits keep every amount, and sums of many, far below the bigint limit even with 4 decimals.
MAX_INTEGER_DIGITS: Final = 12
_DECIMAL = re.compile(rf"(0|[1-9][0-9]{{0,{MAX_INTEGER_DIGITS - 1}}})(?:\.([0-9]+))?", re.ASCII)


def exponent_of(currency: str) -> int:
    """Return the number of decimals of an ISO 4217 currency. Raises `MoneyError` for an unknown code."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise MoneyError(f"{currency!r} is not an ISO 4217 currency") from None


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An exact amount in minor units of one currency. Adding two currencies is a programming error."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read a positive decimal string of major units ("19.99" EUR, "1999" JPY).

        Raises `MoneyError` for anything else: sign, exponent, too many decimals, zero, other digits than 0-9.
        """
        exponent = exponent_of(currency)
        if not isinstance(text, str):
            raise MoneyError('must be a decimal string in major units, for example "19.99"')
        match = _DECIMAL.fullmatch(text)
        if match is None:
            raise MoneyError(
                f'must be a decimal string of up to {MAX_INTEGER_DIGITS} integer digits, for example "19.99"'
            )
        fraction = match[2] or ""
        if len(fraction) > exponent:
            raise MoneyError(f"{currency} has {exponent} decimals, not {len(fraction)}")
        minor = int(match[1]) * 10**exponent + int(fraction.ljust(exponent, "0") or "0")
        if minor == 0:
            raise MoneyError("must be greater than zero")
        return cls(minor, currency)

    def __str__(self) -> str:
        return format_minor(self.minor, self.currency)

    def __add__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise MoneyError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.minor + other.minor, self.currency)

    def allocate(self, weights: Sequence[int]) -> list[Money]:
        """Split by weights with the largest remainder method; the parts always sum to the whole."""
        return [Money(part, self.currency) for part in allocate(self.minor, weights)]


def format_minor(minor: int, currency: str) -> str:
    """Write minor units as the decimal string of the API ("1999", "EUR" -> "19.99")."""
    exponent = exponent_of(currency)
    sign, digits = ("-", -minor) if minor < 0 else ("", minor)
    if exponent == 0:
        return f"{sign}{digits}"
    whole, fraction = divmod(digits, 10**exponent)
    return f"{sign}{whole}.{fraction:0{exponent}d}"


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Split an integer in proportion to non-negative weights by largest remainder.

    Deterministic: equal remainders go to the earlier part. All weights zero: the first part gets all.
    """
    if not weights or any(weight < 0 for weight in weights) or total < 0:
        raise MoneyError("allocation needs a total >= 0 and at least one weight, none negative")
    scale = sum(weights)
    if scale == 0:
        return [total, *([0] * (len(weights) - 1))]
    parts = [total * weight // scale for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % scale), i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts
