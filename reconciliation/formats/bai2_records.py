"""The records of a BAI2 file: fields between commas, ended by a slash, continued by records 88."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from reconciliation.formats.bank import MAX_AMOUNT_DIGITS, MAX_LINES, Findings, text_lines
from reconciliation.formats.base import refuse

CONTINUATION: Final = "88"
MAX_CONTINUATIONS: Final = 1_000
MAX_RECORDS: Final = 3 * MAX_LINES
MAX_FIELDS: Final = 10_000
# How many fields follow a funds type: immediate, one day and more days; the day and time of value.
_AVAILABILITY: Final = {"": 0, "Z": 0, "0": 0, "1": 0, "2": 0, "S": 3, "V": 2}


@dataclass(slots=True)
class Record:
    """One record with its continuations: `position` counts the lines of the file that are records, from 1."""

    code: str
    line: int
    position: int
    fields: list[str]
    size: int = 1

    def field(self, at: int) -> str:
        """Return a field; empty when the record ends before it."""
        return self.fields[at].strip() if at < len(self.fields) else ""

    def amount(self, at: int) -> int | None:
        """Return a whole number of minor units, with or without a sign; `None` when it is none."""
        text = self.field(at)
        digits = text[1:] if text[:1] in ("+", "-") else text
        if not (digits.isascii() and digits.isdigit()) or len(digits) > MAX_AMOUNT_DIGITS + 3:
            return None
        return -int(digits) if text.startswith("-") else int(digits)

    def day(self, at: int) -> date | None:
        """Return a day written as YYMMDD; `None` when it is none."""
        text = self.field(at)
        try:
            return datetime.strptime(text, "%y%m%d").date() if len(text) == 6 else None  # noqa: DTZ007 - a day
        except ValueError:
            return None

    def availability(self, at: int) -> int | None:
        """Return how many fields belong to the funds type at a place; `None` when it is no funds type."""
        kind = self.field(at)
        if kind == "D":
            days = self.amount(at + 1)
            return None if days is None or not 0 <= days <= MAX_FIELDS else 1 + 2 * days
        return _AVAILABILITY.get(kind)


def records(data: bytes, findings: Findings) -> Iterator[Record]:
    """Give the records of a file, each with its continuations. Raises `BadFile` beyond the limits."""
    current: Record | None = None
    parts: list[str] = []
    position = 0
    for number, line in enumerate(text_lines(data), start=1):
        if not line.strip():
            continue
        position += 1
        if position > MAX_RECORDS:
            raise refuse("too_large", f"a file has at most {MAX_RECORDS} records", line=number)
        code, _, rest = line.rstrip().partition(",")
        if code == CONTINUATION:
            if current is None:
                findings.add(number, CONTINUATION, "invalid_record", "it continues no record")
                continue
            current.size += 1
            if current.size > MAX_CONTINUATIONS:
                raise refuse("too_large", f"a record has at most {MAX_CONTINUATIONS} lines", line=number)
            parts.append(rest)
            continue
        if current is not None:
            yield _whole(current, parts)
        current, parts = Record(code.rstrip("/"), number, position, []), [rest]
    if current is not None:
        yield _whole(current, parts)


def _whole(record: Record, parts: list[str]) -> Record:
    """Put the lines of a record together. A line that ends with a slash ends a field; else its text goes on."""
    text = ""
    for part in parts:
        text += part.removesuffix("/") + ("," if part.endswith("/") else " ")
    fields = text.rstrip(" ").split(",")
    if len(fields) > MAX_FIELDS:
        raise refuse("too_large", f"a record has at most {MAX_FIELDS} fields", line=record.line)
    record.fields = fields
    return record
