"""Breaks: the differences that wait for somebody, and those that were resolved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from payments.api import payment_lookup
from payments.api.authentication import caller_of
from payments.api.pagination import page
from payments.api.requests import query_of
from payments.api.resource import Resource
from payments.representations import Object
from reconciliation import models, representations
from reconciliation.api import documentation, queries
from reconciliation.api.runs import READ


class Breaks(Resource):
    """`/reconciliation/breaks`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.LIST_BREAKS)
    def get(self, request: Request) -> Response:
        """List breaks, newest first."""
        query = query_of(request, queries.BreaksPage)
        # Uses index: break_by_state.
        scope = models.Break.objects.filter(book_id=caller_of(request).book_id)
        rows = scope.select_related("source")
        if query.status == "unresolved":
            rows = rows.filter(state__in=("open", "proposed"))
        elif query.status is not None:
            rows = rows.filter(state=query.status)
        if query.code is not None:
            rows = rows.filter(code=query.code)
        if query.source is not None:
            rows = rows.filter(source__code=query.source)
        return Response(page(rows, query, scope, _shown))


class Break(Resource):
    """`/reconciliation/breaks/{id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_BREAK)
    def get(self, request: Request, break_id: str) -> Response:
        """Read a break with its history."""
        key = payment_lookup.public_uuid("brk", break_id)
        rows = models.Break.objects.filter(book_id=caller_of(request).book_id, public_id=key)
        found = rows.select_related("source").first()
        if found is None:
            raise payment_lookup.no_such_object()
        return Response(representations.found_break(found, list(found.events.order_by("pk")[:200])))


def _shown(rows: Sequence[models.Break]) -> list[Object]:
    return [representations.found_break(row) for row in rows]
