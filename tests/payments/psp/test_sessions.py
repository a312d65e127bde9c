"""Hosted sessions: what the buyer finds there, where the charge behind one stands, how one is cancelled."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from payments.psp.base import (
    HostedRequest,
    ObjectKind,
    ObjectStatus,
    OrderLine,
    Outcome,
    Snapshot,
)
from payments.psp.stripe import StripeAdapter
from tests.payments.psp.operations import RETURN_URL, Bench, context, hosted
from tests.sandbox_process import SandboxPsp, free_port


def opened(bench: Bench, request: HostedRequest | None = None) -> Snapshot:
    result = bench.adapter.create_hosted_session(context(), request or hosted())
    assert result.outcome is Outcome.SUCCEEDED
    assert result.snapshot is not None
    return result.snapshot


def choose(session: Snapshot, choice: str = "card") -> int:
    """Press a button as the buyer does on the PSP's page, and return the status of what comes then."""
    return requests.post(session.url, data={"choice": choice}, timeout=10, allow_redirects=False).status_code


def test_the_page_shows_the_lines_and_the_charge_carries_our_metadata(bench: Bench) -> None:
    ctx = context()
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    result = bench.adapter.create_hosted_session(ctx, hosted(2500, expires_at=expires_at))
    session = result.snapshot
    assert session is not None
    assert (session.kind, session.status) == (ObjectKind.SESSION, ObjectStatus.OPEN)
    assert (session.amount_minor, session.currency) == (2500, "EUR")
    assert session.url.startswith("http")
    raw = bench.truth.checkout.sessions.retrieve(session.psp_id).to_dict()
    assert raw["metadata"] == {"florin_payment": "pay_1", "florin_operation": ctx.operation_id}
    assert raw["client_reference_id"] == ctx.operation_id
    assert raw["expires_at"] == int(expires_at.timestamp())
    lines = bench.truth.checkout.sessions.line_items.list(session.psp_id).data
    assert [(line.description, line.amount_total) for line in lines] == [("Teapot", 1999), ("Cup", 501)]
    intent = bench.truth.payment_intents.retrieve(session.charge_psp_id).to_dict()
    assert intent["metadata"]["florin_operation"] == ctx.operation_id


def test_more_lines_than_a_page_holds_end_in_one_that_sums_up_the_rest(bench: Bench) -> None:
    lines = tuple(OrderLine(f"Item {number}", number) for number in range(1, 151))
    request = HostedRequest(sum(range(1, 151)), "EUR", False, lines, RETURN_URL, RETURN_URL)
    session = opened(bench, request)
    shown = bench.truth.checkout.sessions.line_items.list(session.psp_id, {"limit": 100}).data
    assert len(shown) == 100
    assert shown[-1].description == "51 more"
    assert sum(line.amount_total for line in shown) == session.amount_minor == request.amount_minor


def test_a_request_without_lines_shows_one(bench: Bench) -> None:
    session = opened(bench, HostedRequest(700, "EUR", False, (), RETURN_URL, RETURN_URL))
    assert session.amount_minor == 700


def test_lines_that_do_not_sum_to_the_amount_are_a_bug_of_the_caller(bench: Bench) -> None:
    request = HostedRequest(700, "EUR", False, (OrderLine("x", 699),), RETURN_URL, RETURN_URL)
    with pytest.raises(AssertionError):
        bench.adapter.create_hosted_session(context(), request)


def test_a_paid_session_points_to_the_captured_charge(bench: Bench) -> None:
    session = opened(bench)
    assert choose(session) == 303
    fetched = bench.adapter.fetch(ObjectKind.SESSION, session.psp_id).snapshot
    assert fetched is not None
    assert fetched.status is ObjectStatus.SUCCEEDED
    assert (fetched.captured_minor, fetched.charge_psp_id) == (2500, session.charge_psp_id)
    assert fetched.method is not None
    assert fetched.method.last4 == "4242"


def test_money_that_is_only_held_is_authorized_though_the_session_is_complete(bench: Bench) -> None:
    lines = (OrderLine("Teapot", 900),)
    session = opened(bench, HostedRequest(900, "EUR", True, lines, RETURN_URL, RETURN_URL))
    assert choose(session) == 303
    fetched = bench.adapter.fetch(ObjectKind.SESSION, session.psp_id).snapshot
    assert fetched is not None
    assert (fetched.status, fetched.capturable_minor) == (ObjectStatus.AUTHORIZED, 900)


def test_a_refused_try_leaves_the_session_open(bench: Bench) -> None:
    session = opened(bench)
    assert choose(session, "declined") == 200
    fetched = bench.adapter.fetch(ObjectKind.SESSION, session.psp_id).snapshot
    assert fetched is not None
    assert fetched.status is ObjectStatus.OPEN
    assert fetched.failure is not None
    assert fetched.failure.code == "card_declined"


def test_a_session_can_save_a_method_that_is_charged_later(bench: Bench) -> None:
    session = opened(bench, hosted(saves_method=True))
    assert choose(session) == 303
    fetched = bench.adapter.fetch(ObjectKind.SESSION, session.psp_id).snapshot
    assert fetched is not None
    assert fetched.status is ObjectStatus.SUCCEEDED
    assert fetched.charge_psp_id == ""
    assert fetched.customer.startswith("cus_")
    assert fetched.payment_method.startswith("pm_")


def test_cancelling_an_untouched_session_closes_it(bench: Bench) -> None:
    session = opened(bench)
    result = bench.adapter.cancel(context(), "", session.psp_id)
    assert result.outcome is Outcome.SUCCEEDED
    assert result.snapshot is not None
    assert result.snapshot.status is ObjectStatus.CANCELLED
    again = bench.adapter.cancel(context(), "", session.psp_id)
    assert (again.outcome, again.snapshot) == (result.outcome, result.snapshot)


def test_cancelling_a_paid_session_says_that_it_is_paid(bench: Bench) -> None:
    session = opened(bench)
    assert choose(session) == 303
    result = bench.adapter.cancel(context(), session.charge_psp_id, session.psp_id)
    assert result.outcome is Outcome.SUCCEEDED
    assert result.snapshot is not None
    assert (result.snapshot.kind, result.snapshot.status) == (ObjectKind.CHARGE, ObjectStatus.SUCCEEDED)
    assert result.snapshot.captured_minor == 2500


def test_cancelling_releases_money_that_a_session_holds(bench: Bench) -> None:
    lines = (OrderLine("Teapot", 900),)
    session = opened(bench, HostedRequest(900, "EUR", True, lines, RETURN_URL, RETURN_URL))
    assert choose(session) == 303
    result = bench.adapter.cancel(context(), session.charge_psp_id, session.psp_id)
    assert result.outcome is Outcome.SUCCEEDED
    assert result.snapshot is not None
    assert (result.snapshot.kind, result.snapshot.status) == (ObjectKind.CHARGE, ObjectStatus.CANCELLED)


def test_a_delayed_payment_behind_a_session_cannot_be_called_off_yet(bench: Bench, sandbox_psp: SandboxPsp) -> None:
    session = opened(bench)
    assert choose(session, "qr") == 303
    result = bench.adapter.cancel(context(), session.charge_psp_id, session.psp_id)
    assert result.outcome is Outcome.PENDING


@pytest.mark.parametrize(
    ("endpoint", "kind", "closed"),
    [
        ("checkout.sessions.expire", "drop_before", False),
        ("checkout.sessions.expire", "drop_after", True),
        ("checkout.sessions.retrieve", "drop_before", True),
        ("checkout.sessions.retrieve", "429", True),
        ("payment_intents.retrieve", "500_before", True),
        ("payment_intents.retrieve", "429", True),
    ],
)
def test_trouble_in_the_middle_of_a_cancel_is_doubt_and_can_be_repeated(
    *, bench: Bench, sandbox_psp: SandboxPsp, key: str, endpoint: str, kind: str, closed: bool
) -> None:
    session, ctx = opened(bench), context()
    sandbox_psp.faults({"operation": endpoint, "kind": kind}, key=key)
    first = bench.adapter.cancel(ctx, session.charge_psp_id, session.psp_id)
    assert first.outcome is Outcome.UNKNOWN
    raw: Any = bench.truth.checkout.sessions.retrieve(session.psp_id)
    assert (raw.status == "expired") == closed
    second = bench.adapter.cancel(ctx, session.charge_psp_id, session.psp_id)
    assert second.outcome is Outcome.SUCCEEDED
    assert second.snapshot is not None
    assert second.snapshot.status is ObjectStatus.CANCELLED


def test_an_address_of_notifications_is_registered_once(bench: Bench) -> None:
    url = "https://florin.example/webhooks/psp/stripe/acc"
    elsewhere = bench.adapter.ensure_webhook("https://other.example/")
    first, second = bench.adapter.ensure_webhook(url), bench.adapter.ensure_webhook(url)
    assert all(secret.startswith("whsec_") for secret in (elsewhere, first, second))
    assert first != second
    left = [endpoint.url for endpoint in bench.truth.webhook_endpoints.list().data]
    assert sorted(left) == [url, url, "https://other.example/", "https://other.example/"], "ours and the sellers'"


@pytest.mark.parametrize("kind", ["drop_before", "500_before", "429"])
def test_an_address_that_cannot_be_registered(bench: Bench, sandbox_psp: SandboxPsp, key: str, kind: str) -> None:
    sandbox_psp.faults({"operation": "webhook_endpoints.create", "kind": kind}, key=key)
    with pytest.raises(ConnectionError):
        bench.adapter.ensure_webhook("https://florin.example/")


def test_an_address_is_not_registered_for_a_bad_key_or_with_nobody_or_if_it_is_none(
    bench: Bench, sandbox_psp: SandboxPsp
) -> None:
    for adapter, url in (
        (StripeAdapter("pk_test_a_wrong_key", sandbox_psp.url), "https://florin.example/"),
        (StripeAdapter("sk_test_x", f"http://127.0.0.1:{free_port()}"), "https://florin.example/"),
        (bench.adapter, "nonsense"),
    ):
        with pytest.raises(ConnectionError):
            adapter.ensure_webhook(url)
