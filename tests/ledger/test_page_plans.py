"""No page of entries, transactions, the tree or turnover scans a table or sorts an account: its cost is the page's.

Checked in a book with so many rows that the planner would rather scan, on fresh statistics, with the statements
that the functions send. `sequential_scans` covers what functions of the database read inside.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import psycopg
import pytest

from ledger import balances, folding, journals, tree, turnover
from ledger.models import Account, Entry, Transaction
from ledger.statements import statement
from tests.factories import NOW
from tests.ledger.desk import C, D, Desk, fold_until_empty
from tests.plans import plan_of, sequential_scans

TABLES = ("ledger_entry", "ledger_transaction", "ledger_account", "ledger_balance", "ledger_anchor", "ledger_redated")
BASES: tuple[balances.Basis, ...] = ("posted", "effective")
SALES, BATCH, LIMIT = 4000, 500, 20
# Rows that a page may read of entries and transactions: the page, one row more, and their transactions, of each kind.
MOST_ROWS = 500


@pytest.fixture
def desk_with_history(committed_desk: Desk, superuser: psycopg.Connection) -> Desk:
    """Give a book with thousands of entries on one recording and two authorizing accounts, one in 50 redated."""
    desk = committed_desk
    for first in range(0, SALES, BATCH):
        desk.post(
            *(
                desk.journal(
                    f"sale-{number}",
                    ("cash", D, 100),
                    (f"s{number % 2}", C, 100),
                    effective_at=NOW - timedelta(days=number % 300) if number % 50 == 0 else None,
                )
                for number in range(first, first + BATCH)
            ),
            now=NOW + timedelta(minutes=first),
        )
    fold_until_empty()
    folding.fold(now=NOW)
    superuser.execute("ANALYZE")
    return desk


def reads(desk: Desk) -> dict[str, Callable[[], object]]:
    """Return every way to read a page, from the first, a middle and the last one."""
    cash, seller = (Account.objects.get(pk=desk.ids[name]) for name in ("cash", "s0"))
    middle = Entry.objects.filter(account=cash).order_by("id")[SALES // 2].pk
    middle_of_seller = Entry.objects.filter(account=seller).order_by("id")[SALES // 4].pk
    earlier = Transaction.objects.order_by("id")[SALES // 2]
    since, until = NOW + timedelta(hours=9), NOW + timedelta(hours=40)
    book = desk.book.pk
    found: dict[str, Callable[[], object]] = {
        "transactions": lambda: journals.newest(book, limit=LIMIT),
        "transactions before one": lambda: journals.newest(book, before=earlier, limit=LIMIT),
        "transactions of a period": lambda: journals.newest(book, since=since, until=until, limit=LIMIT),
        "transactions of a kind": lambda: journals.newest(book, kinds=["settle_charge"], before=earlier, limit=LIMIT),
        "transactions of an account": lambda: journals.newest(book, account_id=cash.pk, before=earlier, limit=LIMIT),
        "legs": lambda: journals.with_legs([earlier]),
        "tree": lambda: tree.children(book, None, limit=LIMIT),
        "tree below": lambda: tree.children(book, "cash", limit=LIMIT),
        "turnover of accounts": lambda: turnover.of_accounts(
            [cash, seller], since=since, until=until, basis="effective"
        ),
        "turnover by day": lambda: turnover.by_period(cash, since=since, until=until, by="day", basis="effective"),
        "balances": lambda: balances.of_accounts([cash.pk, seller.pk]),
    }
    for basis in BASES:
        for account, place in ((cash, middle), (seller, middle_of_seller)):
            page = partial(statement, account, basis=basis, limit=LIMIT)
            name = f"{basis} entries of {account.code}"
            found |= {
                f"{name}, newest": page,
                f"{name}, oldest": partial(page, after=0),
                f"{name}, before": partial(page, before=place),
                f"{name}, after": partial(page, after=place),
                f"{name}, period": partial(page, since=since, until=until),
            }
    return found


def test_pages_scan_no_table_and_sort_no_account(desk_with_history: Desk) -> None:
    for name, read in reads(desk_with_history).items():
        assert (
            sequential_scans(read, ("ledger_entry", "ledger_transaction", "ledger_anchor", "ledger_redated")) == {}
        ), name
        plan = plan_of(read)
        for table in ("ledger_entry", "ledger_transaction"):
            assert not {scan for scan in plan.scans(table) if scan in {"Seq Scan", "Sort"}}, (name, table)
            assert plan.rows_read(table) <= MOST_ROWS, (name, table, plan.rows_read(table))
        assert plan.rows_sorted() <= MOST_ROWS, (name, plan.rows_sorted())


def test_what_these_tests_look_for_is_found(desk_with_history: Desk) -> None:
    """A page by offset and in an order without an index reads and sorts everything, and the plan says so."""

    def read() -> object:
        return list(Entry.objects.filter(account_id=desk_with_history.ids["cash"]).order_by("amount", "side")[:5])

    plan = plan_of(read)
    assert plan.rows_sorted() > MOST_ROWS
    assert plan.rows_read("ledger_entry") > MOST_ROWS
    scanned = sequential_scans(lambda: Entry.objects.filter(leg=7).first(), TABLES)
    assert scanned["ledger_entry"] >= 2 * SALES
