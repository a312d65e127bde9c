"""Real processes die and servers go away while real payments come in over HTTP.

Whatever was acknowledged is finished within a minute of the last fault, without anybody's help, charged once and
booked once. The sandbox PSP is the referee.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import requests

from config.local_stack.home import ROOT
from config.local_stack.stack import LocalStack
from tests.stacks import throwaway_stack

WITHIN_SECONDS = 60.0
# Nobody waits for the default lease of 45 s here: 15 s are as safe with calls that wait 2 s for an answer and not 10 s.
_SETTINGS = {"FLORIN_LEASE_SECONDS": "15", "FLORIN_PSP_READ_TIMEOUT": "2"}
_PROCESSES = ("sandbox", "web", "worker", "sweeper")


@dataclass
class Market:
    """A running stack with a merchant, and the payments that were acknowledged."""

    stack: LocalStack
    key: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    posts: int = 0

    @property
    def workers(self) -> list[str]:
        """Return who does the work here: the Celery worker, if there is one, and the sweeper."""
        return [name for name in ("worker", "sweeper") if name in self.stack.supervisor]

    def post(self, token: str = "pm_card_visa") -> bool:
        """Post a checkout; True when it was acknowledged. A refused connection or a 503 acknowledges nothing."""
        self.posts += 1
        name = f"cart-{self.posts}"
        body = {
            "checkout_id": name,
            "currency": "EUR",
            "buyer": {"id": "u-1"},
            "amount": "12.34",
            "payment_method": {"token": token},
        }
        try:
            answer = self._ask("POST", "/api/v1/payments", json=body, headers={"Idempotency-Key": name})
        except requests.RequestException:
            return False
        if answer.status_code == 201:
            self.acknowledged[answer.json()["id"]] = name
            return True
        assert answer.status_code == 503, answer.text
        return False

    def statuses(self) -> dict[str, int]:
        """Return how many of the acknowledged payments are in each status."""
        counts: dict[str, int] = {}
        for payment in self.acknowledged:
            status = self._ask("GET", f"/api/v1/payments/{payment}").json()["status"]
            counts[status] = counts.get(status, 0) + 1
        return counts

    def finish(self) -> float:
        """Wait until every acknowledged payment has succeeded; return the seconds that it took."""
        started = time.monotonic()
        counts: dict[str, int] = {}
        while time.monotonic() - started < WITHIN_SECONDS:
            try:
                counts = self.statuses()
            except requests.RequestException:
                counts = {}
            if counts == {"succeeded": len(self.acknowledged)}:
                return time.monotonic() - started
            time.sleep(0.5)
        raise AssertionError(f"after {WITHIN_SECONDS} s: {counts}")

    def agree(self) -> None:
        """Assert that the books hold and that the PSP charged each acknowledged payment once."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "verify_books", "--json"],
            env=self.stack.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        books = requests.get(f"{self.stack.addresses['sandbox_psp']}/_sandbox/books", timeout=30).json()
        taken = [charge["metadata"]["florin_payment"] for charge in books["charges"] if charge["captured"]]
        assert sorted(taken) == sorted(set(taken))
        assert set(taken) >= set(self.acknowledged)

    def _ask(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        return requests.request(method, self.stack.addresses["web"] + path, headers=headers, timeout=10, **more)


def _open(stack: LocalStack) -> Market:
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "create_merchant", "Faults", "--json"],
        env=stack.environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return Market(stack, json.loads(done.stdout.splitlines()[-1])["api_key"])


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    """Give a market on a stack of its own, with Celery."""
    with throwaway_stack(only=_PROCESSES, settings=_SETTINGS) as stack:
        yield _open(stack)


def _under_load(market: Market, fault: Callable[[], None], *, times: int) -> None:
    """Let `fault` happen several times while checkouts come in."""
    over = threading.Event()

    def shop() -> None:
        while not over.is_set():
            market.post()
            time.sleep(0.02)

    shopper = threading.Thread(target=shop)
    shopper.start()
    try:
        for _ in range(times):
            time.sleep(0.7)
            fault()
    finally:
        over.set()
        shopper.join(60)
    assert not shopper.is_alive()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("keys", [("one", "one"), ("one", "two")])
def test_a_key_that_a_proxy_sent_twice_is_refused_and_pays_nothing(market: Market, keys: tuple[str, str]) -> None:
    address = urlsplit(market.stack.addresses["web"])
    assert address.hostname is not None
    body = json.dumps({"checkout_id": f"twice-{keys[1]}", "currency": "EUR", "amount": "1.00"}).encode()
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    connection.putrequest("POST", "/api/v1/payments")
    for name, value in [
        ("Authorization", f"Bearer {market.key}"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        *(("Idempotency-Key", key) for key in keys),
    ]:
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()
    assert (answer.status, said["code"]) == (400, "idempotency_key_invalid")
    found = market._ask("GET", f"/api/v1/payments?checkout_id=twice-{keys[1]}").json()
    assert found["data"] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_worker_is_killed_again_and_again(market: Market) -> None:
    _under_load(market, lambda: market.stack.supervisor.kill(market.workers[0]), times=4)
    assert len(market.acknowledged) > 20
    market.finish()
    market.agree()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_worker_and_sweeper_are_killed_while_calls_are_on_the_wire(market: Market) -> None:
    requests.post(
        f"{market.stack.addresses['sandbox_psp']}/_sandbox/faults",
        json={"operation": "payment_intents.confirm", "kind": "delay", "times": 10, "seconds": 1.5},
        timeout=10,
    )
    for _ in range(10):
        market.post()
    time.sleep(1.0)
    for name in market.workers:
        market.stack.supervisor.kill(name)
    market.finish()
    market.agree()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_broker_is_flushed_and_killed(market: Market) -> None:
    valkey = market.stack.servers.valkey
    assert valkey is not None

    def fault() -> None:
        market.stack.wait_until_ready(("valkey",))  # after the fault before, on a machine that is busy
        with redis.Redis.from_url(market.stack.environment["REDIS_URL"]) as client:
            client.flushall()
        market.stack.supervisor.kill("valkey")

    _under_load(market, fault, times=3)
    market.finish()
    market.agree()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_database_is_killed(market: Market) -> None:
    _under_load(market, lambda: market.stack.supervisor.kill("postgres"), times=2)
    market.stack.wait_until_ready(("postgres", "web"))
    market.finish()
    market.agree()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_without_celery_the_sweeper_does_everything() -> None:
    with throwaway_stack(only=_PROCESSES, celery=False, settings=_SETTINGS) as stack:
        market = _open(stack)
        for _ in range(20):
            assert market.post()
        assert market.post("pm_card_visa")
        market.finish()
        market.agree()
