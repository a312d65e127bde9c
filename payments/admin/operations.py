"""Calls to the PSP in the back office; a stuck or dead one can be retried."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString

from ledger.admin.filters import BookFilter, PeriodByIdFilter
from ledger.admin.showing import api_id, code, link, money, pretty
from ledger.ids import public_id
from payments import repairs
from payments.admin import rows
from payments.admin.finding import payments_named
from payments.admin.repairing import Repair, RepairableAdmin
from payments.admin.states import state
from payments.models import PspOperation


@admin.register(PspOperation)
class PspOperationAdmin(RepairableAdmin):
    """One money-moving call to a PSP, from the decision to its outcome."""

    prefix = "opr"
    list_display = (
        "identity",
        "kind",
        "in_state",
        "ended_as",
        "tries",
        "amount",
        "of_payment",
        "error_code",
        "due_at",
    )
    list_filter = ("state", "kind", BookFilter, PeriodByIdFilter)
    select = ("event", "payout", "charge", "refund", "psp_account", "book")
    heavy = ("parameters", "event__buyer", "event__metadata", "error_message")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "identity",
                    "kind",
                    "in_state",
                    "ended_as",
                    "amount",
                    "of_payment",
                    "of_charge",
                    "account",
                )
            },
        ),
        ("Work", {"fields": ("due_at", "lease_until", "tries", "fence", "dead_at", "lane")}),
        ("Times", {"fields": ("created_at", "first_sent_at", "closed_at")}),
        ("Answer", {"fields": ("error_code", "error_message", "psp_request", "key", "sent_with")}),
    )
    search_help_text = "opr_…, idempotency key, pay_…, chg_… or checkout id"
    repair = Repair(
        name="retry",
        title="Retry now",
        question="The operation becomes due now. If it was ever sent, the PSP is asked first what became of "
        "it, and the same idempotency key is used: it cannot happen twice.",
        done="The operation will run within seconds.",
        icon="replay",
        run=repairs.retry_operation,
        applies=lambda operation: (
            operation.closed_at is None and (operation.dead_at is not None or operation.due_at is not None)
        ),
    )

    def find(self, term: str) -> Q:
        """Find the operations of the payments that an identifier belongs to."""
        return Q(event_id__in=payments_named(term))

    def heading(self, obj: PspOperation) -> str:
        """Return the title of an operation's page."""
        return f"Operation {public_id(self.prefix, obj.public_id)}"

    @admin.display(description="Operation")
    def identity(self, row: PspOperation) -> SafeString:
        """Show the public id."""
        return api_id("opr", row.public_id)

    @admin.display(description="State")
    def in_state(self, row: PspOperation) -> SafeString | str:
        """Show the state."""
        return state(row.state)

    @admin.display(description="Outcome")
    def ended_as(self, row: PspOperation) -> SafeString | str:
        """Show what the call led to."""
        return state(row.outcome)

    @admin.display(description="Amount")
    def amount(self, row: PspOperation) -> SafeString:
        """Show the amount, where the call has one."""
        return money(row.amount_minor or None, row.currency)

    @admin.display(description="Of")
    def of_payment(self, row: PspOperation) -> SafeString:
        """Link to the payment, or to the payout that the call is about."""
        return rows.subject(row)

    @admin.display(description="Charge")
    def of_charge(self, row: PspOperation) -> SafeString:
        """Link to the charge."""
        return link(row.charge, api_id("chg", row.charge.public_id) if row.charge else "")

    @admin.display(description="PSP account")
    def account(self, row: PspOperation) -> SafeString:
        """Link to the PSP account."""
        return link(row.psp_account, str(row.psp_account))

    @admin.display(description="PSP request id")
    def psp_request(self, row: PspOperation) -> SafeString:
        """Show the id under which the PSP logged the request."""
        return code(row.psp_request_id)

    @admin.display(description="Idempotency key")
    def key(self, row: PspOperation) -> SafeString:
        """Show the key that the PSP knows the call by."""
        return code(row.idempotency_key)

    @admin.display(description="Parameters")
    def sent_with(self, row: PspOperation) -> SafeString:
        """Show what was decided, without tokens."""
        return pretty(row.parameters)
