"""The closing identities hold for what is true, name every difference, and fail by exactly what is wrong."""

from __future__ import annotations

from datetime import timedelta

import pytest

from config import seam
from ledger.ids import public_id
from ledger.models import TransactionKind
from payments.models import Charge
from reconciliation import references
from reconciliation.models import Break, Identity, Item, Match, SettlementFile, Source, StatementLine
from tests.reconciliation.closing import account, as_superuser, clearing, close, close_again, post, residuals, term
from tests.reconciliation.conftest import Desk
from tests.reconciliation.test_matching import sold


def declared(desk: Desk, closing: int, source: Source | None = None) -> SettlementFile:
    """Let the source declare a balance at the end of today."""
    of = source or desk.source
    return SettlementFile.objects.create(
        public_id=seam.new_uuid(),
        book_id=of.book_id,
        source=of,
        format="stripe_api",
        sha256=seam.new_uuid().bytes * 2,
        size=1,
        state="ingested",
        first_day=desk.today,
        last_day=desk.today,
        declared={"EUR": {"opening": None, "closing": closing, "net": None, "count": None}},
        received_at=seam.now(),
        received_from="tests",
    )


def test_a_true_statement_closes_and_its_fees_are_named(desk: Desk) -> None:
    sold(desk, 1000, 2000)
    lines = desk.true_statement()
    fees = sum(line.fee_minor for line in lines)
    found = close(desk)
    assert set(found) == {"bridge", "open_items", "balance"}
    assert residuals(found) == {}
    assert (found["bridge"].left_minor, term(found, "bridge", "in the books")) == (3000 - fees, 3000)
    assert term(found, "bridge", "fees not booked yet") == -fees < 0
    assert (found["open_items"].left_minor, found["balance"].proven) == (0, False)


def test_booked_fees_are_in_the_books(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    found = close_again(desk.night())
    assert residuals(found) == {}
    assert term(found, "bridge", "fees not booked yet") == 0
    assert term(found, "bridge", "in the books") == 1000 - line.fee_minor


def test_fees_that_were_booked_wrong_are_left_over(desk: Desk) -> None:
    sold(desk, 1000)
    desk.true_statement()
    run = desk.night()
    subject, cost = f"{public_id('rec', run.public_id)}:9:EUR:2026-01-01", account(desk, "fees:psp:EUR")
    post(desk, TransactionKind.PSP_FEE, subject, debit=cost, credit=clearing(desk), amount=7)
    assert residuals(close_again(run)) == {"bridge": 7}


def test_what_repairs_book_closes(desk: Desk) -> None:
    """A dispute with its cost, a fee, a payout without lines, unknown money: booked, and explained."""
    event = desk.shop.buy(2000)
    desk.shop.work()
    desk.shop.psp.control("disputes", payment_intent=Charge.objects.get(event=event).psp_id)
    desk.shop.notify()
    desk.shop.work()
    desk.shop.buy(9000)
    desk.shop.work()
    desk.true_statement()
    desk.line(flow="fee", gross_minor=-120, reference="fee_1")
    desk.line(flow="payout", gross_minor=-600, fee_minor=5, reference="po_1")
    desk.line(flow="charge", gross_minor=500, fee_minor=9, reference="pi_nobody")
    run = desk.night()
    found = close_again(run)
    assert residuals(found) == {}
    booked = {kind for kind, _ in desk.shop.journals()}
    assert {"open_dispute", "psp_fee", "psp_payout", "suspend"} <= booked
    assert term(found, "bridge", "fees not booked yet") == 0
    run.source = None
    assert residuals(close_again(run)) == {}, "suspense is what its breaks say"


def test_of_a_payment_that_was_charged_twice_only_one_is_in_suspense(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    desk.line(flow="charge", gross_minor=1000, fee_minor=3, reference=line.reference)
    run = desk.night()
    assert desk.codes() == ["A09"]
    assert desk.balances()["suspense:credit"] == -1000
    assert residuals(close_again(run)) == {}
    run.source = None
    assert residuals(close_again(run)) == {}


def test_what_is_not_due_yet_is_named_and_then_in_a_break(desk: Desk) -> None:
    sold(desk, 1000)
    found = close(desk)
    assert residuals(found) == {}
    assert term(found, "bridge", "items not due yet") == -1000
    assert found["open_items"].left_minor == 1000
    later = close(desk, desk.today + timedelta(days=10))
    assert residuals(later) == {}
    assert term(later, "bridge", "items in breaks") == -1000
    assert (term(later, "open_items", "open before"), later["open_items"].left_minor) == (1000, 1000)


def test_a_line_that_we_do_not_know_is_explained_by_its_break_and_by_nothing_else(desk: Desk) -> None:
    sold(desk, 1000)
    desk.true_statement()
    desk.line(flow="charge", gross_minor=500, reference="pi_nobody")
    run, _ = desk.run()
    found = close_again(run)
    assert residuals(found) == {}
    assert term(found, "bridge", "lines in breaks") == 500
    with as_superuser(desk) as superuser:
        superuser.execute("UPDATE reconciliation_break SET line_ids = '{}'")
    assert residuals(close_again(run)) == {"bridge": 500}


def test_a_line_that_vanishes_is_missed(desk: Desk) -> None:
    """Not while it is open only: the books and the totals of the day before remember it."""
    sold(desk, 1000)
    desk.line(flow="charge", gross_minor=500, reference="pi_nobody", on=desk.today - timedelta(days=1))
    assert residuals(close(desk, desk.today - timedelta(days=1))) == {}
    desk.true_statement()
    with as_superuser(desk) as superuser:
        superuser.execute("DELETE FROM reconciliation_statementline WHERE reference = 'pi_nobody'")
    assert residuals(close(desk)) == {"open_items": -500}


def test_a_matched_line_that_vanishes_is_missed_by_the_bridge(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    run, _ = desk.run()
    with as_superuser(desk) as superuser:
        superuser.execute("DELETE FROM reconciliation_statementline WHERE id = %s", [line.pk])
    assert residuals(close_again(run))["bridge"] == -1000


def test_an_item_that_vanishes_is_missed(desk: Desk) -> None:
    sold(desk, 1000)
    run, _ = desk.run()
    with as_superuser(desk) as superuser:
        superuser.execute("DELETE FROM reconciliation_item")
    assert residuals(close_again(run)) == {"bridge": -1000}
    assert Item.objects.count() == 0


def test_money_that_was_booked_without_cause_is_left_over(desk: Desk) -> None:
    sold(desk, 1000)
    desk.true_statement()
    payable = account(desk, "refund:payable:EUR")
    post(desk, TransactionKind.LATE_SUCCESS, "chg_nobody", debit=clearing(desk), credit=payable, amount=900)
    assert residuals(close(desk)) == {"bridge": -900}


def test_opposite_errors_do_not_hide_each_other_among_what_is_open(desk: Desk) -> None:
    desk.line(flow="charge", gross_minor=700, reference="pi_one")
    desk.line(flow="refund", gross_minor=-700, reference="re_two")
    found = close(desk)
    assert residuals(found) == {}
    assert found["bridge"].left_minor == 0
    assert found["open_items"].left_minor == 1400


def test_a_wrong_pair_is_left_over(desk: Desk) -> None:
    """A rule that says `reference` pairs what is equal; that it was not is seen."""
    sold(desk, 1000)
    desk.true_statement()
    run, _ = desk.run()
    assert residuals(close_again(run)) == {}
    with as_superuser(desk) as superuser:
        superuser.execute("UPDATE reconciliation_statementline SET gross_minor = 1010")
    assert residuals(close_again(run))["bridge"] == 10
    with as_superuser(desk) as superuser:
        superuser.execute("UPDATE reconciliation_match SET rule = 'tolerance'")
    found = close_again(run)
    assert "bridge" not in residuals(found)
    assert term(found, "bridge", "differences allowed by tolerance") == 10
    assert Match.objects.get().rule == "tolerance"


def test_a_journal_about_a_break_takes_no_more_than_the_break_is_about(desk: Desk) -> None:
    desk.line(flow="charge", gross_minor=500, reference="pi_nobody")
    run, _ = desk.run()
    found = Break.objects.get()
    suspense = account(desk, "suspense:credit:EUR")
    subject = f"{public_id('brk', found.public_id)}:1:0"
    post(desk, TransactionKind.SUSPEND, subject, debit=clearing(desk), credit=suspense, amount=500)
    closed = close_again(run)
    assert residuals(closed) == {}
    assert (term(closed, "bridge", "in the books"), term(closed, "bridge", "journals about breaks")) == (500, -500)
    post(desk, TransactionKind.SUSPEND, f"{subject}:again", debit=clearing(desk), credit=suspense, amount=1)
    assert residuals(close_again(run)) == {"bridge": -501}


def test_a_payout_of_the_psp_is_booked_line_by_line(desk: Desk) -> None:
    sold(desk, 1000)
    desk.true_statement()
    payout = desk.line(flow="payout", gross_minor=-600, reference="po_1")
    run, _ = desk.run()
    assert "bridge" not in residuals(close_again(run))
    Break.objects.update(state="resolved", resolution="matched", resolved_at=seam.now())
    Match.objects.create(source=desk.source, run=run, rule="posted", group=payout.pk, line=payout)
    before = close_again(run)
    assert "bridge" not in residuals(before)
    assert term(before, "bridge", "lines not booked yet") == -600
    in_transit = account(desk, "bank:in_transit:EUR")
    subject = references.of_line(payout.pk)
    post(desk, TransactionKind.PSP_PAYOUT, subject, debit=in_transit, credit=clearing(desk), amount=600)
    after = close_again(run)
    assert "bridge" not in residuals(after)
    assert term(after, "bridge", "in the books") == 400


def test_a_payout_that_was_booked_with_another_amount_is_left_over(desk: Desk) -> None:
    payout = desk.line(flow="payout", gross_minor=-600, reference="po_1")
    run, _ = desk.run()
    Break.objects.update(state="resolved", resolution="matched", resolved_at=seam.now())
    Match.objects.create(source=desk.source, run=run, rule="posted", group=payout.pk, line=payout)
    in_transit = account(desk, "bank:in_transit:EUR")
    subject = references.of_line(payout.pk)
    post(desk, TransactionKind.PSP_PAYOUT, subject, debit=in_transit, credit=clearing(desk), amount=590)
    assert residuals(close_again(run))["bridge"] == -10


@pytest.mark.parametrize("off", [0, 1, -250])
def test_the_declared_balance_is_that_of_the_books_and_what_is_explained(desk: Desk, off: int) -> None:
    sold(desk, 1000, 3000)
    lines = desk.true_statement()
    desk.line(flow="charge", gross_minor=500, reference="pi_nobody")
    declared(desk, sum(line.gross_minor - line.fee_minor for line in lines) + 500 + off)
    found = close(desk)
    assert found["balance"].proven
    assert residuals(found) == ({"balance": off} if off else {})


def test_a_day_that_is_closed_again_says_the_same(desk: Desk) -> None:
    sold(desk, 1000)
    desk.true_statement()
    desk.line(flow="charge", gross_minor=500, reference="pi_nobody")
    values = ("name", "currency", "left_minor", "right_minor", "terms", "proven")
    close(desk)
    first = list(Identity.objects.order_by("name", "currency").values(*values))
    close(desk)
    assert list(Identity.objects.order_by("name", "currency").values(*values)) == first


def test_a_revision_takes_the_place_of_its_line(desk: Desk) -> None:
    day = desk.today - timedelta(days=1)
    line = desk.line(flow="charge", gross_minor=500, reference="pi_nobody", on=day, key="txn_1")
    assert residuals(close(desk, day)) == {}
    desk.line(flow="charge", gross_minor=450, reference="pi_nobody", on=day, key="txn_1", revision=1)
    found = close(desk)
    assert residuals(found) == {}
    assert (found["bridge"].left_minor, term(found, "open_items", "lines replaced by a revision")) == (450, -500)
    assert StatementLine.objects.filter(pk=line.pk).exists()


# --- a bank ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bank(desk: Desk) -> Source:
    """Give a bank account as a source."""
    return Source.objects.create(
        public_id=seam.new_uuid(),
        book_id=desk.source.book_id,
        code="bank:main",
        side=Source.Side.BANK,
        bank_name="main",
        account="DE89370400440532013000",
        starts_on=desk.today - timedelta(days=30),
    )


def test_a_bank_line_is_in_the_books_when_a_posting_names_it(desk: Desk, bank: Source) -> None:
    line = desk.line(source=bank, flow="credit", gross_minor=600, text="who knows")
    before = close(desk, source=bank)
    assert residuals(before) == {}
    assert term(before, "bridge", "lines in breaks") == 600
    main, suspense = account(desk, "bank:main:EUR"), account(desk, "bank:in_transit:EUR")
    post(desk, TransactionKind.BANK_CREDIT, references.of_line(line.pk), debit=main, credit=suspense, amount=600)
    declared(desk, 600, bank)
    after = close(desk, source=bank)
    assert {name: residual for name, residual in residuals(after).items() if name != "sub_ledger"} == {}
    assert (term(after, "bridge", "in the books"), after["balance"].proven) == (600, True)


def test_a_bank_posting_that_no_line_proves_is_left_over(desk: Desk, bank: Source) -> None:
    line = desk.line(source=bank, flow="credit", gross_minor=600)
    main, in_transit = account(desk, "bank:main:EUR"), account(desk, "bank:in_transit:EUR")
    post(
        desk,
        TransactionKind.BANK_CREDIT,
        references.of_line(line.pk + 1000),
        debit=main,
        credit=in_transit,
        amount=600,
    )
    assert residuals(close(desk, source=bank))["bridge"] == -600
