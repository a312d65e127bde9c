"""Turnover of a book in a month: opening, debits, credits and closing of each account, a page of accounts at a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.safestring import SafeString

from config import seam
from ledger import turnover
from ledger.admin.downloads import last_month
from ledger.admin.reading import AFTER, Table, key_of
from ledger.admin.showing import code, link_to, money, right
from ledger.models import Account, Book
from ledger.turnover import Turnover

MONTH: Final = "month"
ACCOUNTS: Final = 50
_MONTH: Final = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)


def context_of(request: HttpRequest, book: Book) -> dict[str, Any]:
    """Return what the page shows: the month that was asked for (the last one that is over), by effective date."""
    since = _month_of(request) or last_month(seam.now())[0]
    until = _following(since)
    accounts = Account.objects.filter(book=book)
    last = accounts.filter(pk=key_of(request, AFTER) or 0).first()
    # Uses index: account_code_is_unique_in_its_book.
    rows = list(
        (accounts.filter(code__gt=last.code) if last is not None else accounts).order_by("code")[: ACCOUNTS + 1]
    )
    more, rows = len(rows) > ACCOUNTS, rows[:ACCOUNTS]
    moved = turnover.of_accounts(rows, since=since, until=until, basis="effective")
    shown = Table(
        f"{since:%Y-%m}",
        ("Account", "Type", right("Opening"), right("Debits"), right("Credits"), right("Closing")),
        [_row(one) for one in moved],
    )
    month = {MONTH: f"{since:%Y-%m}"}
    before = f"?{urlencode({MONTH: f'{since - timedelta(days=1):%Y-%m}'})}"
    ways = [("Month before", before), ("Month after", f"?{urlencode({MONTH: f'{until:%Y-%m}'})}")]
    if more:
        ways.append(("More accounts", f"?{urlencode({**month, AFTER: rows[-1].pk})}"))
    return {
        "title": f"Turnover of {book.code} in {since:%Y-%m}",
        "tables": [shown],
        "ways": ways,
        "hint": "By effective date, in UTC; opening and closing are positive on the account's normal side.",
    }


def _row(one: Turnover) -> tuple[SafeString | str, ...]:
    account, currency = one.account, one.account.currency_id
    return (
        link_to("ledger_account", account.pk, code(account.code)),
        account.type,
        money(one.opening, currency),
        money(one.debits, currency),
        money(one.credits, currency),
        money(one.closing, currency),
    )


def _month_of(request: HttpRequest) -> datetime | None:
    found = _MONTH.fullmatch(request.GET.get(MONTH, ""))
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC) if found else None


def _following(since: datetime) -> datetime:
    return (since + timedelta(days=32)).replace(day=1)
