"""Bank files in the back office: made, approved, handed out, withdrawn, and answered by what the bank reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminFileFieldWidget

from config import seam
from ledger.admin.filters import BookFilter
from ledger.admin.reading import Link, ReadOnlyAdmin, Table
from ledger.admin.showing import api_id, badge, code, link, money, right
from ledger.admin.steps import Given, Step, StepForm, SteppingAdmin, actor_of, audit
from ledger.errors import LedgerError
from ledger.ids import public_id
from payments import bank_files, bank_reports
from payments.admin.states import state
from payments.errors import PaymentsError
from payments.models import BankFile, BankFileHandOut, BankInstruction, OwnBankAccount
from wallet.admin.drafting import BookForm

HANDLE: Final = "payments.handle_bank_files"
APPROVE: Final = "payments.approve_payouts"
_HAND_OUT: Final = "payments_bankfile_hand_out"


class Refused(LedgerError):
    """What the flow refuses, in the form in which steps tell it."""


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except PaymentsError as refusal:
        told = Refused(refusal.message)
        told.code = refusal.code
        raise told from refusal


def _approve(file: BankFile, given: Given) -> object:
    with _told():
        return bank_files.approve(file.pk, actor=given.actor, now=given.now)


def _withdraw(file: BankFile, given: Given) -> object:
    with _told():
        return bank_files.withdraw(file.pk, actor=given.actor, now=given.now)


class ReportForm(BookForm):
    """Whose files a report is about, and the report."""

    report = forms.FileField(label="Report of the bank (pain.002)", widget=UnfoldAdminFileFieldWidget)


@admin.register(BankFile)
class BankFileAdmin(SteppingAdmin):
    """Credit transfers that our bank is told to make."""

    prefix = "bfl"
    list_display = ("identity", "in_state", "size", "total", "book", "execution_on", "made_by", "made_at")
    list_filter = (BookFilter, "status")
    select = ("book", "bank_account")
    heavy = ("content",)
    fields = (
        "identity",
        "in_state",
        "size",
        "total",
        "paying",
        "execution_on",
        "schema",
        "digest",
        "book",
        "made_by",
        "made_at",
        "approved_by",
        "approved_at",
    )
    search_help_text = "bfl_…"
    steps: ClassVar[tuple[Step, ...]] = (
        Step(
            name="approve",
            title="Approve",
            question="The file may be handed out then. Somebody else must have made it.",
            done="Approved: the file may be handed out.",
            icon="check",
            permission=APPROVE,
            run=_approve,
            applies=lambda file: file.status == BankFile.Status.REQUIRES_APPROVAL,
        ),
        Step(
            name="withdraw",
            title="Withdraw",
            question="Nobody has the file, and nobody gets it any more. Its payouts go into another one.",
            done="Withdrawn: its payouts wait for the next file.",
            icon="undo",
            permission=HANDLE,
            run=_withdraw,
            applies=lambda file: file.status in BankFile.LIVING,
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        """Add the page that hands a file out, and those that make files and read reports in."""
        view = self.admin_site.admin_view
        return [
            path("make/", view(self.make_view), name="payments_bankfile_make"),
            path("report/", view(self.report_view), name="payments_bankfile_report"),
            path("<path:object_id>/hand-out/", view(self.hand_out_view), name=_HAND_OUT),
            *super().get_urls(),
        ]

    def may(self, request: HttpRequest, step: Step, obj: BankFile) -> bool:
        """Say whether a user may take a step: whoever made a file never approves it."""
        return super().may(request, step, obj) and (step.name != "approve" or obj.made_by != actor_of(request))

    def links(self, request: HttpRequest, obj: BankFile) -> Iterable[Link]:
        """Offer the file to those who may take it to the bank."""
        yield from super().links(request, obj)
        if request.user.has_perm(HANDLE) and obj.status not in (
            BankFile.Status.REQUIRES_APPROVAL,
            BankFile.Status.WITHDRAWN,
        ):
            yield Link("Hand out", reverse(f"admin:{_HAND_OUT}", args=[obj.pk]), "download", ActionVariant.PRIMARY)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, and lead those who may to the forms."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data and request.user.has_perm(HANDLE):
            buttons = (
                Link("Make files", reverse("admin:payments_bankfile_make"), "add", ActionVariant.PRIMARY),
                Link("Read a report in", reverse("admin:payments_bankfile_report"), "upload_file"),
            )
            response.context_data["actions_list"] = [button.data for button in buttons]
        return response

    def hand_out_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask (GET), then hand the file out (POST): whoever has it may tell the bank to pay."""
        if not request.user.has_perm(HANDLE):
            raise PermissionDenied
        obj = self.viewable(request, object_id)
        if request.method == "GET":
            before = BankFileHandOut.objects.filter(file=obj).count()
            question = (
                f"The file was handed out {before} times before. Make sure that the bank gets it once."
                if before
                else "Its payouts count as sent from now on: only the bank can say then that one was not paid."
            )
            context = {
                "title": "Hand out",
                "step": {"title": "Hand out", "question": question},
                "name": self.heading(obj),
                "form": StepForm(None, subject=obj),
                "tables": list(self.tables(request, obj)),
            }
            return self.page(request, obj, "admin/confirm_step.html", context)
        if request.method != "POST":
            return HttpResponseNotAllowed(["GET", "POST"])
        try:
            with transaction.atomic():
                got = bank_files.hand_out(obj.pk, actor=actor_of(request), now=seam.now())
                audit(request, obj, self.heading(obj), f"Hand out, no. {got.number}")
        except PaymentsError as refusal:
            messages.error(request, f"{refusal.message} ({refusal.code})")
            return HttpResponseRedirect(self.path_of(obj))
        response = HttpResponse(got.content, content_type="application/xml")
        response["Content-Disposition"] = f'attachment; filename="{got.name}"'
        return response

    def make_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whose payouts (GET), then put those that wait into files (POST)."""
        self._require_handler(request)
        form = BookForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            book = form.cleaned_data["book"]
            try:
                with transaction.atomic():
                    made = bank_files.make_all(book.pk, actor=actor_of(request), now=seam.now())
                    for file in made:
                        audit(request, file, self.heading(file), "Made")
            except PaymentsError as refusal:
                form.add_error(None, f"{refusal.message} ({refusal.code})")
            else:
                messages.success(request, f"{len(made)} files were made." if made else "No payout can go into a file.")
                return HttpResponseRedirect(f"{reverse('admin:payments_bankfile_changelist')}?book={book.pk}")
        return self._form(request, form, "Make files", "One file for each bank account that has payouts waiting.")

    def report_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for a report (GET), then give back what it refuses (POST)."""
        self._require_handler(request)
        is_sent = request.method == "POST"
        form = ReportForm(request.POST if is_sent else None, request.FILES if is_sent else None)
        if form.is_valid():
            book, upload = form.cleaned_data["book"], form.cleaned_data["report"]
            try:
                with transaction.atomic():
                    content = upload.read(bank_reports.MAX_BYTES + 1)
                    done = bank_reports.read_in(book.pk, content, actor=actor_of(request), now=seam.now())
                    words = ", ".join(sorted({f"{one.outcome}" for one in done.answers})) or "nothing refused"
                    audit(request, book, f"Book {book.code}", f"Report of the bank: {words}")
            except PaymentsError as refusal:
                form.add_error("report", f"{refusal.message} ({refusal.code})")
            else:
                messages.success(request, f"Read in: {len(done.answers)} refused ({words}).")
                return HttpResponseRedirect(f"{reverse('admin:payments_bankfile_changelist')}?book={book.pk}")
        return self._form(request, form, "Read a report in", "What the bank refuses is available to the seller again.")

    def _require_handler(self, request: HttpRequest) -> None:
        if not (request.user.has_perm(HANDLE) and self.has_view_permission(request)):
            raise PermissionDenied

    def _form(self, request: HttpRequest, form: forms.Form, title: str, says: str) -> HttpResponse:
        if request.method not in ("GET", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "list_path": reverse("admin:payments_bankfile_changelist"),
            "title": title,
            "says": says,
            "form": form,
        }
        return TemplateResponse(request, "admin/bank_form.html", context)

    @admin.display(description="File")
    def identity(self, row: BankFile) -> SafeString:
        """Show the public id."""
        return api_id("bfl", row.public_id)

    @admin.display(description="Status")
    def in_state(self, row: BankFile) -> SafeString | str:
        """Show the status."""
        return state(row.status)

    @admin.display(description="Payouts")
    def size(self, row: BankFile) -> str:
        """Show how many payouts it tells."""
        return str(row.count)

    @admin.display(description="Total")
    def total(self, row: BankFile) -> SafeString:
        """Show the sum."""
        return money(row.total_minor, row.currency_id)

    @admin.display(description="Pays from")
    def paying(self, row: BankFile) -> SafeString:
        """Link to the account that pays."""
        return link(row.bank_account, str(row.bank_account))

    @admin.display(description="SHA-256")
    def digest(self, row: BankFile) -> SafeString:
        """Show the digest of the bytes that are handed out."""
        return code(bytes(row.sha256).hex())

    def tables(self, _request: HttpRequest, obj: BankFile) -> Iterable[Table]:
        """Show who got it, and what it tells."""
        got = BankFileHandOut.objects.filter(file=obj).order_by("number")[: Table.LIMIT]
        yield Table("Handed out", ("No.", "To", "At"), [(str(one.number), one.actor, f"{one.at:%F %T}") for one in got])
        told = BankInstruction.objects.filter(file=obj).select_related("payout").order_by("pk")[: Table.LIMIT]
        yield Table(
            "Payouts",
            ("Payout", "Status", right("Amount"), "Booked", "Returned"),
            [
                (
                    link(one.payout, public_id("pyo", one.payout.public_id)),
                    state(one.payout.status),
                    money(one.amount_minor, obj.currency_id),
                    f"{one.booked_on or '-'}",
                    f"{one.returned_on or '-'}",
                )
                for one in told
            ],
        )


@admin.register(OwnBankAccount)
class OwnBankAccountAdmin(ReadOnlyAdmin):
    """Accounts that bank files pay from."""

    prefix = "bac"
    list_display = ("identity", "name", "currency", "masked", "holder", "in_use", "book")
    list_filter = (BookFilter,)
    select = ("book",)
    heavy = ("details",)
    fields = (
        "identity", "name", "currency", "masked", "holder", "bic", "schema", "in_use", "book", "created_at",
        "closed_at",
    )  # fmt: skip
    search_help_text = "bac_…"

    @admin.display(description="Account")
    def identity(self, row: OwnBankAccount) -> SafeString:
        """Show the public id."""
        return api_id("bac", row.public_id)

    @admin.display(description="State")
    def in_use(self, row: OwnBankAccount) -> SafeString:
        """Show whether it pays what is asked for now."""
        return badge("closed") if row.closed_at else badge("paying", "success")
