"""The sandbox's memory: one SQLite file, one connection, one writer.

Objects are kept as the JSON that Stripe would answer, with what only the sandbox may know under the key
"_", which never leaves through `shown`. Every request is one transaction. Nothing here knows what an
object means.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import Json

SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY, secret_key TEXT UNIQUE, platform TEXT, created INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, scope TEXT NOT NULL, kind TEXT NOT NULL,
    created INTEGER NOT NULL, customer TEXT, parent TEXT, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (scope, kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_customer ON objects (customer, kind) WHERE customer IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_by_parent ON objects (parent, kind) WHERE parent IS NOT NULL;
CREATE TABLE IF NOT EXISTS journals (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, type TEXT NOT NULL, created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS entries (
    journal INTEGER NOT NULL, scope TEXT NOT NULL, account TEXT NOT NULL, currency TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount <> 0)
);
CREATE INDEX IF NOT EXISTS entries_by_scope ON entries (scope, journal);
CREATE INDEX IF NOT EXISTS entries_by_journal ON entries (journal);
CREATE TABLE IF NOT EXISTS answers (
    scope TEXT NOT NULL, key TEXT NOT NULL, path TEXT NOT NULL, fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL, request_id TEXT NOT NULL, created REAL NOT NULL, PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_age ON answers (created);
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, due REAL NOT NULL, kind TEXT NOT NULL, scope TEXT NOT NULL,
    target TEXT NOT NULL, word TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS jobs_by_due ON jobs (due);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, endpoint TEXT NOT NULL, event TEXT NOT NULL,
    state TEXT NOT NULL, due REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    forged INTEGER NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due, id) WHERE state = 'due';
CREATE INDEX IF NOT EXISTS deliveries_by_scope ON deliveries (scope, state);
"""
TABLES_WITH_SCOPE = ("objects", "answers", "jobs", "deliveries")
MAX_READ = 100_000

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def shown(body: Json) -> Json:
    """Answer an object without what only the sandbox may know; apply it wherever one is put into another."""
    return {key: value for key, value in body.items() if key != "_"} if "_" in body else body


class Store:
    """Keep objects; one open transaction at a time."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(
            ":memory:" if path is None else path, isolation_level=None, cached_statements=256
        )
        for setting in (
            "locking_mode=EXCLUSIVE",
            "journal_mode=WAL",
            "synchronous=OFF",
            "temp_store=MEMORY",
            "cache_size=-65536",
        ):
            self.db.execute(f"PRAGMA {setting}")
        self.db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is written inside, or nothing of it."""
        self.db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def add(self, scope: str, body: Json, *, parent: str | None = None) -> Json:
        """Keep a new object and answer it."""
        self.db.execute(
            "INSERT INTO objects (id, scope, kind, created, customer, parent, body) VALUES (?, ?, ?, ?, ?, "
            "?, ?)",
            (
                body["id"], scope, body["object"], body["created"], body.get("customer"), parent,
                encode(body),
            ),
        )  # fmt: skip
        return body

    def save(self, body: Json) -> Json:
        """Keep an object's new state and answer it."""
        self.db.execute(
            "UPDATE objects SET body = ?, customer = ? WHERE id = ?",
            (encode(body), body.get("customer"), body["id"]),
        )
        return body

    def remove(self, identifier: str) -> None:
        """Forget an object."""
        self.db.execute("DELETE FROM objects WHERE id = ?", (identifier,))

    def get(self, scope: str, identifier: str, kind: str | None = None) -> Json | None:
        """Answer an account's object, or None."""
        row = self.db.execute(
            "SELECT kind, body FROM objects WHERE id = ? AND scope = ?", (identifier, scope)
        ).fetchone()
        if row is None or (kind is not None and row[0] != kind):
            return None
        loaded: Json = json.loads(row[1])
        return loaded

    def holder(self, identifier: str) -> str | None:
        """Answer which account an object belongs to."""
        row = self.db.execute("SELECT scope FROM objects WHERE id = ?", (identifier,)).fetchone()
        return None if row is None else str(row[0])

    def children(self, parent: str, kind: str) -> list[Json]:
        """Answer the objects below another one, oldest first."""
        rows = self.db.execute(
            "SELECT body FROM objects WHERE parent = ? AND kind = ? ORDER BY seq LIMIT ?",
            (parent, kind, MAX_READ),
        )
        return [json.loads(body) for (body,) in rows]

    def all(self, scope: str, kind: str) -> list[Json]:
        """Answer all objects of a kind of one account, oldest first."""
        rows = self.db.execute(
            "SELECT body FROM objects WHERE scope = ? AND kind = ? ORDER BY seq LIMIT ?",
            (scope, kind, MAX_READ),
        )
        return [json.loads(body) for (body,) in rows]

    def count(self, scope: str, kind: str) -> int:
        """Answer how many objects of a kind an account has."""
        row = self.db.execute(
            "SELECT count(*) FROM objects WHERE scope = ? AND kind = ?", (scope, kind)
        ).fetchone()
        return int(row[0])

    def wipe(self, scopes: list[str] | None) -> None:
        """Forget everything of some accounts, or everything of everyone."""
        if scopes is None:
            for table in (*TABLES_WITH_SCOPE, "entries", "journals", "accounts"):
                self.db.execute(f"DELETE FROM {table}")
            return
        for scope in scopes:
            self.db.execute(
                "DELETE FROM entries WHERE journal IN (SELECT journal FROM entries WHERE scope = ?)", (scope,)
            )
            for table in TABLES_WITH_SCOPE:
                self.db.execute(f"DELETE FROM {table} WHERE scope = ?", (scope,))
            self.db.execute("DELETE FROM accounts WHERE id = ?", (scope,))
        self.db.execute("DELETE FROM journals WHERE id NOT IN (SELECT journal FROM entries)")
