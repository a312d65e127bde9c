"""Wallets in the back office. They store no amount: balances are read from the ledger, once for a list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ledger import balances
from ledger.admin.filters import BookFilter
from ledger.admin.reading import KeysetChangeList, ReadOnlyAdmin, Table
from ledger.admin.showing import NOTHING, api_id, code, link_to, money, right
from ledger.ids import parse_public_id
from wallet import chart
from wallet.balances import WalletBalance, of_wallets
from wallet.models import Wallet


class WalletChangeList(KeysetChangeList):
    """A page of wallets with their balances."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, then the balances of all its wallets at once per book."""
        super().get_results(request)
        attach_balances(list(self.result_list))


def attach_balances(wallets: list[Any]) -> None:
    """Give each wallet its balances as `read` (one statement for each book among them)."""
    by_book: dict[int, list[Wallet]] = {}
    for wallet in wallets:
        by_book.setdefault(wallet.book_id, []).append(wallet)
    for group in by_book.values():
        for balance in of_wallets(group):
            balance.wallet.read = balance  # type: ignore[attr-defined] # for the columns of the list


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin):
    """What a seller has in one currency."""

    prefix = "wal"
    list_display = (
        "identity",
        "owner",
        "pending",
        "available",
        "reserved",
        "in_transit",
        "debt",
        "total",
        "book",
    )
    list_filter = (BookFilter,)
    select = ("book",)
    fieldsets = (
        (None, {"fields": ("identity", "owner", "currency", "book", "created_at")}),
        ("Balance", {"fields": ("pending", "available", "reserved", "in_transit", "debt", "total")}),
    )
    search_help_text = "wal_… or sel_…"

    def find(self, term: str) -> Q | None:
        """Find the wallets of a seller (uses index: wallet_is_one_per_seller_and_currency, book by book)."""
        seller = parse_public_id("sel", term)
        return Q(seller=seller) if seller is not None else None

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        """Read balances with the list."""
        del request, kwargs
        return WalletChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Read the balances with the wallet."""
        wallet = super().get_object(request, object_id, from_field)
        if wallet is not None:
            attach_balances([wallet])
        return wallet

    @admin.display(description="Wallet")
    def identity(self, row: Wallet) -> SafeString:
        """Show the public id."""
        return api_id("wal", row.public_id)

    @admin.display(description="Seller")
    def owner(self, row: Wallet) -> SafeString:
        """Show the seller's public id."""
        return api_id("sel", row.seller)

    @admin.display(description="Pending")
    def pending(self, row: Any) -> SafeString:
        """Show what was paid and is not released yet."""
        return self._part(row, row.read.pending)

    @admin.display(description="Available")
    def available(self, row: Any) -> SafeString:
        """Show what can be paid out."""
        return self._part(row, row.read.available)

    @admin.display(description="Reserved")
    def reserved(self, row: Any) -> SafeString:
        """Show what is held back for disputes."""
        return self._part(row, row.read.reserved)

    @admin.display(description="In transit")
    def in_transit(self, row: Any) -> SafeString:
        """Show what is on its way to the seller's bank."""
        return self._part(row, row.read.in_transit)

    @admin.display(description="Debt")
    def debt(self, row: Any) -> SafeString:
        """Show what the seller owes us."""
        return self._part(row, row.read.debt)

    @admin.display(description="Balance")
    def total(self, row: Any) -> SafeString:
        """Show pending + available + reserved - debt."""
        balance: WalletBalance = row.read
        return self._part(row, balance.balance)

    def _part(self, row: Wallet, minor: int) -> SafeString:
        return money(minor, row.currency_id)

    def tables(self, _request: HttpRequest, obj: Wallet) -> Iterable[Table]:
        """Show the accounts that the balances are read from."""
        specs = [chart.seller(obj.book_id, obj.seller, part, obj.currency_id) for part in chart.SELLER_PARTS]
        found = balances.of_codes(obj.book_id, [spec.code for spec in specs])
        yield Table(
            "Accounts",
            ("Account", right("Debits"), right("Credits"), right("Balance")),
            [
                (
                    link_to("ledger_account", found[spec.code].account_id, code(spec.code)),
                    money(found[spec.code].debits, obj.currency_id),
                    money(found[spec.code].credits, obj.currency_id),
                    money(found[spec.code].balance, obj.currency_id),
                )
                if spec.code in found
                else (code(spec.code), NOTHING, NOTHING, NOTHING)
                for spec in specs
            ],
        )
