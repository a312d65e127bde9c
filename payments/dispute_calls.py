"""What is said to a PSP about a dispute: the answer to it, and the question whether an earlier answer arrived.

Beside `psp_calls`, which builds the conversation: everything is read while the database is at hand, and run without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from payments.models import DisputeEvidence, PspOperation
from payments.psp.base import (
    Adapter,
    CallContext,
    DisputeStage,
    EvidenceDocument,
    EvidenceRequest,
    ObjectKind,
    Outcome,
    Result,
)
from payments.psp.failures import FailureCode, failure_of

_K = PspOperation.Kind
KINDS: Final = frozenset({_K.SUBMIT_EVIDENCE, _K.ACCEPT_DISPUTE})


def sender(adapter: Adapter, operation: PspOperation, context: CallContext) -> Callable[[], Result]:
    """Return the call that answers the dispute: with evidence, or by giving it up."""
    psp_id = _psp_id(operation)
    if operation.kind == _K.ACCEPT_DISPUTE:
        return lambda: adapter.accept_dispute(context, psp_id)
    row = DisputeEvidence.objects.prefetch_related("files").get(pk=operation.parameters["evidence"])
    documents = tuple(EvidenceDocument(file.kind, file.file_name, bytes(file.content)) for file in row.files.all())
    request = EvidenceRequest(row.texts, documents)
    return lambda: adapter.submit_evidence(context, psp_id, request)


def asker(adapter: Adapter, operation: PspOperation) -> Callable[[], Result | None]:
    """Return the question that comes before a second try; it answers `None` when the answer did not arrive.

    What did not arrive is sent again: the same evidence twice is the same evidence, and who has given up has given up.
    """
    psp_id, is_over = _psp_id(operation), operation.kind == _K.ACCEPT_DISPUTE

    def run() -> Result | None:
        found = adapter.fetch(ObjectKind.DISPUTE, psp_id)
        if found.snapshot is None or found.snapshot.dispute is None:
            return found
        facts = found.snapshot.dispute
        if not is_over:
            arrived = facts.evidence_count > int(operation.parameters["count_before"])
            return Result(Outcome.SUCCEEDED, found.snapshot, request_id=found.request_id) if arrived else None
        if facts.stage == DisputeStage.NEEDS_RESPONSE:
            return None
        if facts.stage == DisputeStage.LOST:
            return Result(Outcome.SUCCEEDED, found.snapshot, request_id=found.request_id)
        refused = failure_of(FailureCode.REFUSED)
        return Result(Outcome.DECLINED, found.snapshot, request_id=found.request_id, failure=refused)

    return run


def _psp_id(operation: PspOperation) -> str:
    assert operation.dispute is not None, "an answer to a dispute names it"
    return operation.dispute.psp_id
