"""SEPA: which accounts its credit transfers reach, and how our ids are written where it has no underscore.

Pure, and light enough for every process. The file itself is made by `credit_transfers`.
"""

from __future__ import annotations

from typing import Final

from payments.models import PayoutDestination

CURRENCY: Final = "EUR"
# Countries and territories of the SEPA schemes, by the first letters of their IBANs (EPC409-09).
COUNTRIES: Final = frozenset(
    ("AD", "AL", "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GI", "GR", "HR", "HU",
     "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MC", "MD", "ME", "MK", "MT", "NL", "NO", "PL", "PT", "RO", "RS", "SE",
     "SI", "SK", "SM", "VA")
)  # fmt: skip


def reaches(destination: PayoutDestination) -> bool:
    """Say whether a bank account can be paid by a SEPA credit transfer."""
    return (
        destination.type == PayoutDestination.Type.IBAN
        and destination.currency_id == CURRENCY
        and destination.country in COUNTRIES
    )


def as_id(public_id: str) -> str:
    """Write a public id as SEPA carries it: there is no underscore in its character set."""
    return public_id.replace("_", "-")


def from_id(text: str) -> str:
    """Read an id that came back from a bank, in whatever case and with either separator, as a public id."""
    return text.strip().lower().replace("-", "_", 1)
