"""Daily runs: written down once, worked off by one, taken over from the dead, tried a bounded number of times."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, transaction

from ledger.models import Book
from payments import queues, runs
from payments.errors import InvalidState, NotFound
from payments.models import Run
from payments.retries import Policy
from tests.database import Clone
from tests.factories import NOW, BookFactory
from tests.ledger.desk import at_once

EVENING = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)


class Diary:
    """What was run, and what happens when it is."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int | None]] = []
        self.error: Exception | None = None

    def write(self, run: Run, now: datetime) -> Mapping[str, Any]:
        """Run."""
        self.done.append((run.period, run.book_id))
        if self.error is not None:
            raise self.error
        return {"entries": len(self.done), "at": now.isoformat()}


@pytest.fixture(autouse=True)
def _no_other_kinds() -> Iterator[None]:
    """Take the product's own kinds away for the time of a test."""
    kinds = dict(runs.registry.kinds)
    runs.registry.kinds.clear()
    yield
    runs.registry.kinds.clear()
    runs.registry.kinds.update(kinds)


@pytest.fixture
def diary() -> Diary:
    """Register one kind, daily at 02:30 UTC, with no wait between its three tries."""
    diary = Diary()
    policy = Policy("immediate", max_tries=3)
    runs.register("diary", diary.write, time(2, 30), policy=policy, lease=timedelta(minutes=10))
    return diary


def due(kind: str = "diary", period: str = "2026-03-29", book: Book | None = None) -> Run:
    """Write down a run that is due since a while."""
    return Run.objects.create(kind=kind, period=period, book=book, due_at=datetime(2020, 1, 1, tzinfo=UTC))


def shift(superuser: psycopg.Connection, by: timedelta) -> None:
    """Move the database's clock."""
    superuser.execute("UPDATE payments_clockshift SET shift = %s", [by])


# --- scheduling ------------------------------------------------------------------------------------------------


def test_the_next_occurrence_is_written_down_once(db: None, diary: Diary) -> None:
    assert [runs.schedule(now=EVENING + timedelta(minutes=n)) for n in range(3)] == [1, 0, 0]
    run = Run.objects.get()
    assert (run.kind, run.period, run.book_id) == ("diary", "2026-03-29", None)
    assert run.due_at == datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
    assert runs.schedule(now=datetime(2026, 3, 29, 2, 30, tzinfo=UTC)) == 1
    assert list(Run.objects.order_by("id").values_list("period", flat=True)) == ["2026-03-29", "2026-03-30"]


def test_scheduled_by_many_at_once_it_is_one_row(committed_db: Clone, diary: Diary) -> None:
    made = at_once(*(lambda: runs.schedule(now=EVENING) for _ in range(6)))
    assert sorted(map(str, made)) == ["0"] * 5 + ["1"]
    assert Run.objects.count() == 1


def test_a_kind_per_book_has_a_row_for_each_book(db: None, diary: Diary) -> None:
    books = {BookFactory.create().pk for _ in range(3)}
    runs.register("releases", diary.write, time(4), per_book=True)
    assert runs.schedule(now=EVENING) == 1 + Book.objects.count()
    found = set(Run.objects.filter(kind="releases").values_list("book_id", flat=True))
    assert books <= found
    BookFactory.create()
    assert runs.schedule(now=EVENING) == 1


@pytest.mark.parametrize("book", [True, False])
def test_the_database_refuses_a_second_row(db: None, book: bool) -> None:
    """Also where there is no book: NULLs are not distinct here."""
    of = BookFactory.create() if book else None
    due(book=of)
    with pytest.raises(IntegrityError, match="one_run_per_kind_book_and_period"), transaction.atomic():
        due(book=of)
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        ("2026-03-28T22:00Z", "UTC", "2026-03-29T02:30Z"),
        ("2026-03-29T02:29:59Z", "UTC", "2026-03-29T02:30Z"),
        ("2026-03-29T02:30Z", "UTC", "2026-03-30T02:30Z"),
        # Berlin sets its clocks ahead on the 29th, and back on 25 October.
        ("2026-03-27T22:00Z", "Europe/Berlin", "2026-03-28T01:30Z"),
        ("2026-03-29T22:00Z", "Europe/Berlin", "2026-03-30T00:30Z"),
        ("2026-10-23T22:30Z", "Europe/Berlin", "2026-10-24T00:30Z"),
        ("2026-10-25T22:30Z", "Europe/Berlin", "2026-10-26T01:30Z"),
        # Here the local day is already the next one.
        ("2026-06-01T16:00Z", "Asia/Tokyo", "2026-06-01T17:30Z"),
    ],
)
def test_the_time_of_day_is_local(now: str, zone: str, expected: str) -> None:
    kind = runs.Kind("diary", Diary().write, time(2, 30), zone)
    following = kind.following(datetime.fromisoformat(now))
    assert following == datetime.fromisoformat(expected)
    assert following.time() == time(2, 30)


def test_a_kind_is_registered_once(diary: Diary) -> None:
    with pytest.raises(ValueError, match="registered twice"):
        runs.register("diary", diary.write, time(5))
    assert runs.registry.kinds["diary"].at == time(2, 30)


# --- doing -----------------------------------------------------------------------------------------------------


def test_what_is_due_is_done_and_its_result_is_kept(db: None, diary: Diary) -> None:
    run, later = due(), due(period="2026-03-30")
    Run.objects.filter(pk=later.pk).update(due_at=datetime(2100, 1, 1, tzinfo=UTC))
    assert runs.work_off(now=NOW) == 1
    run.refresh_from_db()
    assert (run.result, run.due_at, run.lease_until, run.tries) == (
        {"entries": 1, "at": NOW.isoformat()},
        None,
        None,
        1,
    )
    assert run.finished_at is not None
    assert diary.done == [("2026-03-29", None)]
    assert runs.work_off(now=NOW) == 0
    assert runs.schedule(now=EVENING) == 0, "a finished run is not written down again"


def test_of_two_workers_one_runs(committed_db: Clone, diary: Diary) -> None:
    due()
    done = at_once(*(lambda: runs.work_off(now=NOW) for _ in range(4)))
    assert sorted(map(str, done)) == ["0", "0", "0", "1"]
    assert len(diary.done) == 1


def test_a_run_under_way_is_left_alone_and_the_dead_are_taken_over(
    committed_db: Clone, diary: Diary, superuser: psycopg.Connection
) -> None:
    due()
    (killed,) = runs.claim()
    assert runs.claim() == []
    try:
        shift(superuser, timedelta(minutes=9))
        assert runs.claim() == []
        shift(superuser, timedelta(minutes=11))
        (heir,) = runs.claim()
        assert (heir.run_id, heir.fence) == (killed.run_id, killed.fence + 1)
        assert runs.execute(heir, now=NOW)
        assert not runs.execute(killed, now=NOW + timedelta(hours=1)), "it was not dead after all, but too late"
    finally:
        shift(superuser, timedelta(0))
    run = Run.objects.get()
    assert (run.result["at"], run.tries) == (NOW.isoformat(), 2)


def test_whoever_was_overtaken_cannot_finish_before_its_heir(
    committed_db: Clone, diary: Diary, superuser: psycopg.Connection
) -> None:
    due()
    (slow,) = runs.claim()
    try:
        shift(superuser, timedelta(minutes=11))
        (heir,) = runs.claim()
        assert not runs.execute(slow, now=NOW)
        assert Run.objects.get().finished_at is None
        diary.error = RuntimeError("too late to fail")
        assert not runs.execute(slow, now=NOW)
        assert Run.objects.get().lease_until is not None
        diary.error = None
        assert runs.execute(heir, now=NOW)
    finally:
        shift(superuser, timedelta(0))


def test_what_fails_is_tried_again_and_then_dead(db: None, diary: Diary) -> None:
    run = due()
    diary.error = RuntimeError("no disk")
    for tries in (1, 2):
        assert runs.execute(runs.claim()[0], now=NOW) is False
        run.refresh_from_db()
        assert (run.tries, run.dead_at, run.lease_until, run.error) == (tries, None, None, "RuntimeError: no disk")
        assert run.due_at is not None
    assert runs.execute(runs.claim()[0], now=NOW) is False
    run.refresh_from_db()
    assert (run.tries, run.due_at, run.finished_at) == (3, None, None)
    assert run.dead_at is not None
    assert (runs.claim(), runs.dead_runs(), runs.schedule(now=EVENING)) == ([], 1, 0)
    diary.error = None
    runs.revive(run.pk, actor="user:x", now=NOW)
    assert runs.work_off(now=NOW) == 1
    run.refresh_from_db()
    assert (run.finished_at is not None, run.error, run.dead_at) == (True, "", None)


def test_what_kills_its_worker_every_time_is_dead_too(db: None, diary: Diary) -> None:
    run = due()
    for _ in range(3):
        assert len(runs.claim()) == 1
        Run.objects.filter(pk=run.pk).update(lease_until=datetime(2020, 1, 2, tzinfo=UTC))
    assert runs.claim() == []
    run.refresh_from_db()
    assert (run.due_at, run.error) == (None, "its worker died in every try")
    assert run.dead_at is not None
    assert diary.done == []


def test_a_broken_connection_does_not_lose_the_failure(committed_db: Clone, diary: Diary) -> None:
    run = due()

    def kill(row: Run, now: datetime) -> Mapping[str, Any]:
        with psycopg.connect(committed_db.superuser_url, autocommit=True) as killer:
            killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'florin_app'"
                " AND datname = current_database()"
            )
        return {"row": Run.objects.get(pk=row.pk).pk, "now": now.isoformat()}

    runs.registry.kinds.clear()
    runs.register("diary", kill, time(2, 30))
    assert runs.execute(runs.claim()[0], now=NOW) is False
    run.refresh_from_db()
    assert run.error.startswith("OperationalError")
    assert run.due_at is not None
    assert run.lease_until is None


def test_kinds_of_another_version_are_left_alone(db: None, diary: Diary) -> None:
    run = due(kind="from the future")
    assert runs.work_off(now=NOW) == 0
    run.refresh_from_db()
    assert (run.tries, run.lease_until) == (0, None)
    runs.registry.kinds.clear()
    assert (runs.claim(), runs.schedule(now=NOW)) == ([], 0)


def test_only_the_dead_are_revived(db: None, diary: Diary) -> None:
    run = due()
    with pytest.raises(InvalidState, match="was not given up"):
        runs.revive(run.pk, actor="user:x", now=NOW)
    with pytest.raises(NotFound):
        runs.revive(0, actor="user:x", now=NOW)
    run.refresh_from_db()
    assert (run.tries, run.due_at) == (0, datetime(2020, 1, 1, tzinfo=UTC))


def test_a_late_run_is_seen_in_the_queues(db: None, diary: Diary) -> None:
    due()
    assert next(lag for lag in queues.lags() if lag.queue == "runs").due == 1


def test_a_run_is_due_dead_or_finished(db: None) -> None:
    run = due()
    for changes in ({"finished_at": NOW}, {"dead_at": NOW}, {"due_at": None}):
        with pytest.raises(IntegrityError, match="run_is_due_dead_or_finished"), transaction.atomic():
            Run.objects.filter(pk=run.pk).update(**changes)


def test_the_sweeper_goes_on_while_a_run_takes_its_time(committed_db: Clone, settings: Any) -> None:
    """A run happens beside the loop, one at a time, and what is scheduled comes from the loop itself."""
    from payments import work_loop

    settings.DOORBELLS = False
    begun, free, rounds = threading.Event(), threading.Event(), 0

    def slow(run: Run, now: datetime) -> Mapping[str, Any]:
        begun.set()
        assert free.wait(30)
        return {"now": now.isoformat(), "period": run.period}

    def stop() -> bool:
        nonlocal rounds
        rounds += 1
        if begun.is_set() and rounds > 50:
            free.set()
        return (free.is_set() and Run.objects.filter(finished_at__isnull=False).exists()) or rounds > 5000

    runs.register("slow", slow, time(2, 30))
    late = due(kind="slow", period="2020-01-01")
    work_loop.run(stop, every_seconds=0.01)
    late.refresh_from_db()
    assert late.result["period"] == "2020-01-01"
    assert Run.objects.filter(kind="slow", finished_at__isnull=True, tries=0).count() == 1
