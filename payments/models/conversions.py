"""Conversions that are due: what was released to a seller who is paid in another currency."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ledger.models import Book
from payments.models.orders import PaymentOrder
from wallet.models import Quote


class OrderConversion(models.Model):
    """What became available of an order, to be changed into the seller's own currency. A due row until it is done.

    It waits while there is no rate. `amount_minor` is of the order's currency; `outcome` says why nothing was changed.
    """

    order = models.OneToOneField(PaymentOrder, models.PROTECT, primary_key=True, related_name="conversion")
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    amount_minor = models.BigIntegerField()
    due_at = models.DateTimeField(null=True)
    tries = models.IntegerField(db_default=0)
    quote = models.OneToOneField(Quote, models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=200, blank=True, db_default="")
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="converted_amount_is_above_zero"),
            models.CheckConstraint(
                condition=Q(due_at__isnull=False, done_at__isnull=True, quote__isnull=True)
                | Q(due_at__isnull=True, done_at__isnull=False),
                name="conversion_is_due_or_done",
            ),
        ]
        indexes = [models.Index("due_at", condition=Q(due_at__isnull=False), name="conversion_due")]

    def __str__(self) -> str:
        return f"conversion of order {self.order_id}"
