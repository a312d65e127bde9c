"""A bookkeeper's desk: one book with the accounts that the tests post to, and short ways to write journals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection, connections, transaction

from ledger import accounts, folding, posting
from ledger.accounts import AccountSpec
from ledger.models import AccountType, Balance, Book, PostingMode, Side, TransactionKind
from ledger.posting import Journal, Leg, Posted
from tests.factories import NOW, BookFactory

D, C = Side.DEBIT, Side.CREDIT
Line = tuple[str, Side, int]

# What the books hold, byte for byte: a refused attack or posting leaves these digests as they were.
_DIGEST = " UNION ALL ".join(
    f"SELECT '{table}', md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t"
    for table in (
        "ledger_book",
        "ledger_currency",
        "ledger_account",
        "ledger_balance",
        "ledger_transaction",
        "ledger_entry",
    )
)


@dataclass(frozen=True, slots=True)
class Desk:
    """One book: `cash` and `fees` are recording accounts, `ann`, `bob` and `owed` are authorizing with floor 0."""

    book: Book
    ids: dict[str, int]

    @classmethod
    def open(cls, currency: str = "EUR", *, sellers: int = 0, book: Book | None = None) -> Desk:
        """Open the accounts of a book (a new one), and `sellers` more wallets called s0, s1, ..."""
        book = book or BookFactory.create()
        kinds = {
            "cash": (AccountType.ASSET, PostingMode.RECORDING),
            "fees": (AccountType.INCOME, PostingMode.RECORDING),
            "ann": (AccountType.LIABILITY, PostingMode.AUTHORIZING),
            "bob": (AccountType.LIABILITY, PostingMode.AUTHORIZING),
            "owed": (AccountType.ASSET, PostingMode.AUTHORIZING),
            **{f"s{n}": (AccountType.LIABILITY, PostingMode.AUTHORIZING) for n in range(sellers)},
        }
        specs = {
            name: AccountSpec(
                book.pk,
                f"{name}:{currency}",
                kind,
                currency,
                mode,
                floor=0 if mode == PostingMode.AUTHORIZING else None,
            )
            for name, (kind, mode) in kinds.items()
        }
        with transaction.atomic():
            ids = accounts.resolve(specs.values())
        return cls(book, {name: ids[spec.book_id, spec.code] for name, spec in specs.items()})

    def journal(
        self,
        reference: str,
        *lines: Line,
        currency: str = "EUR",
        kind: str = TransactionKind.SETTLE_CHARGE,
        **changes: Any,
    ) -> Journal:
        """Return a journal over accounts by name: `("cash", D, 100), ("ann", C, 100)`."""
        legs = tuple(Leg(self.ids[name], currency, side, amount) for name, side, amount in lines)
        made = Journal(self.book.pk, str(kind), reference, legs, effective_at=NOW, actor="tests")
        return replace(made, **changes)

    def sale(self, reference: str, amount: int = 1000, *, seller: str = "ann", fee: int = 0) -> Journal:
        """Return the journal of a sale: cash to the seller and, if there is one, a fee."""
        lines: list[Line] = [("cash", D, amount), (seller, C, amount - fee)]
        return self.journal(reference, *lines, *([("fees", C, fee)] if fee else []))

    def post(self, *journals: Journal, now: datetime = NOW) -> list[Posted]:
        """Post in a transaction of its own, or a savepoint inside the test's."""
        with transaction.atomic():
            return posting.post(journals, now=now)

    def balance(self, name: str) -> Balance:
        """Return the balance row of an authorizing account."""
        return Balance.objects.get(account_id=self.ids[name])


def digests(connection: Any) -> dict[str, str]:
    """Return what is in each table of the books, as digests; takes a Django or a psycopg connection."""
    with connection.cursor() as cursor:
        cursor.execute(_DIGEST)
        return dict(cursor.fetchall())


def sqlstate_of(error: BaseException) -> str:
    """Return the SQLSTATE of a psycopg error, also when Django has wrapped it."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    assert isinstance(cause, psycopg.Error)
    return cause.sqlstate or ""


def at_once(*jobs: Callable[[], object]) -> list[object]:
    """Run jobs in threads that start together, each on a connection of its own; return results or exceptions."""
    results: list[object] = [None] * len(jobs)
    barrier = threading.Barrier(len(jobs))

    def run(place: int) -> None:
        try:
            barrier.wait(10)
            results[place] = jobs[place]()
        except Exception as error:  # noqa: BLE001 - handed to the test, which says what it expects
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a job hangs"
    return results


def fold_until_empty() -> int:
    """Fold until no tail is left, and return how many were folded: another session may hold the horizon for a while."""
    folded, ends = 0, time.monotonic() + 20
    while folding.tail().transactions and time.monotonic() < ends:
        folded += folding.fold(now=NOW)
    return folded


def wait_for_the_horizon() -> None:
    """Wait until no running transaction, of any database of the server, may come before what is posted."""
    ends, ahead = time.monotonic() + 20, 1
    while ahead and time.monotonic() < ends:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM ledger_transaction WHERE created_xid >= pg_snapshot_xmin(pg_current_snapshot())"
            )
            ahead = cursor.fetchone()[0]
    assert not ahead
