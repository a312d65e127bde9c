"""The tables of the books. The SQL functions in `ledger/sql` write the rows, never these models.

The models exist for reading, for the admin and for migrations. The triggers that guard the tables live in
`ledger/sql/guards.sql`; foreign keys of entries and transactions carry no constraint of their own
(`db_constraint=False`) because the triggers check the same and more, per statement instead of per leg.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now


class Mode(models.TextChoices):
    """Which world a book belongs to; test and live never meet."""

    TEST = "test"
    LIVE = "live"


class AccountType(models.TextChoices):
    """The five kinds of account in double-entry bookkeeping."""

    ASSET = "asset"
    LIABILITY = "liability"
    EQUITY = "equity"
    INCOME = "income"
    EXPENSE = "expense"


LEGS = 32768  # an entry's id is its transaction's id times this, plus the number of its leg
DEBIT_NORMAL = (AccountType.ASSET, AccountType.EXPENSE)


class PostingMode(models.TextChoices):
    """How an account takes entries (docs/explanation/ledger.md)."""

    AUTHORIZING = "authorizing"  # balance row locked and checked against its floor
    RECORDING = "recording"  # entries only, no row lock: the hot accounts


class Side(models.TextChoices):
    """The side of an entry."""

    DEBIT = "D"
    CREDIT = "C"


class TransactionKind(models.TextChoices):
    """Why a transaction was posted: every one says it. The verbs of wallet/movements.py, and corrections.

    The database knows the same words (`ledger_knows_kind`).
    """

    SETTLE_CHARGE = "settle_charge"
    LATE_SUCCESS = "late_success"
    RELEASE = "release"
    HOLD_RESERVE = "hold_reserve"
    FREE_RESERVE = "free_reserve"
    REQUEST_REFUND = "request_refund"
    CANCEL_REFUND = "cancel_refund"
    SETTLE_REFUND = "settle_refund"
    REFUND_RETURNED = "refund_returned"
    OPEN_DISPUTE = "open_dispute"
    WIN_DISPUTE = "win_dispute"
    LOSE_DISPUTE = "lose_dispute"
    REGAIN_DISPUTE = "regain_dispute"
    RESERVE_PAYOUT = "reserve_payout"
    CANCEL_PAYOUT = "cancel_payout"
    FUND_PAYOUT = "fund_payout"
    PAY_OUT = "pay_out"
    UNPAY_PAYOUT = "unpay_payout"
    RETURN_PAYOUT = "return_payout"
    BANK_PAYOUT = "bank_payout"
    RETURN_BANK_PAYOUT = "return_bank_payout"
    PSP_FEE = "psp_fee"
    PSP_ROUNDING = "psp_rounding"
    PSP_PAYOUT = "psp_payout"
    BANK_CREDIT = "bank_credit"
    BANK_CHARGE = "bank_charge"
    CONVERT = "convert"
    UNCONVERT = "unconvert"
    RECONVERT = "reconvert"
    PSP_CONVERT = "psp_convert"
    REALISE_FX = "realise_fx"
    SUSPEND = "suspend"
    IDENTIFY = "identify"
    STORED_TOP_UP = "stored_top_up"
    STORED_PAY = "stored_pay"
    STORED_REFUND = "stored_refund"
    WITHDRAW_FEES = "withdraw_fees"
    ADJUST = "adjust"
    WRITE_OFF = "write_off"
    YEAR_END_CLOSE = "year_end_close"
    REVERSAL = "reversal"
    PARTIAL_REVERSAL = "partial_reversal"


class KnownKind(models.Func):
    """`ledger_knows_kind(kind)`: the database's own list of kinds, as a condition of the constraint below."""

    function = "ledger_knows_kind"
    output_field = models.BooleanField()


class Currency(models.Model):
    """An ISO 4217 currency and its number of decimals."""

    code = models.CharField(primary_key=True, max_length=3)
    exponent = models.SmallIntegerField()

    class Meta:
        verbose_name_plural = "currencies"
        constraints = [
            models.CheckConstraint(condition=Q(exponent__gte=0, exponent__lte=8), name="currency_exponent_is_sane"),
        ]

    def __str__(self) -> str:
        return self.code


class Book(models.Model):
    """A closed set of accounts that sums to zero per currency at every commit."""

    code = models.CharField(max_length=64, unique=True)
    mode = models.CharField(max_length=4, choices=Mode)
    created_at = models.DateTimeField(db_default=Now())
    closed_before = models.DateTimeField(null=True, editable=False)
    soft_closed_before = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.code


class Account(models.Model):
    """An account of one book, in one currency. Its code names it: `seller:{id}:available:EUR`."""

    public_id = models.UUIDField(
        db_default=models.Func(function="ledger_new_public_id", output_field=models.UUIDField()), editable=False
    )
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    code = models.CharField(max_length=128, db_collation="C")
    type = models.CharField(max_length=9, choices=AccountType)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_index=False)
    mode = models.CharField(max_length=11, choices=PostingMode)
    created_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "code", name="account_code_is_unique_in_its_book"),
            models.UniqueConstraint("public_id", name="account_public_id_is_unique"),
        ]

    def __str__(self) -> str:
        return self.code


class Balance(models.Model):
    """The balance row of an authorizing account: gross debits and credits, version, floor.

    Every entry of the account carries the version and balance that it led to, unique together with the
    account, so a lost or doubled update cannot commit.
    """

    account = models.OneToOneField(Account, models.PROTECT, primary_key=True)
    debit_normal = models.BooleanField()
    debits = models.BigIntegerField(db_default=0)
    credits = models.BigIntegerField(db_default=0)
    version = models.BigIntegerField(db_default=0)
    floor = models.BigIntegerField(null=True)
    posted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(debits__gte=0, credits__gte=0), name="turnover_only_grows"),
            models.CheckConstraint(
                condition=Q(floor__isnull=True)
                | Q(debit_normal=True, debits__gte=F("credits") + F("floor"))
                | Q(debit_normal=False, credits__gte=F("debits") + F("floor")),
                name="balance_stays_above_its_floor",
            ),
        ]

    def __str__(self) -> str:
        return f"balance of account {self.account_id}"

    @property
    def amount(self) -> int:
        """Return the balance in minor units, positive on the account's normal side."""
        return self.debits - self.credits if self.debit_normal else self.credits - self.debits


class Transaction(models.Model):
    """A journal: two or more entries, committed together for one reason. Never changed, never deleted.

    `effective_at` is its date in the books; `occurred_at` the date of a fact that came too late for its period.
    """

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_constraint=False, db_index=False)
    kind = models.CharField(max_length=32, choices=TransactionKind)
    reference = models.CharField(max_length=128)
    request_hash = models.BinaryField()
    leg_count = models.SmallIntegerField()
    effective_at = models.DateTimeField()
    occurred_at = models.DateTimeField(null=True)
    posted_at = models.DateTimeField()
    actor = models.CharField(max_length=128)
    memo = models.CharField(max_length=255, db_default="")
    metadata = models.JSONField(db_default={})
    reverses = models.ForeignKey("self", models.PROTECT, null=True, db_constraint=False, db_index=False)

    class Meta:
        constraints = [
            models.UniqueConstraint("book", "reference", name="reference_is_unique_in_its_book"),
            models.CheckConstraint(condition=Q(leg_count__gte=2), name="transaction_has_two_legs_or_more"),
            models.CheckConstraint(condition=KnownKind(F("kind")), name="transaction_kind_is_known"),
        ]
        indexes = [
            models.Index("book", "kind", "posted_at", "id", name="transaction_by_kind"),
            models.Index(
                "book",
                "kind",
                "effective_at",
                "id",
                condition=~Q(effective_at=F("posted_at")),
                name="transaction_by_other_date",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"


class EntryQuerySet(models.QuerySet["Entry"]):
    """Entries, found the way they are indexed."""

    def of(self, transaction_ids: Iterable[int]) -> EntryQuerySet:
        """Return the legs of transactions, in posting order."""
        ranges = [Q(pk__range=(pk * LEGS, pk * LEGS + LEGS - 1)) for pk in transaction_ids]
        return self.filter(reduce(or_, ranges)).order_by("pk") if ranges else self.none()


class Entry(models.Model):
    """One leg of a transaction: an amount above zero on one side of one account.

    Its id is its transaction's id times 32768 plus its number, so ids are in posting order.
    """

    id = models.BigIntegerField(primary_key=True)
    transaction = models.ForeignKey(
        Transaction, models.PROTECT, db_constraint=False, db_index=False, related_name="entries"
    )
    leg = models.SmallIntegerField()
    book = models.ForeignKey(Book, models.PROTECT, db_constraint=False, db_index=False)
    account = models.ForeignKey(Account, models.PROTECT, db_constraint=False, db_index=False)
    currency = models.ForeignKey(Currency, models.PROTECT, db_column="currency", db_constraint=False, db_index=False)
    side = models.CharField(max_length=1, choices=Side)
    amount = models.BigIntegerField()
    account_version = models.BigIntegerField(null=True)
    balance_after = models.BigIntegerField(null=True)
    effective_at = models.DateTimeField()
    posted_at = models.DateTimeField()

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="entry_amount_is_above_zero"),
            models.CheckConstraint(condition=Q(side__in=["D", "C"]), name="entry_side_is_debit_or_credit"),
            models.CheckConstraint(condition=Q(leg__gte=1), name="entry_legs_count_from_one"),
            models.CheckConstraint(
                condition=Q(id=F("transaction_id") * 32768 + F("leg")), name="entry_id_is_its_transaction_and_leg"
            ),
            models.UniqueConstraint(
                "account",
                "account_version",
                condition=Q(account_version__isnull=False),
                name="account_version_is_used_once",
            ),
            models.CheckConstraint(
                condition=Q(account_version__isnull=True, balance_after__isnull=True)
                | Q(account_version__gte=1, balance_after__isnull=False),
                name="entry_version_and_balance_come_together",
            ),
        ]
        indexes = [
            models.Index("account", "posted_at", "id", name="entry_by_account"),
            models.Index(
                "account",
                "effective_at",
                "id",
                condition=~Q(effective_at=F("posted_at")),
                name="entry_of_another_date",
            ),
        ]

    def __str__(self) -> str:
        return f"leg {self.leg} of transaction {self.transaction_id}"

    @property
    def signed(self) -> int:
        """Return the amount in minor units, debit positive."""
        return self.amount if self.side == Side.DEBIT else -self.amount


class CheckRun(models.Model):
    """A check of the books that was made, and what it found. Written by functions of the database only."""

    class Kind(models.TextChoices):
        INCREMENTAL = "incremental"
        SUMS = "sums"
        FULL = "full"

    kind = models.CharField(max_length=11, choices=Kind)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    transactions = models.BigIntegerField()
    through_entry = models.BigIntegerField()
    violations = models.IntegerField()
    findings = models.JSONField()

    class Meta:
        managed = False
        db_table = "ledger_check_run"

    def __str__(self) -> str:
        return f"{self.kind} check through entry {self.through_entry}"


class Period(models.Model):
    """A month or a year of a book, from soft close on. The functions of `ledger/periods.py` write it."""

    class Status(models.TextChoices):
        SOFT_CLOSED = "soft_closed"
        CLOSING = "closing"
        CLOSED = "closed"

    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField()
    status = models.CharField(max_length=11, choices=Status)
    may_post = ArrayField(models.CharField(max_length=128))
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=128)

    class Meta:
        managed = False  # made by ledger/sql/0003/periods.sql, with a column that Django has no type for
        permissions = [("close_periods", "Can close periods")]

    def __str__(self) -> str:
        return f"{self.book_id} until {self.ends_at}"
