"""Evidence: a merchant answers a dispute, once, or gives it up. Stored with the call that hands it to the PSP.

The names are those of the trade (and Stripe's): what each text says and what each document shows. Limits hold for every
PSP; whether a document convinces is for the bank to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from config import seam
from payments import doorbell, settlement
from payments.appliers import batch as batches
from payments.appliers.batch import Batch
from payments.errors import InvalidState, NotFound
from payments.models import Dispute, DisputeEvidence, EvidenceFile, PspOperation

TEXTS: Final = (
    "access_activity_log", "billing_address", "cancellation_policy_disclosure", "cancellation_rebuttal",
    "customer_email_address", "customer_name", "customer_purchase_ip", "duplicate_charge_explanation",
    "duplicate_charge_id", "product_description", "refund_policy_disclosure", "refund_refusal_explanation",
    "service_date", "shipping_address", "shipping_carrier", "shipping_date", "shipping_tracking_number",
    "uncategorized_text",
)  # fmt: skip
DOCUMENTS: Final = (
    "cancellation_policy", "customer_communication", "customer_signature", "duplicate_charge_documentation", "receipt",
    "refund_policy", "service_documentation", "shipping_documentation", "uncategorized_file",
)  # fmt: skip
MAX_TEXT_CHARACTERS: Final = 20_000
MAX_TEXTS_CHARACTERS: Final = 150_000
MAX_DOCUMENTS: Final = 5
MAX_DOCUMENT_BYTES: Final = 4_000_000
MAX_DOCUMENTS_BYTES: Final = 4_500_000
_BEGINNINGS: Final = {
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was sent: what it shows, and its bytes."""

    kind: str
    content: bytes

    @property
    def media_type(self) -> str | None:
        """Return what its first bytes say that it is; None for anything but PDF, PNG and JPEG."""
        return next((kind for start, kind in _BEGINNINGS.items() if self.content.startswith(start)), None)


def submit(dispute_id: int, texts: Mapping[str, str], documents: Sequence[Document], *, now: datetime) -> None:
    """Answer a dispute: store the evidence and the call that hands it in. Locks the payment of the dispute.

    Texts and documents have been checked. Raises `InvalidState` when the dispute waits for no answer, was answered, or
    its time is over.
    """
    event_id = Dispute.objects.values_list("charge__event_id", flat=True).get(pk=dispute_id)
    with transaction.atomic():
        batch = batches.lock([event_id], now=now, disputes=True)
        case = next(case for case in batch.cases if case.dispute.pk == dispute_id)
        dispute = case.dispute
        _check(batch, dispute, now=now)
        evidence = DisputeEvidence.objects.create(
            public_id=seam.new_uuid(), dispute=dispute, texts=dict(texts), created_at=now
        )
        EvidenceFile.objects.bulk_create(
            EvidenceFile(
                evidence=evidence,
                kind=document.kind,
                media_type=document.media_type or "",
                size_bytes=len(document.content),
                sha256=hashlib.sha256(document.content).digest(),
                content=document.content,
            )
            for document in documents
        )
        dispute.evidence_status = Dispute.Evidence.PENDING
        dispute.evidence_message = ""
        dispute.version += 1
        dispute.updated_at = now
        case.is_changed = True
        parameters = {"evidence": evidence.pk, "count_before": dispute.evidence_count}
        batch.new_operations.append(
            _operation(batch, dispute, PspOperation.Kind.SUBMIT_EVIDENCE, parameters, event_id=event_id)
        )
        settlement.commit_batch(batch, settlement.statuses_of(batch))
    doorbell.ring("psp")


def accept(dispute_id: int, *, now: datetime) -> None:
    """Give a dispute up: the PSP is told, and what is held is lost when it says so. Locks the payment of the dispute.

    Raises `NotFound`, or `InvalidState` when the dispute waits for no answer, was answered, or its time is over. In an
    inquiry there is nothing to give up: no money has moved.
    """
    event_id = Dispute.objects.filter(pk=dispute_id).values_list("charge__event_id", flat=True).first()
    if event_id is None:
        raise NotFound("not_found", "There is no such dispute.")
    with transaction.atomic():
        batch = batches.lock([event_id], now=now, disputes=True)
        dispute = next(case.dispute for case in batch.cases if case.dispute.pk == dispute_id)
        if dispute.status == Dispute.Status.INQUIRY_OPEN:
            raise InvalidState("dispute_not_answerable", "It is an inquiry: no money has moved, so refund the buyer.")
        _check(batch, dispute, now=now)
        batch.new_operations.append(_operation(batch, dispute, PspOperation.Kind.ACCEPT_DISPUTE, {}, event_id=event_id))
        settlement.commit_batch(batch, settlement.statuses_of(batch))
    doorbell.ring("psp")


def _operation(
    batch: Batch, dispute: Dispute, kind: PspOperation.Kind, parameters: dict[str, int], *, event_id: int
) -> PspOperation:
    return PspOperation(
        public_id=seam.new_uuid(),
        book_id=dispute.book_id,
        psp_account_id=dispute.psp_account_id,
        kind=kind,
        lane=PspOperation.Lane.REFUNDS,
        event=batch.events[event_id],
        dispute=dispute,
        parameters=parameters,
        state=PspOperation.State.PREPARED,
        created_at=batch.now,
        due_at=batch.now,
    )


def _check(batch: Batch, dispute: Dispute, *, now: datetime) -> None:
    if dispute.status not in Dispute.ANSWERABLE:
        raise InvalidState("dispute_not_answerable", f"The dispute is {dispute.status}: it waits for no answer.")
    if dispute.evidence_status in (Dispute.Evidence.PENDING, Dispute.Evidence.SUBMITTED):
        raise InvalidState("dispute_not_answerable", "Evidence was given: a dispute is answered once.")
    if any(o.dispute_id == dispute.pk and o.closed_at is None for o in batch.operations.values()):
        raise InvalidState("dispute_not_answerable", "An answer is on its way to the PSP.")
    if dispute.evidence_due_at is not None and dispute.evidence_due_at <= now:
        raise InvalidState("dispute_not_answerable", "The time for evidence is over.")
