"""Sellers in the back office, with their wallets."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString

from config import seam
from ledger.admin.filters import BookFilter
from ledger.admin.reading import ReadOnlyAdmin, Table, newest_books
from ledger.admin.showing import api_id, code, link, money, pretty, right
from payments.admin import rows
from payments.admin.states import state
from payments.models import PaymentOrder, Seller
from wallet import debts
from wallet.balances import of_wallets
from wallet.models import Wallet


@admin.register(Seller)
class SellerAdmin(ReadOnlyAdmin):
    """Who is owed money."""

    prefix = "sel"
    list_display = (
        "identity",
        "name",
        "named",
        "country",
        "default_currency",
        "verified",
        "book",
        "created_at",
    )
    list_filter = ("kyc_status", BookFilter)
    select = ("book", "default_currency", "fee_plan")
    heavy = ("metadata",)
    fieldsets = (
        (None, {"fields": ("identity", "name", "named", "country", "email", "book", "created_at")}),
        ("Terms", {"fields": ("fee_plan", "default_currency", "schedule", "reserve", "verified")}),
        ("More", {"fields": ("more_data",)}),
    )
    search_help_text = "sel_… or the merchant's own id"

    def find(self, term: str) -> Q:
        """Find a seller by the merchant's id (uses index: seller_external_id_is_unique_in_its_book)."""
        return Q(book_id__in=newest_books(), external_id=term)

    def heading(self, obj: Seller) -> str:
        """Return the title of a seller's page."""
        return f"Seller {obj.name}"

    @admin.display(description="Seller")
    def identity(self, row: Seller) -> SafeString:
        """Show the public id."""
        return api_id("sel", row.public_id)

    @admin.display(description="Merchant's id")
    def named(self, row: Seller) -> SafeString:
        """Show the merchant's own id."""
        return code(row.external_id)

    @admin.display(description="Verification")
    def verified(self, row: Seller) -> SafeString | str:
        """Show whether payouts are allowed."""
        return state(row.kyc_status)

    @admin.display(description="Payout schedule")
    def schedule(self, row: Seller) -> SafeString:
        """Show when the seller is paid out."""
        return pretty(row.payout_schedule)

    @admin.display(description="Rolling reserve")
    def reserve(self, row: Seller) -> str:
        """Show what is held back of each release."""
        if not row.reserve_basis_points:
            return "none"
        return f"{row.reserve_basis_points / 100:.2f} % for {row.reserve_days} days"

    @admin.display(description="Metadata")
    def more_data(self, row: Seller) -> SafeString:
        """Show the merchant's own data."""
        return pretty(row.metadata)

    def tables(self, _request: HttpRequest, obj: Seller) -> Iterable[Table]:
        """Show the wallets and the newest orders."""
        wallets = list(Wallet.objects.filter(book_id=obj.book_id, seller=obj.public_id).order_by("currency"))
        yield Table(
            "Wallets",
            (
                "Wallet",
                right("Pending"),
                right("Available"),
                right("In transit"),
                right("Debt"),
                right("Balance"),
            ),
            [
                (
                    link(read.wallet, api_id("wal", read.wallet.public_id)),
                    *(
                        money(part, read.wallet.currency_id)
                        for part in (read.pending, read.available, read.in_transit, read.debt, read.balance)
                    ),
                )
                for read in of_wallets(wallets)
            ],
        )
        now = seam.now()
        yield Table(
            "Debts, oldest first",
            ("Cause", "About", right("Owed"), right("Of"), "Since", right("Days")),
            [
                (
                    debt.kind,
                    code(debt.subject),
                    money(debt.owed, debt.wallet.currency_id),
                    money(debt.of, debt.wallet.currency_id),
                    f"{debt.since:%Y-%m-%d %H:%M}",
                    str(debt.days(now)),
                )
                for debt in debts.of_wallets(wallets)
            ],
        )
        newest = PaymentOrder.objects.filter(seller=obj).select_related("seller").order_by("-pk")[:20]
        yield rows.orders(newest)
