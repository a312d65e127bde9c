"""Filters of the lists: by book and by time. Both stay cheap on tables of any size."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from config import seam
from ledger.models import Book

MAX_BOOKS = 200


class BookFilter(SimpleListFilter):
    """Rows of one book. Of many books only the newest are offered; the address takes any id."""

    title = "book"
    parameter_name = "book"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, str]]:
        """Offer the newest books."""
        books = Book.objects.order_by("-pk").values_list("pk", "code")[:MAX_BOOKS]
        return [(str(pk), code) for pk, code in books]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows of the chosen book."""
        value = self.value()
        return queryset.filter(book_id=int(value)) if value and value.isdigit() else queryset


_PERIODS = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last 24 hours", timedelta(days=1)),
    "week": ("Last 7 days", timedelta(days=7)),
    "month": ("Last 30 days", timedelta(days=30)),
}


def lowest_id_at(at: datetime) -> UUID:
    """Return the smallest UUIDv7 of a moment: rows from then on have a public id at or above it."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


class PeriodFilter(SimpleListFilter):
    """Rows of the last hour, day, week or month, by a column of time."""

    title = "time"
    parameter_name = "period"
    column = "created_at"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, str]]:
        """Offer the periods."""
        return [(name, title) for name, (title, _) in _PERIODS.items()]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows of the chosen period."""
        if self.value() not in _PERIODS:
            return queryset
        since = seam.now() - _PERIODS[str(self.value())][1]
        return queryset.filter(**self.condition(since))

    def condition(self, since: datetime) -> dict[str, Any]:
        """Return the lookup that keeps rows from `since` on."""
        return {f"{self.column}__gte": since}


class PeriodByIdFilter(PeriodFilter):
    """The same by public id, which sorts by time and is indexed where the column of time is not."""

    def condition(self, since: datetime) -> dict[str, Any]:
        """Return the lookup that keeps rows from `since` on."""
        return {"public_id__gte": lowest_id_at(since)}
