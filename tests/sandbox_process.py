"""The sandbox PSP as a process of its own, for any test that needs the outside world.

One process per test session (and per xdist worker), on a free port of the loopback. Tests keep apart by using
secret keys of their own (`new_key`), which are accounts of their own, and by limiting faults to them.
"""

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 20.0
ANSWER_SECONDS = 30.0


def free_port() -> int:
    """Answer a port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class SandboxPsp:
    """A running sandbox and its control endpoints."""

    url: str
    process: subprocess.Popen[bytes]
    http: requests.Session = field(default_factory=requests.Session)  # keeps its connection: thousands of calls

    def new_key(self) -> str:
        """Answer a secret key that nobody else uses: an empty account."""
        return f"sk_test_{uuid.uuid4().hex}"

    def books(self, key: str | None = None) -> dict[str, Any]:
        """Answer the books of one account, or of all."""
        return self._json("GET", "books", params={} if key is None else {"account": key})

    def faults(self, *rules: dict[str, Any], key: str | None = None) -> list[dict[str, Any]]:
        """Order faults (limited to one account if a key is given) and answer the rules."""
        limited = [{**rule, "account": key} if key else rule for rule in rules]
        ordered: list[dict[str, Any]] = self._json("POST", "faults", json=limited)["faults"]
        return ordered

    def fired(self) -> dict[str, int]:
        """Answer how often each rule fired, by its id."""
        return {rule["id"]: rule["fired"] for rule in self._json("GET", "faults")["faults"]}

    def clear_faults(self, key: str | None = None) -> None:
        """Switch faults off: those of one account, or all."""
        self._json("DELETE", "faults", params={} if key is None else {"account": key})

    def advance(self, seconds: float) -> dict[str, Any]:
        """Move the sandbox's clock; what became due is done when this returns."""
        return self._json("POST", "clock", json={"advance_seconds": seconds})

    def decide(self, payment_intent: str, outcome: str = "succeed") -> dict[str, Any]:
        """Decide a delayed or challenged payment now: `succeed` or `decline`."""
        return self._json("POST", f"payment_intents/{payment_intent}/advance", json={"outcome": outcome})

    def answer_page(self, url: str, **form: str) -> requests.Response:
        """Send a form to a page as a buyer's browser would, without following the redirect."""
        return requests.post(url, data=form, timeout=ANSWER_SECONDS, allow_redirects=False)

    def deliveries(self, key: str) -> list[dict[str, Any]]:
        """Answer the webhook deliveries of an account, newest first."""
        rows: list[dict[str, Any]] = self._json("GET", "webhooks", params={"account": key})["deliveries"]
        return rows

    def control(self, path: str, **body: Any) -> dict[str, Any]:
        """Post to any other control endpoint."""
        return self._json("POST", path, json=body)

    def reset(self, key: str | None = None) -> None:
        """Forget one account, or everything (and come back to real time)."""
        self._json("POST", "reset", json={} if key is None else {"account": key})

    def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = self.http.request(method, f"{self.url}/_sandbox/{path}", timeout=ANSWER_SECONDS, **more)
        if answer.status_code != 200:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        body: dict[str, Any] = answer.json()
        return body


def start(*words: str, port: int | None = None) -> SandboxPsp:
    """Start a sandbox process and wait until it answers."""
    port = port or free_port()
    process = subprocess.Popen([sys.executable, "-m", "sandbox.psp", "--port", str(port), *words], cwd=ROOT)
    psp = SandboxPsp(url=f"http://127.0.0.1:{port}", process=process)
    give_up_at = time.monotonic() + START_SECONDS
    while True:
        try:
            if requests.get(f"{psp.url}/_sandbox/health", timeout=2).status_code == 200:
                return psp
        except requests.ConnectionError:
            if process.poll() is not None or time.monotonic() > give_up_at:
                stop(psp)
                raise
        time.sleep(0.02)


def stop(psp: SandboxPsp) -> None:
    """End a sandbox process."""
    psp.http.close()
    psp.process.terminate()
    try:
        psp.process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        psp.process.kill()
        psp.process.wait(timeout=10)


@pytest.fixture(scope="session")
def sandbox_psp() -> Iterator[SandboxPsp]:
    """Give the sandbox PSP of this test process."""
    psp = start()
    yield psp
    stop(psp)
