"""Two connections at once: floors hold, references are used once, locks never cross, accounts open once."""

from __future__ import annotations

import random
import threading

import psycopg
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from ledger import accounts, invariants, posting
from ledger.accounts import AccountSpec
from ledger.errors import FloorBroken, PostingRefused, ReferenceConflict, ReferenceRaced
from ledger.models import Account, AccountType, Balance, PostingMode, Transaction
from tests.database import Clone
from tests.factories import NOW
from tests.ledger.desk import C, D, Desk, at_once


def test_a_floor_is_not_broken_by_two_who_spend_the_same_money(committed_desk: Desk) -> None:
    desk = committed_desk
    desk.post(desk.sale("in", 100))
    for n in range(10):
        results = at_once(
            lambda n=n: desk.post(desk.journal(f"a{n}", ("ann", D, 100), ("bob", C, 100))),
            lambda n=n: desk.post(desk.journal(f"b{n}", ("ann", D, 100), ("s0", C, 100))),
        )
        assert {type(result) for result in results} == {list, FloorBroken}
        assert desk.balance("ann").amount == 0
        desk.post(desk.sale(f"in{n}", 100))
    assert invariants.violations() == []


def test_of_many_small_withdrawals_exactly_those_that_are_covered_succeed(committed_desk: Desk) -> None:
    desk = committed_desk
    desk.post(desk.sale("in", 100))

    def spend(worker: int) -> int:
        done = 0
        for n in range(20):
            try:
                desk.post(desk.journal(f"w{worker}-{n}", ("ann", D, 7), ("cash", C, 7)))
                done += 1
            except FloorBroken:
                continue
        return done

    results = at_once(*(lambda worker=worker: spend(worker) for worker in range(4)))
    assert sum(result for result in results if isinstance(result, int)) == 14
    assert desk.balance("ann").amount == 2
    assert invariants.violations() == []


@pytest.mark.parametrize("lines", [[("cash", D, 5), ("ann", C, 5)], [("cash", D, 5), ("fees", C, 5)]])
def test_the_same_reference_from_two_connections_is_posted_once(
    committed_desk: Desk, lines: list[tuple[str, str, int]]
) -> None:
    """The loser waits, then finds the winner's transaction: with a shared wallet, and with recording accounts only."""
    desk = committed_desk
    for n in range(20):
        journal = desk.journal(f"r{n}", *lines)
        first, second = at_once(lambda j=journal: desk.post(j), lambda j=journal: desk.post(j))
        assert isinstance(first, list)
        assert isinstance(second, list)
        assert sorted([first[0].created, second[0].created]) == [False, True]
        assert first[0].transaction_id == second[0].transaction_id
    assert Transaction.objects.count() == 20
    assert invariants.violations() == []


def test_the_same_reference_with_other_legs_from_two_connections_is_a_conflict(committed_desk: Desk) -> None:
    desk = committed_desk
    for n in range(10):
        results = at_once(
            lambda n=n: desk.post(desk.sale(f"r{n}", 100)),
            lambda n=n: desk.post(desk.sale(f"r{n}", 200, seller="bob")),
        )
        assert {type(result) for result in results} == {list, ReferenceConflict}
    assert invariants.violations() == []


def test_batches_that_race_for_references_post_each_once(committed_desk: Desk) -> None:
    """A batch over recording accounts alone may lose such a race; it is told so, and a new try finds everything."""
    desk = committed_desk

    def post_all() -> list[posting.Posted]:
        journals = [desk.journal(f"r{n}", ("cash", D, 1), ("fees", C, 1)) for n in range(50)]
        for _ in range(5):
            try:
                return desk.post(*journals)
            except ReferenceRaced:
                continue
        raise AssertionError("raced five times")

    results = at_once(post_all, post_all, post_all)
    assert all(isinstance(result, list) for result in results), results
    assert Transaction.objects.count() == 50
    assert invariants.violations() == []


def test_sellers_in_any_order_never_deadlock(committed_desk: Desk) -> None:
    """Two connections post overlapping sellers in opposite order, 200 times; sorted locks let both through."""
    desk = committed_desk
    names = [f"s{n}" for n in range(8)]

    def work(worker: int, order: list[str]) -> int:
        shuffle = random.Random(worker)
        for n in range(200):
            part = [name for name in order if shuffle.random() < 0.7] or order[:2]
            lines = [line for name in part for line in (("cash", D, 3), (name, C, 3))]
            desk.post(
                desk.journal(f"one-{worker}-{n}", *lines),
                *(desk.sale(f"{name}-{worker}-{n}", 2, seller=name, fee=1) for name in part),
            )
        return 200

    assert at_once(lambda: work(1, names), lambda: work(2, names[::-1])) == [200, 200]
    assert invariants.violations() == []
    versions = {row.account_id: row.version for row in Balance.objects.filter(version__gt=0)}
    assert len(versions) == 8


def test_hot_accounts_do_not_wait_for_each_other(committed_desk: Desk) -> None:
    """Two open transactions post to the same clearing and fee accounts; neither waits for the other to commit."""
    desk = committed_desk
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            posting.post([desk.sale("r1", 100, seller="ann", fee=10)], now=NOW)
            holding.set()
            assert release.wait(20)

    def pass_by() -> None:
        assert holding.wait(20)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            desk.post(desk.sale("r2", 100, seller="bob", fee=10))
        finally:
            release.set()

    assert at_once(hold, pass_by) == [None, None]
    assert Transaction.objects.count() == 2


def spec(desk: Desk, code: str, **changes: object) -> AccountSpec:
    values = {
        "book_id": desk.book.pk,
        "code": code,
        "type": AccountType.LIABILITY,
        "currency": "EUR",
        "mode": PostingMode.AUTHORIZING,
        "floor": 0,
    }
    return AccountSpec(**{**values, **changes})  # type: ignore[arg-type]


def test_accounts_opened_by_many_at_once_exist_once(committed_desk: Desk) -> None:
    desk = committed_desk
    for n in range(10):
        specs = [spec(desk, f"new:{n}:{k}") for k in range(6)]

        def open_them(specs: list[AccountSpec] = specs) -> dict[tuple[int, str], int]:
            random.shuffle(specs := list(specs))
            with transaction.atomic():
                return accounts.resolve(specs)

        accounts.forget()
        results = at_once(open_them, open_them, open_them)
        assert results[0] == results[1] == results[2], results
    assert Account.objects.filter(code__startswith="new:").count() == 60
    assert Balance.objects.filter(account__code__startswith="new:").count() == 60


def test_ids_of_accounts_that_were_rolled_back_are_not_remembered(committed_desk: Desk) -> None:
    wanted = spec(committed_desk, "new:1")
    with transaction.atomic():
        accounts.resolve([wanted])
        transaction.set_rollback(True)
    assert not accounts.is_known(wanted)
    with transaction.atomic():
        (found,) = accounts.resolve([wanted]).values()
    assert accounts.is_known(wanted)
    assert Account.objects.get(code="new:1").pk == found


def test_a_remembered_account_costs_no_statement(committed_desk: Desk) -> None:
    wanted = spec(committed_desk, "new:1")
    with CaptureQueriesContext(connection) as first:
        accounts.resolve([wanted])
    with CaptureQueriesContext(connection) as second:
        accounts.resolve([wanted])
    assert (len(first), len(second)) == (1, 0)


@pytest.mark.parametrize(
    "other",
    [{"type": AccountType.ASSET}, {"currency": "USD"}, {"mode": PostingMode.RECORDING}],
)
def test_an_account_is_not_opened_as_something_else(desk: Desk, other: dict[str, object]) -> None:
    accounts.resolve([spec(desk, "new:1")])
    with pytest.raises(PostingRefused, match="another type"), transaction.atomic():
        accounts.resolve([spec(desk, "new:1", **other)])


def test_a_process_that_dies_while_posting_leaves_nothing(committed_desk: Desk, committed_db: Clone) -> None:
    desk = committed_desk
    before = Transaction.objects.count()

    def die() -> None:
        with transaction.atomic():
            posting.post([desk.sale("r1")], now=NOW)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                (pid,) = cursor.fetchone()
            with psycopg.connect(committed_db.superuser_url, autocommit=True) as superuser:
                superuser.execute("SELECT pg_terminate_backend(%s)", [pid])
            Transaction.objects.count()

    (result,) = at_once(die)
    assert isinstance(result, Exception)
    assert Transaction.objects.count() == before
    assert desk.post(desk.sale("r1"))[0].created
    assert invariants.violations() == []
