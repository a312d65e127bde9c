"""Posting guarantees: all or none, once per reference, balanced, within floors, in one statement."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import balances, invariants, posting
from ledger.errors import (
    AccountClosed,
    AmountOutOfRange,
    FloorBroken,
    LedgerError,
    PostingRefused,
    ReferenceConflict,
    ReversalExceeds,
    Unbalanced,
    UnknownAccount,
)
from ledger.models import Entry, Transaction, TransactionKind
from ledger.posting import Leg
from tests.factories import NOW
from tests.ledger.desk import C, D, Desk, digests

BIGINT = 2**63 - 1


def refuse(desk: Desk, error: type[LedgerError], *journals: posting.Journal) -> None:
    """Post, and assert the refusal and that the books are as they were."""
    before = digests(connection)
    with pytest.raises(error) as caught:
        desk.post(*journals)
    assert type(caught.value) is error
    assert digests(connection) == before


def test_a_new_journal_is_created_and_says_so(desk: Desk) -> None:
    (posted,) = desk.post(desk.sale("r1", 1000, fee=100))
    assert posted.created
    written = Transaction.objects.get(pk=posted.transaction_id)
    assert (written.book, written.kind, written.reference, written.leg_count) == (
        desk.book,
        "settle_charge",
        "r1",
        3,
    )
    assert (written.effective_at, written.posted_at, written.actor, written.memo) == (NOW, NOW, "tests", "")
    assert list(
        written.entries.order_by("leg").values_list(
            "leg", "account_id", "currency_id", "side", "amount", "account_version", "balance_after"
        )
    ) == [
        (1, desk.ids["cash"], "EUR", "D", 1000, None, None),
        (2, desk.ids["ann"], "EUR", "C", 900, 1, 900),
        (3, desk.ids["fees"], "EUR", "C", 100, None, None),
    ]
    assert invariants.violations() == []


def test_the_same_again_is_the_first_result_and_writes_nothing(desk: Desk) -> None:
    (first,) = desk.post(desk.sale("r1"))
    before = digests(connection)
    later = replace(desk.sale("r1"), effective_at=NOW + timedelta(days=1), actor="someone else", memo="again")
    assert desk.post(later) == [posting.Posted(first.transaction_id, created=False)]
    assert digests(connection) == before


def test_the_same_reference_in_another_book_is_another_posting(desk: Desk) -> None:
    other = Desk.open()
    assert desk.post(desk.sale("r1"))[0].created
    assert other.post(other.sale("r1"))[0].created


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 1001},
        {"seller": "bob"},
        {"fee": 1},
    ],
)
def test_the_same_reference_with_other_legs_is_a_conflict(desk: Desk, change: dict[str, Any]) -> None:
    desk.post(desk.sale("r1"))
    refuse(desk, ReferenceConflict, desk.sale("r1", **change))
    refuse(desk, ReferenceConflict, desk.sale("r2"), desk.sale("r1", **change), desk.sale("r3"))


def test_the_same_reference_for_another_reason_is_a_conflict(desk: Desk) -> None:
    desk.post(desk.sale("r1"))
    refuse(desk, ReferenceConflict, replace(desk.sale("r1"), kind=str(TransactionKind.LATE_SUCCESS)))


def test_a_thousand_journals_are_one_statement_and_all_right(desk: Desk) -> None:
    journals = [desk.sale(f"r{n}", 1000 + n, seller="ann" if n % 3 else "bob", fee=n % 7) for n in range(1000)]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        results = posting.post(journals, now=NOW)
    assert len(queries) == 1
    assert all(result.created for result in results)
    assert len({result.transaction_id for result in results}) == 1000
    references = dict(Transaction.objects.values_list("id", "reference"))
    assert [references[result.transaction_id] for result in results] == [f"r{n}" for n in range(1000)]
    expected = sum(1000 + n - n % 7 for n in range(1000) if n % 3)
    assert desk.balance("ann").amount == expected
    assert desk.balance("ann").version == sum(1 for n in range(1000) if n % 3)
    assert invariants.violations() == []


@pytest.mark.parametrize("size", [1, 2, 3, 10, 200])
def test_any_number_of_journals_is_one_statement(desk: Desk, size: int) -> None:
    with CaptureQueriesContext(connection) as queries:
        posting.post([desk.sale(f"r{n}") for n in range(size)], now=NOW)
    assert len(queries) == 1


def test_a_batch_may_mix_what_exists_with_what_is_new(desk: Desk) -> None:
    old = desk.post(*(desk.sale(f"r{n}") for n in range(0, 10, 2)))
    results = desk.post(*(desk.sale(f"r{n}") for n in range(10)))
    assert [result.created for result in results] == [bool(n % 2) for n in range(10)]
    assert [result.transaction_id for result in results[::2]] == [result.transaction_id for result in old]
    assert desk.balance("ann").amount == 10_000
    assert desk.balance("ann").version == 10
    assert invariants.violations() == []


def test_a_reference_that_comes_twice_in_a_batch_is_posted_once(desk: Desk) -> None:
    first, second, third = desk.post(desk.sale("r1"), desk.sale("r2"), desk.sale("r1"))
    assert (first.created, second.created, third.created) == (True, True, False)
    assert third.transaction_id == first.transaction_id
    assert desk.balance("ann").amount == 2000


def test_a_reference_that_comes_twice_with_other_legs_is_a_conflict(desk: Desk) -> None:
    refuse(desk, ReferenceConflict, desk.sale("r1"), desk.sale("r1", 2000))


def test_one_bad_journal_refuses_the_whole_batch(desk: Desk) -> None:
    good = [desk.sale(f"r{n}") for n in range(5)]
    bad = desk.journal("bad", ("cash", D, 100), ("ann", C, 99))
    refuse(desk, Unbalanced, *good[:3], bad, *good[3:])


def test_no_journals_are_no_statement(desk: Desk) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert posting.post([], now=NOW) == []
    assert len(queries) == 0


def test_the_account_must_exist(desk: Desk) -> None:
    journal = desk.sale("r1")
    unknown = replace(journal, legs=(journal.legs[0], replace(journal.legs[1], account_id=2**40)))
    refuse(desk, UnknownAccount, unknown)
    refuse(desk, UnknownAccount, desk.sale("r0"), unknown)


def test_the_account_must_have_the_currency(desk: Desk) -> None:
    refuse(desk, UnknownAccount, desk.journal("r1", ("cash", D, 100), ("ann", C, 100), currency="USD"))


def test_the_account_must_be_of_the_book(desk: Desk) -> None:
    other = Desk.open()
    journal = desk.sale("r1")
    mixed = replace(journal, legs=(journal.legs[0], replace(journal.legs[1], account_id=other.ids["ann"])))
    refuse(desk, UnknownAccount, mixed)
    refuse(desk, UnknownAccount, replace(journal, book_id=other.book.pk))
    refuse(desk, UnknownAccount, replace(journal, book_id=2**40))


@pytest.mark.parametrize(
    "lines",
    [
        [("cash", D, 100), ("ann", C, 99)],
        [("cash", D, 100), ("fees", D, 100)],
        [("cash", C, 1), ("fees", C, 1)],
        [("cash", D, 100), ("ann", C, 50), ("fees", C, 51)],
    ],
)
def test_debits_and_credits_must_be_equal(desk: Desk, lines: list[Any]) -> None:
    refuse(desk, Unbalanced, desk.journal("r1", *lines))
    refuse(desk, Unbalanced, desk.sale("r0"), desk.journal("r1", *lines))


def test_currencies_do_not_balance_each_other(desk: Desk) -> None:
    dollars = Desk.open("USD")
    with connection.cursor() as cursor:  # accounts of one book in two currencies
        cursor.execute(
            "SELECT account_id FROM ledger_open_accounts(ARRAY[%s]::bigint[], ARRAY['cash:USD'], ARRAY['asset'],"
            " ARRAY['USD'], ARRAY['recording'], ARRAY[NULL]::bigint[])",
            [desk.book.pk],
        )
        (usd,) = cursor.fetchone()
    assert usd not in dollars.ids.values()
    euros = desk.journal("r1", ("fees", C, 100))
    refuse(desk, Unbalanced, replace(euros, legs=(Leg(usd, "USD", D, 100), *euros.legs)))


def test_one_leg_or_none_is_refused(desk: Desk) -> None:
    refuse(desk, PostingRefused, desk.journal("r1", ("cash", D, 100)))
    refuse(desk, PostingRefused, desk.journal("r1"))
    refuse(desk, PostingRefused, desk.sale("r0"), desk.journal("r1", ("cash", D, 100)))
    refuse(desk, PostingRefused, desk.sale("r0"), desk.journal("r1"), desk.sale("r2"))


@pytest.mark.parametrize("amount", [0, -1, -(2**63)])
def test_an_amount_is_above_zero(desk: Desk, amount: int) -> None:
    refuse(desk, AmountOutOfRange, desk.journal("r1", ("cash", D, amount), ("fees", C, amount)))


def test_an_amount_fits_the_books(desk: Desk) -> None:
    refuse(desk, AmountOutOfRange, desk.journal("r1", ("cash", D, BIGINT + 1), ("fees", C, BIGINT + 1)))
    refuse(desk, AmountOutOfRange, desk.journal("r1", ("cash", D, 10**30), ("fees", C, 10**30)))


def test_a_balance_fits_the_books(desk: Desk) -> None:
    desk.post(desk.sale("r1", BIGINT))
    refuse(desk, AmountOutOfRange, desk.sale("r2", 1))
    refuse(desk, AmountOutOfRange, desk.sale("r2", 1), desk.sale("r3", 1))
    recording = desk.journal("r4", ("cash", D, BIGINT), ("fees", C, BIGINT))
    assert desk.post(recording, replace(recording, reference="r5"))
    assert balances.of_accounts([desk.ids["fees"]])[desk.ids["fees"]].credits == 2 * BIGINT


def test_a_closed_account_refuses_postings(committed_desk: Desk, superuser: Any) -> None:
    desk = committed_desk
    for name, journal in (
        ("ann", desk.sale("r1")),
        ("fees", desk.sale("r2", seller="bob", fee=10)),
    ):
        superuser.execute("UPDATE ledger_account SET closed_at = now() WHERE id = %s", [desk.ids[name]])
        refuse(desk, AccountClosed, journal)
        refuse(desk, AccountClosed, desk.sale("r0", seller="s0"), journal)
    superuser.execute("UPDATE ledger_account SET closed_at = NULL WHERE book_id = %s", [desk.book.pk])
    assert desk.post(desk.sale("r1"))[0].created


def test_a_floor_holds(desk: Desk) -> None:
    desk.post(desk.sale("r1", 100))
    refuse(desk, FloorBroken, desk.journal("r2", ("ann", D, 101), ("bob", C, 101)))
    refuse(desk, FloorBroken, desk.journal("r2", ("bob", D, 1), ("cash", C, 1)))
    refuse(desk, FloorBroken, desk.journal("r2", ("cash", D, 1), ("owed", C, 1)))
    assert desk.post(desk.journal("r2", ("ann", D, 100), ("bob", C, 100)))
    assert (desk.balance("ann").amount, desk.balance("bob").amount) == (0, 100)


def test_a_floor_holds_for_the_end_of_a_batch(desk: Desk) -> None:
    """All of a batch is one moment: what comes later in it may pay for what comes earlier."""
    spend = desk.journal("r1", ("ann", D, 100), ("cash", C, 100))
    refuse(desk, FloorBroken, spend, desk.sale("r2", 99))
    assert desk.post(spend, desk.sale("r2", 100))
    assert desk.balance("ann").amount == 0


def test_versions_and_balances_follow_each_other_inside_a_batch(desk: Desk) -> None:
    desk.post(desk.sale("r0", 500))
    desk.post(
        desk.sale("r1", 100),
        desk.journal("r2", ("ann", D, 50), ("bob", C, 30), ("ann", C, 20)),
        desk.sale("r3", 7, seller="bob"),
        desk.journal("r4", ("ann", D, 570), ("cash", C, 570)),
    )
    rows = Entry.objects.filter(account_id=desk.ids["ann"]).order_by("id")
    assert [(e.account_version, e.side, e.amount, e.balance_after) for e in rows] == [
        (1, "C", 500, 500),
        (2, "C", 100, 600),
        (3, "D", 50, 550),
        (4, "C", 20, 570),
        (5, "D", 570, 0),
    ]
    ann = desk.balance("ann")
    assert (ann.debits, ann.credits, ann.version, ann.amount) == (620, 620, 5, 0)
    assert desk.balance("bob").amount == 37
    assert invariants.violations() == []


def test_one_transaction_may_touch_an_account_twice(desk: Desk) -> None:
    desk.post(desk.journal("r1", ("cash", D, 100), ("ann", C, 60), ("ann", C, 40)))
    rows = Entry.objects.filter(account_id=desk.ids["ann"]).order_by("leg")
    assert [(e.account_version, e.balance_after) for e in rows] == [(1, 60), (2, 100)]
    assert invariants.violations() == []


def test_a_debit_normal_account_grows_with_debits(desk: Desk) -> None:
    desk.post(desk.journal("r1", ("owed", D, 100), ("cash", C, 100)))
    desk.post(desk.journal("r2", ("cash", D, 30), ("owed", C, 30)))
    assert desk.balance("owed").amount == 70
    rows = Entry.objects.filter(account_id=desk.ids["owed"]).order_by("id")
    assert [e.balance_after for e in rows] == [100, 70]


def test_many_legs_are_one_transaction(desk: Desk) -> None:
    lines = [("cash", D, 1) for _ in range(999)]
    (posted,) = desk.post(desk.journal("r1", *lines, ("ann", C, 999)))
    assert Entry.objects.filter(transaction=posted.transaction_id).count() == 1000


def test_more_than_a_call_may_hold_is_refused(desk: Desk) -> None:
    refuse(desk, PostingRefused, *(desk.sale(f"r{n}") for n in range(posting.MAX_TRANSACTIONS + 1)))
    too_many_legs = desk.journal("r1", *[("cash", D, 1)] * 25_001, *[("fees", C, 1)] * 25_001)
    refuse(desk, AmountOutOfRange, too_many_legs)
    more_than_a_transaction_counts = desk.journal("r1", *[("cash", D, 1)] * 20_000, *[("fees", C, 1)] * 20_000)
    refuse(desk, AmountOutOfRange, more_than_a_transaction_counts)


def test_an_unknown_kind_is_refused(desk: Desk) -> None:
    refuse(desk, PostingRefused, replace(desk.sale("r1"), kind="gift"))


def test_a_reversal_is_the_exact_negation_and_only_once(desk: Desk) -> None:
    (sale,) = desk.post(desk.sale("r1", 100, fee=10))
    back = [("cash", C, 100), ("ann", D, 90), ("fees", D, 10)]
    other = Desk.open()
    other.post(other.sale("r1", 100, fee=10))
    kind = TransactionKind.REVERSAL
    for lines in (
        [("cash", C, 99), ("ann", D, 89), ("fees", D, 10)],
        [("cash", C, 100), ("ann", D, 80), ("fees", D, 20)],
        [("cash", C, 100), ("fees", D, 100)],
        [("cash", D, 100), ("ann", C, 90), ("fees", C, 10)],
    ):
        refuse(desk, ReversalExceeds, desk.journal("rev", *lines, kind=kind, reverses_id=sale.transaction_id))
    refuse(desk, ReversalExceeds, desk.journal("rev", *back, kind=kind))
    refuse(desk, ReversalExceeds, desk.journal("rev", *back, kind=kind, reverses_id=2**40))
    refuse(other, ReversalExceeds, other.journal("rev", *back, kind=kind, reverses_id=sale.transaction_id))
    assert desk.post(desk.journal("rev", *back, kind=kind, reverses_id=sale.transaction_id))[0].created
    assert desk.balance("ann").amount == 0
    desk.post(desk.sale("r2", 100, fee=10))
    again = desk.journal("again", *back, kind=kind, reverses_id=sale.transaction_id)
    refuse(desk, ReversalExceeds, again)
    assert invariants.violations() == []


def test_posting_outside_a_database_transaction_is_refused(committed_desk: Desk) -> None:
    before = digests(connection)
    with pytest.raises(PostingRefused):
        posting.post([committed_desk.sale("r1")], now=NOW)
    assert digests(connection) == before


def test_what_is_rolled_back_was_never_posted(committed_desk: Desk) -> None:
    before = digests(connection)
    with transaction.atomic():
        posting.post([committed_desk.sale("r1")], now=NOW)
        transaction.set_rollback(True)
    assert digests(connection) == before
    assert committed_desk.post(committed_desk.sale("r1"))[0].created


_lines = st.lists(
    st.tuples(
        st.sampled_from(["cash", "fees", "ann", "bob", "owed"]),
        st.sampled_from(["cash", "fees", "ann", "bob", "owed"]),
        st.integers(1, 500),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(st.tuples(st.integers(0, 12), _lines), max_size=5), max_size=6))
def test_whatever_is_posted_the_books_hold(
    desk: Desk, batches: list[list[tuple[int, list[tuple[str, str, int]]]]]
) -> None:
    """Random batches, some refused, some repeated: the invariants hold and the model's balances are the books'."""
    desk = Desk.open()
    posted: dict[str, posting.Journal] = {}
    for batch in batches:
        journals = [
            desk.journal(
                f"r{number}",
                *(line for debit, credit, amount in moves for line in ((debit, D, amount), (credit, C, amount))),
            )
            for number, moves in batch
        ]
        before = digests(connection)
        try:
            results = desk.post(*journals)
        except (FloorBroken, ReferenceConflict):
            assert digests(connection) == before
            continue
        for journal, result in zip(journals, results, strict=True):
            assert result.created == (journal.reference not in posted)
            posted.setdefault(journal.reference, journal)
    assert invariants.violations() == []
    sums = dict.fromkeys(desk.ids.values(), 0)
    for journal in posted.values():
        for leg in journal.legs:
            sums[leg.account_id] += leg.amount if leg.side == D else -leg.amount
    for account_id, balance in balances.of_accounts(desk.ids.values()).items():
        assert balance.debits - balance.credits == sums[account_id]
