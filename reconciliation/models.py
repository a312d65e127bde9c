"""What the outside world says (sources, files, lines), what we expect of it (items), and where the two differ (breaks).

Lines and items are written once and never changed: what becomes of them stands in tables beside them. A match pairs
lines with items; a break is a difference that somebody or something must resolve. A run is one look at one source on
one day, with its identities and its verdict.

Amounts are minor units, signed as they change the balance at the PSP or the bank: what comes to us is positive.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from ledger.models import Book, Currency, Transaction
from payments.models import PspAccount


class Flow(models.TextChoices):
    """What moved money, in our words; a mapper translates the words of its format into these."""

    CHARGE = "charge"
    REFUND = "refund"
    REFUND_FAILURE = "refund_failure"
    DISPUTE = "dispute"
    DISPUTE_REVERSAL = "dispute_reversal"
    TRANSFER = "transfer"  # to a seller's connected account
    TRANSFER_REVERSAL = "transfer_reversal"
    FEE = "fee"  # standing alone: of the PSP, or of the bank
    RESERVE = "reserve"  # held back or freed by the PSP
    PAYOUT = "payout"  # of a PSP: to our bank account
    PAYOUT_REVERSAL = "payout_reversal"
    TOP_UP = "top_up"
    CONVERSION = "conversion"
    CREDIT = "credit"  # a bank statement's entry in our favour
    DEBIT = "debit"  # one against us
    RETURN = "return"  # of a credit transfer of ours
    INTEREST = "interest"
    OTHER = "other"  # a category that the mapper does not know


class Source(models.Model):
    """An account of a book somewhere outside whose statements we read: at a PSP, or at a bank."""

    class Side(models.TextChoices):
        PSP = "psp"
        BANK = "bank"

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    code = models.CharField(max_length=64)
    side = models.CharField(max_length=4, choices=Side)
    psp_account = models.OneToOneField(PspAccount, models.PROTECT, null=True, db_constraint=False)
    # Of a bank: the name in the chart of accounts (`bank:{name}`), and the account as its statements write it.
    bank_name = models.CharField(max_length=32, blank=True, db_default="", default="")
    account = models.CharField(max_length=64, blank=True, db_default="", default="")
    # Of a bank: the currencies whose PSP payouts arrive here; none named: all.
    currencies = ArrayField(models.CharField(max_length=3), default=list, db_default=[])
    # Where its files are looked for every night (an fsspec URL), and their format.
    location = models.CharField(max_length=500, blank=True, db_default="", default="")
    format = models.CharField(max_length=32, blank=True, db_default="", default="")
    # Columns of a declared CSV format (reconciliation/formats/columns.py).
    columns = models.JSONField(default=dict, db_default={})
    # What the PSP charges by contract, by currency: {"EUR": {"basis_points": 150, "fixed_minor": 25}}; empty: unknown.
    fee_schedule = models.JSONField(default=dict, db_default={})
    # Nothing before this day is expected or matched.
    starts_on = models.DateField()
    # How many business days may pass until what we did must stand in a statement.
    grace_days = models.SmallIntegerField(db_default=3, default=3)
    active = models.BooleanField(db_default=True, default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "code", name="source_code_is_unique_in_its_book"),
            models.UniqueConstraint("id", "book", name="source_belongs_to_one_book"),
            models.CheckConstraint(
                condition=Q(side="psp", psp_account__isnull=False, bank_name="")
                | Q(side="bank", psp_account__isnull=True) & ~Q(bank_name="") & ~Q(account=""),
                name="source_is_a_psp_account_or_a_bank_account",
            ),
            models.CheckConstraint(condition=Q(grace_days__gte=0, grace_days__lte=60), name="grace_is_0_to_60_days"),
        ]

    def __str__(self) -> str:
        return self.code


class SettlementFile(models.Model):
    """A statement that was received: a PSP's report, a bank's, or one fetch from a PSP's API. Never changed afterwards,
    but for `superseded_by`.

    `identity` is what the statement is, whatever its bytes (statement id, account and dates; batch number): the same
    identity with other bytes is a revision. A bad file is kept as `quarantined` with all its errors and no line.
    """

    class State(models.TextChoices):
        INGESTED = "ingested"
        QUARANTINED = "quarantined"

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    source = models.ForeignKey(Source, models.PROTECT, db_index=False, related_name="files")
    format = models.CharField(max_length=32)
    name = models.CharField(max_length=255, blank=True)
    sha256 = models.BinaryField()
    size = models.BigIntegerField()
    state = models.CharField(max_length=11, choices=State)
    identity = models.CharField(max_length=255, blank=True, db_default="", default="")
    first_day = models.DateField(null=True)
    last_day = models.DateField(null=True)
    # Every line is one of three: new, known from another file, or changed by this revision.
    line_count = models.IntegerField(db_default=0, default=0)
    new_count = models.IntegerField(db_default=0, default=0)
    known_count = models.IntegerField(db_default=0, default=0)
    changed_count = models.IntegerField(db_default=0, default=0)
    # Lines of an earlier version that this revision leaves out: they got a last revision of no amount.
    withdrawn_count = models.IntegerField(db_default=0, default=0)
    # What the statement declares, by currency: {"EUR": {"opening": 0, "closing": 0, "net": 0, "count": 0}}.
    declared = models.JSONField(default=dict, db_default={})
    # [{"line": 3, "column": "gross", "code": "invalid_amount", "detail": "..."}], the first thousand.
    errors = models.JSONField(default=list, db_default=[])
    revises = models.ForeignKey("self", models.PROTECT, null=True, related_name="revisions")
    received_at = models.DateTimeField()
    received_from = models.CharField(max_length=128)  # an actor: `key:...`, `user:...`, `fetch`

    class Meta:
        constraints = [
            # A quarantined file may be read again: once its day has come, or its columns are declared.
            models.UniqueConstraint(
                "source", "format", "sha256", condition=Q(state="ingested"), name="a_file_is_ingested_once"
            ),
            models.UniqueConstraint("id", "source", name="file_belongs_to_one_source"),
            models.CheckConstraint(
                condition=Q(line_count=F("new_count") + F("known_count") + F("changed_count")),
                name="every_line_of_a_file_is_accounted_for",
            ),
            models.CheckConstraint(
                condition=Q(state="ingested", errors=[]) | Q(state="quarantined", line_count=0) & ~Q(errors=[]),
                name="a_quarantined_file_has_errors_and_no_lines",
            ),
        ]
        indexes = [
            models.Index("book", "id", name="settlement_file_by_book"),
            models.Index("source", "identity", name="settlement_file_by_identity"),
        ]

    def __str__(self) -> str:
        return self.name or f"file {self.pk}"


class StatementLine(models.Model):
    """One line of a statement, in our words. Never changed; a revision of it is a line of its own that replaces it.

    `key` is the line's identity at its source: the bank's or PSP's own id, or a fingerprint of its content with the
    count of its twins on that day. `reference` is the PSP's id of what moved, by which it is matched.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, models.PROTECT, db_constraint=False, db_index=False)
    file = models.ForeignKey(SettlementFile, models.PROTECT, db_constraint=False, db_index=False)
    number = models.IntegerField()  # of the line in its file, from 1
    key = models.CharField(max_length=128)
    revision = models.SmallIntegerField(db_default=0, default=0)
    flow = models.CharField(max_length=17, choices=Flow)
    category = models.CharField(max_length=64)  # as the statement calls it
    currency = models.CharField(max_length=3)
    gross_minor = models.BigIntegerField()
    fee_minor = models.BigIntegerField(db_default=0, default=0)
    booked_on = models.DateField()
    occurred_at = models.DateTimeField(null=True)
    available_on = models.DateField(null=True)
    reference = models.CharField(max_length=255, blank=True, db_default="", default="")
    charge_reference = models.CharField(max_length=255, blank=True, db_default="", default="")
    # The payout of the PSP that a line belongs to; of a bank line, the batch (PmtInfId).
    batch = models.CharField(max_length=255, blank=True, db_default="", default="")
    # What we wrote on it ourselves: an id of ours in the metadata, the end-to-end id of a transfer.
    own_reference = models.CharField(max_length=255, blank=True, db_default="", default="")
    # What the buyer was charged, when it is another currency than the one that is settled.
    paid_currency = models.CharField(max_length=3, blank=True, db_default="", default="")
    paid_minor = models.BigIntegerField(null=True)
    counterparty = models.CharField(max_length=64, blank=True, db_default="", default="")  # keyed digest of an account
    text = models.CharField(max_length=500, blank=True, db_default="", default="")

    class Meta:
        constraints = [
            models.UniqueConstraint("source", "key", "revision", name="a_line_is_kept_once"),
        ]
        indexes = [
            models.Index("source", "batch", condition=~Q(batch=""), name="line_by_batch"),
            # Sales are matched by hash, a day at once; only what is rare is looked up by its object.
            models.Index("source", "reference", condition=~Q(flow="charge"), name="line_by_reference"),
            models.Index(
                "source", "charge_reference", condition=Q(flow__in=["refund", "refund_failure"]), name="line_of_refund"
            ),
            models.Index("source", "key", condition=Q(revision__gt=0), name="line_revised"),
        ]

    def __str__(self) -> str:
        return f"{self.category} {self.reference or self.key}"


class Item(models.Model):
    """Something that we did or heard of, and so expect in the statements of a source. Never changed.

    Gathered from orders, refunds, disputes and payouts, not from the books: the books are what it proves.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, models.PROTECT, db_constraint=False, db_index=False)
    flow = models.CharField(max_length=17, choices=Flow)
    reference = models.CharField(max_length=255)  # the PSP's id of it; of a bank payout, our end-to-end id
    part = models.SmallIntegerField(db_default=0, default=0)  # further movements of the same object
    currency = models.CharField(max_length=3)
    amount_minor = models.BigIntegerField()
    # What the PSP charged for it, as far as our books have it already (disputes); the statement brings the others.
    fee_minor = models.BigIntegerField(db_default=0, default=0)
    subject_kind = models.CharField(max_length=10)  # charge, refund, dispute, payout, psp_payout
    subject_id = models.BigIntegerField()
    counterparty = models.CharField(max_length=64, blank=True, db_default="", default="")  # as of a line
    occurred_at = models.DateTimeField()
    # The last day on which it may be missing: afterwards it is a break.
    expected_by = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint("source", "flow", "reference", "part", name="an_item_is_expected_once"),
            models.CheckConstraint(condition=~Q(reference=""), name="an_item_has_a_reference"),
        ]
        indexes = [models.Index("subject_kind", "subject_id", name="item_by_subject")]

    def __str__(self) -> str:
        return f"{self.flow} {self.reference}"


class ReconciliationRun(models.Model):
    """One look at one source for one day. What it found is written in one transaction with its end.

    A day that is looked at again continues its run: `look` counts how often. The cursors are floors: every line up to
    `lines_to` and every item up to `items_to` is matched or belongs to a break, so the next run starts above them.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        FINISHED = "finished"
        FAILED = "failed"

    class Verdict(models.TextChoices):
        """From worst to best. Only the last is green."""

        INCOMPLETE = "INCOMPLETE"
        BREAKS = "BREAKS"
        WITH_WARNINGS = "WITH_WARNINGS"
        WITH_PENDING = "WITH_PENDING"
        RECONCILED = "RECONCILED"

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    # NULL: the internal checks of the book, which need no statement.
    source = models.ForeignKey(Source, models.PROTECT, null=True, db_index=False, related_name="runs")
    day = models.DateField()
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    verdict = models.CharField(max_length=13, choices=Verdict, blank=True, db_default="", default="")
    rules_version = models.SmallIntegerField(db_default=1, default=1)
    look = models.SmallIntegerField(db_default=0, default=0)
    lines_to = models.BigIntegerField(db_default=0, default=0)
    items_to = models.BigIntegerField(db_default=0, default=0)
    transitions_to = models.BigIntegerField(db_default=0, default=0)
    # Up to this match everything that statements prove is booked.
    matches_to = models.BigIntegerField(db_default=0, default=0)
    counts = models.JSONField(default=dict, db_default={})
    error = models.CharField(max_length=500, blank=True, db_default="", default="")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["book", "source", "day"], nulls_distinct=False, name="a_day_of_a_source_is_one_run"
            ),
            models.CheckConstraint(
                condition=Q(state="finished", finished_at__isnull=False) & ~Q(verdict="")
                | ~Q(state="finished") & Q(verdict=""),
                name="a_finished_run_has_a_verdict",
            ),
        ]
        indexes = [models.Index("book", "id", name="reconciliation_run_by_book")]

    def __str__(self) -> str:
        return f"{self.source_id or 'books'} on {self.day}"


class Identity(models.Model):
    """One of the four closing identities of a run, in one currency: it holds when nothing is left over."""

    class Name(models.TextChoices):
        BRIDGE = "bridge"  # lines against books, explained item by item
        OPEN_ITEMS = "open_items"  # what was open, what came, what was closed
        BALANCE = "balance"  # the balance that the statement declares
        SUB_LEDGER = "sub_ledger"  # sellers, recomputed from orders, refunds, disputes and payouts

    run = models.ForeignKey(ReconciliationRun, models.CASCADE, related_name="identities")
    name = models.CharField(max_length=10, choices=Name)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    left_minor = models.BigIntegerField()
    right_minor = models.BigIntegerField()
    # What the right side is made of: [{"what": "...", "count": 0, "amount": 0}].
    terms = models.JSONField()
    # False when nothing declared the left side (a PSP that gives no balance): no proof, and no contradiction.
    proven = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("run", "name", "currency", name="a_run_has_each_identity_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.currency_id}"

    @property
    def residual_minor(self) -> int:
        """Return what is left unexplained."""
        return self.left_minor - self.right_minor


class Match(models.Model):
    """Lines and items that are the same movement, by which rule. Undone, never deleted.

    One line and one item are one row. A group (a payout of a PSP and its bank credit; two captures of one charge) is
    several rows with the same `group`, in each of which one side may be empty.
    """

    class Rule(models.TextChoices):
        REFERENCE = "reference"  # same object, same currency, same amount
        GROUP = "group"  # same object, several movements, same sum
        PAYOUT = "payout"  # a payout of the PSP and its credit at the bank
        TOLERANCE = "tolerance"  # same object, within the cap of rounding
        AMOUNT_AND_DATE = "amount_date"  # the only two of an amount within days
        NETTED = "netted"  # lines that take each other back
        POSTED = "posted"  # a line that proves what it says (fee, payout to our bank): booked by itself
        BREAK = "break"  # by the resolution of a break
        PERSON = "person"

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, models.PROTECT, db_constraint=False, db_index=False)
    run = models.ForeignKey(ReconciliationRun, models.PROTECT, db_constraint=False, db_index=False)
    rule = models.CharField(max_length=11, choices=Rule)
    rules_version = models.SmallIntegerField(db_default=1, default=1)
    group = models.BigIntegerField(null=True)
    line = models.ForeignKey(StatementLine, models.PROTECT, null=True, db_constraint=False, db_index=False)
    item = models.ForeignKey(Item, models.PROTECT, null=True, db_constraint=False, db_index=False)
    actor = models.CharField(max_length=128, blank=True, db_default="", default="")
    undone_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=128, blank=True, db_default="", default="")
    note = models.CharField(max_length=255, blank=True, db_default="", default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "line", condition=Q(undone_at__isnull=True, line__isnull=False), name="a_line_is_matched_once"
            ),
            models.UniqueConstraint(
                "item", condition=Q(undone_at__isnull=True, item__isnull=False), name="an_item_is_matched_once"
            ),
            models.CheckConstraint(
                condition=Q(line__isnull=False) | Q(item__isnull=False), name="a_match_is_of_something"
            ),
            models.CheckConstraint(
                condition=Q(group__isnull=False) | Q(line__isnull=False, item__isnull=False),
                name="a_match_without_a_group_has_both_sides",
            ),
            models.CheckConstraint(
                condition=Q(undone_at__isnull=True, undone_by="") | Q(undone_at__isnull=False) & ~Q(undone_by=""),
                name="a_match_is_undone_by_somebody",
            ),
        ]
        indexes = [models.Index("source", "id", condition=Q(undone_at__isnull=False), name="match_undone")]

    def __str__(self) -> str:
        return f"{self.rule} of line {self.line_id} and item {self.item_id}"


class Break(models.Model):
    """A difference. It keeps its id, its owner and its notes while its class changes, is resolved, and comes back.

    `identity` is a hash of source, leg, key and currency, never of the class (reconciliation/breaks.py).
    """

    class State(models.TextChoices):
        OPEN = "open"
        PROPOSED = "proposed"  # a journal waits for its checker
        RESOLVED = "resolved"

    class Priority(models.IntegerChoices):
        MONEY_AT_RISK = 1  # money given without cash, or integrity
        AMOUNTS_DIFFER = 2
        CASH_NOT_APPLIED = 3
        TO_INVESTIGATE = 4

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    source = models.ForeignKey(Source, models.PROTECT, null=True, db_index=False)
    identity = models.BinaryField()
    code = models.CharField(max_length=3)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    priority = models.SmallIntegerField(choices=Priority)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False, null=True)
    # What is unexplained, in the currency: outside minus ours.
    amount_minor = models.BigIntegerField(db_default=0, default=0)
    reference = models.CharField(max_length=255, blank=True, db_default="", default="")
    detail = models.CharField(max_length=500)
    evidence = models.JSONField(default=dict, db_default={})
    line_ids = ArrayField(models.BigIntegerField(), default=list, db_default=[])
    item_ids = ArrayField(models.BigIntegerField(), default=list, db_default=[])
    owner = models.CharField(max_length=128, blank=True, db_default="", default="")
    # The first day on which it was a break, and the runs that saw it first and last.
    break_on = models.DateField()
    first_run = models.ForeignKey(ReconciliationRun, models.PROTECT, db_index=False, related_name="+")
    last_run = models.ForeignKey(ReconciliationRun, models.PROTECT, db_index=False, related_name="+")
    # How it ended: an action of ours by name, a journal, a person's word.
    resolution = models.CharField(max_length=40, blank=True, db_default="", default="")
    resolved_at = models.DateTimeField(null=True)
    transaction = models.ForeignKey(Transaction, models.PROTECT, null=True, db_constraint=False, db_index=False)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "identity", name="a_break_has_one_identity"),
            models.CheckConstraint(condition=Q(code__regex=r"^[A-D][0-9]{2}$"), name="break_code_has_its_form"),
            models.CheckConstraint(
                condition=Q(state="resolved", resolved_at__isnull=False) & ~Q(resolution="")
                | ~Q(state="resolved") & Q(resolved_at__isnull=True, resolution=""),
                name="a_resolved_break_says_how",
            ),
        ]
        indexes = [
            models.Index("book", "state", "code", "id", name="break_by_state"),
            models.Index("source", "id", condition=~Q(state="resolved"), name="break_unresolved"),
        ]
        permissions = [("handle_breaks", "Can take, note, propose for and resolve breaks")]

    def __str__(self) -> str:
        return f"{self.code} {self.reference}"


class BreakEvent(models.Model):
    """History of a break: opened, reclassified, noted, taken, proposed, repaired, resolved, reopened. Append-only."""

    break_found = models.ForeignKey(Break, models.PROTECT, related_name="events", db_column="break_id")
    what = models.CharField(max_length=16)
    code = models.CharField(max_length=3)
    actor = models.CharField(max_length=128)
    run = models.ForeignKey(ReconciliationRun, models.PROTECT, null=True, db_index=False)
    detail = models.CharField(max_length=1000, blank=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.what} {self.code}"


class RepairCap(models.Model):
    """How much an automatic repair may move without a person: per item and per day, in one currency and class."""

    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    code = models.CharField(max_length=3)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    item_minor = models.BigIntegerField()
    day_minor = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "code", "currency", name="a_cap_is_one_per_class_and_currency"),
            models.CheckConstraint(
                condition=Q(item_minor__gte=0, day_minor__gte=F("item_minor")), name="a_cap_of_a_day_covers_an_item"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.currency_id}"
