"""Turnover: what was on an account at the beginning of a period, its debits and credits, and what was there at the end.

Of a recording account it is the difference of two sums over anchors, whatever the number of entries; of an authorizing
one the entries of the period are summed. Periods are half open: the end belongs to the next one. It must never write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from django.db import connection

from ledger.balances import Basis
from ledger.models import DEBIT_NORMAL, Account

MAX_PERIODS: Final = 400
By = Literal["day", "month"]
_LONGEST_DAYS: Final = {"day": 1, "month": 31}
_BY_PERIOD: Final = """
SELECT 1, p.since, p.until, t.*
  FROM (SELECT greatest(s.at AT TIME ZONE 'UTC', %(since)s::timestamptz) AS since,
               least((s.at + %(step)s::interval) AT TIME ZONE 'UTC', %(until)s::timestamptz) AS until
          FROM generate_series(date_trunc(%(by)s, %(since)s::timestamptz AT TIME ZONE 'UTC'),
                               %(until)s::timestamptz AT TIME ZONE 'UTC', %(step)s::interval) AS s (at)
         WHERE s.at AT TIME ZONE 'UTC' < %(until)s::timestamptz AND %(since)s::timestamptz < %(until)s::timestamptz
         ORDER BY s.at LIMIT %(limit)s) p
 CROSS JOIN LATERAL ledger_turnover(%(account)s, p.since, p.until, %(basis)s) t ORDER BY p.since
"""


@dataclass(frozen=True, slots=True)
class Turnover:
    """One account in one period, in minor units; opening and closing are positive on the account's normal side."""

    account: Account
    since: datetime
    until: datetime
    opening: int
    debits: int
    credits: int

    @property
    def closing(self) -> int:
        """Return what was there at the end."""
        net = self.debits - self.credits
        return self.opening + (net if self.account.type in DEBIT_NORMAL else -net)


def of_accounts(accounts: list[Account], *, since: datetime, until: datetime, basis: Basis) -> list[Turnover]:
    """Return the turnover of accounts in a period, in their order (one statement)."""
    rows = _read(
        "SELECT a.ord, %(since)s, %(until)s, t.* FROM unnest(%(accounts)s::bigint[]) WITH ORDINALITY AS a (id, ord)"
        " CROSS JOIN LATERAL ledger_turnover(a.id, %(since)s, %(until)s, %(basis)s) t ORDER BY a.ord",
        {"accounts": [one.pk for one in accounts], "since": since, "until": until, "basis": basis},
    )
    return [_turnover(accounts[row[0] - 1], row) for row in rows]


def by_period(account: Account, *, since: datetime, until: datetime, by: By, basis: Basis) -> list[Turnover]:
    """Return the turnover of an account day by day or month by month (UTC), the first and last cut to the period.

    One statement. Raises `ValueError` for more than `MAX_PERIODS` of them.
    """
    rows: list[tuple[Any, ...]] = []
    too_long = (until - since).days > MAX_PERIODS * _LONGEST_DAYS[by]
    if not too_long:
        parameters = {"account": account.pk, "since": since, "until": until, "basis": basis, "by": by}
        rows = _read(_BY_PERIOD, {**parameters, "step": f"1 {by}", "limit": MAX_PERIODS + 1})
    if too_long or len(rows) > MAX_PERIODS:
        raise ValueError(f"more than {MAX_PERIODS} periods")
    return [_turnover(account, row) for row in rows]


def _read(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _turnover(account: Account, row: tuple[Any, ...]) -> Turnover:
    opening = int(row[3]) if account.type in DEBIT_NORMAL else -int(row[3])
    return Turnover(account, row[1], row[2], opening, int(row[4]), int(row[5]))
