"""The objects of the ledger as the API shows them: pure functions, key order is part of the contract.

Amounts are decimal strings in major units; a balance is positive on the account's normal side. Whoever calls them has
loaded what is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ledger.balances import AccountBalance
from ledger.ids import public_id
from ledger.journals import Journal
from ledger.models import DEBIT_NORMAL, LEGS, Account, Entry, Side
from ledger.money import format_minor
from ledger.statements import Line
from ledger.tree import Node
from ledger.trial_balances import Row as TrialRow
from ledger.turnover import Turnover
from payments.representations import Object, timestamp


def side(value: str) -> str:
    """Write a side in full."""
    return "debit" if value == Side.DEBIT else "credit"


def account(row: Account, balance: AccountBalance) -> Object:
    """Show an account with its exact balance now."""
    currency = row.currency_id
    return {
        "id": public_id("acc", row.public_id),
        "object": "ledger_account",
        "code": row.code,
        "type": row.type,
        "currency": currency,
        "posting_mode": row.mode,
        "normal_side": "debit" if row.type in DEBIT_NORMAL else "credit",
        "balance": format_minor(balance.balance, currency),
        "debits": format_minor(balance.debits, currency),
        "credits": format_minor(balance.credits, currency),
        "created_at": timestamp(row.created_at),
        "closed_at": timestamp(row.closed_at) if row.closed_at is not None else None,
    }


def node(row: Node) -> Object:
    """Show a child in the tree of accounts with its sums by currency."""
    return {
        "object": "ledger_node",
        "code": row.code,
        "account": public_id("acc", row.first) if row.account_id is not None else None,
        "sums": [
            {
                "currency": one.currency,
                "accounts": one.accounts,
                "type": one.type,
                "debits": format_minor(one.debits, one.currency),
                "credits": format_minor(one.credits, one.currency),
                "balance": format_minor(one.balance, one.currency) if one.balance is not None else None,
            }
            for one in row.sums
        ],
    }


def balance(row: Account, minor: int, *, at: datetime, basis: str) -> Object:
    """Show what an account held at an instant."""
    return {
        "object": "ledger_balance",
        "account": row.code,
        "currency": row.currency_id,
        "at": timestamp(at),
        "basis": basis,
        "balance": format_minor(minor, row.currency_id),
    }


def entry(line: Line, row: Account) -> Object:
    """Show a line of an account's statement."""
    currency = row.currency_id
    return {
        "object": "ledger_entry",
        "transaction": public_id("txn", line.transaction_public_id),
        "leg": line.entry_id % LEGS,
        "kind": line.kind,
        "reference": line.reference,
        "side": side(line.side),
        "amount": format_minor(line.amount, currency),
        "currency": currency,
        "balance": format_minor(line.balance, currency),
        "effective_at": timestamp(line.effective_at),
        "posted_at": timestamp(line.posted_at),
    }


def turnover(row: Turnover) -> Object:
    """Show what moved on an account in a period."""
    currency = row.account.currency_id
    return {
        "object": "ledger_turnover",
        "account": row.account.code,
        "type": row.account.type,
        "currency": currency,
        "from": timestamp(row.since),
        "to": timestamp(row.until),
        "opening": format_minor(row.opening, currency),
        "debits": format_minor(row.debits, currency),
        "credits": format_minor(row.credits, currency),
        "closing": format_minor(row.closing, currency),
    }


def leg(row: Entry) -> Object:
    """Show a leg of a transaction."""
    after = row.balance_after
    return {
        "account": row.account.code,
        "side": side(row.side),
        "amount": format_minor(row.amount, row.currency_id),
        "currency": row.currency_id,
        "balance_after": format_minor(after, row.currency_id) if after is not None else None,
    }


def transaction(journal: Journal) -> Object:
    """Show a transaction with its legs."""
    row = journal.transaction
    return {
        "id": public_id("txn", row.public_id),
        "object": "ledger_transaction",
        "kind": row.kind,
        "reference": row.reference,
        "memo": row.memo,
        "actor": row.actor,
        "metadata": row.metadata,
        "effective_at": timestamp(row.effective_at),
        "occurred_at": timestamp(row.occurred_at) if row.occurred_at is not None else None,
        "posted_at": timestamp(row.posted_at),
        "reverses": public_id("txn", journal.reverses) if journal.reverses is not None else None,
        "reversed_by": [public_id("txn", value) for value in journal.reversed_by],
        "leg_count": row.leg_count,
        "legs": [leg(entry) for entry in journal.legs] if journal.legs is not None else None,
    }


def trial_balance(
    rows: Iterable[TrialRow], sums: Iterable[TrialRow], *, at: datetime, basis: str, next_cursor: str | None
) -> Object:
    """Show a trial balance: its rows, sums by type and by currency, and whether debits equal credits in each."""
    by_currency_and_type = list(sums)
    totals = [row for row in by_currency_and_type if not row.type]
    by_type = [row for row in by_currency_and_type if row.type]
    return {
        "object": "trial_balance",
        "at": timestamp(at),
        "basis": basis,
        "balanced": all(row.debit == row.credit for row in totals),
        "totals": [
            {
                "currency": row.currency,
                "debit": format_minor(row.debit, row.currency),
                "credit": format_minor(row.credit, row.currency),
                "balanced": row.debit == row.credit,
            }
            for row in totals
        ],
        "types": [
            {
                "type": row.type,
                "currency": row.currency,
                "debit": format_minor(row.debit, row.currency),
                "credit": format_minor(row.credit, row.currency),
            }
            for row in by_type
        ],
        "data": [
            {
                "code": row.code,
                "accounts": row.accounts,
                "type": row.type,
                "currency": row.currency,
                "debit": format_minor(row.debit, row.currency),
                "credit": format_minor(row.credit, row.currency),
            }
            for row in rows
        ],
        "next_cursor": next_cursor,
    }
