"""Balances at any instant and the fold beneath them, compared with plain sums over the entries."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction

from ledger import balances, folding, invariants, posting
from ledger.models import Account
from ledger.statements import statement
from tests.database import Clone
from tests.factories import NOW
from tests.ledger.desk import C, D, Desk, fold_until_empty

SIDE = "CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END"


def summed(desk: Desk, name: str, until: object, basis: str) -> int:
    """Return the balance at an instant the slow way: the sum over all entries."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce(sum({SIDE}), 0) * max(CASE WHEN a.type IN ('asset', 'expense') THEN 1 ELSE -1 END)"
            f" FROM ledger_account a LEFT JOIN ledger_entry e ON e.account_id = a.id AND e.{basis}_at <= %s"
            " WHERE a.id = %s",
            [until, desk.ids[name]],
        )
        return int(cursor.fetchone()[0])


def write_history(desk: Desk, *, seed: int, postings: int = 120) -> None:
    """Post sales over four days, some dated back or ahead, folding now and then."""
    dice = random.Random(seed)
    now = NOW
    for n in range(postings):
        now += timedelta(seconds=dice.choice([0, 1, 20, 59, 3600, 20_000]))
        effective = now if dice.random() < 0.7 else now + timedelta(seconds=dice.randint(-200_000, 100_000))
        journal = desk.journal(
            f"h{n}",
            ("cash", D, 10 + n),
            (dice.choice(["ann", "bob"]), C, 9 + n),
            ("fees", C, 1),
            effective_at=effective,
        )
        with transaction.atomic():
            posting.post([journal], now=now)
        if dice.random() < 0.2:
            folding.fold(now=now)


@pytest.mark.parametrize("seed", range(3))
def test_balances_at_any_instant_are_the_sums_of_the_entries(committed_desk: Desk, seed: int) -> None:
    desk = committed_desk
    write_history(desk, seed=seed)
    dice = random.Random(seed)
    instants = [NOW + timedelta(seconds=dice.randint(-100_000, 700_000)) for _ in range(25)] + [NOW]
    for basis in ("posted", "effective"):
        for at in instants:
            for name in ("cash", "fees", "ann", "bob", "s0"):
                found = balances.at(desk.ids[name], at=at, basis=basis)
                assert found == summed(desk, name, at, basis), (basis, at, name)
            book = balances.trial_balance_at(desk.book.pk, at=at, basis=basis)
            assert sum(row.debits - row.credits for row in book) == 0
    assert invariants.violations() == []


def test_folding_changes_no_balance(committed_desk: Desk) -> None:
    desk = committed_desk
    desk.post(*(desk.sale(f"r{n}", 100, fee=3) for n in range(20)))
    before = balances.trial_balance(desk.book.pk)
    assert folding.tail().transactions == 20
    assert fold_until_empty() == 20
    assert folding.tail().transactions == 0
    assert balances.trial_balance(desk.book.pk) == before
    assert folding.fold(now=NOW) == 0
    desk.post(desk.sale("later", 100, fee=3))
    assert balances.of_accounts([desk.ids["cash"]])[desk.ids["cash"]].debits == 2100


def test_a_late_commit_is_folded_once(committed_desk: Desk, clone: Clone) -> None:
    """A transaction that began first and commits last is not passed over, and nothing is counted twice."""
    desk = committed_desk
    with psycopg.connect(clone.app_url) as slow:
        slow.execute(
            "SELECT * FROM ledger_post(ARRAY[gen_random_uuid()], ARRAY[%s]::bigint[], ARRAY['settle_charge'],"
            " ARRAY['slow'], ARRAY['\\x00'::bytea], ARRAY[NULL]::timestamptz[], ARRAY[NULL]::timestamptz[], %s,"
            " ARRAY['tests'], ARRAY[''], ARRAY['{}']::jsonb[], ARRAY[NULL]::bigint[], ARRAY[1,1],"
            " ARRAY[%s,%s]::bigint[], ARRAY['EUR','EUR'], ARRAY['D','C'], ARRAY[7,7]::bigint[], false)",
            [desk.book.pk, NOW, desk.ids["cash"], desk.ids["fees"]],
        )
        desk.post(desk.sale("quick", 100))
        assert folding.fold(now=NOW) == 0  # the horizon stands before both
        assert balances.at(desk.ids["cash"], at=NOW) == 100
        slow.commit()
    assert balances.at(desk.ids["cash"], at=NOW) == 107
    assert fold_until_empty() == 2
    assert balances.at(desk.ids["cash"], at=NOW) == 107
    assert balances.of_accounts([desk.ids["cash"]])[desk.ids["cash"]].balance == 107


def test_a_wallet_never_goes_back_in_time(committed_desk: Desk) -> None:
    """Clocks differ; the second posting takes the first one's time, and stays 'effective when posted'."""
    desk = committed_desk
    later = NOW + timedelta(seconds=30)
    desk.post(replace(desk.sale("a", 10), effective_at=later), now=later)
    with transaction.atomic():
        posting.post([desk.sale("b", 5)], now=NOW)
    assert balances.at(desk.ids["ann"], at=NOW + timedelta(seconds=29)) == 0
    assert balances.at(desk.ids["ann"], at=NOW + timedelta(seconds=30)) == 15
    assert balances.at(desk.ids["ann"], at=NOW + timedelta(seconds=29), basis="effective") == 0


def test_pages_of_a_statement_agree_with_the_whole(committed_desk: Desk) -> None:
    desk = committed_desk
    write_history(desk, seed=9, postings=60)
    account = Account.objects.get(pk=desk.ids["cash"])
    whole = statement(account, limit=500)
    assert (whole.opening, whole.older, whole.newer) == (0, None, None)
    seen, page = [], statement(account, limit=7)
    assert page.closing == whole.closing
    while True:
        seen[:0] = page.lines
        if page.older is None:
            break
        following = statement(account, before=page.older, limit=7)
        assert following.closing == page.opening
        page = following
    assert tuple(seen) == whole.lines
