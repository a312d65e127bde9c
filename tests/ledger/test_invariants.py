"""Every check of the books finds the corruption that it is there for. Corrupted as only a superuser can."""

from __future__ import annotations

from unittest import mock

import psycopg
import pytest

from ledger import invariants
from ledger.invariants import Violation
from ledger.models import TransactionKind
from ledger.seals import check, keys, sealing
from tests.ledger.desk import C, D, Desk, fold_until_empty
from tests.ledger.seals.chains import seal_all


@pytest.fixture
def books(committed_desk: Desk) -> Desk:
    """Give a book with sales, a spend and a reversal, all sound."""
    desk = committed_desk
    desk.post(*(desk.sale(f"r{n}", 1000 + n, fee=100) for n in range(5)))
    desk.post(desk.journal("spend", ("ann", D, 300), ("bob", C, 300)))
    (sale,) = desk.post(desk.sale("undo", 50, seller="bob", fee=5))
    back = [("cash", C, 50), ("bob", D, 45), ("fees", D, 5)]
    desk.post(
        desk.journal("undone", *back, kind=TransactionKind.REVERSAL, reverses_id=sale.transaction_id)  # type: ignore[arg-type]
    )
    assert fold_until_empty() == 8
    signer = keys.signer()
    assert signer is not None
    assert seal_all(signer) == 8
    assert invariants.violations() == []
    return desk


CORRUPTIONS = {
    "fold_equals_entries": ["UPDATE ledger_folded SET debits = debits + 1 WHERE account_id = {cash}"],
    "anchors_equal_fold": [
        "UPDATE ledger_anchor SET credits = credits - 1 WHERE account_id = {fees} AND grain = 'day'"
    ],
    "closed_period_is_as_it_was": [
        (
            "WITH p AS (INSERT INTO ledger_period (book_id, ends_at, status, changed_at, changed_by)"
            " VALUES ({book}, '2030-01-01Z', 'closed', now(), 'x') RETURNING id)"
            " INSERT INTO ledger_period_balance SELECT id, {cash}, 0, 1, 1 FROM p"
        )
    ],
    "no_transaction_from_another_cluster": [
        "UPDATE ledger_transaction SET created_xid = '90000000000' WHERE reference = 'r1'"
    ],
    "transaction_balances": ["UPDATE ledger_entry SET amount = amount + 1 WHERE leg = 1 AND account_id = {cash}"],
    "transaction_has_all_legs": [
        (
            "DELETE FROM ledger_entry WHERE account_id = {fees} AND transaction_id ="
            " (SELECT min(transaction_id) FROM ledger_entry WHERE account_id = {fees})"
        )
    ],
    "entry_has_its_transaction": ["DELETE FROM ledger_transaction WHERE reference = 'r1'"],
    "book_sums_to_zero": ["UPDATE ledger_entry SET amount = amount + 1 WHERE leg = 1 AND account_id = {cash}"],
    "entry_matches_its_account": ["UPDATE ledger_account SET currency = 'USD' WHERE id = {cash}"],
    "balance_equals_entries": ["UPDATE ledger_balance SET credits = credits + 1 WHERE account_id = {ann}"],
    "versions_have_no_gap": [
        (
            "UPDATE ledger_entry SET account_version = account_version + 10"
            " WHERE account_id = {ann} AND account_version = 3"
        )
    ],
    "running_balance_follows": [
        "UPDATE ledger_entry SET balance_after = balance_after + 1 WHERE account_id = {ann} AND account_version = 2"
    ],
    "balance_above_floor": [
        "ALTER TABLE ledger_balance DROP CONSTRAINT balance_stays_above_its_floor",
        "UPDATE ledger_balance SET floor = 100000 WHERE account_id = {ann}",
    ],
    "redated_anchors_equal_entries": [
        "INSERT INTO ledger_redated (account_id, grain, starts_at, debits, credits) VALUES ({cash}, 'day', now(), 1, 0)"
    ],
    "runtime_role_cannot_write_the_books": ["GRANT INSERT ON ledger_entry TO florin_app"],
    "seals_cover_history": ["UPDATE ledger_transaction SET memo = 'x' WHERE reference = 'r1'"],
    "reversals_stay_within_the_original": [
        (
            "UPDATE ledger_transaction SET kind = 'partial_reversal', reverses_id ="
            " (SELECT id FROM ledger_transaction WHERE reference = 'r1') WHERE reference = 'r2'"
        )
    ],
    "reversal_negates": [
        (
            "UPDATE ledger_entry SET amount = amount + 1 WHERE transaction_id ="
            " (SELECT id FROM ledger_transaction WHERE kind = 'reversal') AND account_id IN ({cash}, {fees})"
        )
    ],
}

MORE = {
    "balance row lost": ("DELETE FROM ledger_balance WHERE account_id = {ann}", "balance_equals_entries"),
    "balance row of a hot account": (
        "INSERT INTO ledger_balance (account_id, debit_normal) VALUES ({cash}, true)",
        "balance_equals_entries",
    ),
    "balance turned around": (
        "UPDATE ledger_balance SET debit_normal = false WHERE account_id = {owed}",
        "balance_equals_entries",
    ),
    "version forgotten": (
        (
            "UPDATE ledger_entry SET account_version = NULL, balance_after = NULL"
            " WHERE account_id = {ann} AND account_version = 1"
        ),
        "versions_have_no_gap",
    ),
    "both sides inflated": (
        "UPDATE ledger_balance SET debits = debits + 7, credits = credits + 7 WHERE account_id = {ann}",
        "balance_equals_entries",
    ),
    "version pushed on": (
        "UPDATE ledger_balance SET version = version + 1 WHERE account_id = {ann}",
        "balance_equals_entries",
    ),
    "moved to another book": (
        "UPDATE ledger_transaction SET book_id = book_id + 1000 WHERE reference = 'r1'",
        "entry_has_its_transaction",
    ),
    "posted at another time": (
        "UPDATE ledger_transaction SET posted_at = posted_at + interval '1 day' WHERE reference = 'r1'",
        "entry_has_its_transaction",
    ),
    "moved in time": (
        "UPDATE ledger_transaction SET effective_at = effective_at - interval '1 day' WHERE reference = 'r1'",
        "entry_has_its_transaction",
    ),
    "last entry lost": (
        (
            "DELETE FROM ledger_entry WHERE account_id = {ann} AND account_version ="
            " (SELECT max(account_version) FROM ledger_entry WHERE account_id = {ann})"
        ),
        "balance_equals_entries",
    ),
    "money moved between sellers": (
        "UPDATE ledger_entry SET account_id = {bob} WHERE account_id = {ann} AND account_version = 4",
        "balance_equals_entries",
    ),
    "all of a transaction deleted": (
        (
            "WITH t AS (DELETE FROM ledger_transaction WHERE reference = 'r4' RETURNING id)"
            " DELETE FROM ledger_entry USING t WHERE transaction_id = t.id"
        ),
        "balance_equals_entries",
    ),
    "a transaction of nothing": (
        (
            "INSERT INTO ledger_transaction (public_id, book_id, kind, reference, request_hash, leg_count,"
            " effective_at, posted_at, actor)"
            " VALUES (gen_random_uuid(), {book}, 'settle_charge', 'empty', '\\x00', 2, now(), now(), 'x')"
        ),
        "transaction_has_all_legs",
    ),
}


def corrupt(superuser: psycopg.Connection, desk: Desk, *statements: str) -> set[str]:
    """Corrupt inside a transaction that is rolled back, and return the checks that notice."""
    values = {**desk.ids, "book": desk.book.pk}
    with superuser.transaction(force_rollback=True):
        superuser.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            assert superuser.execute(statement.format(**values)).rowcount != 0, statement
        return {violation.check for violation in seen_by(superuser)}


def seen_by(superuser: psycopg.Connection) -> list[Violation]:
    """Run the checks inside the superuser's transaction, before it is rolled back."""
    with (
        mock.patch.object(invariants, "connection", superuser),
        mock.patch.object(check, "connection", superuser),
        mock.patch.object(sealing, "connection", superuser),
    ):
        return invariants.violations()


def test_every_check_has_a_corruption_here() -> None:
    assert set(CORRUPTIONS) == set(invariants.names())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_check_finds_its_corruption(books: Desk, superuser: psycopg.Connection, name: str) -> None:
    assert name in corrupt(superuser, books, *CORRUPTIONS[name])
    assert invariants.violations() == []


@pytest.mark.parametrize("name", MORE)
def test_other_corruptions_are_found_too(books: Desk, superuser: psycopg.Connection, name: str) -> None:
    statement, by = MORE[name]
    assert by in corrupt(superuser, books, statement)


def test_findings_are_limited_and_say_what_is_wrong(books: Desk, superuser: psycopg.Connection) -> None:
    with superuser.transaction(force_rollback=True):
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute("UPDATE ledger_entry SET amount = amount + 1 WHERE account_id = %s", [books.ids["cash"]])
        found = seen_by(superuser)
    assert any(violation.detail.endswith("sums to 1 EUR") for violation in found)
    assert len(found) <= invariants.LIMIT * len(invariants.names())


def test_a_new_epoch_puts_the_xids_of_another_cluster_into_the_past(books: Desk, superuser: psycopg.Connection) -> None:
    foreign = "UPDATE ledger_transaction SET created_xid = '90000000000' WHERE reference = 'r1'"
    check = "no_transaction_from_another_cluster"
    assert check in corrupt(superuser, books, foreign)
    assert check not in corrupt(superuser, books, foreign, "SELECT ledger_begin_epoch()")
