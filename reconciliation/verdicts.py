"""The verdict of a run: from worst to best, and only the last one is green.

A run is incomplete when a statement that must be there is not, when one was refused, or when an identity leaves
something over: what it says of breaks may then be wrong. Pure but for counting breaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from django.db.models import Count, QuerySet

from ledger.money import format_minor
from payments import calendars
from payments.models import MerchantBook
from reconciliation import identities, statement_checks
from reconciliation.models import Break, Identity, Item, ReconciliationRun, SettlementFile, Source, StatementLine

Verdict = ReconciliationRun.Verdict


def of(run: ReconciliationRun, found: Sequence[Identity], *, incomplete: Sequence[str], pending: int) -> Verdict:
    """Return the verdict of a run from its identities, what is missing, its unresolved breaks and what is pending."""
    if incomplete:
        return Verdict.INCOMPLETE
    priorities = set(unresolved(run).values_list("priority", flat=True).distinct())
    if priorities - {Break.Priority.TO_INVESTIGATE}:
        return Verdict.BREAKS
    if priorities or not all(identity.proven for identity in found):
        return Verdict.WITH_WARNINGS
    return Verdict.WITH_PENDING if pending else Verdict.RECONCILED


def unresolved(run: ReconciliationRun) -> QuerySet[Break]:
    """Return the unresolved breaks of a run's source, or of the books."""
    # Uses index: break_unresolved, or break_by_state.
    return Break.objects.filter(book_id=run.book_id, source=run.source).exclude(state=Break.State.RESOLVED)


def breaks_by_code(run: ReconciliationRun) -> dict[str, int]:
    """Return how many breaks of each code are unresolved."""
    rows = unresolved(run).values_list("code").annotate(Count("pk")).order_by("code")
    return dict(rows)


def what_is_incomplete(run: ReconciliationRun, found: Sequence[Identity]) -> list[str]:
    """Say in words what keeps a run from being complete."""
    said = [
        f"{one.name} leaves {format_minor(one.residual_minor, one.currency_id)} {one.currency_id} over"
        for one in identities.unclosed(found)
    ]
    if run.source is not None:
        if not _is_covered(run.source, run.day) and _is_expected(run.source, run.day):
            said.append(f"no statement of {run.day.isoformat()}")
        said += [f"{file.name or 'a file'} was refused" for file in statement_checks.refused(run.source)]
    return said


def _is_covered(source: Source, day: date) -> bool:
    """Say whether a statement reaches over a day, or has a line of it."""
    files = SettlementFile.objects.filter(
        source=source, state=SettlementFile.State.INGESTED, first_day__lte=day, last_day__gte=day
    )
    return files.exists() or StatementLine.objects.filter(source=source, booked_on=day).exists()


def _is_expected(source: Source, day: date) -> bool:
    """Say whether there must be a statement: of a PSP when something happened, of a bank on its business days."""
    terms = MerchantBook.objects.only("business_calendar", "time_zone").get(pk=source.book_id)
    if source.side == Source.Side.BANK:
        is_read = bool(source.location) or source.files.exists()
        return is_read and calendars.is_business_day(day, terms.business_calendar)
    starts, ends = calendars.bounds(day, terms.time_zone)
    return Item.objects.filter(source=source, occurred_at__gte=starts, occurred_at__lt=ends).exists()
