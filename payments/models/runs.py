"""Runs: what is done once a day, for all books or for each. And stops: why a book pays nothing out."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from ledger.models import Book


class Run(models.Model):
    """Something to be done once for a period, and what came of it. A due row like any other."""

    kind = models.CharField(max_length=40)
    book = models.ForeignKey(Book, models.PROTECT, null=True, db_index=False)
    period = models.CharField(max_length=32)
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(db_default=0)
    tries = models.IntegerField(db_default=0)
    dead_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True, db_default="")
    result = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "book", "period"], nulls_distinct=False, name="one_run_per_kind_book_and_period"
            ),
            models.CheckConstraint(
                condition=Q(due_at__isnull=False, dead_at__isnull=True, finished_at__isnull=True)
                | Q(due_at__isnull=True, lease_until__isnull=True, dead_at__isnull=False, finished_at__isnull=True)
                | Q(due_at__isnull=True, lease_until__isnull=True, dead_at__isnull=True, finished_at__isnull=False),
                name="run_is_due_dead_or_finished",
            ),
        ]
        indexes = [
            models.Index("due_at", condition=Q(due_at__isnull=False), name="run_due"),
            models.Index("id", condition=Q(dead_at__isnull=False), name="run_dead"),
            models.Index("kind", F("finished_at").desc(), condition=Q(finished_at__isnull=False), name="run_finished"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.period}"


class PayoutStop(models.Model):
    """Nothing is paid out of a book from `since` until a person lifts the stop. Never deleted."""

    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    reason = models.CharField(max_length=64)
    detail = models.CharField(max_length=500, blank=True)
    since = models.DateTimeField()
    stopped_by = models.CharField(max_length=128)
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=128, blank=True, db_default="")
    note = models.CharField(max_length=500, blank=True, db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint("book", condition=Q(lifted_at__isnull=True), name="one_open_payout_stop_per_book"),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True, lifted_by="", note="")
                | Q(lifted_at__isnull=False, lifted_by__startswith="user:") & ~Q(lifted_by="user:") & ~Q(note=""),
                name="payout_stop_is_lifted_by_somebody_with_a_note",
            ),
        ]

    def __str__(self) -> str:
        return f"stop of book {self.book_id} since {self.since}"
