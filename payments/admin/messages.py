"""Published facts (the outbox) in the back office."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString

from ledger.admin.filters import BookFilter, PeriodByIdFilter
from ledger.admin.reading import ReadOnlyAdmin
from ledger.admin.showing import api_id, link_to, pretty
from payments.admin.finding import payments_named
from payments.models import OutboxMessage


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    """A fact that was committed with the change that it tells of."""

    prefix = "evt"
    list_display = ("identity", "type", "subject", "book", "created_at")
    list_filter = (BookFilter, PeriodByIdFilter)
    select = ("book",)
    heavy = ("data",)
    fields = ("identity", "type", "subject", "book", "created_at", "body")
    search_help_text = "evt_…, pay_… or checkout id"

    def find(self, term: str) -> Q:
        """Find what was published about the payments that an identifier belongs to."""
        return Q(subject_kind="payment", subject_id__in=payments_named(term))

    @admin.display(description="Message")
    def identity(self, row: OutboxMessage) -> SafeString:
        """Show the public id."""
        return api_id("evt", row.public_id)

    @admin.display(description="About")
    def subject(self, row: OutboxMessage) -> SafeString:
        """Link to what it is about."""
        text = f"{row.subject_kind} {row.subject_id}"
        return link_to("payments_paymentevent" if row.subject_kind == "payment" else "", row.subject_id, text)

    @admin.display(description="Content")
    def body(self, row: OutboxMessage) -> SafeString:
        """Show the content without its secrets."""
        return pretty(row.data)
