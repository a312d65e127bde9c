"""Buyer: who keeps stored value with a merchant, and the id of ours that the books know."""

from __future__ import annotations

from django.db import models

from ledger.models import Book


class Buyer(models.Model):
    """A buyer who has or had stored value. Codes of accounts are kept for ever, so the merchant's id stays here."""

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    external_id = models.CharField(max_length=255)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "external_id", name="buyer_external_id_is_unique_in_its_book"),
            models.UniqueConstraint("public_id", "book", name="buyer_belongs_to_one_book"),
        ]

    def __str__(self) -> str:
        return f"buyer {self.public_id}"
