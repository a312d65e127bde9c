"""What each kind of trouble on the wire proves, down to the bytes."""

import datetime as dt
import json
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from config import seam
from payments.psp.base import ObjectKind, Outcome, RegisterRequest, Result
from payments.psp.stripe import StripeAdapter
from tests.payments.psp.operations import MONEY, READS, Bench, Operation, context
from tests.payments.psp.scripted import answer, scripted
from tests.sandbox_process import free_port

HTML = b"<html><body>Bad Gateway</body></html>"
INTENT = {
    "id": "pi_1",
    "object": "payment_intent",
    "status": "requires_payment_method",
    "amount": 100,
    "currency": "eur",
    "created": 1,
    "metadata": {},
}


@pytest.fixture(autouse=True)
def impatience(settings: Settings) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 0.3
    settings.PSP_CONNECT_TIMEOUT_SECONDS = 0.3


def register(url: str, key: str = "sk_test_x") -> Result:
    return StripeAdapter(key, base_url=url).register(context(), RegisterRequest(100, "EUR", capture_later=False))


def said(result: Result) -> tuple[Outcome, str, int | None]:
    assert result.error is not None
    assert result.snapshot is None
    assert len(result.error.message) <= 500
    return result.outcome, result.error.code, result.error.http_status


def error(kind: str, code: str = "") -> bytes:
    return json.dumps({"error": {"type": kind, "code": code, "message": "no"}}).encode()


def test_nobody_listens() -> None:
    assert said(register(f"http://127.0.0.1:{free_port()}")) == (
        Outcome.NOT_EXECUTED,
        "psp_unreachable",
        None,
    )


def test_the_name_cannot_be_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("urllib3.util.connection.socket.getaddrinfo", fail)
    assert said(register("http://psp.example")) == (Outcome.NOT_EXECUTED, "psp_unreachable", None)


def test_the_connection_is_not_accepted_in_time() -> None:
    """A full queue of connections: the kernel drops ours, so it is never established."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        try:
            result = register(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            for one in waiting:
                one.close()
    assert said(result) == (Outcome.NOT_EXECUTED, "psp_unreachable", None)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("nonsense", "sk_test_x"),
        ("ftp://127.0.0.1", "sk_test_x"),
        ("http://127.0.0.1:1", "sk_test_x\nX-Evil: 1"),
    ],
)
def test_what_cannot_even_be_sent(url: str, key: str) -> None:
    result = register(url, key)
    assert said(result) == (Outcome.NOT_EXECUTED, "psp_misconfigured", None)
    assert result.error is not None
    assert "sk_test" not in result.error.message


@pytest.mark.parametrize(
    ("bytes_", "outcome", "code", "status"),
    [
        (answer("502 Bad Gateway", HTML), Outcome.UNKNOWN, "psp_gateway", 502),
        (answer("503 Service Unavailable", b""), Outcome.UNKNOWN, "psp_gateway", 503),
        (answer("200 OK", HTML), Outcome.UNKNOWN, "psp_unexpected_answer", 200),
        (answer("200 OK", b""), Outcome.UNKNOWN, "psp_unexpected_answer", 200),
        (answer("200 OK", b"\xff\xfe{}"), Outcome.UNKNOWN, "psp_unexpected_answer", None),
        (answer("200 OK", b"[]"), Outcome.UNKNOWN, "psp_unexpected_answer", None),
        (answer("200 OK", b'"yes"'), Outcome.UNKNOWN, "psp_unexpected_answer", None),
        (answer("200 OK", b"null"), Outcome.UNKNOWN, "psp_unexpected_answer", None),
        (answer("200 OK", b"{}"), Outcome.UNKNOWN, "psp_unexpected_answer", None),
        (answer("200 OK", b'{"object": 5}'), Outcome.UNKNOWN, "psp_unexpected_answer", None),
        (
            answer("200 OK", b'{"object": "refund", "id": "re_1"}'),
            Outcome.UNKNOWN,
            "psp_unexpected_answer",
            None,
        ),
        (answer("200 OK", b"[" * 100_000), Outcome.UNKNOWN, "psp_unexpected_answer", None),
        (
            answer("302 Found", b"", "Location: http://127.0.0.1:1/"),
            Outcome.UNKNOWN,
            "psp_connection_broken",
            None,
        ),
        (answer("307 Again", b"", "Location: /"), Outcome.UNKNOWN, "psp_connection_broken", None),
        (answer("401 Unauthorized", HTML), Outcome.UNKNOWN, "psp_unexpected_answer", 401),
        (answer("403 Forbidden", HTML), Outcome.UNKNOWN, "psp_unexpected_answer", 403),
        (answer("404 Not Found", HTML), Outcome.UNKNOWN, "psp_unexpected_answer", 404),
        (answer("400 Bad Request", b'{"error": "no"}'), Outcome.UNKNOWN, "psp_unexpected_answer", None),
        (answer("429 Slow Down", HTML), Outcome.NOT_EXECUTED, "psp_rate_limited", 429),
        (answer("400 Bad", error("x", "rate_limit")), Outcome.NOT_EXECUTED, "psp_rate_limited", 400),
        (
            answer("403 Forbidden", error("invalid_request_error")),
            Outcome.NOT_EXECUTED,
            "psp_authentication",
            403,
        ),
        (answer("409 Conflict", error("idempotency_error")), Outcome.UNKNOWN, "psp_key_in_use", 409),
        (answer("400 Bad", error("idempotency_error")), Outcome.UNKNOWN, "psp_key_mismatch", 400),
        (answer("500 Oops", error("api_error")), Outcome.UNKNOWN, "psp_server_error", 500),
        (
            answer("400 Bad", error("x", "payment_intent_unexpected_state")),
            Outcome.UNKNOWN,
            "psp_unexpected_state",
            400,
        ),
        (answer("400 Bad", error("invalid_request_error")), Outcome.DECLINED, "psp_refused", 400),
        (answer("404 Not Found", error("x", "resource_missing")), Outcome.DECLINED, "not_found", 404),
        (answer("418 Teapot", error("x")), Outcome.DECLINED, "psp_refused", 418),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", Outcome.UNKNOWN, "psp_timeout", None),
        (b"rubbish\r\n\r\n", Outcome.UNKNOWN, "psp_connection_broken", None),
    ],
)
def test_an_answer_is_classified(bytes_: bytes, outcome: Outcome, code: str, status: int | None) -> None:
    with scripted(bytes_) as server:
        result = register(server.url)
    assert said(result)[:2] == (outcome, code)
    if status is not None:
        assert said(result)[2] == status
    assert len(server.requests) == 1, "never a second try, never a redirect"


def test_a_cut_answer_is_doubt() -> None:
    cut = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id'
    with scripted(then=lambda connection: connection.sendall(cut)) as server:
        assert said(register(server.url))[:2] == (Outcome.UNKNOWN, "psp_connection_broken")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Retry-After: 7", 7.0),
        ("Retry-After: 0.5", 0.5),
        ("Retry-After: 99999999", 3600.0),
        ("Retry-After: -1", 0.0),
        ("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("X-Other: 7", None),
    ],
)
def test_how_long_to_wait(header: str, seconds: float | None) -> None:
    with scripted(answer("429 Slow Down", error("x"), header)) as server:
        result = register(server.url)
    assert result.error is not None
    assert result.error.retry_after_seconds == seconds


def test_no_cookie_and_no_netrc_goes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    good = answer("200 OK", json.dumps(INTENT).encode(), "Set-Cookie: a=b; Path=/")
    with scripted(good, good) as server:
        adapter = StripeAdapter("sk_test_x", base_url=server.url)
        for _ in range(2):
            result = adapter.register(context(), RegisterRequest(100, "EUR", capture_later=False))
            assert result.outcome is Outcome.SUCCEEDED
    for request in server.requests:
        head = request.partition(b"\r\n\r\n")[0].lower()
        assert b"cookie" not in head
        assert b"authorization: bearer sk_test_x" in head


def test_every_post_carries_the_key_the_version_and_the_metadata() -> None:
    ctx = context()
    with scripted(answer("200 OK", json.dumps(INTENT).encode())) as server:
        StripeAdapter("sk_test_x", base_url=server.url + "/").register(ctx, RegisterRequest(100, "EUR", False))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/payment_intents HTTP/1.1")
    assert f"idempotency-key: {ctx.idempotency_key}".encode() in head.lower()
    assert b"stripe-version: 2026-10-28.endive" in head.lower()
    assert f"metadata[florin_operation]={ctx.operation_id}".encode() in body.replace(b"%5B", b"[").replace(b"%5D", b"]")


def test_an_answer_in_an_older_dialect_is_read_too() -> None:
    paid = {**INTENT, "status": "succeeded", "latest_charge": {"object": "charge", "amount_captured": 60}}
    with scripted(answer("200 OK", json.dumps(paid).encode())) as server:
        snapshot = register(server.url).snapshot
    assert snapshot is not None
    assert snapshot.captured_minor == 60


def _certificate(directory: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = directory / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return pem


def test_a_server_that_cannot_prove_who_it_is_is_sent_nothing(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(_certificate(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    tls.wrap_socket(connection, server_side=True).recv(1)
                except OSError:
                    return  # the caller breaks the handshake off

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        result = register(f"https://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(5)
    assert said(result)[:2] == (Outcome.NOT_EXECUTED, "psp_unreachable")


def test_a_server_that_does_not_speak_tls_is_doubt() -> None:
    with scripted(answer("400 Bad", b"")) as server:
        result = register(server.url.replace("http:", "https:"))
    assert said(result)[0] is Outcome.UNKNOWN


def test_threads_share_one_adapter_and_its_connections(bench: Bench) -> None:
    def pay(number: int) -> int:
        ctx = context()
        made = bench.adapter.register(ctx, RegisterRequest(100 + number, "EUR", capture_later=False)).snapshot
        assert made is not None
        assert made.metadata["florin_operation"] == ctx.operation_id
        return made.amount_minor

    with ThreadPoolExecutor(32) as pool:
        assert sorted(pool.map(pay, range(96))) == list(range(100, 196))


@pytest.mark.parametrize("operation", [*MONEY, *READS], ids=lambda operation: operation.name)
def test_every_call_is_numbered_at_the_seam(bench: Bench, operation: Operation) -> None:
    ctx, it = context(), operation.prepare(bench)
    seen: list[seam.Crossing] = []
    with seam.observed_by(seen.append, all_threads=False):
        operation.perform(bench.adapter, ctx, it)
    http = [crossing for crossing in seen if crossing.kind == "http"]
    assert operation.endpoint in {crossing.name for crossing in http}
    assert [crossing.side for crossing in http] == ["before", "after"] * (len(http) // 2)
    assert len(http) == {"save_method": 6, "submit_evidence": 4}.get(operation.name, 2)


@pytest.mark.parametrize("operation", MONEY, ids=lambda operation: operation.name)
@pytest.mark.parametrize(("side", "times"), [("before", 0), ("after", 1)])
def test_a_crash_at_the_call_is_not_survived(bench: Bench, operation: Operation, side: str, times: int) -> None:
    ctx, it = context(), operation.prepare(bench)

    def die(crossing: seam.Crossing) -> None:
        if (crossing.name, crossing.side) == (operation.endpoint, side):
            raise seam.Crash

    with seam.observed_by(die, all_threads=False), pytest.raises(seam.Crash):
        operation.perform(bench.adapter, ctx, it)
    assert operation.happened(bench, ctx, it) == times


def test_a_silent_server_costs_no_more_than_the_timeout() -> None:
    with scripted(then=lambda _: time.sleep(2)) as server:
        started = time.monotonic()
        result = register(server.url)
        took = time.monotonic() - started
    assert said(result)[:2] == (Outcome.UNKNOWN, "psp_timeout")
    assert took < 1.5


def test_a_connection_that_was_closed_while_idle_is_replaced() -> None:
    good = answer("200 OK", json.dumps(INTENT).encode())
    with scripted(good) as first:
        adapter = StripeAdapter("sk_test_x", base_url=first.url)
        assert adapter.fetch(ObjectKind.CHARGE, "pi_1").outcome is Outcome.SUCCEEDED
    time.sleep(0.05)
    with scripted(good, port=first.port):
        assert adapter.fetch(ObjectKind.CHARGE, "pi_1").outcome is Outcome.SUCCEEDED
