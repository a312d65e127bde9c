"""What every format of a statement shares: its limits, its errors, and what a mapper hands over.

A mapper translates the words of one format into ours and checks what the document says about itself. It reads bytes and
knows no database, no matching and no other format. It never guesses: what it cannot read is an error with a line
number, and a document with one error is refused as a whole (`BadFile`), with every error at once.

There are two kinds. A `ParsedFormat` is read in Python, line by line: statements of banks, which are small. A
`ColumnFormat` is a table of text: PostgreSQL takes it from the stream as it is (reconciliation/landing.py), so a mapper
only says, in SQL, which of our columns is made of which of its.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, BinaryIO, Final, Protocol, runtime_checkable

MAX_ERRORS: Final = 1000
MAX_LINE_BYTES: Final = 1024 * 1024
MAX_COLUMNS: Final = 200
MAX_PARSED_LINES: Final = 1_000_000
MAX_DETAIL: Final = 200
MAX_TEXT: Final = 500
MAX_REFERENCE: Final = 255


class Side(StrEnum):
    """Whose statement it is. The same words as `Source.Side`."""

    PSP = "psp"
    BANK = "bank"


@dataclass(frozen=True, slots=True)
class FileError:
    """One thing that is wrong with a file. `code` is from our closed list (docs/reference/settlement-files.md).

    `line` counts from 1 and includes the header; `None`: it is about the file as a whole. `detail` must not repeat
    more of the cell than a person needs to find it.
    """

    line: int | None
    column: str
    code: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored and answered."""
        return {**asdict(self), "detail": self.detail[:MAX_DETAIL]}


class BadFile(Exception):
    """A file that is not believed, with every reason; at most the first `MAX_ERRORS` are kept."""

    def __init__(self, errors: Sequence[FileError]) -> None:
        assert errors, "a bad file has at least one error"
        super().__init__(f"{errors[0].code}: {errors[0].detail}")
        self.errors = list(errors[:MAX_ERRORS])


def refuse(code: str, detail: str, *, line: int | None = None, column: str = "") -> BadFile:
    """Return the refusal of a file for one reason; the caller raises it."""
    return BadFile([FileError(line, column, code, detail)])


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a mapper may know of the source whose statement it reads.

    `account` is the account as its statements write it: a document about another one is refused (`other_account`).
    `today` is the day in the book's time zone; a document of a later day is refused (`future_date`).
    """

    code: str
    side: Side
    today: date
    account: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    time_zone: zoneinfo.ZoneInfo = field(default_factory=lambda: zoneinfo.ZoneInfo("UTC"))


@dataclass(frozen=True, slots=True)
class Declared:
    """What a statement says about itself in one currency, minor units; `None`: it does not say."""

    opening: int | None = None
    closing: int | None = None
    net: int | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedLine:
    """One line of a statement in our words; see `reconciliation.models.StatementLine` for each column.

    `key` is the source's own id of the line. Leave it empty where there is none: a line is then known by its content
    and the count of its twins on that day, and so is one whose own id stands twice in the document. `counterparty` is
    the account as the document writes it; only a keyed digest of it is stored. Texts may be longer than their columns.
    """

    number: int
    key: str
    flow: str
    category: str
    currency: str
    gross_minor: int
    fee_minor: int = 0
    booked_on: date
    occurred_at: datetime | None = None
    available_on: date | None = None
    reference: str = ""
    charge_reference: str = ""
    batch: str = ""
    own_reference: str = ""
    paid_currency: str = ""
    paid_minor: int | None = None
    counterparty: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a document: what it is, what it declares, and its lines.

    `identity` is the same for every copy and revision of it (statement id, account and days), never its bytes. The
    mapper has checked `declared` against the lines where the format has rules of its own; ingestion checks
    opening + lines = closing, net and count once more, for every format alike.
    """

    identity: str
    first_day: date | None
    last_day: date | None
    declared: Mapping[str, Declared]
    lines: Iterable[ParsedLine]


@runtime_checkable
class ParsedFormat(Protocol):
    """A format that is read in Python. `parse` raises `BadFile` with all errors; the stream stands at its start."""

    @property
    def name(self) -> str: ...

    @property
    def side(self) -> Side: ...

    def parse(self, stream: BinaryIO, source: SourceFacts) -> list[Statement]: ...
