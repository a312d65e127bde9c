"""Accounts in the back office, with their statement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from ledger import balances, exports, statements
from ledger.admin.downloads import SINCE, UNTIL, csv_file, day_of
from ledger.admin.filters import BookFilter
from ledger.admin.reading import AFTER, BEFORE, Link, ReadOnlyAdmin, key_of, newest_books
from ledger.admin.showing import badge, code, link_to, money, sided
from ledger.models import Account, Balance, PostingMode

LINES = 50


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """An account of one book. Its balance is on its own page only: a list of them would sum all entries."""

    list_display = ("name", "type", "currency", "taking", "book", "closed_at")
    list_filter = (BookFilter, "type", "mode")
    select = ("book", "currency")
    fieldsets = (
        (None, {"fields": ("code", "book", "type", "currency", "taking", "created_at", "closed_at")}),
        ("Balance", {"fields": ("balance", "debits", "credits", "lowest")}),
    )
    search_help_text = "Whole code of an account"

    def find(self, term: str) -> Q:
        """Find accounts by code (uses index: account_code_is_unique_in_its_book, book by book)."""
        return Q(book_id__in=newest_books(), code=term)

    def heading(self, obj: Account) -> str:
        """Return the title of an account's page."""
        return f"Account {obj.code}"

    @admin.display(description="Account")
    def name(self, account: Account) -> SafeString:
        """Show the code."""
        return code(account.code)

    @admin.display(description="Posting")
    def taking(self, account: Account) -> SafeString:
        """Show how the account takes entries."""
        return badge(account.mode, "info" if account.mode == PostingMode.AUTHORIZING else "")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Read the exact balance with the account: one statement more."""
        account = super().get_object(request, object_id, from_field)
        if account is not None:
            account.read = balances.of_accounts([account.pk])[account.pk]
        return account

    @admin.display(description="Balance")
    def balance(self, account: Any) -> SafeString:
        """Show the balance, positive on the account's normal side."""
        return money(account.read.balance, account.currency_id)

    @admin.display(description="Debits so far")
    def debits(self, account: Any) -> SafeString:
        """Show the sum of all debits."""
        return money(account.read.debits, account.currency_id)

    @admin.display(description="Credits so far")
    def credits(self, account: Any) -> SafeString:
        """Show the sum of all credits."""
        return money(account.read.credits, account.currency_id)

    @admin.display(description="Floor")
    def lowest(self, account: Account) -> SafeString | str:
        """Show how far the balance may fall."""
        row = Balance.objects.filter(pk=account.pk).first()
        return "none" if row is None or row.floor is None else money(row.floor, account.currency_id)

    def get_urls(self) -> list[URLPattern]:
        """Add the statement."""
        view = self.admin_site.admin_view(self.statement_view)
        download = self.admin_site.admin_view(self.download_view)
        return [
            path("<path:object_id>/statement/", view, name="ledger_account_statement"),
            path("<path:object_id>/statement.csv", download, name="ledger_account_statement_csv"),
            *super().get_urls(),
        ]

    def links(self, _request: HttpRequest, obj: Account) -> Iterable[Link]:
        """Lead to the statement."""
        return (Link("Statement", reverse("admin:ledger_account_statement", args=[obj.pk]), "receipt_long"),)

    def statement_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show a page of the account's entries with the balance before, after each and after the last."""
        account: Account = self.viewable(request, object_id)
        before, after = key_of(request, BEFORE), key_of(request, AFTER)
        basis: balances.Basis = "effective" if request.GET.get("basis") == "effective" else "posted"
        place = {"after": after} if after is not None else {"before": before}
        read = statements.statement(account, **place, basis=basis, limit=LINES)
        currency = account.currency_id
        lines = [
            (
                line.effective_at,
                link_to("ledger_transaction", line.transaction_id, line.kind.replace("_", " ")),
                code(line.reference),
                *sided(line.side, line.amount, currency),
                money(line.balance, currency),
            )
            for line in read.lines
        ]
        context = {
            "title": f"Statement of {account.code}",
            "opening": money(read.opening, currency),
            "closing": money(read.closing, currency),
            "lines": lines,
            "older": f"?basis={basis}&{BEFORE}={read.older}" if read.older is not None else "",
            "newer": f"?basis={basis}&{AFTER}={read.newer}" if read.newer is not None else "",
            "basis": basis,
            "download": reverse("admin:ledger_account_statement_csv", args=[account.pk]) + f"?basis={basis}",
        }
        return self.page(request, account, "admin/statement.html", context)

    def download_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Hand out the statement as CSV: of the whole account, or of the days `from` (included) to `to` (not)."""
        account: Account = self.viewable(request, object_id)
        since, until = day_of(request, SINCE), day_of(request, UNTIL)
        basis: balances.Basis = "effective" if request.GET.get("basis") == "effective" else "posted"
        rows = exports.statement_rows(account, since=since, until=until, basis=basis)
        return csv_file(f"statement-{account.code}", exports.STATEMENT_HEADER, rows)
