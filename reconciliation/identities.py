"""The four closing identities of a run, per currency: each holds when nothing is left over.

- *Bridge*: the lines of the statement are the entries of the books, but for differences that each have a name: a line
  or an item in a break, an item that may still be missing, a rounding within its cap, fees and payouts of the source
  that are not booked yet, journals that people approved.
- *Open items*: what is open is what was open before, and what came, less what was closed.
- *Balance*: the balance that the source declares is the one of the books, but for the same differences.
- *Sub-ledger*: accounts that follow objects hold what those objects say (`reconciliation/sub_ledger.py`).

A zero net proves nothing, so a difference counts as explained only by a row that names it; what no row names stays in
the residual, and the run is INCOMPLETE. Nothing is repaired or posted here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from django.db import connection

from reconciliation import account_sums, closing_sums, postings, sub_ledger
from reconciliation.account_sums import Balance, Posted
from reconciliation.closing_sums import Items, Lines, Matched, Sum
from reconciliation.models import Identity, ReconciliationRun, SettlementFile, Source

Name = Identity.Name
# Differences inside matches that a rule or a person allows; those of the other rules must be zero.
_ALLOWED: Final = ("tolerance", "break", "person")


@dataclass(slots=True)
class Explained:
    """The right side of an identity, term by term; terms of nothing are left out."""

    terms: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0

    def add(self, what: str, amount: int, count: int = 0) -> None:
        """Add a term."""
        self.total += amount
        if amount or count:
            self.terms.append({"what": what, "count": count, "amount": amount})


def close(run: ReconciliationRun, *, now: datetime) -> list[Identity]:
    """Write the identities of a run anew, from what the caller's snapshot shows; return them.

    Also leaves in `run.counts["closing"]` what the next run starts from; the caller saves the run. Idempotent.
    """
    assert connection.in_atomic_block, "identities are read in one snapshot"
    del now
    found = _of_the_book(run) if run.source is None else _of_a_source(run, run.source)
    Identity.objects.filter(run=run).delete()
    return Identity.objects.bulk_create(found)


def before(run: ReconciliationRun) -> ReconciliationRun | None:
    """Return the finished run of the same source that a run goes on from: that of the last day before."""
    # Uses index: a_day_of_a_source_is_one_run.
    return (
        ReconciliationRun.objects.filter(
            book_id=run.book_id,
            source=run.source,
            day__lt=run.day,
            state=ReconciliationRun.State.FINISHED,
            counts__has_key="closing",
        )
        .order_by("-day")
        .first()
    )


def _of_a_source(run: ReconciliationRun, source: Source) -> list[Identity]:
    lines = closing_sums.lines(source, day=run.day)
    items = closing_sums.items(source, day=run.day)
    matched = closing_sums.matched(source, booked_to=postings.booked_to(source))
    posted = account_sums.posted(source)
    books = account_sums.books(source)
    unbooked = account_sums.unbooked(source, day=run.day) if source.side == Source.Side.BANK else {}
    found = []
    for currency in sorted(lines.keys() | items.keys() | books.keys()):
        own = _Currency(
            source,
            currency,
            run.day,
            lines.get(currency, Lines()),
            items.get(currency, Items()),
            matched.get(currency, Matched()),
            posted.get(currency, Posted()),
            books.get(currency, Balance()),
            unbooked.get(currency, {}),
        )
        bridge = own.differences()
        found.append(_identity(run, Name.BRIDGE, currency, own.lines.all.amount, own.bridge(bridge)))
        found.append(_balance(run, own, bridge))
    found += _open_items(run, source, lines, items, matched)
    found += [
        _identity(run, Name.SUB_LEDGER, currency, proof.in_books, _proved(proof))
        for currency, proof in sub_ledger.of_source(source).items()
    ]
    return found


def _of_the_book(run: ReconciliationRun) -> list[Identity]:
    return [
        _identity(run, Name.SUB_LEDGER, currency, proof.in_books, _proved(proof))
        for currency, proof in sub_ledger.of_book(run.book_id).items()
    ]


@dataclass(frozen=True, slots=True)
class _Currency:
    """A source in one currency, with all its sums."""

    source: Source
    currency: str
    day: date
    lines: Lines
    items: Items
    matched: Matched
    posted: Posted
    books: Balance
    unbooked: dict[str, Sum]

    def differences(self) -> Explained:
        """Return what explains that the statement and the books differ: what the one has and the other has not."""
        return self._of_a_bank() if self.source.side == Source.Side.BANK else self._of_a_psp()

    def _of_a_psp(self) -> Explained:
        right, lines, items = Explained(), self.lines, self.items
        right.add("lines in breaks", lines.open_in_breaks.amount, lines.open_in_breaks.count)
        right.add("items in breaks", -items.open_in_breaks.amount, items.open_in_breaks.count)
        right.add("items not due yet", -items.open_waiting.amount, items.open_waiting.count)
        for rule in _ALLOWED:
            difference = self.matched.differences.get(rule, Sum())
            right.add(f"differences allowed by {rule}", difference.amount, difference.count if difference.amount else 0)
        in_breaks = self.matched.posted_in_breaks
        right.add("lines booked with their break", in_breaks.amount, in_breaks.count)
        for waiting in (lines.open_payouts, self.matched.posted_unbooked):
            right.add("lines not booked yet", waiting.amount, waiting.count)
        right.add("fees not booked yet", -(lines.fees - items.fees - self.matched.fees_booked))
        self._add_breaks(right)
        return right

    def _of_a_bank(self) -> Explained:
        right = Explained()
        for where, what in (("break", "lines in breaks"), ("matched", "lines not booked yet")):
            total = self.unbooked.get(where, Sum())
            right.add(what, total.amount, total.count)
        self._add_breaks(right)
        return right

    def _add_breaks(self, right: Explained) -> None:
        """Take back what was posted about breaks: no more of it than the break is about."""
        about = account_sums.explained_by(list(self.posted.of_breaks))
        explained, count = 0, 0
        for break_id, moved in self.posted.of_breaks.items():
            limit = about.get(break_id, 0)
            if min(0, limit) <= moved.amount <= max(0, limit):
                explained, count = explained + moved.amount, count + moved.count
        right.add("journals about breaks", -explained, count)

    def bridge(self, differences: Explained) -> Explained:
        """Return the lines as the books explain them."""
        right = Explained()
        right.add("in the books", self.books.now)
        right.add("in the books before the first day", -self.books.at_start)
        right.add("journals of people", -self.posted.of_people.amount, self.posted.of_people.count)
        for term in differences.terms:
            right.add(**term)
        return right


def _balance(run: ReconciliationRun, own: _Currency, differences: Explained) -> Identity:
    """Compare the balance that the source declares with that of the books and the differences that are explained."""
    right = Explained()
    right.add("in the books", own.books.now)
    for term in differences.terms:
        right.add(**term)
    declared = _declared(own.source, own.currency, day=run.day)
    if declared is None:
        return _identity(run, Name.BALANCE, own.currency, right.total, right, proven=False)
    closing, last_day = declared
    later = account_sums.after(own.source, own.currency, after=last_day, day=run.day)
    right.add(f"lines after {last_day.isoformat()}, the day of the declared balance", -later)
    return _identity(run, Name.BALANCE, own.currency, closing, right)


def _declared(source: Source, currency: str, *, day: date) -> tuple[int, date] | None:
    """Return the last balance that a statement declares until a day, and the day that it is of."""
    # Uses index: settlement_file_by_identity.
    files = SettlementFile.objects.filter(
        source=source, state=SettlementFile.State.INGESTED, last_day__lte=day, declared__has_key=currency
    )
    for file in files.order_by("-last_day", "-pk")[:10]:
        closing = file.declared[currency].get("closing")
        if closing is not None and file.last_day is not None:
            return int(closing), file.last_day
    return None


def _open_items(
    run: ReconciliationRun,
    source: Source,
    lines: dict[str, Lines],
    items: dict[str, Items],
    matched: dict[str, Matched],
) -> list[Identity]:
    """Follow what is open from the run before to this one, without signs: what cancels out is open all the same."""
    earlier = before(run)
    base = _Base() if earlier is None else _Base(**earlier.counts.get("closing", {}))
    came = closing_sums.came(source, line=base.line, item=base.item)
    found, totals = [], {}
    for currency in sorted(lines.keys() | items.keys() | base.totals.keys()):
        own_lines, own_items = lines.get(currency, Lines()), items.get(currency, Items())
        is_open = own_lines.open_absolute + own_items.open_absolute
        total = {
            "open": is_open,
            "later": own_lines.later_absolute,
            "replaced": own_lines.replaced_absolute,
            "matched": matched.get(currency, Matched()).absolute,
        }
        was = base.totals.get(currency, dict.fromkeys(total, 0))
        right = Explained()
        right.add("open before", was["open"])
        for kind in ("line", "item"):
            new = came.get((kind, currency), Sum())
            right.add(f"{kind}s that came", new.amount, new.count)
        right.add("lines whose day came", was["later"] - total["later"])
        right.add("lines replaced by a revision", was["replaced"] - total["replaced"])
        right.add("lines and items matched", was["matched"] - total["matched"])
        found.append(_identity(run, Name.OPEN_ITEMS, currency, is_open, right))
        totals[currency] = total
    run.counts["closing"] = {**closing_sums.newest(source), "totals": totals}
    return found


@dataclass(frozen=True, slots=True)
class _Base:
    """What the run before left behind: the newest line and item that it saw, and its totals by currency."""

    line: int = 0
    item: int = 0
    totals: dict[str, dict[str, int]] = field(default_factory=dict)


def _proved(proof: sub_ledger.Proof) -> Explained:
    right = Explained(terms=list(proof.terms))
    right.total = proof.by_objects
    return right


def _identity(
    run: ReconciliationRun, name: Identity.Name, currency: str, left: int, right: Explained, *, proven: bool = True
) -> Identity:
    return Identity(
        run=run,
        name=name,
        currency_id=currency,
        left_minor=left,
        right_minor=right.total,
        terms=right.terms,
        proven=proven,
    )


def unclosed(found: Iterable[Identity]) -> list[Identity]:
    """Return the identities that do not hold."""
    return [identity for identity in found if identity.residual_minor != 0]
