"""Payments (checkouts) in the back office, with their orders, charges and operations, and the timeline."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from ledger.admin.filters import BookFilter, PeriodByIdFilter
from ledger.admin.reading import Link, ReadOnlyAdmin, Table
from ledger.admin.showing import api_id, code, facts, hidden, money, pretty, sided
from payments.admin import rows
from payments.admin.finding import payments_named
from payments.admin.states import state
from payments.models import Charge, PaymentEvent, PaymentOrder, PspOperation
from payments.timeline import Fact, FactKind, timeline

_ICONS = {
    FactKind.CREATED: "shopping_cart",
    FactKind.NOTIFIED: "notifications",
    FactKind.PREPARED: "edit_note",
    FactKind.SENT: "send",
    FactKind.CLOSED: "call_received",
    FactKind.DIED: "error",
    FactKind.MOVED: "trending_flat",
    FactKind.POSTED: "account_balance",
    FactKind.PUBLISHED: "campaign",
}


@admin.register(PaymentEvent)
class PaymentEventAdmin(ReadOnlyAdmin):
    """One checkout with everything that belongs to it."""

    prefix = "pay"
    list_display = ("identity", "checkout", "in_state", "amount", "charge_mode", "book", "created_at")
    list_filter = ("status", BookFilter, "charge_mode", PeriodByIdFilter)
    select = ("book",)
    heavy = ("buyer", "metadata", "next_action", "fingerprint")
    fieldsets = (
        (
            None,
            {"fields": ("identity", "checkout", "in_state", "amount", "book", "created_at", "updated_at")},
        ),
        ("How it is paid", {"fields": ("charge_mode", "capture", "methods", "expiry_due_at", "waits_for")}),
        (
            "Buyer and metadata",
            {"classes": ("collapse",), "fields": ("buyer_data", "more_data", "return_url", "version")},
        ),
    )
    search_help_text = "pay_…, ord_…, chg_…, checkout id, reference or PSP id"

    def find(self, term: str) -> Q:
        """Find payments by any identifier of theirs."""
        return Q(pk__in=payments_named(term))

    def heading(self, obj: PaymentEvent) -> str:
        """Return the title of a payment's page."""
        return f"Payment {obj.checkout_id}"

    @admin.display(description="Payment")
    def identity(self, row: PaymentEvent) -> SafeString:
        """Show the public id."""
        return api_id("pay", row.public_id)

    @admin.display(description="Checkout id")
    def checkout(self, row: PaymentEvent) -> SafeString:
        """Show the merchant's own id."""
        return code(row.checkout_id)

    @admin.display(description="Status")
    def in_state(self, row: PaymentEvent) -> SafeString | str:
        """Show the status."""
        return state(row.status)

    @admin.display(description="Amount")
    def amount(self, row: PaymentEvent) -> SafeString:
        """Show the amount of the whole checkout."""
        return money(row.amount_minor, row.currency_id)

    @admin.display(description="Payment methods")
    def methods(self, row: PaymentEvent) -> str:
        """Show which kinds of method the buyer may use."""
        return ", ".join(row.payment_method_types)

    @admin.display(description="Next action")
    def waits_for(self, row: PaymentEvent) -> SafeString:
        """Show what the buyer has to do."""
        return pretty(row.next_action)

    @admin.display(description="Buyer")
    def buyer_data(self, row: PaymentEvent) -> SafeString:
        """Show what the merchant said of the buyer."""
        return pretty(row.buyer)

    @admin.display(description="Metadata")
    def more_data(self, row: PaymentEvent) -> SafeString:
        """Show the merchant's own data."""
        return pretty(row.metadata)

    def get_urls(self) -> list[URLPattern]:
        """Add the timeline."""
        view = self.admin_site.admin_view(self.timeline_view)
        name = "payments_paymentevent_timeline"
        return [path("<path:object_id>/timeline/", view, name=name), *super().get_urls()]

    def links(self, _request: HttpRequest, obj: PaymentEvent) -> Iterable[Link]:
        """Lead to the timeline."""
        return (Link("Timeline", reverse("admin:payments_paymentevent_timeline", args=[obj.pk]), "timeline"),)

    def tables(self, _request: HttpRequest, obj: PaymentEvent) -> Iterable[Table]:
        """Show orders, charges and operations."""
        orders = PaymentOrder.objects.filter(event=obj).select_related("seller").order_by("position")
        yield rows.orders(orders[: Table.LIMIT])
        charges = Charge.objects.filter(event=obj).select_related("psp_account").order_by("pk")
        yield rows.charges(charges[: Table.LIMIT])
        operations = PspOperation.objects.filter(event=obj).select_related("event", "charge").order_by("pk")
        yield rows.operations(operations[: Table.LIMIT])

    def timeline_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show every fact of the payment in order of time."""
        event: PaymentEvent = self.viewable(request, object_id)
        context = {
            "title": f"Timeline of {event.checkout_id}",
            "facts": [_shown(fact) for fact in timeline(event)],
            "in_state": state(event.status),
            "amount": money(event.amount_minor, event.currency_id),
        }
        return self.page(request, event, "admin/timeline.html", context)


def _shown(fact: Fact) -> dict[str, object]:
    data = {name: value for name, value in hidden(fact.data).items() if name not in _SAID_ALREADY}
    return {
        "at": fact.at,
        "kind": fact.kind,
        "icon": _ICONS[fact.kind],
        "summary": fact.summary,
        "subject": code(fact.subject),
        "data": facts(data),
        "legs": [(code(leg.account), *sided(leg.side, leg.amount, leg.currency)) for leg in fact.legs],
    }


_SAID_ALREADY = {
    "from",
    "to",
    "type",
    "operation",
    "outcome",
    "kind",
    "payment_orders",
    "amount",
    "currency",
}
