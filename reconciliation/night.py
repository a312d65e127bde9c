"""The night: what a source says of a day, compared with what we did; and the books with themselves.

    fetch, receive -> gather, pair, classify -> repair, and once more -> close: identities, verdict, report

Every step is a transaction of its own under the lock of the source and can be begun again at any time: what is known
is not fetched, gathered, paired or written twice. So a run that was interrupted is started over, and the same night run
twice changes nothing. The end is one transaction in one snapshot: identities, counts, verdict and the fact that tells
of them are of one moment, or are not there.

This module decides nothing about a difference, and posts nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import structlog
from django.db import OperationalError, connection, transaction

from config import seam
from ledger.errors import PostingRefused
from ledger.ids import parse_public_id, public_id
from ledger.invariants import Violation
from payments import discovery, outbox, runs
from payments.errors import NotFound
from payments.models import PspAccount, Run
from payments.outbox import Fact
from reconciliation import (
    classification,
    identities,
    integrity,
    items,
    matching,
    postings,
    repairs,
    representations,
    sources,
    statement_checks,
    verdicts,
)
from reconciliation.models import Identity, ReconciliationRun, Source, StatementLine

log = structlog.get_logger(__name__)

State = ReconciliationRun.State
# A repair may let more be paired, and so on; what is left after so many rounds is left to the next night.
MAX_ROUNDS: Final = 3
MAX_TRIES_TO_CLOSE: Final = 3
# The nights of several books share one check of everything.
CHECKED_WITHIN: Final = timedelta(hours=1)
NIGHTLY, ASKED_FOR = "reconciliation", "reconciliation_run"

# Whoever brings the statements of a source for a day: `fetch(source, day, now)`.
fetchers: list[Callable[[Source, date, datetime], object]] = []
# What the PSP was asked about is known by then, and the day is looked at again.
ANSWERED_WITHIN: Final = timedelta(minutes=2)


class Overtaken(Exception):  # it is an end, not a fault
    """Somebody else has begun the same run anew; this one stops, having lost nothing."""


def every_night(run: Run, now: datetime) -> dict[str, Any]:
    """Do the daily run of a book: the day before, of every source and of the books; return verdicts by source."""
    assert run.book_id is not None
    day = date.fromisoformat(run.period) - timedelta(days=1)
    return look_at_book(run.book_id, day, now=now, within=CHECKED_WITHIN)


def look_at_book(book_id: int, day: date, *, now: datetime, within: timedelta = timedelta(0)) -> dict[str, Any]:
    """Reconcile a day of all sources of a book, then the books. One that fails ends no other; the failure is raised.

    The books are not checked anew when that was done `within` so long, for another book.
    """
    for account in PspAccount.objects.filter(book_id=book_id):
        sources.of_psp_account(account, now=now)
    found: dict[str, Any] = {}
    failed: Exception | None = None
    for source in [*Source.objects.filter(book_id=book_id, active=True).order_by("side", "pk"), None]:
        name = "books" if source is None else source.code
        try:
            done = reconcile(open_run(book_id, source, day, now=now).pk, now=now, within=within)
            found[name] = done.verdict
        except Exception as error:
            log.exception("reconciliation_failed", book=book_id, source=name, day=day.isoformat())
            failed = error
    if failed is not None:
        raise failed
    return found


def when_asked(run: Run, now: datetime) -> dict[str, Any]:
    """Do a run that somebody asked for: a file came, or a person wants it."""
    value = parse_public_id("rec", run.period.partition(":")[0])
    assert run.book_id is not None
    row = ReconciliationRun.objects.filter(public_id=value, book_id=run.book_id).first() if value else None
    if row is None:
        raise NotFound("not_found", "There is no such run.")
    return {"verdict": reconcile(row.pk, now=now).verdict}


def take_up(now: datetime) -> int:
    """Ask for the runs that wait because a file came; return how many. Idempotent, in one transaction."""
    del now
    with transaction.atomic():
        waiting = ReconciliationRun.objects.filter(state=State.QUEUED).order_by("day", "pk")[:1000]
        return sum(runs.ask(ASKED_FOR, book_id=row.book_id, period=public_id("rec", row.public_id)) for row in waiting)


def open_run(book_id: int, source: Source | None, day: date, *, now: datetime) -> ReconciliationRun:
    """Return the run of a day of a source (or of the books), made when there is none."""
    run, _ = ReconciliationRun.objects.get_or_create(
        book_id=book_id, source=source, day=day, defaults={"public_id": seam.new_uuid(), "created_at": now}
    )
    return run


def reconcile(run_id: int, *, now: datetime, within: timedelta = timedelta(0)) -> ReconciliationRun:
    """Do a run from its first step to its verdict, after the earlier days of its source that wait.

    Idempotent; what failed halfway is done over. A day before the last one that was finished is not looked at again:
    what came late for it counts there. Raises what a step raises, with the run marked as failed, or `Overtaken`.
    """
    for earlier in _waiting_before(run_id):
        _reconcile(earlier, now=now)
    return _reconcile(run_id, now=now, within=within)


def _waiting_before(run_id: int) -> list[int]:
    run = ReconciliationRun.objects.get(pk=run_id)
    rows = ReconciliationRun.objects.filter(
        book_id=run.book_id, source=run.source, day__lt=run.day, state__in=(State.QUEUED, State.RUNNING, State.FAILED)
    )
    return list(rows.order_by("day").values_list("pk", flat=True)) if run.source_id is not None else []


def _reconcile(run_id: int, *, now: datetime, within: timedelta = timedelta(0)) -> ReconciliationRun:
    later = _finished_later(run_id)
    if later is not None:
        return _left_to(run_id, later, now=now)
    run = _begin(run_id, now=now)
    try:
        if run.source is None:
            night = _Night(run, now, integrity.look(now=now, within=within))
        else:
            night = _Night(run, now)
            _ask_what_changed(run.source, run.day, now=now)
            for fetch in fetchers:
                fetch(run.source, run.day, now)
        night.look_and_repair()
        return night.close()
    except Overtaken:
        raise
    except Exception as error:
        if not connection.in_atomic_block:
            connection.close()
        ReconciliationRun.objects.filter(pk=run.pk, look=run.look).exclude(state=State.FINISHED).update(
            state=State.FAILED, error=f"{type(error).__name__}: {error}"[:500]
        )
        raise


def _ask_what_changed(source: Source, day: date, *, now: datetime) -> None:
    """Have the PSP's own list of changes looked through since the day began: notifications may have been lost."""
    if source.psp_account_id is not None:
        began = datetime.combine(day, time.min, tzinfo=sources.time_zone_of(source.book_id))
        discovery.ask(source.psp_account_id, since=began.astimezone(UTC), now=now)


def _finished_later(run_id: int) -> ReconciliationRun | None:
    run = ReconciliationRun.objects.get(pk=run_id)
    if run.source_id is None:
        return None
    later = ReconciliationRun.objects.filter(
        book_id=run.book_id, source_id=run.source_id, day__gt=run.day, state=State.FINISHED
    )
    return later.order_by("-day").first()


def _left_to(run_id: int, later: ReconciliationRun, *, now: datetime) -> ReconciliationRun:
    """End a day that comes too late with what the last finished one says, after another look at that one."""
    run = ReconciliationRun.objects.select_related("source").get(pk=run_id)
    if run.state == State.FINISHED:
        return run
    looked_at = _reconcile(later.pk, now=now)
    run.state, run.verdict, run.finished_at, run.error = State.FINISHED, looked_at.verdict, now, ""
    run.lines_to, run.items_to, run.transitions_to = 0, 0, 0
    run.counts = {**run.counts, "incomplete": [], "looked_at_in": looked_at.day.isoformat()}
    run.save()
    return run


def _begin(run_id: int, *, now: datetime) -> ReconciliationRun:
    """Take a run over: whoever else is at it stops at its next step."""
    with transaction.atomic():
        run = (
            ReconciliationRun.objects.select_for_update(of=("self",), no_key=True)
            .select_related("source")
            .get(pk=run_id)
        )
        run.look += 1
        if run.state != State.FINISHED:
            run.state, run.verdict, run.started_at, run.error = State.RUNNING, "", now, ""
        run.save(update_fields=["look", "state", "verdict", "started_at", "error"])
    return run


def _locked(run: ReconciliationRun) -> None:
    """Take the lock of the run's source until the transaction ends. Raises `Overtaken`."""
    if run.source_id is not None:
        sources.lock(run.source_id)
    row = ReconciliationRun.objects.select_for_update(no_key=True).only("look").get(pk=run.pk)
    if row.look != run.look:
        raise Overtaken(f"run {run.pk} was begun anew")


@dataclass(slots=True)
class _Night:
    """One run under way: what the checks of the books found, and what was repaired."""

    run: ReconciliationRun
    now: datetime
    violations: list[Violation] = field(default_factory=list)
    repaired: dict[str, int] = field(default_factory=dict)
    asked: bool = False

    def look_and_repair(self) -> None:
        """Look, let be repaired what needs no person, and look again while that changes anything."""
        for _ in range(MAX_ROUNDS):
            with self._step():
                self.look()
            if self.run.source is None or not self._repair():
                break

    def _repair(self) -> bool:
        """Work off what needs no person; say whether it is worth another look."""
        repaired = repairs.work_off(self.run, now=self.now)
        told = {"identified": repaired.identified} | {
            f"{what} {code}": count
            for what, counts in (("booked", repaired.booked), ("asked", repaired.asked))
            for code, count in counts.items()
        }
        for what, count in told.items():
            if count:
                self.repaired[what] = self.repaired.get(what, 0) + count
        for code, count in repaired.above_cap.items():
            self.repaired[f"above cap {code}"] = count
        self.asked = self.asked or bool(repaired.asked)
        return bool(repaired.booked or repaired.identified)

    def look(self) -> list[dict[str, Any]]:
        """Gather, pair, classify; or check the books. Return what is pending."""
        run, now = self.run, self.now
        if run.source is None:
            integrity.check(run, self.violations, now=now)
            return []
        gathered = items.gather(run.source, since=items.last_seen(run.source), now=now)
        run.transitions_to = gathered.transitions_to
        run.save(update_fields=["transitions_to"])
        matching.pair(run, now=now)
        postings.book(run, now=now)
        pending = classification.classify(run, now=now).pending
        run.refresh_from_db(fields=["lines_to", "items_to"])
        return [
            {
                "flow": one.flow,
                "currency": one.currency,
                "count": one.count,
                "amount": int(one.amount_minor),
                "break_on": (one.due_on + timedelta(days=1)).isoformat(),
            }
            for one in pending
        ]

    @contextmanager
    def _step(self, *, one_snapshot: bool = False) -> Iterator[None]:
        """Do a step in a transaction of its own under the lock of the source. Raises `Overtaken`."""
        look = self.run.look
        try:
            with transaction.atomic():
                if one_snapshot and not connection.savepoint_ids:
                    with connection.cursor() as cursor:
                        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                _locked(self.run)
                yield
        except BaseException:
            self.run.look = look  # what was counted in it is undone
            raise

    def close(self) -> ReconciliationRun:
        """Look a last time, in one snapshot, and write down what is true then."""
        for attempt in range(1, MAX_TRIES_TO_CLOSE + 1):
            try:
                return self._close_once()
            except PostingRefused:
                # Something came since the last look, and nothing is booked in a snapshot: look as usual, then close.
                if attempt == MAX_TRIES_TO_CLOSE:
                    raise
                with self._step():
                    self.look()
            except OperationalError as error:  # somebody took a break up in the meantime: look again
                if getattr(error.__cause__, "sqlstate", "") != "40001" or attempt == MAX_TRIES_TO_CLOSE:
                    raise
        raise AssertionError("a loop that returns or raises")

    def _close_once(self) -> ReconciliationRun:
        run, now = self.run, self.now
        with self._step(one_snapshot=True):
            pending = self.look()
            found = identities.close(run, now=now)
            if run.source is not None:
                statement_checks.check(run, found, now=now)
            incomplete = verdicts.what_is_incomplete(run, found)
            run.counts |= {
                "lines": _lines_of_the_day(run),
                "matched": _matched(run),
                "breaks": verdicts.breaks_by_code(run),
                "pending": pending,
                "incomplete": incomplete,
            }
            if self.repaired or "repairs" not in run.counts:
                run.counts["repairs"] = dict(self.repaired)
            run.verdict = verdicts.of(run, found, incomplete=incomplete, pending=len(pending))
            run.state, run.finished_at, run.error = State.FINISHED, now, ""
            _publish(run, found, now=now)
            run.save()
            if self.asked:
                # A name of its own: the run that asks for it may be the one that a file asked for.
                period = f"{public_id('rec', run.public_id)}:2"
                runs.ask(ASKED_FOR, book_id=run.book_id, period=period, at=now + ANSWERED_WITHIN)
        log.info(
            "reconciled",
            book=run.book_id,
            source=run.source.code if run.source else "books",
            day=run.day.isoformat(),
            verdict=run.verdict,
            breaks=run.counts["breaks"],
            incomplete=run.counts["incomplete"],
        )
        return run


def _lines_of_the_day(run: ReconciliationRun) -> int:
    return 0 if run.source is None else StatementLine.objects.filter(source=run.source, booked_on=run.day).count()


def _matched(run: ReconciliationRun) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rule, count(*) FROM reconciliation_match WHERE run_id = %s AND undone_at IS NULL"
            " GROUP BY rule ORDER BY rule",
            [run.pk],
        )
        return dict(cursor.fetchall())


def _publish(run: ReconciliationRun, found: list[Identity], *, now: datetime) -> None:
    """Tell of the run when it says something new."""
    shown = representations.run(run, found)
    said = {name: value for name, value in shown.items() if name not in {"started_at", "finished_at"}}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    if run.counts.get("published") == digest:
        return
    run.counts["published"] = digest
    outbox.publish([Fact(run.book_id, "reconciliation.completed", "reconciliation", run.pk, shown)], now=now)
