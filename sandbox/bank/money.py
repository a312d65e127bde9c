"""How the bank writes amounts: minor units in its books, major units in what it sends and receives."""

from __future__ import annotations

from typing import Final

WITHOUT_DECIMALS: Final = frozenset({"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"})
WITH_THREE: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def decimals(currency: str) -> int:
    """Answer how many decimals a currency has."""
    return 0 if currency in WITHOUT_DECIMALS else 3 if currency in WITH_THREE else 2


def written(minor: int, currency: str, mark: str = ".") -> str:
    """Write an amount without its sign."""
    digits = decimals(currency)
    whole, rest = divmod(abs(minor), 10**digits)
    return f"{whole}{mark}{rest:0{digits}}" if digits else str(whole)


def read(text: str, currency: str) -> int:
    """Read an amount of major units. Raises `ValueError` for anything else."""
    whole, _, rest = text.partition(".")
    digits = decimals(currency)
    if not whole.isdecimal() or not text.isascii() or len(whole) > 15 or (rest and not rest.isdecimal()):
        raise ValueError(f"{text[:30]!r} is no amount")
    if len(rest.rstrip("0")) > digits:
        raise ValueError(f"{currency} has {digits} decimals")
    return int(whole + rest[:digits].ljust(digits, "0"))
