"""Statements in the order of effective dates: compared with plain sums, read in both directions, while others post."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection

from ledger import folding
from ledger.balances import Basis
from ledger.models import DEBIT_NORMAL, Account
from ledger.statements import Line, Statement, statement
from tests.factories import NOW
from tests.ledger.desk import C, D, Desk
from tests.ledger.test_instants import write_history

NAMES = ("cash", "fees", "ann", "bob", "s0")
BASES: tuple[Basis, ...] = ("posted", "effective")


def plain(account: Account, basis: str, since: datetime | None = None, until: datetime | None = None) -> list[Any]:
    """Return (entry, balance after it) the slow way: a running sum over the whole account, then the period."""
    time = f"{basis}_at"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, {time}, CASE side WHEN %s THEN amount ELSE -amount END FROM ledger_entry"
            f" WHERE account_id = %s ORDER BY {time}, id",
            ["D" if account.type in DEBIT_NORMAL else "C", account.pk],
        )
        found, balance = [], 0
        for key, at, amount in cursor.fetchall():
            balance += amount
            if (since is None or at >= since) and (until is None or at < until):
                found.append((key, balance))
    return found


def shown(lines: list[Line] | tuple[Line, ...]) -> list[Any]:
    return [(line.entry_id, line.balance) for line in lines]


def pages(account: Account, *, forward: bool, limit: int, **how: Any) -> list[Statement]:
    """Read all pages in one direction and return them oldest first."""
    found = [statement(account, after=0 if forward else None, limit=limit, **how)]
    while (following := found[-1].newer if forward else found[-1].older) is not None:
        place = {"after": following} if forward else {"before": following}
        found.append(statement(account, limit=limit, **place, **how))
        assert len(found) < 200
    return found if forward else found[::-1]


@pytest.mark.parametrize("seed", range(3))
def test_every_line_and_balance_is_that_of_a_plain_running_sum(committed_desk: Desk, seed: int) -> None:
    desk = committed_desk
    write_history(desk, seed=seed, postings=90)
    dice = random.Random(seed)
    periods = [(None, None), *((NOW + timedelta(seconds=dice.randint(-100_000, 500_000)), None) for _ in range(2))]
    for _ in range(4):
        since = NOW + timedelta(seconds=dice.randint(-200_000, 500_000))
        periods.append((since, since + timedelta(seconds=dice.choice([0, 60, 80_000, 300_000]))))
    for name in NAMES:
        account = Account.objects.get(pk=desk.ids[name])
        for basis in BASES:
            for since, until in periods:
                expected = plain(account, basis, since, until)
                for forward in (True, False):
                    read = pages(
                        account, forward=forward, limit=dice.choice([1, 3, 50]), basis=basis, since=since, until=until
                    )
                    assert shown([line for page in read for line in page.lines]) == expected, (name, basis, since)
                    for earlier, later in pairwise(read):
                        assert earlier.closing == later.opening


@pytest.mark.parametrize("name", ["cash", "ann"])
def test_the_balance_before_an_empty_period_is_that_of_the_last_entry_before_it(desk: Desk, name: str) -> None:
    early, late = NOW - timedelta(days=9), NOW + timedelta(days=9)
    desk.post(desk.sale("old", 100), desk.journal("back", ("cash", D, 7), ("ann", C, 7), effective_at=early))
    account = Account.objects.get(pk=desk.ids[name])
    between = {"since": early + timedelta(days=1), "until": early + timedelta(days=2)}
    assert statement(account, basis="effective", **between).closing == 7
    assert statement(account, basis="effective", after=0, **between).opening == 7
    assert statement(account, basis="posted", **between).closing == 0
    assert statement(account, basis="effective", since=late, after=0).opening == 107


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("basis", BASES)
def test_pages_neither_skip_nor_repeat_while_others_post(committed_desk: Desk, basis: Basis, forward: bool) -> None:
    """Everything that was there when the reading began is read exactly once, in its order."""
    desk = committed_desk
    write_history(desk, seed=4, postings=40)
    account = Account.objects.get(pk=desk.ids["cash"])
    there = [key for key, _ in plain(account, basis)]
    seen: list[int] = []
    page = statement(account, after=0 if forward else None, basis=basis, limit=5)
    for turn in range(100):
        lines = page.lines if forward else page.lines[::-1]
        seen += [line.entry_id for line in lines]
        following = page.newer if forward else page.older
        if following is None or not set(there) - set(seen):
            break
        effective = NOW + timedelta(seconds=random.Random(turn).randint(-300_000, 600_000))
        desk.post(
            desk.journal(f"meanwhile{turn}", ("cash", D, 1), ("fees", C, 1), effective_at=effective),
            now=NOW + timedelta(days=30, seconds=turn),
        )
        folding.fold(now=NOW)
        place = {"after": following} if forward else {"before": following}
        page = statement(account, basis=basis, limit=5, **place)
    assert len(seen) == len(set(seen))
    assert [key for key in seen if key in set(there)] == (there if forward else there[::-1])
