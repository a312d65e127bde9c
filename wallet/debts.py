"""Debts: what sellers owe, cause by cause, and since when.

A debt account is debited by what a seller could not cover, and credited by what was netted since. What was netted
counts for the oldest debt first, so what is still owed are the newest debits. It only reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection

from wallet import chart
from wallet.models import Wallet

MAX_DEBTS: Final = 1000
# Ages in days, and what each is called: the first that is not below the age.
_AGES: Final = ((30, "0-30"), (60, "31-60"), (90, "61-90"))
_OLDER: Final = "over 90"


@dataclass(frozen=True, slots=True)
class Debt:
    """What is still owed of one debit, in minor units. `subject` is the public id of what it was for."""

    wallet: Wallet
    kind: str
    subject: str
    transaction: UUID
    since: datetime
    owed: int
    of: int

    def days(self, now: datetime) -> int:
        """Return how many whole days old it is."""
        return max(0, (now - self.since).days)

    def age(self, now: datetime) -> str:
        """Return its age as reports group it: `0-30`, `31-60`, `61-90` or `over 90` days."""
        days = self.days(now)
        return next((name for most, name in _AGES if days <= most), _OLDER)


# Uses indexes: account_code_is_unique_in_its_book, account_version_is_used_once.
_OPEN: Final = """
SELECT d.wallet, t.kind, t.reference, t.public_id, x.posted_at, least(x.amount, x.so_far - b.credits), x.amount
  FROM unnest(%s::text[], %s::bigint[]) AS d (code, wallet)
  JOIN ledger_account a ON a.book_id = %s AND a.code = d.code
  JOIN ledger_balance b ON b.account_id = a.id AND b.debits > b.credits
 CROSS JOIN LATERAL (
       SELECT e.transaction_id, e.posted_at, e.amount, e.account_version,
              sum(e.amount) OVER (ORDER BY e.account_version) AS so_far
         FROM ledger_entry e WHERE e.account_id = a.id AND e.side = 'D') x
  JOIN ledger_transaction t ON t.id = x.transaction_id
 WHERE x.so_far > b.credits ORDER BY d.wallet, x.account_version LIMIT %s
"""


def of_wallets(wallets: Sequence[Wallet]) -> list[Debt]:
    """Return what is owed in wallets of one book, wallet by wallet, oldest first (one statement, at most 1,000)."""
    if not wallets:
        return []
    book_id, known = wallets[0].book_id, {wallet.pk: wallet for wallet in wallets}
    assert all(wallet.book_id == book_id for wallet in wallets)
    codes = [chart.seller(book_id, wallet.seller, "debt", wallet.currency_id).code for wallet in wallets]
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, [codes, [wallet.pk for wallet in wallets], book_id, MAX_DEBTS])
        return [
            Debt(known[key], kind, reference.partition(":")[2], public, since, int(owed), of)
            for key, kind, reference, public, since, owed, of in cursor.fetchall()
        ]
