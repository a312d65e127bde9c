"""Sources and their files in the back office: what was received, what was refused and why, and handing a file in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from ledger.admin.filters import BookFilter
from ledger.admin.reading import ReadOnlyAdmin, Table
from ledger.admin.showing import api_id, badge, code, link
from ledger.admin.steps import Given, Step, StepForm, SteppingAdmin
from ledger.errors import LedgerError
from payments.errors import PaymentsError
from reconciliation import ingest
from reconciliation.formats import FORMATS
from reconciliation.models import SettlementFile, Source

HANDLE = "reconciliation.handle_breaks"
MAX_UPLOAD_BYTES = 256 * 1024 * 1024
LIMIT = 20
_TONES = {SettlementFile.State.INGESTED: "success", SettlementFile.State.QUARANTINED: "danger"}


class UploadForm(StepForm):
    """A file and its format."""

    file = forms.FileField(label="Statement", widget=UnfoldAdminFileFieldWidget)
    written_in = forms.ChoiceField(label="Format", widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["written_in"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            (name, name) for name, one in FORMATS.items() if one.side is None or one.side == self.subject.side
        ]
        field.initial = self.subject.format


def _upload(source: Source, given: Given) -> object:
    file = given.values["file"]
    with file:
        return ingest.receive(
            source,
            file,
            format=given.values["written_in"],
            name=file.name,
            received_from=given.actor,
            now=given.now,
            limit_bytes=MAX_UPLOAD_BYTES,
        )


UPLOAD = Step(
    name="upload",
    title="Hand a statement in",
    question="It is read as a whole or not at all; what is wrong with it is shown. The same file twice does no harm.",
    done="The statement was read.",
    icon="upload_file",
    permission=HANDLE,
    run=_upload,
    applies=lambda source: source.active,
    form=UploadForm,
)


def _shown_state(row: SettlementFile) -> SafeString:
    return badge(row.state, _TONES[SettlementFile.State(row.state)])


@admin.register(Source)
class SourceAdmin(SteppingAdmin):
    """An account outside, at a PSP or a bank."""

    steps: ClassVar[tuple[Step, ...]] = (UPLOAD,)
    refusals: ClassVar[tuple[type[Exception], ...]] = (LedgerError, PaymentsError)
    list_display = ("code", "side", "book", "format", "starts_on", "active")
    list_filter = (BookFilter,)
    select = ("book",)
    fields = ("code", "side", "book", "account", "location", "format", "columns", "starts_on", "grace_days", "active")

    def heading(self, obj: Source) -> str:
        """Return the title of a source's page."""
        return f"Statements of {obj.code}"

    def after(self, request: HttpRequest, step: Step, obj: Source, given: Given) -> None:
        """Tell what became of the file: a refused one was taken in as well, as refused."""
        latest = SettlementFile.objects.filter(source=obj, received_at=given.now).last()
        if latest is not None and latest.state == SettlementFile.State.QUARANTINED:
            messages.error(request, f"The statement was refused: {latest.errors[0]['detail']}. Nothing of it was kept.")
        else:
            super().after(request, step, obj, given)

    def tables(self, _request: HttpRequest, obj: Source) -> Iterable[Table]:
        """Show the latest files."""
        # Uses index: settlement_file_by_identity.
        found: QuerySet[SettlementFile] = SettlementFile.objects.filter(source=obj).order_by("-pk")[:LIMIT]
        yield Table(
            "Latest files",
            ("File", "Name", "Format", "State", "Days", "Lines", "New", "Known", "Changed", "Withdrawn"),
            [
                (
                    link(row, api_id("stf", row.public_id)),
                    row.name or "-",
                    row.format,
                    _shown_state(row),
                    f"{row.first_day} to {row.last_day}" if row.last_day else "-",
                    row.line_count,
                    row.new_count,
                    row.known_count,
                    row.changed_count,
                    row.withdrawn_count,
                )
                for row in found
            ],
        )


@admin.register(SettlementFile)
class FileAdmin(ReadOnlyAdmin):
    """A statement that was received, or refused."""

    prefix = "stf"
    list_display = ("of_source", "name", "format", "in_state", "last_day", "line_count", "received_at", "book")
    list_filter = ("state", BookFilter)
    select = ("source", "book")
    fields = ("of_source", "book", "name", "format", "in_state", "identity", "digest", "size", "first_day", "last_day",
              "line_count", "new_count", "known_count", "changed_count", "withdrawn_count", "declared", "revises",
              "received_at", "received_from")  # fmt: skip

    @admin.display(description="Source")
    def of_source(self, obj: SettlementFile) -> SafeString:
        """Link the source."""
        return link(obj.source, obj.source.code)

    @admin.display(description="State")
    def in_state(self, obj: SettlementFile) -> SafeString:
        """Show whether it was believed."""
        return _shown_state(obj)

    @admin.display(description="SHA-256")
    def digest(self, obj: SettlementFile) -> SafeString:
        """Show what its bytes are."""
        return code(bytes(obj.sha256).hex())

    def heading(self, obj: SettlementFile) -> str:
        """Return the title of a file's page."""
        return obj.name or f"Statement of {obj.source.code}"

    def tables(self, _request: HttpRequest, obj: SettlementFile) -> Iterable[Table]:
        """Show everything that is wrong with a refused file."""
        if obj.errors:
            yield Table(
                "What is wrong with it",
                ("Row", "Column", "Code", "What"),
                [(one["line"] or "-", one["column"] or "-", one["code"], one["detail"]) for one in obj.errors],
            )
