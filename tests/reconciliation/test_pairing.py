"""A person matches what is the same money, and takes it back; nothing else is matched that way."""

from __future__ import annotations

import pytest

from config import seam
from payments.errors import InvalidState, NotFound
from reconciliation import pairing
from reconciliation.models import Item, Match, StatementLine
from tests.reconciliation.conftest import Desk
from tests.reconciliation.test_matching import sold

ACTOR = "user:tests"


def apart(desk: Desk, amount: int) -> tuple[StatementLine, Item]:
    """Return a line and an item of 1000 that no rule brings together, after a run has looked at them."""
    sold(desk, 1000)
    line = desk.line(flow="charge", gross_minor=amount, reference="pi_under_another_name")
    desk.run()
    return line, Item.objects.get()


def test_what_a_person_matches_is_explained_and_open_again_when_it_is_undone(desk: Desk) -> None:
    line, item = apart(desk, 1000)
    assert desk.codes() == ["A02"]
    made = pairing.pair(desk.source.pk, [line.pk], [item.pk], actor=ACTOR, note="the buyer's own reference")
    desk.run()
    assert desk.codes() == []
    assert pairing.undo(made[0].pk, actor=ACTOR, note="it was another one", now=seam.now()) == 2
    desk.run()
    assert desk.codes() == ["A02"]
    with pytest.raises(InvalidState, match="was undone"):
        pairing.undo(made[0].pk, actor=ACTOR, note="again", now=seam.now())


def test_what_differs_is_matched_or_unknown_is_refused_and_changes_nothing(desk: Desk) -> None:
    line, item = apart(desk, 999)
    with pytest.raises(InvalidState, match="differ"):
        pairing.pair(desk.source.pk, [line.pk], [item.pk], actor=ACTOR, note="nearly")
    with pytest.raises(NotFound):
        pairing.pair(desk.source.pk, [line.pk, 10**9], [item.pk], actor=ACTOR, note="what")
    with pytest.raises(InvalidState, match="reason"):
        pairing.pair(desk.source.pk, [line.pk], [item.pk], actor=ACTOR, note=" ")
    assert Match.objects.count() == 0
