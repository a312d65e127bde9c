"""The end of every demo and replay: do our books hold, and do the PSP's say the same?

Three questions to our own database (every invariant, as `./florin verify_books` asks it; the trial balance; the
clearing balance) and one to the PSP's books, charge by charge. Amounts are minor units here. It only reads.
"""

import contextlib
import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.management import call_command

type Sums = dict[str, int]


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
    charges: int
    differences: tuple[str, ...]

    @property
    def psp_agrees(self) -> bool:
        """Say whether the PSP's books are ours, charge by charge."""
        return not self.differences

    @property
    def everything_agrees(self) -> bool:
        """Say whether nothing at all is wrong."""
        return self.psp_agrees and not self.violations and not any(row.difference for row in self.trial_balance)


def compare(book_id: int, psp_books: Mapping[str, Any]) -> Comparison:
    """Compare a book with the books of its PSP account."""
    from ledger import balances  # a replay imports this before Django is set up

    accounts = balances.trial_balance(book_id)
    turnover: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    clearing: Sums = defaultdict(int)
    for account in accounts:
        turnover[account.currency][0] += account.debits
        turnover[account.currency][1] += account.credits
        if account.code.startswith("psp:") and ":clearing:" in account.code:
            clearing[account.currency] += account.debits - account.credits
    theirs = psp_books["charges"]
    at_the_psp: Sums = defaultdict(int)
    for charge in theirs:
        at_the_psp[charge["currency"].upper()] += charge["captured"] - charge["refunded"]
    count, differences = _charge_by_charge(book_id, theirs)
    for currency in sorted(set(clearing) | set(at_the_psp)):
        if clearing[currency] != at_the_psp[currency]:
            differences.append(
                f"{currency}: our clearing balance is {clearing[currency]} minor units, "
                f"the PSP holds {at_the_psp[currency]}"
            )
    differences += [f"the PSP's own books: {wrong}" for wrong in psp_books["wrong"]]
    return Comparison(
        trial_balance=tuple(TrialBalance(name, *sums) for name, sums in sorted(turnover.items())),
        violations=tuple(_violations()),
        clearing=_without_zero(clearing),
        at_the_psp=_without_zero(at_the_psp),
        charges=count,
        differences=tuple(differences),
    )


def _violations() -> list[str]:
    """Run `verify_books`, in one snapshot of its own, and return what it has found."""
    said = io.StringIO()
    with contextlib.suppress(SystemExit):  # its exit code repeats what its answer says
        call_command("verify_books", json=True, stdout=said)
    return [f"{found['check']}: {found['detail']}" for found in json.loads(said.getvalue())["violations"]]


def _charge_by_charge(book_id: int, theirs: Sequence[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """Compare every charge that took money: once there, once here, for the same amounts."""
    from payments.models import Charge, Refund  # late: this module is read before Django is set up

    ours = {
        charge.psp_id: (charge.captured_minor, charge.currency_id)
        for charge in Charge.objects.filter(book_id=book_id, captured_minor__gt=0)
    }
    refunded: Sums = defaultdict(int)
    for refund in Refund.objects.filter(book_id=book_id, status=Refund.Status.SUCCEEDED).select_related("charge"):
        refunded[refund.charge.psp_id or ""] += refund.amount_minor
    found: list[str] = []
    seen: set[str] = set()
    for charge in theirs:
        name = charge["payment_intent"]
        if not charge["captured"]:
            continue
        if name in seen:
            found.append(f"{name}: the PSP took money twice")
        seen.add(name)
        captured, currency = ours.get(name, (0, charge["currency"].upper()))
        if (captured, currency) != (charge["captured"], charge["currency"].upper()):
            found.append(f"{name}: {charge['captured']} {charge['currency']} at the PSP, {captured} {currency} here")
        if refunded[name] != charge["refunded"]:
            found.append(f"{name}: {charge['refunded']} refunded at the PSP, {refunded[name]} here")
    found += [f"{name}: captured here, unknown at the PSP" for name in ours if name not in seen]
    return len(seen), found


def _without_zero(sums: Mapping[str, int]) -> Sums:
    return {currency: total for currency, total in sums.items() if total}
