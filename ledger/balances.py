"""Balances, now and at any instant: balance rows of authorizing accounts, fold and tail of recording ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db import connection

from ledger.errors import UnknownAccount
from ledger.models import AccountType

# Of a recording account: what was folded, and the transactions after the fold's cursor. One statement, one snapshot.
_BALANCES = """
WITH tail AS MATERIALIZED (
    SELECT e.account_id, sum(e.amount) FILTER (WHERE e.side = 'D') AS debits,
           sum(e.amount) FILTER (WHERE e.side = 'C') AS credits
      FROM ledger_fold_mark m
      JOIN ledger_transaction t ON (t.cluster_epoch, t.created_xid, t.id) > (m.cluster_epoch, m.xid, m.transaction_id)
      JOIN ledger_entry e ON e.id BETWEEN t.id * 32768 AND t.id * 32768 + 32767
     WHERE e.account_version IS NULL GROUP BY e.account_id
)
SELECT a.id, a.code, a.type, a.currency,
       coalesce(b.debits, coalesce(f.debits, 0) + coalesce(e.debits, 0)),
       coalesce(b.credits, coalesce(f.credits, 0) + coalesce(e.credits, 0))
  FROM ledger_account a
  LEFT JOIN ledger_balance b ON b.account_id = a.id
  LEFT JOIN ledger_folded f ON f.account_id = a.id
  LEFT JOIN tail e ON e.account_id = a.id
"""

Basis = Literal["posted", "effective"]


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


def lock(account_ids: Iterable[int]) -> dict[int, int]:
    """Lock the balance rows of authorizing accounts until the transaction ends; return their nets, debit positive.

    For a verb that must know before it posts. Locks in account order, as posting does: call it last, before posting.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account_id, debits - credits FROM ledger_lock_balances(%s::bigint[])", [sorted(set(account_ids))]
        )
        return dict(cursor.fetchall())


def at(account_id: int, *, at: datetime, basis: Basis = "posted") -> int:
    """Return the balance of an account at an instant in minor units, positive on its normal side.

    Of the entries posted until then (`posted`), or of those effective until then as the books know them now
    (`effective`). One statement; its cost does not grow with the age of the account.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ledger_net_at(a.id, %s, %s) * CASE WHEN a.type IN ('asset', 'expense') THEN 1 ELSE -1 END"
            " FROM ledger_account a WHERE a.id = %s",
            [at, basis, account_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise UnknownAccount(f"no account {account_id}")
    return int(row[0])


def trial_balance_at(
    book_id: int, *, at: datetime, basis: Basis = "posted", types: Sequence[str] = tuple(AccountType)
) -> list[AccountBalance]:
    """Return every account of a book as it stood at an instant, by code: the net on its side, zero ones left out.

    Of the account `types` given only; its cost grows with the number of their accounts.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.id, a.code, a.type, a.currency, greatest(n.net, 0), greatest(-n.net, 0)"
            "  FROM ledger_account a CROSS JOIN LATERAL (SELECT ledger_net_at(a.id, %s, %s) AS net) n"
            " WHERE a.book_id = %s AND a.type = ANY (%s) AND n.net <> 0 ORDER BY a.code",
            [at, basis, book_id, [str(kind) for kind in types]],
        )
        return [
            AccountBalance(pk, code, kind, currency, int(debited), int(credited))
            for pk, code, kind, currency, debited, credited in cursor.fetchall()
        ]


def _read(condition: str, parameters: list[Any]) -> list[AccountBalance]:
    with connection.cursor() as cursor:
        cursor.execute(_BALANCES + condition, parameters)
        # Sums of a recording account are numeric: its turnover may outgrow what one amount can be.
        return [
            AccountBalance(pk, code, kind, currency, int(debited), int(credited))
            for pk, code, kind, currency, debited, credited in cursor.fetchall()
        ]
