"""Who may use the back office, and what they did there. Read-only too: `create_operator` makes users.

Django's own pages for users and groups would allow anyone with a change right to give themselves more.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group, User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from ledger.admin.reading import ReadOnlyAdmin
from ledger.admin.showing import badge, link_to

# Importing `auth_admin` has registered its pages; ours replace them, and groups have none.
for model, page in ((User, auth_admin.UserAdmin), (Group, auth_admin.GroupAdmin)):
    assert isinstance(admin.site.get_model_admin(model), page)
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """Someone who may sign in."""

    list_display = ("username", "roles", "active", "last_login", "date_joined")
    list_filter = ("groups", "is_active")
    fields = ("username", "first_name", "last_name", "roles", "active", "last_login", "date_joined")
    search_help_text = "User name"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave the password's hash in the database."""
        return super().get_queryset(request).defer("password").prefetch_related("groups")

    def find(self, term: str) -> Q:
        """Find a user by name."""
        return Q(username=term)

    def heading(self, obj: User) -> str:
        """Return the title of a user's page."""
        return f"User {obj.get_username()}"

    @admin.display(description="Roles")
    def roles(self, row: User) -> str:
        """Show the roles."""
        names = [group.name for group in row.groups.all()]
        return ", ".join(["admin", *names] if row.is_superuser else names) or "none"

    @admin.display(description="May sign in")
    def active(self, row: User) -> SafeString:
        """Show whether the user may sign in."""
        return badge("yes", "success") if row.is_active and row.is_staff else badge("no", "danger")


@admin.register(LogEntry)
class AuditAdmin(ReadOnlyAdmin):
    """What someone set in motion from here."""

    list_display = ("action_time", "user", "done", "subject")
    list_display_links = ("action_time",)
    list_filter = ("user",)
    select = ("user", "content_type")
    fields = ("action_time", "user", "done", "subject")
    search_fields = ()

    def heading(self, obj: LogEntry) -> str:
        """Return the title of an entry's page."""
        return f"Audit entry {obj.pk}"

    @admin.display(description="Action")
    def done(self, row: LogEntry) -> str:
        """Show what was done."""
        return row.get_change_message()

    @admin.display(description="On")
    def subject(self, row: LogEntry) -> SafeString:
        """Link to what it was done to."""
        kind = row.content_type
        page = f"{kind.app_label}_{kind.model}" if kind else ""
        return link_to(page, row.object_id, row.object_repr)
