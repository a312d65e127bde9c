"""Finds card numbers, so that none is ever stored or logged.

A card number is 13 to 19 digits with a prefix and length that a card scheme uses and a correct check digit (ISO/IEC
7812, Luhn). Digits may be spread over groups, be written in another script, or sit inside a URL or a nested document.
Ids that merchants choose (`checkout_id`, `reference`, `external_id`) and our own are exempt: one number in ten passes
the check digit by chance. An IBAN is exempt for the same reason; what is not one is refused by its own check.
"""

import re
import unicodedata
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from payments.errors import Invalid

EXEMPT: Final = frozenset({"checkout_id", "reference", "external_id", "seller", "iban"})
_OUR_ID = re.compile(r"[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}")
# What machines draw at random, UUIDs and long hex digests, holds digits that pass by chance: they are no card numbers.
_RANDOM = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?<![0-9a-z])(?=[0-9]*[a-f])[0-9a-f]{32,128}(?![0-9a-z])",
    re.IGNORECASE,
)
_SHORTEST, _LONGEST = 13, 19
_SEPARATOR = "[\\s\\-._/,:\u00ad\u00b7\u200b-\u200f\u2010-\u2015\u2060\ufeff]{0,2}"
_RUN = re.compile(rf"\d(?:{_SEPARATOR}\d){{{_SHORTEST - 1},}}")
_GROUP = re.compile(r"\d+")


def refuse(text: str) -> None:
    """Raise `Invalid` when a text holds a card number."""
    if contains_card_number(text):
        raise Invalid("card_number_not_accepted", "the request holds a card number; nothing was stored")


def refuse_address(path: str, query: str) -> None:
    """Raise `Invalid` when an address holds a card number outside of what names an id of the merchant's."""
    if "/sellers/" not in path:
        refuse(path)
    for name, value in parse_qsl(query, keep_blank_values=True):
        refuse(name)
        if name not in EXEMPT:
            refuse(value)


def contains_card_number(text: str) -> bool:
    """Say whether a text holds a card number, also when it is encoded for a URL."""
    if len(text) < _SHORTEST or _OUR_ID.fullmatch(text):
        return False
    return _found_in(text) or ("%" in text and _found_in(unquote_plus(text)))


def _found_in(text: str) -> bool:
    runs = _RUN.finditer(_RANDOM.sub("x", text))
    return any(_holds_card(_GROUP.findall(run.group())) for run in runs)


def _holds_card(groups: list[str]) -> bool:
    """Try every window of whole groups: `4242 4242 4242 4242 12/27` has a card number in its first four."""
    for start in range(len(groups)):
        digits = ""
        for group in groups[start:]:
            digits += group
            if len(digits) > _LONGEST:
                break
            if len(digits) >= _SHORTEST and _is_card_number(digits):
                return True
    return False


def _is_card_number(digits: str) -> bool:
    plain = "".join(str(unicodedata.digit(digit)) for digit in digits)
    return len(plain) in _lengths(plain) and _luhn(plain)


def _lengths(digits: str) -> range | tuple[int, ...]:
    """Return the lengths that the scheme of a prefix uses; none when no scheme has it."""
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    if digits[0] == "4":  # Visa
        return (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:  # Mastercard
        return (16,)
    if two in (34, 37):  # American Express
        return (15,)
    if two in (36, 38, 39) or 300 <= three <= 305:  # Diners Club
        return range(14, 20)
    if 3528 <= four <= 3589 or four in (2131, 1800):  # JCB
        return range(15, 20)
    if four == 6011 or two == 65 or 644 <= three <= 649:  # Discover
        return range(16, 20)
    if two in (62, 81, 82, 60):  # UnionPay, RuPay
        return range(16, 20)
    if 2200 <= four <= 2204:  # Mir
        return range(16, 20)
    if two in (50, 56, 57, 58, 63, 67, 68, 69):  # Maestro and national schemes
        return range(13, 20)
    return ()


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
