"""A dispute is given up: the PSP is told once, and what is held is lost when it says so."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from config import seam
from payments import evidence
from payments.errors import InvalidState, NotFound
from payments.models import Dispute, PaymentEvent, PspOperation
from tests.payments.test_disputes import disputed, hear
from tests.shop import Shop


@pytest.fixture
def dispute(shop: Shop) -> Dispute:
    """Give a dispute that waits for an answer."""
    event: PaymentEvent = shop.buy(2000, 500)
    shop.settle_down()
    disputed(shop, event)
    hear(shop)
    return Dispute.objects.get()


def _give_up(row: Dispute) -> None:
    evidence.accept(row.pk, now=seam.now())


def test_a_dispute_that_is_given_up_is_lost(shop: Shop, dispute: Dispute) -> None:
    held = dispute.held_minor
    assert held > 0
    _give_up(dispute)
    dispute.refresh_from_db()
    assert (dispute.status, dispute.lost_minor) == ("needs_response", 0), "until the PSP answers"
    shop.work()
    dispute.refresh_from_db()
    assert (dispute.status, dispute.held_minor, dispute.lost_minor) == ("lost", 0, held)
    assert [row["status"] for row in shop.books()["disputes"]] == ["lost"]
    operation = PspOperation.objects.get(kind="accept_dispute")
    assert (operation.state, operation.outcome) == ("DONE", "succeeded")
    shop.check()


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "500_before", "500_after", "429", "html_502_after"])
def test_a_fault_on_the_way_is_healed_without_help(shop: Shop, dispute: Dispute, settings: Any, kind: str) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 0.5
    shop.psp.faults({"operation": "disputes.close", "kind": kind, "times": 1}, key=shop.psp_key)
    _give_up(dispute)
    shop.settle_down()
    dispute.refresh_from_db()
    assert dispute.status == "lost"
    assert PspOperation.objects.get(kind="accept_dispute").state == "DONE"
    shop.check()


def test_a_dispute_that_was_answered_is_not_given_up_and_one_that_was_given_up_is_not_answered(
    shop: Shop, dispute: Dispute
) -> None:
    _give_up(dispute)
    for again in (_give_up, lambda row: evidence.submit(row.pk, {"product_description": "x"}, [], now=seam.now())):
        with pytest.raises(InvalidState) as refusal:
            again(dispute)
        assert refusal.value.code == "dispute_not_answerable"
    given = PspOperation.objects.get(kind="accept_dispute")
    with pytest.raises(IntegrityError, match="one_open_answer_per_dispute"), transaction.atomic():
        PspOperation.objects.create(
            public_id=seam.new_uuid(),
            book=given.book,
            psp_account=given.psp_account,
            kind="submit_evidence",
            event=given.event,
            dispute=dispute,
            parameters={},
            created_at=seam.now(),
        )
    shop.work()
    with pytest.raises(InvalidState):
        _give_up(dispute)
    assert PspOperation.objects.filter(dispute=dispute).count() == 1


def test_an_inquiry_and_what_does_not_exist_are_not_given_up(shop: Shop) -> None:
    event: PaymentEvent = shop.buy(2000)
    shop.settle_down()
    disputed(shop, event, inquiry=True)
    hear(shop)
    row = Dispute.objects.get()
    assert row.status == "inquiry_open"
    with pytest.raises(InvalidState, match="no money has moved"):
        _give_up(row)
    with pytest.raises(NotFound):
        evidence.accept(0, now=seam.now())
    assert not PspOperation.objects.filter(kind="accept_dispute").exists()


def test_a_dispute_that_the_bank_decided_meanwhile_stays_decided(shop: Shop, dispute: Dispute) -> None:
    shop.psp.control(f"disputes/{dispute.psp_id}/close", status="won")
    _give_up(dispute)
    shop.settle_down()
    dispute.refresh_from_db()
    assert dispute.status == "won"
    assert PspOperation.objects.get(kind="accept_dispute").outcome == "declined"
    shop.check()
