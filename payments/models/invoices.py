"""Invoices: what the platform bills a seller for a month, with value added tax. Issued once, never changed."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from ledger.models import Book, Currency
from payments.models.parties import Seller


class BillingProfile(models.Model):
    """Who bills: the platform as its invoices name it, the next number, and up to which month all is billed."""

    book = models.OneToOneField(Book, models.PROTECT, primary_key=True)
    name = models.CharField(max_length=200)
    address = models.CharField(max_length=500)
    country = models.CharField(max_length=2)
    vat_id = models.CharField(max_length=20, blank=True)
    prefix = models.CharField(max_length=12, default="INV-")
    next_number = models.IntegerField(default=1)
    issued_until = models.DateField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(next_number__gte=1), name="invoice_numbers_count_from_one"),
            models.CheckConstraint(
                condition=Q(issued_until__isnull=True) | Q(issued_until__day=1), name="invoices_are_of_whole_months"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class VatRate(models.Model):
    """The tax on the platform's fee to sellers of a country, from a day on. Zero says in its note why."""

    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    country = models.CharField(max_length=2)
    valid_from = models.DateField()
    basis_points = models.SmallIntegerField()
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "country", "valid_from", name="vat_rate_is_one_per_country_and_day"),
            models.CheckConstraint(
                condition=Q(basis_points__gt=0, basis_points__lte=5000) | Q(basis_points=0) & ~Q(note=""),
                name="vat_rate_is_sane_and_zero_is_explained",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.basis_points / 100} % from {self.valid_from}"


class Invoice(models.Model):
    """What a seller was billed for a month in one currency. The fees were kept already: nothing is to be paid.

    Amounts in minor units. `gross_minor` is what the books say the platform kept; the tax in it is worked out from it.
    It is below zero (a credit note) in a month in which more was given back than taken. `lines` say by kind of movement
    how many there were and what they come to.
    """

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    number = models.CharField(max_length=24)
    seller = models.ForeignKey(Seller, models.PROTECT, db_index=False)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    month = models.DateField()
    gross_minor = models.BigIntegerField()
    net_minor = models.BigIntegerField()
    vat_minor = models.BigIntegerField()
    vat_basis_points = models.SmallIntegerField()
    lines = models.JSONField()
    # As they were on the day of issue: names and addresses change.
    issuer = models.JSONField()
    recipient = models.JSONField()
    issued_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "number", name="invoice_number_is_unique_in_its_book"),
            models.UniqueConstraint("book", "seller", "currency", "month", name="a_month_is_billed_once"),
            models.CheckConstraint(
                condition=Q(gross_minor=F("net_minor") + F("vat_minor")) & ~Q(gross_minor=0), name="invoice_adds_up"
            ),
            models.CheckConstraint(condition=Q(month__day=1), name="invoice_is_of_a_whole_month"),
        ]
        indexes = [models.Index("book", "id", name="invoice_by_book")]

    def __str__(self) -> str:
        return self.number
