"""Fixtures of the sandbox's own tests: the process, an account of its own for each test, and the real SDK."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from tests.sandbox_process import SandboxPsp, sandbox_psp

__all__ = ["sandbox_psp"]

type Client = Any  # stripe's v1 services; tests reach into fields that the SDK types too narrowly

NEVER_REDIRECT = {"enabled": True, "allow_redirects": "never"}
WAIT_SECONDS = 10.0


@pytest.fixture
def key(sandbox_psp: SandboxPsp) -> Iterator[str]:
    """Give an empty account, and check after the test that the sandbox's own books balance."""
    mine = sandbox_psp.new_key()
    yield mine
    sandbox_psp.clear_faults(mine)
    books = sandbox_psp.books(mine)
    assert books["balanced"], books["wrong"]


@pytest.fixture
def connect(sandbox_psp: SandboxPsp) -> Callable[..., Client]:
    """Give a way to make SDK clients for any key."""

    def client(secret_key: str, *, timeout: float = 20.0) -> Client:
        http = stripe.RequestsClient(timeout=timeout)
        return stripe.StripeClient(
            secret_key, base_addresses={"api": sandbox_psp.url}, max_network_retries=0, http_client=http
        ).v1

    return client


@pytest.fixture
def psp(connect: Callable[..., Client], key: str) -> Client:
    """Give the SDK client of this test's account."""
    return connect(key)


@pytest.fixture
def new_intent(psp: Client) -> Callable[..., Any]:
    """Give a way to create a PaymentIntent of 19.99 EUR that never redirects."""

    def create(**params: Any) -> Any:
        body = {"amount": 1999, "currency": "eur", "automatic_payment_methods": NEVER_REDIRECT, **params}
        return psp.payment_intents.create({name: value for name, value in body.items() if value is not None})

    return create


@dataclass
class Received:
    """One webhook as it arrived."""

    body: bytes
    signature: str
    at: float

    def verified(self, secret: str) -> stripe.Event:
        """Answer the event, or raise if the signature is wrong."""
        return stripe.Webhook.construct_event(self.body, self.signature, secret)  # type: ignore[no-untyped-call]


@dataclass
class Receiver:
    """A merchant's webhook address that answers with the statuses it is told, then with 200."""

    url: str
    received: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def wait(self, count: int, seconds: float = WAIT_SECONDS) -> list[Received]:
        """Wait until so many webhooks have arrived and answer all of them."""
        until = time.monotonic() + seconds
        while len(self.received) < count and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.received) >= count, f"{len(self.received)} of {count} webhooks arrived"
        return list(self.received)

    def quiet(self, seconds: float = 0.5) -> int:
        """Wait a while and answer how many webhooks have arrived in all."""
        time.sleep(seconds)
        return len(self.received)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a webhook address on the loopback."""
    box = Receiver(url="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = box.answers.pop(0) if box.answers else 200
            box.received.append(Received(body, self.headers["Stripe-Signature"], time.monotonic()))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    box.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield box
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


@pytest.fixture
def secret(psp: Client, receiver: Receiver) -> str:
    """Register the receiver for every event of this test's account and give its signing secret."""
    endpoint = psp.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    return str(endpoint.secret)
