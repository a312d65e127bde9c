"""Payouts in the back office: who did not ask for one may approve it; what can still be stopped can be cancelled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ledger.admin.filters import BookFilter, PeriodByIdFilter
from ledger.admin.reading import Table
from ledger.admin.showing import api_id, code, link, money, pretty
from ledger.admin.steps import Given, Step
from ledger.ids import parse_public_id, public_id
from payments import payouts
from payments.admin import rows
from payments.admin.repairing import OPERATE
from payments.admin.states import state
from payments.admin.stepping import PaymentSteps
from payments.models import Payout, PspOperation


def _approve(payout: Payout, given: Given) -> object:
    return payouts.approve(payout.pk, actor=given.actor, now=given.now)


def _cancel(payout: Payout, given: Given) -> object:
    return payouts.cancel(payout.pk, now=given.now)


@admin.register(Payout)
class PayoutAdmin(PaymentSteps):
    """Money on its way from a wallet to a bank account."""

    prefix = "pyo"
    list_display = ("identity", "in_state", "amount", "of_seller", "waiting_for", "requested_by", "created_at")
    list_filter = ("status", BookFilter, PeriodByIdFilter)
    select = ("seller", "destination", "psp_account", "bank_account", "book")
    fields = (
        "identity",
        "in_state",
        "amount",
        "of_seller",
        "to_account",
        "through",
        "waiting_for",
        "why_failed",
        "reference",
        "requested_by",
        "approved_by",
        "psp_object",
        "psp_transfer",
        "book",
        "created_at",
        "paid_at",
        "due_at",
    )
    search_help_text = "pyo_…, sel_… or reference"
    steps: ClassVar[tuple[Step, ...]] = (
        Step(
            name="approve",
            title="Approve",
            question="The payout will be sent to the seller's bank account as it is now. Somebody else must have asked "
            "for it; if the bank account is changed before it is sent, this approval is void.",
            done="The payout is approved and will be sent as soon as the money is there.",
            icon="check",
            permission="payments.approve_payouts",
            run=_approve,
            applies=lambda payout: payout.status == Payout.Status.REQUIRES_APPROVAL,
        ),
        Step(
            name="cancel",
            title="Cancel",
            question="What has not left goes back to the wallet at once. What the PSP has is stopped there if the PSP "
            "still can: until it answers the payout stays as it is.",
            done="The payout is cancelled, or the PSP is asked within seconds to stop it.",
            icon="block",
            permission=OPERATE,
            run=_cancel,
            applies=lambda payout: payout.status in (*Payout.SET_ASIDE, Payout.Status.SENT),
        ),
    )

    def find(self, term: str) -> Q:
        """Find a payout by its id or reference, or those of a seller."""
        own, seller = parse_public_id("pyo", term), parse_public_id("sel", term)
        if own is not None:
            return Q(public_id=own)
        return Q(seller__public_id=seller) if seller is not None else Q(reference=term)

    def heading(self, obj: Payout) -> str:
        """Return the title of a payout's page."""
        return f"Payout {public_id(self.prefix, obj.public_id)}"

    @admin.display(description="Payout")
    def identity(self, row: Payout) -> SafeString:
        """Show the public id."""
        return api_id("pyo", row.public_id)

    @admin.display(description="Status")
    def in_state(self, row: Payout) -> SafeString | str:
        """Show the status."""
        return state(row.status)

    @admin.display(description="Amount")
    def amount(self, row: Payout) -> SafeString:
        """Show the amount."""
        return money(row.amount_minor, row.currency_id)

    @admin.display(description="Seller")
    def of_seller(self, row: Payout) -> SafeString:
        """Link to the seller."""
        return link(row.seller, row.seller.name)

    @admin.display(description="Bank account")
    def to_account(self, row: Payout) -> str:
        """Show the bank account, masked."""
        return str(row.destination)

    @admin.display(description="Through")
    def through(self, row: Payout) -> SafeString:
        """Link to what pays it: a PSP account, or a bank account of the merchant's own."""
        way = row.psp_account or row.bank_account
        return link(way, str(way))

    @admin.display(description="Failure")
    def why_failed(self, row: Payout) -> SafeString | str:
        """Show why it failed or was cancelled."""
        return pretty(row.failure) if row.failure else "-"

    @admin.display(description="Payout at the PSP")
    def psp_object(self, row: Payout) -> SafeString:
        """Show the PSP's id of the payout."""
        return code(row.psp_id or "")

    @admin.display(description="Transfer at the PSP")
    def psp_transfer(self, row: Payout) -> SafeString:
        """Show the PSP's id of the transfer."""
        return code(row.transfer_psp_id)

    def tables(self, _request: HttpRequest, obj: Payout) -> Iterable[Table]:
        """Show what it pays, and the calls made for it."""
        found = PspOperation.objects.filter(payout=obj).select_related("payout")
        yield rows.operations(found.order_by("pk")[: Table.LIMIT])
