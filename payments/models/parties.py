"""Who takes part: merchants, their books, keys, PSP accounts, fee plans and sellers."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ledger.models import Book, Currency


class Merchant(models.Model):
    """An e-commerce site: our API client and tenant. What is its own hangs on its books."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"

    public_id = models.UUIDField(unique=True)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=9, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class MerchantBook(models.Model):
    """A book of a merchant: one for test, one or more for live. Its settings are the tenant's defaults."""

    class RefundFeePolicy(models.TextChoices):
        KEEP = "keep"  # the seller bears the whole refund
        RETURN = "return"  # our fee goes back first, in full, then the seller's share
        PROPORTIONAL = "proportional"  # fee and share go back as they came

    book = models.OneToOneField(Book, models.PROTECT, primary_key=True)
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="books")
    fee_plan = models.ForeignKey("FeePlan", models.PROTECT, related_name="+")
    house_seller = models.ForeignKey("Seller", models.PROTECT, null=True, related_name="+")
    default_psp_account = models.ForeignKey("PspAccount", models.PROTECT, null=True, related_name="+")
    # Payouts above this many minor units of a currency need a second person: {"EUR": 100000}. Not named: none does.
    payout_approval_above = models.JSONField(default=dict)
    # What the platform keeps when it changes a seller's money into another currency.
    fx_margin_basis_points = models.SmallIntegerField(db_default=0)
    # When a seller's share becomes available: so many business days after delivery (0: at once; NULL: delivery does
    # not matter), and at the latest so many days after capture (NULL: never without delivery).
    release_days_after_delivery = models.SmallIntegerField(null=True, db_default=0)
    release_days_after_capture = models.SmallIntegerField(null=True)
    capture_days_are_business_days = models.BooleanField(db_default=False)
    # Which days are holidays ("target2", "weekends" or a country), and in which time zone a day begins.
    business_calendar = models.CharField(max_length=10, db_default="target2")
    time_zone = models.CharField(max_length=64, db_default="UTC")
    # Whether buyers may keep stored value with this merchant, and pay with it.
    stored_value = models.BooleanField(db_default=False)
    refund_fee_policy = models.CharField(max_length=12, choices=RefundFeePolicy, db_default="keep")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(fx_margin_basis_points__gte=0, fx_margin_basis_points__lte=2000),
                name="fx_margin_is_0_to_20_percent",
            ),
            models.CheckConstraint(
                condition=(
                    Q(release_days_after_delivery__isnull=True)
                    | Q(release_days_after_delivery__gte=0, release_days_after_delivery__lte=365)
                )
                & (
                    Q(release_days_after_capture__isnull=True)
                    | Q(release_days_after_capture__gte=0, release_days_after_capture__lte=365)
                ),
                name="release_waits_at_most_a_year",
            ),
            models.CheckConstraint(
                condition=Q(refund_fee_policy__in=["keep", "return", "proportional"]),
                name="refund_fee_policy_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.merchant} ({self.book.mode})"


class ApiKey(models.Model):
    """A key of the API. The key itself is shown once and kept as a hash; the signing secret is sealed."""

    public_id = models.UUIDField(unique=True)
    merchant = models.ForeignKey(Merchant, models.PROTECT, null=True, related_name="keys")
    book = models.ForeignKey(Book, models.PROTECT, null=True)
    name = models.CharField(max_length=100)
    key_hash = models.BinaryField(max_length=32, unique=True)
    last4 = models.CharField(max_length=4)
    signing_secret = models.BinaryField()
    scopes = ArrayField(models.CharField(max_length=40))
    requires_signature = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(merchant__isnull=True, book__isnull=True) | Q(merchant__isnull=False, book__isnull=False),
                name="api_key_is_an_administrators_or_a_merchants",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (...{self.last4})"


class PspAccount(models.Model):
    """A merchant's account at a PSP. Credentials are sealed; the circuit breaker and the budgets are per account."""

    class PayoutMode(models.TextChoices):
        PSP = "psp"
        BANK = "bank"

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT)
    code = models.CharField(max_length=32)
    adapter = models.CharField(max_length=32)
    base_url = models.CharField(max_length=200, blank=True)
    api_key = models.BinaryField()
    webhook_secret = models.BinaryField(null=True)
    payout_mode = models.CharField(max_length=4, choices=PayoutMode, default=PayoutMode.PSP)
    created_at = models.DateTimeField(db_default=Now())
    # Budgets: calls per second of all lanes together, and polls per minute. Tokens are kept here, in the database,
    # because several workers share them.
    calls_per_second = models.FloatField(default=100)
    call_tokens = models.FloatField(default=100)
    polls_per_minute = models.FloatField(default=600)
    poll_tokens = models.FloatField(default=100)
    refilled_at = models.DateTimeField(db_default=Now())
    # Circuit breaker: consecutive calls without an answer, and until when nothing is sent.
    consecutive_failures = models.IntegerField(default=0)
    paused_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "code", name="psp_account_code_is_unique_in_its_book"),
            models.UniqueConstraint("id", "book", name="psp_account_belongs_to_one_book"),
            models.CheckConstraint(
                condition=Q(call_tokens__gte=0, poll_tokens__gte=0), name="psp_budget_is_not_overdrawn"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.adapter} {self.code}"


class FeePlan(models.Model):
    """What the platform keeps of a sale: basis points of the amount plus a fixed part per currency."""

    book = models.ForeignKey(Book, models.PROTECT)
    name = models.CharField(max_length=100)
    basis_points = models.IntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "name", name="fee_plan_name_is_unique_in_its_book"),
            models.CheckConstraint(
                condition=Q(basis_points__gte=0, basis_points__lte=10_000), name="fee_is_0_to_100_percent"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class FixedFee(models.Model):
    """The fixed part of a fee plan in one currency, in minor units, taken once per order."""

    plan = models.ForeignKey(FeePlan, models.CASCADE, related_name="fixed_fees")
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency")
    amount_minor = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint("plan", "currency", name="fixed_fee_is_one_per_currency"),
            models.CheckConstraint(condition=Q(amount_minor__gte=0), name="fixed_fee_is_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency_id}"


class Seller(models.Model):
    """Who is owed money. Without a fee plan of its own the book's applies."""

    class Kyc(models.TextChoices):
        UNVERIFIED = "unverified"
        PENDING = "pending"
        VERIFIED = "verified"
        REJECTED = "rejected"

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT)
    external_id = models.CharField(max_length=100)
    name = models.CharField(max_length=200)
    country = models.CharField(max_length=2)
    email = models.CharField(max_length=254, blank=True)
    default_currency = models.ForeignKey(Currency, models.PROTECT, db_column="default_currency", related_name="+")
    # What was earned in another currency is changed into this one when it is released; NULL: nothing is changed.
    settlement_currency = models.ForeignKey(
        Currency, models.PROTECT, null=True, db_column="settlement_currency", db_index=False, related_name="+"
    )
    fee_plan = models.ForeignKey(FeePlan, models.PROTECT, null=True)
    payout_schedule = models.JSONField()
    kyc_status = models.CharField(max_length=10, choices=Kyc, default=Kyc.UNVERIFIED)
    # Rolling reserve: how much of each release is held back, and for how many days.
    reserve_basis_points = models.IntegerField(db_default=0)
    reserve_days = models.SmallIntegerField(db_default=0)
    # The last day that scheduled payouts looked at this seller.
    payouts_scheduled_through = models.DateField(null=True)
    kyc_reference = models.CharField(max_length=255, blank=True, db_default="")
    closed_at = models.DateTimeField(null=True)
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "external_id", name="seller_external_id_is_unique_in_its_book"),
            models.UniqueConstraint("id", "book", name="seller_belongs_to_one_book"),
            models.CheckConstraint(
                condition=Q(reserve_basis_points=0, reserve_days=0)
                | Q(
                    reserve_basis_points__gte=1,
                    reserve_basis_points__lte=10_000,
                    reserve_days__gte=1,
                    reserve_days__lte=365,
                ),
                name="reserve_is_a_share_for_a_while",
            ),
        ]

    def __str__(self) -> str:
        return self.name
