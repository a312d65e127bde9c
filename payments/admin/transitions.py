"""The history of the state machines in the back office, as the database's triggers wrote it."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString

from ledger.admin.filters import PeriodFilter
from ledger.admin.reading import ReadOnlyAdmin
from ledger.admin.showing import link_to
from payments.admin.finding import payments_named
from payments.admin.states import state
from payments.models import Charge, PaymentOrder, Refund, Transition


class AtFilter(PeriodFilter):
    """By the time of the change."""

    column = "at"


@admin.register(Transition)
class TransitionAdmin(ReadOnlyAdmin):
    """One change of a status."""

    list_display = ("number", "subject", "before", "after", "at")
    list_filter = (AtFilter,)
    fields = ("number", "subject", "before", "after", "at")
    search_help_text = "pay_…, ord_…, chg_… or checkout id"

    def find(self, term: str) -> Q:
        """Find the history of the payments that an identifier belongs to (index: transition_by_object)."""
        events = payments_named(term)
        rows = (
            (PaymentOrder, PaymentOrder.objects.filter(event_id__in=events)),
            (Charge, Charge.objects.filter(event_id__in=events)),
            (Refund, Refund.objects.filter(charge__event_id__in=events)),
        )
        found = Q(pk__in=[])
        for model, queryset in rows:
            keys = list(queryset.values_list("pk", flat=True)[:1000])
            found |= Q(machine=model._meta.db_table, object_id__in=keys)
        return found

    def heading(self, obj: Transition) -> str:
        """Return the title of a transition's page."""
        return f"Transition {obj.pk}"

    @admin.display(description="Transition")
    def number(self, row: Transition) -> str:
        """Show the number."""
        return str(row.pk)

    @admin.display(description="Of")
    def subject(self, row: Transition) -> SafeString:
        """Link to the row that changed."""
        kind = row.machine.removeprefix("payments_")
        return link_to(row.machine, row.object_id, f"{kind} {row.object_id}")

    @admin.display(description="From")
    def before(self, row: Transition) -> SafeString | str:
        """Show the state before."""
        return state(row.source)

    @admin.display(description="To")
    def after(self, row: Transition) -> SafeString | str:
        """Show the state after."""
        return state(row.target)
