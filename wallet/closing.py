"""What the close of a year would post: income and expense of the year go to `retained`, per currency. Reads only.

An income or expense account has the result of the open year: closing it by its whole balance at the end of the year
leaves zero there, and the next year opens with zero. Every other account stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ledger import balances
from ledger.models import AccountType, Side
from wallet import chart, legs
from wallet.legs import DraftLeg
from wallet.models import Proposal

_RESULT = (AccountType.INCOME, AccountType.EXPENSE)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Closing:
    """The legs that close one currency of a year. `profit` in minor units; a loss is negative."""

    currency: str
    legs: tuple[DraftLeg, ...]
    profit: int


def year_end(year: int) -> datetime:
    """Return the last instant of a year, in UTC."""
    return datetime(year + 1, 1, 1, tzinfo=UTC) - _INSTANT


def closings(book_id: int, ends_at: datetime) -> list[Closing]:
    """Return what closes each currency whose income and expense accounts are not all zero at `ends_at`, by currency."""
    results: dict[str, list[balances.AccountBalance]] = {}
    for row in balances.trial_balance_at(book_id, at=ends_at, basis="effective", types=_RESULT):
        results.setdefault(row.currency, []).append(row)
    return [_closing(book_id, currency, rows) for currency, rows in sorted(results.items())]


def is_current(proposal: Proposal) -> bool:
    """Say whether the legs of a proposed close are still those that the balances ask for."""
    assert proposal.effective_at is not None
    proposed = legs.stored(proposal.legs)
    found = closings(proposal.book_id, proposal.effective_at)
    return any(list(one.legs) == proposed for one in found)


def _closing(book_id: int, currency: str, rows: list[balances.AccountBalance]) -> Closing:
    made, profit = [], 0
    for row in rows:
        net = row.debits - row.credits
        profit -= net
        made.append(DraftLeg(row.code, Side.CREDIT if net > 0 else Side.DEBIT, abs(net), currency))
    if profit:
        code = chart.retained(book_id, currency).code
        made.append(DraftLeg(code, Side.CREDIT if profit > 0 else Side.DEBIT, abs(profit), currency))
    return Closing(currency, tuple(made), profit)
