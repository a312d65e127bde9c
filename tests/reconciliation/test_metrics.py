"""The scrape shows unresolved breaks, their age, how the last runs ended, and when."""

from __future__ import annotations

from django.test import Client

from config import seam
from reconciliation import breaks
from reconciliation.models import Break
from tests.reconciliation.conftest import Desk
from tests.reconciliation.test_matching import sold
from tests.reconciliation.test_night import balanced, reconcile


def figures() -> dict[str, float]:
    """Scrape."""
    text = Client().get("/metrics").content.decode()
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(("florin_break", "florin_reconc")))
    return {name: float(value) for name, value in lines}


def test_breaks_and_verdicts_are_figures(desk: Desk) -> None:
    sold(desk, 1000)
    balanced(desk)
    before = figures()
    assert before['florin_reconciliation_verdicts{verdict="RECONCILED"}'] == 0
    assert not any(name.startswith("florin_breaks") for name in before)
    reconcile(desk)
    assert figures()['florin_reconciliation_verdicts{verdict="RECONCILED"}'] == 1
    desk.line(flow="other", gross_minor=-5, reference="x")
    run = reconcile(desk)
    after = figures()
    assert after[f'florin_reconciliation_verdicts{{verdict="{run.verdict}"}}'] == 1
    assert after['florin_breaks{code="A19",priority="4"}'] == 1
    assert after['florin_break_oldest_seconds{priority="4"}'] >= 0
    assert run.finished_at is not None
    assert after["florin_reconciliation_timestamp_seconds"] == run.finished_at.timestamp()
    for row in Break.objects.all():
        breaks.resolve(row.pk, actor="user:ann", reason="known", now=seam.now())
    assert not any(name.startswith("florin_breaks") for name in figures())
