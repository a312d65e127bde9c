"""Refund: money that goes back to a buyer, of one order."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from ledger.models import Book, Currency
from payments.models.machines import Machine
from payments.models.orders import Charge, PaymentOrder


class Refund(Machine):
    """Money that goes back. For a late success there is no captured order: the charge's money never was a sale."""

    class Status(models.TextChoices):
        PENDING = "pending"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    class Reason(models.TextChoices):
        REQUESTED_BY_CUSTOMER = "requested_by_customer"
        LATE_SUCCESS = "late_success"

    INITIAL = (Status.PENDING,)

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    charge = models.ForeignKey(Charge, models.PROTECT, db_constraint=False, related_name="refunds")
    order = models.ForeignKey(PaymentOrder, models.PROTECT, null=True, related_name="refunds")
    reason = models.CharField(max_length=25, choices=Reason)
    status = FSMField(choices=Status, default=Status.PENDING, protected=True, max_length=20)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    amount_minor = models.BigIntegerField()
    psp_id = models.CharField(max_length=255, null=True)  # noqa: DJ001 - unique where it is known
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="refund_amount_is_above_zero"),
            models.UniqueConstraint("charge", condition=Q(reason="late_success"), name="late_success_is_refunded_once"),
        ]

    def __str__(self) -> str:
        return f"refund {self.public_id}"

    @transition("status", source=Status.PENDING, target=Status.SUCCEEDED)
    def succeeded(self) -> None:
        """The PSP paid the money back."""

    @transition("status", source=[Status.PENDING, Status.SUCCEEDED], target=Status.FAILED)
    def failed(self) -> None:
        """The money did not arrive; a person decides."""
