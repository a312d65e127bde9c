"""The same adapter, unchanged, against a Stripe API that is not ours, for what that server supports.

localstripe cannot confirm with a token, so what needs a paid intent gets one past the adapter.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import requests

from payments.psp.base import ConfirmRequest, ObjectKind, ObjectStatus, Outcome, RegisterRequest, Result
from payments.psp.stripe import StripeAdapter, StripeNotifications
from tests.payments.psp.capabilities import OTHER_SERVER, cell
from tests.payments.psp.operations import Bench, context, hosted
from tests.payments.psp.test_notifications import inbox, wait_for


def paid_past_the_adapter(bench: Bench, *, later: bool = False) -> str:
    method = "manual" if later else "automatic"
    intent = bench.truth.payment_intents.create(
        {
            "amount": 1999,
            "currency": "eur",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "capture_method": method,
        }
    )
    return str(intent.id)


CELLS: dict[tuple[str, str], Callable[[Bench], Result]] = {
    ("done", "register"): lambda bench: bench.adapter.register(
        context(), RegisterRequest(1999, "EUR", capture_later=True)
    ),
    ("done", "save_method"): lambda bench: bench.adapter.save_method(context(), "pm_card_visa", ""),
    ("done", "capture"): lambda bench: bench.adapter.capture(
        context(), paid_past_the_adapter(bench, later=True), 1999, "EUR"
    ),
    ("done", "cancel"): lambda bench: bench.adapter.cancel(context(), paid_past_the_adapter(bench, later=True), ""),
    ("done", "refund"): lambda bench: bench.adapter.refund(context(), paid_past_the_adapter(bench), 700, "EUR"),
    ("done", "fetch"): lambda bench: bench.adapter.fetch(ObjectKind.CHARGE, paid_past_the_adapter(bench)),
    ("declined", "save_method"): lambda bench: bench.adapter.save_method(context(), "pm_card_visa_chargeDeclined", ""),
    ("3-D Secure", "save_method"): lambda bench: bench.adapter.save_method(
        context(),
        bench.truth.payment_methods.create(
            {
                "type": "card",
                "card": {"number": "4000002500003155", "exp_month": 12, "exp_year": 2040, "cvc": "123"},
            }
        ).id,
        "",
    ),
    ("refused (4xx)", "register"): lambda bench: bench.adapter.register(
        context(), RegisterRequest(1999, "EUR", capture_later=False, description="it does not know this")
    ),
    ("refused (4xx)", "refund"): lambda bench: bench.adapter.refund(
        context(), bench.truth.payment_intents.create({"amount": 5, "currency": "eur"}).id, 5, "EUR"
    ),
    ("already done", "cancel"): lambda bench: _cancelled_twice(bench),
    ("paid before the cancel", "cancel"): lambda bench: bench.adapter.cancel(
        context(), paid_past_the_adapter(bench), ""
    ),
    ("unknown object", "cancel"): lambda bench: bench.adapter.cancel(context(), "pi_nonsense", ""),
    ("unknown object", "capture"): lambda bench: bench.adapter.capture(context(), "pi_nonsense", 5, "EUR"),
    ("unknown object", "fetch"): lambda bench: bench.adapter.fetch(ObjectKind.CHARGE, "pi_nonsense"),
    ("bad key", "register"): lambda bench: _with_bad_key(bench).register(
        context(), RegisterRequest(1999, "EUR", capture_later=False)
    ),
    ("bad key", "fetch"): lambda bench: _with_bad_key(bench).fetch(ObjectKind.CHARGE, "pi_x"),
    ("not supported by it", "create_hosted_session"): lambda bench: bench.adapter.create_hosted_session(
        context(), hosted()
    ),
    ("not supported by it", "confirm"): lambda bench: bench.adapter.confirm(
        context(),
        bench.truth.payment_intents.create({"amount": 5, "currency": "eur"}).id,
        ConfirmRequest("pm_card_visa", ""),
    ),
    ("not supported by it", "find"): lambda bench: bench.adapter.find(ObjectKind.CHARGE, "op_1", datetime.now(UTC)),
}


def _cancelled_twice(bench: Bench) -> Result:
    charge = paid_past_the_adapter(bench, later=True)
    bench.adapter.cancel(context(), charge, "")
    return bench.adapter.cancel(context(), charge, "")


def _with_bad_key(bench: Bench) -> StripeAdapter:
    address = bench.truth.payment_intents._requestor._options.base_addresses["api"]
    return StripeAdapter("pk_test_wrong", address)


@pytest.mark.parametrize(("situation", "operation"), CELLS)
def test_a_cell_of_the_matrix(other_bench: Bench, situation: str, operation: str) -> None:
    assert cell(CELLS[situation, operation](other_bench)) == OTHER_SERVER[situation][operation]


def test_an_address_of_notifications_cannot_be_registered(other_bench: Bench) -> None:
    assert OTHER_SERVER["not supported by it"]["ensure_webhook"] == "ConnectionError"
    with pytest.raises(ConnectionError):
        other_bench.adapter.ensure_webhook("https://florin.example/")


def test_the_matrix_has_no_cell_without_a_test() -> None:
    asserted = {*CELLS, ("not supported by it", "ensure_webhook")}
    assert {(situation, name) for situation, cells in OTHER_SERVER.items() for name in cells} == asserted


def test_its_charge_is_read_as_ours(other_bench: Bench) -> None:
    charge = paid_past_the_adapter(other_bench, later=True)
    held = other_bench.adapter.fetch(ObjectKind.CHARGE, charge).snapshot
    assert held is not None
    assert (held.status, held.capturable_minor, held.captured_minor) == (ObjectStatus.AUTHORIZED, 1999, 0)
    assert held.method is None, "it does not describe the method, which is no reason to stumble"
    captured = other_bench.adapter.capture(context(), charge, 1999, "EUR").snapshot
    assert captured is not None
    assert (captured.status, captured.captured_minor, captured.amount_minor) == (
        ObjectStatus.SUCCEEDED,
        1999,
        1999,
    )


def test_what_its_dialect_cannot_say_is_doubt_and_not_a_guess(other_bench: Bench) -> None:
    """It books what a partial capture leaves as a refund, so nothing tells the captured amount."""
    charge = paid_past_the_adapter(other_bench, later=True)
    result = other_bench.adapter.capture(context(), charge, 1500, "EUR")
    assert cell(result) == "unknown: psp_unexpected_answer"


def test_its_refund_is_read_as_ours(other_bench: Bench) -> None:
    ctx, charge = context(), paid_past_the_adapter(other_bench)
    made = other_bench.adapter.refund(ctx, charge, 700, "EUR").snapshot
    assert made is not None
    assert (made.amount_minor, made.currency, made.charge_psp_id) == (700, "EUR", charge)
    assert made.metadata["florin_operation"] == ctx.operation_id
    found = other_bench.adapter.find(ObjectKind.REFUND, ctx.operation_id, datetime.now(UTC), charge)
    assert found.outcome is Outcome.SUCCEEDED
    assert found.snapshot is not None
    assert found.snapshot.psp_id == made.psp_id


def test_a_saved_method_has_a_customer(other_bench: Bench) -> None:
    saved = other_bench.adapter.save_method(context(), "pm_card_visa", "").snapshot
    assert saved is not None
    assert saved.customer.startswith("cus_")
    assert saved.payment_method.startswith("pm_")


def test_its_signatures_are_verified_and_its_events_read(other_bench: Bench, localstripe_url: str) -> None:
    reader, secret = StripeNotifications(), "whsec_theirs"
    with inbox() as (url, received):
        answer = requests.post(
            f"{localstripe_url}/_config/webhooks/conformance", json={"url": url, "secret": secret}, timeout=10
        )
        assert answer.status_code == 200
        charge = paid_past_the_adapter(other_bench)
        headers, body = wait_for(received, about=charge)["payment_intent.succeeded"]
        requests.delete(f"{localstripe_url}/_config/webhooks/conformance", timeout=10)
    reader.verify(body, headers, secret, datetime.now(UTC))
    ref = reader.parse(body)
    assert (ref.kind, ref.psp_id) == (ObjectKind.CHARGE, charge)
    assert ref.snapshot is not None
    assert ref.snapshot.status is ObjectStatus.SUCCEEDED
    assert json.loads(body)["id"] == ref.event_id
