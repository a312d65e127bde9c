"""Runs: what is to be done once a day, as due rows that any sweeper may work off.

A kind is registered with one line: its name, its function, its time of day, or none when it is asked for. The next
occurrence of each kind is always in the table, so a machine that was away at that time does it when it is back; of
occurrences that it missed altogether only the first is made up for. Scheduling twice makes one row; a worker that died
loses its lease, and its successor starts over, so a function must bear being begun again. Nothing here needs the
broker.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

import structlog
from django.db import connection, transaction

from payments.errors import InvalidState, NotFound
from payments.models import MerchantBook, Run
from payments.retries import Policy

log = structlog.get_logger(__name__)

DAILY = Policy("incremental", base_seconds=60, ceiling_seconds=900, max_tries=5)
# Longer than any run takes: until then nobody takes over from a worker that was killed.
LEASE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is run, and when. `run` gets the row and the time, and returns what is kept as its result.

    Without a time of day it is run when somebody asks for it (`ask`). With an empty `zone` the time is that of each
    book's own time zone.
    """

    name: str
    run: Callable[[Run, datetime], Mapping[str, Any]]
    at: time | None
    zone: str = "UTC"
    per_book: bool = False
    lease: timedelta = LEASE
    policy: Policy = DAILY

    def following(self, now: datetime, zone_name: str = "") -> datetime:
        """Return the first occurrence after `now`: local time of day, so its length in UTC follows the clocks."""
        assert self.at is not None, "a kind without a time of day is asked for"
        zone = zoneinfo.ZoneInfo(zone_name or self.zone)
        day = now.astimezone(zone).date()
        due = datetime.combine(day, self.at, zone)
        return due if due > now else datetime.combine(day + timedelta(days=1), self.at, zone)


@dataclass(slots=True)
class Registry:
    """The kinds that this process knows; it leaves the rows of others alone."""

    kinds: dict[str, Kind] = field(default_factory=dict)

    def register(
        self, name: str, run: Callable[[Run, datetime], Mapping[str, Any]], at: time | None, **options: Any
    ) -> None:
        """Add a kind: once, when the application starts. Options are those of `Kind`."""
        kind = Kind(name, run, at, **options)
        if self.kinds.setdefault(name, kind) is not kind:
            raise ValueError(f"the kind {name} of runs is registered twice")


registry = Registry()
register = registry.register


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that is ours until its lease ends. Finishing it needs the fence."""

    run_id: int
    fence: int


_SCHEDULE = """
INSERT INTO payments_run (kind, book_id, period, due_at)
SELECT k.kind, b.id, k.period, k.due_at
  FROM unnest(%(kinds)s::text[], %(periods)s::text[], %(due)s::timestamptz[], %(per_book)s::bool[], %(zones)s::text[])
       AS k (kind, period, due_at, per_book, zone)
  LEFT JOIN ledger_book b ON k.per_book AND (k.zone = '' OR EXISTS (
       SELECT 1 FROM payments_merchantbook m WHERE m.book_id = b.id AND m.time_zone = k.zone))
 WHERE (b.id IS NOT NULL OR NOT k.per_book)
   AND NOT EXISTS (SELECT 1 FROM payments_run r
                    WHERE r.kind = k.kind AND r.book_id IS NOT DISTINCT FROM b.id AND r.period = k.period)
ON CONFLICT DO NOTHING
"""


def schedule(*, now: datetime) -> int:
    """Write down the next occurrence of every kind; return how many rows were new. Idempotent, and so beside others.

    The period is the local date of the occurrence.
    """
    occurrences = scheduled()
    due = [kind.following(now, zone) for kind, zone in occurrences]
    with connection.cursor() as cursor:
        cursor.execute(
            _SCHEDULE,
            {
                "kinds": [kind.name for kind, _ in occurrences],
                "periods": [at.date().isoformat() for at in due],
                "due": due,
                "per_book": [kind.per_book for kind, _ in occurrences],
                "zones": [zone for _, zone in occurrences],
            },
        )
        return int(cursor.rowcount)


def scheduled() -> list[tuple[Kind, str]]:
    """Return the kinds that have a time of day; one whose time is that of the book once for each zone of books."""
    found: list[tuple[Kind, str]] = []
    for kind in registry.kinds.values():
        if kind.at is not None:
            found += [(kind, zone) for zone in (("",) if kind.zone else _zones_of_books())]
    return found


def _zones_of_books() -> list[str]:
    return list(MerchantBook.objects.order_by("time_zone").values_list("time_zone", flat=True).distinct())


_ASK = """
INSERT INTO payments_run (kind, book_id, period, due_at)
VALUES (%(kind)s, %(book)s, %(period)s, greatest(florin_now(), %(at)s))
ON CONFLICT (kind, book_id, period) DO UPDATE
   SET due_at = EXCLUDED.due_at, finished_at = NULL, dead_at = NULL, tries = 0, error = '', result = NULL
 WHERE payments_run.due_at IS NULL
"""


def ask(name: str, *, book_id: int, period: str, at: datetime | None = None) -> bool:
    """Let a kind be run for a book and period, at once or not before `at`, and once more if it ended.

    Returns whether it was not due. In the caller's transaction; idempotent while it waits or runs.
    """
    assert name in registry.kinds, f"there is no kind {name}"
    with connection.cursor() as cursor:
        cursor.execute(_ASK, {"kind": name, "book": book_id, "period": period, "at": at})
        return bool(cursor.rowcount)


def claim(limit: int = 1) -> list[Claim]:
    """Claim runs that are due, of the kinds that this process knows. One statement, by the database's clock."""
    kinds = list(registry.kinds.values())
    if not kinds:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM payments_claim_runs(%s, %s, %s, %s)",
            [
                [kind.name for kind in kinds],
                [kind.lease for kind in kinds],
                [kind.policy.max_tries for kind in kinds],
                limit,
            ],
        )
        return [Claim(*row) for row in cursor.fetchall()]


def execute(claimed: Claim, *, now: datetime) -> bool:
    """Do a claimed run and write down what came of it; return whether it finished and was still ours.

    What fails is tried again later, a bounded number of times; then the run is dead and a person decides.
    """
    run = Run.objects.get(pk=claimed.run_id)
    kind = registry.kinds[run.kind]
    try:
        result = dict(kind.run(run, now))
    except Exception as error:  # whatever a kind raises: it is told, and other runs go on
        log.exception("run_failed", kind=run.kind, period=run.period, book=run.book_id, tries=run.tries)
        if not connection.in_atomic_block:
            connection.close()
        _failed(claimed, kind, run, f"{type(error).__name__}: {error}"[:500])
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_run SET finished_at = florin_now(), due_at = NULL, lease_until = NULL, error = '',"
            " result = %s WHERE id = %s AND fence = %s AND due_at IS NOT NULL",
            [Run._meta.get_field("result").get_db_prep_value(result, connection), claimed.run_id, claimed.fence],
        )
        finished: bool = cursor.rowcount == 1
    log.info("run_finished" if finished else "run_was_taken_over", kind=run.kind, period=run.period, book=run.book_id)
    return finished


def _failed(claimed: Claim, kind: Kind, run: Run, error: str) -> None:
    wait = kind.policy.wait(run.tries)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_run SET lease_until = NULL, error = %(error)s, due_at = florin_now() + %(wait)s::interval,"
            " dead_at = CASE WHEN %(wait)s::interval IS NULL THEN florin_now() END"
            " WHERE id = %(id)s AND fence = %(fence)s AND due_at IS NOT NULL",
            {"error": error, "wait": None if wait is None else str(wait), "id": claimed.run_id, "fence": claimed.fence},
        )
    if wait is None:
        log.error("run_dead", kind=run.kind, period=run.period, book=run.book_id, error=error)


def work_off(*, now: datetime, limit: int = 100) -> int:
    """Do what is due, one after the other; return how many runs were claimed."""
    for done in range(limit):
        claimed = claim()
        if not claimed:
            return done
        execute(claimed[0], now=now)
    return limit


def dead_runs() -> int:
    """Return how many runs were given up."""
    return Run.objects.filter(dead_at__isnull=False).count()


def revive(run_id: int, *, actor: str, now: datetime) -> Run:
    """Let a dead run be tried again. Locks it. Raises `NotFound`, or `InvalidState` when it is not dead."""
    with transaction.atomic():
        run = Run.objects.select_for_update(no_key=True).filter(pk=run_id).first()
        if run is None:
            raise NotFound("not_found", "There is no such run.")
        if run.dead_at is None:
            raise InvalidState("invalid_state", "This run was not given up.")
        run.dead_at, run.due_at, run.tries = None, now, 0
        run.save(update_fields=["dead_at", "due_at", "tries"])
        log.info("run_revived", kind=run.kind, period=run.period, book=run.book_id, actor=actor)
    return run
