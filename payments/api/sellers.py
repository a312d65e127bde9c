"""Sellers and their wallets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger.ids import parse_public_id, public_id
from ledger.money import Money, format_minor
from payments import merchants, representations, subjects
from payments.api import bodies, documentation, payment_lookup
from payments.api.authentication import caller_of
from payments.api.pagination import page
from payments.api.requests import body_of, query_of, run_once
from payments.api.resource import Resource
from payments.errors import FieldError
from payments.idempotency import Effect
from payments.merchants import FeeTerms, SellerDetails
from payments.models import Seller as SellerRow
from payments.subjects import Subject
from wallet import balances, debts
from wallet.debts import Debt
from wallet.models import Wallet

READ, WRITE = "sellers:read", "sellers:write"


class Sellers(Resource):
    """`/sellers`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ, "POST": WRITE}

    @extend_schema(**documentation.LIST_SELLERS)
    def get(self, request: Request) -> Response:
        """List sellers, newest first."""
        query = query_of(request, bodies.SellersPage)
        scope = SellerRow.objects.filter(book_id=caller_of(request).book_id)
        rows = _loaded(scope)
        if query.external_id is not None:
            rows = rows.filter(external_id=query.external_id)
        return Response(page(rows, query, scope, _shown))

    @extend_schema(**documentation.CREATE_SELLER)
    def post(self, request: Request) -> HttpResponse:
        """Make a seller."""
        body, now = body_of(request, bodies.NewSeller), seam.now()
        details, book_id = _details(body), caller_of(request).book_id

        def run() -> Effect:
            made = merchants.create_seller(book_id, details, now=now)
            return Effect(201, _shown(_loaded(SellerRow.objects.filter(pk=made.pk)))[0])

        return run_once(request, run, now=now)


class Seller(Resource):
    """`/sellers/{id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ, "PATCH": WRITE}

    @extend_schema(**documentation.GET_SELLER)
    def get(self, request: Request, seller_id: str) -> Response:
        """Read a seller, by our id or the merchant's own."""
        return Response(representations.seller(found(caller_of(request).book_id, seller_id)))

    @extend_schema(**documentation.CHANGE_SELLER)
    def patch(self, request: Request, seller_id: str) -> Response:
        """Change what the body names; close a seller, or open it again."""
        book_id = caller_of(request).book_id
        row, body = found(book_id, seller_id), body_of(request, bodies.ChangedSeller)
        changes: dict[str, object] = {
            name: getattr(body, name) for name in ("name", "email", "metadata") if getattr(body, name) is not None
        }
        if body.payout_schedule is not None:
            changes["payout_schedule"] = schedule_of(body.payout_schedule, row.default_currency_id)
        if body.reserve is not None:
            changes |= {"reserve_basis_points": body.reserve.basis_points, "reserve_days": body.reserve.days}
        merchants.change_seller(row.pk, changes, closed=body.status and body.status == "closed", now=seam.now())
        return Response(representations.seller(found(book_id, seller_id)))


class SellerWallets(Resource):
    """`/sellers/{id}/wallets`."""

    scopes: ClassVar[dict[str, str]] = {"GET": "wallet:read"}

    @extend_schema(**documentation.LIST_WALLETS)
    def get(self, request: Request, seller_id: str) -> Response:
        """Read what a seller has, per currency."""
        row = found(caller_of(request).book_id, seller_id)
        wallets = list(Wallet.objects.filter(book_id=row.book_id, seller=row.public_id).order_by("currency_id"))
        data = [representations.wallet(balance) for balance in balances.of_wallets(wallets)]
        return Response({"data": data, "next_cursor": None})


class SellerDebts(Resource):
    """`/sellers/{id}/debts`."""

    scopes: ClassVar[dict[str, str]] = {"GET": "wallet:read"}

    @extend_schema(**documentation.LIST_DEBTS)
    def get(self, request: Request, seller_id: str) -> Response:
        """Read what a seller owes: each debt by its cause, oldest first, with its age."""
        row, now = found(caller_of(request).book_id, seller_id), seam.now()
        wallets = list(Wallet.objects.filter(book_id=row.book_id, seller=row.public_id).order_by("currency_id"))
        owed = debts.of_wallets(wallets)
        about = subjects.of_orders(row.book_id, (debt.subject for debt in owed))
        data = [_debt(debt, about.get(debt.subject), now=now) for debt in owed]
        return Response({"data": data, "next_cursor": None})


def _debt(row: Debt, about: Subject | None, *, now: datetime) -> representations.Object:
    """Show what is still owed of one debt, what it was for, and its age."""
    currency = row.wallet.currency_id
    return {
        "object": "debt",
        "wallet": public_id("wal", row.wallet.public_id),
        "currency": currency,
        "amount": format_minor(row.owed, currency),
        "of": format_minor(row.of, currency),
        "kind": row.kind,
        "subject": row.subject,
        "transaction": public_id("txn", row.transaction),
        "payment_order": public_id("ord", about.order) if about else None,
        "reference": about.reference if about else None,
        "checkout_id": about.checkout_id if about else None,
        "since": representations.timestamp(row.since),
        "days": row.days(now),
        "age": row.age(now),
    }


def fee_terms(body: bodies.NewFeePlan, field: str = "fee_plan") -> FeeTerms:
    """Return a fee plan in minor units. Raises `Invalid` for a fixed part that its currency cannot express."""
    fixed, errors = {}, []
    for currency, text in body.fixed.items():
        try:
            fixed[currency] = Money.parse(text, currency).minor
        except ValueError as error:
            errors.append(FieldError(f"{field}.fixed.{currency}", "invalid_amount", str(error)))
    if errors:
        raise bodies.invalid(errors)
    return FeeTerms(body.basis_points, fixed)


def _details(body: bodies.NewSeller) -> SellerDetails:
    return SellerDetails(
        external_id=body.external_id,
        name=body.name,
        country=body.country,
        default_currency=body.default_currency,
        settlement_currency=body.settlement_currency,
        email=body.email,
        fees=fee_terms(body.fee_plan) if body.fee_plan is not None else None,
        payout_schedule=schedule_of(body.payout_schedule, body.default_currency),
        reserve_basis_points=body.reserve.basis_points if body.reserve else 0,
        reserve_days=body.reserve.days if body.reserve else 0,
        metadata=body.metadata,
    )


def schedule_of(body: bodies.PayoutSchedule, currency: str) -> dict[str, str | int]:
    """Return a payout schedule as it is kept. Raises `Invalid` for a minimum that the currency cannot express."""
    schedule: dict[str, str | int] = {"interval": body.interval}
    if body.minimum is not None:
        try:
            Money.parse(body.minimum, currency)
        except ValueError as error:
            raise bodies.invalid([FieldError("payout_schedule.minimum", "invalid_amount", str(error))]) from None
        schedule["minimum"] = body.minimum
    if body.day is not None:
        schedule["day"] = body.day
    return schedule


def _loaded(rows: QuerySet[SellerRow]) -> QuerySet[SellerRow]:
    return rows.select_related("fee_plan").prefetch_related("fee_plan__fixed_fees")


def found(book_id: int, text: str) -> SellerRow:
    """Find a seller by our id or the merchant's own. Raises `NotFound`."""
    value = parse_public_id("sel", text)
    rows = _loaded(SellerRow.objects.filter(book_id=book_id))
    row = rows.filter(public_id=value).first() if value else rows.filter(external_id=text).first()
    if row is None:
        raise payment_lookup.no_such_object()
    return row


def _shown(rows: Sequence[SellerRow] | QuerySet[SellerRow]) -> list[representations.Object]:
    return [representations.seller(row) for row in rows]
