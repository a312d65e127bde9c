"""Checks of the books in the back office: when they ran, how far, and what they found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ledger.admin.reading import ReadOnlyAdmin, Table
from ledger.admin.showing import badge, code, link_to
from ledger.models import CheckRun


class FindingsFilter(admin.SimpleListFilter):
    """Only the checks that found something (uses index: check_run_with_findings)."""

    title = "findings"
    parameter_name = "findings"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, str]]:
        """Offer one choice."""
        return [("some", "Found something")]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those that found something."""
        return queryset.filter(violations__gt=0) if self.value() == "some" else queryset


@admin.register(CheckRun)
class CheckRunAdmin(ReadOnlyAdmin):
    """A check that was made."""

    list_display = ("identity", "kind", "verdict", "transactions", "through_entry", "started_at", "finished_at")
    list_filter = ("kind", FindingsFilter)
    heavy = ("findings",)
    fields = ("kind", "verdict", "transactions", "through_entry", "started_at", "finished_at")
    search_help_text = "Number of a check"

    def find(self, term: str) -> Q | None:
        """Find a check by its number."""
        return Q(pk=int(term)) if term.isascii() and term.isdigit() and len(term) <= 18 else None

    def heading(self, obj: CheckRun) -> str:
        """Return the title of a check's page."""
        return f"Check {obj.pk}"

    @admin.display(description="Check")
    def identity(self, row: CheckRun) -> SafeString:
        """Show the number."""
        return code(str(row.pk))

    @admin.display(description="Result")
    def verdict(self, row: CheckRun) -> SafeString:
        """Show whether the books agreed."""
        return badge(f"{row.violations} violations", "danger") if row.violations else badge("in order", "success")

    def tables(self, _request: HttpRequest, obj: CheckRun) -> Iterable[Table]:
        """Show what was found."""
        if obj.findings:
            yield Table(
                "What was found" if obj.violations <= len(obj.findings) else f"The first of {obj.violations} findings",
                ("Check", "What is wrong", "Book"),
                [
                    (
                        code(found["check"]),
                        found["detail"],
                        link_to("ledger_book", found["book"], found["book"]) if found["book"] else "-",
                    )
                    for found in obj.findings
                ],
            )
