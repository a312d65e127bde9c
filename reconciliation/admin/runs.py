"""Runs in the back office: the verdict, the identities that prove it, what is pending, and the report to take away."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from config import seam
from ledger.admin.filters import BookFilter
from ledger.admin.reading import Link, ReadOnlyAdmin, Table, newest_books
from ledger.admin.showing import api_id, badge, code, grouped, link
from reconciliation import reports, verdicts
from reconciliation.admin import rows
from reconciliation.models import Identity, ReconciliationRun

Verdict = ReconciliationRun.Verdict
TONES = {
    Verdict.INCOMPLETE: "danger",
    Verdict.BREAKS: "danger",
    Verdict.WITH_WARNINGS: "warning",
    Verdict.WITH_PENDING: "success",
    Verdict.RECONCILED: "success",
}
SHOWN_FOR = timedelta(days=7)
LIMIT = 20


@admin.register(ReconciliationRun)
class RunAdmin(ReadOnlyAdmin):
    """One look at one source, or at the books, for one day."""

    prefix = "rec"
    list_display = ("identity", "of_source", "day", "ended", "in_state", "open_breaks", "book", "finished_at")
    list_filter = ("verdict", "state", BookFilter)
    select = ("source", "book")
    fields = ("identity", "of_source", "book", "day", "ended", "in_state", "why_incomplete", "error", "started_at",
              "finished_at")  # fmt: skip
    search_help_text = "rec_…, or a day such as 2026-03-29"

    def find(self, term: str) -> Q | None:
        """Find the runs of a day (uses index: a_day_of_a_source_is_one_run, book by book)."""
        return Q(book_id__in=newest_books(), day=term) if rows.is_day(term) else None

    def heading(self, obj: ReconciliationRun) -> str:
        """Return the title of a run's page."""
        return f"{obj.source.code if obj.source else 'Books'} on {obj.day}"

    def links(self, _request: HttpRequest, obj: ReconciliationRun) -> Iterable[Link]:
        """Offer the report as a page and as a spreadsheet."""
        for kind, icon in (("html", "description"), ("csv", "table_view")):
            address = reverse("admin:reconciliation_reconciliationrun_report", args=[obj.pk, kind])
            yield Link(f"Report as {kind.upper()}", address, icon)

    def get_urls(self) -> list[URLPattern]:
        """Add the report."""
        view = self.admin_site.admin_view(self.report_view)
        name = "reconciliation_reconciliationrun_report"
        return [path("<path:object_id>/report.<str:kind>", view, name=name), *super().get_urls()]

    def report_view(self, request: HttpRequest, object_id: str, kind: str) -> HttpResponse | StreamingHttpResponse:
        """Hand the report of a run out."""
        run = self.viewable(request, object_id)
        response: HttpResponse | StreamingHttpResponse
        if kind == "csv":
            response = StreamingHttpResponse(reports.spreadsheet(run), content_type="text/csv; charset=utf-8")
        else:
            response = HttpResponse(reports.page(run, today=seam.now().date()))
        name = f"{run.source.code if run.source else 'books'}-{run.day}".replace(":", "-")
        ending = "csv" if kind == "csv" else "html"
        response["Content-Disposition"] = f'attachment; filename="reconciliation-{name}.{ending}"'
        return response

    def tables(self, _request: HttpRequest, obj: ReconciliationRun) -> Iterable[Table]:
        """Show the identities with their terms, what is pending, and the breaks."""
        for one in Identity.objects.filter(run=obj).order_by("name", "currency"):
            yield _identity(one)
        pending = obj.counts.get("pending", [])
        if pending:
            yield Table(
                "Pending: no breaks yet",
                ("What", "Count", "Amount", "Becomes a break on"),
                [
                    (p["flow"], p["count"], f"{grouped(p['amount'], p['currency'])} {p['currency']}", p["break_on"])
                    for p in pending
                ],
            )
        found = verdicts.unresolved(obj).select_related("source").order_by("priority", "code", "pk")
        yield rows.breaks("Unresolved breaks of this source now", found[: Table.LIMIT])

    @admin.display(description="Run")
    def identity(self, row: ReconciliationRun) -> SafeString:
        """Show the public id."""
        return api_id("rec", row.public_id)

    @admin.display(description="Source")
    def of_source(self, row: ReconciliationRun) -> SafeString:
        """Show the source."""
        return code(row.source.code if row.source else "books")

    @admin.display(description="Verdict")
    def ended(self, row: ReconciliationRun) -> SafeString | str:
        """Show the verdict."""
        return badge(row.verdict, TONES[Verdict(row.verdict)]) if row.verdict else "-"

    @admin.display(description="State")
    def in_state(self, row: ReconciliationRun) -> str:
        """Show the state."""
        return row.get_state_display()

    @admin.display(description="Breaks")
    def open_breaks(self, row: ReconciliationRun) -> str:
        """Show the breaks by class as they were when it ended."""
        return ", ".join(f"{count} {name}" for name, count in row.counts.get("breaks", {}).items()) or "-"

    @admin.display(description="Incomplete because")
    def why_incomplete(self, row: ReconciliationRun) -> str:
        """Say what is missing or left over."""
        return "; ".join(row.counts.get("incomplete", [])) or "-"


def _identity(one: Identity) -> Table:
    currency = one.currency_id
    state = "holds" if one.residual_minor == 0 else f"{grouped(one.residual_minor, currency)} left over"
    terms = [
        (term["what"], term["count"] or "", f"{grouped(term['amount'], currency)} {currency}", term.get("differs", ""))
        for term in one.terms
    ]
    ends = [
        ("left side", "", f"{grouped(one.left_minor, currency)} {currency}", ""),
        ("right side", "", f"{grouped(one.right_minor, currency)} {currency}", ""),
    ]
    title = f"{one.get_name_display()}, {currency}: {state if one.proven else 'nothing declares it'}"
    return Table(title, ("Term", "Count", "Amount", "Differ"), [*terms, *ends])


# Uses index: reconciliation_run_by_book.
def incomplete() -> Table:
    """Return the runs of the last days that ended incomplete, or failed."""
    found = (
        ReconciliationRun.objects.filter(day__gte=(seam.now() - SHOWN_FOR).date())
        .filter(Q(verdict=Verdict.INCOMPLETE) | Q(state=ReconciliationRun.State.FAILED))
        .select_related("source", "book")
        .order_by("-pk")
    )
    return Table(
        "Nights that are incomplete: a statement is missing, or something is left over",
        ("Run", "Source", "Book", "Day", "Why"),
        [
            (
                link(row, api_id("rec", row.public_id)),
                row.source.code if row.source else "books",
                row.book.code,
                row.day,
                "; ".join(row.counts.get("incomplete", [])) or row.error,
            )
            for row in found[:LIMIT]
        ],
    )
