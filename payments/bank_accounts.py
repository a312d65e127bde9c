"""Bank account numbers: is it one, and what of it may be shown. Pure Python; nothing here is stored or logged.

An IBAN is checked as ISO 13616 says: country, length and form of its parts, and the check digits (ISO 7064, MOD 97-10).
The forms are those of the registry that SWIFT publishes. The libraries that know them come with LGPL code or with lists
of banks that are out of date soon; that a bank does not exist is told by the PSP when the payee is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

# After country and check digits: n digits, a capital letters, c both. SWIFT IBAN registry.
_FORMS: Final = {
    "AD": "8n12c", "AE": "19n", "AL": "8n16c", "AT": "16n", "AZ": "4a20c", "BA": "16n", "BE": "12n", "BG": "4a6n8c",
    "BH": "4a14c", "BR": "23n1a1c", "BY": "4c4n16c", "CH": "5n12c", "CR": "18n", "CY": "8n16c", "CZ": "20n",
    "DE": "18n", "DK": "14n", "DO": "4c20n", "EE": "16n", "EG": "25n", "ES": "20n", "FI": "14n", "FO": "14n",
    "FR": "10n11c2n", "GB": "4a14n", "GE": "2a16n", "GI": "4a15c", "GL": "14n", "GR": "7n16c", "GT": "24c",
    "HR": "17n", "HU": "24n", "IE": "4a14n", "IL": "19n", "IQ": "4a15n", "IS": "22n", "IT": "1a10n12c",
    "JO": "4a4n18c", "KW": "4a22c", "KZ": "3n13c", "LB": "4n20c", "LC": "4a24c", "LI": "5n12c", "LT": "16n",
    "LU": "3n13c", "LV": "4a13c", "LY": "21n", "MC": "10n11c2n", "MD": "20c", "ME": "18n", "MK": "3n10c2n",
    "MR": "23n", "MT": "4a5n18c", "MU": "4a19n3a", "NL": "4a10n", "NO": "11n", "PK": "4a16c", "PL": "24n",
    "PS": "4a21c", "PT": "21n", "QA": "4a21c", "RO": "4a16c", "RS": "18n", "SA": "2n18c", "SC": "4a20n3a",
    "SE": "20n", "SI": "15n", "SK": "20n", "SM": "1a10n12c", "ST": "21n", "SV": "4a20n", "TL": "19n", "TN": "20n",
    "TR": "6n16c", "UA": "6n19c", "VA": "18n", "VG": "4a16n", "XK": "16n",
}  # fmt: skip
_CLASSES: Final = {"n": "[0-9]", "a": "[A-Z]", "c": "[0-9A-Z]"}
_IBANS: Final = {
    country: re.compile(
        country
        + "[0-9]{2}"
        + "".join(f"{_CLASSES[kind]}{{{count}}}" for count, kind in re.findall(r"(\d+)([nac])", form))
    )
    for country, form in _FORMS.items()
}
MAX_HOLDER_CHARACTERS: Final = 70  # what SEPA carries of a name


class NotAnAccount(ValueError):
    """A number that is no bank account; `field` says which of the fields is wrong. Never shows the number."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.field = name


@dataclass(frozen=True, slots=True)
class BankAccount:
    """A checked bank account. `currency` is what it usually holds; empty where the form does not say."""

    type: str
    country: str
    currency: str
    account_number: str = field(repr=False)
    account_holder: str = field(repr=False)
    routing_number: str = field(default="", repr=False)

    @property
    def masked(self) -> str:
        """Return what may be shown: the country and the last four characters."""
        return f"{self.country} **** {self.account_number[-4:]}"

    @property
    def identity(self) -> str:
        """Return what makes two accounts the same account, whoever holds them and however they were written."""
        return f"{self.type}:{self.country}:{self.routing_number}:{self.account_number}"


def iban(number: str, account_holder: str) -> BankAccount:
    """Check an IBAN, with or without spaces. Raises `NotAnAccount`."""
    plain = number.replace(" ", "").upper()
    form = _IBANS.get(plain[:2])
    if form is None:
        raise NotAnAccount("iban", "does not begin with a country that has IBANs")
    if not form.fullmatch(plain):
        raise NotAnAccount("iban", f"has not the form of an IBAN of {plain[:2]}")
    digits = "".join(str(int(character, 36)) for character in plain[4:] + plain[:4])
    if int(digits) % 97 != 1:
        raise NotAnAccount("iban", "has wrong check digits")
    return BankAccount("iban", plain[:2], "", plain, account_holder)


def us_bank(routing_number: str, account_number: str, account_holder: str) -> BankAccount:
    """Check a routing number (ABA, with its check digit) and an account number. Raises `NotAnAccount`."""
    if not re.fullmatch(r"[0-9]{9}", routing_number, re.ASCII):
        raise NotAnAccount("routing_number", "must be nine digits")
    weights = (3, 7, 1) * 3
    if sum(weight * int(digit) for weight, digit in zip(weights, routing_number, strict=True)) % 10:
        raise NotAnAccount("routing_number", "has a wrong check digit")
    if not re.fullmatch(r"[0-9]{4,17}", account_number, re.ASCII):
        raise NotAnAccount("account_number", "must be 4 to 17 digits")
    return BankAccount("us_bank", "US", "USD", account_number, account_holder, routing_number)


def gb_bank(sort_code: str, account_number: str, account_holder: str) -> BankAccount:
    """Check a sort code, with or without hyphens, and an account number. Raises `NotAnAccount`."""
    plain = sort_code.replace("-", "").replace(" ", "")
    if not re.fullmatch(r"[0-9]{6}", plain, re.ASCII):
        raise NotAnAccount("sort_code", "must be six digits")
    if not re.fullmatch(r"[0-9]{8}", account_number, re.ASCII):
        raise NotAnAccount("account_number", "must be eight digits")
    return BankAccount("gb_bank", "GB", "GBP", account_number, account_holder, plain)
