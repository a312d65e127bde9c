"""The bank's double-entry books. A customer's balance is the sum of the postings to its account; so is what clearing
owes, what the bank took as charges, and what it keeps because it does not know whose it is.
"""

from __future__ import annotations

from typing import Final

from .store import Store

CLEARING: Final = "clearing"
INCOME: Final = "income"
EXPENSE: Final = "expense"
SUSPENSE: Final = "suspense"


class UnbalancedError(AssertionError):
    """A journal whose postings do not sum to zero: a bug of the bank."""


def customer(iban: str) -> str:
    """Answer the name of a customer's account in the books."""
    return f"customer:{iban}"


def post(store: Store, *, kind: str, source: str, currency: str, day: str, postings: dict[str, int]) -> int:
    """Write one journal and answer its number; plus credits an account. Postings of nothing are left out."""
    if sum(postings.values()) != 0:
        raise UnbalancedError(f"{kind} of {source}: {postings}")
    journal = store.insert("journals", kind=kind, source=source, booked_on=day)
    for account, amount in postings.items():
        if amount:
            store.insert("postings", journal=journal, account=account, currency=currency, amount=amount)
    return journal


def balance(store: Store, account: str) -> int:
    """Answer the balance of an account in minor units."""
    row = store.row("SELECT coalesce(sum(amount), 0) AS total FROM postings WHERE account = ?", account)
    return int(row["total"]) if row else 0


def faults_found(store: Store) -> list[str]:
    """Check the books and answer what is wrong with them: nothing, if they are right."""
    wrong = [
        f"journal {row['journal']} is off by {row['total']} {row['currency']}"
        for row in store.rows(
            "SELECT journal, currency, sum(amount) AS total FROM postings GROUP BY 1, 2 HAVING sum(amount) <> 0"
        )
    ]
    found = store.rows(
        "SELECT a.iban, coalesce((SELECT sum(amount) FROM lines l WHERE l.iban = a.iban), 0) AS shown,"
        " coalesce((SELECT sum(amount) FROM postings p WHERE p.account = 'customer:' || a.iban), 0) AS booked"
        " FROM accounts a"
    )
    return wrong + [
        f"{row['iban']}: {row['shown']} on its statements, {row['booked']} in the books"
        for row in found
        if row["shown"] != row["booked"]
    ]
