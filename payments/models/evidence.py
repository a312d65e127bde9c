"""Evidence: what a merchant answers a dispute with, kept until the PSP has it and the dispute is over.

It holds personal data of buyers, so it is shown nowhere: the API and the back office tell only that it is there.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from payments.models.disputes import Dispute

_EXTENSIONS = {"application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg"}


class DisputeEvidence(models.Model):
    """One answer to a dispute: texts by name. Handed to the PSP once, by an operation of its own."""

    public_id = models.UUIDField(unique=True)
    dispute = models.ForeignKey(Dispute, models.PROTECT, related_name="evidence")
    texts = models.JSONField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"evidence {self.public_id}"


class EvidenceFile(models.Model):
    """A document of an answer. `kind` is what it shows; its type was read from its first bytes."""

    evidence = models.ForeignKey(DisputeEvidence, models.PROTECT, related_name="files")
    kind = models.CharField(max_length=40)
    media_type = models.CharField(max_length=40)
    size_bytes = models.IntegerField()
    sha256 = models.BinaryField()
    content = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint("evidence", "kind", name="evidence_has_one_file_of_a_kind"),
            models.CheckConstraint(condition=Q(size_bytes__gt=0, size_bytes__lte=5_000_000), name="evidence_is_small"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.media_type}, {self.size_bytes} bytes)"

    @property
    def file_name(self) -> str:
        """Return the name that the PSP is told: what the document shows, and its type."""
        return f"{self.kind}.{_EXTENSIONS[self.media_type]}"
