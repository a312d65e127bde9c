"""The end of every demo and replay: do our books hold, and do the PSP's say the same?

Three questions to our own database (every invariant, as `./florin verify_books` asks it; the trial balance; the
clearing balance) and one to the PSP's books, object by object (`agreement.py`). Amounts are minor units here. It only
reads.
"""

import contextlib
import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.management import call_command

from config.demo import agreement
from config.demo.agreement import Sums


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """Turnover of one currency of a book; `difference` is zero, or the books are broken."""

    currency: str
    debits: int
    credits: int

    @property
    def difference(self) -> int:
        """Return what the books are off by."""
        return self.debits - self.credits


@dataclass(frozen=True, slots=True)
class Comparison:
    """What we say and what the PSP says, per currency, and every sentence in which they differ."""

    trial_balance: tuple[TrialBalance, ...]
    violations: tuple[str, ...]
    clearing: Sums
    at_the_psp: Sums
    counts: Mapping[str, int]
    differences: tuple[str, ...]

    @property
    def psp_agrees(self) -> bool:
        """Say whether the PSP's books are ours, object by object."""
        return not self.differences

    @property
    def everything_agrees(self) -> bool:
        """Say whether nothing at all is wrong."""
        return self.psp_agrees and not self.violations and not any(row.difference for row in self.trial_balance)


def compare(
    book_id: int, psp_books: Mapping[str, Any], *, also: Sequence[tuple[int, Mapping[str, Any]]] = ()
) -> Comparison:
    """Compare a book with the books of its PSP account; `also` are other books with those of theirs.

    Sums are those of the first book, counts and differences of all.
    """
    first = _Compared.of(book_id, psp_books)
    counts, differences = dict(first.counts), list(first.differences)
    for other in (_Compared.of(*one) for one in also):
        differences += other.differences
        for kind, count in other.counts.items():
            counts[kind] += count
    return Comparison(
        trial_balance=_trial_balance(book_id),
        violations=tuple(_violations()),
        clearing=_without_zero(first.clearing),
        at_the_psp=_without_zero(first.at_the_psp),
        counts=counts,
        differences=tuple(differences),
    )


def look_again(before: Comparison, book_id: int) -> Comparison:
    """Ask our own books again, after something more was booked; what the PSP was compared with stays as it was."""
    found = [*before.violations, *(said for said in _violations() if said not in before.violations)]
    return replace(before, trial_balance=_trial_balance(book_id), violations=tuple(found))


def _trial_balance(book_id: int) -> tuple[TrialBalance, ...]:
    from ledger import balances  # a replay imports this before Django is set up

    turnover: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for account in balances.trial_balance(book_id):
        turnover[account.currency][0] += account.debits
        turnover[account.currency][1] += account.credits
    return tuple(TrialBalance(name, *sums) for name, sums in sorted(turnover.items()))


@dataclass(frozen=True, slots=True)
class _Compared:
    """One book beside the books of its PSP account."""

    clearing: Sums
    at_the_psp: Sums
    counts: Sums
    differences: list[str]

    @classmethod
    def of(cls, book_id: int, psp_books: Mapping[str, Any]) -> "_Compared":
        """Compare object by object, then sum by sum."""
        from ledger import balances  # late, as above

        accounts = balances.trial_balance(book_id)
        clearing: Sums = defaultdict(int)
        for account in accounts:
            if account.code.startswith("psp:") and ":clearing:" in account.code:
                clearing[account.currency] += account.debits - account.credits
        at_the_psp = agreement.held_at_the_psp(psp_books)
        found = {
            "charges": agreement.of_charges(book_id, psp_books["charges"]),
            "refunds": agreement.of_refunds(book_id, psp_books["refunds"]),
            "disputes": agreement.of_disputes(book_id, psp_books["disputes"]),
            "transfers": agreement.of_transfers(book_id, psp_books["transfers"]),
            "payouts": agreement.of_payouts(book_id, psp_books["payouts"]),
        }
        differences = [difference for _, several in found.values() for difference in several]
        differences += agreement.of_connected(accounts, psp_books["connected"])
        differences += [
            f"{currency}: our clearing balance is {clearing[currency]} minor units, "
            f"the PSP holds {at_the_psp[currency]}"
            for currency in sorted(set(clearing) | set(at_the_psp))
            if clearing[currency] != at_the_psp[currency]
        ]
        differences += [f"the PSP's own books: {wrong}" for wrong in psp_books["wrong"]]
        return cls(clearing, at_the_psp, {kind: count for kind, (count, _) in found.items()}, differences)


def _violations() -> list[str]:
    """Run `verify_books`, in one snapshot of its own, and return what it has found."""
    said = io.StringIO()
    with contextlib.suppress(SystemExit):  # its exit code repeats what its answer says
        call_command("verify_books", json=True, stdout=said)
    return [f"{found['check']}: {found['detail']}" for found in json.loads(said.getvalue())["violations"]]


def _without_zero(sums: Mapping[str, int]) -> Sums:
    return {currency: total for currency, total in sums.items() if total}
