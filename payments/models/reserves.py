"""ReserveHold: a share of a release that is held back for a while (the rolling reserve of a seller)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ledger.models import Book, Currency
from payments.models.orders import PaymentOrder
from payments.models.parties import Seller


class ReserveHold(models.Model):
    """What was held back of one order's release. Due when its time is over, freed once."""

    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    seller = models.ForeignKey(Seller, models.PROTECT, db_constraint=False)
    order = models.OneToOneField(PaymentOrder, models.PROTECT, db_constraint=False, related_name="reserve_hold")
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    amount_minor = models.BigIntegerField()
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    freed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="reserve_amount_is_above_zero"),
            models.CheckConstraint(
                condition=Q(due_at__isnull=False, freed_at__isnull=True)
                | Q(due_at__isnull=True, freed_at__isnull=False),
                name="reserve_is_held_or_freed",
            ),
        ]
        indexes = [models.Index("due_at", condition=Q(due_at__isnull=False), name="reserve_to_free")]

    def __str__(self) -> str:
        return f"reserve of order {self.order_id}"
