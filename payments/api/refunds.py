"""Refunds: money of a paid order goes back to its buyer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from payments import refunds, representations
from payments.api import bodies, documentation, payment_lookup
from payments.api.authentication import caller_of
from payments.api.pagination import page
from payments.api.requests import body_of, minor_units, query_of, run_once
from payments.api.resource import Resource
from payments.idempotency import Effect
from payments.models import Refund as RefundRow
from payments.refunds import Wanted

READ, WRITE = "payments:read", "payments:write"


class Refunds(Resource):
    """`/refunds`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ, "POST": WRITE}

    @extend_schema(**documentation.LIST_REFUNDS)
    def get(self, request: Request) -> Response:
        """List refunds, newest first."""
        query = query_of(request, bodies.RefundsPage)
        # Uses index: refund_by_book, or the index on the order's foreign key with an order.
        scope = RefundRow.objects.filter(book_id=caller_of(request).book_id)
        rows = scope.select_related("charge__event", "order")
        if query.status is not None:
            rows = rows.filter(status=query.status)
        if query.reference is not None:
            rows = rows.filter(reference=query.reference)
        if query.payment_order is not None:
            rows = rows.filter(order__public_id=payment_lookup.public_uuid("ord", query.payment_order))
        return Response(page(rows, query, scope, _shown))

    @extend_schema(**documentation.CREATE_REFUND)
    def post(self, request: Request) -> HttpResponse:
        """Refund an order, in full (without an amount: all that is left) or in part."""
        body, now = body_of(request, bodies.NewRefund), seam.now()
        order = payment_lookup.order(caller_of(request).book_id, body.payment_order)
        wanted = Wanted(
            order_id=order.pk,
            amount_minor=minor_units("amount", body.amount, order.currency_id),
            to_stored_value=body.to == "stored_value",
            reason=body.reason,
            reference=body.reference,
        )

        def run() -> Effect:
            made = refunds.request(order.event_id, wanted, now=now)
            return Effect(201, _shown([_found(order.book_id, made.pk)])[0])

        return run_once(request, run, now=now)


class Refund(Resource):
    """`/refunds/{id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_REFUND)
    def get(self, request: Request, refund_id: str) -> Response:
        """Read a refund."""
        found = (
            RefundRow.objects.filter(
                book_id=caller_of(request).book_id, public_id=payment_lookup.public_uuid("rfd", refund_id)
            )
            .select_related("charge__event", "order")
            .first()
        )
        if found is None:
            raise payment_lookup.no_such_object()
        return Response(_shown([found])[0])


def _found(book_id: int, pk: int) -> RefundRow:
    return RefundRow.objects.select_related("charge__event", "order").get(book_id=book_id, pk=pk)


def _shown(rows: Sequence[RefundRow]) -> list[representations.Object]:
    return [representations.refund(row, row.charge.event, row.charge, row.order) for row in rows]
