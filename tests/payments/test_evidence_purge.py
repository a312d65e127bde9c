"""Evidence holds personal data: it is deleted some time after its dispute is over, and not before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings

from config import seam
from payments import evidence, evidence_purge
from payments.evidence import Document
from payments.models import Dispute, DisputeEvidence, EvidenceFile, PspOperation, Run
from tests.payments.test_disputes import disputed, hear
from tests.shop import Shop

KEPT = timedelta(days=settings.EVIDENCE_DAYS)


@pytest.fixture
def answered(shop: Shop) -> Dispute:
    """Give a dispute that was answered."""
    event = shop.buy(1000)
    shop.settle_down()
    disputed(shop, event)
    hear(shop)
    row = Dispute.objects.get()
    evidence.submit(row.pk, {"product_description": "A teapot"}, [Document("receipt", b"%PDF-1.7")], now=seam.now())
    shop.settle_down()
    row.refresh_from_db()
    return row


def over(shop: Shop, row: Dispute) -> Dispute:
    """Let a dispute be lost."""
    shop.psp.control(f"disputes/{row.psp_id}/close", status="lost")
    hear(shop)
    row.refresh_from_db()
    assert row.closed_at is not None
    return row


def test_evidence_is_kept_for_its_time_and_then_forgotten(shop: Shop, answered: Dispute) -> None:
    run = Run(kind="evidence_purge", period="2026-01-01")
    assert evidence_purge.run(run, seam.now() + 2 * KEPT) == {"forgotten": 0}, "the dispute is not over"
    row = over(shop, answered)
    assert row.closed_at is not None
    assert evidence_purge.run(run, row.closed_at + KEPT - timedelta(seconds=1)) == {"forgotten": 0}
    assert EvidenceFile.objects.count() == 1
    assert evidence_purge.run(run, row.closed_at + KEPT) == {"forgotten": 1}
    assert (DisputeEvidence.objects.count(), EvidenceFile.objects.count()) == (0, 0)
    row.refresh_from_db()
    assert (row.evidence_status, row.evidence_at is not None) == ("submitted", True), "that it was answered stays"
    assert evidence_purge.run(run, row.closed_at + KEPT) == {"forgotten": 0}


def test_what_is_on_its_way_to_the_psp_is_kept(shop: Shop, answered: Dispute) -> None:
    row = over(shop, answered)
    assert row.closed_at is not None
    PspOperation.objects.filter(dispute=row).update(closed_at=None, state="DEAD", outcome="", dead_at=seam.now())
    assert evidence_purge.purge(now=row.closed_at + 2 * KEPT) == 0
    assert EvidenceFile.objects.count() == 1


def test_much_is_forgotten_in_short_steps(shop: Shop, answered: Dispute, monkeypatch: pytest.MonkeyPatch) -> None:
    row = over(shop, answered)
    assert row.closed_at is not None
    DisputeEvidence.objects.bulk_create(
        DisputeEvidence(public_id=seam.new_uuid(), dispute=row, texts={}, created_at=seam.now()) for _ in range(6)
    )
    monkeypatch.setattr(evidence_purge, "MAX_CHUNKS", 2)
    later = row.closed_at + KEPT
    assert evidence_purge.purge(now=later, limit=3) == 3
    assert evidence_purge.run(Run(kind="evidence_purge", period="2026-01-01"), later) == {"forgotten": 4}
