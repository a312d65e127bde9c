"""PspOperation: one call to a PSP that moves money, committed before it is made; its id is the idempotency key."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ledger.models import Book
from payments.models.disputes import Dispute
from payments.models.orders import Charge, PaymentEvent
from payments.models.parties import PspAccount
from payments.models.payouts import Payout
from payments.models.refunds import Refund


class PspOperation(models.Model):
    """A call that was decided. A row with `due_at` is work; a row without waits for another one, or has ended."""

    class Kind(models.TextChoices):
        SAVE_METHOD = "save_method"
        REGISTER = "register"
        HOSTED_SESSION = "hosted_session"
        CONFIRM = "confirm"
        CAPTURE = "capture"
        CANCEL = "cancel"
        REFUND = "refund"
        CREATE_PAYEE = "create_payee"
        TRANSFER = "transfer"
        PAYOUT = "payout"
        REVERSE_TRANSFER = "reverse_transfer"
        CANCEL_PAYOUT = "cancel_payout"
        SUBMIT_EVIDENCE = "submit_evidence"
        ACCEPT_DISPUTE = "accept_dispute"

    class State(models.TextChoices):
        PREPARED = "PREPARED"  # never sent, or proven not executed
        SENT = "SENT"  # handed to the wire; a crash now leaves it unknown
        UNKNOWN = "UNKNOWN"  # the answer was lost: ask before anything else
        DONE = "DONE"
        DEAD = "DEAD"  # out of tries: a person decides

    class Lane(models.IntegerChoices):
        LIVE = 0
        REFUNDS = 1
        TRANSFERS = 2

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    psp_account = models.ForeignKey(PspAccount, models.PROTECT, db_constraint=False, db_index=False)
    kind = models.CharField(max_length=20, choices=Kind)
    lane = models.SmallIntegerField(choices=Lane, db_default=0)
    # About a payment, or about a payout: exactly one of the two.
    event = models.ForeignKey(PaymentEvent, models.PROTECT, null=True, db_constraint=False, related_name="operations")
    payout = models.ForeignKey(Payout, models.PROTECT, null=True, db_index=False, related_name="operations")
    charge = models.ForeignKey(Charge, models.PROTECT, null=True, related_name="operations")
    refund = models.ForeignKey(Refund, models.PROTECT, null=True, db_index=False, related_name="operations")
    dispute = models.ForeignKey(Dispute, models.PROTECT, null=True, db_index=False, related_name="operations")
    amount_minor = models.BigIntegerField(db_default=0)
    parameters = models.JSONField()
    state = models.CharField(max_length=8, choices=State, db_default="PREPARED")
    outcome = models.CharField(max_length=15, blank=True, db_default="")
    key_generation = models.SmallIntegerField(db_default=0)
    error_code = models.CharField(max_length=64, blank=True, db_default="")
    error_message = models.CharField(max_length=500, blank=True, db_default="")
    psp_request_id = models.CharField(max_length=255, blank=True, db_default="")
    created_at = models.DateTimeField()
    first_sent_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(db_default=0)
    tries = models.IntegerField(db_default=0)
    dead_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "charge",
                "kind",
                condition=Q(closed_at__isnull=True) & ~Q(kind="refund"),
                name="one_open_operation_per_charge_and_kind",
            ),
            models.CheckConstraint(
                condition=Q(event__isnull=False, payout__isnull=True)
                | Q(event__isnull=True, payout__isnull=False, charge__isnull=True, refund__isnull=True),
                name="operation_is_about_a_payment_or_a_payout",
            ),
            # A payout is transferred and paid once: a second try only after a proven no.
            models.UniqueConstraint(
                "payout",
                "kind",
                condition=Q(payout__isnull=False)
                & (Q(closed_at__isnull=True) | Q(outcome__in=["succeeded", "pending"])),
                name="one_operation_per_payout_and_kind",
            ),
            models.UniqueConstraint(
                "event",
                condition=Q(closed_at__isnull=True, kind="save_method"),
                name="one_open_save_method_per_payment",
            ),
            models.UniqueConstraint(
                "dispute",
                condition=Q(closed_at__isnull=True, kind__in=["submit_evidence", "accept_dispute"]),
                name="one_open_answer_per_dispute",
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True) | Q(due_at__isnull=True),
                name="closed_operation_is_not_due",
            ),
            models.CheckConstraint(
                condition=Q(state="DONE", closed_at__isnull=False) & ~Q(outcome="")
                | Q(state="DEAD", dead_at__isnull=False)
                | Q(state__in=["PREPARED", "SENT", "UNKNOWN"], closed_at__isnull=True, dead_at__isnull=True),
                name="operation_state_matches_its_times",
            ),
        ]
        indexes = [models.Index("lane", "due_at", condition=Q(due_at__isnull=False), name="operation_due")]

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}"

    @property
    def idempotency_key(self) -> str:
        """Return the key sent to the PSP. A new generation only after the PSP stored an error under the old key."""
        return f"{self.public_id}-{self.key_generation}" if self.key_generation else str(self.public_id)

    @property
    def payment_id(self) -> int:
        """Return the key of the checkout that this operation is about; one about a payout has none."""
        assert self.event_id is not None, "an operation about a payout is settled by payout_settlement"
        return self.event_id

    @property
    def currency(self) -> str:
        """Return the currency of what the operation is about; that row must be loaded."""
        about = self.event if self.event is not None else self.payout
        assert about is not None
        return about.currency_id
