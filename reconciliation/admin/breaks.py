"""Breaks in the back office: found by status, class, priority and owner; taken, noted and resolved by people.

Evidence is a click away: the lines of the statements, what we did, and the journal. Every step needs the right to
handle breaks and is in the audit trail.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from ledger.admin.filters import BookFilter
from ledger.admin.reading import Table
from ledger.admin.showing import api_id, badge, code, link, pretty
from ledger.admin.steps import Given, Step, StepForm, SteppingAdmin, actor_of
from ledger.errors import LedgerError
from ledger.models import TransactionKind
from payments.errors import InvalidState, PaymentsError
from reconciliation import breaks
from reconciliation.admin import rows
from reconciliation.codes import CODES
from reconciliation.models import Break, Item, StatementLine

HANDLE = "reconciliation.handle_breaks"
LIMIT = 20
_TONES = {Break.State.OPEN: "danger", Break.State.PROPOSED: "warning", Break.State.RESOLVED: "success"}


class WordsForm(StepForm):
    """What somebody has to say."""

    words = forms.CharField(max_length=breaks.MAX_NOTE, label="What", widget=UnfoldAdminTextInputWidget)


def _unresolved(row: Break) -> bool:
    return row.state != Break.State.RESOLVED


def _take(row: Break, given: Given) -> object:
    return breaks.take(row.pk, actor=given.actor, owner=given.actor, now=given.now)


def _give_back(row: Break, given: Given) -> object:
    return breaks.take(row.pk, actor=given.actor, owner="", now=given.now)


def _note(row: Break, given: Given) -> object:
    return breaks.note(row.pk, actor=given.actor, text=given.values["words"], now=given.now)


def _needs_no_journal(row: Break) -> bool:
    in_suspense = row.transaction is not None and row.transaction.kind == TransactionKind.SUSPEND
    return row.state == Break.State.OPEN and not in_suspense


def _resolve(row: Break, given: Given) -> object:
    if not _needs_no_journal(row):
        raise InvalidState("invalid_state", "Money in suspense has to be identified first.")
    return breaks.resolve(row.pk, actor=given.actor, reason=given.values["words"], now=given.now)


class StateFilter(admin.SimpleListFilter):
    """By status; without a choice, the unresolved ones."""

    title = "status"
    parameter_name = "status"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, str]]:
        """Offer the states."""
        return [*((str(value), str(label)) for value, label in Break.State.choices), ("all", "All")]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the chosen ones."""
        if self.value() in Break.State.values:
            return queryset.filter(state=self.value())
        return queryset if self.value() == "all" else queryset.exclude(state=Break.State.RESOLVED)


class CodeFilter(admin.SimpleListFilter):
    """By class."""

    title = "class"
    parameter_name = "code"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, str]]:
        """Offer all classes."""
        return [(one.code, f"{one.code} {one.name}") for one in CODES.values()]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those of one class."""
        return queryset.filter(code=self.value()) if self.value() in CODES else queryset


class OwnerFilter(admin.SimpleListFilter):
    """By who has taken it."""

    title = "owner"
    parameter_name = "owner"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, str]]:
        """Offer one's own and those of nobody."""
        return [("mine", "Mine"), ("nobody", "Nobody's")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the chosen ones."""
        owners = {"mine": actor_of(request), "nobody": ""}
        chosen = owners.get(str(self.value()))
        return queryset if chosen is None else queryset.filter(owner=chosen)


@admin.register(Break)
class BreakAdmin(SteppingAdmin):
    """A difference that somebody or something must resolve."""

    prefix = "brk"
    refusals: ClassVar[tuple[type[Exception], ...]] = (LedgerError, PaymentsError)
    list_display = ("identity", "code", "in_state", "priority", "amount", "of_reference", "owner", "break_on", "book")
    list_filter = (StateFilter, CodeFilter, "priority", OwnerFilter, BookFilter)
    select = ("source", "book", "transaction")
    heavy = ("evidence",)
    fields = (
        "identity", "in_class", "in_state", "priority", "amount", "of_source", "of_reference", "detail", "owner",
        "break_on", "resolution", "resolved_at", "journal", "shown_evidence", "book", "created_at",
    )  # fmt: skip
    search_help_text = "brk_…, or a whole reference"
    steps: ClassVar[tuple[Step, ...]] = (
        Step(
            name="take",
            title="Take",
            question="You see to it. Others see that you do.",
            done="It is yours.",
            icon="person_add",
            permission=HANDLE,
            run=_take,
            applies=_unresolved,
        ),
        Step(
            name="give_back",
            title="Give back",
            question="Nobody sees to it then.",
            done="It is nobody's.",
            icon="person_remove",
            permission=HANDLE,
            run=_give_back,
            applies=lambda row: _unresolved(row) and bool(row.owner),
        ),
        Step(
            name="note",
            title="Add a note",
            question="What was found out. It stays with the break for good.",
            done="Noted.",
            icon="edit_note",
            permission=HANDLE,
            run=_note,
            applies=lambda _row: True,
            form=WordsForm,
        ),
        Step(
            name="resolve",
            title="Resolve",
            question="Say why it needs no journal. It is opened again when a run finds it with another amount or "
            "class. Money in suspense has to be identified first.",
            done="Resolved.",
            icon="check",
            permission=HANDLE,
            run=_resolve,
            applies=_needs_no_journal,
            form=WordsForm,
        ),
    )

    def find(self, term: str) -> Q:
        """Find breaks by reference."""
        return Q(reference=term)

    def tables(self, _request: HttpRequest, obj: Break) -> Iterable[Table]:
        """Show the lines, what we did, and what happened to it."""
        found_lines = StatementLine.objects.filter(pk__in=obj.line_ids).select_related("file").order_by("pk")
        if obj.line_ids:
            yield rows.lines(found_lines[: Table.LIMIT])
        if obj.item_ids:
            yield rows.items(Item.objects.filter(pk__in=obj.item_ids).order_by("pk")[: Table.LIMIT])
        yield rows.history(obj.events.order_by("pk")[: Table.LIMIT])

    @admin.display(description="Break")
    def identity(self, row: Break) -> SafeString:
        """Show the public id."""
        return api_id("brk", row.public_id)

    @admin.display(description="Class")
    def in_class(self, row: Break) -> str:
        """Show what the class means."""
        known = CODES.get(row.code)
        return f"{row.code} {known.name}: {known.meaning}" if known else row.code

    @admin.display(description="Status")
    def in_state(self, row: Break) -> SafeString:
        """Show the status."""
        return badge(row.state, _TONES[Break.State(row.state)])

    @admin.display(description="Amount, outside minus ours")
    def amount(self, row: Break) -> SafeString | str:
        """Show the amount."""
        return rows.amount(row.amount_minor, row.currency_id)

    @admin.display(description="Source")
    def of_source(self, row: Break) -> SafeString:
        """Show the source."""
        return code(row.source.code if row.source else "books")

    @admin.display(description="Reference")
    def of_reference(self, row: Break) -> SafeString:
        """Show the reference."""
        return code(row.reference)

    @admin.display(description="Journal")
    def journal(self, row: Break) -> SafeString:
        """Link to the journal that was posted about it."""
        return link(row.transaction, row.transaction.reference if row.transaction else "")

    @admin.display(description="Evidence")
    def shown_evidence(self, row: Break) -> SafeString:
        """Show what the class was made out from."""
        return pretty(row.evidence)


# Uses index: break_unresolved.
def at_risk() -> Table:
    """Return the unresolved breaks of the highest priority."""
    found = (
        Break.objects.exclude(state=Break.State.RESOLVED)
        .filter(priority=Break.Priority.MONEY_AT_RISK)
        .select_related("source")
        .order_by("-pk")
    )
    return rows.breaks("Breaks: money at risk, or integrity", found[:LIMIT])
