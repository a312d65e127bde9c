"""Accounts on the other side of a bank's line, as digests: equal accounts can be found, none can be read.

It is the index by which sellers' own bank accounts are found (payments/destinations.py), so a line that went to another
account than was instructed can be told without keeping either.
"""

from __future__ import annotations

from payments.bank_accounts import BankAccount, NotAnAccount, iban
from payments.destinations import blind_index


def digest(account: str) -> str:
    """Return the digest of an account as a statement writes it, 64 hex digits; empty for none.

    What is no IBAN has a digest too, by which equal ones can be found, but never that of a seller's account.
    """
    plain = "".join(account.split()).upper()
    if not plain:
        return ""
    try:
        known = iban(plain, "")
    except NotAnAccount:
        known = BankAccount("other", "", "", plain, "")
    return blind_index(known).hex()
