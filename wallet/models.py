"""Wallets: a seller's money in one currency. They store no amount: their ledger accounts have the balances.

Rates and quotes are the evidence of what was changed from one currency into another, and are never changed.

A proposal is a journal that one person made and another one has to approve: `wallet/proposals.py` posts it then, and a
trigger (`wallet/sql/0003/proposals.sql`) refuses any other approval.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from ledger.models import Book, Currency, Transaction, TransactionKind


class Wallet(models.Model):
    """Names the wallet. `seller` is the seller's public id; accounts are found by code (wallet/chart.py)."""

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    seller = models.UUIDField()
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "seller", "currency", name="wallet_is_one_per_seller_and_currency"),
        ]

    def __str__(self) -> str:
        return f"{self.seller} {self.currency_id}"


class ExchangeRate(models.Model):
    """What one unit of `base` was worth on a day, in units of `currency`, as a source published it."""

    source = models.CharField(max_length=20)
    base = models.ForeignKey(Currency, models.PROTECT, db_column="base", db_index=False, related_name="+")
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False, related_name="+")
    observed_on = models.DateField()
    value = models.DecimalField(max_digits=22, decimal_places=10)
    loaded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "source", "currency", "observed_on", name="exchange_rate_is_one_per_source_currency_and_day"
            ),
            models.CheckConstraint(condition=Q(value__gt=0), name="exchange_rate_is_above_zero"),
            models.CheckConstraint(condition=~Q(base=F("currency")), name="exchange_rate_is_between_two_currencies"),
        ]

    def __str__(self) -> str:
        return f"1 {self.base_id} = {self.value} {self.currency_id} on {self.observed_on}"


class Quote(models.Model):
    """What a seller's money is worth in another currency, until when, and by which rate; executed at most once.

    Amounts in minor units: `amount_minor` of `currency`, the others of `to_currency`. `mid_minor` is the worth at the
    published rate; it is what the seller receives, the margin and the cent that rounding left over. A part that was
    changed back, for refunds, is counted in the `undone` columns.
    """

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    seller = models.UUIDField()
    subject = models.CharField(max_length=64, blank=True, db_default="")
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False, related_name="+")
    to_currency = models.ForeignKey(Currency, models.PROTECT, db_column="to_currency", db_index=False, related_name="+")
    amount_minor = models.BigIntegerField()
    mid_minor = models.BigIntegerField()
    received_minor = models.BigIntegerField()
    margin_minor = models.BigIntegerField()
    rounding_minor = models.SmallIntegerField()
    margin_basis_points = models.SmallIntegerField()
    source = models.CharField(max_length=20)
    observed_on = models.DateField()
    rate_numerator = models.DecimalField(max_digits=60, decimal_places=0)
    rate_denominator = models.DecimalField(max_digits=60, decimal_places=0)
    quoted_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    executed_at = models.DateTimeField(null=True)
    undone_minor = models.BigIntegerField(db_default=0)
    undone_received_minor = models.BigIntegerField(db_default=0)
    undone_margin_minor = models.BigIntegerField(db_default=0)
    undone_rounding_minor = models.SmallIntegerField(db_default=0)
    # Of the margin that was undone: what the platform kept all the same, so that the seller bore it.
    undone_kept_minor = models.BigIntegerField(db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0, received_minor__gt=0, margin_minor__gte=0),
                name="quote_amounts_are_money",
            ),
            models.CheckConstraint(
                condition=Q(mid_minor=F("received_minor") + F("margin_minor") + F("rounding_minor")),
                name="quote_adds_up",
            ),
            models.CheckConstraint(condition=~Q(currency=F("to_currency")), name="quote_is_between_two_currencies"),
            models.CheckConstraint(
                condition=Q(margin_basis_points__gte=0, margin_basis_points__lte=2000), name="margin_is_0_to_20_percent"
            ),
            models.CheckConstraint(
                condition=Q(executed_at__isnull=True, undone_minor=0)
                | Q(executed_at__gte=F("quoted_at"), executed_at__lte=F("expires_at")),
                name="quote_is_executed_before_it_expires",
            ),
            models.CheckConstraint(
                condition=Q(
                    undone_minor__gte=0,
                    undone_minor__lte=F("amount_minor"),
                    undone_received_minor__gte=0,
                    undone_received_minor__lte=F("received_minor"),
                    undone_margin_minor__gte=0,
                    undone_margin_minor__lte=F("margin_minor"),
                ),
                name="no_more_is_undone_than_was_converted",
            ),
            models.CheckConstraint(
                condition=Q(undone_kept_minor__gte=0, undone_kept_minor__lte=F("undone_margin_minor")),
                name="no_more_margin_is_kept_than_was_undone",
            ),
            models.UniqueConstraint(
                "book",
                "subject",
                condition=Q(executed_at__isnull=False) & ~Q(subject=""),
                name="a_subject_is_converted_once",
            ),
        ]
        indexes = [models.Index("book", "seller", "id", name="quote_by_seller")]

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency_id} to {self.received_minor} {self.to_currency_id}"


class SoundLegs(models.Func):
    """`wallet_legs_are_sound(legs)`: form and balance of a proposal's legs, as a condition of the constraint below."""

    function = "wallet_legs_are_sound"
    output_field = models.BooleanField()


class Proposal(models.Model):
    """A manual journal: its maker proposes, somebody else checks it. What it says never changes, nor does a decision.

    `legs` are what will be posted, as `{"account": code, "side": "D", "amount": minor units, "currency": code}`.
    Without `effective_at` it takes effect when it is approved. `reference` is unique in book and kind among what is
    not rejected or expired, and the transaction is called `{kind}:{reference}`. Maker and checker are actors:
    `user:{name}`, `key:{id}`.
    """

    class Kind(models.TextChoices):
        ADJUST = str(TransactionKind.ADJUST)
        WRITE_OFF = str(TransactionKind.WRITE_OFF)
        REVERSAL = str(TransactionKind.REVERSAL)
        PARTIAL_REVERSAL = str(TransactionKind.PARTIAL_REVERSAL)
        YEAR_END_CLOSE = str(TransactionKind.YEAR_END_CLOSE)
        WITHDRAW_FEES = str(TransactionKind.WITHDRAW_FEES)

    class State(models.TextChoices):
        AWAITING_APPROVAL = "awaiting_approval"
        APPROVED = "approved"
        REJECTED = "rejected"
        EXPIRED = "expired"

    REVERSALS = (Kind.REVERSAL, Kind.PARTIAL_REVERSAL)
    LIVING = (State.AWAITING_APPROVAL, State.APPROVED)

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    kind = models.CharField(max_length=16, choices=Kind)
    reference = models.CharField(max_length=100)
    effective_at = models.DateTimeField(null=True)
    memo = models.CharField(max_length=255)
    metadata = models.JSONField(default=dict)
    legs = models.JSONField()
    reverses = models.ForeignKey(Transaction, models.PROTECT, null=True, db_index=False, related_name="+")
    maker = models.CharField(max_length=128)
    made_at = models.DateTimeField()
    state = models.CharField(max_length=17, choices=State, default=State.AWAITING_APPROVAL)
    checker = models.CharField(max_length=128, blank=True, db_default="")
    decided_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=255, blank=True, db_default="")
    transaction = models.OneToOneField(Transaction, models.PROTECT, null=True, related_name="proposal")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "book",
                "kind",
                "reference",
                condition=Q(state__in=("awaiting_approval", "approved")),
                name="proposal_reference_is_unique_in_its_book",
            ),
            models.CheckConstraint(
                condition=Q(
                    kind__in=(
                        "adjust",
                        "write_off",
                        "reversal",
                        "partial_reversal",
                        "year_end_close",
                        "withdraw_fees",
                    ),
                    state__in=("awaiting_approval", "approved", "rejected", "expired"),
                ),
                name="proposal_kind_and_state_are_known",
            ),
            models.CheckConstraint(condition=SoundLegs(F("legs")), name="proposal_legs_are_sound"),
            models.CheckConstraint(condition=~Q(maker="") & ~Q(memo=""), name="proposal_says_who_and_why"),
            models.CheckConstraint(condition=~Q(checker=F("maker")), name="maker_is_never_checker"),
            models.CheckConstraint(
                condition=Q(state="awaiting_approval", checker="", decided_at__isnull=True)
                | ~Q(state="awaiting_approval") & ~Q(checker="") & Q(decided_at__isnull=False),
                name="proposal_is_decided_by_someone",
            ),
            models.CheckConstraint(
                condition=Q(state="approved", transaction__isnull=False)
                | ~Q(state="approved") & Q(transaction__isnull=True),
                name="proposal_is_posted_when_approved",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=("reversal", "partial_reversal"), reverses__isnull=False)
                | ~Q(kind__in=("reversal", "partial_reversal")) & Q(reverses__isnull=True),
                name="proposal_reverses_when_it_is_a_reversal",
            ),
        ]
        indexes = [
            models.Index("book", "id", name="proposal_by_book"),
            models.Index("made_at", condition=Q(state="awaiting_approval"), name="proposal_awaiting"),
        ]
        permissions = [
            ("make_proposals", "Can propose journals"),
            ("check_proposals", "Can approve and reject journals"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}:{self.reference}"
