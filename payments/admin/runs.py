"""Daily runs and stops of payouts in the back office: a dead run can be tried again, a stop can be lifted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ledger.admin.filters import BookFilter
from ledger.admin.showing import badge, code, pretty
from payments import payout_stops, runs
from payments.admin.repairing import Repair, RepairableAdmin
from payments.admin.states import state
from payments.models import PayoutStop, Run


class WorkFilter(admin.SimpleListFilter):
    """By what became of the run."""

    title = "work"
    parameter_name = "work"
    _CONDITIONS = {
        "dead": ("Given up", Q(dead_at__isnull=False)),
        "due": ("Waiting", Q(due_at__isnull=False)),
        "done": ("Finished", Q(finished_at__isnull=False)),
    }

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, str]]:
        """Offer the three ends."""
        return [(name, title) for name, (title, _) in self._CONDITIONS.items()]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the chosen ones."""
        chosen = self._CONDITIONS.get(str(self.value()))
        return queryset.filter(chosen[1]) if chosen else queryset


@admin.register(Run)
class RunAdmin(RepairableAdmin):
    """What is done once a day."""

    list_display = ("identity", "period", "book", "in_state", "tries", "due_at", "finished_at")
    list_filter = (WorkFilter, BookFilter)
    select = ("book",)
    heavy = ("result",)
    fieldsets = (
        (None, {"fields": ("kind", "period", "book", "in_state", "error")}),
        ("Work", {"fields": ("due_at", "lease_until", "tries", "dead_at", "finished_at")}),
        ("What came of it", {"fields": ("outcome",)}),
    )
    search_help_text = "Period, such as 2026-03-29"
    repair = Repair(
        name="revive",
        title="Try again",
        question="The run starts over. Look at its error first: without a new cause it fails again.",
        done="The run starts within seconds.",
        icon="replay",
        run=runs.revive,
        applies=lambda run: run.dead_at is not None,
    )

    def find(self, term: str) -> Q:
        """Find the runs of a period (uses index: one_run_per_kind_book_and_period, kind by kind)."""
        return Q(kind__in=list(runs.registry.kinds), period=term)

    def heading(self, obj: Run) -> str:
        """Return the title of a run's page."""
        return f"{obj.kind.replace('_', ' ').capitalize()} of {obj.period}"

    @admin.display(description="Run")
    def identity(self, row: Run) -> SafeString:
        """Show the kind."""
        return code(row.kind)

    @admin.display(description="Work")
    def in_state(self, row: Run) -> SafeString | str:
        """Show what became of it."""
        if row.dead_at is not None:
            return state("dead")
        return state("processed" if row.finished_at is not None else "waiting")

    @admin.display(description="Result")
    def outcome(self, row: Run) -> SafeString:
        """Show what the run returned."""
        return pretty(row.result)


class OpenFilter(admin.SimpleListFilter):
    """Only the stops that hold (uses index: one_open_payout_stop_per_book)."""

    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, str]]:
        """Offer one choice."""
        return [("open", "Not lifted")]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those that hold."""
        return queryset.filter(lifted_at__isnull=True) if self.value() == "open" else queryset


@admin.register(PayoutStop)
class PayoutStopAdmin(RepairableAdmin):
    """Why a book pays nothing out."""

    list_display = ("identity", "book", "in_state", "reason", "since", "lifted_by", "lifted_at")
    list_filter = (OpenFilter, BookFilter)
    select = ("book",)
    fieldsets = (
        (None, {"fields": ("book", "in_state", "reason", "detail", "since", "stopped_by")}),
        ("Lifted", {"fields": ("lifted_at", "lifted_by", "note")}),
    )
    search_help_text = "Code of a book"
    repair = Repair(
        name="lift",
        title="Lift the stop",
        question="The book pays out again. Lift it only when the cause is corrected and verify_books is clean: "
        "otherwise the next check stops it again. Your name and what you write are kept.",
        done="The stop is lifted: the book pays out again within seconds.",
        icon="lock_open",
        run=payout_stops.lift,
        applies=lambda stop: stop.lifted_at is None,
        note="What was found, and what was done about it?",
    )

    def find(self, term: str) -> Q:
        """Find the stops of a book."""
        return Q(book__code=term)

    def heading(self, obj: PayoutStop) -> str:
        """Return the title of a stop's page."""
        return f"Payout stop of {obj.book.code}"

    @admin.display(description="Stop")
    def identity(self, row: PayoutStop) -> SafeString:
        """Show the number."""
        return code(str(row.pk))

    @admin.display(description="State")
    def in_state(self, row: PayoutStop) -> SafeString:
        """Show whether it holds."""
        return badge("payouts stopped", "danger") if row.lifted_at is None else badge("lifted", "success")
