"""Refunds in the back office."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ledger.admin.filters import BookFilter, PeriodByIdFilter
from ledger.admin.reading import ReadOnlyAdmin, Table
from ledger.admin.showing import api_id, code, link, money, right
from payments.admin import rows
from payments.admin.finding import payments_named
from payments.admin.states import state
from payments.models import PspOperation, Refund


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    """Money that goes back to a buyer."""

    prefix = "rfd"
    list_display = (
        "identity", "in_state", "amount", "reason", "reference", "of_charge", "of_order", "book", "created_at",
        "attention_at",
    )  # fmt: skip
    list_filter = ("status", "reason", BookFilter, PeriodByIdFilter)
    select = ("charge", "order", "book")
    fields = (
        "identity",
        "in_state",
        "amount",
        "reason",
        "reference",
        "of_charge",
        "of_order",
        "psp_object",
        "book",
        "created_at",
        "settled_at",
        "why",
        "attention_at",
    )
    search_help_text = "rfd_…, pay_…, chg_… or checkout id"

    def find(self, term: str) -> Q:
        """Find the refunds of the payments that an identifier belongs to."""
        return Q(charge__event_id__in=payments_named(term))

    @admin.display(description="Refund")
    def identity(self, row: Refund) -> SafeString:
        """Show the public id."""
        return api_id("rfd", row.public_id)

    @admin.display(description="Status")
    def in_state(self, row: Refund) -> SafeString | str:
        """Show the status."""
        return state(row.status)

    @admin.display(description="Amount")
    def amount(self, row: Refund) -> SafeString:
        """Show the amount."""
        return money(row.amount_minor, row.currency_id)

    @admin.display(description="Charge")
    def of_charge(self, row: Refund) -> SafeString:
        """Link to the charge."""
        return link(row.charge, api_id("chg", row.charge.public_id))

    @admin.display(description="Order")
    def of_order(self, row: Refund) -> SafeString:
        """Link to the order; a late success has none."""
        return link(row.order, api_id("ord", row.order.public_id) if row.order else "")

    @admin.display(description="PSP id")
    def psp_object(self, row: Refund) -> SafeString:
        """Show the PSP's id."""
        return code(row.psp_id or "")

    @admin.display(description="Failure")
    def why(self, row: Refund) -> str:
        """Show why it did not arrive."""
        return f"{row.failure.get('code')}: {row.failure.get('message')}" if row.failure else ""

    def tables(self, _request: HttpRequest, obj: Refund) -> Iterable[Table]:
        """Show whose money it is, and the calls made for it."""
        yield Table(
            "Whose money",
            ("Fee policy", right("Platform fee"), right("From pending"), right("From available"), right("As debt")),
            [
                (
                    obj.fee_policy or "-",
                    *(
                        money(amount, obj.currency_id)
                        for amount in (
                            obj.fee_minor,
                            obj.from_pending_minor,
                            obj.from_available_minor,
                            obj.from_debt_minor,
                        )
                    ),
                )
            ],
        )
        operations = PspOperation.objects.filter(charge=obj.charge, refund=obj).select_related("event", "charge")
        yield rows.operations(operations.order_by("pk")[: Table.LIMIT])
