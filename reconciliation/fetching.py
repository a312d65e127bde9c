"""Getting statements without anybody handing them in: from a PSP's API, and from a folder, an SFTP server or a bucket.

What is fetched goes to a temporary file first and is then received like any other file, so nothing is in a transaction
while somebody else's server is waited for, and memory does not depend on the size of a day. A fetch that breaks off
leaves nothing behind and is simply begun again.

Folders are read through fsspec. Credentials of servers come from its own configuration, never from an address.
"""

from __future__ import annotations

import fnmatch
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from time import monotonic, sleep
from typing import Any, BinaryIO, Final, cast
from urllib.parse import urlsplit

import fsspec
import structlog
from django.db import connection

from config import seam
from payments import breaker, psp_budget
from payments.psp.base import Outcome, Result
from payments.psp_calls import adapter_of
from reconciliation import ingest, sources
from reconciliation.formats import stripe_api
from reconciliation.ingest import MAX_FILE_BYTES, Received
from reconciliation.models import SettlementFile, Source

log = structlog.get_logger(__name__)

FETCHED: Final = "fetch"
# Adapters that can list the lines of our balance.
FETCHES: Final = frozenset({"stripe"})
MAX_PAGES: Final = 10_000
MAX_TRIES: Final = 5
MAX_WAIT_SECONDS: Final = 300
MAX_FILES: Final = 1_000
# Who writes a file may not be done with it.
SETTLES_AFTER: Final = timedelta(seconds=30)
UNFINISHED: Final = (".*", "*.part", "*.tmp", "*.filepart")
PROTOCOLS: Final = frozenset({"", "file", "local", "memory", "sftp", "ssh", "s3", "s3a", "gs", "gcs", "az", "abfs"})
_CHUNK: Final = 1024 * 1024


class FetchFailed(Exception):
    """Nothing was fetched, and nothing kept; a later try begins anew."""


def fetch_day(source: Source, day: date, now: datetime) -> list[Received]:
    """Bring the statements of a source for a day: from its location if it has one, else from the PSP's API.

    A PSP that does not answer raises `FetchFailed`, so that the night is tried again. A place that cannot be read does
    not: what is missing then is what the run tells.
    """
    if source.location:
        try:
            return fetch_location(source, now=now)
        except FetchFailed as failure:
            log.error("location_not_fetched", source=source.code, error=str(failure))
            return []
    if source.psp_account is None or source.psp_account.adapter not in FETCHES:
        return []
    zone = sources.time_zone_of(source.book_id)
    since, until = (datetime.combine(one, time.min, zone) for one in (day, day + timedelta(days=1)))
    return [fetch_psp(source, since=since, until=until, now=now)]


def fetch_psp(source: Source, *, since: datetime, until: datetime, now: datetime) -> Received:
    """Fetch the lines of a PSP account from `since` on and before `until`, and receive them as one file.

    Idempotent: the same time with the same lines is the first result. Reads page by page under the account's budget of
    polls, which may wait for minutes. Raises `FetchFailed`.
    """
    assert source.psp_account is not None, "only a PSP account has an API"
    assert not connection.in_atomic_block, "no transaction waits for a PSP"
    until = min(until, now)
    with tempfile.TemporaryFile() as spool:
        spool.write(f"{stripe_api.head(source.code, since, until)}\n".encode())
        for result in _pages(source, since, until, now=now):
            spool.writelines(f"{stripe_api.as_json(line)}\n".encode() for line in result.balance_lines)
        name = f"{since.isoformat()} to {until.isoformat()}"
        return ingest.receive(
            source,
            cast("BinaryIO", spool),
            format=stripe_api.FetchedLines.name,
            name=name,
            received_from=FETCHED,
            now=now,
        )


def fetch_location(source: Source, *, now: datetime) -> list[Received]:
    """Receive every file in the source's location that is new or has changed, oldest name first.

    A file is left for the next time while it may still be written. Raises `FetchFailed` when the place cannot be read.
    """
    assert not connection.in_atomic_block, "no transaction waits for a server"
    received: list[Received] = []
    with _reaching(source.location):
        system, root = fsspec.url_to_fs(_checked(source.location))
        found = sorted(system.ls(root, detail=True), key=lambda one: str(one["name"]))
    # Uses index: settlement_file_by_identity.
    known = {one.name: one for one in SettlementFile.objects.filter(source=source).order_by("pk")}
    for entry in found:
        if len(received) >= MAX_FILES:
            log.warning("location_has_more_files", source=source.code, limit=MAX_FILES)
            break
        name = str(entry["name"]).rsplit("/", 1)[-1]
        if entry["type"] != "file" or not _is_due(entry, name, known.get(name[:255]), now=now):
            continue
        with tempfile.TemporaryFile() as spool:
            with (
                _reaching(source.location),
                seam.crossing("http", "location.read"),
                system.open(entry["name"]) as remote,
            ):
                _copy(remote, cast("BinaryIO", spool))
            received.append(
                ingest.receive(
                    source, cast("BinaryIO", spool), format=source.format, name=name, received_from=FETCHED, now=now
                )
            )
    return received


def _pages(source: Source, since: datetime, until: datetime, *, now: datetime) -> Iterator[Result]:
    """Read page after page; a page that did not come is asked for again a few times."""
    account = source.psp_account
    assert account is not None
    adapter, cursor = adapter_of(account), ""
    for _ in range(MAX_PAGES):
        result = _page(account.pk, partial(adapter.balance_lines, since, until, cursor), now=now)
        yield result
        cursor = result.cursor
        if not cursor:
            return
    raise FetchFailed(f"more than {MAX_PAGES} pages")


def _page(account_id: int, ask: Callable[[], Result], *, now: datetime) -> Result:
    for attempt in range(MAX_TRIES):
        _wait_for_budget(account_id)
        result = ask()
        breaker.note_health([(account_id, result)], now=now)
        if result.outcome == Outcome.SUCCEEDED:
            return result
        if result.outcome == Outcome.DECLINED or attempt + 1 == MAX_TRIES:
            error = result.error
            raise FetchFailed(f"{error.code}: {error.message}" if error else str(result.outcome))
        sleep(2**attempt / 4)
    raise AssertionError("the last try returns or raises")


def _wait_for_budget(account_id: int) -> None:
    end = monotonic() + MAX_WAIT_SECONDS
    while not psp_budget.take_poll(account_id):
        if monotonic() > end:
            raise FetchFailed("the account had no call left, or its circuit breaker stayed open")
        sleep(0.1)


@contextmanager
def _reaching(location: str) -> Iterator[None]:
    """Turn what a foreign file system raises into one refusal, without the address's own words."""
    try:
        yield
    except (OSError, ImportError, ValueError, TimeoutError) as problem:
        log.warning("location_not_readable", protocol=urlsplit(location).scheme, error=type(problem).__name__)
        raise FetchFailed(f"the location cannot be read: {type(problem).__name__}") from problem


def _checked(location: str) -> str:
    parts = urlsplit(location)
    if parts.scheme not in PROTOCOLS:
        raise FetchFailed(f"a location begins with one of {', '.join(sorted(PROTOCOLS - {''}))}")
    if parts.password:
        raise FetchFailed("a location holds no password: configure fsspec")
    return location


def _is_due(entry: dict[str, Any], name: str, known: SettlementFile | None, *, now: datetime) -> bool:
    """Say whether a file is to be read: it is whole, and neither its size nor its time is what was received."""
    if any(fnmatch.fnmatch(name, pattern) for pattern in UNFINISHED):
        return False
    changed = next(
        (entry[key] for key in ("mtime", "LastModified", "updated", "last_modified") if entry.get(key)), None
    )
    at = datetime.fromtimestamp(changed, UTC) if isinstance(changed, int | float) else changed
    if isinstance(at, datetime):
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if now - SETTLES_AFTER < at <= now:
            return False
    if known is None or known.size != entry.get("size"):
        return True
    return isinstance(at, datetime) and at > known.received_at


def _copy(remote: Any, spool: BinaryIO) -> None:
    size = 0
    while chunk := remote.read(_CHUNK):
        size += len(chunk)
        if size > MAX_FILE_BYTES + 1:
            return  # receiving it says that it is too large
        spool.write(chunk)
