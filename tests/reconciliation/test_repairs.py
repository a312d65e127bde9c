"""What a statement proves is booked once; unknown money waits in suspense; a lost notification heals by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger import invariants
from ledger.models import Transaction
from payments import executor
from payments.models import Charge
from reconciliation.models import Break, BreakEvent, Match, RepairCap
from tests.reconciliation.conftest import Desk


def sold(desk: Desk, *amounts: int) -> None:
    """Sell something, one payment for each amount."""
    for amount in amounts:
        desk.shop.buy(amount)
        desk.shop.work()


def journals(desk: Desk) -> int:
    return Transaction.objects.filter(book=desk.shop.tenant.book).count()


def test_the_fees_of_matched_lines_are_one_journal(desk: Desk) -> None:
    sold(desk, 1000, 2000)
    fees = sum(line.fee_minor for line in desk.true_statement())
    assert fees > 0
    before = journals(desk)
    desk.night()
    desk.night()
    assert journals(desk) == before + 1
    assert desk.balances()["fees:psp"] == fees
    assert desk.balances()["psp:clearing"] == 3000 - fees
    assert invariants.violations() == []


def test_a_fee_that_a_revision_corrects_is_corrected_by_the_difference(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    desk.night()
    desk.line(
        flow="charge",
        gross_minor=1000,
        fee_minor=line.fee_minor + 7,
        reference=line.reference,
        key=line.key,
        revision=1,
    )
    desk.night()
    assert desk.balances()["fees:psp"] == line.fee_minor + 7
    assert desk.codes() == []


def test_a_fee_that_stands_alone_is_booked_and_the_break_resolved(desk: Desk) -> None:
    desk.line(flow="fee", category="tax", gross_minor=-30, reference="txn_fee")
    desk.line(flow="fee", category="network_cost", gross_minor=0, fee_minor=12, reference="txn_fee2")
    desk.night()
    assert desk.balances() == {"fees:psp": 42, "psp:clearing": -42}
    assert sorted(Break.objects.values_list("code", "state", "resolution")) == [("A11", "resolved", "booked")] * 2
    before = journals(desk)
    desk.night()
    assert journals(desk) == before


def test_a_payout_of_the_psp_is_on_its_way_and_arrives(desk: Desk) -> None:
    bank = desk.bank()
    sold(desk, 1000)
    (line,) = desk.true_statement()
    net = 1000 - line.fee_minor
    # The line is in the payout: the same key, revised by the file that knows the payout.
    desk.line(
        flow="charge",
        gross_minor=1000,
        fee_minor=line.fee_minor,
        reference=line.reference,
        key=line.key,
        revision=1,
        batch="po_1",
    )
    desk.line(flow="payout", gross_minor=-net, reference="po_1")
    desk.night()
    assert desk.codes() == []
    assert desk.balances()["bank:in_transit"] == net
    desk.night(source=bank)
    assert desk.codes() == []
    desk.line(flow="credit", gross_minor=net, reference="CAMT1", text="STRIPE PO_1 po_1", source=bank)
    desk.night(source=bank)
    assert desk.balances()["bank:house"] == net
    assert "bank:in_transit" not in desk.balances()
    assert Match.objects.filter(source=bank, rule="payout").count() == 1


def test_a_payout_that_does_not_add_up_is_not_booked(desk: Desk) -> None:
    desk.line(flow="fee", gross_minor=-30, reference="txn_fee", batch="po_1")
    desk.line(flow="payout", gross_minor=-500, reference="po_1")
    desk.night()
    assert desk.codes() == ["B01"]
    assert Break.objects.get(code="B01").amount_minor == -530
    assert "bank:in_transit" not in desk.balances()


def test_a_payout_that_does_not_arrive_is_missing_at_the_bank(desk: Desk) -> None:
    bank = desk.bank()
    desk.line(flow="charge", gross_minor=500, reference="pi_x", batch="po_1")
    desk.line(flow="payout", gross_minor=-500, reference="po_1")
    desk.night()
    desk.night(desk.today + timedelta(days=10), source=bank)
    assert "B02" in desk.codes()
    desk.line(
        flow="credit", gross_minor=499, reference="X", text="po_1", source=bank, on=desk.today + timedelta(days=11)
    )
    desk.night(desk.today + timedelta(days=11), source=bank)
    assert "B03" in desk.codes()
    assert "B02" not in desk.codes()


def test_a_payout_that_comes_back_is_at_the_psp_again(desk: Desk) -> None:
    bank = desk.bank()
    desk.line(flow="charge", gross_minor=500, reference="pi_x", batch="po_1")
    desk.line(flow="payout", gross_minor=-500, reference="po_1")
    desk.night()
    desk.line(flow="payout_reversal", gross_minor=500, reference="po_1")
    desk.night()
    assert "bank:in_transit" not in desk.balances()
    assert Break.objects.get(code="B05").resolution == "return booked"
    desk.night(desk.today + timedelta(days=10), source=bank)
    assert "B02" not in desk.codes()


def test_unknown_money_waits_in_suspense_in_front_of_a_person(desk: Desk) -> None:
    desk.line(flow="charge", gross_minor=700, fee_minor=20, reference="pi_nobody")
    desk.night()
    assert desk.balances() == {"psp:clearing": 680, "fees:psp": 20, "suspense:credit": -700}
    found = Break.objects.get()
    assert (found.code, found.state) == ("A02", "open")
    assert found.transaction_id is not None
    desk.night(desk.today + timedelta(days=1))
    assert desk.codes() == ["A02"]
    assert desk.balances()["suspense:credit"] == -700


def test_what_a_bank_does_by_itself_is_booked(desk: Desk) -> None:
    bank = desk.bank()
    desk.line(flow="fee", gross_minor=-15, category="CHRG", source=bank)
    desk.line(flow="interest", gross_minor=4, category="INTR", source=bank)
    desk.line(flow="credit", gross_minor=900, category="RCDT", source=bank)
    desk.line(flow="debit", gross_minor=-50, category="ICDT", source=bank)
    desk.night(source=bank)
    assert desk.balances() == {
        "bank:house": 839,
        "bank:charges": 11,
        "suspense:credit": -900,
        "suspense:debit": 50,
    }
    assert desk.codes() == ["B04", "B04"]


def test_above_its_cap_a_repair_waits_for_a_person(desk: Desk) -> None:
    RepairCap.objects.create(book=desk.shop.tenant.book, code="A11", currency_id="EUR", item_minor=40, day_minor=60)
    for fee in (41, 40, 40):
        desk.line(flow="fee", gross_minor=-fee, reference=f"fee {fee}")
    desk.night()
    assert desk.balances()["fees:psp"] == 40
    assert desk.codes() == ["A11", "A11"]


def test_a_lost_notification_heals_by_itself(desk: Desk) -> None:
    event = desk.shop.buy(1000)
    executor.execute()  # registered; the answer to the payment is lost, and so is the notification
    charge = Charge.objects.get(event=event)
    assert charge.status != "SUCCEEDED"
    desk.shop.settle_down()
    desk.true_statement()
    desk.night()
    charge.refresh_from_db()
    assert charge.status == "SUCCEEDED"
    assert desk.codes() == []


def test_money_in_suspense_is_taken_out_when_it_is_named(desk: Desk) -> None:
    sold(desk, 1000)
    charge = Charge.objects.get()
    desk.line(flow="charge", gross_minor=1000, fee_minor=20, reference=charge.psp_id or "")
    # As if we had not expected it yet when the statement came.
    desk.expect_from(desk.today + timedelta(days=5))
    desk.night()
    assert desk.codes() == ["A09"]
    assert desk.balances()["suspense:credit"] == -1000
    desk.expect_from(desk.today - timedelta(days=5))
    desk.night()
    assert desk.codes() == []
    assert "suspense:credit" not in desk.balances()


def test_rounding_is_booked_within_its_cap(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    desk.line(
        flow="charge", gross_minor=1001, fee_minor=line.fee_minor, reference=line.reference, key=line.key, revision=1
    )
    desk.night()
    assert Break.objects.get().resolution == "rounding booked"
    assert desk.balances()["rounding"] == -1
    assert desk.balances()["psp:clearing"] == 1001 - line.fee_minor


@pytest.mark.parametrize("flow", ["reserve", "top_up", "other"])
def test_what_has_no_rule_is_in_front_of_a_person(desk: Desk, flow: str) -> None:
    desk.line(flow=flow, gross_minor=-100, category="risk_reserved_funds")
    desk.night()
    assert desk.codes() == ["A19"]
    assert desk.balances() == {}
    assert BreakEvent.objects.get().what == "opened"


def test_a_line_that_was_withdrawn_takes_its_fee_with_it(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    desk.night()
    desk.line(flow="charge", gross_minor=0, fee_minor=0, reference=line.reference, key=line.key, revision=1)
    desk.night()
    assert desk.codes() == []
    assert "fees:psp" not in desk.balances()
    desk.night(desk.today + timedelta(days=10))
    assert desk.codes() == ["A03"]
