"""Runs: what was reconciled, with which verdict, and what proves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from payments.api import payment_lookup
from payments.api.authentication import caller_of
from payments.api.pagination import page
from payments.api.requests import query_of
from payments.api.resource import Resource
from payments.representations import Object
from reconciliation import representations
from reconciliation.api import documentation, queries
from reconciliation.models import Identity, ReconciliationRun

READ: Final = "reconciliation:read"


class Runs(Resource):
    """`/reconciliation/runs`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.LIST_RUNS)
    def get(self, request: Request) -> Response:
        """List runs, newest first."""
        query = query_of(request, queries.RunsPage)
        # Uses index: reconciliation_run_by_book.
        scope = ReconciliationRun.objects.filter(book_id=caller_of(request).book_id)
        rows = scope.select_related("source")
        if query.source is not None:
            rows = rows.filter(source__code=query.source)
        if query.day is not None:
            rows = rows.filter(day=query.day)
        if query.verdict is not None:
            rows = rows.filter(verdict=query.verdict)
        return Response(page(rows, query, scope, _shown))


class Run(Resource):
    """`/reconciliation/runs/{id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_RUN)
    def get(self, request: Request, run_id: str) -> Response:
        """Read a run."""
        key = payment_lookup.public_uuid("rec", run_id)
        rows = ReconciliationRun.objects.filter(book_id=caller_of(request).book_id, public_id=key)
        found = rows.select_related("source").first()
        if found is None:
            raise payment_lookup.no_such_object()
        return Response(_shown([found])[0])


def _shown(rows: Sequence[ReconciliationRun]) -> list[Object]:
    """Show runs with their identities: one statement more, however many."""
    identities: dict[int, list[Identity]] = {row.pk: [] for row in rows}
    for one in Identity.objects.filter(run__in=rows).order_by("name", "currency"):
        identities[one.run_id].append(one)
    return [representations.run(row, identities[row.pk]) for row in rows]
