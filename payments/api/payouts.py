"""Payouts: money that leaves a seller's wallet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from django.db.models import Q
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger.errors import MoneyError
from ledger.ids import parse_public_id, public_id
from ledger.money import Money
from payments import explaining, payouts, representations
from payments.api import bodies, documentation, payment_lookup
from payments.api.authentication import caller_of
from payments.api.pagination import page
from payments.api.requests import body_of, query_of, run_once
from payments.api.resource import Resource
from payments.callers import Caller
from payments.errors import FieldError
from payments.idempotency import Effect
from payments.models import Payout as PayoutRow
from payments.models import Seller
from payments.payouts import PayoutRequest

READ, WRITE = "payouts:read", "payouts:write"


class Payouts(Resource):
    """`/payouts`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ, "POST": WRITE}

    @extend_schema(**documentation.LIST_PAYOUTS)
    def get(self, request: Request) -> Response:
        """List payouts, newest first."""
        query = query_of(request, bodies.PayoutsPage)
        # Uses index: payout_by_book.
        scope = PayoutRow.objects.filter(book_id=caller_of(request).book_id)
        rows = scope.select_related("seller", "destination")
        if query.status is not None:
            rows = rows.filter(status=query.status)
        if query.reference is not None:
            rows = rows.filter(reference=query.reference)
        if query.seller is not None:
            value = parse_public_id("sel", query.seller)
            rows = rows.filter(Q(seller__public_id=value) if value else Q(seller__external_id=query.seller))
        return Response(page(rows, query, scope, _shown))

    @extend_schema(**documentation.CREATE_PAYOUT)
    def post(self, request: Request) -> HttpResponse:
        """Ask for a payout: its money is set aside at once."""
        caller, body, now = caller_of(request), body_of(request, bodies.NewPayout), seam.now()
        wanted = read(caller, body)

        def run() -> Effect:
            made = payouts.request(caller.book_id, wanted, actor=actor_of(caller), now=now)
            return Effect(201, representations.payout(made))

        return run_once(request, run, now=now)


class Payout(Resource):
    """`/payouts/{id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_PAYOUT)
    def get(self, request: Request, payout_id: str) -> Response:
        """Read a payout."""
        return Response(representations.payout(_found(caller_of(request), payout_id)))


class CancelPayout(Resource):
    """`/payouts/{id}/cancel`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.CANCEL_PAYOUT)
    def post(self, request: Request, payout_id: str) -> HttpResponse:
        """Cancel a payout of which nothing was sent, or ask the PSP to stop it: it stays `sent` until that answers."""
        row, now = _found(caller_of(request), payout_id), seam.now()
        body_of(request, bodies.Cancel)

        def run() -> Effect:
            return Effect(200, representations.payout(payouts.cancel(row.pk, now=now)))

        return run_once(request, run, now=now)


class PayoutExplanation(Resource):
    """`/payouts/{id}/explain`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.EXPLAIN_PAYOUT)
    def get(self, request: Request, payout_id: str) -> Response:
        """Read what a payout pays: orders, fees, refunds; the leaves sum to its amount."""
        return Response(explaining.explain(_found(caller_of(request), payout_id)))


def read(caller: Caller, body: bodies.NewPayout) -> PayoutRequest:
    """Return what is asked for in minor units. Raises `Invalid` for an amount that the currency cannot express."""
    value = parse_public_id("sel", body.seller)
    mine = Seller.objects.filter(book_id=caller.book_id)
    key = mine.filter(public_id=value) if value else mine.filter(external_id=body.seller)
    seller_id = key.values_list("pk", flat=True).first()
    if seller_id is None:
        raise bodies.invalid([FieldError("seller", "unknown_seller", "there is no such seller")])
    amount = None
    if body.amount != "all":
        try:
            amount = Money.parse(body.amount, body.currency).minor
        except MoneyError as error:
            raise bodies.invalid([FieldError("amount", "invalid_amount", str(error))]) from None
    return PayoutRequest(seller_id, body.currency, amount, body.reference)


def actor_of(caller: Caller) -> str:
    """Return how a caller is named where somebody has to answer for it."""
    return f"key:{public_id('key', caller.key_public_id)}"


def _found(caller: Caller, text: str) -> PayoutRow:
    rows = PayoutRow.objects.filter(book_id=caller.book_id, public_id=payment_lookup.public_uuid("pyo", text))
    row = rows.select_related("seller", "destination").first()
    if row is None:
        raise payment_lookup.no_such_object()
    return row


def _shown(rows: Sequence[PayoutRow]) -> list[representations.Object]:
    return [representations.payout(row) for row in rows]
