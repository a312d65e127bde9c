"""Merchants and who belongs to them: made whole, in one transaction each, so that a merchant can sell at once.

Keys and secrets are made here, returned once and kept as a hash or sealed. The only call to a PSP (to register our
notification address) happens after the commit, holds no database connection, and may fail without harm: it can be
repeated, and polling does not need it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog
from django.db import IntegrityError, transaction

from config import seam
from ledger.ids import public_id
from ledger.models import Book, Mode
from payments import checkout_links
from payments.callers import hash_key
from payments.encryption import seal, unseal
from payments.errors import Conflict, NotFound
from payments.models import ApiKey, FeePlan, FixedFee, Merchant, MerchantBook, PspAccount, Seller
from payments.psp.registry import Credentials, adapter_for

SCOPES: Final = (
    "payments:read",
    "disputes:write",
    "reconciliation:read",
    "reconciliation:write",
    "payments:write",
    "sellers:read",
    "sellers:write",
    "payouts:read",
    "payouts:write",
    "wallet:read",
    "wallet:write",
    "merchants:read",
    "merchants:write",
    "ledger:read",
    "ledger:write",
)
HOUSE: Final = "house"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeeTerms:
    """What the platform keeps: basis points of the amount, and a fixed part in minor units per currency."""

    basis_points: int
    fixed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MerchantDetails:
    """A merchant to be made, with what its house seller needs."""

    name: str
    mode: Mode
    fees: FeeTerms
    country: str
    default_currency: str


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new API key. The only moment at which key and signing secret are known."""

    row: ApiKey
    key: str
    signing_secret: str


@dataclass(frozen=True, slots=True)
class NewMerchant:
    """What making a merchant led to."""

    merchant: Merchant
    book: Book
    settings: MerchantBook
    house_seller: Seller
    key: IssuedKey


@dataclass(frozen=True, slots=True)
class PspDetails:
    """A PSP account to be made or replaced. `base_url` empty means the PSP's own address."""

    adapter: str
    code: str
    api_key: str
    webhook_secret: str = ""
    base_url: str = ""
    payout_mode: str = PspAccount.PayoutMode.PSP


@dataclass(frozen=True, slots=True)
class SellerDetails:
    """A seller to be made; without fees of its own the book's plan applies."""

    external_id: str
    name: str
    country: str
    default_currency: str
    settlement_currency: str | None = None
    email: str = ""
    fees: FeeTerms | None = None
    payout_schedule: Mapping[str, str | int] = field(default_factory=lambda: {"interval": "manual"})
    reserve_basis_points: int = 0
    reserve_days: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


def create_merchant(details: MerchantDetails, *, now: datetime) -> NewMerchant:
    """Make a merchant with a book, a fee plan, a house seller and a first key with every scope."""
    with transaction.atomic():
        merchant = Merchant.objects.create(public_id=seam.new_uuid(), name=details.name, created_at=now)
        code = f"{public_id('mer', merchant.public_id)}:{details.mode}"
        book = Book.objects.create(code=code, mode=details.mode, created_at=now)
        settings = MerchantBook.objects.create(
            book=book, merchant=merchant, fee_plan=_fee_plan(book.pk, "standard", details.fees)
        )
        house = create_seller(
            book.pk,
            SellerDetails(
                external_id=HOUSE,
                name=details.name,
                country=details.country,
                default_currency=details.default_currency,
            ),
            now=now,
        )
        settings.house_seller = house
        settings.save(update_fields=["house_seller"])
        key = issue_key(merchant, book, name="first key", scopes=SCOPES, now=now)
    return NewMerchant(merchant, book, settings, house, key)


def issue_key(
    merchant: Merchant | None, book: Book | None, *, name: str, scopes: Iterable[str], now: datetime
) -> IssuedKey:
    """Make an API key: a merchant's in one of its books, or (both `None`) an administrator's."""
    mode = book.mode if book is not None else "admin"
    key, signing_secret, own_id = f"sk_{mode}_{secrets.token_hex(24)}", secrets.token_hex(32), seam.new_uuid()
    row = ApiKey.objects.create(
        public_id=own_id,
        merchant=merchant,
        book=book,
        name=name,
        key_hash=hash_key(key),
        last4=key[-4:],
        signing_secret=seal(signing_secret, identity=f"api_key.signing_secret:{own_id}"),
        scopes=list(scopes),
        requires_signature=mode == Mode.LIVE,
        created_at=now,
    )
    return IssuedKey(row, key, signing_secret)


def create_seller(book_id: int, details: SellerDetails, *, now: datetime) -> Seller:
    """Make a seller. Raises `Conflict` when the book has one with the same external id."""
    own_id = seam.new_uuid()
    try:
        with transaction.atomic():
            plan = _fee_plan(book_id, public_id("sel", own_id), details.fees) if details.fees else None
            return Seller.objects.create(
                public_id=own_id,
                book_id=book_id,
                external_id=details.external_id,
                name=details.name,
                country=details.country,
                email=details.email,
                default_currency_id=details.default_currency,
                settlement_currency_id=details.settlement_currency,
                fee_plan=plan,
                payout_schedule=dict(details.payout_schedule),
                reserve_basis_points=details.reserve_basis_points,
                reserve_days=details.reserve_days,
                metadata=dict(details.metadata),
                created_at=now,
            )
    except IntegrityError as error:
        if "seller_external_id_is_unique_in_its_book" in str(error):
            raise Conflict("seller_exists", "a seller with this external_id exists", field="external_id") from None
        raise


def change_seller(seller_id: int, changes: Mapping[str, object], *, closed: bool | None, now: datetime) -> None:
    """Change columns of a seller; `closed` closes it or opens it again. Locks it, so no payout passes by."""
    with transaction.atomic():
        seller = Seller.objects.select_for_update(no_key=True).get(pk=seller_id)
        for name, value in changes.items():
            setattr(seller, name, value)
        if closed is not None:
            seller.closed_at = (seller.closed_at or now) if closed else None
        seller.save(update_fields=[*changes, "closed_at"])


def record_kyc(seller_id: int, *, status: Seller.Kyc, reference: str) -> None:
    """Record the result of a seller's verification; payouts need `verified`. Locks the seller."""
    with transaction.atomic():
        seller = Seller.objects.select_for_update(no_key=True).get(pk=seller_id)
        seller.kyc_status, seller.kyc_reference = status, reference
        seller.save(update_fields=["kyc_status", "kyc_reference"])


def put_terms(book_id: int, terms: Mapping[str, object], *, actor: str) -> None:
    """Set columns of a book: when shares are released, what a refund does with the fee, which payouts need approval."""
    MerchantBook.objects.filter(book_id=book_id).update(**terms)
    log.info("terms_set", book=book_id, actor=actor, payout_approval_above=terms.get("payout_approval_above"))


def put_psp_account(book_id: int, details: PspDetails, *, now: datetime) -> PspAccount:
    """Make the PSP account of a book, or replace its credentials. The first one becomes the default.

    Idempotent. A secret that is left out keeps its value while the API key stays the same.
    """
    with transaction.atomic():
        settings = MerchantBook.objects.select_for_update().get(book_id=book_id)
        account = PspAccount.objects.filter(book_id=book_id, code=details.code).first()
        if account is None:
            account = PspAccount(public_id=seam.new_uuid(), book_id=book_id, code=details.code, created_at=now)
        elif account.adapter != details.adapter:
            raise Conflict("psp_account_exists", "an account of another PSP has this code", field="code")
        elif _api_key(account) != details.api_key:
            account.webhook_secret = None
        account.adapter, account.base_url = details.adapter, details.base_url
        account.payout_mode = details.payout_mode
        account.api_key = seal(details.api_key, identity=f"psp_account.api_key:{account.public_id}")
        if details.webhook_secret:
            account.webhook_secret = _sealed_webhook_secret(account, details.webhook_secret)
        account.save()
        if settings.default_psp_account_id is None:
            settings.default_psp_account = account
            settings.save(update_fields=["default_psp_account"])
    return account


def register_notifications(account: PspAccount) -> None:
    """Ask the PSP to notify us, and keep the signing secret that it answers.

    Calls the PSP, so never inside a transaction. Raises `ConnectionError` when it cannot be reached.
    """
    adapter = adapter_for(Credentials(account.adapter, _api_key(account), account.base_url))
    secret = adapter.ensure_webhook(checkout_links.notification_address(account.adapter, account.public_id))
    account.webhook_secret = _sealed_webhook_secret(account, secret)
    account.save(update_fields=["webhook_secret"])


def connect_next(after: int = 0) -> int:
    """Register our address for one account whose PSP does not notify us yet (it was away); return its id, or 0.

    One at a time and in turn (`after` is the last one's id), because a PSP that hangs takes its time.
    """
    waiting = PspAccount.objects.filter(webhook_secret__isnull=True).order_by("id")
    account = waiting.filter(id__gt=after).first() or waiting.first()
    if account is None:
        return 0
    try:
        register_notifications(account)
    except ConnectionError as error:
        log.warning("psp_does_not_notify", psp_account=account.pk, error=str(error))
    return account.pk


def book_of(merchant: Merchant, mode: str) -> Book:
    """Return a merchant's book of a mode. Raises `NotFound`."""
    book = Book.objects.filter(merchantbook__merchant=merchant, mode=mode).order_by("pk").first()
    if book is None:
        raise NotFound("not_found", f"the merchant has no {mode} book")
    return book


def _api_key(account: PspAccount) -> str:
    return unseal(account.api_key, identity=f"psp_account.api_key:{account.public_id}")


def _sealed_webhook_secret(account: PspAccount, secret: str) -> bytes:
    return seal(secret, identity=f"psp_account.webhook_secret:{account.public_id}")


def _fee_plan(book_id: int, name: str, fees: FeeTerms) -> FeePlan:
    plan = FeePlan.objects.create(book_id=book_id, name=name, basis_points=fees.basis_points)
    FixedFee.objects.bulk_create(
        FixedFee(plan=plan, currency_id=currency, amount_minor=amount) for currency, amount in fees.fixed.items()
    )
    return plan
