"""The process dies once, at boundaries of a dispute: while it is heard of, answered, won and lost.

What must hold each time: every dispute is booked once and ends as the PSP says, evidence reaches the PSP, the sellers
have what is theirs; our books equal the PSP's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from config import seam
from ledger.ids import public_id
from payments import discovery, evidence, executor, invariants
from payments.evidence import Document
from payments.models import Charge, Dispute, DisputeEvidence, DisputePart, PaymentEvent
from tests.faults.crashes import Boundaries, campaign, observed, stories
from tests.shop import Shop

PDF = b"%PDF-1.7 a receipt"
# How a dispute ends, whether it is answered, in which charge mode, and how often its story calls the PSP at least.
_PLANS: dict[str, tuple[str, bool, str, int]] = {
    "opened": ("needs_response", False, "single", 1),
    "answered": ("under_review", True, "per_order", 3),
    "won": ("won", False, "single", 2),
    "lost": ("lost", False, "per_order", 2),
    "answered and lost": ("lost", True, "single", 4),
    "found and lost": ("lost", False, "single", 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", stories(_PLANS, "won", "answered and lost", "found and lost"))
def test_a_crash_at_a_boundary_of_a_dispute_costs_nothing(shop: Shop, record_property: Any, name: str) -> None:
    ends, is_answered, mode, calls = _PLANS[name]
    played: list[_Story] = []

    def live(boundaries: Boundaries) -> None:
        shop.reset_time()
        event = shop.buy(2000, 500, charge_mode=mode)
        shop.settle_down()
        story = _Story(shop, event, ends, is_answered=is_answered, is_found=name.startswith("found"))
        played.append(story)
        observed(boundaries, story.play)
        story.end()

    campaign("dispute", live, record_property, calls=calls, answers=calls, begin_at=list(_PLANS).index(name))
    kinds = [kind for kind, _ in shop.journals()]
    parts = 2 if mode == "single" else 1
    assert Dispute.objects.count() == len(played)
    assert DisputePart.objects.count() == kinds.count("open_dispute") == parts * len(played)
    for status, verb in (("won", "win_dispute"), ("lost", "lose_dispute")):
        assert kinds.count(verb) == (parts * len(played) if ends == status else 0)
    assert DisputeEvidence.objects.count() == (len(played) if is_answered else 0)
    assert invariants.check().violations == []
    shop.check()


class _Story:
    """One dispute: opened, answered when that is wanted, and decided. Told by notifications, or found without any."""

    def __init__(self, shop: Shop, event: PaymentEvent, ends: str, *, is_answered: bool, is_found: bool) -> None:
        self.shop, self.ends, self.is_answered, self.is_found = shop, ends, is_answered, is_found
        charge = Charge.objects.filter(event=event).order_by("id")[0]
        self.psp_id = str(shop.psp.control("disputes", payment_intent=charge.psp_id)["id"])
        self.is_closed = False

    def play(self) -> None:
        """Hear of it, answer it, hear of its end."""
        self._hear()
        if self.is_answered:
            self._answer()
        if self.ends in ("won", "lost"):
            self._close()
            self._hear()

    def end(self) -> None:
        """Let a new process go on: the PSP repeats what was not taken, the merchant what was not answered."""
        self._learn()
        self.shop.settle_down()
        if self.is_answered:
            self._answer()
            self.shop.settle_down()
        if self.ends in ("won", "lost"):
            self._close()
            self._learn()
            self.shop.settle_down()
        row = Dispute.objects.get(psp_id=self.psp_id)
        assert row.status == self.ends, (public_id("dsp", row.public_id), row.status, self.shop.waiting())
        assert row.evidence_status == (Dispute.Evidence.SUBMITTED if self.is_answered else Dispute.Evidence.NONE)

    def _learn(self) -> None:
        if self.is_found:
            an_hour_ago = seam.now() - timedelta(hours=1)
            discovery.ask(self.shop.tenant.psp_account.pk, since=an_hour_ago, now=seam.now())
        else:
            self.shop.deliver()

    def _hear(self) -> None:
        self._learn()
        while executor.execute():
            pass

    def _answer(self) -> None:
        row = Dispute.objects.get(psp_id=self.psp_id)
        if row.evidence_status == Dispute.Evidence.NONE:
            texts = {"product_description": "A teapot"}
            evidence.submit(row.pk, texts, [Document("receipt", PDF)], now=seam.now())
        while executor.execute():
            pass

    def _close(self) -> None:
        if not self.is_closed:
            self.shop.psp.control(f"disputes/{self.psp_id}/close", status=self.ends)
            self.is_closed = True
