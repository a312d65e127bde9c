"""Amounts as people and files write them. Exponents stand here again: nothing of the mappers may be believed."""

from __future__ import annotations

from typing import Final

EXPONENTS: Final = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}


def major(minor: int, currency: str, point: str = ".", *, places: int | None = None) -> str:
    """Write minor units as major units: -1050 EUR is `-10.50`, 7 JPY is `7`; `places` asks for more of them."""
    exponent = EXPONENTS[currency]
    sign, digits = "-" if minor < 0 else "", str(abs(minor)).rjust(exponent + 1, "0")
    whole, part = (digits[:-exponent], digits[-exponent:]) if exponent else (digits, "")
    if places is not None:
        part = part.ljust(places, "0")
    return f"{sign}{whole}{point}{part}" if part else f"{sign}{whole}"
