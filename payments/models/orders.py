"""A checkout (PaymentEvent), its parts per seller (PaymentOrder), and the objects at the PSP that pay them (Charge).

Transition bodies assign fields of `self` and nothing else. The flows lock, re-read, transition in memory and write
the whole batch with one conditional UPDATE; the database trigger checks the edge and writes the history.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django_fsm import FSMField, transition

from ledger.models import Book, Currency
from payments.models.buyers import Buyer
from payments.models.machines import Machine
from payments.models.parties import PspAccount, Seller


class PaymentEvent(models.Model):
    """One checkout: one buyer, one currency, 1..n orders. Its status is derived from its orders and charges."""

    class Status(models.TextChoices):
        REQUIRES_PAYMENT_METHOD = "requires_payment_method"
        PROCESSING = "processing"
        REQUIRES_ACTION = "requires_action"
        REQUIRES_CAPTURE = "requires_capture"
        SUCCEEDED = "succeeded"
        PARTIALLY_SUCCEEDED = "partially_succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"
        EXPIRED = "expired"

    class ChargeMode(models.TextChoices):
        SINGLE = "single"
        PER_ORDER = "per_order"

    class Capture(models.TextChoices):
        AUTOMATIC = "automatic"
        MANUAL = "manual"

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    checkout_id = models.CharField(max_length=255)
    fingerprint = models.BinaryField()
    status = models.CharField(max_length=23, choices=Status)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    amount_minor = models.BigIntegerField()
    charge_mode = models.CharField(max_length=9, choices=ChargeMode)
    capture = models.CharField(max_length=9, choices=Capture)
    buyer = models.JSONField()
    payment_method_types = ArrayField(models.CharField(max_length=10))
    return_url = models.CharField(max_length=2048, blank=True)
    metadata = models.JSONField()
    # A method saved for several charges (charge_mode per_order): the PSP's customer and reusable method.
    psp_customer = models.CharField(max_length=255, blank=True, db_default="")
    psp_saved_method = models.CharField(max_length=255, blank=True, db_default="")
    next_action = models.JSONField(null=True)
    version = models.IntegerField(db_default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    # When an unpaid checkout expires; NULL once it has ended or its expiry was set in motion.
    expiry_due_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "checkout_id", name="checkout_id_is_unique_in_its_book"),
            models.UniqueConstraint("id", "book", name="payment_event_belongs_to_one_book"),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payment_amount_is_above_zero"),
        ]
        indexes = [
            models.Index("book", "id", name="payment_event_by_book"),
            models.Index("expiry_due_at", condition=Q(expiry_due_at__isnull=False), name="payment_event_to_expire"),
        ]

    def __str__(self) -> str:
        return self.checkout_id


class Charge(Machine):
    """One object at the PSP that pays one or more orders of one checkout. It has one PSP object for life."""

    class Status(models.TextChoices):
        NEW = "NEW"
        REGISTERED = "REGISTERED"
        PROCESSING = "PROCESSING"
        REQUIRES_ACTION = "REQUIRES_ACTION"
        AUTHORIZED = "AUTHORIZED"
        SUCCEEDED = "SUCCEEDED"
        FAILED = "FAILED"  # declined; the same object can be tried again
        CANCELLED = "CANCELLED"
        LATE_SUCCESS = "LATE_SUCCESS"  # money arrived after the cancellation; it is refunded

    INITIAL = (Status.NEW,)
    OPEN = (Status.NEW, Status.REGISTERED, Status.PROCESSING, Status.REQUIRES_ACTION, Status.FAILED)

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    event = models.ForeignKey(PaymentEvent, models.PROTECT, db_constraint=False, related_name="charges")
    psp_account = models.ForeignKey(PspAccount, models.PROTECT, db_constraint=False, db_index=False)
    status = FSMField(choices=Status, default=Status.NEW, protected=True, max_length=20)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    amount_minor = models.BigIntegerField()
    captured_minor = models.BigIntegerField(db_default=0)
    psp_id = models.CharField(max_length=255, null=True)  # noqa: DJ001 - unique where it is known
    session_id = models.CharField(max_length=255, blank=True, db_default="")
    session_url = models.CharField(max_length=2048, blank=True, db_default="")
    cancel_reason = models.CharField(max_length=20, blank=True, db_default="")
    # The buyer whose stored value paid: there is no object at the PSP then.
    stored_value_of = models.ForeignKey(
        Buyer,
        models.PROTECT,
        to_field="public_id",
        db_column="stored_value_of",
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    next_action = models.JSONField(null=True)
    failure = models.JSONField(null=True)
    method_details = models.JSONField(null=True)
    created_at = models.DateTimeField()
    # A charge that waits on the PSP or the buyer is polled when no notification has come by then.
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(db_default=0)
    tries = models.IntegerField(db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint("psp_account", "psp_id", name="psp_object_pays_one_charge"),
            models.UniqueConstraint("id", "book", name="charge_belongs_to_one_book"),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0, captured_minor__gte=0, captured_minor__lte=F("amount_minor")),
                name="captured_is_within_charge_amount",
            ),
            models.CheckConstraint(
                condition=Q(stored_value_of__isnull=True) | Q(status="SUCCEEDED", psp_id__isnull=True, session_id=""),
                name="stored_value_pays_without_a_psp",
            ),
        ]
        indexes = [models.Index("due_at", condition=Q(due_at__isnull=False), name="charge_to_poll")]

    def __str__(self) -> str:
        return f"charge {self.public_id}"

    @transition("status", source=Status.NEW, target=Status.REGISTERED)
    def registered(self) -> None:
        """The PSP object exists; no money has moved."""

    @transition(
        "status",
        source=[Status.REGISTERED, Status.REQUIRES_ACTION, Status.FAILED],
        target=Status.PROCESSING,
    )
    def processing(self) -> None:
        """A payment is under way at the PSP."""
        self.failure = None
        self.next_action = None

    @transition(
        "status",
        source=[Status.REGISTERED, Status.PROCESSING, Status.FAILED],
        target=Status.REQUIRES_ACTION,
    )
    def requires_action(self) -> None:
        """The buyer must act."""
        self.failure = None

    @transition(
        "status",
        source=[Status.REGISTERED, Status.PROCESSING, Status.REQUIRES_ACTION, Status.FAILED],
        target=Status.AUTHORIZED,
    )
    def authorized(self) -> None:
        """The money is held and waits for capture."""
        self.failure = None
        self.next_action = None

    @transition(
        "status",
        source=[
            Status.REGISTERED,
            Status.PROCESSING,
            Status.REQUIRES_ACTION,
            Status.FAILED,
            Status.AUTHORIZED,
        ],
        target=Status.SUCCEEDED,
    )
    def succeeded(self, captured_minor: int) -> None:
        """The money was captured."""
        self.captured_minor = captured_minor
        self.failure = None
        self.next_action = None
        self.due_at = None

    @transition("status", source=Status.NEW, target=Status.SUCCEEDED)
    def paid_without_psp(self, method: dict[str, object]) -> None:
        """The whole amount was paid from stored value; no PSP knows of it."""
        self.captured_minor = self.amount_minor
        self.method_details = method

    @transition(
        "status",
        source=[Status.NEW, Status.REGISTERED, Status.PROCESSING, Status.REQUIRES_ACTION],
        target=Status.FAILED,
    )
    def failed(self, failure: dict[str, object]) -> None:
        """The PSP declined; the buyer may try again."""
        self.failure = failure
        self.next_action = None
        self.due_at = None

    @transition(
        "status",
        source=[
            Status.NEW,
            Status.REGISTERED,
            Status.PROCESSING,
            Status.REQUIRES_ACTION,
            Status.AUTHORIZED,
            Status.FAILED,
        ],
        target=Status.CANCELLED,
    )
    def cancelled(self) -> None:
        """The PSP confirmed that this object will take no money (or it never existed there)."""
        self.next_action = None
        self.due_at = None

    @transition("status", source=Status.CANCELLED, target=Status.LATE_SUCCESS)
    def succeeded_late(self, captured_minor: int) -> None:
        """Money arrived although the cancellation was confirmed."""
        self.captured_minor = captured_minor
        self.due_at = None


class PaymentOrder(Machine):
    """The part of a checkout that belongs to one seller."""

    class Status(models.TextChoices):
        NOT_STARTED = "NOT_STARTED"
        EXECUTING = "EXECUTING"
        AUTHORIZED = "AUTHORIZED"
        SUCCESS = "SUCCESS"
        FAILED = "FAILED"
        CANCELLED = "CANCELLED"
        EXPIRED = "EXPIRED"

    INITIAL = (Status.NOT_STARTED, Status.EXECUTING)

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    event = models.ForeignKey(PaymentEvent, models.PROTECT, db_constraint=False, db_index=False, related_name="orders")
    charge = models.ForeignKey(Charge, models.PROTECT, db_constraint=False, related_name="orders")
    seller = models.ForeignKey(Seller, models.PROTECT, db_constraint=False, db_index=False)
    position = models.SmallIntegerField()
    reference = models.CharField(max_length=255, blank=True)
    status = FSMField(choices=Status, default=Status.NOT_STARTED, protected=True, max_length=20)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    amount_minor = models.BigIntegerField()
    fee_minor = models.BigIntegerField()
    captured_minor = models.BigIntegerField(db_default=0)
    refunded_minor = models.BigIntegerField(db_default=0)
    # Of the refunded amount, what the platform gave back of its fee; and what open and lost disputes took.
    fee_refunded_minor = models.BigIntegerField(db_default=0)
    disputed_minor = models.BigIntegerField(db_default=0)
    # Of the disputed amount, what the platform bears by its fee.
    fee_disputed_minor = models.BigIntegerField(db_default=0)
    # What of this order is in the seller's pending account: all such parts together are that account's balance.
    pending_minor = models.BigIntegerField(db_default=0)
    capture_requested_minor = models.BigIntegerField(null=True)
    # The buyer who pays in: the money becomes stored value, not a sale of the house seller.
    top_up_of = models.ForeignKey(
        Buyer,
        models.PROTECT,
        to_field="public_id",
        db_column="top_up_of",
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    description = models.CharField(max_length=500, blank=True)
    metadata = models.JSONField()
    failure = models.JSONField(null=True)
    method_details = models.JSONField(null=True)
    ledger_updated = models.BooleanField(db_default=False)
    wallet_updated = models.BooleanField(db_default=False)
    delivered_at = models.DateTimeField(null=True)
    succeeded_at = models.DateTimeField(null=True)
    # When the seller's share becomes available: due from then on, released once.
    release_due_at = models.DateTimeField(null=True)
    released_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint("event", "position", name="order_position_is_unique_in_its_payment"),
            models.UniqueConstraint("id", "book", name="payment_order_belongs_to_one_book"),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="order_amount_is_above_zero"),
            models.CheckConstraint(
                condition=Q(fee_minor__gte=0, fee_minor__lte=F("amount_minor")),
                name="fee_is_within_order_amount",
            ),
            models.CheckConstraint(
                condition=Q(captured_minor__gte=0, captured_minor__lte=F("amount_minor")),
                name="captured_is_within_order_amount",
            ),
            models.CheckConstraint(
                condition=Q(refunded_minor__gte=0, refunded_minor__lte=F("captured_minor")),
                name="refund_total_within_capture",
            ),
            models.CheckConstraint(
                condition=Q(fee_refunded_minor__gte=0, fee_refunded_minor__lte=F("fee_minor")),
                name="fee_refunded_is_within_fee",
            ),
            models.CheckConstraint(
                condition=Q(pending_minor=0)
                | Q(pending_minor__gt=0, pending_minor__lte=F("captured_minor") - F("fee_minor")),
                name="pending_is_within_the_sellers_share",
            ),
            models.CheckConstraint(
                condition=Q(top_up_of__isnull=True) | Q(fee_minor=0, pending_minor=0, refunded_minor=0),
                name="top_up_is_no_sale",
            ),
            models.CheckConstraint(condition=Q(disputed_minor__gte=0), name="disputed_is_not_negative"),
            models.CheckConstraint(
                condition=Q(fee_disputed_minor__gte=0, fee_disputed_minor__lte=F("fee_minor")),
                name="fee_disputed_is_within_fee",
            ),
            models.CheckConstraint(
                condition=Q(released_at__isnull=True) | Q(pending_minor=0, release_due_at__isnull=True),
                name="released_order_has_nothing_pending",
            ),
            models.CheckConstraint(
                condition=Q(status="SUCCESS", captured_minor__gt=0) | ~Q(status="SUCCESS"),
                name="success_means_captured",
            ),
            models.CheckConstraint(
                condition=Q(ledger_updated=F("wallet_updated")), name="wallet_and_ledger_move_together"
            ),
        ]
        indexes = [
            models.Index("book", "id", name="payment_order_by_book"),
            models.Index("book", "reference", name="payment_order_by_reference"),
            models.Index("seller", "id", name="payment_order_by_seller"),
            models.Index("release_due_at", condition=Q(release_due_at__isnull=False), name="payment_order_to_release"),
        ]

    def __str__(self) -> str:
        return f"order {self.public_id}"

    @transition("status", source=[Status.NOT_STARTED, Status.FAILED], target=Status.EXECUTING)
    def executing(self) -> None:
        """A payment was started."""
        self.failure = None

    @transition("status", source=[Status.EXECUTING, Status.NOT_STARTED, Status.FAILED], target=Status.AUTHORIZED)
    def authorized(self) -> None:
        """The money is held and waits for capture."""
        self.failure = None

    @transition(
        "status",
        source=[Status.EXECUTING, Status.NOT_STARTED, Status.FAILED, Status.AUTHORIZED],
        target=Status.SUCCESS,
    )
    def succeeded(self, captured_minor: int, at: datetime) -> None:
        """The money of this order was captured; books and wallet move in the same database transaction."""
        self.captured_minor = captured_minor
        self.pending_minor = captured_minor - self.fee_minor
        self.failure = None
        self.succeeded_at = at
        self.ledger_updated = True
        self.wallet_updated = True

    @transition("status", source=[Status.EXECUTING, Status.NOT_STARTED], target=Status.FAILED)
    def failed(self, failure: dict[str, object]) -> None:
        """The PSP declined; the buyer may try again."""
        self.failure = failure

    @transition(
        "status",
        source=[Status.NOT_STARTED, Status.EXECUTING, Status.AUTHORIZED, Status.FAILED],
        target=Status.CANCELLED,
    )
    def cancelled(self) -> None:
        """The PSP confirmed that no money will come."""

    @transition(
        "status",
        source=[Status.NOT_STARTED, Status.EXECUTING, Status.AUTHORIZED, Status.FAILED],
        target=Status.EXPIRED,
    )
    def expired(self) -> None:
        """The time for paying is over, and the PSP confirmed that no money will come."""
