"""Billing: who bills sellers for a book, and by which rates of value added tax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from payments.errors import Conflict
from payments.models import BillingProfile, VatRate


@dataclass(frozen=True, slots=True)
class Rate:
    """The tax on the platform's fee to sellers of a country, from a day on."""

    country: str
    valid_from: date
    basis_points: int
    note: str


def set_profile(book_id: int, profile: Mapping[str, str], rates: Sequence[Rate]) -> None:
    """Set the profile of a book and add rates, in the caller's transaction. Setting the same again changes nothing.

    Raises `Conflict` for a rate that differs from the one of its country and day: invoices were made by it.
    """
    BillingProfile.objects.update_or_create(book_id=book_id, defaults=dict(profile))
    for rate in rates:
        values = {"basis_points": rate.basis_points, "note": rate.note}
        row, made = VatRate.objects.get_or_create(
            book_id=book_id, country=rate.country, valid_from=rate.valid_from, defaults=values
        )
        if not made and row.basis_points != rate.basis_points:
            raise Conflict(
                "vat_rate_differs",
                f"{rate.country} has {row.basis_points} basis points from {rate.valid_from}",
                field="vat_rates",
            )
