"""Payment orders: the part of a checkout that goes to one seller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from django.db.models import Q
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger.ids import parse_public_id
from payments import processing, releases, representations
from payments.api import bodies, documentation, payment_lookup
from payments.api.authentication import caller_of
from payments.api.pagination import page
from payments.api.requests import body_of, minor_units, query_of, run_once
from payments.api.resource import Resource
from payments.errors import InvalidState, Unprocessable
from payments.idempotency import Effect
from payments.models import PaymentOrder

READ, WRITE = "payments:read", "payments:write"


class PaymentOrders(Resource):
    """`/payment-orders`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.LIST_ORDERS)
    def get(self, request: Request) -> Response:
        """List payment orders, newest first."""
        query = query_of(request, bodies.PaymentOrdersPage)
        # Uses index: payment_order_by_book, or payment_order_by_reference with a reference.
        scope = PaymentOrder.objects.filter(book_id=caller_of(request).book_id)
        rows = scope.select_related("event", "charge", "seller")
        if query.status is not None:
            rows = rows.filter(status=query.status)
        if query.reference is not None:
            rows = rows.filter(reference=query.reference)
        if query.checkout_id is not None:
            rows = rows.filter(event__checkout_id=query.checkout_id, event__book_id=caller_of(request).book_id)
        if query.seller is not None:
            value = parse_public_id("sel", query.seller)
            rows = rows.filter(Q(seller__public_id=value) if value else Q(seller__external_id=query.seller))
        return Response(page(rows, query, scope, _shown))


class Order(Resource):
    """`/payment-orders/{id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_ORDER)
    def get(self, request: Request, order_id: str) -> Response:
        """Read a payment order."""
        row = payment_lookup.order(caller_of(request).book_id, order_id)
        return Response(payment_lookup.shown_order(row))


class ProcessOrder(Resource):
    """`/payment-orders/{id}/process`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.PROCESS_ORDER)
    def post(self, request: Request, order_id: str) -> HttpResponse:
        """Execute one order, or try it again. With `charge_mode` single its charge pays its neighbours too."""
        book_id = caller_of(request).book_id
        row = payment_lookup.order(book_id, order_id)
        body, now = body_of(request, bodies.ProcessOrder), seam.now()
        if body.amount is not None:
            _check_amount(body.amount, row)

        def run() -> Effect:
            processing.process(row.event_id, body.payment_method.token, order_id=row.pk, now=now)
            return Effect(202, payment_lookup.shown_order(payment_lookup.order(book_id, order_id)))

        return run_once(request, run, now=now)


class DeliverOrder(Resource):
    """`/payment-orders/{id}/deliver`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.DELIVER_ORDER)
    def post(self, request: Request, order_id: str) -> HttpResponse:
        """Record that an order was delivered. The seller's share becomes available as the merchant's terms say."""
        book_id = caller_of(request).book_id
        row = payment_lookup.order(book_id, order_id)
        now = seam.now()
        body_of(request, bodies.Deliver)

        def run() -> Effect:
            releases.deliver(row.event_id, row.pk, now=now)
            return Effect(200, payment_lookup.shown_order(payment_lookup.order(book_id, order_id)))

        return run_once(request, run, now=now)


class Receipt(Resource):
    """`/payment-orders/{id}/receipt`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_RECEIPT)
    def get(self, request: Request, order_id: str) -> Response:
        """Read the receipt of a paid order."""
        row = payment_lookup.order(caller_of(request).book_id, order_id)
        if row.succeeded_at is None:
            raise InvalidState("receipt_not_ready", f"the order is {row.status}: there is a receipt after SUCCESS")
        return Response(representations.receipt(row, row.event, payee=row.seller))


def _shown(rows: Sequence[PaymentOrder]) -> list[representations.Object]:
    return [payment_lookup.shown_order(row) for row in rows]


def _check_amount(text: str, row: PaymentOrder) -> None:
    if minor_units("amount", text, row.currency_id) != row.amount_minor:
        raise Unprocessable("amount_mismatch", "the amount differs from the order's", field="amount")
