"""The objects of reconciliation as models, for the OpenAPI document; a test holds real answers against them."""

from __future__ import annotations

from typing import Literal

from payments.api.answers import Object


class Term(Object):
    """What an identity is made of. `differs`: of so many of `count`, books and objects do not agree."""

    what: str
    count: int
    amount: str
    differs: int


class Identity(Object):
    """One closing identity in one currency: it holds when `residual` is zero. Not `proven`: nothing declared it."""

    name: Literal["bridge", "open_items", "balance", "sub_ledger"]
    currency: str
    left: str
    right: str
    residual: str
    proven: bool
    holds: bool
    terms: list[Term]


class Pending(Object):
    """Movements that may still come: no break before `break_on`."""

    flow: str
    currency: str
    count: int
    amount: str
    break_on: str


class Counts(Object):
    """Lines of the day, matches by rule, unresolved breaks by code, what is pending, and what was repaired."""

    lines: int
    matched: dict[str, int]
    breaks: dict[str, int]
    pending: list[Pending]
    repairs: dict[str, int]


class Run(Object):
    """One look at one source (or, without one, at the books) for one day."""

    id: str
    object: Literal["reconciliation_run"]
    source: str | None
    day: str
    status: Literal["queued", "running", "finished", "failed"]
    verdict: Literal["INCOMPLETE", "BREAKS", "WITH_WARNINGS", "WITH_PENDING", "RECONCILED"] | None
    identities: list[Identity]
    counts: Counts
    incomplete: list[str]
    error: str | None
    started_at: str | None
    finished_at: str | None


class File(Object):
    """A statement that was received, and what became of its lines."""

    id: str
    object: Literal["settlement_file"]
    source: str
    format: str
    name: str
    sha256: str
    status: Literal["ingested", "quarantined"]
    first_day: str | None
    last_day: str | None
    lines: int
    new: int
    known: int
    changed: int
    withdrawn: int
    received_at: str


class ReceivedRun(Run):
    """The run that will look at a file, and the file."""

    file: File


class Runs(Object):
    """One page of runs, newest first."""

    data: list[Run]
    next_cursor: str | None


class Event(Object):
    """Something that happened to a break."""

    what: str
    code: str
    actor: str
    detail: str
    at: str


class Break(Object):
    """A difference that somebody or something must resolve. `amount` is outside minus ours."""

    id: str
    object: Literal["reconciliation_break"]
    code: str
    name: str
    status: Literal["open", "proposed", "resolved"]
    priority: Literal[1, 2, 3, 4]
    source: str | None
    currency: str | None
    amount: str | None
    reference: str | None
    detail: str
    owner: str | None
    break_on: str
    resolution: str | None
    resolved_at: str | None
    created_at: str
    events: list[Event]


class Breaks(Object):
    """One page of breaks, newest first; their events are with the single break."""

    data: list[Break]
    next_cursor: str | None
