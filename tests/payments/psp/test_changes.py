"""What has happened at the PSP since a moment, as the adapter tells it: page by page, and never a guess."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from payments.psp.base import ErrorCode, ObjectKind, Outcome
from payments.psp.stripe import StripeAdapter, changes
from tests.payments.psp.operations import Bench, context, paid
from tests.payments.psp.scripted import answer, scripted

HOUR_AGO = timedelta(hours=1)


def test_refunds_and_payments_are_listed_newest_first_with_the_charge_that_they_are_about(bench: Bench) -> None:
    charge = paid(bench)
    bench.adapter.refund(context(), charge, 700, "EUR")
    found = bench.adapter.changes(datetime.now(UTC) - HOUR_AGO)
    assert (found.outcome, found.cursor) == (Outcome.SUCCEEDED, "")
    told = [(change.ref.type, change.ref.kind, change.ref.charge_psp_id) for change in found.changes]
    assert told == [
        ("refund.created", ObjectKind.REFUND, charge),
        ("payment_intent.succeeded", ObjectKind.CHARGE, ""),
    ]
    assert found.changes[1].ref.psp_id == charge
    assert [change.payload["id"] for change in found.changes] == [change.ref.event_id for change in found.changes]
    later = bench.adapter.changes(datetime.now(UTC) + HOUR_AGO)
    assert (later.outcome, later.changes) == (Outcome.SUCCEEDED, ())


def test_pages_follow_each_other_to_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PAGE_SIZE", 2)
    charges = [paid(bench) for _ in range(5)]
    since, cursor, seen = datetime.now(UTC) - HOUR_AGO, "", []
    for _ in range(3):
        page = bench.adapter.changes(since, cursor)
        seen += [change.ref.psp_id for change in page.changes]
        cursor = page.cursor
    assert cursor == ""
    assert seen == charges[::-1]


def test_a_forgotten_cursor_is_a_no(bench: Bench) -> None:
    found = bench.adapter.changes(datetime.now(UTC) - HOUR_AGO, "evt_long_gone")
    assert (found.outcome, found.changes) == (Outcome.DECLINED, ())


def test_what_is_no_event_is_left_out_and_what_is_no_list_is_unknown() -> None:
    good = {
        "id": "evt_1",
        "object": "event",
        "type": "refund.created",
        "created": 1,
        "data": {"object": {"id": "re_1", "object": "refund", "payment_intent": "pi_1"}},
    }
    page = json.dumps({"object": "list", "data": [{"object": "event"}, good], "has_more": False}).encode()
    header = "Content-Type: application/json"
    with scripted(answer("200 OK", page, header), answer("200 OK", b'{"data": {}}', header)) as server:
        adapter = StripeAdapter("sk_test_1", base_url=server.url)
        found = adapter.changes(datetime.now(UTC))
        assert [change.ref.event_id for change in found.changes] == ["evt_1"]
        strange = adapter.changes(datetime.now(UTC))
    assert strange.outcome is Outcome.UNKNOWN
    assert strange.error is not None
    assert strange.error.code == ErrorCode.UNEXPECTED_ANSWER
