"""The fields of an MT940 file, as they stand between the envelopes and headings of banks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reconciliation.formats.bank import Findings
from reconciliation.formats.base import refuse

MAX_FIELD_CHARACTERS: Final = 8_000
_FIELD: Final = re.compile(r":([0-9]{2}[A-Z]?|NS):")
# What banks write before a message: their address, the number of the format.
_HEADING: Final = re.compile(r":940:|[A-Z0-9 ]{1,40}")


@dataclass(slots=True)
class Field:
    """One field as it is cut: its tag, its text, and the line where it begins."""

    tag: str
    line: int
    text: str


def cut(file_lines: Sequence[str], findings: Findings) -> Iterator[Field]:
    """Give the fields of a file in their order; the envelope and headings are left out."""
    current: Field | None = None
    lines: list[str] = []
    size = 0
    for number, raw in enumerate(file_lines, start=1):
        line = raw.partition("{4:")[2] if raw.startswith("{1:") else raw
        start = _FIELD.match(line)
        ended = raw.startswith(("{", "-}")) or line.rstrip() == "-"
        if current is not None and (start is not None or ended):
            current.text = "\n".join(lines)
            yield current
            current = None
        if start is not None:
            current, lines, size = Field(start[1], number, ""), [line[start.end() :]], len(line)
        elif current is not None and not line.startswith(":"):
            lines.append(line)
            size += len(line)
        elif line.strip() and not ended and not _HEADING.fullmatch(line.strip()):
            findings.add(number, "", "invalid_record", f"{line[:30]!r} is no field of MT940")
        if size > MAX_FIELD_CHARACTERS:
            raise refuse("too_large", f"a field has at most {MAX_FIELD_CHARACTERS} characters", line=number)
    if current is not None:
        current.text = "\n".join(lines)
        yield current
