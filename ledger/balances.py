"""Balances: read from the balance row of authorizing accounts, derived from entries for recording ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection

_BALANCES = """
SELECT a.id, a.code, a.type, a.currency,
       coalesce(b.debits, e.debits, 0), coalesce(b.credits, e.credits, 0)
  FROM ledger_account a
  LEFT JOIN ledger_balance b ON b.account_id = a.id
  LEFT JOIN LATERAL (
       SELECT sum(amount) FILTER (WHERE side = 'D') AS debits,
              sum(amount) FILTER (WHERE side = 'C') AS credits
         FROM ledger_entry WHERE account_id = a.id) e ON a.mode = 'recording'
"""


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """Gross turnover and balance of one account, in minor units; `balance` is positive on its normal side."""

    account_id: int
    code: str
    type: str
    currency: str
    debits: int
    credits: int

    @property
    def balance(self) -> int:
        """Return the balance, positive on the account's normal side."""
        net = self.debits - self.credits
        return net if self.type in ("asset", "expense") else -net


def of_accounts(account_ids: Iterable[int]) -> dict[int, AccountBalance]:
    """Return the exact balance of each account (one statement)."""
    return {row.account_id: row for row in _read("WHERE a.id = ANY (%s)", [list(account_ids)])}


def of_codes(book_id: int, codes: Iterable[str]) -> dict[str, AccountBalance]:
    """Return the exact balance of accounts of a book, by code; codes without an account are left out."""
    return {row.code: row for row in _read("WHERE a.book_id = %s AND a.code = ANY (%s)", [book_id, list(codes)])}


def trial_balance(book_id: int) -> list[AccountBalance]:
    """Return every account of a book with its turnover, by code. Debits equal credits per currency."""
    return _read("WHERE a.book_id = %s ORDER BY a.code", [book_id])


def _read(condition: str, parameters: list[Any]) -> list[AccountBalance]:
    with connection.cursor() as cursor:
        cursor.execute(_BALANCES + condition, parameters)
        # Sums of a recording account are numeric: its turnover may outgrow what one amount can be.
        return [
            AccountBalance(pk, code, kind, currency, int(debited), int(credited))
            for pk, code, kind, currency, debited, credited in cursor.fetchall()
        ]
