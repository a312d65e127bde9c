"""A dispute is answered once: what was given reaches the PSP whatever happens on the way."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from config import seam
from payments import evidence, executor
from payments.errors import InvalidState
from payments.evidence import Document
from payments.models import Dispute, DisputeEvidence, EvidenceFile, PaymentEvent, PspOperation
from tests.payments.test_disputes import disputed, hear
from tests.shop import Shop

PDF = b"%PDF-1.7 a receipt"
TEXTS = {"product_description": "A teapot"}


@pytest.fixture
def dispute(shop: Shop) -> Dispute:
    """Give a dispute that waits for an answer."""
    event: PaymentEvent = shop.buy(2000, 500)
    shop.settle_down()
    disputed(shop, event)
    hear(shop)
    return Dispute.objects.get()


def answer(row: Dispute) -> None:
    """Answer with a text and a document."""
    evidence.submit(row.pk, TEXTS, [Document("receipt", PDF)], now=seam.now())


def told(shop: Shop, row: Dispute) -> dict[str, Any]:
    """Return the dispute as the PSP has it."""
    answers = executor.psp_calls.adapter_of(shop.tenant.psp_account)
    wire: Any = answers
    found: dict[str, Any] = wire._v1.disputes.retrieve(row.psp_id).to_dict()
    return found


def test_evidence_reaches_the_psp_and_the_dispute_is_under_review(shop: Shop, dispute: Dispute) -> None:
    answer(dispute)
    dispute.refresh_from_db()
    assert (dispute.status, dispute.evidence_status) == ("needs_response", "pending")
    shop.work()
    dispute.refresh_from_db()
    assert (dispute.status, dispute.evidence_status, dispute.evidence_count) == ("under_review", "submitted", 1)
    assert dispute.evidence_at is not None
    at_the_psp = told(shop, dispute)
    assert at_the_psp["evidence"]["product_description"] == "A teapot"
    assert at_the_psp["evidence"]["receipt"].startswith("file_")
    file = EvidenceFile.objects.get()
    assert (file.media_type, file.size_bytes) == ("application/pdf", len(PDF))
    assert bytes(file.sha256) == hashlib.sha256(PDF).digest()
    operation = PspOperation.objects.get(kind="submit_evidence")
    assert (operation.state, operation.outcome, operation.charge_id) == ("DONE", "succeeded", None)
    shop.check()


@pytest.mark.parametrize("operation", ["files.create", "disputes.update"])
@pytest.mark.parametrize(
    "kind",
    ["drop_before", "drop_after", "reset_before", "reset_after", "500_before", "500_after", "429", "409", "html_502"],
)
def test_a_fault_on_the_way_is_healed_without_help(
    shop: Shop, dispute: Dispute, settings: Any, operation: str, kind: str
) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 0.5
    shop.psp.faults({"operation": operation, "kind": kind, "times": 1, "seconds": 2}, key=shop.psp_key)
    answer(dispute)
    shop.settle_down()
    dispute.refresh_from_db()
    assert (dispute.status, dispute.evidence_status) == ("under_review", "submitted")
    assert told(shop, dispute)["evidence_details"]["submission_count"] == 1
    shop.check()


def test_evidence_that_the_psp_refuses_may_be_given_again(shop: Shop, dispute: Dispute) -> None:
    evidence.submit(dispute.pk, {"uncategorized_text": "x" * 20_001}, [], now=seam.now())
    shop.work()
    dispute.refresh_from_db()
    assert (dispute.status, dispute.evidence_status) == ("needs_response", "refused")
    assert dispute.evidence_message != ""
    answer(dispute)
    shop.work()
    dispute.refresh_from_db()
    assert (dispute.status, dispute.evidence_status, dispute.evidence_message) == ("under_review", "submitted", "")


def test_a_dispute_is_answered_once(shop: Shop, dispute: Dispute) -> None:
    answer(dispute)
    for _ in range(2):
        with pytest.raises(InvalidState) as refusal:
            answer(dispute)
        assert refusal.value.code == "dispute_not_answerable"
        shop.work()
    assert (DisputeEvidence.objects.count(), PspOperation.objects.filter(kind="submit_evidence").count()) == (1, 1)


@pytest.mark.parametrize("status", ["won", "lost"])
def test_a_dispute_that_is_over_takes_no_evidence(shop: Shop, dispute: Dispute, status: str) -> None:
    shop.psp.control(f"disputes/{dispute.psp_id}/close", status=status)
    hear(shop)
    with pytest.raises(InvalidState):
        answer(dispute)
    assert DisputeEvidence.objects.count() == 0


def test_after_its_time_a_dispute_takes_no_evidence(shop: Shop, dispute: Dispute) -> None:
    with pytest.raises(InvalidState):
        evidence.submit(dispute.pk, TEXTS, [], now=seam.now() + timedelta(days=10))
    assert DisputeEvidence.objects.count() == 0


def test_a_dispute_that_ends_while_its_evidence_is_on_the_way_says_so(shop: Shop, dispute: Dispute) -> None:
    answer(dispute)
    shop.psp.control(f"disputes/{dispute.psp_id}/close", status="lost")
    shop.settle_down()
    hear(shop)
    dispute.refresh_from_db()
    assert (dispute.status, dispute.evidence_status) == ("lost", "refused")
    shop.check()


def test_an_inquiry_can_be_answered_too(shop: Shop) -> None:
    event = shop.buy(1000)
    shop.settle_down()
    disputed(shop, event, inquiry=True)
    hear(shop)
    answer(Dispute.objects.get())
    shop.work()
    row = Dispute.objects.get()
    assert (row.status, row.evidence_status) == ("inquiry_review", "submitted")
