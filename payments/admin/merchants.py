"""Merchants and their PSP accounts in the back office. Keys and secrets are not even read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from config import seam
from ledger.admin.filters import BookFilter
from ledger.admin.reading import ReadOnlyAdmin, Table
from ledger.admin.showing import NOTHING, api_id, badge, code, link
from payments.admin.states import state
from payments.models import ApiKey, Merchant, MerchantBook, PspAccount


@admin.register(Merchant)
class MerchantAdmin(ReadOnlyAdmin):
    """An e-commerce site: our API client and tenant."""

    prefix = "mer"
    list_display = ("identity", "name", "in_state", "created_at")
    list_filter = ("status",)
    fields = ("identity", "name", "in_state", "created_at")
    search_help_text = "mer_… or whole name"

    def find(self, term: str) -> Q:
        """Find a merchant by name."""
        return Q(name__iexact=term)

    def heading(self, obj: Merchant) -> str:
        """Return the title of a merchant's page."""
        return f"Merchant {obj.name}"

    @admin.display(description="Merchant")
    def identity(self, row: Merchant) -> SafeString:
        """Show the public id."""
        return api_id("mer", row.public_id)

    @admin.display(description="Status")
    def in_state(self, row: Merchant) -> SafeString | str:
        """Show the status."""
        return state(row.status)

    def tables(self, _request: HttpRequest, obj: Merchant) -> Iterable[Table]:
        """Show its books and keys; of a key never more than its last four characters."""
        books = MerchantBook.objects.filter(merchant=obj).select_related(
            "book", "fee_plan", "house_seller", "default_psp_account"
        )
        yield Table(
            "Books",
            ("Book", "Mode", "Fee plan", "House seller", "Default PSP account"),
            [
                (
                    link(row.book, row.book.code),
                    row.book.mode,
                    f"{row.fee_plan.name} ({row.fee_plan.basis_points / 100:.2f} %)",
                    link(row.house_seller, row.house_seller.name if row.house_seller else NOTHING),
                    link(row.default_psp_account, str(row.default_psp_account or NOTHING)),
                )
                for row in books[: Table.LIMIT]
            ],
        )
        keys = ApiKey.objects.filter(merchant=obj).select_related("book").order_by("-pk")
        yield Table(
            "API keys",
            ("Name", "Key", "Mode", "Scopes", "Signed", "Created", "Expires", "Revoked"),
            [
                (
                    key.name,
                    code(f"…{key.last4}"),
                    key.book.mode if key.book else NOTHING,
                    ", ".join(key.scopes),
                    "yes" if key.requires_signature else "no",
                    key.created_at,
                    key.expires_at or NOTHING,
                    key.revoked_at or NOTHING,
                )
                for key in keys.defer("key_hash", "signing_secret")[: Table.LIMIT]
            ],
        )


@admin.register(PspAccount)
class PspAccountAdmin(ReadOnlyAdmin):
    """A merchant's account at a PSP, its budgets and its circuit breaker."""

    prefix = "psp"
    list_display = ("identity", "code", "adapter", "book", "breaker", "payout_mode", "created_at")
    list_filter = (BookFilter, "adapter")
    select = ("book",)
    fieldsets = (
        (None, {"fields": ("identity", "code", "adapter", "base_url", "book", "payout_mode", "created_at")}),
        ("Credentials", {"fields": ("key_is", "secret_is")}),
        ("Budgets", {"fields": ("calls_per_second", "polls_per_minute")}),
        ("Circuit breaker", {"fields": ("breaker", "consecutive_failures", "paused_until")}),
    )
    search_help_text = "psp_… or code"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave credentials in the database; only whether there is a webhook secret is read."""
        queryset: QuerySet[PspAccount] = super().get_queryset(request)
        queryset = queryset.defer("api_key", "webhook_secret")
        return queryset.annotate(has_webhook_secret=Q(webhook_secret__isnull=False))

    def find(self, term: str) -> Q:
        """Find accounts by their code."""
        return Q(code=term)

    def heading(self, obj: PspAccount) -> str:
        """Return the title of an account's page."""
        return f"PSP account {obj.adapter} {obj.code}"

    @admin.display(description="PSP account")
    def identity(self, row: PspAccount) -> SafeString:
        """Show the public id."""
        return api_id("psp", row.public_id)

    @admin.display(description="API key")
    def key_is(self, _row: PspAccount) -> str:
        """Say that there is a key, never which."""
        return "stored encrypted, never shown"

    @admin.display(description="Webhook secret")
    def secret_is(self, row: Any) -> str:
        """Say whether there is a secret, never which."""
        return "stored encrypted, never shown" if row.has_webhook_secret else "none: notifications are refused"

    @admin.display(description="Circuit breaker")
    def breaker(self, row: PspAccount) -> SafeString:
        """Show whether calls are sent."""
        if row.paused_until is not None and row.paused_until > seam.now():
            return badge("open: paused", "danger")
        return badge("closed", "success") if row.consecutive_failures == 0 else badge("failing", "warning")
