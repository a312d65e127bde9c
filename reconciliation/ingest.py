"""Receiving a statement: once, whole or not at all.

The same bytes again are the first result again. A document that is known under the same identity with other bytes is a
revision: lines that did not change are known, changed ones become further revisions, and those that it leaves out are
withdrawn. A bad file is quarantined: its row is kept with all that is wrong with it, and nothing else of it.

Everything of a good file is written in one transaction under the lock of its source: its lines, its row, and the run
that will look at it. It must never match, classify or post.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final

import structlog
from django.db import connection, transaction

from config import seam
from payments.errors import Invalid
from reconciliation import keeping, landing, sources
from reconciliation.formats import FORMATS
from reconciliation.formats.base import BadFile, FileError, refuse
from reconciliation.models import ReconciliationRun, SettlementFile, Source

log = structlog.get_logger(__name__)

MAX_FILE_BYTES: Final = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a file. `fresh`: it was not known. `run` is the run that will look at it; none for a bad file."""

    file: SettlementFile
    fresh: bool
    run: ReconciliationRun | None = None


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What is known of a file before it is read."""

    source: Source
    format: str
    name: str
    received_from: str
    now: datetime

    def row(self, looked: landing.Looked | None, **more: Any) -> SettlementFile:
        """Write the row of the file."""
        return SettlementFile.objects.create(
            public_id=seam.new_uuid(),
            book_id=self.source.book_id,
            source=self.source,
            format=self.format,
            name=self.name[:255],
            sha256=looked.sha256 if looked else b"",
            size=looked.size if looked else 0,
            received_at=self.now,
            received_from=self.received_from[:128],
            **more,
        )

    def known(self, looked: landing.Looked) -> Received | None:
        """Return what became of the same bytes before."""
        file = SettlementFile.objects.filter(
            source=self.source, format=self.format, sha256=looked.sha256, state=SettlementFile.State.INGESTED
        ).first()
        return None if file is None else Received(file, fresh=False, run=run_of(file))


def receive(
    source: Source,
    stream: BinaryIO,
    *,
    format: str,
    name: str,
    received_from: str,
    now: datetime,
    limit_bytes: int = MAX_FILE_BYTES,
) -> Received:
    """Take a file in. `stream` can be read again from its start. Idempotent by source, format and bytes.

    A bad file does not raise: it comes back `QUARANTINED`, and a later try with the same bytes is read anew. Raises
    `Invalid` for a format that does not exist.
    """
    mapper = FORMATS.get(format)
    if mapper is None:
        raise Invalid("invalid_request", f"there is no format {format[:40]}", field="format")
    arrival = _Arrival(source, format, name, received_from, now)
    looked: landing.Looked | None = None
    try:
        looked = landing.look(stream, limit_bytes=limit_bytes)
        known = arrival.known(looked)
        if known is not None:
            return known
        if mapper.side is not None and mapper.side != source.side:
            raise refuse("other_account", f"{format} is no statement of a {source.side} account")
        with transaction.atomic():
            sources.lock(source.pk)
            known = arrival.known(looked)
            if known is not None:  # somebody else received it meanwhile
                return known
            file_id = _next_file_id()
            kept = keeping.keep(source, mapper, stream, file_id=file_id, now=now)
            file = _write(arrival, looked, kept, file_id)
            run = _queue_run(file, now=now)
    except BadFile as bad:
        return _quarantine(arrival, looked, bad.errors)
    log.info(
        "statement_received", source=source.code, file=file.pk, format=format, lines=file.line_count,
        new=file.new_count, known=file.known_count, changed=file.changed_count, withdrawn=file.withdrawn_count,
    )  # fmt: skip
    return Received(file, fresh=True, run=run)


def run_of(file: SettlementFile) -> ReconciliationRun | None:
    """Return the run that looks at the last day of a file."""
    if file.last_day is None:
        return None
    return ReconciliationRun.objects.filter(book_id=file.book_id, source_id=file.source_id, day=file.last_day).first()


def _next_file_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('reconciliation_settlementfile', 'id'))")
        row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def _write(arrival: _Arrival, looked: landing.Looked, kept: keeping.Kept, file_id: int) -> SettlementFile:
    stored = kept.lines
    return arrival.row(
        looked,
        id=file_id,
        state=SettlementFile.State.INGESTED,
        identity=kept.identity,
        first_day=kept.first_day,
        last_day=kept.last_day,
        line_count=stored.new + stored.known + stored.changed,
        new_count=stored.new,
        known_count=stored.known,
        changed_count=stored.changed,
        withdrawn_count=stored.withdrawn,
        declared=kept.declared,
        revises=kept.revises,
    )


def _queue_run(file: SettlementFile, *, now: datetime) -> ReconciliationRun | None:
    """Make sure that a run looks at the last day of a file: a new one, or the day's own once more."""
    if file.last_day is None:
        return None
    run, fresh = ReconciliationRun.objects.get_or_create(
        book_id=file.book_id,
        source_id=file.source_id,
        day=file.last_day,
        defaults={"public_id": seam.new_uuid(), "created_at": now},
    )
    ended = run.state in (ReconciliationRun.State.FINISHED, ReconciliationRun.State.FAILED)
    if not fresh and ended and file.new_count + file.changed_count + file.withdrawn_count:
        run.state, run.verdict, run.finished_at = ReconciliationRun.State.QUEUED, "", None
        run.save(update_fields=["state", "verdict", "finished_at"])
    return run


def _quarantine(arrival: _Arrival, looked: landing.Looked | None, errors: Sequence[FileError]) -> Received:
    """Keep what is wrong with a file. The same file with the same errors is kept once."""
    shown = [error.as_json() for error in errors]
    with transaction.atomic():
        sources.lock(arrival.source.pk)
        known = SettlementFile.objects.filter(
            source=arrival.source,
            format=arrival.format,
            sha256=looked.sha256 if looked else b"",
            state=SettlementFile.State.QUARANTINED,
        ).last()
        if known is not None and known.errors == shown:
            return Received(known, fresh=False)
        file = arrival.row(looked, state=SettlementFile.State.QUARANTINED, errors=shown)
    log.warning(
        "statement_quarantined", source=arrival.source.code, file=file.pk, format=arrival.format, first=shown[0]
    )
    return Received(file, fresh=True)
