"""Dispute: a buyer's bank takes money of a charge back. DisputePart: what of it falls on one order.

The amounts of a dispute are what is booked: they grow in the transaction that posts them. What a part costs the seller
is written down by the accounts that it came from, so that money which comes back finds its way.
"""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F, Q
from django_fsm import FSMField, transition

from ledger.models import Book, Currency
from payments.models.machines import Machine
from payments.models.orders import Charge, PaymentOrder
from payments.models.parties import PspAccount


class Dispute(Machine):
    """One dispute of a charge, as the PSP tells of it. In an inquiry no money has moved."""

    class Status(models.TextChoices):
        INQUIRY_OPEN = "inquiry_open"
        INQUIRY_REVIEW = "inquiry_review"
        INQUIRY_CLOSED = "inquiry_closed"
        NEEDS_RESPONSE = "needs_response"
        UNDER_REVIEW = "under_review"
        LOST = "lost"
        WON = "won"

    class Evidence(models.TextChoices):
        NONE = "none"
        PENDING = "pending"  # on its way to the PSP
        SUBMITTED = "submitted"
        REFUSED = "refused"  # by the PSP: `evidence_message` says why

    # We may first hear of a dispute when it is over.
    INITIAL = (
        Status.INQUIRY_OPEN,
        Status.INQUIRY_REVIEW,
        Status.INQUIRY_CLOSED,
        Status.NEEDS_RESPONSE,
        Status.UNDER_REVIEW,
        Status.LOST,
        Status.WON,
    )
    OPEN = (Status.INQUIRY_OPEN, Status.INQUIRY_REVIEW, Status.NEEDS_RESPONSE, Status.UNDER_REVIEW)
    ANSWERABLE = (Status.INQUIRY_OPEN, Status.NEEDS_RESPONSE)
    # A dispute moves along this line only; a snapshot from behind is an old one.
    LINE = INITIAL

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    charge = models.ForeignKey(Charge, models.PROTECT, related_name="disputes")
    psp_account = models.ForeignKey(PspAccount, models.PROTECT, db_index=False)
    psp_id = models.CharField(max_length=255)
    status = FSMField(choices=Status, default=Status.NEEDS_RESPONSE, protected=True, max_length=20)
    reason = models.CharField(max_length=64, blank=True, db_default="")
    network_reason = models.CharField(max_length=32, blank=True, db_default="")
    # What is disputed, as the PSP says; what moved is below.
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    amount_minor = models.BigIntegerField()
    taken_minor = models.BigIntegerField(db_default=0, default=0)
    returned_minor = models.BigIntegerField(db_default=0, default=0)
    lost_minor = models.BigIntegerField(db_default=0, default=0)
    # Of the lost amount, what came back after all.
    regained_minor = models.BigIntegerField(db_default=0, default=0)
    cost_minor = models.BigIntegerField(db_default=0, default=0)
    cost_returned_minor = models.BigIntegerField(db_default=0, default=0)
    evidence_due_at = models.DateTimeField(null=True)
    evidence_count = models.IntegerField(db_default=0, default=0)
    # What became of the evidence that was given to us.
    evidence_status = models.CharField(max_length=9, choices=Evidence, db_default="none", default="none")
    evidence_at = models.DateTimeField(null=True)
    evidence_message = models.CharField(max_length=500, blank=True, db_default="", default="")
    # What the PSP says contradicts our records: nothing of it is booked, a person looks.
    quarantined_at = models.DateTimeField(null=True)
    quarantine_reason = models.CharField(max_length=500, blank=True, db_default="", default="")
    version = models.IntegerField(db_default=1, default=1)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    # An open dispute is asked about now and then, in case its notifications are lost.
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(db_default=0, default=0)
    tries = models.IntegerField(db_default=0, default=0)

    class Meta:
        permissions = [("answer_disputes", "Can answer disputes and give them up")]
        constraints = [
            models.UniqueConstraint("psp_account", "psp_id", name="psp_dispute_is_known_once"),
            models.UniqueConstraint("id", "book", name="dispute_belongs_to_one_book"),
            models.CheckConstraint(condition=Q(amount_minor__gte=0), name="disputed_amount_is_not_negative"),
            models.CheckConstraint(
                condition=Q(returned_minor__gte=0, lost_minor__gte=0)
                & Q(taken_minor__gte=F("returned_minor") + F("lost_minor")),
                name="dispute_gives_back_no_more_than_it_took",
            ),
            models.CheckConstraint(
                condition=Q(regained_minor__gte=0, regained_minor__lte=F("lost_minor")),
                name="dispute_regains_no_more_than_was_lost",
            ),
            models.CheckConstraint(
                condition=Q(cost_returned_minor__gte=0, cost_returned_minor__lte=F("cost_minor")),
                name="dispute_cost_returned_is_within_its_cost",
            ),
        ]
        indexes = [
            models.Index("book", "id", name="dispute_by_book"),
            models.Index("due_at", condition=Q(due_at__isnull=False), name="dispute_to_poll"),
            models.Index("id", condition=Q(quarantined_at__isnull=False), name="dispute_in_quarantine"),
            models.Index(
                "evidence_due_at",
                condition=Q(status__in=["inquiry_open", "needs_response"]),
                name="dispute_to_answer",
            ),
        ]

    def __str__(self) -> str:
        return f"dispute {self.psp_id}"

    @property
    def held_minor(self) -> int:
        """Return what the PSP holds until the dispute is decided."""
        return self.taken_minor - self.returned_minor - self.lost_minor

    @transition("status", source=Status.INQUIRY_OPEN, target=Status.INQUIRY_REVIEW)
    def inquiry_answered(self, at: datetime) -> None:
        """The bank's question was answered."""
        del at

    @transition("status", source=[Status.INQUIRY_OPEN, Status.INQUIRY_REVIEW], target=Status.INQUIRY_CLOSED)
    def inquiry_ended(self, at: datetime) -> None:
        """The inquiry ended without a dispute: no money moved."""
        self.closed_at = at

    @transition(
        "status",
        source=[Status.INQUIRY_OPEN, Status.INQUIRY_REVIEW, Status.INQUIRY_CLOSED],
        target=Status.NEEDS_RESPONSE,
    )
    def escalated(self, at: datetime) -> None:
        """The inquiry became a dispute."""
        del at
        self.closed_at = None

    @transition(
        "status",
        source=[Status.INQUIRY_OPEN, Status.INQUIRY_REVIEW, Status.INQUIRY_CLOSED, Status.NEEDS_RESPONSE],
        target=Status.UNDER_REVIEW,
    )
    def answered(self, at: datetime) -> None:
        """Evidence was handed in; the bank decides."""
        del at
        self.closed_at = None

    @transition(
        "status",
        source=[
            Status.INQUIRY_OPEN,
            Status.INQUIRY_REVIEW,
            Status.INQUIRY_CLOSED,
            Status.NEEDS_RESPONSE,
            Status.UNDER_REVIEW,
        ],
        target=Status.LOST,
    )
    def lost(self, at: datetime) -> None:
        """The bank decided for the buyer: what is held is gone."""
        self.closed_at = at

    @transition(
        "status",
        source=[
            Status.INQUIRY_OPEN,
            Status.INQUIRY_REVIEW,
            Status.INQUIRY_CLOSED,
            Status.NEEDS_RESPONSE,
            Status.UNDER_REVIEW,
            Status.LOST,
        ],
        target=Status.WON,
    )
    def won(self, at: datetime) -> None:
        """The bank decided for the seller, and the money is back."""
        self.closed_at = at


class DisputePart(models.Model):
    """What of the money that a dispute took falls on one order, and on whom: exactly the whole of it.

    `excess_minor` is what exceeds what is left of the order (it was refunded or disputed before): the platform's loss.
    `fee_minor` is the platform's part by its fee; the rest is the seller's, by the accounts that it was taken from.
    """

    dispute = models.ForeignKey(Dispute, models.PROTECT, related_name="parts", db_index=False)
    order = models.ForeignKey(PaymentOrder, models.PROTECT, related_name="dispute_parts")
    position = models.SmallIntegerField()
    amount_minor = models.BigIntegerField()
    excess_minor = models.BigIntegerField()
    fee_minor = models.BigIntegerField()
    pending_minor = models.BigIntegerField(default=0)
    available_minor = models.BigIntegerField(default=0)
    debt_minor = models.BigIntegerField(default=0)
    # What of `available_minor` was changed back from the seller's own currency and was not changed again.
    changed_back_minor = models.BigIntegerField(db_default=0, default=0)
    returned_minor = models.BigIntegerField(default=0)
    lost_minor = models.BigIntegerField(default=0)
    regained_minor = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint("dispute", "position", name="dispute_part_position_is_unique"),
            models.UniqueConstraint("dispute", "order", name="dispute_has_one_part_per_order"),
            models.CheckConstraint(
                condition=Q(
                    amount_minor=F("excess_minor")
                    + F("fee_minor")
                    + F("pending_minor")
                    + F("available_minor")
                    + F("debt_minor")
                )
                & Q(
                    excess_minor__gte=0,
                    fee_minor__gte=0,
                    pending_minor__gte=0,
                    available_minor__gte=0,
                    debt_minor__gte=0,
                ),
                name="dispute_part_is_split_exactly",
            ),
            models.CheckConstraint(
                condition=Q(changed_back_minor__gte=0, changed_back_minor__lte=F("available_minor")),
                name="dispute_part_changes_back_what_it_takes",
            ),
            models.CheckConstraint(
                condition=Q(returned_minor__gte=0, lost_minor__gte=0, regained_minor__gte=0)
                & Q(regained_minor__lte=F("lost_minor"))
                & Q(amount_minor__gte=F("returned_minor") + F("lost_minor")),
                name="dispute_part_gives_back_no_more_than_it_took",
            ),
        ]

    def __str__(self) -> str:
        return f"part {self.position} of dispute {self.dispute_id}"

    @property
    def seller_minor(self) -> int:
        """Return the seller's share."""
        return self.pending_minor + self.available_minor + self.debt_minor
