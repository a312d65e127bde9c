"""Turnover of any period is the plain sum of its entries, for accounts of both modes and both orders of time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection

from ledger import turnover
from ledger.balances import Basis
from ledger.models import DEBIT_NORMAL, Account
from tests.factories import NOW
from tests.ledger.desk import Desk
from tests.ledger.test_instants import write_history

BASES: tuple[Basis, ...] = ("posted", "effective")


def plain(account: Account, since: datetime, until: datetime, basis: str) -> tuple[int, int, int]:
    """Return opening (on the normal side), debits and credits the slow way."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(CASE side WHEN 'D' THEN amount ELSE -amount END) FILTER (WHERE at < %(since)s), 0),"
            " coalesce(sum(amount) FILTER (WHERE side = 'D' AND at >= %(since)s AND at < %(until)s), 0),"
            " coalesce(sum(amount) FILTER (WHERE side = 'C' AND at >= %(since)s AND at < %(until)s), 0)"
            f" FROM (SELECT side, amount, {basis}_at AS at FROM ledger_entry WHERE account_id = %(account)s) e",
            {"since": since, "until": until, "account": account.pk},
        )
        opening, debits, credited = (int(value) for value in cursor.fetchone())
    return (opening if account.type in DEBIT_NORMAL else -opening), debits, credited


@pytest.mark.parametrize("seed", range(3))
def test_turnover_is_the_plain_sum(committed_desk: Desk, seed: int) -> None:
    desk = committed_desk
    write_history(desk, seed=seed, postings=80)
    dice = random.Random(seed)
    accounts = [Account.objects.get(pk=desk.ids[name]) for name in ("cash", "fees", "ann", "bob", "s0")]
    for basis in BASES:
        for _ in range(12):
            since = NOW + timedelta(seconds=dice.randint(-200_000, 500_000))
            until = since + timedelta(seconds=dice.choice([0, 1, 30, 3600, 90_000, 700_000]))
            for found in turnover.of_accounts(accounts, since=since, until=until, basis=basis):
                expected = plain(found.account, since, until, basis)
                assert (found.opening, found.debits, found.credits) == expected, (basis, since, until)


@pytest.mark.parametrize("by", ["day", "month"])
@pytest.mark.parametrize("basis", BASES)
def test_periods_follow_each_other_and_add_up(committed_desk: Desk, basis: Basis, by: turnover.By) -> None:
    desk = committed_desk
    write_history(desk, seed=7, postings=60)
    since, until = datetime(2026, 9, 17, 5, tzinfo=UTC), datetime(2026, 12, 3, 7, tzinfo=UTC)
    for name in ("cash", "ann"):
        account = Account.objects.get(pk=desk.ids[name])
        rows = turnover.by_period(account, since=since, until=until, by=by, basis=basis)
        assert len(rows) == (78 if by == "day" else 4)
        assert (rows[0].since, rows[-1].until) == (since, until)
        for earlier, later in pairwise(rows):
            assert (earlier.until, earlier.closing) == (later.since, later.opening)
            assert later.since.hour == 0
        for row in rows:
            assert (row.opening, row.debits, row.credits) == plain(account, row.since, row.until, basis)
        assert sum(row.debits + row.credits for row in rows) > 0


def test_too_many_periods_are_refused(desk: Desk) -> None:
    account = Account.objects.get(pk=desk.ids["cash"])
    with pytest.raises(ValueError, match="more than 400 periods"):
        turnover.by_period(account, since=NOW - timedelta(days=500), until=NOW, by="day", basis="posted")
    with pytest.raises(ValueError, match="more than 400 periods"):
        turnover.by_period(account, since=datetime(1900, 1, 1, tzinfo=UTC), until=NOW, by="month", basis="posted")
    assert turnover.by_period(account, since=NOW, until=NOW, by="day", basis="posted") == []
