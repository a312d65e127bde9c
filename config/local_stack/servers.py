"""Both embedded servers with roles and schema, and the rule who may start and stop them.

One process owns the servers of a home: it holds `servers.lock` and they are its children. Others attach: they
hold `attached.lock` shared while they use them, and an owner that is only passing through waits for them
before it stops. Both are kernel locks, so a killed process releases them. With DATABASE_URL or REDIS_URL
given, that server is not ours: it is neither started nor stopped here.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import django
import psycopg

from config.local_stack.home import DATABASE, ROOT, Home, StackError
from config.local_stack.postgres import EmbeddedPostgres
from config.local_stack.processes import Patience
from config.local_stack.valkey import EmbeddedValkey

APPS = ("config", "reconciliation", "payments", "wallet", "ledger")
MIGRATE_SECONDS = 600
ATTACH_SECONDS = 120


@dataclass(slots=True)
class Servers:
    """The servers of one home, as owned by this process."""

    home: Home
    given: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    durable: bool = True
    postgres: EmbeddedPostgres | None = field(init=False, default=None)
    valkey: EmbeddedValkey | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        sockets, logs = self.home.run_directory(), self.home.logs
        if _is_ours(self.given, "DATABASE_URL", self.home.postgres_url("florin_app")):
            self.postgres = EmbeddedPostgres(
                self.home.directory / "postgres", sockets, logs / "postgres.log", durable=self.durable
            )
        if _is_ours(self.given, "REDIS_URL", self.home.valkey_url()):
            self.valkey = EmbeddedValkey(self.home.directory / "valkey", sockets, logs / "valkey.log")

    def start(self) -> None:
        """Start what is ours, make roles and database; the caller holds the lock."""
        self.home.make()
        self.home.make_run_directory()
        if self.valkey is not None:
            self.valkey.start()
        if self.postgres is not None:
            self.postgres.start()
            self.postgres.prepare(DATABASE)

    def stop(self) -> None:
        """Stop what was started, PostgreSQL last."""
        for server in (self.valkey, self.postgres):
            if server is not None:
                server.stop()

    def migrate(self, environment: Mapping[str, str]) -> bool:
        """Bring the schema up to date as its owner; False when no code has changed since the last time."""
        digest = schema_digest()
        if self.postgres is not None and self._migrated_digest() == digest:
            return False
        done = subprocess.run(
            [sys.executable, ROOT / "manage.py", "migrate", "--verbosity=0"],
            env=dict(environment),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=MIGRATE_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"the migrations failed:\n{done.stderr.strip() or done.stdout.strip()}")
        if self.postgres is not None:
            with psycopg.connect(self.postgres.superuser_url(DATABASE), autocommit=True) as connection:
                connection.execute("ANALYZE")
                connection.execute(f"COMMENT ON DATABASE {DATABASE} IS 'schema {digest}'")
        return True

    def _migrated_digest(self) -> str:
        assert self.postgres is not None
        with psycopg.connect(self.postgres.superuser_url(DATABASE)) as connection:
            row = connection.execute(
                "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
        return (row[0] or "").removeprefix("schema ") if row else ""


def _is_ours(given: Mapping[str, str], name: str, embedded: str) -> bool:
    return given.get(name, "") in ("", embedded)


def schema_digest() -> str:
    """Digest everything that a migration may depend on: our Python and SQL, and Django's version."""
    digest = hashlib.sha256(django.__version__.encode())
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*")):
            if path.suffix in (".py", ".sql") and "local_stack" not in path.parts:
                digest.update(bytes(path.relative_to(ROOT)) + b"\0" + path.read_bytes())
    digest.update((ROOT / "deploy" / "roles.sql").read_bytes())
    return digest.hexdigest()[:32]


class Lock:
    """A kernel lock on a file; released when this process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, *, shared: bool = False, timeout_seconds: float = 0) -> bool:
        """Try to take the lock until the time is up."""
        path = self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        patience = Patience(timeout_seconds, pause_seconds=0.1)
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if patience.lasts():
                    continue
                os.close(descriptor)
                return False
            self._descriptor = descriptor
            return True

    def release(self) -> None:
        """Let others have it; harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@dataclass(slots=True)
class Claim:
    """Our part in the servers of a home: owner, or attached to somebody else's."""

    home: Home
    owner: Lock = field(init=False)
    attached: Lock = field(init=False)

    def __post_init__(self) -> None:
        self.home.make()
        self.owner = Lock(self.home.directory / "servers.lock")
        self.attached = Lock(self.home.directory / "attached.lock")

    def own(self, timeout_seconds: float = 0) -> bool:
        """Become the owner; False while somebody else is."""
        return self.owner.take(timeout_seconds=timeout_seconds)

    def own_or_attach(self) -> bool:
        """Become the owner (True), or attach to the servers of another owner (False) when they answer."""
        until = time.monotonic() + ATTACH_SECONDS
        while time.monotonic() < until:
            if self.owner.take():
                return True
            if not self.attached.take(shared=True, timeout_seconds=ATTACH_SECONDS):
                break
            if self.owner.take():  # the former owner left while we waited
                self.attached.release()
                return True
            if _answers(self.home):
                return False
            self.attached.release()
            time.sleep(0.1)
        raise StackError(f"the servers of {self.home.directory} belong to a process that does not start them")

    def wait_for_attached(self, timeout_seconds: float) -> bool:
        """As the owner that wants to leave: wait until nobody uses the servers, and keep new ones out."""
        return self.attached.take(timeout_seconds=timeout_seconds)

    def release(self) -> None:
        """Give up whatever we hold."""
        self.owner.release()
        self.attached.release()


def _answers(home: Home) -> bool:
    """True when the running database is there and has its schema."""
    try:
        with psycopg.connect(home.postgres_url("florin_owner"), connect_timeout=2) as connection:
            row = connection.execute("SELECT to_regclass('public.django_migrations')").fetchone()
    except psycopg.OperationalError:
        return False
    return row is not None and row[0] is not None
