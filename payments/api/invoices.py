"""Invoices of platform fees, and who bills: the profile of the platform and its rates of value added tax."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.ids import public_id
from ledger.money import format_minor
from payments import billing
from payments.api import bodies, documentation, pagination, payment_lookup
from payments.api.authentication import caller_of
from payments.api.requests import body_of, query_of
from payments.api.resource import Resource
from payments.api.sellers import found as found_seller
from payments.api.wallet_statements import READ, Pdf
from payments.documents import invoice as document
from payments.models import BillingProfile, Invoice, VatRate
from payments.representations import Object, timestamp


class Invoices(Resource):
    """`/invoices`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.LIST_INVOICES)
    def get(self, request: Request) -> Response:
        """List invoices, newest first."""
        query, book_id = query_of(request, bodies.InvoicesPage), caller_of(request).book_id
        scope = Invoice.objects.filter(book_id=book_id)
        rows = scope.select_related("seller")
        if query.seller is not None:
            rows = rows.filter(seller=found_seller(book_id, query.seller))
        if query.month is not None:
            rows = rows.filter(month=query.month)
        return Response(pagination.page(rows, query, scope, lambda found: [_shown(row) for row in found]))


class InvoiceView(Resource):
    """`/invoices/{id}`, as JSON or PDF."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}
    renderer_classes = [JSONRenderer, Pdf]

    @extend_schema(**documentation.GET_INVOICE)
    def get(self, request: Request, invoice_id: str) -> Response | HttpResponse:
        """Read an invoice."""
        rows = Invoice.objects.filter(book_id=caller_of(request).book_id).select_related("seller")
        row = rows.filter(public_id=payment_lookup.public_uuid("inv", invoice_id)).first()
        if row is None:
            raise payment_lookup.no_such_object()
        if request.accepted_renderer.format != Pdf.format:
            return Response(_shown(row))
        response = HttpResponse(document.as_pdf(row), content_type=Pdf.media_type)
        response["Content-Disposition"] = f'attachment; filename="{row.number}.pdf"'
        response["Cache-Control"] = "no-store"
        return response


class Billing(Resource):
    """`/billing`."""

    scopes: ClassVar[dict[str, str]] = {"GET": "merchants:read", "PUT": "merchants:write"}

    @extend_schema(**documentation.GET_BILLING)
    def get(self, request: Request) -> Response:
        """Read who bills, and by which rates."""
        return Response(_profile(caller_of(request).book_id))

    @extend_schema(**documentation.PUT_BILLING)
    def put(self, request: Request) -> Response:
        """Set who bills, and add rates of value added tax. A rate that was set never changes."""
        book_id, body = caller_of(request).book_id, body_of(request, bodies.BillingTerms)
        with transaction.atomic():
            billing.set_profile(
                book_id,
                {"name": body.name, "address": body.address, "country": body.country, "vat_id": body.vat_id},
                [billing.Rate(row.country, row.valid_from, row.basis_points, row.note) for row in body.vat_rates],
            )
        return Response(_profile(book_id))


def _profile(book_id: int) -> Object:
    row = BillingProfile.objects.filter(pk=book_id).first()
    if row is None:
        raise payment_lookup.no_such_object()
    rates = VatRate.objects.filter(book_id=book_id).order_by("country", "valid_from")
    return {
        "object": "billing_profile",
        "name": row.name,
        "address": row.address,
        "country": row.country,
        "vat_id": row.vat_id,
        "billed_until": row.issued_until and row.issued_until.isoformat(),
        "vat_rates": [
            {
                "country": rate.country,
                "valid_from": rate.valid_from.isoformat(),
                "basis_points": rate.basis_points,
                "note": rate.note,
            }
            for rate in rates
        ],
    }


def _shown(row: Invoice) -> Object:
    currency = row.currency_id
    lines: list[dict[str, Any]] = row.lines
    return {
        "id": public_id("inv", row.public_id),
        "object": "invoice",
        "number": row.number,
        "seller": public_id("sel", row.seller.public_id),
        "month": f"{row.month:%Y-%m}",
        "currency": currency,
        "net": format_minor(row.net_minor, currency),
        "vat": format_minor(row.vat_minor, currency),
        "vat_basis_points": row.vat_basis_points,
        "total": format_minor(row.gross_minor, currency),
        "lines": [
            {
                "kind": line["kind"],
                "count": line["count"],
                "amount": format_minor(line["amount_minor"], currency),
            }
            for line in lines
        ],
        "issuer": row.issuer,
        "recipient": row.recipient,
        "issued_at": timestamp(row.issued_at),
    }
