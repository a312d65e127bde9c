"""Disputes: what a buyer's bank took back or asks about, and the answer to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from payments import evidence, idempotency, models, representations
from payments.api import bodies, documentation, evidence_body, headers, payment_lookup
from payments.api.authentication import caller_of
from payments.api.pagination import page
from payments.api.requests import answer, body_of, query_of, run_once
from payments.api.resource import Resource
from payments.idempotency import Effect

READ, WRITE = "payments:read", "disputes:write"


class Disputes(Resource):
    """`/disputes`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.LIST_DISPUTES)
    def get(self, request: Request) -> Response:
        """List disputes, newest first."""
        query = query_of(request, bodies.DisputesPage)
        # Uses index: dispute_by_book.
        scope = models.Dispute.objects.filter(book_id=caller_of(request).book_id)
        rows = scope
        if query.status is not None:
            rows = rows.filter(status=query.status)
        if query.payment_order is not None:
            rows = rows.filter(parts__order__public_id=payment_lookup.public_uuid("ord", query.payment_order))
        if query.payment is not None:
            rows = rows.filter(charge__event__public_id=payment_lookup.public_uuid("pay", query.payment))
        return Response(page(rows, query, scope, _shown))


class Dispute(Resource):
    """`/disputes/{id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_DISPUTE)
    def get(self, request: Request, dispute_id: str) -> Response:
        """Read a dispute."""
        return Response(_shown([_found(caller_of(request).book_id, dispute_id)])[0])


class Evidence(Resource):
    """`/disputes/{id}/evidence`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}
    limit_bytes: ClassVar[int] = evidence_body.LIMIT_BYTES

    @extend_schema(**documentation.SUBMIT_EVIDENCE)
    def post(self, request: Request, dispute_id: str) -> HttpResponse:
        """Answer a dispute, once. The evidence is handed to the PSP right after."""
        book_id, plain, now = caller_of(request).book_id, request._request, seam.now()
        row = _found(book_id, dispute_id)
        key = headers.idempotency_key(plain)
        given = evidence_body.read(plain)

        def run() -> Effect:
            evidence.submit(row.pk, given.texts, given.documents, now=now)
            return Effect(202, _shown([_found(book_id, dispute_id)])[0])

        fingerprint = given.fingerprint(plain.method or "", plain.path)
        return answer(idempotency.replay_or_run(book_id, key, fingerprint, run, now=now))


class AcceptDispute(Resource):
    """`/disputes/{id}/accept`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.ACCEPT_DISPUTE)
    def post(self, request: Request, dispute_id: str) -> HttpResponse:
        """Give a dispute up: the buyer keeps the money. The PSP is told right after."""
        book_id, now = caller_of(request).book_id, seam.now()
        row = _found(book_id, dispute_id)
        body_of(request, bodies.Nothing)

        def run() -> Effect:
            evidence.accept(row.pk, now=now)
            return Effect(202, _shown([_found(book_id, dispute_id)])[0])

        return run_once(request, run, now=now)


def _found(book_id: int, text: str) -> models.Dispute:
    value = payment_lookup.public_uuid("dsp", text)
    row = models.Dispute.objects.filter(book_id=book_id, public_id=value).first()
    if row is None:
        raise payment_lookup.no_such_object()
    return row


def _shown(rows: Sequence[models.Dispute]) -> list[representations.Object]:
    """Show disputes with their parts (two statements more, whatever their number)."""
    charges = models.Charge.objects.select_related("event").in_bulk({row.charge_id for row in rows})
    # Uses index: dispute_part_position_is_unique.
    parts: dict[int, list[models.DisputePart]] = {row.pk: [] for row in rows}
    found = models.DisputePart.objects.filter(dispute_id__in=list(parts)).select_related("order__seller")
    for part in found.order_by("dispute_id", "position"):
        parts[part.dispute_id].append(part)
    shown = []
    for row in rows:
        charge, orders = charges[row.charge_id], {part.order_id: part.order for part in parts[row.pk]}
        sellers = {order.seller_id: order.seller.public_id for order in orders.values()}
        shown.append(representations.dispute(row, charge, charge.event, parts[row.pk], orders, sellers=sellers))
    return shown
