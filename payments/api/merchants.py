"""Merchants (an administrator's work) and their PSP accounts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import ClassVar, Final

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import seam
from ledger.models import Mode
from ledger.money import Money
from payments import bank_accounts, idempotency, merchants, own_bank_accounts, representations
from payments.api import bodies, documentation, headers, payment_lookup
from payments.api.authentication import ADMINISTRATOR, caller_of, require_scope
from payments.api.payouts import actor_of
from payments.api.requests import answer, body_of, fingerprint_of
from payments.api.resource import Resource
from payments.api.sellers import fee_terms
from payments.bank_accounts import NotAnAccount
from payments.callers import Caller
from payments.errors import FieldError, Unauthenticated
from payments.idempotency import Effect
from payments.merchants import MerchantDetails, PspDetails
from payments.models import IdempotencyRecord, Merchant, MerchantBook, PspAccount
from payments.own_bank_accounts import OwnDetails
from payments.psp import registry

log = structlog.get_logger(__name__)
# What the books call the account: bank:{name}:{currency}; bank:in_transit is on its way to any of them.
_NAME: Final = re.compile(r"(?!in_transit$)[a-z0-9][a-z0-9_-]{0,31}")


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
        """Set when sellers' shares become available and what a refund does with the fee; for what happens from now.

        Above which amounts payouts need a second person, an administrator says: who pays out does not.
        """
        caller = caller_of(request)
        merchant = _found(caller, merchant_id, "merchants:write")
        body = body_of(request, bodies.MerchantTerms)
        _check_mode(caller, body.mode)
        terms = body.model_dump(exclude={"mode", "payout_approval_above"})
        if body.payout_approval_above is not None:
            terms["payout_approval_above"] = _thresholds(caller, body.payout_approval_above)
        merchants.put_terms(merchants.book_of(merchant, body.mode).pk, terms, actor=actor_of(caller))
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


class MerchantBankAccount(Resource):
    """`/merchants/{id}/bank-accounts/{name}`."""

    scopes: ClassVar[dict[str, str]] = {}

    @extend_schema(**documentation.PUT_BANK_ACCOUNT)
    def put(self, request: Request, merchant_id: str, name: str) -> Response:
        """Set a bank account of the merchant's own; it pays sellers in its currency from now on. Must be signed."""
        caller = caller_of(request)
        merchant = _found(caller, merchant_id, "merchants:write")
        if "HTTP_X_SIGNATURE" not in request._request.META:  # one that is there was checked with the key
            raise Unauthenticated("signature_required", "a change of bank details must be signed, with any key")
        body = body_of(request, bodies.OwnBankAccount)
        _check_mode(caller, body.mode)
        if not _NAME.fullmatch(name):
            raise bodies.invalid([FieldError("name", "invalid_value", "a to z, digits, - and _; at most 32")])
        try:
            account = bank_accounts.iban(body.iban, body.account_holder)
        except NotAnAccount as error:
            raise bodies.invalid([FieldError(error.field, "invalid_bank_account", str(error))]) from None
        details = OwnDetails(name, body.currency, account, body.bic or "", body.file_format)
        row = own_bank_accounts.put(merchants.book_of(merchant, body.mode).pk, details, now=seam.now())
        return Response(representations.own_bank_account(row))


def _check_mode(caller: Caller, mode: str) -> None:
    if not caller.is_administrator and mode != caller.mode:
        wrong = FieldError("mode", "invalid_value", f"this key belongs to the {caller.mode} book")
        raise bodies.invalid([wrong])


def _thresholds(caller: Caller, given: Mapping[str, str]) -> dict[str, int]:
    """Return thresholds in minor units. Raises `Invalid` for a caller that may not set them, or a wrong amount."""
    if not caller.is_administrator:
        wrong = FieldError("payout_approval_above", "not_supported", "only an administrator may set this")
        raise bodies.invalid([wrong])
    found, errors = {}, []
    for currency, text in given.items():
        try:
            found[currency] = 0 if bodies.ZERO.fullmatch(text) else Money.parse(text, currency).minor
        except ValueError as error:
            errors.append(FieldError(f"payout_approval_above.{currency}", "invalid_amount", str(error)))
    if errors:
        raise bodies.invalid(errors)
    return found


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
