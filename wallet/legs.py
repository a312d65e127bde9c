"""The legs of a manual journal: read, checked against the accounts of the book, and turned into what the ledger posts.

Accounts are named by code, so a leg can only ever mean an account of its proposal's own book. This module writes
nothing but the accounts of the platform that a leg names first. It knows nothing of approval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger import accounts
from ledger.errors import Unbalanced
from ledger.models import Account, Side
from ledger.money import format_minor
from ledger.posting import MAX_AMOUNT, MAX_LEGS, Leg
from wallet import chart
from wallet.errors import Fault

LIMIT: Final = MAX_LEGS


@dataclass(frozen=True, slots=True)
class DraftLeg:
    """One side of a manual journal: the account by its code, `amount` in minor units."""

    account: str
    side: Side
    amount: int
    currency: str

    @property
    def data(self) -> dict[str, Any]:
        """Return the leg as a proposal keeps it."""
        return {"account": self.account, "side": str(self.side), "amount": self.amount, "currency": self.currency}

    @property
    def negated(self) -> DraftLeg:
        """Return the leg that takes this one back."""
        other = Side.CREDIT if self.side == Side.DEBIT else Side.DEBIT
        return DraftLeg(self.account, other, self.amount, self.currency)


def stored(legs: Sequence[Mapping[str, Any]]) -> list[DraftLeg]:
    """Read legs as a proposal keeps them."""
    return [DraftLeg(leg["account"], Side(leg["side"]), leg["amount"], leg["currency"]) for leg in legs]


def faults(book_id: int, legs: Sequence[DraftLeg]) -> list[Fault]:
    """Return what is wrong with legs: their number, amounts, accounts and currencies. Opens accounts as `found`."""
    if not 2 <= len(legs) <= LIMIT:
        code = "too_short" if len(legs) < 2 else "too_long"
        return [Fault("legs", code, f"a journal has 2 to {LIMIT} legs")]
    known = found(book_id, legs)
    wrong = []
    for place, leg in enumerate(legs):
        account = known.get(leg.account)
        if not 0 < leg.amount <= MAX_AMOUNT:
            wrong.append(Fault(f"legs[{place}].amount", "invalid_amount", f"must be between 1 and {MAX_AMOUNT}"))
        if account is None:
            wrong.append(Fault(f"legs[{place}].account", "unknown_account", "no such account in this book"))
        elif chart.follows_a_flow(leg.account):
            detail = "its balance is that of orders, disputes or payouts: correct those"
            wrong.append(Fault(f"legs[{place}].account", "not_supported", detail))
        elif account.currency_id != leg.currency:
            detail = f"the account is in {account.currency_id}"
            wrong.append(Fault(f"legs[{place}].currency", "currency_mismatch", detail))
    return wrong


def require_balance(legs: Sequence[DraftLeg]) -> None:
    """Raise `Unbalanced` unless debits equal credits in each currency. The ledger checks it again."""
    sums: dict[str, int] = {}
    for leg in legs:
        sums[leg.currency] = sums.get(leg.currency, 0) + (leg.amount if leg.side == Side.DEBIT else -leg.amount)
    wrong = [f"by {format_minor(abs(net), currency)} {currency}" for currency, net in sums.items() if net]
    if wrong:
        raise Unbalanced(f"debits and credits differ {', '.join(wrong)}")


def found(book_id: int, legs: Sequence[DraftLeg]) -> dict[str, Account]:
    """Return the accounts that legs name, by code. Opens those that a book has once per currency; others must exist."""
    codes = {leg.account for leg in legs}
    # Uses index: account_code_is_unique_in_its_book.
    rows = {row.code: row for row in Account.objects.filter(book_id=book_id, code__in=codes)}
    specs = [spec for code in sorted(codes - rows.keys()) if (spec := chart.of_the_platform(book_id, code))]
    if specs:
        accounts.resolve(specs)
        rows |= {row.code: row for row in Account.objects.filter(book_id=book_id, code__in=[s.code for s in specs])}
    return rows


def ready(book_id: int, legs: Sequence[DraftLeg]) -> tuple[Leg, ...]:
    """Return legs that were found without fault in the form that the ledger posts."""
    known = found(book_id, legs)
    return tuple(Leg(known[leg.account].pk, leg.currency, leg.side, leg.amount) for leg in legs)
