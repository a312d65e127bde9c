"""Buyers: who keeps stored value with a merchant, by the merchant's id, and what they have.

A buyer has a row with an id of ours from the first time on that value is kept. What a buyer has is the balance of one
account of the ledger per currency. Nothing here moves money.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from config import seam
from ledger import balances
from ledger.money import EXPONENTS
from payments.errors import InvalidState, Unprocessable
from payments.models import Buyer, MerchantBook, PaymentEvent
from wallet import chart


def receiver(event: PaymentEvent, *, on: bool, now: datetime) -> UUID:
    """Return the buyer of a payment, ready to receive stored value; one statement more for a buyer's first.

    Raises `InvalidState` when the merchant has it switched off, `Unprocessable` for a buyer without an id.
    """
    check_on(on=on)
    name = name_of(event)
    buyer = Buyer.objects.filter(book_id=event.book_id, external_id=name).first()
    if buyer is None:
        new = Buyer(public_id=seam.new_uuid(), book_id=event.book_id, external_id=name, created_at=now)
        Buyer.objects.bulk_create([new], ignore_conflicts=True)
        buyer = Buyer.objects.get(book_id=event.book_id, external_id=name)
    return buyer.public_id


def is_on(book_id: int) -> bool:
    """Say whether the buyers of a book may pay with stored value."""
    return MerchantBook.objects.filter(book_id=book_id, stored_value=True).exists()


def balances_of(book_id: int, name: str) -> list[tuple[str, int]]:
    """Return what a buyer (by the merchant's id) has: currency and minor units, by currency. Two statements."""
    buyer = Buyer.objects.filter(book_id=book_id, external_id=name).first()
    if buyer is None:
        return []
    codes = [chart.buyer_stored(book_id, buyer.public_id, currency).code for currency in EXPONENTS]
    rows = balances.of_codes(book_id, codes)
    return sorted((row.currency, row.balance) for row in rows.values())


def check_on(*, on: bool) -> None:
    """Raise `InvalidState` when a merchant has stored value switched off."""
    if not on:
        raise InvalidState("stored_value_off", "This merchant has stored value switched off.")


def name_of(event: PaymentEvent) -> str:
    """Return the merchant's id of the buyer of a payment. Raises `Unprocessable` when it has none."""
    name = event.buyer.get("id")
    if not name:
        raise Unprocessable("buyer_unknown", "The payment does not say who the buyer is.", field="buyer.id")
    return str(name)
