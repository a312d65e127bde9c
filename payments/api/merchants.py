"""Merchants (an administrator's work) and their PSP accounts."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import ClassVar

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger.models import Mode
from payments import idempotency, merchants, representations
from payments.api import bodies, documentation, headers, payment_lookup
from payments.api.authentication import ADMINISTRATOR, caller_of, require_scope
from payments.api.requests import answer, body_of, fingerprint_of
from payments.api.resource import Resource
from payments.api.sellers import fee_terms
from payments.callers import Caller
from payments.errors import FieldError
from payments.idempotency import Effect
from payments.merchants import MerchantDetails, PspDetails
from payments.models import IdempotencyRecord, Merchant, MerchantBook, PspAccount
from payments.psp import registry

log = structlog.get_logger(__name__)


class Merchants(Resource):
    """`/merchants`."""

    scopes: ClassVar[dict[str, str]] = {"POST": ADMINISTRATOR}

    @extend_schema(**documentation.CREATE_MERCHANT)
    def post(self, request: Request) -> HttpResponse:
        """Make a merchant with book, house seller and first key. Key and secret are shown in this answer only."""
        body, now = body_of(request, bodies.NewMerchant), seam.now()
        details = MerchantDetails(
            name=body.name,
            mode=Mode(body.mode),
            fees=fee_terms(body.fee_plan),
            country=body.country,
            default_currency=body.default_currency,
        )
        own = f"{caller_of(request).key_id}:{headers.idempotency_key(request._request)}"
        key = f"merchants:{sha256(own.encode()).hexdigest()}"
        with transaction.atomic():
            return _create_once(key, fingerprint_of(request), details, now=now)


class MerchantView(Resource):
    """`/merchants/{id}`."""

    scopes: ClassVar[dict[str, str]] = {}

    @extend_schema(**documentation.GET_MERCHANT)
    def get(self, request: Request, merchant_id: str) -> Response:
        """Read a merchant: an administrator any, a merchant itself."""
        return Response(_shown(_found(caller_of(request), merchant_id, "merchants:read")))


class MerchantTerms(Resource):
    """`/merchants/{id}/terms`."""

    scopes: ClassVar[dict[str, str]] = {}

    @extend_schema(**documentation.PUT_MERCHANT_TERMS)
    def put(self, request: Request, merchant_id: str) -> Response:
        """Set when sellers' shares become available and what a refund does with the fee; for what happens from now."""
        caller = caller_of(request)
        merchant = _found(caller, merchant_id, "merchants:write")
        body = body_of(request, bodies.MerchantTerms)
        _check_mode(caller, body.mode)
        merchants.put_terms(merchants.book_of(merchant, body.mode).pk, body.model_dump(exclude={"mode"}))
        return Response(_shown(merchant))


class MerchantPspAccount(Resource):
    """`/merchants/{id}/psp-accounts/{psp}`."""

    scopes: ClassVar[dict[str, str]] = {}

    @extend_schema(**documentation.PUT_PSP_ACCOUNT)
    def put(self, request: Request, merchant_id: str, psp: str) -> Response:
        """Set a merchant's credentials at a PSP. Without a webhook secret our address is registered there."""
        caller = caller_of(request)
        merchant = _found(caller, merchant_id, "merchants:write")
        if psp not in registry.NAMES:
            raise payment_lookup.no_such_object()
        body = body_of(request, bodies.PspCredentials)
        _check_mode(caller, body.mode)
        base_url = _allowed_address(caller, body.base_url)
        book = merchants.book_of(merchant, body.mode)
        account = merchants.put_psp_account(
            book.pk,
            PspDetails(
                adapter=psp,
                code=body.code or psp,
                api_key=body.api_key,
                webhook_secret=body.webhook_secret or "",
                base_url=base_url,
                payout_mode=body.payout_mode,
            ),
            now=seam.now(),
        )
        if account.webhook_secret is None:
            _try_to_register(account)
        return Response(representations.psp_account(account))


def _check_mode(caller: Caller, mode: str) -> None:
    if not caller.is_administrator and mode != caller.mode:
        wrong = FieldError("mode", "invalid_value", f"this key belongs to the {caller.mode} book")
        raise bodies.invalid([wrong])


def _create_once(key: str, fingerprint: bytes, details: MerchantDetails, *, now: datetime) -> HttpResponse:
    """Make the merchant once per key. Its record belongs to the new book, so it is looked for in every first book."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
    books = MerchantBook.objects.values_list("book_id", flat=True)
    first = IdempotencyRecord.objects.filter(book_id__in=books, key=key).first()
    if first is not None:
        return answer(idempotency.replay(first, fingerprint))
    made = merchants.create_merchant(details, now=now)

    def run() -> Effect:
        secrets = {"api_key": made.key.key, "signing_secret": made.key.signing_secret}
        return Effect(201, _shown(made.merchant), shown_once=secrets)

    return answer(idempotency.replay_or_run(made.book.pk, key, fingerprint, run, now=now))


def _found(caller: Caller, text: str, scope: str) -> Merchant:
    """Find a merchant: an administrator any, a merchant with the scope itself. Raises `NotFound`."""
    if not caller.is_administrator:
        require_scope(caller, scope)
    row = Merchant.objects.filter(public_id=payment_lookup.public_uuid("mer", text)).first()
    if row is None or not (caller.is_administrator or caller.merchant_id == row.pk):
        raise payment_lookup.no_such_object()
    return row


def _allowed_address(caller: Caller, address: str) -> str:
    """Return where a PSP account's calls go. A merchant may not make us call whatever it likes: the PSP's own address
    or the sandbox's, which is followed wherever it runs.
    """
    if settings.SANDBOX_PSP_URL and address.rstrip("/") == settings.SANDBOX_PSP_URL:
        return registry.SANDBOX
    if address and not caller.is_administrator:
        wrong = FieldError("base_url", "not_supported", "only an administrator may choose another address")
        raise bodies.invalid([wrong])
    return address


def _shown(row: Merchant) -> representations.Object:
    books = list(MerchantBook.objects.filter(merchant=row).select_related("book", "house_seller").order_by("pk"))
    accounts: dict[int, list[PspAccount]] = {}
    for account in PspAccount.objects.filter(book_id__in=[one.pk for one in books]).order_by("pk"):
        accounts.setdefault(account.book_id, []).append(account)
    return representations.merchant(row, [(one, accounts.get(one.pk, [])) for one in books])


def _try_to_register(account: PspAccount) -> None:
    """Register our address; an account whose PSP is away works all the same, by polling."""
    try:
        merchants.register_notifications(account)
    except ConnectionError as error:
        log.warning("notifications_not_registered", psp_account=account.code, error=str(error))
