"""The sandbox's memory: one SQLite file, one connection, one writer.

Objects are kept as the JSON that Stripe would answer, with what only the sandbox may know under the key
"_", which never leaves through `shown`. Every request is all or nothing. Nothing here knows what an
object means.
"""

import asyncio
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
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, scope TEXT NOT NULL, kind TEXT NOT NULL,
    created INTEGER NOT NULL, customer TEXT, parent TEXT, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (scope, kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_customer ON objects (customer, kind) WHERE customer IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_by_parent ON objects (parent, kind) WHERE parent IS NOT NULL;
CREATE TABLE IF NOT EXISTS banking (
    scope TEXT NOT NULL, currency TEXT NOT NULL, iban TEXT NOT NULL, automatic INTEGER NOT NULL,
    PRIMARY KEY (scope, currency)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journals (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, type TEXT NOT NULL, created INTEGER NOT NULL
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
    id INTEGER PRIMARY KEY, due REAL NOT NULL, kind TEXT NOT NULL, scope TEXT NOT NULL,
    target TEXT NOT NULL, word TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS jobs_by_due ON jobs (due);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, scope TEXT NOT NULL, endpoint TEXT NOT NULL, event TEXT NOT NULL,
    state TEXT NOT NULL, due REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    forged INTEGER NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due, id) WHERE state = 'due';
CREATE INDEX IF NOT EXISTS deliveries_by_scope ON deliveries (scope, state);
"""
TABLES_WITH_SCOPE = ("objects", "answers", "jobs", "deliveries", "banking")
MAX_READ = 100_000

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def shown(body: Json) -> Json:
    """Answer an object without what only the sandbox may know; apply it wherever one is put into another."""
    return {key: value for key, value in body.items() if key != "_"} if "_" in body else body


class Store:
    """Keep objects; everything happens in the one thread of the event loop."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(":memory:" if path is None else path, isolation_level=None, cached_statements=256)
        for setting in (
            "locking_mode=EXCLUSIVE",
            "journal_mode=WAL",
            "synchronous=OFF",
            "temp_store=MEMORY",
            "cache_size=-65536",
        ):
            self.db.execute(f"PRAGMA {setting}")
        self.db.executescript(SCHEMA)
        self._open = False
        self._waiting: list[asyncio.Future[None]] = []

    def close(self) -> None:
        """Commit and close the file."""
        self.commit()
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write what is written inside, or nothing of it.

        What several requests wrote in one turn of the event loop is committed together at its end; an answer
        waits for that with `committed`.
        """
        self._begin()
        self.db.execute("SAVEPOINT request")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK TO request")
            self.db.execute("RELEASE request")
            raise
        self.db.execute("RELEASE request")

    def _begin(self) -> None:
        if self._open:
            return
        self.db.execute("BEGIN")
        self._open = True
        asyncio.get_running_loop().call_soon(self.commit)

    def commit(self) -> None:
        """Commit what was written in this turn of the event loop and let the answers go."""
        if not self._open:
            return
        waiting, self._waiting = self._waiting, []
        self._open = False
        try:
            self.db.execute("COMMIT")
        except sqlite3.Error as problem:
            self.db.execute("ROLLBACK")
            for answer in waiting:
                answer.set_exception(problem)
            raise
        for answer in waiting:
            if not answer.done():
                answer.set_result(None)

    async def committed(self) -> None:
        """Wait until everything written so far is committed."""
        if self._open:
            answer = asyncio.get_running_loop().create_future()
            self._waiting.append(answer)
            await answer

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
        row = self.db.execute("SELECT count(*) FROM objects WHERE scope = ? AND kind = ?", (scope, kind)).fetchone()
        return int(row[0])

    def wipe(self, scopes: list[str] | None) -> None:
        """Forget everything of some accounts, or everything of everyone."""
        if scopes is None:
            for table in (*TABLES_WITH_SCOPE, "entries", "journals", "accounts"):
                self.db.execute(f"DELETE FROM {table}")
            return
        for scope in scopes:
            self.db.execute("DELETE FROM journals WHERE id IN (SELECT journal FROM entries WHERE scope = ?)", (scope,))
            self.db.execute(
                "DELETE FROM entries WHERE journal IN (SELECT journal FROM entries WHERE scope = ?)", (scope,)
            )
            for table in TABLES_WITH_SCOPE:
                self.db.execute(f"DELETE FROM {table} WHERE scope = ?", (scope,))
            self.db.execute("DELETE FROM accounts WHERE id = ?", (scope,))
