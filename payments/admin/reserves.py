"""Reserves in the back office: what of a release is held back, until when, and what was freed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ledger.admin.filters import BookFilter
from ledger.admin.reading import ReadOnlyAdmin
from ledger.admin.showing import api_id, badge, link, money
from ledger.ids import parse_public_id
from payments.admin.finding import payments_named
from payments.models import ReserveHold


class HeldFilter(admin.SimpleListFilter):
    """Only what is still held (uses index: reserve_to_free)."""

    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, str]]:
        """Offer one choice."""
        return [("held", "Held")]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep what is held."""
        return queryset.filter(due_at__isnull=False) if self.value() == "held" else queryset


@admin.register(ReserveHold)
class ReserveHoldAdmin(ReadOnlyAdmin):
    """A share of one order's release that is held back for a while."""

    list_display = ("number", "held", "amount", "of_seller", "of_order", "book", "created_at", "due_at", "freed_at")
    list_filter = (HeldFilter, BookFilter)
    select = ("seller", "order", "book")
    fields = ("number", "held", "amount", "of_seller", "of_order", "book", "created_at", "due_at", "freed_at")
    search_help_text = "sel_…, ord_…, pay_… or checkout id"

    def find(self, term: str) -> Q:
        """Find what is held of a seller, or of the payments that an identifier belongs to."""
        seller = parse_public_id("sel", term)
        if seller is not None:
            return Q(seller__public_id=seller)
        return Q(order__event_id__in=payments_named(term))

    def heading(self, obj: ReserveHold) -> str:
        """Return the title of a reserve's page."""
        return f"Reserve {obj.pk}"

    @admin.display(description="Reserve")
    def number(self, row: ReserveHold) -> str:
        """Show the number."""
        return str(row.pk)

    @admin.display(description="State")
    def held(self, row: ReserveHold) -> SafeString:
        """Show whether it is held."""
        return badge("held", "info") if row.freed_at is None else badge("freed", "success")

    @admin.display(description="Amount")
    def amount(self, row: ReserveHold) -> SafeString:
        """Show the amount."""
        return money(row.amount_minor, row.currency_id)

    @admin.display(description="Seller")
    def of_seller(self, row: ReserveHold) -> SafeString:
        """Link to the seller."""
        return link(row.seller, row.seller.name)

    @admin.display(description="Order")
    def of_order(self, row: ReserveHold) -> SafeString:
        """Link to the order."""
        return link(row.order, api_id("ord", row.order.public_id))
