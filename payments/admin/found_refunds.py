"""Refunds that were found at a PSP, in the back office: who may decides that they are refunds of the orders."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString

from ledger.admin.filters import BookFilter
from ledger.admin.showing import api_id, badge, code, link, money
from payments import found_refunds
from payments.admin.finding import payments_named
from payments.admin.repairing import Repair, RepairableAdmin
from payments.models import FoundRefund

BOOK = "payments.book_found_refunds"


@admin.register(FoundRefund)
class FoundRefundAdmin(RepairableAdmin):
    """Money that went back to a buyer without us."""

    list_display = ("identity", "in_state", "amount", "of_charge", "book", "found_at", "decided_by", "decided_at")
    list_filter = (BookFilter,)
    select = ("charge", "book")
    fields = (
        "identity", "in_state", "psp_status", "amount", "of_charge", "book", "found_at", "seen_at", "decided_by",
        "decided_at",
    )  # fmt: skip
    search_help_text = "re_…, pay_…, chg_… or checkout id"
    right = BOOK
    repair = Repair(
        name="book",
        title="Book as a refund",
        question="The sellers of this charge's orders bear it as if the refund had been asked for here, by the "
        "merchant's fee policy. Nothing is sent to the PSP.",
        done="It is booked, and followed at the PSP until it is paid.",
        icon="undo",
        run=found_refunds.book,
        applies=found_refunds.is_open,
    )

    def find(self, term: str) -> Q:
        """Find what the PSP calls so, or the refunds of a payment."""
        return Q(psp_id=term) | Q(charge__event_id__in=payments_named(term))

    def heading(self, obj: FoundRefund) -> str:
        """Return the title of the page."""
        return f"Refund {obj.psp_id} found at the PSP"

    @admin.display(description="Refund at the PSP")
    def identity(self, row: FoundRefund) -> SafeString:
        """Show the PSP's id."""
        return code(row.psp_id)

    @admin.display(description="State")
    def in_state(self, row: FoundRefund) -> SafeString:
        """Show whether somebody has to decide."""
        if found_refunds.is_open(row):
            return badge("not booked", "danger")
        return badge("booked", "success") if row.decided_at else badge("did not happen", "info")

    @admin.display(description="Amount")
    def amount(self, row: FoundRefund) -> SafeString:
        """Show the amount."""
        return money(row.amount_minor, row.currency_id)

    @admin.display(description="Charge")
    def of_charge(self, row: FoundRefund) -> SafeString:
        """Link to the charge."""
        return link(row.charge, api_id("chg", row.charge.public_id))
