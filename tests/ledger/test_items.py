"""Posting item by item: outcomes, groups, receipts, dry runs, and bad items that are named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connection, transaction

from ledger import accounts, invariants, posting
from ledger.errors import (
    AccountClosed,
    AccountNotEmpty,
    AmountOutOfRange,
    FloorBroken,
    PersonalData,
    ReferenceConflict,
    ReversalExceeds,
    Unbalanced,
    UnknownAccount,
)
from ledger.models import Transaction, TransactionKind
from ledger.posting import Answer, Journal
from tests.factories import NOW
from tests.ledger.desk import C, D, Desk, digests


def each(*journals: Journal, groups: list[int | None] | None = None, dry_run: bool = False) -> list[Answer]:
    with transaction.atomic():
        return posting.post_each(journals, now=NOW, groups=groups, dry_run=dry_run)


def outcomes(answers: list[Answer]) -> list[str]:
    return [answer.outcome if answer.refusal is None else type(answer.refusal).__name__ for answer in answers]


def test_each_is_answered_for_itself(desk: Desk) -> None:
    desk.post(desk.sale("old", 70), desk.sale("taken", 1))
    answers = each(
        desk.sale("new", 100, fee=10),
        desk.journal("poor", ("bob", D, 5), ("cash", C, 5)),
        desk.sale("old", 70),
        desk.sale("taken", 2),
        desk.journal("crooked", ("cash", D, 5), ("fees", C, 4)),
        replace(desk.journal("lost", ("cash", D, 5), ("fees", C, 5)), book_id=desk.book.pk + 1_000_000),
        desk.sale("last", 3),
    )
    assert outcomes(answers) == [
        "created",
        FloorBroken.__name__,
        "exists",
        ReferenceConflict.__name__,
        Unbalanced.__name__,
        UnknownAccount.__name__,
        "created",
    ]
    assert sorted(Transaction.objects.values_list("reference", flat=True)) == ["last", "new", "old", "taken"]
    assert desk.balance("ann").amount == 70 + 1 + 90 + 3
    assert invariants.violations() == []


def test_a_group_stands_or_falls_together(desk: Desk) -> None:
    good, bad = desk.sale("a", 10), desk.journal("b", ("bob", D, 5), ("cash", C, 5))
    answers = each(good, desk.sale("alone", 7), bad, desk.sale("c", 1), desk.sale("d", 1), groups=[1, None, 1, 2, 2])
    assert outcomes(answers) == ["FloorBroken", "created", "FloorBroken", "created", "created"]
    assert sorted(Transaction.objects.values_list("reference", flat=True)) == ["alone", "c", "d"]


def test_every_single_one_may_be_refused(desk: Desk) -> None:
    before = digests(connection)
    bad = [desk.journal(f"r{n}", ("bob", D, 5), ("cash", C, 5)) for n in range(33)]
    assert outcomes(each(*bad)) == ["FloorBroken"] * 33
    assert digests(connection) == before


def test_the_same_reference_twice_in_a_call_is_posted_once(desk: Desk) -> None:
    first, second = each(desk.sale("r", 10), desk.sale("r", 10))
    assert (first.outcome, second.outcome) == ("created", "exists")
    assert first.transaction_id == second.transaction_id
    assert desk.balance("ann").amount == 10


def test_a_receipt_is_the_balance_after_each_leg(desk: Desk) -> None:
    with transaction.atomic():
        (one,) = posting.post([desk.sale("a", 100, fee=10)], now=NOW, receipt=True)
        both = posting.post([desk.sale("b", 50), desk.sale("c", 50, seller="bob")], now=NOW, receipt=True)
        (again,) = posting.post([desk.sale("a", 100, fee=10)], now=NOW, receipt=True)
        (none,) = posting.post([desk.sale("d", 1)], now=NOW)
    assert one.receipt == (None, 90, None)
    assert [posted.receipt for posted in both] == [(None, 140), (None, 50)]
    assert (again.created, again.receipt) == (False, (None, 90, None))
    assert none.receipt is None


def test_a_dry_run_answers_and_writes_nothing(desk: Desk) -> None:
    desk.post(desk.sale("old", 70))
    before = digests(connection)
    answers = each(
        desk.sale("new", 30), desk.journal("poor", ("bob", D, 5), ("cash", C, 5)), desk.sale("old", 70), dry_run=True
    )
    assert outcomes(answers) == ["created", "FloorBroken", "exists"]
    assert answers[0].receipt == (None, 100)
    assert answers[0].transaction_id is None
    assert digests(connection) == before
    assert outcomes(each(desk.sale("new", 30))) == ["created"]


@pytest.mark.parametrize("key", ["email", "buyer_email", "full_name", "card_number", "IBAN", "ip"])
def test_metadata_that_looks_personal_is_refused(desk: Desk, key: str) -> None:
    before = digests(connection)
    with pytest.raises(PersonalData, match="item 1"):
        each(desk.sale("a"), replace(desk.sale("b"), metadata={key: "x"}))
    assert digests(connection) == before


def test_metadata_is_kept(desk: Desk) -> None:
    desk.post(replace(desk.sale("a"), metadata={"ticket": "F-12"}))
    assert Transaction.objects.get(reference="a").metadata == {"ticket": "F-12"}


def test_an_item_and_its_leg_are_named(desk: Desk) -> None:
    with pytest.raises(AmountOutOfRange, match="item 1, leg 0"):
        each(desk.sale("a"), desk.journal("b", ("cash", D, 0), ("fees", C, 0)))
    with pytest.raises(AmountOutOfRange, match="item 0: 10001 legs"):
        each(desk.journal("c", *[("cash", D, 1)] * 10_000, ("fees", C, 10_000)))


def test_partial_reversals_never_exceed_the_original(desk: Desk) -> None:
    (sale,) = desk.post(desk.sale("sale", 100, fee=10))
    desk.post(desk.sale("another", 500))  # so that no floor speaks first

    def part(reference: str, amount: int, fee: int = 0) -> Journal:
        lines = [("cash", C, amount), ("ann", D, amount - fee), ("fees", D, fee)]
        lines = [line for line in lines if line[2]]
        return desk.journal(reference, *lines, kind=TransactionKind.PARTIAL_REVERSAL, reverses_id=sale.transaction_id)

    whole = desk.journal(
        "whole",
        ("cash", C, 100),
        ("ann", D, 90),
        ("fees", D, 10),
        kind=TransactionKind.REVERSAL,
        reverses_id=sale.transaction_id,
    )
    answers = each(part("p1", 60), whole, part("p2", 31), part("p3", 30), part("p4", 1), part("p5", 10, 10))
    assert outcomes(answers) == [
        "created",
        ReversalExceeds.__name__,
        ReversalExceeds.__name__,
        "created",
        ReversalExceeds.__name__,
        "created",
    ]
    assert desk.balance("ann").amount == 500
    wrong_way = desk.journal(
        "w", ("cash", D, 1), ("ann", C, 1), kind=TransactionKind.PARTIAL_REVERSAL, reverses_id=sale.transaction_id
    )
    assert outcomes(each(wrong_way)) == [ReversalExceeds.__name__]
    assert invariants.violations() == []


def test_an_account_is_closed_when_it_is_empty_and_then_takes_nothing(desk: Desk) -> None:
    desk.post(desk.sale("a", 5))
    with pytest.raises(AccountNotEmpty), transaction.atomic():
        accounts.close(desk.ids["ann"], now=NOW)
    desk.post(desk.journal("b", ("ann", D, 5), ("cash", C, 5)))
    for _ in range(2):
        accounts.close(desk.ids["ann"], now=NOW)
    assert outcomes(each(desk.sale("c", 5), desk.sale("d", 5, seller="bob"))) == [AccountClosed.__name__, "created"]
