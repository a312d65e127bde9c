"""Proposals in the back office: somebody proposes a journal with a form, somebody else approves or rejects it here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget

from config import seam
from ledger.admin.filters import BookFilter
from ledger.admin.reading import Link, Table, newest_books
from ledger.admin.showing import api_id, badge, code, link, money, right, sided
from ledger.admin.steps import Given, Step, StepForm, SteppingAdmin, actor_of, audit
from ledger.errors import LedgerError
from wallet import legs, proposals, year_end
from wallet.admin.drafting import LEGS, JournalForm, WithdrawalForm, YearForm, draft_of, show_faults
from wallet.errors import WrongProposal
from wallet.models import Proposal
from wallet.proposals import MAX_TEXT

MAKE, CHECK = "wallet.make_proposals", "wallet.check_proposals"
_TONES = {
    Proposal.State.AWAITING_APPROVAL: "warning",
    Proposal.State.APPROVED: "success",
    Proposal.State.REJECTED: "danger",
    Proposal.State.EXPIRED: "",
}


class NoteForm(StepForm):
    """Why somebody decides so."""

    note = forms.CharField(required=False, max_length=MAX_TEXT, widget=UnfoldAdminTextInputWidget)


class ReasonForm(StepForm):
    """Why somebody rejects."""

    note = forms.CharField(max_length=MAX_TEXT, label="Why", widget=UnfoldAdminTextInputWidget)


def _waits(proposal: Proposal) -> bool:
    return proposal.state == Proposal.State.AWAITING_APPROVAL


def _approve(proposal: Proposal, given: Given) -> object:
    return proposals.approve(proposal.pk, checker=given.actor, note=given.values["note"], now=given.now)


def _reject(proposal: Proposal, given: Given) -> object:
    return proposals.reject(proposal.pk, checker=given.actor, note=given.values["note"], now=given.now)


@admin.register(Proposal)
class ProposalAdmin(SteppingAdmin):
    """A manual journal, with what its approval would do."""

    prefix = "prp"
    list_display = ("identity", "kind", "named", "book", "status", "memo", "maker", "made_at")
    list_filter = (BookFilter, "state", "kind")
    select = ("book", "reverses", "transaction")
    heavy = ("legs", "metadata")
    fields = (
        "identity",
        "status",
        "kind",
        "named",
        "book",
        "memo",
        "effective_at",
        "size",
        "takes_back",
        "maker",
        "made_at",
        "checker",
        "decided_at",
        "note",
        "posted",
    )
    search_help_text = "prp_…, or a whole reference"
    steps: ClassVar[tuple[Step, ...]] = (
        Step(
            name="approve",
            title="Approve",
            question="The journal is posted at once, in your name. It can only be taken back by another one.",
            done="Approved and posted.",
            icon="check",
            permission=CHECK,
            run=_approve,
            applies=_waits,
            form=NoteForm,
        ),
        Step(
            name="reject",
            title="Reject",
            question="Nothing is posted. Its reference can be used again.",
            done="Rejected.",
            icon="close",
            permission=CHECK,
            run=_reject,
            applies=_waits,
            form=ReasonForm,
        ),
    )

    def find(self, term: str) -> Q:
        """Find proposals by reference (uses index: proposal_by_book, book by book)."""
        return Q(book_id__in=newest_books(), reference=term)

    def may(self, request: HttpRequest, step: Step, obj: Proposal) -> bool:
        """Say whether a user may decide: whoever made it never does."""
        return super().may(request, step, obj) and obj.maker != actor_of(request)

    def get_urls(self) -> list[URLPattern]:
        """Add the pages on which one proposes."""
        return [
            path("propose/", self.admin_site.admin_view(self.propose_view), name="wallet_proposal_propose"),
            path("withdraw/", self.admin_site.admin_view(self.withdraw_view), name="wallet_proposal_withdraw"),
            path("close-year/", self.admin_site.admin_view(self.close_year_view), name="wallet_proposal_close_year"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, and lead those who may propose to the form."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data and request.user.has_perm(MAKE):
            buttons = (
                Link("Propose a journal", reverse("admin:wallet_proposal_propose"), "add", ActionVariant.PRIMARY),
                Link("Withdraw fees", reverse("admin:wallet_proposal_withdraw"), "account_balance"),
                Link("Close a year", reverse("admin:wallet_proposal_close_year"), "event_available"),
            )
            response.context_data["actions_list"] = [button.data for button in buttons]
        return response

    def propose_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for a journal (GET), then propose it (POST); say what is wrong at its field."""
        self._require_maker(request)
        data = request.POST if request.method == "POST" else None
        head, rows = JournalForm(data), LEGS(data)
        if data is not None and (draft := draft_of(head, rows, maker=actor_of(request))) is not None:
            try:
                with transaction.atomic():
                    made, created = proposals.propose(draft, now=seam.now())
                    if created:
                        audit(request, made, self.heading(made), "Proposed", flag=ADDITION)
            except WrongProposal as wrong:
                show_faults(head, rows, wrong.faults)
            except LedgerError as refusal:
                head.add_error(None, f"{refusal} ({refusal.code})")
            else:
                messages.success(request, "Proposed: somebody else has to approve it.")
                return HttpResponseRedirect(self.path_of(made))
        context = {"title": "Propose a journal", "form": head, "legs": rows}
        return self._form(request, "admin/propose.html", context)

    def withdraw_view(self, request: HttpRequest) -> HttpResponse:
        """Ask how much of the fees is to be withdrawn (GET), then propose it (POST)."""
        self._require_maker(request)
        form, now = WithdrawalForm(request.POST if request.method == "POST" else None), seam.now()
        made: Proposal | None = None
        try:
            with transaction.atomic():
                draft = form.drafted(maker=actor_of(request), now=now)
                if draft is not None:
                    made, created = proposals.propose(draft, now=now)
                    if created:
                        audit(request, made, self.heading(made), "Proposed", flag=ADDITION)
        except LedgerError as refusal:
            form.add_error(None, f"{refusal} ({refusal.code})")
        else:
            if made is not None:
                messages.success(request, "Proposed: somebody else has to approve it.")
                return HttpResponseRedirect(self.path_of(made))
        return self._form(request, "admin/propose.html", {"title": "Withdraw fees", "form": form})

    def close_year_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for a year (GET), then propose its close in each currency (POST)."""
        self._require_maker(request)
        form = YearForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            book, year = form.cleaned_data["book"], form.cleaned_data["year"]
            try:
                with transaction.atomic():
                    made = year_end.propose(book.pk, year, maker=actor_of(request), now=seam.now())
                    for proposal, created in made:
                        if created:
                            audit(request, proposal, self.heading(proposal), "Proposed", flag=ADDITION)
            except LedgerError as refusal:
                form.add_error(None, f"{refusal} ({refusal.code})")
            else:
                messages.success(request, f"{len(made)} proposals wait for somebody else's approval.")
                return HttpResponseRedirect(f"{reverse('admin:wallet_proposal_changelist')}?book={book.pk}")
        return self._form(request, "admin/propose.html", {"title": "Close a year", "form": form})

    def _require_maker(self, request: HttpRequest) -> None:
        if not (request.user.has_perm(MAKE) and self.has_view_permission(request)):
            raise PermissionDenied

    def _form(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        if request.method not in ("GET", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        request.current_app = self.admin_site.name
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        list_path = reverse("admin:wallet_proposal_changelist")
        return TemplateResponse(request, template, {**shared, "list_path": list_path, **context})

    @admin.display(description="Proposal")
    def identity(self, row: Proposal) -> SafeString:
        """Show the public id."""
        return api_id("prp", row.public_id)

    @admin.display(description="Reference")
    def named(self, row: Proposal) -> SafeString:
        """Show the reference."""
        return code(row.reference)

    @admin.display(description="State")
    def status(self, row: Proposal) -> SafeString:
        """Show the state."""
        return badge(row.state, _TONES[Proposal.State(row.state)])

    @admin.display(description="Legs")
    def size(self, row: Proposal) -> str:
        """Show how many legs there are: of very many the page shows the first."""
        return str(len(row.legs))

    @admin.display(description="Takes back")
    def takes_back(self, row: Proposal) -> SafeString:
        """Link to the transaction that is reversed."""
        return link(row.reverses, row.reverses and row.reverses.reference)

    @admin.display(description="Posted as")
    def posted(self, row: Proposal) -> SafeString:
        """Link to the transaction."""
        return link(row.transaction, row.transaction and row.transaction.reference)

    def tables(self, request: HttpRequest, obj: Proposal) -> Iterable[Table]:
        """Show the legs and, while it waits, what approval would do."""
        shown = legs.stored(obj.legs)
        known = legs.found(obj.book_id, shown)
        yield Table(
            "Legs",
            ("Account", right("Debit"), right("Credit")),
            [
                (link(known.get(leg.account), code(leg.account)), *sided(leg.side, leg.amount, leg.currency))
                for leg in shown[: Table.LIMIT]
            ],
        )
        if not _waits(obj):
            return
        seen = proposals.preview(obj, actor=actor_of(request), now=seam.now())
        would = "What approval would do" if seen.refusal is None else f"Approval by you is refused: {seen.refusal.code}"
        yield Table(
            would if seen.refusal is None else f"{would}. {seen.refusal}",
            ("Account", right("Balance now"), right("Then")),
            [
                (code(one.account), money(one.before, one.currency), money(one.after, one.currency))
                for one in seen.changes[: Table.LIMIT]
            ],
        )
