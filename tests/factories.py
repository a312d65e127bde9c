"""Rows for tests, made the way the product makes them: sealed secrets, hashed keys, one book per tenant.

`tenant()` gives a merchant that can sell at once. Every factory takes overrides by field name.
Rows that belong together are made in one book: the database refuses anything else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import factory
from factory.django import DjangoModelFactory

from config import seam
from ledger.ids import public_id
from ledger.models import Book, Mode
from payments.encryption import seal
from payments.models import (
    ApiKey,
    BankFile,
    BankInstruction,
    Charge,
    Dispute,
    FeePlan,
    FixedFee,
    Merchant,
    MerchantBook,
    OwnBankAccount,
    PaymentEvent,
    PaymentOrder,
    Payout,
    PayoutDestination,
    PspAccount,
    PspOperation,
    Refund,
    Seller,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SCOPES = (
    "payments:write",
    "payments:read",
    "merchants:write",
    "merchants:read",
    "wallets:read",
    "ledger:read",
)
PSP_API_KEY = "sk_test_sandbox"
PSP_WEBHOOK_SECRET = "whsec_sandbox"
SIGNING_SECRET = "signing-secret-of-the-tests"


class BookFactory(DjangoModelFactory[Book]):
    """An empty test book."""

    class Meta:
        model = Book

    code = factory.Sequence(lambda n: f"book-{n}")
    mode = Mode.TEST


class MerchantFactory(DjangoModelFactory[Merchant]):
    """An active merchant without a book."""

    class Meta:
        model = Merchant

    public_id = factory.LazyFunction(seam.new_uuid)
    name = factory.Sequence(lambda n: f"Marketplace {n}")


class FeePlanFactory(DjangoModelFactory[FeePlan]):
    """Ten percent, nothing fixed unless `fixed={"EUR": 30}` says so."""

    class Meta:
        model = FeePlan
        skip_postgeneration_save = True

    book = factory.SubFactory(BookFactory)
    name = factory.Sequence(lambda n: f"plan {n}")
    basis_points = 1000

    @factory.post_generation  # type: ignore[untyped-decorator]  # untyped in factory-boy
    def fixed(obj: FeePlan, create: bool, extracted: dict[str, int] | None, **_: Any) -> None:  # noqa: N805 - factory-boy's own convention: the row, not a self
        """Add the fixed part of some currencies, in minor units."""
        for currency, amount_minor in (extracted or {}).items():
            FixedFee.objects.create(plan=obj, currency_id=currency, amount_minor=amount_minor)


class SellerFactory(DjangoModelFactory[Seller]):
    """A seller on its book's fee plan."""

    class Meta:
        model = Seller

    public_id = factory.LazyFunction(seam.new_uuid)
    book = factory.SubFactory(BookFactory)
    external_id = factory.Sequence(lambda n: f"seller-{n}")
    name = factory.Sequence(lambda n: f"Seller {n}")
    country = "DE"
    default_currency_id = "EUR"
    payout_schedule = factory.LazyFunction(lambda: {"interval": "manual", "minimum": "0.00"})


class PspAccountFactory(DjangoModelFactory[PspAccount]):
    """An account at the Stripe-speaking PSP; `base_url` points at nothing until a test says otherwise."""

    class Meta:
        model = PspAccount

    public_id = factory.LazyFunction(seam.new_uuid)
    book = factory.SubFactory(BookFactory)
    code = factory.Sequence(lambda n: f"stripe{n}")
    adapter = "stripe"
    base_url = "http://127.0.0.1:9"
    api_key = factory.LazyAttribute(lambda row: seal(PSP_API_KEY, identity=f"psp_account.api_key:{row.public_id}"))
    webhook_secret = factory.LazyAttribute(
        lambda row: seal(PSP_WEBHOOK_SECRET, identity=f"psp_account.webhook_secret:{row.public_id}")
    )


class MerchantBookFactory(DjangoModelFactory[MerchantBook]):
    """A merchant's test book with a fee plan, a house seller and a PSP account of its own."""

    class Meta:
        model = MerchantBook

    book = factory.SubFactory(BookFactory)
    merchant = factory.SubFactory(MerchantFactory)
    fee_plan = factory.SubFactory(FeePlanFactory, book=factory.SelfAttribute("..book"))
    house_seller = factory.SubFactory(SellerFactory, book=factory.SelfAttribute("..book"), external_id="house")
    default_psp_account = factory.SubFactory(PspAccountFactory, book=factory.SelfAttribute("..book"))


class ApiKeyFactory(DjangoModelFactory[ApiKey]):
    """A key whose plain text is `key` (default `sk_test_<n>`); signatures are checked but not required."""

    class Meta:
        model = ApiKey

    class Params:
        key = factory.Sequence(lambda n: f"sk_test_{n:032d}")

    public_id = factory.LazyFunction(seam.new_uuid)
    merchant = factory.SubFactory(MerchantFactory)
    book = factory.SubFactory(BookFactory)
    name = "tests"
    key_hash = factory.LazyAttribute(lambda row: hashlib.sha256(row.key.encode()).digest())
    last4 = factory.LazyAttribute(lambda row: row.key[-4:])
    signing_secret = factory.LazyAttribute(
        lambda row: seal(SIGNING_SECRET, identity=f"api_key.signing_secret:{row.public_id}")
    )
    scopes = factory.LazyFunction(lambda: list(SCOPES))


class AdministratorKeyFactory(ApiKeyFactory):
    """A key that may create merchants and belongs to none."""

    merchant = None
    book = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """A merchant that can sell: its book, its key in plain text, its PSP account and its house seller."""

    merchant: Merchant
    settings: MerchantBook
    book: Book
    key: str
    api_key: ApiKey
    psp_account: PspAccount
    house_seller: Seller

    def seller(self, **overrides: Any) -> Seller:
        """Add a seller to this tenant."""
        return SellerFactory.create(book=self.book, **overrides)

    def seller_id(self, row: Seller) -> str:
        """Return a seller's id as the API shows it."""
        return public_id("sel", row.public_id)


def tenant(
    *, mode: Mode = Mode.TEST, basis_points: int = 1000, fixed: dict[str, int] | None = None, **psp: Any
) -> Tenant:
    """Make a merchant with book, fee plan, house seller, PSP account (overrides in `psp`) and API key."""
    book = BookFactory.create(mode=mode)
    settings = MerchantBookFactory.create(
        book=book,
        fee_plan=FeePlanFactory.create(book=book, basis_points=basis_points, fixed=fixed),
        default_psp_account=PspAccountFactory.create(book=book, **psp),
    )
    key = f"sk_{mode}_{seam.new_uuid().hex}"
    api_key = ApiKeyFactory.create(merchant=settings.merchant, book=book, key=key)
    assert settings.default_psp_account is not None
    assert settings.house_seller is not None
    return Tenant(
        merchant=settings.merchant,
        settings=settings,
        book=book,
        key=key,
        api_key=api_key,
        psp_account=settings.default_psp_account,
        house_seller=settings.house_seller,
    )


class PaymentEventFactory(DjangoModelFactory[PaymentEvent]):
    """A checkout over 20.00 EUR that waits for a method. Orders and charges are made beside it."""

    class Meta:
        model = PaymentEvent

    public_id = factory.LazyFunction(seam.new_uuid)
    book = factory.SubFactory(BookFactory)
    checkout_id = factory.Sequence(lambda n: f"cart-{n}")
    fingerprint = b"fingerprint"
    status = PaymentEvent.Status.REQUIRES_PAYMENT_METHOD
    currency_id = "EUR"
    amount_minor = 2000
    charge_mode = PaymentEvent.ChargeMode.SINGLE
    capture = PaymentEvent.Capture.AUTOMATIC
    buyer = factory.LazyFunction(lambda: {"id": "buyer-1"})
    payment_method_types = factory.LazyFunction(lambda: ["card"])
    metadata = factory.LazyFunction(dict)
    created_at = NOW
    updated_at = NOW


class ChargeFactory(DjangoModelFactory[Charge]):
    """The charge of a checkout, born NEW."""

    class Meta:
        model = Charge

    public_id = factory.LazyFunction(seam.new_uuid)
    event = factory.SubFactory(PaymentEventFactory)
    book = factory.SelfAttribute("event.book")
    psp_account = factory.SubFactory(PspAccountFactory, book=factory.SelfAttribute("..book"))
    currency_id = factory.SelfAttribute("event.currency_id")
    amount_minor = factory.SelfAttribute("event.amount_minor")
    created_at = NOW


class PaymentOrderFactory(DjangoModelFactory[PaymentOrder]):
    """The one order of a checkout, born NOT_STARTED, with a fee of ten percent."""

    class Meta:
        model = PaymentOrder

    public_id = factory.LazyFunction(seam.new_uuid)
    charge = factory.SubFactory(ChargeFactory)
    event = factory.SelfAttribute("charge.event")
    book = factory.SelfAttribute("event.book")
    seller = factory.SubFactory(SellerFactory, book=factory.SelfAttribute("..book"))
    position = factory.LazyAttribute(
        lambda row: PaymentOrder.objects.filter(event=row.event).count() + 1 if row.event.pk else 1
    )
    currency_id = factory.SelfAttribute("event.currency_id")
    amount_minor = factory.SelfAttribute("event.amount_minor")
    fee_minor = factory.LazyAttribute(lambda row: row.amount_minor // 10)
    metadata = factory.LazyFunction(dict)
    created_at = NOW
    updated_at = NOW


class RefundFactory(DjangoModelFactory[Refund]):
    """A pending refund of a charge's late success."""

    class Meta:
        model = Refund

    public_id = factory.LazyFunction(seam.new_uuid)
    charge = factory.SubFactory(ChargeFactory)
    book = factory.SelfAttribute("charge.book")
    reason = Refund.Reason.LATE_SUCCESS
    currency_id = factory.SelfAttribute("charge.currency_id")
    amount_minor = factory.SelfAttribute("charge.amount_minor")
    created_at = NOW


class DisputeFactory(DjangoModelFactory[Dispute]):
    """A dispute of a whole charge that waits for an answer; no money has moved yet."""

    class Meta:
        model = Dispute

    public_id = factory.LazyFunction(seam.new_uuid)
    charge = factory.SubFactory(ChargeFactory)
    book = factory.SelfAttribute("charge.book")
    psp_account = factory.SelfAttribute("charge.psp_account")
    psp_id = factory.Sequence(lambda n: f"du_{n}")
    currency_id = factory.SelfAttribute("charge.currency_id")
    amount_minor = factory.SelfAttribute("charge.amount_minor")
    opened_at = NOW
    created_at = NOW
    updated_at = NOW
    due_at = NOW


class PayoutDestinationFactory(DjangoModelFactory[PayoutDestination]):
    """A German bank account that may be paid to."""

    class Meta:
        model = PayoutDestination

    public_id = factory.LazyFunction(seam.new_uuid)
    seller = factory.SubFactory(SellerFactory)
    book = factory.SelfAttribute("seller.book")
    currency_id = "EUR"
    type = PayoutDestination.Type.IBAN
    country = "DE"
    details = b"sealed"
    masked = "DE **** 3000"
    blind_index = b"index"
    set_by = "key:tests"
    created_at = NOW
    usable_at = NOW


class PayoutFactory(DjangoModelFactory[Payout]):
    """A payout of 10.00 EUR; it has what any status asks for."""

    class Meta:
        model = Payout

    public_id = factory.LazyFunction(seam.new_uuid)
    destination = factory.SubFactory(PayoutDestinationFactory)
    seller = factory.SelfAttribute("destination.seller")
    book = factory.SelfAttribute("destination.book")
    psp_account = factory.SubFactory(PspAccountFactory, book=factory.SelfAttribute("..book"))
    currency_id = "EUR"
    amount_minor = 1000
    requested_by = "key:tests"
    transfer_psp_id = "tr_1"
    created_at = NOW
    updated_at = NOW
    paid_at = NOW


class OwnBankAccountFactory(DjangoModelFactory[OwnBankAccount]):
    """A bank account of a merchant's own."""

    class Meta:
        model = OwnBankAccount

    public_id = factory.LazyFunction(seam.new_uuid)
    book = factory.SubFactory(BookFactory)
    name = factory.Sequence(lambda n: f"bank-{n}")
    currency_id = "EUR"
    holder = "Marketplace"
    details = b"sealed"
    masked = "DE **** 2051"
    blind_index = factory.Sequence(lambda n: f"index-{n}".encode())
    created_at = NOW


class BankFileFactory(DjangoModelFactory[BankFile]):
    """A file of one payout of 10.00 EUR, which it tells."""

    class Meta:
        model = BankFile
        skip_postgeneration_save = True

    public_id = factory.LazyFunction(seam.new_uuid)
    bank_account = factory.SubFactory(OwnBankAccountFactory)
    book = factory.SelfAttribute("bank_account.book")
    currency_id = "EUR"
    count = 1
    total_minor = 1000
    execution_on = NOW.date()
    schema = "pain.001.001.09"
    content = b"sealed"
    sha256 = b"x" * 32
    made_by = "user:maker"
    made_at = NOW

    @factory.post_generation
    def told(obj: BankFile, create: bool, extracted: object, **_: Any) -> None:  # noqa: N805 - as above
        """Tell the payout."""
        seller = SellerFactory.create(book=obj.book)
        destination = PayoutDestinationFactory.create(seller=seller)
        payout = PayoutFactory.create(
            destination=destination, psp_account=None, bank_account=obj.bank_account, transfer_psp_id=""
        )
        BankInstruction.objects.create(
            file=obj,
            book=obj.book,
            payout=payout,
            destination=destination,
            end_to_end_id=public_id("pyo", payout.public_id).replace("_", "-"),
            amount_minor=1000,
        )


class PspOperationFactory(DjangoModelFactory[PspOperation]):
    """A registration that is due now."""

    class Meta:
        model = PspOperation

    public_id: UUID = factory.LazyFunction(seam.new_uuid)
    charge = factory.SubFactory(ChargeFactory)
    event = factory.SelfAttribute("charge.event")
    book = factory.SelfAttribute("charge.book")
    psp_account = factory.SelfAttribute("charge.psp_account")
    kind = PspOperation.Kind.REGISTER
    amount_minor = factory.SelfAttribute("charge.amount_minor")
    parameters = factory.LazyFunction(dict)
    created_at = NOW
    due_at = NOW
