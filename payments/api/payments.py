"""Payments: read, process, capture, cancel, and what happened to them. Taking them in is `intake`'s."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger.errors import MoneyError
from ledger.ids import parse_public_id
from ledger.money import Money, format_minor
from payments import cancellations, captures, processing, representations, stored_value, timeline
from payments.api import bodies, documentation, intake, payment_lookup
from payments.api.authentication import caller_of
from payments.api.pagination import page
from payments.api.requests import body_of, query_of, run_once
from payments.api.resource import Resource
from payments.errors import FieldError
from payments.idempotency import Effect
from payments.models import PaymentEvent, PaymentOrder, PspOperation

READ, WRITE = "payments:read", "payments:write"
MAX_OPERATIONS = 1000


class Payments(Resource):
    """`/payments`: take in and list."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ, "POST": WRITE}

    @extend_schema(**documentation.LIST_PAYMENTS)
    def get(self, request: Request) -> Response:
        """List payments, newest first."""
        query = query_of(request, bodies.PaymentsPage)
        # Uses index: payment_event_by_book; with a checkout id checkout_id_is_unique_in_its_book.
        scope = PaymentEvent.objects.filter(book_id=caller_of(request).book_id)
        rows = scope
        if query.checkout_id is not None:
            rows = rows.filter(checkout_id=query.checkout_id)
        if query.status is not None:
            rows = rows.filter(status=query.status)
        if query.created_after is not None:
            after = query.created_after
            rows = rows.filter(created_at__gt=after if after.tzinfo else after.replace(tzinfo=UTC))
        return Response(page(rows, query, scope, payment_lookup.shown))

    @extend_schema(**documentation.CREATE_PAYMENT)
    def post(self, request: Request) -> HttpResponse:
        """Take a checkout in."""
        return intake.accept_payment(request._request)


class BulkPayments(Resource):
    """`/payments/bulk`: take in up to 500 checkouts."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.CREATE_PAYMENTS)
    def post(self, request: Request) -> HttpResponse:
        """Take many checkouts in."""
        return intake.accept_bulk(request._request)


class Payment(Resource):
    """`/payments/{id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_PAYMENT)
    def get(self, request: Request, payment_id: str) -> Response:
        """Read a payment."""
        return Response(_shown(payment_lookup.payment(caller_of(request).book_id, payment_id)))


class ProcessPayment(Resource):
    """`/payments/{id}/process`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.PROCESS_PAYMENT)
    def post(self, request: Request, payment_id: str) -> HttpResponse:
        """Pay what is unpaid with a token, also again after a decline; or at once with the buyer's stored value."""
        event = payment_lookup.payment(caller_of(request).book_id, payment_id)
        body, now = body_of(request, bodies.Process), seam.now()
        token = _token_of(body.payment_method)

        def run() -> Effect:
            if token is None:
                stored_value.pay(event.pk, now=now)
                return Effect(200, _fresh(event))
            processing.process(event.pk, token, now=now)
            return Effect(202, _fresh(event))

        return run_once(request, run, now=now)


class CapturePayment(Resource):
    """`/payments/{id}/capture`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.CAPTURE_PAYMENT)
    def post(self, request: Request, payment_id: str) -> HttpResponse:
        """Take authorized money: all of it, or less."""
        event = payment_lookup.payment(caller_of(request).book_id, payment_id)
        body, now = body_of(request, bodies.Capture), seam.now()
        amounts = _amounts(event, body)

        def run() -> Effect:
            captures.capture(event.pk, amounts, now=now)
            return Effect(202, _fresh(event))

        return run_once(request, run, now=now)


class CancelPayment(Resource):
    """`/payments/{id}/cancel`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.CANCEL_PAYMENT)
    def post(self, request: Request, payment_id: str) -> HttpResponse:
        """Ask the PSP to cancel what is not paid; the status changes when it has said so."""
        event = payment_lookup.payment(caller_of(request).book_id, payment_id)
        body_of(request, bodies.Cancel)
        now = seam.now()

        def run() -> Effect:
            cancellations.cancel(event.pk, reason="cancelled", now=now)
            return Effect(202, _fresh(event))

        return run_once(request, run, now=now)


class PaymentTimeline(Resource):
    """`/payments/{id}/timeline`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_TIMELINE)
    def get(self, request: Request, payment_id: str) -> Response:
        """Read every fact of a payment in order of time."""
        event = payment_lookup.payment(caller_of(request).book_id, payment_id)
        return Response({"data": [_fact(fact) for fact in timeline.timeline(event)], "next_cursor": None})


class PaymentTransactions(Resource):
    """`/payments/{id}/transactions`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_TRANSACTIONS)
    def get(self, request: Request, payment_id: str) -> Response:
        """Read every call to the PSP that a payment led to, oldest first."""
        event = payment_lookup.payment(caller_of(request).book_id, payment_id)
        rows = PspOperation.objects.filter(event=event).select_related("charge", "psp_account").order_by("id")
        data = [representations.psp_operation(row, event, row.psp_account) for row in rows[:MAX_OPERATIONS]]
        return Response({"data": data, "next_cursor": None})


class Charge(Resource):
    """`/charges/{id}`."""

    scopes: ClassVar[dict[str, str]] = {"GET": READ}

    @extend_schema(**documentation.GET_CHARGE)
    def get(self, request: Request, charge_id: str) -> Response:
        """Read a charge: one object at the PSP."""
        row = payment_lookup.charge(caller_of(request).book_id, charge_id)
        orders = PaymentOrder.objects.filter(charge=row).order_by("position")
        return Response(representations.charge(row, row.event, orders, row.psp_account))


def collection(view: type[Resource], accept: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponseBase]:
    """Return a view function that gives POST to `accept`, without the framework, and the rest to `view`."""
    framework = view.as_view()

    def dispatch(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return accept(request) if request.method == "POST" else framework(request, *args, **kwargs)

    # What the framework puts on its view functions: the schema generator and Django look for it.
    for name in ("cls", "view_class", "initkwargs", "csrf_exempt"):
        setattr(dispatch, name, getattr(framework, name))
    dispatch.__doc__ = view.__doc__
    return dispatch


def _shown(event: PaymentEvent) -> representations.Object:
    return payment_lookup.shown([event])[0]


def _fresh(event: PaymentEvent) -> representations.Object:
    """Show a payment after a flow has changed it."""
    return _shown(PaymentEvent.objects.get(pk=event.pk))


def _token_of(method: bodies.ProcessMethod) -> str | None:
    """Return the token to pay with, `None` for stored value. Raises `Invalid` for a token too many or missing."""
    if method.type == "token" and method.token is None:
        raise bodies.invalid([FieldError("payment_method.token", "required", "this field is required")])
    if method.type == "stored_value" and method.token is not None:
        raise bodies.invalid([FieldError("payment_method.token", "ambiguous", "stored value takes no token")])
    return method.token


def _amounts(event: PaymentEvent, body: bodies.Capture) -> dict[int, int] | None:
    """Return what to capture by order, `None` for everything. Raises `Invalid` naming every bad field."""
    if body.amount is None and body.payment_orders is None:
        return None
    if body.amount is not None and body.payment_orders is not None:
        raise bodies.invalid([FieldError("amount", "ambiguous", "give amount or payment_orders, not both")])
    orders = list(PaymentOrder.objects.filter(event=event).order_by("position"))
    wanted: list[tuple[str, PaymentOrder | None, str]] = []
    if body.amount is not None:
        if len(orders) != 1:
            detail = "several orders: say in payment_orders how much of which"
            raise bodies.invalid([FieldError("amount", "ambiguous", detail)])
        wanted.append(("amount", orders[0], body.amount))
    by_id = {order.public_id: order for order in orders}
    for position, part in enumerate(body.payment_orders or ()):
        value = parse_public_id("ord", part.id)
        wanted.append((f"payment_orders[{position}].amount", by_id.get(value) if value else None, part.amount))
    errors: list[FieldError] = []
    amounts: dict[int, int] = {}
    for field, order, text in wanted:
        if order is None:
            errors.append(FieldError(f"{field.rpartition('.')[0]}.id", "unknown_order", "not an order of this payment"))
        elif order.pk in amounts:
            errors.append(FieldError(f"{field.rpartition('.')[0]}.id", "duplicate", "this order is named twice"))
        else:
            try:
                amounts[order.pk] = Money.parse(text, event.currency_id).minor
            except MoneyError as error:
                errors.append(FieldError(field, "invalid_amount", str(error)))
    if errors:
        raise bodies.invalid(errors)
    return amounts


def _fact(fact: timeline.Fact) -> representations.Object:
    return {
        "at": representations.timestamp(fact.at),
        "type": str(fact.kind),
        "subject": fact.subject,
        "summary": fact.summary,
        "data": dict(fact.data),
        "legs": [
            {
                "account": leg.account,
                "side": "debit" if leg.side == "D" else "credit",
                "amount": format_minor(leg.amount, leg.currency),
                "currency": leg.currency,
            }
            for leg in fact.legs
        ],
    }
