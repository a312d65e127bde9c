"""The book that the shapes post into, and what is checked about it after each of them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.ledger.calls import CURRENCY, Book
from benchmarks.ledger.server import Server
from config.local_stack.home import ROOT

ACCOUNTS_IN_A_CALL = 5000
CHECK_SECONDS = 1800
TABLES = ("ledger_transaction", "ledger_entry", "ledger_balance", "ledger_account")


def opened(server: Server, sellers: int) -> Book:
    """Open a book with a clearing and a fee account (recording) and `sellers` wallets (authorizing)."""
    with server.connect() as database:
        database.execute("INSERT INTO ledger_currency (code, exponent) VALUES ('EUR', 2) ON CONFLICT DO NOTHING")
        (book,) = _row(database.execute("INSERT INTO ledger_book (code, mode) VALUES ('bench', 'test') RETURNING id"))
        call = "SELECT min(o.account_id), max(o.account_id) FROM ledger_open_accounts(%s, %s, %s, %s, %s, %s) o"

        def open_accounts(codes: list[str], kinds: list[str], mode: str) -> tuple[int, int]:
            n = len(codes)
            given = ([book] * n, codes, kinds, [CURRENCY] * n, [mode] * n, [None] * n)
            typed = call.replace("%s, %s, %s, %s, %s, %s", "%s::bigint[], %s, %s, %s, %s, %s::bigint[]")
            low, high = _row(database.execute(typed, given))
            return low, high

        clearing, fees = open_accounts(["fees", "psp"], ["income", "asset"], "recording")[::-1]
        codes = [f"seller:{number:06}:available:{CURRENCY}" for number in range(sellers)]
        ranges = [
            open_accounts(part, ["liability"] * len(part), "authorizing")
            for part in (codes[i : i + ACCOUNTS_IN_A_CALL] for i in range(0, sellers, ACCOUNTS_IN_A_CALL))
        ]
        low, high = ranges[0][0], ranges[-1][1]
        if high - low + 1 != sellers:
            raise SystemExit("the wallets have no unbroken range of ids")
        database.execute("VACUUM ANALYZE")
    return Book(book, low, high, clearing, fees)


def pair_without_history(server: Server, book: int) -> tuple[int, int]:
    """Open a recording and an authorizing account that nobody has posted to, and return them in this order.

    An account's entries never go back in time: what is posted a while ago must not follow what was posted today.
    """
    with server.connect() as database:
        rows = database.execute(
            "SELECT account_id FROM ledger_open_accounts(%s::bigint[], %s, %s, %s, %s, %s::bigint[]) ORDER BY ord",
            [
                [book] * 2, ["psp:history", "seller:history:available:EUR"], ["asset", "liability"],
                [CURRENCY] * 2, ["recording", "authorizing"], [None] * 2,
            ],
        ).fetchall()  # fmt: skip
    return rows[0][0], rows[1][0]


def count(server: Server) -> int:
    """Return how many transactions the books have."""
    with server.connect() as database:
        (number,) = _row(database.execute("SELECT count(*) FROM ledger_transaction"))
    return int(number)


def size(server: Server) -> int:
    """Return the bytes of the ledger's tables with their indexes."""
    with server.connect() as database:
        query = "SELECT sum(pg_total_relation_size(t::regclass)) FROM unnest(%s::text[]) t"
        (total,) = _row(database.execute(query, [list(TABLES)]))
    return int(total)


def totals_are_right(server: Server) -> bool:
    """True when debits equal credits over all entries, and the balance rows add up to the entries they keep."""
    with server.connect() as database:
        debited, credited, kept_debits, kept_credits = _row(
            database.execute(
                "SELECT coalesce(sum(amount) FILTER (WHERE side = 'D'), 0),"
                " coalesce(sum(amount) FILTER (WHERE side = 'C'), 0),"
                " coalesce(sum(amount) FILTER (WHERE side = 'D' AND account_version IS NOT NULL), 0)"
                " - (SELECT coalesce(sum(debits), 0) FROM ledger_balance),"
                " coalesce(sum(amount) FILTER (WHERE side = 'C' AND account_version IS NOT NULL), 0)"
                " - (SELECT coalesce(sum(credits), 0) FROM ledger_balance) FROM ledger_entry"
            )
        )
    return bool(debited == credited and kept_debits == 0 and kept_credits == 0)


def violations(server: Server) -> list[dict[str, str]]:
    """Run every check of ledger/invariants.py and return what it found."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ledger.checking_client"],
        env=server.environment, cwd=ROOT, capture_output=True, text=True, timeout=CHECK_SECONDS, check=True,
    )  # fmt: skip
    found: list[dict[str, str]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _row(cursor: Any) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = cursor.fetchone()
    assert row is not None
    return row
