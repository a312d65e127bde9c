"""Runs that did not happen: told an hour after their time, whatever the reason; and when each kind finished last."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection
from django.test import Client

from ledger.models import Book
from payments import missed_runs, runs
from payments.missed_runs import Standing
from payments.models import Run
from tests.factories import BookFactory

AT = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _two_kinds(db: None) -> Iterator[None]:
    """Know one kind for all books and one for each, at half past two, in place of the product's own."""
    kinds = dict(runs.registry.kinds)
    runs.registry.kinds.clear()
    runs.register("diary", lambda _run, _now: {}, time(2, 30))
    runs.register("letters", lambda _run, _now: {}, time(2, 30), per_book=True)
    yield
    runs.registry.kinds.clear()
    runs.registry.kinds.update(kinds)


@pytest.fixture
def books() -> list[Book]:
    """Give two old books, and no others."""
    return [BookFactory.create(created_at=LONG_AGO) for _ in range(2)]


def _late(now: datetime) -> dict[str, int]:
    return {one.kind: one.late for one in missed_runs.standings(now=now)}


def _finish(at: datetime) -> None:
    Run.objects.filter(due_at__lte=at).update(due_at=None, finished_at=at)


def test_a_run_is_late_an_hour_after_its_time_and_no_more_when_it_is_over(books: list[Book]) -> None:
    runs.schedule(now=AT - timedelta(hours=3))
    runs.schedule(now=AT)  # the next ones are written down, whatever becomes of these
    everything = Book.objects.count()
    assert _late(AT) == _late(AT + timedelta(minutes=59)) == {"diary": 0, "letters": 0}
    assert _late(AT + timedelta(hours=1)) == {"diary": 1, "letters": everything}
    _finish(AT + timedelta(hours=2))
    found = missed_runs.standings(now=AT + timedelta(hours=2))
    assert found == [Standing("diary", 0, AT + timedelta(hours=2)), Standing("letters", 0, AT + timedelta(hours=2))]


def test_one_book_that_was_passed_over_is_counted(books: list[Book]) -> None:
    runs.schedule(now=AT - timedelta(hours=3))
    runs.schedule(now=AT)
    left = Run.objects.filter(kind="letters", book=books[0], period="2026-03-29")
    Run.objects.filter(period="2026-03-29").exclude(pk__in=left).update(due_at=None, finished_at=AT)
    assert _late(AT + timedelta(hours=1)) == {"diary": 0, "letters": 1}


def test_without_anybody_who_schedules_every_run_is_late(books: list[Book]) -> None:
    runs.schedule(now=AT - timedelta(days=3))
    assert _late(AT) == {"diary": 1, "letters": Book.objects.count()}


def test_a_run_that_was_never_written_down_is_late(books: list[Book]) -> None:
    assert not Run.objects.exists()
    assert _late(AT) == {"diary": 1, "letters": Book.objects.count()}


def test_a_new_book_is_not_late_before_it_is_an_hour_old(books: list[Book]) -> None:
    runs.schedule(now=AT)
    made = BookFactory.create(created_at=AT)
    assert _late(AT + timedelta(minutes=30))["letters"] == 0
    assert _late(AT + timedelta(minutes=61))["letters"] == 1
    assert made.pk


def test_a_run_that_was_given_up_is_told_elsewhere(books: list[Book]) -> None:
    runs.schedule(now=AT - timedelta(hours=3))
    runs.schedule(now=AT)
    Run.objects.filter(period="2026-03-29").update(due_at=None, dead_at=AT)
    assert _late(AT + timedelta(hours=2)) == {"diary": 0, "letters": 0}
    assert runs.dead_runs() == Run.objects.filter(period="2026-03-29").count()


def test_the_figures_are_in_the_metrics(books: list[Book]) -> None:
    Run.objects.create(kind="diary", period="2026-01-02", due_at=None, finished_at=AT)
    shown = Client().get("/metrics").content.decode()
    assert 'florin_runs_late{kind="diary"} 1.0' in shown
    assert f'florin_run_finished_timestamp_seconds{{kind="diary"}} {AT.timestamp():.9e}'.split()[0] in shown
    assert 'florin_run_finished_timestamp_seconds{kind="letters"}' not in shown


def test_looking_is_one_statement(books: list[Book], django_assert_num_queries: object) -> None:
    with django_assert_num_queries(1, connection=connection):  # type: ignore[operator]
        missed_runs.standings(now=AT)
