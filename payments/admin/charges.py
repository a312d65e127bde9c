"""Charges in the back office."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ledger.admin.filters import BookFilter, PeriodByIdFilter
from ledger.admin.reading import Table
from ledger.admin.showing import api_id, code, link, money, pretty
from payments import repairs
from payments.admin import rows
from payments.admin.finding import payments_named
from payments.admin.repairing import Repair, RepairableAdmin
from payments.admin.states import state
from payments.models import Charge, PaymentOrder, PspOperation


@admin.register(Charge)
class ChargeAdmin(RepairableAdmin):
    """One object at the PSP that moves money for one or more orders of one payment."""

    prefix = "chg"
    list_display = (
        "identity",
        "psp_object",
        "in_state",
        "amount",
        "captured",
        "of_payment",
        "account",
        "created_at",
    )
    list_filter = ("status", BookFilter, PeriodByIdFilter)
    select = ("event", "psp_account", "book")
    heavy = ("method_details", "failure", "next_action", "event__buyer", "event__metadata")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "identity",
                    "psp_object",
                    "session",
                    "in_state",
                    "of_payment",
                    "account",
                    "created_at",
                )
            },
        ),
        ("Money", {"fields": ("amount", "captured")}),
        ("Work", {"fields": ("due_at", "lease_until", "tries", "cancel_reason")}),
        ("More", {"fields": ("failed", "waits_for", "method")}),
    )
    search_help_text = "chg_…, PSP id (pi_…), pay_… or checkout id"
    repair = Repair(
        name="requery",
        title="Ask the PSP again",
        question="The PSP is asked what this charge is now, and its answer is settled like any other. "
        "Nothing is charged by asking.",
        done="The PSP will be asked within seconds.",
        icon="sync",
        run=repairs.requery_charge,
        applies=lambda charge: charge.status in repairs.POLLABLE and bool(charge.psp_id or charge.session_id),
    )

    def find(self, term: str) -> Q:
        """Find the charges of the payments that an identifier belongs to."""
        return Q(event_id__in=payments_named(term))

    @admin.display(description="Charge")
    def identity(self, row: Charge) -> SafeString:
        """Show the public id."""
        return api_id("chg", row.public_id)

    @admin.display(description="PSP id")
    def psp_object(self, row: Charge) -> SafeString:
        """Show the PSP's id of the object."""
        return code(row.psp_id or "")

    @admin.display(description="PSP session")
    def session(self, row: Charge) -> SafeString:
        """Show the PSP's id of its hosted page."""
        return code(row.session_id)

    @admin.display(description="Status")
    def in_state(self, row: Charge) -> SafeString | str:
        """Show the status."""
        return state(row.status)

    @admin.display(description="Amount")
    def amount(self, row: Charge) -> SafeString:
        """Show the amount."""
        return money(row.amount_minor, row.currency_id)

    @admin.display(description="Captured")
    def captured(self, row: Charge) -> SafeString:
        """Show what was taken."""
        return money(row.captured_minor, row.currency_id)

    @admin.display(description="Payment")
    def of_payment(self, row: Charge) -> SafeString:
        """Link to the payment."""
        return link(row.event, row.event.checkout_id)

    @admin.display(description="PSP account")
    def account(self, row: Charge) -> SafeString:
        """Link to the PSP account."""
        return link(row.psp_account, str(row.psp_account))

    @admin.display(description="Failure")
    def failed(self, row: Charge) -> SafeString:
        """Show why the PSP declined."""
        return pretty(row.failure)

    @admin.display(description="Next action")
    def waits_for(self, row: Charge) -> SafeString:
        """Show what the buyer has to do."""
        return pretty(row.next_action)

    @admin.display(description="Payment method")
    def method(self, row: Charge) -> SafeString:
        """Show what the PSP says of the method."""
        return pretty(row.method_details)

    def tables(self, _request: HttpRequest, obj: Charge) -> Iterable[Table]:
        """Show the orders that it pays and the calls made for it."""
        orders = PaymentOrder.objects.filter(charge=obj).select_related("seller").order_by("position")
        yield rows.orders(orders[: Table.LIMIT])
        operations = PspOperation.objects.filter(charge=obj).select_related("event", "charge").order_by("pk")
        yield rows.operations(operations[: Table.LIMIT])
