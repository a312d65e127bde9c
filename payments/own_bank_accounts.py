"""The merchant's own bank accounts: set down, found by IBAN, and opened for the file that pays from them.

Each has an account of the books, `bank:{name}:{currency}`. The IBAN is sealed and found by a blind index, like those of
sellers. Nothing here tells a bank anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from config import seam
from ledger import accounts
from payments import bank_accounts, destinations
from payments.bank_accounts import BankAccount
from payments.encryption import seal, unseal
from payments.errors import Conflict
from payments.models import MerchantBook, OwnBankAccount
from wallet import chart


@dataclass(frozen=True, slots=True)
class OwnDetails:
    """An account of our own as somebody sets it down. `iban` is checked already."""

    name: str
    currency: str
    account: BankAccount = field(repr=False)
    bic: str = ""
    schema: str = OwnBankAccount.Schema.V9


def put(book_id: int, details: OwnDetails, *, now: datetime) -> OwnBankAccount:
    """Set down an account, or change its holder, BIC or schema; it pays from now on in its currency.

    Idempotent. The account that paid before is closed: it pays what was asked for before, and nothing new. Locks the
    book's settings. Raises `Conflict` when the name has another IBAN, or the IBAN another name.
    """
    index = destinations.blind_index(details.account)
    with transaction.atomic():
        MerchantBook.objects.select_for_update(no_key=True).get(book_id=book_id)
        known = OwnBankAccount.objects.filter(book_id=book_id, currency_id=details.currency)
        row = known.filter(name=details.name).first()
        if (row is not None and bytes(row.blind_index) != index) or (
            row is None and known.filter(blind_index=index).exists()
        ):
            raise Conflict("bank_account_exists", "the IBAN of a name does not change", field="iban")
        known.filter(closed_at__isnull=True).exclude(name=details.name).update(closed_at=now)
        if row is None:
            row = _new(book_id, details, index, now=now)
            accounts.resolve([chart.bank(book_id, details.name, details.currency)])
        row.holder, row.bic, row.schema = details.account.account_holder, details.bic, details.schema
        row.closed_at = None
        row.save()
    return row


def _new(book_id: int, details: OwnDetails, index: bytes, *, now: datetime) -> OwnBankAccount:
    own_id = seam.new_uuid()
    return OwnBankAccount(
        public_id=own_id,
        book_id=book_id,
        name=details.name,
        currency_id=details.currency,
        details=seal(json.dumps({"iban": details.account.account_number}), identity=_identity(own_id)),
        masked=details.account.masked,
        blind_index=index,
        created_at=now,
    )


def by_iban(book_id: int, iban: str, *, currency: str = "EUR") -> OwnBankAccount | None:
    """Return the account of an IBAN, paying or closed; `None` when the book has none. Raises `NotAnAccount`."""
    index = destinations.blind_index(bank_accounts.iban(iban, ""))
    # Uses index: own_bank_account_is_one_per_iban.
    return OwnBankAccount.objects.filter(book_id=book_id, blind_index=index, currency_id=currency).first()


def iban_of(row: OwnBankAccount) -> str:
    """Open the IBAN, for the file that pays from it."""
    return str(json.loads(unseal(row.details, identity=_identity(row.public_id)))["iban"])


def _identity(own_id: object) -> str:
    return f"own_bank_account.details:{own_id}"
