"""Periods in the back office: their state, their stored trial balance, and closing them for good."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from config import seam
from ledger import periods
from ledger.admin.filters import BookFilter
from ledger.admin.reading import Table
from ledger.admin.showing import badge, code, link_to, money, right
from ledger.admin.steps import Given, Step, StepForm, SteppingAdmin
from ledger.models import Period

CLOSE = "ledger.close_periods"
WAIT_SECONDS = 3.0
MAX_MONTHS = 24
MAX_NAMES = 20
_TONES = {Period.Status.SOFT_CLOSED: "warning", Period.Status.CLOSING: "info", Period.Status.CLOSED: "success"}


def shown_status(period: Period) -> SafeString:
    """Show the state of a period."""
    return badge(period.status, _TONES[Period.Status(period.status)])


def month_before(ends_at: datetime) -> str:
    """Return the name of the month that ends with an instant: 2026-10."""
    end = ends_at.astimezone(UTC)
    year, month = (end.year - 1, 12) if end.month == 1 else (end.year, end.month - 1)
    return f"{year}-{month:02}"


class MayPostForm(StepForm):
    """Who may still post into a softly closed period."""

    may_post = forms.CharField(
        required=False,
        max_length=2000,
        label="Who may still post into it",
        help_text="Actors with commas between: user:anna, user:ben. Who approves a journal of the period must be one.",
        widget=UnfoldAdminTextInputWidget,
    )

    def clean_may_post(self) -> list[str]:
        """Return the names."""
        names = [name.strip() for name in self.cleaned_data["may_post"].split(",") if name.strip()]
        if len(names) > MAX_NAMES or any(len(name) > 128 for name in names):
            raise forms.ValidationError(f"At most {MAX_NAMES} names of 128 characters.")
        return names


class SoftCloseForm(MayPostForm):
    """Which month, and who may still post into it."""

    ends_at = forms.TypedChoiceField(label="Up to the end of", widget=UnfoldAdminSelectWidget)
    field_order = ("ends_at", "may_post")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["ends_at"]
        assert isinstance(field, forms.TypedChoiceField)
        field.choices = [(end.isoformat(), month_before(end)) for end in _ends(self.subject.pk, seam.now())]
        field.coerce = datetime.fromisoformat


def _ends(book_id: int, now: datetime) -> list[datetime]:
    """Return the ends of months that are over and not closed yet, newest first."""
    last = Period.objects.filter(book_id=book_id).order_by("-ends_at").first()
    end = datetime(now.year, now.month, 1, tzinfo=UTC)
    found: list[datetime] = []
    while len(found) < MAX_MONTHS and (last is None or end > last.ends_at):
        found.append(end)
        end = datetime(end.year - 1, 12, 1, tzinfo=UTC) if end.month == 1 else end.replace(month=end.month - 1)
    return found


def _soft_close(book: Any, given: Given) -> None:
    periods.soft_close(
        book.pk,
        ends_at=given.values["ends_at"],
        may_post=given.values["may_post"],
        actor=given.actor,
        now=given.now,
    )


def _name_others(period: Period, given: Given) -> None:
    periods.soft_close(
        period.book_id,
        ends_at=period.ends_at,
        may_post=given.values["may_post"],
        actor=given.actor,
        now=given.now,
    )


SOFT_CLOSE = Step(
    name="soft-close",
    title="Close a month softly",
    question="From then on only those you name can post with a date in the month, or in one before it.",
    done="Closed softly.",
    icon="lock_clock",
    permission=CLOSE,
    run=_soft_close,
    applies=lambda _book: True,
    form=SoftCloseForm,
)


@admin.register(Period)
class PeriodAdmin(SteppingAdmin):
    """A month or a year of a book, softly closed or closed."""

    list_display = ("until", "book", "state", "changed_at", "changed_by")
    list_display_links = ("until",)
    list_filter = (BookFilter, "status")
    select = ("book",)
    fields = ("until", "book", "state", "starts_at", "ends_at", "named", "changed_at", "changed_by")
    search_fields = ()
    steps: ClassVar[tuple[Step, ...]] = (
        Step(
            name="may-post",
            title="Name who may post",
            question="Whoever is not named can post nothing more with a date in this period.",
            done="Named.",
            icon="group",
            permission=CLOSE,
            run=_name_others,
            applies=lambda period: period.status == Period.Status.SOFT_CLOSED,
            form=MayPostForm,
        ),
        Step(
            name="close",
            title="Close for good",
            question="Nobody will ever post with a date in this period again. Its trial balance is stored.",
            done="Closed for good.",
            icon="lock",
            permission=CLOSE,
            run=lambda period, given: periods.begin_close(period.pk, actor=given.actor, now=given.now),
            applies=lambda period: period.status == Period.Status.SOFT_CLOSED,
        ),
        Step(
            name="finish",
            title="Finish closing",
            question="The trial balance is stored once every transaction is over that began before the close.",
            done="Closed for good.",
            icon="lock",
            permission=CLOSE,
            run=lambda period, _given: periods.require_closing(period.pk),
            applies=lambda period: period.status == Period.Status.CLOSING,
        ),
    )

    def after(self, request: HttpRequest, step: Step, obj: Period, given: Given) -> None:
        """Finish the close when nobody can be posting into the period any more; wait a moment for it."""
        if step.name == "may-post" or periods.finish_within(
            obj.pk, seconds=WAIT_SECONDS, actor=given.actor, now=given.now
        ):
            super().after(request, step, obj, given)
        else:
            messages.warning(request, "Transactions that began before are still running. Finish closing in a while.")

    def heading(self, obj: Period) -> str:
        """Return the title of a period's page."""
        return f"{obj.book} until the end of {month_before(obj.ends_at)}"

    @admin.display(description="Until the end of")
    def until(self, row: Period) -> str:
        """Show the last month of the period."""
        return month_before(row.ends_at)

    @admin.display(description="State")
    def state(self, row: Period) -> SafeString:
        """Show the state."""
        return shown_status(row)

    @admin.display(description="May still post")
    def named(self, row: Period) -> str:
        """Show who may post into it."""
        return ", ".join(row.may_post) if row.status == Period.Status.SOFT_CLOSED and row.may_post else "nobody"

    def tables(self, _request: HttpRequest, obj: Period) -> Iterable[Table]:
        """Show the stored trial balance, debit positive."""
        if obj.status != Period.Status.CLOSED:
            return
        yield Table(
            "Trial balance as it was stored, debits positive",
            ("Account", right("Opening"), right("Movement"), right("Closing")),
            [
                (
                    link_to("ledger_account", row.account_id, code(row.code)),
                    money(row.opening, row.currency),
                    money(row.movement, row.currency),
                    money(row.closing, row.currency),
                )
                for row in periods.balances(obj.pk, limit=Table.LIMIT)
            ],
        )
