"""The general ledger of a book in a period, row by row: every entry by effective date.

Read in chunks by key, each in a statement of its own: one long cursor would hold a snapshot, and with it the horizon of
running transactions, at which folding, sealing and closing wait. What was not committed when the export began is left
out by its transaction id, so the chunks are of one moment all the same. Memory does not grow with the period. It must
never write.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from ledger import trial_balances
from ledger.balances import Basis
from ledger.csv_files import text
from ledger.ids import public_id
from ledger.models import Account, Side, TransactionKind
from ledger.money import format_minor
from ledger.statements import MAX_LINES, statement

TRANSACTIONS_IN_A_CHUNK: Final = 500
LEGS_IN_A_CHUNK: Final = 20_000
HEADER: Final = (
    "effective_at", "posted_at", "transaction", "kind", "reference", "memo", "account", "debit", "credit", "currency",
)  # fmt: skip
_INSTANT: Final = timedelta(microseconds=1)
Sums = dict[tuple[str, str], int]  # by type of account and currency, in minor units, debit positive

# Uses index: transaction_by_kind, and transaction_by_other_date for what is dated otherwise than it was posted.
_STREAM: Final = """
    (SELECT t.* FROM unnest(%(kinds)s::text[]) AS k (kind)
      CROSS JOIN LATERAL (
        SELECT x.id, x.public_id, x.kind, x.reference, x.memo, x.effective_at, x.posted_at, x.leg_count
          FROM ledger_transaction x
         WHERE x.book_id = %(book)s AND x.kind = k.kind AND x.effective_at {own} x.posted_at
           AND (x.{time}, x.id) > (%(at)s, %(id)s) AND x.{time} < %(until)s
           AND (x.cluster_epoch < ledger_epoch() OR pg_visible_in_snapshot(x.created_xid, %(moment)s::pg_snapshot))
         ORDER BY x.{time}, x.id LIMIT %(limit)s) t
      ORDER BY t.effective_at, t.id LIMIT %(limit)s)"""
_FORM: Final = """
WITH found AS MATERIALIZED (
    SELECT * FROM ({own} UNION ALL {other}) t ORDER BY t.effective_at, t.id LIMIT %(limit)s
), chunk AS MATERIALIZED (
    SELECT * FROM (SELECT f.*, sum(f.leg_count) OVER (ORDER BY f.effective_at, f.id) - f.leg_count AS before
                     FROM found f) f WHERE f.before < %(legs)s
)
SELECT c.id, c.public_id, c.kind, c.reference, c.memo, c.effective_at, c.posted_at,
       a.code, a.type, e.side, e.amount, e.currency
  FROM chunk c
  JOIN LATERAL (SELECT i.leg, i.account_id, i.side, i.amount, i.currency FROM ledger_entry i
                 WHERE i.id BETWEEN c.id * 32768 AND c.id * 32768 + 32767 OFFSET 0) e ON true
  JOIN ledger_account a ON a.id = e.account_id
 ORDER BY c.effective_at, c.id, e.leg
"""
_CHUNK: Final = _FORM.format(
    own=_STREAM.format(own="=", time="posted_at"), other=_STREAM.format(own="<>", time="effective_at")
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the general ledger. The amount is in minor units."""

    transaction_id: int
    transaction: UUID
    kind: str
    reference: str
    memo: str
    effective_at: datetime
    posted_at: datetime
    account: str
    type: str
    side: str
    amount: int
    currency: str


@dataclass(slots=True)
class GeneralLedger:
    """The entries of a book that are effective from `since` on and before `until`, and what they sum to so far."""

    book_id: int
    since: datetime
    until: datetime
    moment: str  # which transactions were committed when the export began
    expected: Sums  # by how much the trial balance moved, at that moment
    found: Sums = field(default_factory=dict)
    debits: dict[str, int] = field(default_factory=dict)
    credits: dict[str, int] = field(default_factory=dict)
    entries: int = 0

    def __iter__(self) -> Iterator[Entry]:
        """Read the entries in chunks, and add them up."""
        at, last = self.since, 0
        while chunk := self._chunk(at, last):
            for entry in chunk:
                self._count(entry)
                yield entry
            at, last = chunk[-1].effective_at, chunk[-1].transaction_id

    @property
    def agrees(self) -> bool:
        """Say whether what was read is what the trial balance moved by, and debits equal credits. Ask at the end."""
        moved = {key: net for key, net in self.expected.items() if net}
        return self.debits == self.credits and {key: net for key, net in self.found.items() if net} == moved

    def _count(self, entry: Entry) -> None:
        sums, signed = (self.debits, entry.amount) if entry.side == Side.DEBIT else (self.credits, -entry.amount)
        sums[entry.currency] = sums.get(entry.currency, 0) + entry.amount
        key = entry.type, entry.currency
        self.found[key] = self.found.get(key, 0) + signed
        self.entries += 1

    def _chunk(self, at: datetime, last: int) -> list[Entry]:
        parameters: dict[str, Any] = {
            "kinds": list(TransactionKind.values),
            "book": self.book_id,
            "at": at,
            "id": last,
            "until": self.until,
            "moment": self.moment,
            "limit": TRANSACTIONS_IN_A_CHUNK,
            "legs": LEGS_IN_A_CHUNK,
        }
        with connection.cursor() as cursor:
            cursor.execute(_CHUNK, parameters)
            return [Entry(*row) for row in cursor.fetchall()]


def general_ledger(book_id: int, *, since: datetime, until: datetime) -> GeneralLedger:
    """Begin an export: note what is committed now, and by how much the trial balance moved in the period.

    Outside a transaction both are of one snapshot, which is given back before the first row is read.
    """
    with _one_snapshot():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_snapshot()::text")
            moment: str = cursor.fetchone()[0]
        expected = _sums(book_id, until)
        for key, net in _sums(book_id, since).items():
            expected[key] = expected.get(key, 0) - net
    return GeneralLedger(book_id, since, until, moment, expected)


def row_of(entry: Entry) -> tuple[str, ...]:
    """Return an entry as cells of CSV, under `HEADER`."""
    amount = format_minor(entry.amount, entry.currency)
    return (
        entry.effective_at.isoformat(),
        entry.posted_at.isoformat(),
        public_id("txn", entry.transaction),
        entry.kind,
        text(entry.reference),
        text(entry.memo),
        text(entry.account),
        amount if entry.side == Side.DEBIT else "",
        "" if entry.side == Side.DEBIT else amount,
        entry.currency,
    )


@contextmanager
def _one_snapshot() -> Iterator[None]:
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def _sums(book_id: int, before: datetime) -> Sums:
    _, sums = trial_balances.of_book(book_id, at=before - _INSTANT, basis="effective", limit=0)
    return {(row.type, row.currency): row.debit - row.credit for row in sums if row.type}


STATEMENT_HEADER: Final = (
    "effective_at", "posted_at", "transaction", "kind", "reference", "debit", "credit", "balance", "currency",
)  # fmt: skip
INCOMPLETE: Final = "INCOMPLETE: the account was dated back while this was written; export it again"


def statement_rows(
    account: Account, *, since: datetime | None, until: datetime | None, basis: Basis
) -> Iterator[tuple[str, ...]]:
    """Return the rows of an account's statement under `STATEMENT_HEADER`, oldest first, page by page.

    Begins with the opening and ends with the closing balance. A page that does not go on where the last one ended means
    that something was posted into what is written already: the last row then says so.
    """
    currency = account.currency_id

    def edge(name: str, minor: int) -> tuple[str, ...]:
        return ("", "", "", name, "", "", "", format_minor(minor, currency), currency)

    place, balance = 0, None
    while True:
        page = statement(account, after=place, since=since, until=until, basis=basis, limit=MAX_LINES)
        if balance is None:
            yield edge("opening balance", page.opening)
        elif balance != page.opening:
            yield edge(INCOMPLETE, balance)
            return
        for line in page.lines:
            debit = line.side == Side.DEBIT
            amount = format_minor(line.amount, currency)
            yield (
                line.effective_at.isoformat(),
                line.posted_at.isoformat(),
                public_id("txn", line.transaction_public_id),
                line.kind,
                text(line.reference),
                amount if debit else "",
                "" if debit else amount,
                format_minor(line.balance, currency),
                currency,
            )
        balance = page.closing
        if page.newer is None:
            yield edge("closing balance", balance)
            return
        place = page.newer
