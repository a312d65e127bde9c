"""Payout: money that leaves a seller's wallet for a bank account, with the account, its approval, and what it pays.

It goes through a PSP or through a bank account of the merchant's own, one of the two, and keeps its way.

A destination is never changed: another account is another row, so that an approval, a payout and a payee at the PSP
always mean the account that they were made for. Bank details are sealed; only a mask and a blind index are readable.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django_fsm import FSMField, transition

from ledger.models import Book, Currency
from payments.models.banks import OwnBankAccount
from payments.models.machines import Machine
from payments.models.parties import PspAccount, Seller


class PayoutDestination(models.Model):
    """A seller's bank account in one currency. The one that is not superseded is paid to."""

    class Type(models.TextChoices):
        IBAN = "iban"
        US_BANK = "us_bank"
        GB_BANK = "gb_bank"

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    seller = models.ForeignKey(Seller, models.PROTECT, db_index=False, related_name="destinations")
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    type = models.CharField(max_length=10, choices=Type)
    country = models.CharField(max_length=2)
    details = models.BinaryField()
    masked = models.CharField(max_length=40)
    blind_index = models.BinaryField(max_length=32)
    set_by = models.CharField(max_length=128)
    created_at = models.DateTimeField()
    usable_at = models.DateTimeField()
    superseded_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("id", "book", name="destination_belongs_to_one_book"),
            models.UniqueConstraint(
                "seller",
                "currency",
                condition=Q(superseded_at__isnull=True),
                name="seller_has_one_destination_per_currency",
            ),
        ]
        indexes = [models.Index("book", "blind_index", name="destination_by_account")]

    def __str__(self) -> str:
        return f"{self.type} {self.masked}"


class Payee(models.Model):
    """What a PSP knows a destination as (Stripe: a connected account). The row exists from the decision to make it."""

    destination = models.ForeignKey(PayoutDestination, models.PROTECT, db_index=False, related_name="payees")
    psp_account = models.ForeignKey(PspAccount, models.PROTECT, db_constraint=False, db_index=False)
    psp_id = models.CharField(max_length=255, blank=True, db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint("destination", "psp_account", name="destination_has_one_payee_at_a_psp_account"),
        ]

    def __str__(self) -> str:
        return self.psp_id or "being made"


def _by_bank(row: models.Model) -> bool:
    assert isinstance(row, Payout)
    return row.bank_account_id is not None


def _by_psp(row: models.Model) -> bool:
    return not _by_bank(row)


class Payout(Machine):
    """Money set aside to leave a wallet. Its status alone says where the money is (docs/reference/payouts.md)."""

    class Status(models.TextChoices):
        REQUIRES_APPROVAL = "requires_approval"  # set aside; a second person has to agree
        PENDING = "pending"  # set aside; nothing has left
        SENT = "sent"  # at the PSP or with our bank, on its way
        PAID = "paid"  # the PSP says that the bank has it; our bank booked it
        FAILED = "failed"  # at the PSP, being fetched back
        RETURNED = "returned"  # in the wallet again
        CANCELLED = "cancelled"  # in the wallet again; it never left

    INITIAL = (Status.REQUIRES_APPROVAL, Status.PENDING)
    SET_ASIDE = (Status.REQUIRES_APPROVAL, Status.PENDING)
    AT_THE_PSP = (Status.SENT, Status.FAILED)

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    seller = models.ForeignKey(Seller, models.PROTECT, db_index=False, related_name="payouts")
    destination = models.ForeignKey(PayoutDestination, models.PROTECT, related_name="payouts")
    psp_account = models.ForeignKey(PspAccount, models.PROTECT, null=True, db_constraint=False, db_index=False)
    bank_account = models.ForeignKey(OwnBankAccount, models.PROTECT, null=True, db_constraint=False, db_index=False)
    status = FSMField(choices=Status, default=Status.PENDING, protected=True, max_length=20)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    amount_minor = models.BigIntegerField()
    reference = models.CharField(max_length=255, null=True)  # noqa: DJ001 - unique where it is given
    requested_by = models.CharField(max_length=128)
    approved_by = models.CharField(max_length=128, null=True)  # noqa: DJ001 - NULL: nobody approved it (yet)
    # Why a pending payout is not on its way: funding, seller, stopped, payee, file. Empty: it is.
    waiting_for = models.CharField(max_length=20, blank=True, db_default="")
    failure = models.JSONField(null=True)
    transfer_psp_id = models.CharField(max_length=255, blank=True, db_default="")
    psp_id = models.CharField(max_length=255, null=True)  # noqa: DJ001 - unique where it is known
    version = models.IntegerField(db_default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True)
    # Pending: when it may be funded. Sent and paid: when the PSP is asked, if no notification came by then.
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(db_default=0)
    tries = models.IntegerField(db_default=0)

    class Meta:
        permissions = [("approve_payouts", "Can approve payouts that somebody else asked for")]
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payout_amount_is_above_zero"),
            models.UniqueConstraint("book", "reference", name="payout_reference_is_unique_in_its_book"),
            models.UniqueConstraint("psp_account", "psp_id", name="psp_payout_pays_one_payout"),
            models.UniqueConstraint("id", "book", name="payout_belongs_to_one_book"),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("requested_by")),
                name="payout_is_approved_by_somebody_else",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["sent", "paid", "failed", "returned"])
                | ~Q(transfer_psp_id="")
                | Q(bank_account__isnull=False),
                name="payout_that_left_has_its_transfer",
            ),
            models.CheckConstraint(
                condition=Q(psp_account__isnull=True) ^ Q(bank_account__isnull=True),
                name="payout_goes_through_a_psp_or_a_bank",
            ),
            # Nothing of the PSP's is done about it: no funding, no transfer, no question.
            models.CheckConstraint(
                condition=Q(bank_account__isnull=True)
                | Q(due_at__isnull=True, transfer_psp_id="", psp_id__isnull=True) & ~Q(status="failed"),
                name="bank_payout_is_not_for_the_psp",
            ),
            models.CheckConstraint(
                condition=~Q(status="cancelled") | Q(transfer_psp_id=""), name="cancelled_payout_had_no_transfer"
            ),
            models.CheckConstraint(
                condition=~Q(status="paid") | Q(paid_at__isnull=False), name="paid_payout_has_its_time"
            ),
        ]
        indexes = [
            models.Index(
                "bank_account",
                "id",
                condition=Q(bank_account__isnull=False, status__in=["pending", "sent"]),
                name="payout_of_the_bank",
            ),
            models.Index("book", "id", name="payout_by_book"),
            models.Index("seller", "id", name="payout_by_seller"),
            models.Index("due_at", condition=Q(due_at__isnull=False), name="payout_due"),
            models.Index("id", condition=Q(status="requires_approval"), name="payout_to_approve"),
        ]

    def __str__(self) -> str:
        return f"payout {self.public_id}"

    @property
    def psp(self) -> PspAccount:
        """Return the PSP account that it goes through; only of a payout that goes through one."""
        account: PspAccount | None = self.psp_account
        assert account is not None, "this payout goes through a bank"
        return account

    @transition("status", source=Status.REQUIRES_APPROVAL, target=Status.PENDING)
    def approve(self) -> None:
        """A second person agreed."""

    @transition("status", source=Status.PENDING, target=Status.REQUIRES_APPROVAL)
    def void_approval(self) -> None:
        """The seller's bank account changed after the approval: it has to be given again."""
        self.approved_by = None

    @transition("status", source=Status.PENDING, target=Status.SENT)
    def send(self) -> None:
        """The transfer to the payee was made, or the bank file handed out: the money may have left."""

    @transition("status", source=Status.SENT, target=Status.PAID)
    def pay(self) -> None:
        """The PSP says that it was paid, or our bank has booked it."""

    @transition("status", source=Status.SENT, target=Status.CANCELLED, conditions=[_by_bank])
    def refuse(self) -> None:
        """Our bank refused the transfer: the money never left, and the wallet has it again."""

    @transition("status", source=Status.PAID, target=Status.RETURNED, conditions=[_by_bank])
    def bounce(self) -> None:
        """The transfer came back to our bank: the wallet has the money again."""

    @transition("status", source=[Status.SENT, Status.PAID], target=Status.FAILED, conditions=[_by_psp])
    def fail(self) -> None:
        """The bank did not take it, or gave it back: the money is at the PSP and is fetched back."""

    @transition("status", source=Status.FAILED, target=Status.RETURNED)
    def give_back(self) -> None:
        """The transfer was reversed: the wallet has the money again."""

    @transition("status", source=[Status.REQUIRES_APPROVAL, Status.PENDING], target=Status.CANCELLED)
    def cancel(self) -> None:
        """Nothing left, and nothing will: the wallet has the money again."""


class PayoutAllocation(models.Model):
    """What a payout pays: a part of one credit of the seller's available account, oldest credits first.

    Credits and debits of the account are two axes from zero. A payout's debit is one stretch of the debit axis; the
    credits that lie on the same stretch of the credit axis are what it pays. Written by `payments_allocate_payouts`
    only, in the transaction of the reservation.
    """

    payout = models.ForeignKey(Payout, models.PROTECT, related_name="allocations")
    account_id = models.BigIntegerField()
    entry_id = models.BigIntegerField()
    entry_version = models.BigIntegerField()
    position_minor = models.BigIntegerField()  # where the part begins on the account's axis
    offset_minor = models.BigIntegerField()  # how much of the credit lies before the part
    amount_minor = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0, offset_minor__gte=0), name="allocation_amount_is_above_zero"
            ),
            models.UniqueConstraint("account_id", "position_minor", name="allocation_takes_its_own_stretch"),
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} of entry {self.entry_id}"


class PspFunding(models.Model):
    """What a PSP account proved to have in one currency when it was last asked; the row is leased for the question."""

    psp_account = models.ForeignKey(PspAccount, models.PROTECT, db_constraint=False, db_index=False)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    available_minor = models.BigIntegerField(null=True)
    asked_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)  # not before; after a question without an answer
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(db_default=0)
    tries = models.IntegerField(db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint("psp_account", "currency", name="funding_is_one_per_psp_account_and_currency"),
        ]

    def __str__(self) -> str:
        return f"{self.psp_account_id} {self.currency_id}"
