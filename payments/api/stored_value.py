"""What a buyer keeps with the merchant. Paying with it is `payments`', refunding into it is `refunds`'."""

from __future__ import annotations

from typing import ClassVar, Final

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from payments import buyers, representations, top_ups
from payments.api import bodies, documentation, headers, intake, payment_lookup
from payments.api.authentication import caller_of
from payments.api.requests import answer, body_of, fingerprint_of, minor_units
from payments.api.resource import Resource
from payments.idempotency import Answer
from payments.intake import NewOrder, NewPayment
from payments.models import PaymentEvent

_LONGEST_ID: Final = 255


class TopUps(Resource):
    """`/buyers/{id}/top-ups`; the id is the merchant's own."""

    scopes: ClassVar[dict[str, str]] = {"POST": "payments:write"}

    @extend_schema(**documentation.CREATE_TOP_UP)
    def post(self, request: Request, buyer_id: str) -> HttpResponse:
        """Take a payment in whose money becomes the buyer's stored value."""
        caller, body, now = caller_of(request), body_of(request, bodies.NewTopUp), seam.now()
        if len(buyer_id) > _LONGEST_ID or not buyer_id.isprintable():
            raise payment_lookup.no_such_object()
        amount = minor_units("amount", body.amount, body.currency)
        assert amount is not None
        payment = NewPayment(
            checkout_id=body.checkout_id,
            currency=body.currency,
            orders=(NewOrder(top_ups.house(caller), amount, "", "Stored value", {}),),
            buyer={"id": buyer_id},
            token=body.payment_method.token if body.payment_method else "",
            method_types=bodies.METHODS,
            charge_mode="single",
            capture="automatic",
            return_url=body.return_url,
            metadata=body.metadata,
            idempotency_key=headers.idempotency_key(request._request),
            fingerprint=fingerprint_of(request),
        )
        accepted = top_ups.accept(caller, payment, now=now)
        if accepted.outcome == "key_reused":
            raise intake.key_reused()
        if accepted.outcome == "exists":
            event = PaymentEvent.objects.get(book_id=caller.book_id, checkout_id=body.checkout_id)
            return Response(payment_lookup.shown([event])[0])
        return answer(Answer(accepted.status, accepted.body, replayed=accepted.outcome == "replayed"))


class BuyerStoredValue(Resource):
    """`/buyers/{id}/stored-value`; the id is the merchant's own."""

    scopes: ClassVar[dict[str, str]] = {"GET": "wallet:read"}

    @extend_schema(**documentation.GET_STORED_VALUE)
    def get(self, request: Request, buyer_id: str) -> Response:
        """Read what a buyer has, per currency. Who never had anything has nothing: an empty list."""
        book_id = caller_of(request).book_id
        balances = buyers.balances_of(book_id, buyer_id)
        return Response(representations.stored_value(buyer_id, balances, enabled=buyers.is_on(book_id)))
