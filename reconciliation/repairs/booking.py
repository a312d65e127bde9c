"""Repairs that book: each is a journal that the statement proves, with the match that takes its lines out of the open.

A booking is made for breaks of one class at one source, all in one call of the ledger. What was only put into suspense
stays open, in front of a person; everything else is resolved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Sum

from ledger.ids import public_id
from reconciliation import matching, postings
from reconciliation.models import Break, BreakEvent, Item, Match, ReconciliationRun, Source, StatementLine
from wallet import movements
from wallet.movements import Heading, Movement

_REPAIRED: Final = "repaired"
IDENTIFIED: Final = "identified"


@dataclass(frozen=True, slots=True)
class Case:
    """A break that is to be booked, with its lines, the heading of its journal, and the source it is about."""

    found: Break
    lines: Sequence[StatementLine]
    heading: Heading
    source: Source
    # What of the lines our books have already: the items that the break names.
    expected_minor: int = 0

    @property
    def gross_minor(self) -> int:
        """Return what the lines changed, before fees: those are booked with the match."""
        return sum(line.gross_minor for line in self.lines)

    @property
    def unnamed_minor(self) -> int:
        """Return what of that nobody can name: of a payment that was charged twice, one charge is ours."""
        return self.gross_minor - self.expected_minor


@dataclass(frozen=True, slots=True)
class Booking:
    """How a class is booked. `rule` is that of the matches; `resolves` is False for what waits in suspense.

    `at_psp` says that it is booked so at PSPs only.
    """

    movement: Callable[[Case], Movement | None]
    rule: Match.Rule
    resolution: str
    resolves: bool = True
    at_psp: bool = False


def place_of(source: Source) -> str:
    """Return the place of our money at a source, as the chart of accounts has it without the currency."""
    if source.side == Source.Side.PSP:
        return f"psp:{postings.psp_code(source)}:clearing"
    return f"bank:{source.bank_name}"


def _suspended(case: Case) -> Movement | None:
    if not case.unnamed_minor:
        return None
    return movements.suspend(case.heading, place=place_of(case.source), amount=case.unnamed_minor)


def _fee(case: Case) -> Movement | None:
    if not case.gross_minor:
        return None  # all of it is in the fee, which is booked with the match
    if case.source.side == Source.Side.PSP:
        return movements.psp_fee(case.heading, psp_account=postings.psp_code(case.source), amount=-case.gross_minor)
    return movements.bank_charge(case.heading, bank=case.source.bank_name, amount=-case.gross_minor)


def _rounding(case: Case) -> Movement | None:
    return movements.psp_rounding(
        case.heading, psp_account=postings.psp_code(case.source), amount=case.found.amount_minor
    )


def _payout(case: Case) -> Movement | None:
    return movements.psp_payout(case.heading, psp_account=postings.psp_code(case.source), amount=-case.gross_minor)


SUSPENSE: Final = Booking(_suspended, Match.Rule.BREAK, "suspended", resolves=False)
BOOKINGS: Final = {
    "A02": SUSPENSE,
    "A09": SUSPENSE,
    "B04": SUSPENSE,
    "A11": Booking(_fee, Match.Rule.POSTED, "booked"),
    "B07": Booking(_fee, Match.Rule.POSTED, "booked"),
    "C03": Booking(_fee, Match.Rule.POSTED, "booked"),
    "C01": Booking(_rounding, Match.Rule.TOLERANCE, "rounding booked", at_psp=True),
    "B05": Booking(_payout, Match.Rule.POSTED, "return booked", at_psp=True),
    "B13": Booking(_payout, Match.Rule.POSTED, "derived", at_psp=True),
}


def book(run: ReconciliationRun, code: str, found: Sequence[Break], *, now: datetime) -> int:
    """Book breaks of one class in the caller's transaction; return how many. Idempotent by break and line."""
    assert run.source is not None
    booking = BOOKINGS[code]
    lines = _lines_of(found)
    times = _times_named(found)
    cases = [_case(run.source, row, lines, times[row.pk], now=now) for row in found]
    ready = [(case, booking.movement(case)) for case in cases if case.lines]
    # A journal of nothing is none: its lines are matched all the same.
    posted = iter(postings.record([made for _, made in ready if made is not None], now=now))
    done = [(case, next(posted) if made is not None else None) for case, made in ready]
    _match(run, [case.found for case, _ in done], booking)
    for case, transaction_id in done:
        row = case.found
        row.transaction_id = transaction_id
        if booking.resolves:
            row.state, row.resolution, row.resolved_at = Break.State.RESOLVED, booking.resolution, now
    Break.objects.bulk_update(
        [case.found for case, _ in done], ["transaction", "state", "resolution", "resolved_at"], batch_size=1000
    )
    _tell(run, [(case.found, _REPAIRED, booking.resolution) for case, _ in done], now=now)
    return len(done)


def release(run: ReconciliationRun, found: Sequence[Break], *, now: datetime) -> int:
    """Take breaks out of suspense whose money has been named since; return how many.

    Their lines are open again, and are matched with what named them. In the caller's transaction.
    """
    assert run.source is not None
    lines = _lines_of(found)
    times = _times_named(found)
    made = []
    for row in found:
        case = _case(run.source, row, lines, times[row.pk], now=now)
        if case.unnamed_minor:
            made.append(movements.identify(case.heading, place=place_of(run.source), amount=case.unnamed_minor))
    postings.record(made, now=now)
    ids = [line for row in found for line in row.line_ids]
    Match.objects.filter(line_id__in=ids, undone_at__isnull=True, rule=Match.Rule.BREAK).update(
        undone_at=now, undone_by=postings.ACTOR, note="it was found out what it is"
    )
    Break.objects.filter(pk__in=[row.pk for row in found]).update(transaction=None)
    _tell(run, [(row, IDENTIFIED, row.reference) for row in found], now=now)
    return len(found)


def _times_named(found: Sequence[Break]) -> Counter[int]:
    """Return how often each break was taken out of suspense: what goes in again is another journal."""
    ids = [row.pk for row in found]
    told = BreakEvent.objects.filter(break_found_id__in=ids, what=IDENTIFIED)
    return Counter(told.values_list("break_found_id", flat=True))


def _case(source: Source, row: Break, lines: dict[int, StatementLine], times: int, *, now: datetime) -> Case:
    own = [lines[line] for line in row.line_ids if line in lines]
    day = min((line.booked_on for line in own), default=row.break_on)
    # The line is in the name: a break that comes back with another line is another booking.
    subject = f"{public_id('brk', row.public_id)}:{max(row.line_ids, default=0)}:{times}"
    assert row.currency_id is not None
    expected = (
        Item.objects.filter(pk__in=row.item_ids).aggregate(total=Sum("amount_minor"))["total"] if row.item_ids else 0
    )
    heading = postings.heading_of(source, subject, row.currency_id, day, now=now)
    return Case(row, own, heading, source, int(expected or 0))


def _lines_of(found: Sequence[Break]) -> dict[int, StatementLine]:
    return StatementLine.objects.in_bulk([line for row in found for line in row.line_ids])


def _match(run: ReconciliationRun, found: Sequence[Break], booking: Booking) -> None:
    rows = []
    for row in found:
        group = min(row.line_ids)
        about = {
            "source_id": run.source_id,
            "run": run,
            "rule": booking.rule,
            "rules_version": matching.RULES_VERSION,
            "group": group,
            "actor": postings.ACTOR,
        }
        rows += [Match(line_id=line, **about) for line in row.line_ids]
        rows += [Match(item_id=item, **about) for item in row.item_ids]
    Match.objects.bulk_create(rows, batch_size=5000)


def _tell(run: ReconciliationRun, told: Sequence[tuple[Break, str, str]], *, now: datetime) -> None:
    BreakEvent.objects.bulk_create(
        [
            BreakEvent(break_found=row, what=what, code=row.code, actor=postings.ACTOR, run=run, detail=detail, at=now)
            for row, what, detail in told
        ],
        batch_size=1000,
    )
