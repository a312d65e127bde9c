"""The bank's memory: one SQLite file. Nothing here knows what a booking means."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS accounts (
    iban TEXT PRIMARY KEY, holder TEXT NOT NULL, currency TEXT NOT NULL, bic TEXT NOT NULL, opened_on TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journals (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, source TEXT NOT NULL, booked_on TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS journals_by_source ON journals (source);
CREATE TABLE IF NOT EXISTS postings (
    journal INTEGER NOT NULL REFERENCES journals, account TEXT NOT NULL, currency TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount <> 0)
);
CREATE INDEX IF NOT EXISTS postings_by_journal ON postings (journal);
CREATE TABLE IF NOT EXISTS lines (
    id INTEGER PRIMARY KEY, iban TEXT NOT NULL REFERENCES accounts, journal INTEGER NOT NULL REFERENCES journals,
    reference TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, booked_on TEXT NOT NULL, value_on TEXT NOT NULL,
    amount INTEGER NOT NULL, currency TEXT NOT NULL, charges INTEGER NOT NULL DEFAULT 0,
    end_to_end TEXT NOT NULL DEFAULT '', batch TEXT NOT NULL DEFAULT '', name TEXT NOT NULL DEFAULT '',
    other_iban TEXT NOT NULL DEFAULT '', text TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
    reversal INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS lines_by_day ON lines (iban, booked_on, id);
CREATE TABLE IF NOT EXISTS credits (source TEXT PRIMARY KEY, iban TEXT NOT NULL, amount INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    iban TEXT NOT NULL, message TEXT NOT NULL, received_at REAL NOT NULL, count INTEGER NOT NULL, fault TEXT NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (iban, message)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transfers (
    id INTEGER PRIMARY KEY, iban TEXT NOT NULL, message TEXT NOT NULL, batch TEXT NOT NULL, end_to_end TEXT NOT NULL,
    amount INTEGER NOT NULL, currency TEXT NOT NULL, name TEXT NOT NULL, other_iban TEXT NOT NULL, text TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS transfers_by_end_to_end ON transfers (end_to_end);
CREATE TABLE IF NOT EXISTS due (id INTEGER PRIMARY KEY, at REAL NOT NULL, what TEXT NOT NULL, given TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS due_by_time ON due (at, id);
CREATE TABLE IF NOT EXISTS discrepancies (
    id INTEGER PRIMARY KEY, iban TEXT NOT NULL, direction TEXT NOT NULL, kind TEXT NOT NULL, amount INTEGER NOT NULL,
    days INTEGER NOT NULL, word TEXT NOT NULL, times INTEGER NOT NULL, fired INTEGER NOT NULL DEFAULT 0
);
"""
TABLES: Final = ("postings", "lines", "journals", "credits", "files", "transfers", "due", "discrepancies", "accounts")


class Store:
    """Keep rows; a change is all or nothing and is on its way to the disk when it returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None)
        for setting in ("journal_mode=WAL", "synchronous=OFF", "foreign_keys=ON"):
            self.db.execute(f"PRAGMA {setting}")
        self.db.executescript(SCHEMA)
        self._depth = 0

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write what is written inside, or nothing of it. May be nested; the outermost decides."""
        if self._depth:
            yield
            return
        self._depth = 1
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        else:
            self.db.execute("COMMIT")
        finally:
            self._depth = 0

    def rows(self, query: str, *given: Any) -> list[dict[str, Any]]:
        """Answer rows by the names of their columns."""
        cursor = self.db.execute(query, given)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def row(self, query: str, *given: Any) -> dict[str, Any] | None:
        """Answer the first row, or None."""
        return next(iter(self.rows(query, *given)), None)

    def insert(self, table: str, **values: Any) -> int:
        """Write a row and answer its number."""
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        cursor = self.db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))
        return int(cursor.lastrowid or 0)

    def wipe(self) -> None:
        """Forget everything."""
        with self.transaction():
            for table in TABLES:
                self.db.execute(f"DELETE FROM {table}")
