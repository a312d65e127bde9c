"""A notification is believed only if Stripe signed it just now, and even then it is only a hint."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from payments.psp.base import ConfirmRequest, NotificationRejected, ObjectKind, ObjectStatus
from payments.psp.stripe import StripeNotifications
from tests.payments.psp.operations import RETURN_URL, Bench, context, hosted, paid, registered

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECRET = "whsec_test"
BODY = b'{"id": "evt_1", "object": "event"}'
READER = StripeNotifications()


def sign(body: bytes, at: datetime = NOW, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{int(at.timestamp())}.".encode() + body, hashlib.sha256).hexdigest()


def header(*signatures: str, at: datetime = NOW, scheme: str = "v1") -> dict[str, str]:
    parts = [f"t={int(at.timestamp())}", *(f"{scheme}={signature}" for signature in signatures)]
    return {"Stripe-Signature": ",".join(parts)}


def refused(body: bytes, headers: dict[str, str], secret: str = SECRET, now: datetime = NOW) -> str:
    with pytest.raises(NotificationRejected) as caught:
        READER.verify(body, headers, secret, now)
    return caught.value.code


def test_a_right_and_fresh_signature_is_accepted() -> None:
    READER.verify(BODY, header(sign(BODY)), SECRET, NOW)


def test_the_sdk_makes_the_same_signature() -> None:
    text = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, int(NOW.timestamp()))
    READER.verify(BODY, {"stripe-signature": text}, SECRET, NOW)


def test_one_of_several_is_enough_while_a_secret_is_rolled() -> None:
    READER.verify(BODY, header("0" * 64, sign(BODY), sign(BODY, secret="whsec_old")), SECRET, NOW)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_up_to_five_minutes_either_way_are_fresh(seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    READER.verify(BODY, header(sign(BODY, at), at=at), SECRET, NOW)


@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 86_400])
def test_older_or_from_the_future_is_refused(seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    assert refused(BODY, header(sign(BODY, at), at=at)) == "signature_stale"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "signature_missing"),
        ({"Stripe-Signature": ""}, "signature_missing"),
        ({"Stripe-Signature": "t=1," + "v1=0," * 5000}, "signature_missing"),
        ({"Stripe-Signature": "nonsense"}, "signature_malformed"),
        ({"Stripe-Signature": f"v1={sign(BODY)}"}, "signature_malformed"),
        ({"Stripe-Signature": f"t={int(NOW.timestamp())}"}, "signature_malformed"),
        ({"Stripe-Signature": f"t=,v1={sign(BODY)}"}, "signature_malformed"),
        ({"Stripe-Signature": f"t=-5,v1={sign(BODY)}"}, "signature_malformed"),
        ({"Stripe-Signature": f"t=\u0661,v1={sign(BODY)}"}, "signature_malformed"),
        ({"Stripe-Signature": f"t={'9' * 400},v1={sign(BODY)}"}, "signature_malformed"),
        ({"Stripe-Signature": f"t=1,t={int(NOW.timestamp())},v1={sign(BODY)}"}, "signature_malformed"),
        (header(sign(BODY), scheme="v0"), "signature_malformed"),
        (header(sign(BODY), scheme="v2"), "signature_malformed"),
        (header(""), "signature_mismatch"),
        (header("\u00e9\ud800"), "signature_mismatch"),
        (header(sign(BODY).upper()), "signature_mismatch"),
        (header(sign(BODY)[:-1]), "signature_mismatch"),
        (header(sign(BODY, secret="whsec_other")), "signature_mismatch"),
        (header(sign(BODY + b" ")), "signature_mismatch"),
        (header(sign(BODY), at=NOW + timedelta(seconds=1)), "signature_mismatch"),
    ],
)
def test_anything_else_is_refused(headers: dict[str, str], code: str) -> None:
    assert refused(BODY, headers) == code


def test_an_empty_secret_verifies_nothing() -> None:
    assert refused(BODY, header(sign(BODY, secret="")), secret="") == "signature_secret_missing"


def test_the_raw_bytes_are_signed_whatever_they_are() -> None:
    body = b"\xff\xfe not even text"
    READER.verify(body, header(sign(body)), SECRET, NOW)
    with pytest.raises(NotificationRejected):
        READER.parse(body)


@given(st.text(max_size=200), st.binary(max_size=50))
def test_no_header_and_no_body_makes_it_raise_anything_else(text: str, body: bytes) -> None:
    with pytest.raises(NotificationRejected):
        READER.verify(body, {"Stripe-Signature": text}, SECRET, NOW)
    with pytest.raises(NotificationRejected):
        READER.parse(body)


def event(kind: str, shown: dict[str, Any], **more: Any) -> bytes:
    whole = {"id": "evt_1", "object": "event", "type": kind, "created": 1, "data": {"object": shown}, **more}
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"5",
        b"{}",
        b"[" * 100_000,
        b'{"object": "event"}',
        b'{"id": "evt_1", "object": "event", "type": "x", "created": 1}',
        b'{"id": "evt_1", "object": "event", "type": "x", "created": 1, "data": {}}',
        event("payment_intent.succeeded", {"object": "payment_intent"}),
        event("payment_intent.succeeded", {"object": "payment_intent", "id": 5}),
        event("x", {}, id=""),
        event("x", {}, id="e" * 300),
        event("x", {}, created="yesterday"),
        event("x", {}, created=10**30),
        event("x", {}, object="v2.core.event"),
    ],
)
def test_a_body_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(NotificationRejected) as caught:
        READER.parse(body)
    assert caught.value.code == "body_malformed"


@pytest.mark.parametrize(
    ("kind", "name", "pointed_to"),
    [
        ("payment_intent.succeeded", "payment_intent", ObjectKind.CHARGE),
        ("payment_intent.payment_failed", "payment_intent", ObjectKind.CHARGE),
        ("checkout.session.completed", "checkout.session", ObjectKind.SESSION),
        ("checkout.session.expired", "checkout.session", ObjectKind.SESSION),
        ("setup_intent.succeeded", "setup_intent", ObjectKind.SAVED_METHOD),
        ("refund.updated", "refund", ObjectKind.REFUND),
        ("charge.refund.updated", "refund", ObjectKind.REFUND),
        ("charge.dispute.created", "dispute", ObjectKind.DISPUTE),
        ("charge.dispute.funds_reinstated", "dispute", ObjectKind.DISPUTE),
        ("payment_intent.succeeded", "charge", None),
        ("charge.succeeded", "charge", None),
        ("payout.paid", "payout", ObjectKind.PAYOUT),
        ("something.new", "something", None),
    ],
)
def test_what_it_points_to(kind: str, name: str, pointed_to: ObjectKind | None) -> None:
    ref = READER.parse(event(kind, {"object": name, "id": "xx_1", "metadata": {"florin_operation": "op", "n": 5}}))
    assert (ref.event_id, ref.type, ref.kind, ref.psp_id) == ("evt_1", kind, pointed_to, "xx_1")
    assert ref.created_at == datetime.fromtimestamp(1, UTC)
    assert ref.metadata == {"florin_operation": "op"}
    assert ref.snapshot is None, "the object cannot be read, so only the pointer is left"


def test_a_refunded_charge_points_to_the_intent_that_it_belongs_to() -> None:
    ref = READER.parse(event("charge.refunded", {"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}))
    assert (ref.kind, ref.psp_id, ref.snapshot) == (ObjectKind.CHARGE, "pi_1", None)
    alone = READER.parse(event("charge.refunded", {"object": "charge", "id": "ch_1", "payment_intent": None}))
    assert (alone.kind, alone.psp_id) == (None, "ch_1")


def test_a_dispute_names_the_intent_that_it_is_about() -> None:
    ref = READER.parse(event("charge.dispute.closed", {"object": "dispute", "id": "du_1", "payment_intent": "pi_1"}))
    assert (ref.kind, ref.psp_id, ref.charge_psp_id) == (ObjectKind.DISPUTE, "du_1", "pi_1")


type Delivery = tuple[dict[str, str], bytes]


@contextmanager
def inbox() -> Iterator[tuple[str, list[Delivery]]]:
    """Run a receiver of notifications and give its address and what it was sent."""
    received: list[Delivery] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((dict(self.headers.items()), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def wait_for(received: list[Delivery], *kinds: str, about: str = "", seconds: float = 10) -> dict[str, Delivery]:
    """Wait until one of each kind has arrived, or one about an object, and return them by kind."""
    give_up_at = time.monotonic() + seconds
    while True:
        by_kind = {
            json.loads(body)["type"]: (headers, body) for headers, body in list(received) if about.encode() in body
        }
        if by_kind and set(kinds) <= set(by_kind):
            return by_kind
        assert time.monotonic() < give_up_at, f"only {sorted(by_kind)} arrived"
        time.sleep(0.01)


def test_the_sandbox_notifies_and_everything_can_be_verified_and_read(bench: Bench) -> None:
    with inbox() as (url, received):
        secret = bench.adapter.ensure_webhook(url)
        charge = paid(bench)
        refund = bench.adapter.refund(context(), charge, 500, "EUR").snapshot
        declined = registered(bench)
        bench.adapter.confirm(context(), declined, ConfirmRequest("pm_card_chargeDeclined", RETURN_URL))
        saved = bench.adapter.save_method(context(), "pm_card_visa", RETURN_URL).snapshot
        session = bench.adapter.create_hosted_session(context(), hosted()).snapshot
        assert refund is not None
        assert saved is not None
        assert session is not None
        bench.adapter.cancel(context(), session.charge_psp_id, session.psp_id)
        wanted = {
            "payment_intent.succeeded": (ObjectKind.CHARGE, charge, ObjectStatus.SUCCEEDED),
            "payment_intent.payment_failed": (ObjectKind.CHARGE, declined, ObjectStatus.DECLINED),
            "payment_intent.canceled": (ObjectKind.CHARGE, session.charge_psp_id, ObjectStatus.CANCELLED),
            "refund.created": (ObjectKind.REFUND, refund.psp_id, ObjectStatus.SUCCEEDED),
            "setup_intent.succeeded": (ObjectKind.SAVED_METHOD, saved.psp_id, ObjectStatus.SUCCEEDED),
            "checkout.session.expired": (ObjectKind.SESSION, session.psp_id, ObjectStatus.CANCELLED),
        }
        arrived = wait_for(received, *wanted)
    for kind, (headers, body) in arrived.items():
        READER.verify(body, headers, secret, datetime.now(UTC))
        with pytest.raises(NotificationRejected):
            READER.verify(body, headers, "whsec_other", datetime.now(UTC))
        ref = READER.parse(body)
        assert ref.type == kind
        if kind in wanted:
            assert ref.snapshot is not None
            assert (ref.kind, ref.psp_id, ref.snapshot.status) == wanted[kind]
            if ref.kind is not ObjectKind.SESSION:
                assert ref.metadata["florin_operation"].startswith("op_")
