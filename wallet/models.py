"""Wallet: a seller's money in one currency. Proposal: a journal that one person made and another one has to approve.

A wallet stores no amount: its ledger accounts have the balances. A proposal is no posting: `wallet/proposals.py` posts
it when it is approved, and a trigger (`wallet/sql/0002/proposals.sql`) refuses any other approval.
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
                    kind__in=("adjust", "write_off", "reversal", "partial_reversal", "year_end_close"),
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
