"""The incremental checker passes each transaction once, finds what is wrong with it, and raises no false alarm."""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta
from unittest import mock

import psycopg
import pytest
from django.db import connection, transaction

from ledger import accounts, checking, folding, invariants, posting
from ledger.checking import Step
from ledger.models import CheckRun, TransactionKind
from ledger.posting import Journal
from tests.database import Clone
from tests.factories import NOW
from tests.ledger.desk import C, D, Desk, at_once, fold_until_empty, wait_for_the_horizon

NO_TIME = timedelta(0)


def check_until_empty(limit: int = 1000) -> int:
    """Check until nothing is unverified, and return how many were passed: another session may hold the horizon."""
    passed, ends = 0, time.monotonic() + 20
    while checking.watermark().unverified and time.monotonic() < ends:
        step = checking.step(now=NOW, limit=limit)
        assert step.findings == []
        passed += step.passed
    return passed


@pytest.fixture
def books(committed_desk: Desk, superuser: psycopg.Connection) -> Desk:
    """Give a book with sales, a spend, a reversal and partial reversals, all sound and none verified."""
    desk = committed_desk
    superuser.execute("UPDATE ledger_check_mark SET checked_at = NULL, sums_at = NULL, account_id = 0")
    check_until_empty()
    desk.post(*(desk.sale(f"r{n}", 1000 + n, fee=100) for n in range(5)))
    desk.post(desk.journal("spend", ("ann", D, 300), ("bob", C, 300)))
    (sale,) = desk.post(desk.sale("undo", 50, seller="bob", fee=5))
    back = [("cash", C, 50), ("bob", D, 45), ("fees", D, 5)]
    desk.post(
        desk.journal("undone", *back, kind=TransactionKind.REVERSAL, reverses_id=sale.transaction_id)  # type: ignore[arg-type]
    )
    (sale,) = desk.post(desk.sale("undo in part", 50, seller="bob"))
    for part in (20, 30):
        back = [("cash", C, part), ("bob", D, part)]
        kind = TransactionKind.PARTIAL_REVERSAL
        desk.post(desk.journal(f"part {part}", *back, kind=kind, reverses_id=sale.transaction_id))  # type: ignore[arg-type]
    wait_for_the_horizon()
    return desk


def verified() -> dict[int, tuple[int, ...]]:
    """Return what was verified of each account."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT account_id, debits, credits, entries FROM ledger_verified")
        return {row[0]: tuple(map(int, row[1:])) for row in cursor.fetchall()}


def summed() -> dict[int, tuple[int, ...]]:
    """Return the same from the entries."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account_id, coalesce(sum(amount) FILTER (WHERE side = 'D'), 0),"
            " coalesce(sum(amount) FILTER (WHERE side = 'C'), 0), count(*) FROM ledger_entry GROUP BY 1"
        )
        return {row[0]: tuple(map(int, row[1:])) for row in cursor.fetchall()}


# --- sound books -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_sound_books_pass_and_the_watermark_says_how_far(books: Desk, limit: int) -> None:
    before = checking.watermark()
    assert before.unverified == 11
    assert before.oldest_unverified is not None
    assert check_until_empty(limit) == 11
    mark = checking.watermark()
    assert (mark.unverified, mark.oldest_unverified, mark.checked_at) == (0, None, NOW)
    assert mark.transactions - before.transactions == 11
    assert mark.entries - before.entries == 5 * 3 + 2 + 3 * 2 + 2 + 2 * 2
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(id) FROM ledger_entry")
        assert (mark.entry_id,) == cursor.fetchone()
    assert verified() == summed()
    runs = CheckRun.objects.order_by("id")
    assert {(run.kind, run.violations) for run in runs} == {("incremental", 0)}
    assert sum(run.transactions for run in runs) == 11
    assert [run.through_entry for run in runs][-1] == mark.entry_id


def test_sums_are_sound_wherever_fold_and_check_stand(books: Desk) -> None:
    for fold, check in ((0, 3), (1, 0), (0, 2), (1, 4), (0, 1), (1, 1000)):
        if check:
            checking.step(now=NOW, limit=check)
        books.post(books.sale(f"more {fold} {check}", 77, fee=7))
        if fold:
            folding.fold(now=NOW)
        assert checking.sums(now=NOW, every=NO_TIME) == Step(0, 0, [])
    assert fold_until_empty() + check_until_empty() > 0
    assert checking.sums(now=NOW, every=NO_TIME) == Step(0, 0, [])
    assert checking.watermark().sums_at == NOW
    assert not CheckRun.objects.exclude(kind="incremental").exists()


def test_sums_are_looked_at_no_more_often_than_is_wanted(books: Desk, superuser: psycopg.Connection) -> None:
    check_until_empty()
    checking.sums(now=NOW, every=NO_TIME)
    corrupt(superuser, books, "UPDATE ledger_balance SET credits = credits + 1 WHERE account_id = {ann}")
    assert checking.sums(now=NOW + timedelta(minutes=1), every=timedelta(minutes=5)).violations == 0
    assert checking.sums(now=NOW + timedelta(minutes=5), every=timedelta(minutes=5)).violations == 2


def test_an_empty_step_only_says_when_it_was(books: Desk) -> None:
    check_until_empty()
    before, runs = checking.watermark(), CheckRun.objects.count()
    later = NOW + timedelta(minutes=1)
    assert checking.step(now=later) == Step(0, 0, [])
    after = checking.watermark()
    assert (after.entry_id, after.transactions, after.checked_at) == (before.entry_id, before.transactions, later)
    assert CheckRun.objects.count() == runs


def test_a_step_that_is_rolled_back_is_made_again(books: Desk) -> None:
    before = verified()
    with transaction.atomic():
        assert checking.step(now=NOW).passed == 11
        transaction.set_rollback(True)
    assert (checking.watermark().unverified, verified(), CheckRun.objects.count()) == (11, before, 0)
    assert check_until_empty() == 11
    assert verified() == summed()


# --- beside others ---------------------------------------------------------------------------------------------


def test_a_late_commit_is_checked_exactly_once(books: Desk, clone: Clone) -> None:
    """Its xid is older than those of transactions that were committed and verified before it."""
    check_until_empty()
    with psycopg.connect(clone.owner_url) as late:
        late.execute("SELECT pg_current_xact_id()")
        books.post(books.sale("early", 500))
        assert checking.step(now=NOW).passed == 0
        assert checking.watermark().unverified == 1
        late.execute(
            "SELECT ledger_post(ARRAY[gen_random_uuid()], ARRAY[%(book)s]::bigint[], ARRAY['settle_charge'],"
            " ARRAY['late'], ARRAY['\\x00'::bytea], ARRAY[now()], ARRAY[NULL]::timestamptz[], now(), ARRAY['x'],"
            " ARRAY[''], ARRAY['{}']::jsonb[], ARRAY[NULL]::bigint[], ARRAY[1,1],"
            " ARRAY[%(cash)s,%(ann)s]::bigint[], ARRAY['EUR','EUR'], ARRAY['D','C'], ARRAY[5,5]::bigint[], false)",
            {**books.ids, "book": books.book.pk},
        )
        late.commit()
    # The older xid carries the newer version of ann's balance: one step at a time, the chain still holds.
    assert check_until_empty(limit=1) == 2
    assert verified() == summed()
    assert checking.sums(now=NOW, every=NO_TIME).findings == []


def test_only_one_checks_at_a_time(books: Desk) -> None:
    steps = at_once(*(lambda: checking.step(now=NOW) for _ in range(4)))
    assert all(isinstance(step, Step) for step in steps)
    passed = sum(step.passed for step in steps if isinstance(step, Step))
    assert passed + check_until_empty() == 11
    assert verified() == summed()


def test_checking_beside_postings_raises_no_false_alarm(committed_desk: Desk) -> None:
    """Postings with xids taken long before their locks, several wallets at once, folding and checking between."""
    desk = committed_desk
    names = [f"s{n}" for n in range(8)]
    desk.post(*(desk.sale(f"start {name}", 100_000, seller=name) for name in names))
    ready = threading.Event()
    wrong: list[object] = []

    def post(worker: int) -> None:
        dice = random.Random(worker)
        for n in range(60):
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_current_xact_id()")
                if dice.random() < 0.3:
                    time.sleep(0.002)
                payer, taker = dice.sample(names, 2)
                lines = [(payer, D, 3), (taker, C, 2), ("fees", C, 1)]
                made: list[Journal] = [desk.journal(f"w{worker} {n}", *lines)]  # type: ignore[arg-type]
                made += [desk.sale(f"w{worker} {n} {m}", 11, seller=taker) for m in range(dice.randrange(3))]
                posting.post(made, now=NOW)

    def check() -> None:
        while not ready.is_set():
            for step in (checking.step(now=NOW, limit=7), checking.sums(now=NOW, every=NO_TIME)):
                wrong.extend(step.findings)
            folding.fold(now=NOW)

    checker = threading.Thread(target=lambda: at_once(check), daemon=True)
    checker.start()
    results = at_once(*(lambda worker=worker: post(worker) for worker in range(4)))
    ready.set()
    checker.join(60)
    accounts.forget()
    assert results == [None] * 4
    assert wrong == []
    check_until_empty()
    assert verified() == summed()
    assert invariants.violations() == []


def test_a_posting_does_not_wait_for_the_checker(books: Desk, clone: Clone) -> None:
    with psycopg.connect(clone.app_url) as checker:
        checker.execute("SELECT ledger_check(now(), 1000)")
        checker.execute("SELECT ledger_check_sums(now(), now(), 1000)")
        books.post(books.sale("meanwhile", 5, fee=1), books.journal("both", ("ann", D, 1), ("bob", C, 1)))
        checker.rollback()
    assert check_until_empty() == 13


# --- corrupted as only a superuser can -------------------------------------------------------------------------

IN_THE_SLICE = {
    "amount": (
        "UPDATE ledger_entry SET amount = amount + 1 WHERE leg = 1 AND account_id = {cash}",
        "transaction_balances",
    ),
    "amount of a wallet": (
        "UPDATE ledger_entry SET amount = amount + 1 WHERE account_id = {ann} AND account_version = 2",
        "running_balance_follows",
    ),
    "leg lost": (
        (
            "DELETE FROM ledger_entry WHERE account_id = {fees} AND transaction_id ="
            " (SELECT min(transaction_id) FROM ledger_entry WHERE account_id = {fees})"
        ),
        "transaction_has_all_legs",
    ),
    "all legs lost": (
        "DELETE FROM ledger_entry USING ledger_transaction t WHERE t.reference = 'r1' AND transaction_id = t.id",
        "transaction_has_all_legs",
    ),
    "transaction in another book": (
        "UPDATE ledger_transaction SET book_id = book_id + 1000 WHERE reference = 'r1'",
        "entry_has_its_transaction",
    ),
    "moved in time": (
        "UPDATE ledger_transaction SET effective_at = effective_at - interval '1 day' WHERE reference = 'r1'",
        "entry_has_its_transaction",
    ),
    "posted at another time": (
        "UPDATE ledger_entry SET posted_at = posted_at + interval '1 second' WHERE account_id = {fees}",
        "entry_has_its_transaction",
    ),
    "currency": ("UPDATE ledger_account SET currency = 'USD' WHERE id = {cash}", "entry_matches_its_account"),
    "book of an account": (
        "UPDATE ledger_account SET book_id = book_id + 1 WHERE id = {ann}",
        "entry_matches_its_account",
    ),
    "account deleted": ("DELETE FROM ledger_account WHERE id = {bob}", "entry_matches_its_account"),
    "mode": ("UPDATE ledger_account SET mode = 'recording' WHERE id = {ann}", "entry_matches_its_account"),
    "balance": ("UPDATE ledger_balance SET credits = credits + 1 WHERE account_id = {ann}", "balance_equals_entries"),
    "both sides inflated": (
        "UPDATE ledger_balance SET debits = debits + 7, credits = credits + 7 WHERE account_id = {ann}",
        "balance_equals_entries",
    ),
    "version pushed on": (
        "UPDATE ledger_balance SET version = version + 1 WHERE account_id = {ann}",
        "balance_equals_entries",
    ),
    "balance row lost": ("DELETE FROM ledger_balance WHERE account_id = {ann}", "balance_equals_entries"),
    "balance turned around": (
        "UPDATE ledger_balance SET debit_normal = true, floor = NULL WHERE account_id = {ann}",
        "balance_equals_entries",
    ),
    "balance row of a hot account": (
        "INSERT INTO ledger_balance (account_id, debit_normal) VALUES ({cash}, true)",
        "balance_equals_entries",
    ),
    "version": (
        (
            "UPDATE ledger_entry SET account_version = account_version + 10"
            " WHERE account_id = {ann} AND account_version = 3"
        ),
        "versions_have_no_gap",
    ),
    "version forgotten": (
        (
            "UPDATE ledger_entry SET account_version = NULL, balance_after = NULL"
            " WHERE account_id = {ann} AND account_version = 1"
        ),
        "entry_matches_its_account",
    ),
    "running balance": (
        "UPDATE ledger_entry SET balance_after = balance_after + 1 WHERE account_id = {ann} AND account_version = 2",
        "running_balance_follows",
    ),
    "last entry lost": (
        (
            "DELETE FROM ledger_entry WHERE account_id = {ann} AND account_version ="
            " (SELECT max(account_version) FROM ledger_entry WHERE account_id = {ann})"
        ),
        "balance_equals_entries",
    ),
    "money moved between sellers": (
        "UPDATE ledger_entry SET account_id = {s0} WHERE account_id = {ann} AND account_version = 4",
        "versions_have_no_gap",
    ),
    "a transaction deleted": (
        (
            "WITH t AS (DELETE FROM ledger_transaction WHERE reference = 'r4' RETURNING id)"
            " DELETE FROM ledger_entry USING t WHERE transaction_id = t.id"
        ),
        "versions_have_no_gap",
    ),
    "a transaction of nothing": (
        (
            "INSERT INTO ledger_transaction (public_id, book_id, kind, reference, request_hash, leg_count,"
            " effective_at, posted_at, actor, created_xid)"
            " VALUES (gen_random_uuid(), {book}, 'settle_charge', 'empty', '\\x00', 2, now(), now(), 'x',"
            " (SELECT max(created_xid) FROM ledger_transaction))"
        ),
        "transaction_has_all_legs",
    ),
    "a reversal that does not negate": (
        (
            "UPDATE ledger_entry SET amount = amount + 1 WHERE transaction_id ="
            " (SELECT id FROM ledger_transaction WHERE kind = 'reversal') AND account_id IN ({cash}, {fees})"
        ),
        "reversal_negates",
    ),
    "a reversal of nothing": (
        "UPDATE ledger_transaction SET reverses_id = NULL WHERE kind = 'reversal'",
        "reversal_negates",
    ),
    "parts that exceed their original": (
        (
            "UPDATE ledger_entry SET amount = amount + 1 WHERE transaction_id ="
            " (SELECT max(id) FROM ledger_transaction WHERE kind = 'partial_reversal')"
        ),
        "reversal_negates",
    ),
}


def corrupt(superuser: psycopg.Connection, desk: Desk, statement: str) -> None:
    """Run a statement as only a superuser can: with triggers off."""
    superuser.execute("SET session_replication_role = replica")
    changed = superuser.execute(statement.format(**desk.ids, book=desk.book.pk)).rowcount
    superuser.execute("SET session_replication_role = origin")
    assert changed, statement


def found_by(superuser: psycopg.Connection, desk: Desk, statement: str) -> set[str]:
    """Corrupt and check inside a transaction that is rolled back, and return the checks that notice."""
    with superuser.transaction(force_rollback=True), mock.patch.object(checking, "connection", superuser):
        corrupt(superuser, desk, statement)
        found = [*checking.step(now=NOW).findings, *checking.sums(now=NOW, every=NO_TIME).findings]
    assert {finding.book_id for finding in found} <= {desk.book.pk, desk.book.pk + 1, desk.book.pk + 1000, None}
    return {finding.check for finding in found}


@pytest.mark.parametrize("name", IN_THE_SLICE)
def test_a_corruption_in_the_slice_is_found(books: Desk, superuser: psycopg.Connection, name: str) -> None:
    statement, check = IN_THE_SLICE[name]
    assert check in found_by(superuser, books, statement)
    assert check_until_empty() == 11


@pytest.mark.parametrize("name", [name for name in IN_THE_SLICE if name != "a transaction of nothing"])
def test_a_corruption_behind_the_watermark_is_found_by_the_full_check(
    books: Desk, superuser: psycopg.Connection, name: str
) -> None:
    fold_until_empty()
    check_until_empty()
    with superuser.transaction(force_rollback=True):
        corrupt(superuser, books, IN_THE_SLICE[name][0])
        with mock.patch.object(invariants, "connection", superuser):
            assert invariants.violations()
        with mock.patch.object(checking, "connection", superuser):
            assert checking.step(now=NOW) == Step(0, 0, [])


BEHIND = {
    "balance": ("UPDATE ledger_balance SET credits = credits + 1 WHERE account_id = {ann}", "balance_equals_entries"),
    "money moved between wallets": (
        (
            "UPDATE ledger_balance SET credits = credits + CASE account_id WHEN {ann} THEN 5 ELSE -5 END"
            " WHERE account_id IN ({ann}, {bob})"
        ),
        "balance_equals_entries",
    ),
    "balance row lost": ("DELETE FROM ledger_balance WHERE account_id = {ann}", "book_sums_to_zero"),
    "fold": ("UPDATE ledger_folded SET debits = debits + 1 WHERE account_id = {cash}", "fold_equals_entries"),
    "fold lost": ("DELETE FROM ledger_folded WHERE account_id = {cash}", "fold_equals_entries"),
    "fold doubled on both sides": (
        "UPDATE ledger_folded SET debits = debits + 9, credits = credits + 9 WHERE account_id = {fees}",
        "fold_equals_entries",
    ),
    "fold mark put back": ("UPDATE ledger_fold_mark SET xid = '0', transaction_id = 0", "fold_equals_entries"),
    "what was verified": (
        "UPDATE ledger_verified SET debits = debits + 1 WHERE account_id = {ann}",
        "book_sums_to_zero",
    ),
}


@pytest.mark.parametrize("name", BEHIND)
def test_balances_are_compared_behind_the_watermark_too(books: Desk, superuser: psycopg.Connection, name: str) -> None:
    fold_until_empty()
    check_until_empty()
    statement, check = BEHIND[name]
    assert check in found_by(superuser, books, statement)
    assert checking.sums(now=NOW, every=NO_TIME).findings == []


def test_the_round_comes_to_every_wallet(books: Desk, superuser: psycopg.Connection) -> None:
    check_until_empty()
    move = (
        "UPDATE ledger_balance SET credits = credits + CASE account_id WHEN {ann} THEN 5 ELSE -5 END"
        " WHERE account_id IN ({ann}, {bob})"
    )
    with (
        superuser.transaction(force_rollback=True),
        mock.patch.object(checking, "connection", superuser),
        mock.patch.object(checking, "ACCOUNTS_PER_ROUND", 1),
    ):
        superuser.execute("UPDATE ledger_check_mark SET account_id = 0")
        corrupt(superuser, books, move)
        found = [checking.sums(now=NOW, every=NO_TIME).findings for _ in range(3)]
    assert [len(findings) for findings in found] == [1, 1, 0]


def test_findings_are_kept_with_their_book_and_limited(books: Desk, superuser: psycopg.Connection) -> None:
    books.post(*(books.sale(f"many {n}", 10) for n in range(150)))
    wait_for_the_horizon()
    corrupt(superuser, books, "UPDATE ledger_entry SET amount = amount + 1 WHERE account_id = {cash}")
    step = checking.step(now=NOW)
    assert step.violations >= 150
    assert len(step.findings) == 100
    run = CheckRun.objects.get(violations__gt=0)
    assert (run.kind, run.violations, len(run.findings)) == ("incremental", step.violations, 100)
    assert all(one["book"] == books.book.pk and one["detail"] and one["check"] for one in run.findings)


def test_a_full_check_is_recorded_and_moves_nothing(books: Desk) -> None:
    before = checking.watermark()
    found = [invariants.Violation("book_sums_to_zero", "book 1 sums to 1 EUR", books.book.pk)]
    checking.record_full(NOW, transactions=11, violations=found * 120)
    run = CheckRun.objects.get()
    assert (run.kind, run.started_at, run.transactions, run.violations) == ("full", NOW, 11, 120)
    assert len(run.findings) == 100
    assert run.findings[0] == {"check": "book_sums_to_zero", "detail": "book 1 sums to 1 EUR", "book": books.book.pk}
    assert checking.watermark() == before


def test_a_restored_epoch_is_checked_after_those_before_it(books: Desk, superuser: psycopg.Connection) -> None:
    with superuser.transaction(force_rollback=True), mock.patch.object(checking, "connection", superuser):
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute("UPDATE ledger_transaction SET created_xid = '90000000000' WHERE reference = 'r1'")
        superuser.execute("SELECT ledger_begin_epoch()")
        assert checking.step(now=NOW).passed == 11
