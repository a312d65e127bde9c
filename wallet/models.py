"""Wallet: a seller's money in one currency. It stores no amount: its ledger accounts have the balances."""

from django.db import models
from django.db.models.functions import Now

from ledger.models import Book, Currency


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
