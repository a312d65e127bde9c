"""What the back office shows when the books are out of balance or a daily run is dead, and who may do something."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from config import seam
from ledger import checking
from ledger.invariants import Violation
from ledger.models import CheckRun
from payments import payout_stops
from payments.models import PayoutStop, Run
from tests.admin.story import Story

BANNER = "The books are out of balance: payouts are stopped"


@pytest.fixture
def stop(story: Story) -> PayoutStop:
    """Give a stop of the story's book."""
    book = story.paid.book
    wrong = Violation("book_sums_to_zero", f"book {book.pk} sums to 1 EUR", book.pk)
    checking.record_full(seam.now(), transactions=5, violations=[wrong])
    assert payout_stops.stop([wrong], actor="check:full", now=seam.now()) == 1
    return PayoutStop.objects.get()


@pytest.fixture
def dead(db: None) -> Run:
    """Give a run that was given up."""
    return Run.objects.create(kind="full_check", period="2026-03-29", tries=5, error="no disk", dead_at=seam.now())


def overview(client: Client) -> str:
    """Return the first page."""
    return client.get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_the_first_page_says_so(role: str, stop: PayoutStop, dead: Run, signed_in: Callable[..., Client]) -> None:
    page = overview(signed_in(role))
    assert BANNER in page
    assert stop.detail in page
    assert stop.book.code in page
    assert "no disk" in page
    assert "Through entry" in page
    assert reverse("admin:ledger_checkrun_change", args=[CheckRun.objects.get().pk]) in page


def test_without_a_stop_there_is_no_banner(story: Story, operator: Client) -> None:
    page = overview(operator)
    assert BANNER not in page
    assert "Through entry" in page


def test_who_has_no_role_sees_nothing_of_it(stop: PayoutStop, dead: Run, signed_in: Callable[..., Client]) -> None:
    page = overview(signed_in("nobody"))
    assert BANNER not in page
    assert stop.detail not in page
    assert "Through entry" not in page


def test_a_check_shows_its_findings(stop: PayoutStop, operator: Client) -> None:
    run = CheckRun.objects.get()
    page = operator.get(reverse("admin:ledger_checkrun_change", args=[run.pk])).content.decode()
    assert "book_sums_to_zero" in page
    assert stop.detail in page
    some = operator.get(reverse("admin:ledger_checkrun_changelist"), {"findings": "some"})
    assert "1 violations" in some.content.decode()


def test_an_operator_lifts_a_stop_with_a_note_and_an_audit_row(stop: PayoutStop, operator: Client) -> None:
    address = reverse("admin:payments_payoutstop_lift", args=[stop.pk])
    asked = operator.get(address).content.decode()
    assert '<textarea id="note"' in asked
    answer = operator.post(address, {"note": "  entry 7 put back, ticket 12 "}, follow=True)
    assert "pays out again" in answer.content.decode()
    stop.refresh_from_db()
    assert (stop.lifted_by, stop.note) == ("user:a-operator", "entry 7 put back, ticket 12")
    assert stop.lifted_at is not None
    assert LogEntry.objects.get().get_change_message() == "Lift the stop: entry 7 put back, ticket 12"
    assert BANNER not in overview(operator)


@pytest.mark.parametrize("note", ["", "   "])
def test_without_a_note_nothing_is_lifted(note: str, stop: PayoutStop, operator: Client) -> None:
    answer = operator.post(reverse("admin:payments_payoutstop_lift", args=[stop.pk]), {"note": note}, follow=True)
    assert "Say what was found" in answer.content.decode()
    stop.refresh_from_db()
    assert stop.lifted_at is None
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "nobody"])
def test_others_may_not(role: str, stop: PayoutStop, dead: Run, signed_in: Callable[..., Client]) -> None:
    client = signed_in(role)
    for page, row in (("payments_payoutstop_lift", stop), ("payments_run_revive", dead)):
        address = reverse(f"admin:{page}", args=[row.pk])
        assert client.get(address).status_code == 403
        assert client.post(address, {"note": "mine"}).status_code == 403
    stop.refresh_from_db()
    dead.refresh_from_db()
    assert stop.lifted_at is None
    assert dead.dead_at is not None
    assert not LogEntry.objects.exists()


def test_a_dead_run_is_tried_again(dead: Run, operator: Client) -> None:
    address = reverse("admin:payments_run_revive", args=[dead.pk])
    assert operator.post(address, follow=True).status_code == 200
    dead.refresh_from_db()
    assert (dead.dead_at, dead.tries) == (None, 0)
    assert dead.due_at is not None
    assert LogEntry.objects.get().get_change_message() == "Try again"


def test_lists_filter_and_find(stop: PayoutStop, dead: Run, operator: Client) -> None:
    runs = reverse("admin:payments_run_changelist")
    page = reverse("admin:payments_run_change", args=[dead.pk])
    assert page in operator.get(runs, {"work": "dead"}).content.decode()
    assert page not in operator.get(runs, {"work": "done"}).content.decode()
    assert page in operator.get(runs, {"q": dead.period}).content.decode()
    stops = reverse("admin:payments_payoutstop_changelist")
    row = reverse("admin:payments_payoutstop_change", args=[stop.pk])
    assert row in operator.get(stops, {"state": "open"}).content.decode()
    assert row in operator.get(stops, {"q": stop.book.code}).content.decode()
    assert row not in operator.get(stops, {"q": "another"}).content.decode()
