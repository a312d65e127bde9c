"""Refund: money that goes back to a buyer, of one order."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F, Q
from django_fsm import FSMField, transition

from ledger.models import Book, Currency
from payments.models.buyers import Buyer
from payments.models.machines import Machine
from payments.models.orders import Charge, PaymentOrder


class Refund(Machine):
    """Money that goes back. For a late success there is no captured order: the charge's money never was a sale.

    Whose money it is was decided with the request: the platform's part of its fee, and the seller's share by the
    accounts that it was taken from. These columns say what was taken, also after it was given back.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    class Reason(models.TextChoices):
        REQUESTED_BY_CUSTOMER = "requested_by_customer"
        DUPLICATE = "duplicate"
        FRAUDULENT = "fraudulent"
        LATE_SUCCESS = "late_success"

    INITIAL = (Status.PENDING,)

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    charge = models.ForeignKey(Charge, models.PROTECT, db_constraint=False, related_name="refunds")
    order = models.ForeignKey(PaymentOrder, models.PROTECT, null=True, related_name="refunds")
    reference = models.CharField(max_length=255, blank=True, db_default="")
    reason = models.CharField(max_length=25, choices=Reason)
    status = FSMField(choices=Status, default=Status.PENDING, protected=True, max_length=20)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    amount_minor = models.BigIntegerField()
    # The merchant's policy at the time of the request; empty for a late success.
    fee_policy = models.CharField(max_length=12, blank=True, db_default="")
    fee_minor = models.BigIntegerField(db_default=0)
    from_pending_minor = models.BigIntegerField(db_default=0)
    from_available_minor = models.BigIntegerField(db_default=0)
    from_debt_minor = models.BigIntegerField(db_default=0)
    # What of `from_available_minor` was changed back from the seller's own currency and was not changed again.
    changed_back_minor = models.BigIntegerField(db_default=0)
    # The buyer to whose stored value it goes: no PSP is asked then.
    stored_value_of = models.ForeignKey(
        Buyer,
        models.PROTECT,
        to_field="public_id",
        db_column="stored_value_of",
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    failure = models.JSONField(null=True)
    psp_id = models.CharField(max_length=255, null=True)  # noqa: DJ001 - unique where it is known
    created_at = models.DateTimeField()
    # When the PSP paid it out. A failed refund that has this came back: the money is still owed to the buyer.
    settled_at = models.DateTimeField(null=True)
    # Since when a person must decide about it.
    attention_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="refund_amount_is_above_zero"),
            models.UniqueConstraint("charge", condition=Q(reason="late_success"), name="late_success_is_refunded_once"),
            models.UniqueConstraint(
                "book", "reference", condition=~Q(reference=""), name="refund_reference_is_unique_in_its_book"
            ),
            models.CheckConstraint(
                condition=Q(
                    reason="late_success",
                    order__isnull=True,
                    fee_minor=0,
                    from_pending_minor=0,
                    from_available_minor=0,
                    from_debt_minor=0,
                )
                | Q(
                    ~Q(reason="late_success"),
                    order__isnull=False,
                    fee_minor__gte=0,
                    from_pending_minor__gte=0,
                    from_available_minor__gte=0,
                    from_debt_minor__gte=0,
                    amount_minor=F("fee_minor")
                    + F("from_pending_minor")
                    + F("from_available_minor")
                    + F("from_debt_minor"),
                ),
                name="refund_is_split_exactly",
            ),
            models.CheckConstraint(
                condition=Q(changed_back_minor__gte=0, changed_back_minor__lte=F("from_available_minor")),
                name="refund_changes_back_what_it_takes",
            ),
            models.CheckConstraint(
                condition=~Q(status="succeeded") | Q(settled_at__isnull=False),
                name="refund_is_settled_when_it_succeeded",
            ),
            models.CheckConstraint(
                condition=Q(stored_value_of__isnull=True) | Q(~Q(status="failed"), psp_id__isnull=True),
                name="stored_value_takes_refunds_without_a_psp",
            ),
        ]
        indexes = [
            models.Index("book", "id", name="refund_by_book"),
            models.Index("attention_at", condition=Q(attention_at__isnull=False), name="refund_needs_a_person"),
        ]

    def __str__(self) -> str:
        return f"refund {self.public_id}"

    @transition("status", source=Status.PENDING, target=Status.SUCCEEDED)
    def succeeded(self, at: datetime) -> None:
        """The PSP paid the money back."""
        self.settled_at = at

    @transition("status", source=[Status.PENDING, Status.SUCCEEDED], target=Status.FAILED)
    def failed(self, failure: dict[str, object] | None) -> None:
        """The money did not arrive. Before it was paid out the request is taken back; afterwards a person decides."""
        self.failure = failure
