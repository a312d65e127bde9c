"""Destinations: the bank account that a seller is paid to. Sealed when it comes in, masked whenever it is shown.

A change makes another row and starts a cool-down, because whoever takes over a merchant's key wants exactly this. The
blind index (an HMAC under a key of its own) finds equal accounts without opening any.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from config import seam
from ledger.models import Book
from payments.bank_accounts import BankAccount
from payments.encryption import seal
from payments.errors import InvalidState
from payments.models import PayoutDestination, Seller


def put(seller: Seller, account: BankAccount, *, currency: str, actor: str, now: datetime) -> PayoutDestination:
    """Make a bank account the seller's destination for a currency; the former one is superseded.

    Idempotent: the account that is already there is returned as it is, and its cool-down does not start again. Locks
    the seller. Raises `InvalidState` for a closed seller.
    """
    index = blind_index(account)
    with transaction.atomic():
        row = Seller.objects.select_for_update(no_key=True).get(pk=seller.pk)
        if row.closed_at is not None:
            raise InvalidState("seller_closed", "the seller is closed")
        current = PayoutDestination.objects.filter(seller=row, currency_id=currency, superseded_at__isnull=True).first()
        if current is not None and bytes(current.blind_index) == index:
            return current
        if current is not None:
            PayoutDestination.objects.filter(pk=current.pk).update(superseded_at=now)
        own_id = seam.new_uuid()
        details = {"account_number": account.account_number, "account_holder": account.account_holder}
        if account.routing_number:
            details["routing_number"] = account.routing_number
        return PayoutDestination.objects.create(
            public_id=own_id,
            book_id=row.book_id,
            seller=row,
            currency_id=currency,
            type=account.type,
            country=account.country,
            details=seal(json.dumps(details), identity=f"payout_destination.details:{own_id}"),
            masked=account.masked,
            blind_index=index,
            set_by=actor,
            created_at=now,
            usable_at=now + cool_down(row.book_id),
        )


def cool_down(book_id: int) -> timedelta:
    """Return how long a new destination of a book is not paid to."""
    return timedelta(hours=settings.PAYOUT_COOL_DOWN_HOURS[str(Book.objects.get(pk=book_id).mode)])


def blind_index(account: BankAccount) -> bytes:
    """Return what equal accounts have in common, and what tells nobody the account."""
    key = hmac.digest(base64.b64decode(settings.FIELD_KEY), b"florin blind index of bank accounts", hashlib.sha256)
    return hmac.digest(key, account.identity.encode(), hashlib.sha256)


def sharing(destination: PayoutDestination) -> int:
    """Return how many other sellers of the book have the same account as their destination."""
    return (
        PayoutDestination.objects.filter(
            book_id=destination.book_id, blind_index=bytes(destination.blind_index), superseded_at__isnull=True
        )
        .exclude(seller_id=destination.seller_id)
        .values("seller_id")
        .distinct()
        .count()
    )
