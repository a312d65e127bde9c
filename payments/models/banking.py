"""Payouts through the merchant's own bank: the account that pays, the file with the transfers, and each transfer.

A file is made once, with all its bytes, and never changed; a payout is in at most one file that was not withdrawn.
Every handing out is a row, so that two of the same file are seen. IBANs are sealed wherever they are kept.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django_fsm import FSMField, transition

from ledger.models import Book, Currency
from payments.models.banks import OwnBankAccount
from payments.models.machines import Machine
from payments.models.payouts import Payout, PayoutDestination


class BankFile(Machine):
    """A credit transfer file (ISO 20022 pain.001). Its public id is MsgId and PmtInfId."""

    class Status(models.TextChoices):
        REQUIRES_APPROVAL = "requires_approval"  # made; a second person has to agree
        READY = "ready"  # may be handed out
        HANDED_OUT = "handed_out"  # somebody has it: the bank may pay
        ANSWERED = "answered"  # the bank has said of every payout what became of it
        WITHDRAWN = "withdrawn"  # never handed out; its payouts go into another file

    INITIAL = (Status.REQUIRES_APPROVAL, Status.READY)
    LIVING = (Status.REQUIRES_APPROVAL, Status.READY)

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    bank_account = models.ForeignKey(OwnBankAccount, models.PROTECT, db_constraint=False, related_name="files")
    status = FSMField(choices=Status, default=Status.READY, protected=True, max_length=20)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    count = models.IntegerField()
    total_minor = models.BigIntegerField()
    execution_on = models.DateField()
    schema = models.CharField(max_length=15)
    content = models.BinaryField()  # sealed
    sha256 = models.BinaryField(max_length=32)  # of the bytes that are handed out
    made_by = models.CharField(max_length=128)
    made_at = models.DateTimeField()
    approved_by = models.CharField(max_length=128, null=True)  # noqa: DJ001 - NULL: nobody approved it (yet)
    approved_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [("handle_bank_files", "Can make, hand out and withdraw bank files, and read in reports")]
        constraints = [
            models.UniqueConstraint("id", "book", name="bank_file_belongs_to_one_book"),
            models.CheckConstraint(condition=Q(count__gt=0, total_minor__gt=0), name="bank_file_pays_something"),
            models.CheckConstraint(condition=Q(currency="EUR"), name="bank_file_is_in_euro"),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True, approved_at__isnull=True)
                | ~Q(approved_by=F("made_by")) & Q(approved_at__isnull=False),
                name="bank_file_is_approved_by_somebody_else",
            ),
        ]
        indexes = [models.Index("book", "id", name="bank_file_by_book")]

    def __str__(self) -> str:
        return f"bank file {self.public_id}"

    @transition("status", source=Status.REQUIRES_APPROVAL, target=Status.READY)
    def approve(self) -> None:
        """A second person agreed."""

    @transition("status", source=Status.READY, target=Status.HANDED_OUT)
    def hand_out(self) -> None:
        """Somebody took it: what it pays counts as sent."""

    @transition("status", source=[Status.REQUIRES_APPROVAL, Status.READY], target=Status.WITHDRAWN)
    def withdraw(self) -> None:
        """Nobody has it, and nobody will: its payouts wait for another file."""

    @transition("status", source=Status.HANDED_OUT, target=Status.ANSWERED)
    def answer(self) -> None:
        """Of every payout the bank said that it was booked or refused."""


class BankInstruction(models.Model):
    """One transfer of a file: the payout as the bank was told it, and what the bank said of it."""

    file = models.ForeignKey(BankFile, models.PROTECT, db_constraint=False, related_name="instructions")
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    payout = models.ForeignKey(Payout, models.PROTECT, db_constraint=False, related_name="instructions")
    destination = models.ForeignKey(PayoutDestination, models.PROTECT, db_constraint=False, db_index=False)
    end_to_end_id = models.CharField(max_length=35)
    amount_minor = models.BigIntegerField()
    withdrawn_at = models.DateTimeField(null=True)
    booked_on = models.DateField(null=True)
    booked_reference = models.CharField(max_length=100, blank=True, db_default="")
    returned_on = models.DateField(null=True)
    returned_reference = models.CharField(max_length=100, blank=True, db_default="")
    refused_on = models.DateField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "payout", condition=Q(withdrawn_at__isnull=True), name="payout_is_in_one_file_that_counts"
            ),
            models.UniqueConstraint(
                "book", "end_to_end_id", condition=Q(withdrawn_at__isnull=True), name="end_to_end_id_is_of_one_payout"
            ),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="instruction_amount_is_above_zero"),
            models.CheckConstraint(
                condition=Q(refused_on__isnull=True) | Q(booked_on__isnull=True),
                name="instruction_is_booked_or_refused",
            ),
            models.CheckConstraint(
                condition=Q(returned_on__isnull=True) | Q(booked_on__isnull=False),
                name="instruction_was_booked_before_it_returned",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True) | Q(booked_on__isnull=True, refused_on__isnull=True),
                name="withdrawn_instruction_has_no_outcome",
            ),
        ]

    def __str__(self) -> str:
        return self.end_to_end_id


class BankFileHandOut(models.Model):
    """Somebody got the bytes of a file. The second of the same file has the number 2."""

    file = models.ForeignKey(BankFile, models.PROTECT, db_index=False, related_name="hand_outs")
    number = models.SmallIntegerField()
    actor = models.CharField(max_length=128)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("file", "number", name="hand_out_has_its_number")]

    def __str__(self) -> str:
        return f"{self.file_id} no. {self.number} to {self.actor}"
