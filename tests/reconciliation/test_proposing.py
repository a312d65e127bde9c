"""A break that needs a person: one proposes, another approves exactly that, and the break ends with the journal."""

from __future__ import annotations

from datetime import timedelta

import pytest

from config import seam
from ledger.ids import public_id
from ledger.models import Transaction
from payments.errors import Conflict, InvalidState
from reconciliation import breaks
from reconciliation.models import Break, BreakEvent
from reconciliation.repairs import proposing
from tests.reconciliation.conftest import Desk
from wallet import proposals
from wallet.errors import MakerIsChecker

MAKER, CHECKER = "user:maker", "user:checker"


def missing(desk: Desk) -> Break:
    """Return the break of a sale that no statement has in time."""
    desk.shop.buy(1000)
    desk.shop.work()
    desk.night(desk.today + timedelta(days=10))
    return Break.objects.get(code="A03")


def proposed(found: Break) -> proposing.Waiting:
    return proposing.propose(
        found.pk, proposing.suggest(found), memo="the PSP has no such charge", maker=MAKER, now=seam.now()
    )


def test_what_was_never_paid_is_given_up_by_two_people(desk: Desk) -> None:
    found = missing(desk)
    waiting = proposed(found)
    assert {(change.account.split(":")[0], change.before, change.after) for change in waiting.preview.changes} == {
        ("psp", 1000, 0),
        ("write_off", 0, 1000),
    }
    ended = proposing.approve(found.pk, digest=waiting.digest, checker=CHECKER, now=seam.now())
    assert (ended.state, ended.resolution) == ("resolved", "journal")
    journal = Transaction.objects.get(pk=ended.transaction_id)
    assert journal.metadata["break"] == public_id("brk", found.public_id)
    desk.night(desk.today + timedelta(days=11))
    assert desk.codes() == []


def test_the_maker_is_never_the_checker(desk: Desk) -> None:
    found = missing(desk)
    waiting = proposed(found)
    before = Transaction.objects.count()
    with pytest.raises(MakerIsChecker):
        proposing.approve(found.pk, digest=waiting.digest, checker=MAKER, now=seam.now())
    found.refresh_from_db()
    assert (found.state, Transaction.objects.count()) == ("proposed", before)


def test_an_approval_of_something_else_is_refused(desk: Desk) -> None:
    found = missing(desk)
    proposed(found)
    before = Transaction.objects.count()
    with pytest.raises(Conflict, match="not the journal"):
        proposing.approve(found.pk, digest="0" * 64, checker=CHECKER, now=seam.now())
    found.refresh_from_db()
    assert (found.state, Transaction.objects.count()) == ("proposed", before)


def test_a_break_has_one_proposal_at_a_time(desk: Desk) -> None:
    found = missing(desk)
    proposed(found)
    with pytest.raises(InvalidState, match="proposed"):
        proposed(found)
    with pytest.raises(InvalidState, match="checker"):
        breaks.resolve(found.pk, actor=MAKER, reason="never mind", now=seam.now())


def test_what_is_decided_where_all_proposals_are_is_followed(desk: Desk) -> None:
    found = missing(desk)
    waiting = proposed(found)
    proposals.reject(waiting.proposal.pk, checker=CHECKER, note="ask the PSP first", now=seam.now())
    desk.night(desk.today + timedelta(days=11))
    found.refresh_from_db()
    assert found.state == "open"
    assert BreakEvent.objects.filter(what="refused", detail="ask the PSP first").count() == 1
    again = proposed(found)
    proposals.approve(again.proposal.pk, checker=CHECKER, now=seam.now())
    desk.night(desk.today + timedelta(days=12))
    found.refresh_from_db()
    assert (found.state, found.resolution) == ("resolved", "journal")


def test_a_payout_that_arrived_short_is_a_charge_of_the_bank(desk: Desk) -> None:
    bank = desk.bank()
    desk.line(flow="charge", gross_minor=500, reference="pi_x", batch="po_1")
    desk.line(flow="payout", gross_minor=-500, reference="po_1")
    desk.night()
    desk.line(flow="credit", gross_minor=490, reference="X", text="po_1", source=bank)
    # The bank account is in the books from its first entry on.
    desk.line(flow="interest", gross_minor=1, source=bank)
    desk.night(source=bank)
    found = Break.objects.get(code="B03")
    waiting = proposed(found)
    proposing.approve(found.pk, digest=waiting.digest, checker=CHECKER, now=seam.now())
    assert desk.balances()["bank:house"] == 491
    assert desk.balances()["bank:charges"] == 9
    assert "bank:in_transit" not in desk.balances()
    desk.night(source=bank)
    assert [code for code in desk.codes() if code.startswith("B")] == []
