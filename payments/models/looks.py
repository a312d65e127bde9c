"""Looks: up to when the changes at a PSP account were looked through. And refunds found there that are not ours."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ledger.models import Book, Currency
from payments.models.orders import Charge
from payments.models.parties import PspAccount


class PspLook(models.Model):
    """What has been seen of the changes that a PSP lists. A due row, one for each PSP account.

    Everything before `looked_until` was seen. While a look is going on, `began_at` is when it began and `cursor` where
    its next page begins.
    """

    psp_account = models.OneToOneField(PspAccount, models.PROTECT, primary_key=True)
    looked_until = models.DateTimeField()
    began_at = models.DateTimeField(null=True)
    cursor = models.CharField(max_length=255, blank=True, db_default="")
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(db_default=0)
    tries = models.IntegerField(db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(cursor="", began_at__isnull=True) | Q(~Q(cursor=""), began_at__isnull=False),
                name="look_goes_on_from_where_it_began",
            ),
        ]
        indexes = [models.Index("due_at", name="look_due")]

    def __str__(self) -> str:
        return f"changes at PSP account {self.psp_account_id} until {self.looked_until}"


class FoundRefund(models.Model):
    """A refund at the PSP that nobody asked us for. Nothing is booked before a person says that it is the orders'.

    `decided_by` is who did. A refund that failed at the PSP before that needs no decision.
    """

    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    psp_account = models.ForeignKey(PspAccount, models.PROTECT, db_constraint=False, db_index=False)
    charge = models.ForeignKey(Charge, models.PROTECT, db_constraint=False, related_name="found_refunds")
    psp_id = models.CharField(max_length=255)
    psp_status = models.CharField(max_length=20)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    amount_minor = models.BigIntegerField()
    found_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=128, blank=True, db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint("psp_account", "psp_id", name="found_refund_is_known_once"),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="found_refund_is_above_zero"),
            models.CheckConstraint(
                condition=Q(decided_at__isnull=True, decided_by="")
                | Q(decided_at__isnull=False, decided_by__startswith="user:") & ~Q(decided_by="user:"),
                name="found_refund_is_decided_by_a_person",
            ),
        ]
        permissions = [("book_found_refunds", "Can book refunds that were made at the PSP")]
        indexes = [
            models.Index(
                "id",
                condition=Q(decided_at__isnull=True) & ~Q(psp_status__in=["failed", "cancelled"]),
                name="found_refund_needs_a_person",
            ),
        ]

    def __str__(self) -> str:
        return f"refund {self.psp_id} found at the PSP"
