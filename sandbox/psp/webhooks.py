"""Deliver events to webhook endpoints, signed like Stripe, tried again with growing pauses.

A delivery is a row written with its event; the loop sends due rows, a bounded number at a time per
endpoint, and never inside a transaction. Pauses run on the sandbox's clock; the signature's timestamp is
real time, because the receiver compares it with its own clock.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp

from .errors import Json
from .faults import WEBHOOKS
from .identifiers import random_text
from .store import encode

if TYPE_CHECKING:
    from .sandbox import Sandbox

log = logging.getLogger(__name__)
RETRY_SECONDS: Final = (1, 2, 4, 8, 15, 30, 60, 300, 900, 3600, 7200, 14400, 28800, 57600, 86400)
TIMEOUT_SECONDS: Final = 20.0
AT_ONCE: Final = 64
AT_ONCE_PER_ENDPOINT: Final = 8
MAX_WAITING: Final = 200_000
COUNT_EVERY: Final = 1000
IDLE_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events of an account go."""

    id: str
    url: str
    secret: str
    events: frozenset[str]
    connect: bool

    def wants(self, name: str) -> bool:
        """Whether the endpoint asked for this type."""
        return "*" in self.events or name in self.events


def signature(secret: str, body: bytes, *, timestamp: int) -> str:
    """Answer the `Stripe-Signature` header for a body."""
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


class Webhooks:
    """The rows that wait for delivery and the loop that sends them."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self.sandbox = sandbox
        self.woken = asyncio.Event()
        self.endpoints: dict[str, list[Endpoint]] = {}
        self.sending: dict[int, str] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.session: aiohttp.ClientSession | None = None
        self.queued = 0
        self.waiting = 0

    def forget(self) -> None:
        """Read the endpoints again at the next event."""
        self.endpoints.clear()

    def interested(self, scope: str, name: str) -> list[Endpoint]:
        """Answer the endpoints that want an event of an account."""
        known = self.endpoints.get(scope)
        if known is None:
            platform = self.sandbox.platform_of(scope) or scope
            known = [
                Endpoint(
                    row["id"],
                    row["url"],
                    row["_"]["secret"],
                    frozenset(row["enabled_events"]),
                    row["_"]["connect"],
                )
                for row in self.sandbox.store.all(platform, "webhook_endpoint")
                if row["_"]["connect"] == (scope != platform) and row["status"] == "enabled"
            ]
            self.endpoints[scope] = known
        return [endpoint for endpoint in known if endpoint.wants(name)]

    def queue(self, scope: str, event: Json, endpoints: list[Endpoint], *, faults: bool = True) -> None:
        """Owe a delivery to each endpoint, as a fault may want it, in the caller's transaction."""
        platform = self.sandbox.platform_of(scope) or scope
        fault = (
            self.sandbox.faults.take(
                WEBHOOKS, (scope, platform), lambda: [{"type": event["type"]}, event["data"]["object"]]
            )
            if faults and self.sandbox.faults.rules
            else None
        )
        kind = fault.kind if fault else ""
        now = self.sandbox.clock.now()
        due = now + fault.seconds if fault and kind in ("reorder", "delay") else now
        state = "lost" if kind == "lose" or self._too_many_wait() else "due"
        for endpoint in endpoints:
            forged = [1, 0] if kind == "forge" else [0, 0] if kind == "duplicate" else [0]
            self.sandbox.store.db.executemany(
                "INSERT INTO deliveries (scope, endpoint, event, state, due, forged) VALUES (?, ?, ?, ?, ?, ?)",
                [(scope, endpoint.id, event["id"], state, due, flag) for flag in forged],
            )
        self.woken.set()

    def _too_many_wait(self) -> bool:
        self.queued += 1
        if self.queued % COUNT_EVERY == 0:
            (self.waiting,) = self.sandbox.store.db.execute(
                "SELECT count(*) FROM deliveries WHERE state = 'due'"
            ).fetchone()
        return self.waiting > MAX_WAITING

    async def run(self) -> None:
        """Send due rows until cancelled."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(limit=AT_ONCE)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as self.session:
            try:
                while True:
                    self.woken.clear()
                    wait = self._start_due()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self.woken.wait(), wait)
            finally:
                for task in self.tasks:
                    task.cancel()

    def _start_due(self) -> float:
        """Start sending what is due and may be sent; answer how long to wait for more."""
        busy = list(self.sending.values())
        full = [endpoint for endpoint in set(busy) if busy.count(endpoint) >= AT_ONCE_PER_ENDPOINT]
        now = self.sandbox.clock.now()
        rows = self.sandbox.store.db.execute(
            "SELECT id, scope, endpoint, event, tries, forged FROM deliveries WHERE state = 'due' AND due "
            "<= ? "
            f"AND endpoint NOT IN ({','.join('?' * len(full))}) ORDER BY due, id LIMIT ?",
            (now, *full, 2 * AT_ONCE),
        ).fetchall()
        for identifier, scope, endpoint_id, event_id, tries, forged in rows:
            if identifier in self.sending or len(self.sending) >= AT_ONCE:
                continue
            if busy.count(endpoint_id) >= AT_ONCE_PER_ENDPOINT:
                continue
            endpoint = self._endpoint(scope, endpoint_id)
            row = self.sandbox.store.db.execute("SELECT body FROM objects WHERE id = ?", (event_id,)).fetchone()
            if endpoint is None or row is None:
                self._finish(identifier, "gone", tries, "the endpoint or the event is gone")
                continue
            busy.append(endpoint_id)
            self.sending[identifier] = endpoint_id
            task = asyncio.create_task(self._send(identifier, endpoint, row[0], tries, bool(forged)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        (due,) = self.sandbox.store.db.execute(
            "SELECT min(due) FROM deliveries WHERE state = 'due' AND due > ?", (now,)
        ).fetchone()
        return IDLE_SECONDS if due is None else max(0.01, due - now)

    def _endpoint(self, scope: str, identifier: str) -> Endpoint | None:
        self.interested(scope, "")
        return next((one for one in self.endpoints[scope] if one.id == identifier), None)

    async def _send(self, identifier: int, endpoint: Endpoint, text: str, tries: int, forged: bool) -> None:
        body = _forged(text) if forged else text.encode()
        secret = f"whsec_{random_text(32)}" if forged else endpoint.secret
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(secret, body, timestamp=int(time.time())),
            "User-Agent": "Stripe/1.0 (+https://docs.stripe.com/webhooks)",
        }
        try:
            if self.session is None:
                raise RuntimeError("the loop that sends has not been started")
            async with self.session.post(endpoint.url, data=body, headers=headers, allow_redirects=False) as answer:
                note, fine = f"HTTP {answer.status}", 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
            note, fine = f"{type(problem).__name__}: {problem}"[:200], False
        finally:
            self.sending.pop(identifier, None)
            self.woken.set()
        if fine or forged or tries + 1 > len(RETRY_SECONDS):
            self._finish(identifier, "done" if fine or forged else "dead", tries + 1, note)
        else:
            due = self.sandbox.clock.now() + RETRY_SECONDS[tries]
            self.sandbox.store.db.execute(
                "UPDATE deliveries SET tries = ?, due = ?, note = ? WHERE id = ?",
                (tries + 1, due, note, identifier),
            )

    def _finish(self, identifier: int, state: str, tries: int, note: str) -> None:
        self.sandbox.store.db.execute(
            "UPDATE deliveries SET state = ?, tries = ?, note = ? WHERE id = ?",
            (state, tries, note, identifier),
        )


def _forged(text: str) -> bytes:
    """Answer a body as a liar would write it: the same ids, another outcome."""
    event: Json = json.loads(text)
    subject = event["data"]["object"]
    subject["status"] = "canceled" if subject.get("status") == "succeeded" else "succeeded"
    if "amount" in subject:
        subject["amount"] += 1
    return encode(event).encode()
