"""A step that somebody may take from the back office: a page that asks, a POST that calls one function.

The right is checked on the server for the page and for the POST alike: hiding a button protects nothing. What was done
is written to the audit trail in the same database transaction: both, or neither. What the ledger refuses is told, and
leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.enums import ActionVariant

from config import seam
from ledger.admin.reading import Link, ReadOnlyAdmin
from ledger.errors import LedgerError


class StepForm(forms.Form):
    """What a step asks for; nothing unless a subclass has fields. `subject` is the object of the page."""

    def __init__(self, *args: Any, subject: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subject = subject


@dataclass(frozen=True, slots=True)
class Given:
    """Who takes a step, when, and what the form said."""

    actor: str
    now: datetime
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """What somebody with `permission` may do to an object: its words, its function, and when it makes sense."""

    name: str
    title: str
    question: str
    done: str
    icon: str
    permission: str
    run: Callable[[Any, Given], object]
    applies: Callable[[Any], bool]
    form: type[StepForm] = StepForm


def actor_of(request: HttpRequest) -> str:
    """Return the actor that a user is in the books."""
    return f"user:{request.user.get_username()}"


def audit(request: HttpRequest, obj: Any, heading: str, message: str, *, flag: int = CHANGE) -> None:
    """Write what was done to the audit trail; call it in the transaction of what was done."""
    user = request.user.pk
    assert user is not None
    LogEntry.objects.create(
        user_id=user,
        content_type=ContentType.objects.get_for_model(obj),
        object_id=str(obj.pk),
        object_repr=heading[:200],
        action_flag=flag,
        change_message=message,
    )


class SteppingAdmin(ReadOnlyAdmin):
    """A model page with steps."""

    steps: ClassVar[tuple[Step, ...]] = ()
    # What the function of a step may refuse with: it is told, and has a code.
    refusals: ClassVar[tuple[type[Exception], ...]] = (LedgerError,)

    def get_urls(self) -> list[URLPattern]:
        """Add the page of each step."""
        return [
            *(
                path(
                    f"<path:object_id>/{step.name}/",
                    self.admin_site.admin_view(self.step_view),
                    {"name": step.name},
                    name=self._page(step),
                )
                for step in self.steps
            ),
            *super().get_urls(),
        ]

    def may(self, request: HttpRequest, step: Step, _obj: Any) -> bool:
        """Say whether a user may take a step on an object."""
        return request.user.has_perm(step.permission)

    def after(self, request: HttpRequest, step: Step, obj: Any, given: Given) -> None:
        """Tell that a step was taken, once it is committed."""
        del obj, given
        messages.success(request, step.done)

    def links(self, request: HttpRequest, obj: Any) -> Iterable[Link]:
        """Offer the steps to those who may, where they make sense."""
        for step in self.steps:
            if self.may(request, step, obj) and step.applies(obj):
                address = reverse(f"admin:{self._page(step)}", args=[obj.pk])
                yield Link(step.title, address, step.icon, ActionVariant.PRIMARY)

    def step_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Ask (GET), then do it (POST). Refuses whoever lacks the right to the step or to see the object."""
        step = next(one for one in self.steps if one.name == name)
        if not request.user.has_perm(step.permission):
            raise PermissionDenied
        obj = self.viewable(request, object_id)
        if not self.may(request, step, obj):
            raise PermissionDenied
        if request.method not in ("GET", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        sent = (request.POST, request.FILES) if request.method == "POST" else ()
        form = step.form(*sent, subject=obj)
        if not form.is_valid():  # nor is one that was not sent
            context = {
                "title": step.title,
                "step": step,
                "name": self.heading(obj),
                "form": form,
                "tables": list(self.tables(request, obj)),
            }
            return self.page(request, obj, "admin/confirm_step.html", context)
        given = Given(actor_of(request), seam.now(), form.cleaned_data)
        try:
            with transaction.atomic():
                step.run(obj, given)
                audit(request, obj, self.heading(obj), step.title)
        except self.refusals as refusal:
            messages.error(request, f"{refusal} ({getattr(refusal, 'code', 'refused')})")
        else:
            self.after(request, step, obj, given)
        return HttpResponseRedirect(self.path_of(obj))

    def _page(self, step: Step) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{step.name}"
