"""Working breaks off: those whose class has an automatic repair, class by class, within the caps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef

from reconciliation import breaks
from reconciliation.codes import CODES
from reconciliation.models import Break, Item, Match, ReconciliationRun, Source
from reconciliation.repairs import asking, booking, caps, proposing, returning

# At most so many breaks of a class in one go; the next round takes the rest.
BATCH: Final = 1000
_DERIVED: Final = ("B13",)


@dataclass(slots=True)
class Repaired:
    """What was done: how many breaks were booked, taken out of suspense, asked about, and left above a cap."""

    booked: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    identified: int = 0
    above_cap: dict[str, int] = field(default_factory=dict)

    @property
    def anything(self) -> bool:
        """Say whether there is something to look at again."""
        return bool(self.booked or self.asked or self.identified)


def work_off(run: ReconciliationRun, *, now: datetime) -> Repaired:
    """Repair what may be repaired about the breaks of a run's source; a transaction for each class.

    Idempotent: a journal is called after its break and line, and a question is asked once for each line.
    """
    done = Repaired()
    proposing.settle(run.source, run.book_id, now=now)
    with transaction.atomic():
        named = _named_since(run)
        done.identified = booking.release(run, named, now=now)
    # What was just named is matched in the next round.
    left_alone = {row.pk for row in named}
    assert run.source is not None
    for code, how in booking.BOOKINGS.items():
        if how.at_psp and run.source.side != Source.Side.PSP:
            continue
        with transaction.atomic():
            waiting = [row for row in _unresolved(run, code) if row.transaction_id is None and row.pk not in left_alone]
            allowed, above = caps.within(run.book_id, code, run.day, _provable(run, code, waiting))
            if allowed:
                done.booked[code] = booking.book(run, code, allowed, now=now)
            if above:
                done.above_cap[code] = len(above)
    with transaction.atomic():
        returned = returning.work(run, _unresolved(run, "B05"), now=now)
        if returned:
            done.booked["B05"] = done.booked.get("B05", 0) + returned
    for code, entry in CODES.items():
        if entry.automatic == "look_up":
            asked = asking.look_up(run, _unresolved(run, code), now=now)
            if asked:
                done.asked[code] = asked
        elif entry.automatic == "tag":
            for row in _unresolved(run, code):
                breaks.resolve(row.pk, actor="run", reason="booked into the open period", resolution="tagged", now=now)
    return done


def _unresolved(run: ReconciliationRun, code: str) -> list[Break]:
    """Return open breaks of a class, locked for as long as the caller's transaction lasts."""
    # Uses index: break_unresolved.
    rows = Break.objects.filter(source=run.source, code=code, state=Break.State.OPEN)
    with transaction.atomic():
        return list(rows.select_for_update(no_key=True).order_by("id")[:BATCH])


def _named_since(run: ReconciliationRun) -> list[Break]:
    """Return what waits in suspense and has an open item of the same object now."""
    matched = Match.objects.filter(item_id=OuterRef("pk"), undone_at__isnull=True)
    waiting = Break.objects.filter(
        source=run.source, code__in=[code for code, how in booking.BOOKINGS.items() if not how.resolves]
    )
    rows = list(waiting.exclude(state=Break.State.RESOLVED).filter(transaction__isnull=False)[:BATCH])
    references = {row.reference for row in rows}
    named = set(
        Item.objects.filter(source=run.source, reference__in=references)
        .exclude(Exists(matched))
        .values_list("reference", flat=True)
    )
    return [row for row in rows if row.reference in named]


def _provable(run: ReconciliationRun, code: str, found: Sequence[Break]) -> list[Break]:
    """Return those whose fact the statement proves. A payout without lines must be covered by what came before it."""
    if code not in _DERIVED:
        return list(found)
    return [row for row in found if asking.covers(run, row)]
