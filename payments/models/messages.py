"""What comes in and goes out: PSP notifications, outbox messages, idempotency records, request nonces."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ledger.models import Book
from payments.models.parties import ApiKey, PspAccount


class PspNotification(models.Model):
    """A notification that a PSP sent: verified, stored before it was answered, worked off as a due row."""

    psp_account = models.ForeignKey(PspAccount, models.PROTECT, db_index=False)
    psp_event_id = models.CharField(max_length=255)
    type = models.CharField(max_length=100)
    object_kind = models.CharField(max_length=20, blank=True)
    object_psp_id = models.CharField(max_length=255, blank=True)
    charge_psp_id = models.CharField(max_length=255, blank=True, db_default="", default="")
    payload = models.JSONField()
    psp_created_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    processed_at = models.DateTimeField(null=True)
    result = models.CharField(max_length=100, blank=True, db_default="")
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(db_default=0)
    tries = models.IntegerField(db_default=0)
    dead_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("psp_account", "psp_event_id", name="notification_is_stored_once"),
        ]
        indexes = [
            models.Index("due_at", condition=Q(due_at__isnull=False), name="notification_due"),
            models.Index("psp_account", "object_psp_id", name="notification_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.psp_event_id}"


class OutboxMessage(models.Model):
    """A fact that we publish, committed with the change that it tells of. Subscribers read it with cursors."""

    public_id = models.UUIDField(unique=True)
    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    type = models.CharField(max_length=40)
    subject_kind = models.CharField(max_length=20)
    subject_id = models.BigIntegerField()
    data = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index("book", "id", name="outbox_by_book"),
            models.Index("subject_kind", "subject_id", "id", name="outbox_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.public_id}"


class IdempotencyRecord(models.Model):
    """The first answer to a request, kept 31 days. Commits with the effect of the request or not at all."""

    book = models.ForeignKey(Book, models.PROTECT, db_index=False)
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField()
    status = models.SmallIntegerField()
    body = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("book", "key", name="idempotency_key_is_unique_in_its_book")]
        indexes = [models.Index("created_at", name="idempotency_by_age")]

    def __str__(self) -> str:
        return self.key


class RequestNonce(models.Model):
    """A nonce of a signed request, unique per key for ten minutes."""

    api_key = models.ForeignKey(ApiKey, models.CASCADE, db_index=False)
    nonce = models.CharField(max_length=128)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("api_key", "nonce", name="nonce_is_used_once_per_key")]
        indexes = [models.Index("seen_at", name="nonce_by_age")]

    def __str__(self) -> str:
        return self.nonce
