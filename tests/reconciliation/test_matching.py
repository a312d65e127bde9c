"""What belongs together is paired; what is left open gets its class, and keeps its identity."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError

from payments import executor
from reconciliation.models import Break, BreakEvent, Item, Match, StatementLine
from tests.reconciliation.conftest import Desk


def sold(desk: Desk, *amounts: int) -> None:
    """Sell something, one payment for each amount."""
    for amount in amounts:
        desk.shop.buy(amount)
        desk.shop.work()


def test_a_true_statement_matches_line_by_line(desk: Desk) -> None:
    sold(desk, 1000, 2000, 3000)
    lines = desk.true_statement()
    run, classified = desk.run()
    assert [line.flow for line in lines] == ["charge"] * 3
    assert Match.objects.filter(rule="reference", run=run).count() == 3
    assert desk.codes() == []
    assert classified.pending == ()
    assert (run.lines_to, run.items_to) == (lines[-1].pk, Item.objects.order_by("-id")[0].pk)


def test_running_a_day_again_changes_nothing(desk: Desk) -> None:
    sold(desk, 1000)
    desk.true_statement()
    desk.line(flow="charge", gross_minor=500, reference="pi_nobody")
    desk.run()
    before = [list(model.objects.order_by("id").values()) for model in (Match, Break, BreakEvent, Item)]
    desk.run()
    assert [list(model.objects.order_by("id").values()) for model in (Match, Break, BreakEvent, Item)] == before


def test_what_is_not_due_is_pending_and_then_missing(desk: Desk) -> None:
    sold(desk, 1000)
    _, today = desk.run()
    assert desk.codes() == []
    assert [(found.flow, found.count, found.amount_minor) for found in today.pending] == [("charge", 1, 1000)]
    desk.run(desk.today + timedelta(days=10))
    assert desk.codes() == ["A03"]
    found = Break.objects.get()
    assert (found.amount_minor, found.priority) == (-1000, 1)


def test_a_break_is_explained_when_its_line_comes_and_keeps_its_history(desk: Desk) -> None:
    sold(desk, 1000)
    desk.run(desk.today + timedelta(days=10))
    desk.true_statement()
    desk.run(desk.today + timedelta(days=11))
    found = Break.objects.get()
    assert (found.state, found.resolution) == ("resolved", "matched")
    assert list(found.events.order_by("id").values_list("what", flat=True)) == ["opened", "resolved"]


def test_an_amount_that_differs_is_a_break_with_the_difference(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    desk.line(flow="charge", gross_minor=-100, reference=line.reference)
    desk.run()
    assert desk.codes() == ["A04"]
    assert Break.objects.get().amount_minor == -100


def test_a_break_that_changes_its_class_stays_the_same_break(desk: Desk) -> None:
    sold(desk, 1000)
    desk.run(desk.today + timedelta(days=10))
    missing = Break.objects.get()
    reference = Item.objects.get().reference
    desk.line(flow="charge", gross_minor=900, reference=reference)
    desk.run(desk.today + timedelta(days=11))
    found = Break.objects.get()
    assert (found.pk, found.code, found.amount_minor) == (missing.pk, "A04", -100)
    assert list(found.events.order_by("id").values_list("what", flat=True)) == ["opened", "reclassified"]


def test_a_charge_that_no_payment_knows_is_missing_here(desk: Desk) -> None:
    desk.line(flow="charge", gross_minor=700, reference="pi_nobody")
    desk.run()
    assert desk.codes() == ["A02"]


def test_a_success_of_which_we_have_not_heard_is_the_psp_ahead(desk: Desk) -> None:
    event = desk.shop.buy(1000)
    charge = event.charges.get()
    executor.execute()  # registered, and the answer to the payment itself is never heard
    charge.refresh_from_db()
    assert charge.psp_id is not None
    assert charge.status != "SUCCEEDED"
    desk.line(flow="charge", gross_minor=1000, reference=charge.psp_id)
    desk.run()
    assert desk.codes() == ["A06"]


def test_a_second_charge_for_a_payment_is_charged_twice(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    desk.line(flow="charge", gross_minor=1000, reference="pi_another", own_reference=line.own_reference)
    desk.run()
    assert desk.codes() == ["A09"]


def test_twin_lines_of_one_charge_are_charged_twice(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    desk.line(flow="charge", gross_minor=1000, reference=line.reference)
    desk.run()
    assert desk.codes() == ["A09"]


def test_a_refund_made_at_the_psp_is_unknown_here(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    desk.run()
    desk.shop.refund_by_hand(line.reference, 300)
    desk.true_statement()
    desk.run()
    assert desk.codes() == ["A12"]
    desk.line(flow="refund", gross_minor=-900, reference="re_more", charge_reference=line.reference)
    desk.run()
    assert desk.codes() == ["A15", "A15"]


def test_a_revised_line_replaces_the_one_before(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    desk.run()
    desk.line(flow="charge", gross_minor=900, reference=line.reference, key=line.key, revision=1)
    desk.run()
    assert desk.codes() == ["A04"]
    assert Match.objects.get().undone_by == "revision"
    desk.line(flow="charge", gross_minor=1000, reference=line.reference, key=line.key, revision=2)
    desk.run()
    assert desk.codes() == []
    assert Match.objects.filter(undone_at__isnull=True).count() == 1


def test_a_day_of_tomorrow_waits(desk: Desk) -> None:
    late = desk.line(flow="charge", gross_minor=700, reference="pi_nobody", on=desk.today + timedelta(days=1))
    run, _ = desk.run()
    assert desk.codes() == []
    assert run.lines_to < late.pk
    desk.run(desk.today + timedelta(days=1))
    assert desk.codes() == ["A02"]


def test_lines_are_never_changed(desk: Desk) -> None:
    line = desk.line(flow="fee", gross_minor=0, fee_minor=30, reference="txn_fee")
    with pytest.raises(DatabaseError, match="permission denied"):
        StatementLine.objects.filter(pk=line.pk).update(gross_minor=1)
    with pytest.raises(DatabaseError, match="permission denied"):
        line.delete()


def test_a_revision_that_only_names_the_payout_stays_matched(desk: Desk) -> None:
    sold(desk, 1000, 2000)
    one, two = desk.true_statement()
    desk.line(flow="charge", gross_minor=-300, reference=one.reference)
    desk.line(flow="charge", gross_minor=300, reference=one.reference)
    desk.run()
    before = Match.objects.filter(undone_at__isnull=True).count()
    for line in (one, two):
        desk.line(flow="charge", gross_minor=line.gross_minor, reference=line.reference,
          own_reference=line.own_reference,
                  key=line.key, revision=1, batch="po_1")  # fmt: skip
    desk.run()
    live = Match.objects.filter(undone_at__isnull=True)
    assert live.count() == before
    assert not live.filter(line__in=[one, two]).exists()
    assert desk.codes() == []


def test_a_revision_of_one_line_of_a_group_opens_all_of_it(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    extra = desk.line(flow="charge", gross_minor=-300, reference=line.reference)
    desk.line(flow="charge", gross_minor=300, reference=line.reference)
    desk.run()
    desk.line(flow="charge", gross_minor=-200, reference=line.reference, key=extra.key, revision=1)
    desk.run()
    assert desk.codes() == ["A04"]
    assert Break.objects.get(state="open").amount_minor == 100


def test_a_charge_that_failed_afterwards_leaves_us_ahead(desk: Desk) -> None:
    sold(desk, 1000)
    (line,) = desk.true_statement()
    desk.line(flow="charge", category="charge_failure", gross_minor=-1000, reference=line.reference)
    desk.run()
    assert desk.codes() == ["A07"]


def test_a_fee_beyond_the_contract_is_seen_and_stays(desk: Desk) -> None:
    desk.source.fee_schedule = {"EUR": {"basis_points": 100, "fixed_minor": 5}}
    desk.source.save()
    sold(desk, 1000)
    (line,) = desk.true_statement()
    desk.run()
    assert desk.codes() == ["A10"]
    found = Break.objects.get()
    assert found.amount_minor == 15 - line.fee_minor
    desk.run(desk.today + timedelta(days=1))
    assert desk.codes() == ["A10"]


def test_what_a_bank_takes_back_or_gives_twice_is_seen(desk: Desk) -> None:
    bank = desk.bank()
    desk.line(flow="debit", category="PMNT-RCDT-OTHR:RVSL", gross_minor=-500, text="taken back", source=bank)
    desk.run(source=bank)
    assert desk.codes() == ["B06"]
