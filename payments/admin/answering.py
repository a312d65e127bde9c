"""The form in which somebody answers a dispute: a field for each text and each document, by the rules of the API."""

from __future__ import annotations

from typing import Any, override

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget

from ledger.admin.steps import StepForm
from payments.api import evidence_body
from payments.errors import Invalid
from payments.evidence import DOCUMENTS, MAX_DOCUMENT_BYTES, TEXTS

_DOCUMENT = "document_"


class EvidenceForm(StepForm):
    """What a dispute is answered with; at least one field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in TEXTS:
            label = name.replace("_", " ").capitalize()
            widget = UnfoldAdminTextareaWidget(attrs={"rows": 2})
            self.fields[name] = forms.CharField(required=False, label=label, strip=False, widget=widget)
        for name in DOCUMENTS:
            label = f"{name.replace('_', ' ').capitalize()} (PDF, PNG or JPEG)"
            self.fields[_DOCUMENT + name] = forms.FileField(required=False, label=label, widget=forms.FileInput())

    @override
    def clean(self) -> dict[str, Any]:
        """Check everything at once, as the API does; say what is wrong at its field."""
        values = super().clean() or {}
        texts = {name: values[name] for name in TEXTS if values.get(name)}
        given = {name: values[_DOCUMENT + name] for name in DOCUMENTS if values.get(_DOCUMENT + name)}
        for name, file in given.items():
            if file.size > MAX_DOCUMENT_BYTES:
                self.add_error(_DOCUMENT + name, f"at most {MAX_DOCUMENT_BYTES:,} bytes")
        if self.errors:
            return values
        try:
            answer = evidence_body.checked(texts, {name: file.read() for name, file in given.items()})
        except Invalid as refusal:
            for error in refusal.errors:
                field = error.field if error.field in self.fields else _DOCUMENT + error.field
                self.add_error(field if field in self.fields else None, error.detail)
            if not refusal.errors:
                self.add_error(None, refusal.message)
            return values
        return {**values, "texts": answer.texts, "documents": answer.documents}
