"""Transactions and entries in the back office."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ledger.admin.filters import BookFilter, PeriodByIdFilter
from ledger.admin.reading import ReadOnlyAdmin, Table, newest_books
from ledger.admin.showing import api_id, badge, code, link, money, right, sided
from ledger.models import Entry, Side, Transaction


@admin.register(Transaction)
class TransactionAdmin(ReadOnlyAdmin):
    """A journal with its legs."""

    prefix = "txn"
    list_display = ("identity", "kind", "named", "book", "actor", "effective_at", "posted_at")
    list_filter = (BookFilter, "kind", PeriodByIdFilter)
    select = ("book",)
    fields = (
        "identity",
        "kind",
        "named",
        "book",
        "memo",
        "actor",
        "effective_at",
        "posted_at",
        "reverses",
    )
    search_help_text = "txn_…, or a whole reference such as settle_charge:ord_…"

    def find(self, term: str) -> Q:
        """Find a transaction by reference (uses index: reference_is_unique_in_its_book, book by book)."""
        return Q(book_id__in=newest_books(), reference=term)

    @admin.display(description="Transaction")
    def identity(self, row: Transaction) -> SafeString:
        """Show the public id."""
        return api_id("txn", row.public_id)

    @admin.display(description="Reference")
    def named(self, row: Transaction) -> SafeString:
        """Show the reference."""
        return code(row.reference)

    def tables(self, _request: HttpRequest, obj: Transaction) -> Iterable[Table]:
        """Show the legs."""
        entries = Entry.objects.of([obj.pk]).select_related("account")
        yield Table(
            "Legs",
            ("Leg", "Account", right("Debit"), right("Credit"), right("Balance after")),
            [
                (
                    entry.leg,
                    link(entry.account, code(entry.account.code)),
                    *sided(entry.side, entry.amount, entry.currency_id),
                    money(entry.balance_after, entry.currency_id),
                )
                for entry in entries[: Table.LIMIT]
            ],
        )


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    """One leg. Found through a statement or a transaction; the list shows what was posted last."""

    list_display = (
        "number",
        "in_account",
        "on_side",
        "signed_amount",
        "of_transaction",
        "book",
        "effective_at",
    )
    list_filter = (BookFilter,)
    select = ("account", "transaction", "book")
    fields = ("number", "of_transaction", "leg", "book", "in_account", "on_side", "signed_amount", "after")
    search_fields = ()

    @admin.display(description="Entry")
    def number(self, row: Entry) -> str:
        """Show the number of the entry."""
        return str(row.pk)

    @admin.display(description="Account")
    def in_account(self, row: Entry) -> SafeString:
        """Link to the account."""
        return link(row.account, code(row.account.code))

    @admin.display(description="Side")
    def on_side(self, row: Entry) -> SafeString:
        """Show the side."""
        return badge(Side(row.side).label)

    @admin.display(description="Amount")
    def signed_amount(self, row: Entry) -> SafeString:
        """Show the amount."""
        return money(row.amount, row.currency_id)

    @admin.display(description="Balance after")
    def after(self, row: Entry) -> SafeString:
        """Show the balance that the entry led to, for accounts that keep one."""
        return money(row.balance_after, row.currency_id)

    @admin.display(description="Transaction")
    def of_transaction(self, row: Entry) -> SafeString:
        """Link to the transaction."""
        return link(row.transaction, code(row.transaction.reference))

    def heading(self, obj: Entry) -> str:
        """Return the title of an entry's page."""
        return f"Entry {obj.pk}"
