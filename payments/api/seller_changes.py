"""What changes about a seller: its details, the bank account that it is paid to, the result of its verification."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from payments import bank_accounts, destinations, merchants, representations
from payments.api import bodies, documentation
from payments.api.authentication import caller_of
from payments.api.payouts import actor_of
from payments.api.requests import body_of, run_once
from payments.api.resource import Resource
from payments.api.sellers import found
from payments.bank_accounts import BankAccount, NotAnAccount
from payments.errors import FieldError, Unauthenticated
from payments.idempotency import Effect
from payments.models import Seller

WRITE = "sellers:write"
_FIELDS = {
    "iban": ("iban",),
    "us_bank": ("routing_number", "account_number"),
    "gb_bank": ("sort_code", "account_number"),
}


class PayoutDestination(Resource):
    """`/sellers/{id}/payout-destination`."""

    scopes: ClassVar[dict[str, str]] = {"PUT": WRITE}

    @extend_schema(**documentation.PUT_DESTINATION)
    def put(self, request: Request, seller_id: str) -> Response:
        """Set the bank account that a seller is paid to. Must be signed; a change starts a cool-down."""
        caller, now = caller_of(request), seam.now()
        if "HTTP_X_SIGNATURE" not in request._request.META:  # one that is there was checked with the key
            raise Unauthenticated("signature_required", "a change of bank details must be signed, with any key")
        seller, body = found(caller.book_id, seller_id), body_of(request, bodies.NewDestination)
        account = account_of(body)
        currency = body.currency or account.currency or seller.default_currency_id
        row = destinations.put(seller, account, currency=currency, actor=actor_of(caller), now=now)
        return Response(representations.payout_destination(row))


class Kyc(Resource):
    """`/sellers/{id}/kyc`."""

    scopes: ClassVar[dict[str, str]] = {"POST": WRITE}

    @extend_schema(**documentation.RECORD_KYC)
    def post(self, request: Request, seller_id: str) -> HttpResponse:
        """Record the result of a seller's verification."""
        seller, body, now = found(caller_of(request).book_id, seller_id), body_of(request, bodies.Kyc), seam.now()

        def run() -> Effect:
            merchants.record_kyc(seller.pk, status=Seller.Kyc(body.status), reference=body.reference)
            return Effect(200, representations.seller(found(seller.book_id, seller_id)))

        return run_once(request, run, now=now)


def account_of(body: bodies.NewDestination) -> BankAccount:
    """Check bank details by their type. Raises `Invalid` with every bad field; a message never shows a number."""
    wanted = _FIELDS[body.type]
    given = {name: getattr(body, name) for name in ("iban", "routing_number", "sort_code", "account_number")}
    errors = [
        FieldError(name, "required", f"a destination of type {body.type} has it")
        for name in wanted
        if given[name] is None
    ]
    errors += [
        FieldError(name, "not_supported", f"a destination of type {body.type} has none")
        for name, value in given.items()
        if value is not None and name not in wanted
    ]
    if errors:
        raise bodies.invalid(errors)
    first, second = str(given[wanted[0]]), str(given[wanted[-1]])
    try:
        match body.type:
            case "iban":
                return bank_accounts.iban(first, body.account_holder)
            case "us_bank":
                return bank_accounts.us_bank(first, second, body.account_holder)
            case "gb_bank":
                return bank_accounts.gb_bank(first, second, body.account_holder)
    except NotAnAccount as error:
        raise bodies.invalid([FieldError(error.field, "invalid_bank_account", str(error))]) from None
