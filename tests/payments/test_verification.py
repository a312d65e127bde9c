"""A wrong sum is found, written down, told, and stops the payouts of its book until a person lifts the stop."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command
from django.db import Error, IntegrityError, connection, transaction
from django.test import Client
from structlog.testing import capture_logs

from ledger import checking, folding
from ledger.invariants import Violation
from ledger.models import CheckRun
from payments import payout_stops, runs, verification
from payments.errors import InvalidState, NotFound
from payments.models import PayoutStop, Run
from tests.database import Clone
from tests.factories import NOW
from tests.ledger.desk import Desk, at_once, fold_until_empty, wait_for_the_horizon

WRONG = "UPDATE ledger_entry SET amount = amount + 1 WHERE account_id = {cash}"
OUT_OF_BALANCE = "UPDATE ledger_balance SET credits = credits + 1 WHERE account_id = {ann}"
MISDATED = "UPDATE ledger_transaction SET effective_at = effective_at - interval '1 day' WHERE book_id = {book}"


@pytest.fixture
def desk(committed_db: Clone, superuser: psycopg.Connection) -> Desk:
    """Give a book with a few sales, none of them verified, beside a sound one."""
    verify_all()
    superuser.execute("UPDATE ledger_check_mark SET checked_at = NULL, sums_at = NULL, account_id = 0")
    other, desk = Desk.open(), Desk.open()
    other.post(other.sale("o1", 700, fee=70))
    desk.post(*(desk.sale(f"s{n}", 1000, fee=100) for n in range(3)))
    wait_for_the_horizon()
    return desk


def verify_all() -> int:
    """Verify until nothing is left: another session may hold the horizon for a while."""
    passed = 0
    for _ in range(2000):
        passed += verification.verify_new(now=NOW)
        if not checking.watermark().unverified:
            return passed
    raise AssertionError("the horizon does not move")


def corrupt(superuser: psycopg.Connection, desk: Desk, statement: str) -> None:
    """Change the books as only a superuser can."""
    superuser.execute("SET session_replication_role = replica")
    assert superuser.execute(statement.format(**desk.ids, book=desk.book.pk)).rowcount
    superuser.execute("SET session_replication_role = origin")


# --- as the books grow -----------------------------------------------------------------------------------------


def test_sound_books_stop_nothing(desk: Desk) -> None:
    assert verify_all() == 4
    assert not PayoutStop.objects.exists()
    assert not payout_stops.payouts_stopped(desk.book.pk)
    assert checking.watermark().sums_at == NOW


def test_a_wrong_transaction_stops_the_payouts_of_its_book(desk: Desk, superuser: psycopg.Connection) -> None:
    corrupt(superuser, desk, WRONG)
    superuser.execute("UPDATE ledger_check_mark SET sums_at = %s", [NOW])
    with capture_logs() as logs:
        verify_all()
    stop = PayoutStop.objects.get()
    assert (stop.book_id, stop.reason, stop.since) == (desk.book.pk, "transaction_balances", NOW)
    assert (stop.stopped_by, stop.lifted_at) == ("check:incremental", None)
    assert stop.detail.endswith("sums to 1 EUR")
    assert payout_stops.payouts_stopped(desk.book.pk)
    assert not payout_stops.payouts_stopped(desk.book.pk - 1)
    errors = [log for log in logs if log["log_level"] == "error"]
    assert [log["book"] for log in errors if log["event"] == "payouts_stopped"] == [desk.book.pk]
    assert "transaction_balances" in next(log for log in errors if log["event"] == "books_wrong")["checks"]


def test_a_wrong_balance_behind_the_watermark_stops_them_too(desk: Desk, superuser: psycopg.Connection) -> None:
    verify_all()
    corrupt(superuser, desk, OUT_OF_BALANCE)
    verification.verify_new(now=NOW + timedelta(minutes=1))
    assert not PayoutStop.objects.exists(), "the sums were looked at a minute ago"
    verification.verify_new(now=NOW + timedelta(minutes=6))
    assert PayoutStop.objects.get().reason == "book_sums_to_zero"


def test_what_is_wrong_but_no_sum_is_told_and_stops_nothing(desk: Desk, superuser: psycopg.Connection) -> None:
    corrupt(superuser, desk, MISDATED)
    with capture_logs() as logs:
        verify_all()
    assert [log["checks"] for log in logs if log["event"] == "books_wrong"] == [["entry_has_its_transaction"]]
    assert CheckRun.objects.get(violations__gt=0).kind == "incremental"
    assert not PayoutStop.objects.exists()


def test_a_crash_between_check_and_stop_loses_neither(
    desk: Desk, superuser: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrupt(superuser, desk, WRONG)

    def crash(*_: object, **__: object) -> int:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(payout_stops, "stop", crash)
        with pytest.raises(ZeroDivisionError):
            verify_all()
    assert checking.watermark().unverified == 4
    assert not CheckRun.objects.filter(violations__gt=0).exists()
    assert verify_all() == 4
    assert PayoutStop.objects.count() == 1


def test_it_is_short_however_much_there_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of time it ends after a step, and the next call goes on from there."""
    monkeypatch.setattr(verification, "TRANSACTIONS_PER_STEP", 1)
    real = checking.step
    monkeypatch.setattr(checking, "step", lambda *, now: real(now=now, limit=1))
    passed = [verification.verify_new(now=NOW, seconds=0) for _ in range(4)]
    assert set(passed) <= {0, 1}
    assert sum(passed) + verify_all() == 4


# --- everything ------------------------------------------------------------------------------------------------


def test_the_nightly_run_looks_at_everything_and_is_recorded(desk: Desk, superuser: psycopg.Connection) -> None:
    verify_all()
    mark = checking.watermark()
    corrupt(superuser, desk, WRONG)
    verification.verify_new(now=NOW)
    assert not PayoutStop.objects.exists(), "it is behind the watermark"
    runs.schedule(now=NOW)
    Run.objects.filter(kind="full_check").update(due_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert runs.work_off(now=NOW) >= 1
    run = Run.objects.get(kind="full_check", finished_at__isnull=False)
    assert (run.result["ok"], run.result["checked"]["transactions"]) == (False, 4)
    assert {"transaction_balances", "book_sums_to_zero"} <= {found["check"] for found in run.result["violations"]}
    kept = CheckRun.objects.get(kind="full")
    assert (kept.transactions, kept.violations) == (4, len(run.result["violations"]))
    assert checking.watermark() == mark
    stop = PayoutStop.objects.get()
    assert (stop.book_id, stop.reason, stop.stopped_by) == (desk.book.pk, "transaction_balances", "check:full")


def test_violations_of_payments_are_recorded_and_stop_nothing(desk: Desk) -> None:
    """A transaction that no order, charge or refund caused is wrong, and no wrong sum."""
    corrupt_free = verification.verify_everything(now=NOW)
    assert {found.check for found in corrupt_free.violations} == {"posting_has_its_cause"}
    assert CheckRun.objects.get().violations == len(corrupt_free.violations) > 0
    assert not PayoutStop.objects.exists()


def test_verify_books_shows_how_far_the_books_are_verified(committed_db: Clone, superuser: psycopg.Connection) -> None:
    superuser.execute("UPDATE ledger_check_mark SET checked_at = NULL")
    out = StringIO()
    call_command("verify_books", stdout=out)
    assert out.getvalue().splitlines()[-2] == "Not verified as they grew yet: no sweeper has run."
    verify_all()
    out = StringIO()
    call_command("verify_books", stdout=out)
    mark = checking.watermark()
    expected = f"through entry {mark.entry_id} at {NOW:%Y-%m-%d %H:%M:%S} UTC; 0 transactions wait."
    assert expected in out.getvalue().splitlines()[-2]
    out = StringIO()
    call_command("verify_books", "--json", stdout=out)
    shown = json.loads(out.getvalue())["verified"]
    assert (shown["through_entry"], shown["at"]) == (mark.entry_id, NOW.isoformat())
    assert (shown["transactions"], shown["unverified_transactions"]) == (mark.transactions, 0)
    assert CheckRun.objects.filter(kind="full").count() == 3


def test_on_a_server_that_only_reads_it_looks_and_writes_nothing(desk: Desk) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        report = verification.verify_everything(now=NOW)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
    assert report.checked["transactions"] == 4
    assert not CheckRun.objects.filter(kind="full").exists()


def test_a_full_check_beside_folding_and_checking_agrees(desk: Desk) -> None:
    """All see one snapshot each: no false alarm while the others move their cursors."""

    def post() -> None:
        for n in range(40):
            desk.post(desk.sale(f"more {n}", 50, fee=5))

    def grow() -> None:
        for _ in range(30):
            verification.verify_new(now=NOW + timedelta(days=1))
            folding.fold(now=NOW)

    def look() -> set[str]:
        return {found.check for _ in range(10) for found in verification.verify_everything(now=NOW).violations}

    results = at_once(post, grow, look)
    assert results == [None, None, {"posting_has_its_cause"}]
    fold_until_empty()
    assert not PayoutStop.objects.exists()


# --- stops -----------------------------------------------------------------------------------------------------


def wrong(book: int | None, check: str = "book_sums_to_zero") -> Violation:
    return Violation(check, "sums to 1 EUR", book)


def test_a_stop_is_opened_once(desk: Desk) -> None:
    first = [payout_stops.stop([wrong(desk.book.pk)] * 3, actor="check:full", now=NOW) for _ in range(3)]
    assert first == [1, 0, 0]
    others = at_once(
        *(lambda: payout_stops.stop([wrong(desk.book.pk - 1)], actor="check:full", now=NOW) for _ in range(5))
    )
    assert sorted(map(str, others)) == ["0"] * 4 + ["1"]
    assert PayoutStop.objects.count() == payout_stops.open_stops() == 2


@pytest.mark.parametrize("unknown", [None, 2**40])
def test_a_wrong_sum_of_no_known_book_stops_every_book(desk: Desk, unknown: int | None) -> None:
    assert payout_stops.stop([wrong(unknown)], actor="check:full", now=NOW) == 2
    assert payout_stops.payouts_stopped(desk.book.pk)


def test_only_a_person_with_a_note_lifts_a_stop(desk: Desk) -> None:
    payout_stops.stop([wrong(desk.book.pk)], actor="check:full", now=NOW)
    stop = PayoutStop.objects.get()
    for actor, note in (("user:", "x"), ("", "x"), ("check:full", "x"), ("user:mila", ""), ("user:mila", "  ")):
        with pytest.raises(InvalidState):
            payout_stops.lift(stop.pk, actor=actor, note=note, now=NOW)
    with pytest.raises(NotFound):
        payout_stops.lift(stop.pk + 1, actor="user:mila", note="x", now=NOW)
    assert payout_stops.payouts_stopped(desk.book.pk)
    lifted = payout_stops.lift(stop.pk, actor="user:mila", note="entry corrected, see ticket", now=NOW)
    assert (lifted.lifted_by, lifted.note, lifted.lifted_at) == ("user:mila", "entry corrected, see ticket", NOW)
    assert not payout_stops.payouts_stopped(desk.book.pk)
    with pytest.raises(InvalidState, match="was lifted"):
        payout_stops.lift(stop.pk, actor="user:mila", note="again", now=NOW)


def test_a_stop_comes_back_while_its_cause_is_there(desk: Desk, superuser: psycopg.Connection) -> None:
    corrupt(superuser, desk, WRONG)
    verify_all()
    payout_stops.lift(PayoutStop.objects.get().pk, actor="user:mila", note="hm", now=NOW)
    verify_all()
    assert not payout_stops.payouts_stopped(desk.book.pk), "what is behind the watermark is left to the night"
    verification.verify_everything(now=NOW)
    assert payout_stops.payouts_stopped(desk.book.pk)
    assert PayoutStop.objects.count() == 2


RAW = {
    "a second open stop": (
        "INSERT INTO payments_payoutstop (book_id, reason, detail, since, stopped_by)"
        " SELECT book_id, 'x', '', now(), 'x' FROM payments_payoutstop"
    ),
    "lifting by nobody": "UPDATE payments_payoutstop SET lifted_at = now(), note = 'x'",
    "lifting by a machine": "UPDATE payments_payoutstop SET lifted_at = now(), lifted_by = 'check:full', note = 'x'",
    "lifting without a note": "UPDATE payments_payoutstop SET lifted_at = now(), lifted_by = 'user:x'",
    "another reason": "UPDATE payments_payoutstop SET reason = 'none'",
    "another book": "UPDATE payments_payoutstop SET book_id = book_id - 1",
    "deleting": "DELETE FROM payments_payoutstop",
    "truncating": "TRUNCATE payments_payoutstop",
    "deleting runs": "DELETE FROM payments_run",
}


@pytest.mark.parametrize("name", RAW)
def test_the_database_refuses_the_runtime_role(desk: Desk, name: str) -> None:
    payout_stops.stop([wrong(desk.book.pk)], actor="check:full", now=NOW)
    with pytest.raises((IntegrityError, Error)), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(RAW[name])
    assert payout_stops.payouts_stopped(desk.book.pk)


def test_a_lifted_stop_stays_lifted(desk: Desk) -> None:
    payout_stops.stop([wrong(desk.book.pk)], actor="check:full", now=NOW)
    payout_stops.lift(PayoutStop.objects.get().pk, actor="user:mila", note="x", now=NOW)
    with pytest.raises(Error, match="only once"), transaction.atomic():
        PayoutStop.objects.update(lifted_at=None, lifted_by="", note="")
    assert PayoutStop.objects.get().lifted_by == "user:mila"


# --- seen ------------------------------------------------------------------------------------------------------


def test_figures_show_how_far_and_how_wrong(desk: Desk, superuser: psycopg.Connection) -> None:
    corrupt(superuser, desk, WRONG)
    before = Client().get("/metrics").content.decode()
    assert "florin_ledger_unverified_transactions 4.0" in before
    assert "florin_books_out_of_balance 0.0" in before
    assert "florin_runs_dead 0.0" in before
    verify_all()
    after = Client().get("/metrics").content.decode()
    assert "florin_ledger_unverified_transactions 0.0" in after
    assert "florin_books_out_of_balance 1.0" in after
    figures = dict(line.rsplit(" ", 1) for line in after.splitlines() if line.startswith("florin_ledger_verified"))
    assert float(figures["florin_ledger_verified_entry"]) == checking.watermark().entry_id
    assert float(figures["florin_ledger_verified_timestamp_seconds"]) == NOW.timestamp()
