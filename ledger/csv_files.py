"""CSV that a spreadsheet opens safely: text that looks like a formula is marked as text, numbers stay numbers.

A cell that begins with one of = + - @, a tab or a line break is run as a formula by spreadsheets, and references and
memos come from outside. Such text gets an apostrophe in front, as OWASP advises; nothing else is changed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_STARTS_A_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - the wide forms are what is meant


class _Echo:
    """Hands each line of the writer back instead of storing it."""

    def write(self, line: str) -> str:
        return line


def text(value: str) -> str:
    """Return a text as a cell that no spreadsheet runs."""
    return f"'{value}" if value.lstrip(" ").startswith(_STARTS_A_FORMULA) else value


def lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Write rows as lines of CSV (RFC 4180), one after another."""
    writer = csv.writer(_Echo())
    for row in rows:
        yield writer.writerow(row)
