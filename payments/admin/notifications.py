"""Notifications that PSPs sent, in the back office; one that was given up can be replayed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ledger.admin.filters import PeriodFilter
from ledger.admin.showing import code, link, pretty
from payments import repairs
from payments.admin.finding import payments_named, psp_accounts
from payments.admin.repairing import Repair, RepairableAdmin
from payments.admin.states import state
from payments.models import Charge, PspNotification


class WorkFilter(admin.SimpleListFilter):
    """By what became of the notification."""

    title = "work"
    parameter_name = "work"
    _CONDITIONS = {
        "dead": ("Given up", Q(dead_at__isnull=False)),
        "due": ("Waiting", Q(due_at__isnull=False)),
        "done": ("Processed", Q(processed_at__isnull=False)),
    }

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, str]]:
        """Offer the three ends."""
        return [(name, title) for name, (title, _) in self._CONDITIONS.items()]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the chosen ones."""
        chosen = self._CONDITIONS.get(str(self.value()))
        return queryset.filter(chosen[1]) if chosen else queryset


class ReceivedFilter(PeriodFilter):
    """By the time of arrival."""

    column = "received_at"


@admin.register(PspNotification)
class PspNotificationAdmin(RepairableAdmin):
    """A notification, verified and stored before it was answered."""

    list_display = ("event_id", "type", "about", "in_state", "result", "tries", "psp_account", "received_at")
    list_filter = (WorkFilter, "psp_account__adapter", ReceivedFilter)
    select = ("psp_account",)
    heavy = ("payload",)
    fieldsets = (
        (None, {"fields": ("event_id", "type", "about", "account", "in_state", "result")}),
        ("Times", {"fields": ("psp_created_at", "received_at", "processed_at")}),
        ("Work", {"fields": ("due_at", "lease_until", "tries", "dead_at")}),
        ("What was sent", {"fields": ("body",)}),
    )
    search_help_text = "PSP's event id (evt_…) or object id (pi_…), pay_… or checkout id"
    repair = Repair(
        name="replay",
        title="Replay now",
        question="The notification is worked off again. It is a hint only: the PSP is asked what its "
        "object is before anything is believed.",
        done="The notification will be worked off within seconds.",
        icon="replay",
        run=repairs.replay_notification,
        applies=lambda notification: notification.processed_at is None,
    )

    def find(self, term: str) -> Q:
        """Find by the PSP's ids (uses indexes behind the PSP account), or those about a payment's charges."""
        accounts = psp_accounts()
        events = payments_named(term)
        objects = [
            name
            for pair in Charge.objects.filter(event_id__in=events).values_list("psp_id", "session_id")[:200]
            for name in pair
            if name
        ]
        named = Q(psp_event_id=term) | Q(object_psp_id__in=[term, *objects])
        return Q(psp_account_id__in=accounts) & named

    def heading(self, obj: PspNotification) -> str:
        """Return the title of a notification's page."""
        return f"Notification {obj.psp_event_id}"

    @admin.display(description="Event at the PSP")
    def event_id(self, row: PspNotification) -> SafeString:
        """Show the PSP's id of the notification."""
        return code(row.psp_event_id)

    @admin.display(description="About")
    def about(self, row: PspNotification) -> SafeString:
        """Show the object that it is about."""
        return code(row.object_psp_id)

    @admin.display(description="Work")
    def in_state(self, row: PspNotification) -> SafeString | str:
        """Show what became of it."""
        if row.dead_at is not None:
            return state("dead")
        return state("processed" if row.processed_at is not None else "waiting")

    @admin.display(description="PSP account")
    def account(self, row: PspNotification) -> SafeString:
        """Link to the PSP account."""
        return link(row.psp_account, str(row.psp_account))

    @admin.display(description="Payload")
    def body(self, row: PspNotification) -> SafeString:
        """Show the body without its secrets."""
        return pretty(row.payload)
