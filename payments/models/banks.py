"""A bank account of the merchant's own: what its books call `bank:{name}:{currency}`, and what bank files pay from."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ledger.models import Book, Currency


class OwnBankAccount(models.Model):
    """An account at a bank. Its IBAN is sealed and never changes: another IBAN is another row, with another name."""

    class Schema(models.TextChoices):
        V3 = "pain.001.001.03"
        V9 = "pain.001.001.09"

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    name = models.CharField(max_length=32)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    holder = models.CharField(max_length=70)
    bic = models.CharField(max_length=11, blank=True, db_default="")
    details = models.BinaryField()  # sealed
    masked = models.CharField(max_length=40)
    blind_index = models.BinaryField(max_length=32)
    schema = models.CharField(max_length=15, choices=Schema, default=Schema.V9)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "name", "currency", name="own_bank_account_name_is_unique_in_its_book"),
            models.UniqueConstraint("book", "blind_index", "currency", name="own_bank_account_is_one_per_iban"),
            models.UniqueConstraint("id", "book", name="own_bank_account_belongs_to_one_book"),
            models.UniqueConstraint(
                "book",
                "currency",
                condition=Q(closed_at__isnull=True),
                name="one_bank_account_pays_in_a_currency",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.masked}"
