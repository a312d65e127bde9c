"""Books in the back office, with their trial balance and their periods."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from config import seam
from ledger import balances, exports
from ledger.admin import tree, turnover
from ledger.admin.downloads import SINCE, UNTIL, csv_file, day_of, last_month, verified
from ledger.admin.periods import SOFT_CLOSE, month_before, shown_status
from ledger.admin.reading import Link, Table
from ledger.admin.showing import badge, code, link_to, money, right
from ledger.admin.steps import Step, SteppingAdmin
from ledger.models import Book, Mode, Period

PERIODS = 24


@admin.register(Book)
class BookAdmin(SteppingAdmin):
    """A closed set of accounts."""

    list_display = ("name", "in_mode", "created_at")
    list_filter = ("mode",)
    fields = ("code", "in_mode", "created_at", "soft_closed_before", "closed_before")
    steps: ClassVar[tuple[Step, ...]] = (SOFT_CLOSE,)
    search_help_text = "Code of a book"

    def find(self, term: str) -> Q:
        """Find a book by its code."""
        return Q(code=term)

    @admin.display(description="Book")
    def name(self, book: Book) -> SafeString:
        """Show the code."""
        return code(book.code)

    @admin.display(description="Mode")
    def in_mode(self, book: Book) -> SafeString:
        """Show whether this is real money."""
        return badge(book.mode, "success" if book.mode == Mode.LIVE else "")

    def get_urls(self) -> list[URLPattern]:
        """Add the trial balance, the chart of accounts, the turnover and the general ledger."""
        view = self.admin_site.admin_view(self.trial_balance_view)
        name = "ledger_book_trial_balance"
        turnover_view = self.admin_site.admin_view(self.turnover_view)
        download = self.admin_site.admin_view(self.general_ledger_view)
        return [
            path("<path:object_id>/trial-balance/", view, name=name),
            path("<path:object_id>/tree/", self.admin_site.admin_view(self.tree_view), name="ledger_book_tree"),
            path("<path:object_id>/turnover/", turnover_view, name="ledger_book_turnover"),
            path("<path:object_id>/general-ledger.csv", download, name="ledger_book_general_ledger"),
            *super().get_urls(),
        ]

    def links(self, request: HttpRequest, obj: Book) -> Iterable[Link]:
        """Lead to the trial balance and the accounts, and to the close of a month for those who may."""
        accounts = reverse("admin:ledger_account_changelist")
        yield Link("Accounts", f"{accounts}?book={obj.pk}", "account_tree")
        yield Link("Trial balance", reverse("admin:ledger_book_trial_balance", args=[obj.pk]), "balance")
        yield Link("Chart of accounts", reverse("admin:ledger_book_tree", args=[obj.pk]), "lan")
        yield Link("Turnover", reverse("admin:ledger_book_turnover", args=[obj.pk]), "calendar_month")
        since, until = last_month(seam.now())
        address = reverse("admin:ledger_book_general_ledger", args=[obj.pk])
        period = f"{SINCE}={since.date()}&{UNTIL}={until.date()}"
        yield Link("General ledger of last month (CSV)", f"{address}?{period}", "download")
        yield from super().links(request, obj)

    def tables(self, _request: HttpRequest, obj: Book) -> Iterable[Table]:
        """Show the last periods."""
        rows = Period.objects.filter(book=obj).order_by("-ends_at")[:PERIODS]
        yield Table(
            "Periods",
            ("Until the end of", "State", "Changed", "By"),
            [
                (
                    link_to("ledger_period", row.pk, month_before(row.ends_at)),
                    shown_status(row),
                    row.changed_at,
                    row.changed_by,
                )
                for row in rows
            ],
        )

    def general_ledger_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Hand out every entry that is effective from the day `from` on and before `to` (last month) as CSV."""
        book: Book = self.viewable(request, object_id)
        since, until = last_month(seam.now())
        since, until = day_of(request, SINCE) or since, day_of(request, UNTIL) or until
        ledger = exports.general_ledger(book.pk, since=since, until=until)
        return csv_file(f"ledger-{book.code}-{since.date()}-{until.date()}", exports.HEADER, verified(ledger))

    def tree_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the children of a node of the chart of accounts, with the sums below each."""
        book: Book = self.viewable(request, object_id)
        return self.page(request, book, "admin/tables_page.html", tree.context_of(request, book))

    def turnover_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what moved on each account in a month."""
        book: Book = self.viewable(request, object_id)
        return self.page(request, book, "admin/tables_page.html", turnover.context_of(request, book))

    def trial_balance_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show every account's turnover and balance, and that debits equal credits in each currency."""
        book: Book = self.viewable(request, object_id)
        rows = balances.trial_balance(book.pk)
        totals: dict[str, list[int]] = {}
        for row in rows:
            total = totals.setdefault(row.currency, [0, 0])
            total[0] += row.debits
            total[1] += row.credits
        moved = [row for row in rows if row.debits or row.credits]
        shown = Table(
            "Accounts with entries",
            ("Account", "Type", right("Debits"), right("Credits"), right("Balance")),
            [
                (
                    link_to("ledger_account", row.account_id, code(row.code)),
                    row.type,
                    money(row.debits, row.currency),
                    money(row.credits, row.currency),
                    money(row.balance, row.currency),
                )
                for row in moved[: Table.LIMIT]
            ],
        )
        sums = Table(
            "Sums",
            ("Currency", right("Debits"), right("Credits"), right("Difference"), ""),
            [
                (
                    currency,
                    money(debit, currency),
                    money(credit, currency),
                    money(debit - credit, currency),
                    badge("in balance", "success") if debit == credit else badge("out of balance", "danger"),
                )
                for currency, (debit, credit) in sorted(totals.items())
            ],
        )
        context: dict[str, Any] = {"title": f"Trial balance of {book.code}", "tables": [sums, shown]}
        return self.page(request, book, "admin/tables_page.html", context)
