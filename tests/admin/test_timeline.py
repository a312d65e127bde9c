"""The timeline of a payment: complete, in order, and read with the same number of statements for any payment."""

from __future__ import annotations

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ledger.ids import public_id
from payments.timeline import FactKind, timeline
from tests.admin.story import Story


def test_a_paid_checkout_tells_its_whole_story_in_order(story: Story) -> None:
    facts = timeline(story.paid)
    assert [fact.at for fact in facts] == sorted(fact.at for fact in facts)
    assert facts[0].kind == FactKind.CREATED
    told = [fact.summary for fact in facts]
    for expected in (
        "register: prepared",
        "register: sent to the PSP",
        "register: succeeded",
        "confirm: succeeded",
        "notified by the PSP: payment_intent.succeeded",
        "order: EXECUTING → SUCCESS",
        "charge: REGISTERED → SUCCEEDED",
        "posted: settle charge",
        "published: payment.created",
        "published: payment.succeeded",
    ):
        assert expected in told, told
    kinds = [fact.kind for fact in facts]
    assert kinds.count(FactKind.POSTED) == 3
    orders = {public_id("ord", order.public_id) for order in story.paid.orders.all()}
    assert {fact.subject for fact in facts if fact.kind == FactKind.MOVED} >= orders


def test_the_legs_of_a_posting_are_told_and_sum_to_zero(story: Story) -> None:
    postings = [fact for fact in timeline(story.paid) if fact.kind == FactKind.POSTED]
    for posting in postings:
        assert len(posting.legs) >= 2
        assert sum(leg.amount if leg.side == "D" else -leg.amount for leg in posting.legs) == 0
    debits = sum(leg.amount for posting in postings for leg in posting.legs if leg.side == "D")
    assert debits == story.paid.amount_minor


def test_money_that_came_too_late_is_told_with_its_refund(story: Story) -> None:
    facts = timeline(story.late)
    told = [fact.summary for fact in facts]
    assert "charge: CANCELLED → LATE_SUCCESS" in told
    assert "posted: late success" in told
    assert "refund: prepared" in told


def test_what_was_given_up_and_what_is_unknown_is_told(story: Story) -> None:
    dead = [fact for fact in timeline(story.dead.event) if fact.kind == FactKind.DIED]
    assert dead[0].data["error_code"] == "psp_connection_broken"
    unknown = timeline(story.unknown.event)
    assert "confirm: sent to the PSP" in [fact.summary for fact in unknown]
    assert not [fact for fact in unknown if fact.kind == FactKind.CLOSED and fact.summary.startswith("confirm")]


def test_nothing_of_another_payment_is_told(story: Story) -> None:
    subjects = {fact.subject for fact in timeline(story.declined)}
    assert not subjects & {fact.subject for fact in timeline(story.paid)}


def test_the_number_of_statements_does_not_grow_with_the_payment(story: Story) -> None:
    counts = set()
    for event in (story.paid, story.waiting, story.declined, story.dead.event):
        with CaptureQueriesContext(connection) as queries:
            timeline(event)
        counts.add(len(queries))
    assert counts <= {7, 8, 9}  # no notifications without an object at the PSP, no legs without a transaction


def test_the_page_shows_every_fact(story: Story, operator: Client) -> None:
    page = operator.get(reverse("admin:payments_paymentevent_timeline", args=[story.paid.pk])).content.decode()
    for fact in timeline(story.paid):
        assert fact.subject in page
    assert "1,249.90" in page
