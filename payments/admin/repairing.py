"""A repair in the back office: a page that asks, a POST that calls one function (mostly of `payments.repairs`).

The right to do it is checked on the server for the page and for the POST alike: hiding a button protects
nothing. What was done is written to the audit trail in the same database transaction: both, or neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

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
from payments.errors import PaymentsError

OPERATE = "payments.operate_payments"


@dataclass(frozen=True, slots=True)
class Repair:
    """What an operator may set in motion: its words, its function, and for which rows it makes sense.

    The function takes the row's key, `actor` and `now`; and `note`, if the operator is to say why.
    """

    name: str
    title: str
    question: str
    done: str
    icon: str
    run: Callable[..., object]
    applies: Callable[[Any], bool]
    note: str = ""  # what the operator is asked for in words; empty: nothing


class RepairableAdmin(ReadOnlyAdmin):
    """A model page with one repair."""

    repair: ClassVar[Repair]
    right: ClassVar[str] = OPERATE  # what one needs for it

    def get_urls(self) -> list[URLPattern]:
        """Add the page of the repair."""
        view = self.admin_site.admin_view(self.repair_view)
        return [path(f"<path:object_id>/{self.repair.name}/", view, name=self._page), *super().get_urls()]

    @property
    def _page(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{self.repair.name}"

    def links(self, request: HttpRequest, obj: Any) -> Iterable[Link]:
        """Offer the repair to those who may, where it makes sense."""
        if request.user.has_perm(self.right) and self.repair.applies(obj):
            address = reverse(f"admin:{self._page}", args=[obj.pk])
            yield Link(self.repair.title, address, self.repair.icon, ActionVariant.PRIMARY)

    def repair_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask (GET), then do it (POST). Refuses whoever lacks the right to operate or to see the object."""
        if not request.user.has_perm(self.right):
            raise PermissionDenied
        obj = self.viewable(request, object_id)
        if request.method == "GET":
            context = {"title": self.repair.title, "repair": self.repair, "name": self.heading(obj)}
            return self.page(request, obj, "admin/confirm_repair.html", context)
        if request.method != "POST":
            return HttpResponseNotAllowed(["GET", "POST"])
        user = request.user.pk
        assert user is not None
        note = request.POST.get("note", "").strip()
        why = {"note": note} if self.repair.note else {}
        try:
            with transaction.atomic():
                self.repair.run(obj.pk, actor=f"user:{request.user.get_username()}", now=seam.now(), **why)
                LogEntry.objects.create(
                    user_id=user,
                    content_type=ContentType.objects.get_for_model(obj),
                    object_id=str(obj.pk),
                    object_repr=self.heading(obj)[:200],
                    action_flag=CHANGE,
                    change_message=f"{self.repair.title}: {note}" if why else self.repair.title,
                )
        except PaymentsError as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, self.repair.done)
        return HttpResponseRedirect(self.path_of(obj))
