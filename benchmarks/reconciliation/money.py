"""Money that was posted by itself, held against what truly moved: every journal must have its cause outside.

Looked at is what reconciliation posted without a person. A fee must be that of lines which the PSP has, a payout or a
credit one that PSP and bank have, and what stands on a break must be what was planted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from benchmarks.reconciliation.history.manifest import Planted
from benchmarks.reconciliation.history.outside import Kind, PspLine
from benchmarks.reconciliation.nights import Nights
from ledger.models import Entry, Transaction
from reconciliation.models import Break, Match, StatementLine

_BY_LINE: Final = ("psp_payout", "bank_credit")
_ON_BREAKS: Final = ("suspend", "bank_charge", "psp_rounding", "psp_convert", "realise_fx")
_FLOWS: Final = {"psp_fee", *_BY_LINE, *_ON_BREAKS}


def wrongly_posted(nights: Nights, right: Iterable[tuple[Break, Planted]]) -> dict[str, int]:
    """Return what was posted against the truth, by currency, in minor units; nothing where all of it is true."""
    wrong: dict[str, int] = {}
    true_breaks = {found.transaction_id: found for found, _ in right if found.transaction_id is not None}
    outside = {line.id: line for psp in nights.world.stage.psps for line in psp.lines}
    book = nights.world.stage.book
    for row in Transaction.objects.filter(book=book, kind__in=_FLOWS).order_by("id"):
        amount, currency = _amount_of(row)
        if row.pk in true_breaks:
            continue
        words = row.reference.split(":")
        if row.kind in _BY_LINE and words[1] == "line":
            if not _is_true(nights, StatementLine.objects.get(pk=int(words[2])), amount, outside):
                wrong[currency] = wrong.get(currency, 0) + amount
        elif row.kind != "psp_fee":
            wrong[currency] = wrong.get(currency, 0) + amount
    for currency, amount in _fees(nights, outside, true_breaks).items():
        if amount:
            wrong[currency] = wrong.get(currency, 0) + abs(amount)
    return wrong


def _amount_of(row: Transaction) -> tuple[int, str]:
    entries = list(Entry.objects.filter(transaction_id=row.pk, side="D"))
    return sum(entry.amount for entry in entries), entries[0].currency_id


def _is_true(nights: Nights, line: StatementLine, amount: int, outside: dict[str, PspLine]) -> bool:
    """Say whether a payout of the PSP, or its arrival at the bank, is what truly moved."""
    truth = outside.get(line.key)
    if truth is not None:
        return truth.kind == Kind.PAYOUT and abs(truth.gross) == amount
    if line.source_id in {source.pk for source in nights.sources.values() if source.psp_account_id is not None}:
        made = [one for one in outside.values() if one.kind == Kind.PAYOUT and one.source == line.reference]
        return [abs(one.gross) for one in made] == [amount]
    entries = [entry for account in nights.world.bank.accounts.values() for entry in account.entries]
    named = [entry for entry in entries if entry.reference in (line.reference, line.key.rpartition(":")[2])]
    return any(abs(entry.amount + entry.charges) == amount for entry in named)


def _fees(nights: Nights, outside: dict[str, PspLine], on_breaks: dict[int, Break]) -> dict[str, int]:
    """Return what was booked as fees, less the true fees of all lines that were matched, by currency."""
    sums: dict[str, int] = {}
    book = nights.world.stage.book
    for entry in Entry.objects.filter(book=book, transaction__kind="psp_fee", account__code__startswith="fees:psp:"):
        if entry.transaction_id not in on_breaks:
            sums[entry.currency_id] = sums.get(entry.currency_id, 0) + entry.signed
    matched = Match.objects.filter(undone_at__isnull=True, line__isnull=False).select_related("line")
    for match in matched:
        line = match.line
        assert line is not None
        truth = outside.get(line.key)
        # What a dispute costs is booked with the dispute. Adyen's lines have no id of their own: theirs are believed.
        fee = truth.fee if truth is not None else line.fee_minor
        if not (line.flow == "dispute" and match.item_id is not None):
            sums[line.currency] = sums.get(line.currency, 0) - fee
    return sums
