"""Account numbers: IBANs that pass their check, and a few that are made to fail."""

from __future__ import annotations

import secrets
from typing import Final

BIC: Final = "SANDDEFFXXX"
BANK_CODE: Final = "99999999"
# A transfer to an account that ends like this is refused at once, or comes back later. Those of the PSP are the same.
REFUSED: Final = {"1009": "AC01"}
RETURNED: Final = {"1116": "AC04", "3001": "AC06"}


def check_digits(country: str, rest: str) -> str:
    """Answer the two digits behind the country (ISO 7064, mod 97-10)."""
    return f"{98 - _remainder(rest + country + '00'):02}"


def is_iban(number: str) -> bool:
    """Say whether a number has the form of an IBAN and passes its check."""
    plain = number.isascii() and number.isalnum() and number[:2].isalpha() and number[2:4].isdigit()
    return plain and 15 <= len(number) <= 34 and _remainder(number[4:] + number[:4]) == 1


def new_iban() -> str:
    """Answer an IBAN of this bank that nobody has."""
    rest = BANK_CODE + f"{secrets.randbelow(10**10):010}"
    return f"DE{check_digits('DE', rest)}{rest}"


def _remainder(text: str) -> int:
    return int("".join(str(int(character, 36)) for character in text.upper())) % 97
