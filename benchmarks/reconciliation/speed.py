"""How fast a day is reconciled, beside a plain COPY of the same file and one hash join: the limit in the same run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks.ledger.server import Server
from benchmarks.reconciliation import scratch
from config.local_stack.home import ROOT

SIZES: Final = (100_000, 1_000_000, 5_000_000)
STEPS: Final = ("ingest", "match", "classify")
ALONE_SECONDS: Final = 10.0
CHILD_SECONDS: Final = 1800
_CHUNK: Final = 1 << 20
_JOIN: Final = """
SELECT count(*), sum(l.gross::numeric * 100 - c.captured_minor)
  FROM plain l JOIN payments_charge c ON c.psp_id = l.payment_intent_id
"""


@dataclass(slots=True)
class Crowd:
    """A database with a merchant's payments, and the report about them."""

    server: Server
    database: str
    report: Path
    lines: int = 0

    def connect(self) -> psycopg.Connection:
        """Connect as the superuser."""
        return self.server.connect(self.database)

    def environment(self) -> dict[str, str]:
        """Return what a process needs that works on this database."""
        return {
            **os.environ,
            "DATABASE_URL": self.server.url(self.database, "florin_app"),
            "DATABASE_OWNER_URL": self.server.url(self.database, "florin_owner"),
        }


def run(sizes: tuple[int, ...], *, as_json: bool) -> int:
    """Measure each size, and payments that are settled meanwhile; print, and return 0."""
    found: list[dict[str, Any]] = []
    with scratch.server(throwaway=True) as server:
        for size in sizes:
            with scratch.database(scratch.Address(server.socket), f"crowd_{size}") as url:
                crowd = _filled(server, f"crowd_{size}", url, size)
                row = {"size": size, **_limit(crowd)}
                meanwhile = size == 1_000_000 or (len(sizes) == 1)
                row |= _meanwhile(crowd, url) if meanwhile else _one_day(crowd)
                found.append(_with_ratios(row))
                _show(found[-1])
                crowd.report.unlink()
    if as_json:
        print(json.dumps({"sizes": found}), flush=True)
    return 0


def _filled(server: Server, database: str, superuser_url: str, size: int) -> Crowd:
    from benchmarks.reconciliation import crowd as making
    from config import seam
    from ledger import accounts
    from ledger.models import Mode
    from payments import merchants
    from payments.merchants import FeeTerms, MerchantDetails, PspDetails

    accounts.forget()
    made = merchants.create_merchant(MerchantDetails("Crowd", Mode.TEST, FeeTerms(0, {}), "DE", "EUR"), now=seam.now())
    account = merchants.put_psp_account(made.book.pk, PspDetails("stripe", "crowd", "sk_crowd"), now=seam.now())
    crowd = Crowd(server, database, server.home.directory / f"{database}.csv")
    with psycopg.connect(superuser_url, autocommit=True) as superuser:
        making.fill(superuser, made.book, account, made.house_seller.pk, size)
        crowd.lines = making.write_report(superuser, made.book, crowd.report)
    server.settle(database)
    return crowd


def _limit(crowd: Crowd) -> dict[str, float]:
    """COPY the same file into a table without an index, and join it once with the charges."""
    with crowd.report.open("rb") as file, crowd.connect() as superuser:
        columns = file.readline().decode().strip().split(",")
        file.seek(0)
        superuser.execute(f"CREATE UNLOGGED TABLE plain ({', '.join(f'{name} text' for name in columns)})")
        began = time.perf_counter()
        with superuser.cursor().copy("COPY plain FROM STDIN (FORMAT csv, HEADER)") as copy:
            while chunk := file.read(_CHUNK):
                copy.write(chunk)
        copied = time.perf_counter() - began
        superuser.execute("SET work_mem = '256MB'")
        superuser.execute("SET enable_nestloop = off")
        superuser.execute("SET enable_mergejoin = off")
        began = time.perf_counter()
        superuser.execute(_JOIN).fetchone()
        joined = time.perf_counter() - began
        superuser.execute("DROP TABLE plain")
    return {"copy": copied, "join": joined}


def _started(crowd: Crowd) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "benchmarks.reconciliation.one_day", str(crowd.report)]
    return subprocess.Popen(words, cwd=ROOT, env=crowd.environment(), stdout=subprocess.PIPE, text=True)


def _one_day(crowd: Crowd) -> dict[str, Any]:
    child = _started(crowd)
    said, _ = child.communicate(timeout=CHILD_SECONDS)
    if child.returncode != 0:
        raise SystemExit("the day was not reconciled")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def _meanwhile(crowd: Crowd, superuser_url: str) -> dict[str, Any]:
    """Reconcile while payments are settled, and compare how long those take with how long they take alone."""
    from benchmarks.reconciliation.settling import Shop, quantile

    shop = Shop.open(superuser_url)
    shop.latencies(2.0)  # plans and caches are made
    alone = shop.latencies(ALONE_SECONDS)
    beside: list[float] = []
    child = _started(crowd)
    while child.poll() is None:
        beside += shop.latencies(1.0)
    said, _ = child.communicate(timeout=CHILD_SECONDS)
    if child.returncode != 0:
        raise SystemExit("the day was not reconciled")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found | {
        "settle_p50_ms": quantile(alone, 0.5) * 1000,
        "settle_p99_ms": quantile(alone, 0.99) * 1000,
        "settle_p50_ms_beside": quantile(beside, 0.5) * 1000,
        "settle_p99_ms_beside": quantile(beside, 0.99) * 1000,
        "settled_beside": len(beside),
    }


def _with_ratios(row: dict[str, Any]) -> dict[str, Any]:
    work = sum(row[step] for step in STEPS)
    row["seconds"] = work
    row["rows_per_second"] = row["lines"] / work
    row["times_the_limit"] = work / (row["copy"] + row["join"])
    if "settle_p99_ms" in row:
        row["p99_ratio"] = row["settle_p99_ms_beside"] / row["settle_p99_ms"]
    return row


def _show(row: dict[str, Any]) -> None:
    steps = ", ".join(f"{step} {row[step]:.2f} s" for step in ("ingest", "gather", "match", "book", "classify"))
    print(
        f"{row['lines']:>9,} lines: {steps}\n"
        f"          COPY {row['copy']:.2f} s + join {row['join']:.2f} s; ingest + match + classify are"
        f" {row['times_the_limit']:.2f} times that, {row['rows_per_second']:,.0f} lines a second,"
        f" Python at most {row['python_mib']:.0f} MiB, {row['breaks']} breaks",
        file=sys.stderr,
        flush=True,
    )
    if "p99_ratio" in row:
        print(
            f"          50 payments a second: p99 {row['settle_p99_ms']:.0f} ms alone,"
            f" {row['settle_p99_ms_beside']:.0f} ms beside ({row['p99_ratio']:.2f} times)",
            file=sys.stderr,
            flush=True,
        )
