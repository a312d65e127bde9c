"""A night comes to its verdict, can be begun anew at any step, and done twice it changes nothing."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests

from config import seam
from ledger.ids import public_id
from payments import executor, runs
from payments.models import Charge, MerchantBook, OutboxMessage, PaymentOrder, Run
from reconciliation import classification, identities, matching, night
from reconciliation.models import (
    Break,
    BreakEvent,
    Identity,
    Item,
    Match,
    ReconciliationRun,
    SettlementFile,
    Source,
)
from reconciliation.repairs import Repaired
from tests.reconciliation.closing import as_superuser
from tests.reconciliation.conftest import Desk
from tests.reconciliation.test_identities import declared
from tests.reconciliation.test_matching import sold

KEPT = (Item, Match, Break, BreakEvent, Identity, OutboxMessage)


def reconcile(desk: Desk, day: date | None = None, *, of: Source | None = None) -> ReconciliationRun:
    """Do the night of a day of the shop's PSP account."""
    source = of or desk.source
    run = night.open_run(source.book_id, source, day or desk.today, now=seam.now())
    return night.reconcile(run.pk, now=seam.now())


def balanced(desk: Desk) -> None:
    """Let the PSP write everything down and declare its balance."""
    lines = desk.true_statement()
    declared(desk, sum(line.gross_minor - line.fee_minor for line in lines))


def everything() -> list[Any]:
    """Return what a second look must leave as it is; rows of identities are written anew with the same words."""
    rows: list[Any] = [list(model.objects.order_by("id").values()) for model in KEPT if model is not Identity]
    rows.append(list(Identity.objects.order_by("run", "name", "currency").values("run", "name", "terms", "left_minor")))
    kept = ReconciliationRun.objects.order_by("id").values("state", "verdict", "counts", "lines_to", "items_to")
    return [*rows, list(kept)]


def test_a_true_day_is_reconciled_and_told(desk: Desk) -> None:
    sold(desk, 1000, 2000)
    balanced(desk)
    run = reconcile(desk)
    assert (run.state, run.verdict, run.counts["incomplete"]) == ("finished", "RECONCILED", [])
    assert (run.counts["lines"], run.counts["matched"], run.counts["breaks"]) == (2, {"reference": 2}, {})
    fact = OutboxMessage.objects.get(type="reconciliation.completed")
    assert fact.data["id"] == public_id("rec", run.public_id)
    assert (fact.data["verdict"], fact.data["source"]) == ("RECONCILED", "psp")
    assert {one["name"] for one in fact.data["identities"]} >= {"bridge", "open_items", "balance"}
    assert {one["residual"] for one in fact.data["identities"]} == {"0.00"}


def test_a_night_done_twice_changes_nothing(desk: Desk) -> None:
    sold(desk, 1000)
    balanced(desk)
    desk.line(flow="charge", gross_minor=500, reference="pi_nobody")
    declared(desk, 1)
    reconcile(desk)
    before = everything()
    reconcile(desk)
    assert everything() == before


@pytest.mark.parametrize(
    ("what", "verdict"),
    [
        ("nothing declares the balance", "WITH_WARNINGS"),
        ("something is not due yet", "WITH_PENDING"),
        ("the PSP has a charge that we do not know", "BREAKS"),
        ("the PSP has something without a rule", "WITH_WARNINGS"),
        ("another balance", "INCOMPLETE"),
        ("a file was refused", "INCOMPLETE"),
        ("no statement of the day", "INCOMPLETE"),
    ],
)
def test_the_verdict_is_the_worst_that_is_true(desk: Desk, what: str, verdict: str) -> None:
    sold(desk, 1000)
    lines = desk.true_statement() if what != "no statement of the day" else []
    total = sum(line.gross_minor - line.fee_minor for line in lines)
    match what:
        case "something is not due yet":
            declared(desk, total)
            sold(desk, 700)
        case "the PSP has a charge that we do not know":
            desk.line(flow="charge", gross_minor=500, reference="pi_nobody")
            declared(desk, total + 500)
        case "the PSP has something without a rule":
            desk.line(flow="reserve", gross_minor=-100, reference="rsv_1")
            declared(desk, total - 100)
        case "another balance":
            declared(desk, total + 1)
        case "a file was refused":
            declared(desk, total)
            refuse(desk)
    run = reconcile(desk)
    assert run.verdict == verdict
    assert bool(run.counts["incomplete"]) == (verdict == "INCOMPLETE")


def refuse(desk: Desk) -> SettlementFile:
    """Let a file come that contradicts itself."""
    return SettlementFile.objects.create(
        public_id=seam.new_uuid(),
        book_id=desk.source.book_id,
        source=desk.source,
        format="stripe_payout_itemized",
        name="truncated.csv",
        sha256=seam.new_uuid().bytes * 2,
        size=1,
        state="quarantined",
        errors=[{"line": 3, "column": "gross", "code": "invalid_amount", "detail": "12,3x is no amount"}],
        received_at=seam.now(),
        received_from="tests",
    )


def test_a_refused_file_is_a_break_until_a_good_one_came(desk: Desk) -> None:
    refuse(desk)
    reconcile(desk)
    found = Break.objects.get(code="B09")
    assert (found.state, found.priority, found.reference) == ("open", 1, "truncated.csv")
    assert "invalid_amount, line 3" in found.detail
    declared(desk, 0)
    assert reconcile(desk).verdict == "RECONCILED"
    found.refresh_from_db()
    assert (found.state, found.resolution) == ("resolved", "matched")


def test_another_balance_is_a_break_with_the_difference(desk: Desk) -> None:
    sold(desk, 1000)
    balanced(desk)
    declared(desk, 500)
    reconcile(desk)
    found = Break.objects.get(code="B10")
    made = sum(line["amount"] - line["fee"] for line in desk.transactions())
    assert (found.amount_minor, found.currency_id) == (500 - made, "EUR")


def test_a_gap_between_two_statements_of_a_bank_is_a_break(desk: Desk) -> None:
    bank = Source.objects.create(
        public_id=seam.new_uuid(),
        book_id=desk.source.book_id,
        code="bank:main",
        side=Source.Side.BANK,
        bank_name="main",
        account="DE89370400440532013000",
        starts_on=desk.today - timedelta(days=30),
    )
    for number, (opening, closing) in enumerate([(0, 600), (600, 700), (750, 800)]):
        file = declared(desk, closing, bank)
        day = desk.today - timedelta(days=2 - number)
        with as_superuser(desk) as superuser:
            superuser.execute(
                "UPDATE reconciliation_settlementfile SET first_day = %s, last_day = %s, declared = %s WHERE id = %s",
                [day, day, json.dumps({"EUR": {"opening": opening, "closing": closing}}), file.pk],
            )
    reconcile(desk, of=bank)
    found = Break.objects.get(code="B08")
    assert found.amount_minor == 50
    assert "begins with 7.50" in found.detail


@pytest.mark.parametrize("step", ["pair", "classify", "close"])
def test_it_is_begun_anew_where_it_died(desk: Desk, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sold(desk, 1000)
    balanced(desk)
    module = {"pair": matching, "classify": classification, "close": identities}[step]
    with monkeypatch.context() as patch:

        def die(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        patch.setattr(module, step, die)
        with pytest.raises(ZeroDivisionError):
            reconcile(desk)
    failed = ReconciliationRun.objects.get()
    assert (failed.state, failed.verdict, failed.error) == ("failed", "", "ZeroDivisionError: ")
    assert not OutboxMessage.objects.filter(type="reconciliation.completed").exists()
    assert reconcile(desk).verdict == "RECONCILED"
    assert Match.objects.count() == Item.objects.count() == 1


def test_whoever_begins_a_run_anew_stops_the_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sold(desk, 1000)
    balanced(desk)
    begun: list[ReconciliationRun] = []

    def meanwhile(source: Source, day: date, now: datetime) -> None:
        monkeypatch.setattr(night, "fetchers", [])
        begun.append(reconcile(desk, day))
        del source, now

    monkeypatch.setattr(night, "fetchers", [meanwhile])
    with pytest.raises(night.Overtaken):
        reconcile(desk)
    assert begun[0].verdict == "RECONCILED"
    assert ReconciliationRun.objects.get().verdict == "RECONCILED"
    assert OutboxMessage.objects.filter(type="reconciliation.completed").count() == 1


def test_it_looks_again_while_repairs_change_something_but_not_for_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold(desk, 1000)
    balanced(desk)
    looks: list[int] = []

    def work_off(run: ReconciliationRun, *, now: datetime) -> Repaired:
        looks.append(run.pk)
        del now
        return Repaired(booked={"A11": 2})

    monkeypatch.setattr(night.repairs, "work_off", work_off)
    run = reconcile(desk)
    assert len(looks) == night.MAX_ROUNDS
    assert run.counts["repairs"] == {"booked A11": 2 * night.MAX_ROUNDS}


def test_a_lost_notification_is_healed_by_the_night(desk: Desk) -> None:
    """The PSP has the money, nobody told us: it is asked, what it says is booked, and the next look is green."""
    event = desk.shop.buy(1000)
    executor.execute()  # registered: the confirmation is lost
    charge = Charge.objects.get(event=event)
    confirm = requests.post(
        f"{desk.shop.psp.url}/v1/payment_intents/{charge.psp_id}/confirm",
        data={"payment_method": "pm_card_visa"},
        auth=(desk.shop.psp_key, ""),
        timeout=30,
    )
    confirm.raise_for_status()
    balanced(desk)
    run = reconcile(desk)
    assert (run.verdict, run.counts["breaks"]) == ("BREAKS", {"A06": 1})
    assert run.counts["repairs"] == {"asked A06": 1}
    again = Run.objects.get(kind=night.ASKED_FOR)
    assert again.period == f"{public_id('rec', run.public_id)}:2"
    desk.shop.work()
    night.when_asked(again, seam.now())
    run.refresh_from_db()
    assert (run.verdict, run.counts["breaks"]) == ("RECONCILED", {})
    assert PaymentOrder.objects.get(event=event).status == "SUCCESS"


def test_days_that_wait_are_done_before_a_later_one(desk: Desk) -> None:
    yesterday = desk.today - timedelta(days=1)
    night.open_run(desk.source.book_id, desk.source, yesterday, now=seam.now())
    sold(desk, 1000)
    balanced(desk)
    reconcile(desk)
    assert list(ReconciliationRun.objects.order_by("day").values_list("day", "state")) == [
        (yesterday, "finished"),
        (desk.today, "finished"),
    ]


def test_a_day_that_comes_too_late_counts_in_the_last_one(desk: Desk) -> None:
    sold(desk, 1000)
    balanced(desk)
    reconcile(desk)
    yesterday = desk.today - timedelta(days=1)
    desk.line(flow="charge", gross_minor=500, reference="pi_nobody", on=yesterday)
    late = reconcile(desk, yesterday)
    assert (late.state, late.verdict, late.counts["looked_at_in"]) == ("finished", "INCOMPLETE", desk.today.isoformat())
    today = ReconciliationRun.objects.get(day=desk.today)
    assert today.counts["breaks"] == {"A02": 1, "B10": 1}
    assert today.counts["repairs"] == {"booked A02": 1}


def test_the_night_of_a_book_does_every_source_and_the_books(desk: Desk) -> None:
    sold(desk, 1000)
    book = desk.source.book_id
    MerchantBook.objects.filter(pk=book).update(time_zone="Asia/Tokyo")
    now = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
    runs.schedule(now=now)
    row = Run.objects.get(kind=night.NIGHTLY, book_id=book)
    assert (row.period, row.due_at) == ("2026-03-11", datetime(2026, 3, 10, 18, 30, tzinfo=UTC))
    found = night.every_night(row, seam.now())
    assert set(found) == {"psp", "books"}
    assert set(ReconciliationRun.objects.values_list("source__code", "day")) == {
        ("psp", date(2026, 3, 10)),
        (None, date(2026, 3, 10)),
    }
    assert found["books"] == "RECONCILED"


def test_a_run_that_a_file_asks_for_is_done_by_whoever_sweeps(desk: Desk) -> None:
    sold(desk, 1000)
    balanced(desk)
    run = night.open_run(desk.source.book_id, desk.source, desk.today, now=seam.now())
    assert [night.take_up(seam.now()) for _ in range(2)] == [1, 0]
    assert runs.work_off(now=seam.now()) == 1
    run.refresh_from_db()
    assert (run.state, run.verdict) == ("finished", "RECONCILED")
    assert night.take_up(seam.now()) == 0
    ReconciliationRun.objects.update(state="queued", verdict="", finished_at=None)
    assert night.take_up(seam.now()) == 1


def test_what_comes_just_before_the_close_is_booked_by_another_look(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is posted in the snapshot of the close: a statement that came since the last look is looked at first."""
    sold(desk, 1000)

    def nothing_to_repair(_run: ReconciliationRun, *, now: datetime) -> Repaired:
        balanced(desk)  # the statement comes now
        return Repaired()

    monkeypatch.setattr(night.repairs, "work_off", nothing_to_repair)
    run = reconcile(desk)
    assert run.verdict == "RECONCILED"
    assert desk.balances()["fees:psp"] > 0
