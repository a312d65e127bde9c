"""Payment orders in the back office."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString

from ledger.admin.filters import BookFilter, PeriodByIdFilter
from ledger.admin.reading import ReadOnlyAdmin
from ledger.admin.showing import api_id, code, link, money, pretty
from payments.admin.finding import payments_named
from payments.admin.states import state
from payments.models import PaymentOrder


@admin.register(PaymentOrder)
class PaymentOrderAdmin(ReadOnlyAdmin):
    """The part of a checkout that belongs to one seller."""

    prefix = "ord"
    list_display = (
        "identity",
        "named",
        "in_state",
        "amount",
        "captured",
        "fee",
        "of_seller",
        "of_payment",
        "book",
    )
    list_filter = ("status", BookFilter, PeriodByIdFilter)
    select = ("event", "seller", "charge", "book")
    heavy = ("metadata", "failure", "method_details", "event__buyer", "event__metadata", "seller__metadata")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "identity",
                    "named",
                    "in_state",
                    "description",
                    "of_payment",
                    "of_charge",
                    "of_seller",
                )
            },
        ),
        (
            "Money",
            {
                "fields": (
                    "amount",
                    "fee",
                    "captured",
                    "refunded",
                    "asked",
                    "ledger_updated",
                    "wallet_updated",
                )
            },
        ),
        ("Times", {"fields": ("created_at", "updated_at", "succeeded_at", "delivered_at")}),
        ("More", {"fields": ("failed", "method", "more_data")}),
    )
    search_help_text = "ord_…, pay_…, reference or checkout id"

    def find(self, term: str) -> Q:
        """Find the orders of the payments that an identifier belongs to."""
        return Q(event_id__in=payments_named(term))

    @admin.display(description="Order")
    def identity(self, row: PaymentOrder) -> SafeString:
        """Show the public id."""
        return api_id("ord", row.public_id)

    @admin.display(description="Reference")
    def named(self, row: PaymentOrder) -> SafeString:
        """Show the merchant's own reference."""
        return code(row.reference)

    @admin.display(description="Status")
    def in_state(self, row: PaymentOrder) -> SafeString | str:
        """Show the status."""
        return state(row.status)

    @admin.display(description="Amount")
    def amount(self, row: PaymentOrder) -> SafeString:
        """Show what the order costs."""
        return money(row.amount_minor, row.currency_id)

    @admin.display(description="Captured")
    def captured(self, row: PaymentOrder) -> SafeString:
        """Show what was taken."""
        return money(row.captured_minor, row.currency_id)

    @admin.display(description="Refunded")
    def refunded(self, row: PaymentOrder) -> SafeString:
        """Show what went back."""
        return money(row.refunded_minor, row.currency_id)

    @admin.display(description="Capture asked for")
    def asked(self, row: PaymentOrder) -> SafeString:
        """Show what the merchant asked to capture."""
        return money(row.capture_requested_minor, row.currency_id)

    @admin.display(description="Platform fee")
    def fee(self, row: PaymentOrder) -> SafeString:
        """Show what the platform keeps."""
        return money(row.fee_minor, row.currency_id)

    @admin.display(description="Seller")
    def of_seller(self, row: PaymentOrder) -> SafeString:
        """Link to the seller."""
        return link(row.seller, row.seller.name)

    @admin.display(description="Payment")
    def of_payment(self, row: PaymentOrder) -> SafeString:
        """Link to the payment."""
        return link(row.event, row.event.checkout_id)

    @admin.display(description="Charge")
    def of_charge(self, row: PaymentOrder) -> SafeString:
        """Link to the charge."""
        return link(row.charge, api_id("chg", row.charge.public_id))

    @admin.display(description="Failure")
    def failed(self, row: PaymentOrder) -> SafeString:
        """Show why it failed."""
        return pretty(row.failure)

    @admin.display(description="Payment method")
    def method(self, row: PaymentOrder) -> SafeString:
        """Show what the PSP says of the method."""
        return pretty(row.method_details)

    @admin.display(description="Metadata")
    def more_data(self, row: PaymentOrder) -> SafeString:
        """Show the merchant's own data."""
        return pretty(row.metadata)
