"""Formats that are tables of text: what is read from which column, said in SQL.

A layout has four layers. `cells` names the columns of the document, as text. `values` turns text into numbers, days and
times; an expression here looks before it casts (`guarded`) and gives NULL for what it cannot read. `line` makes our
columns out of both. `checks` are what must not be true of a row; a row that fails one is never stored, and its file
neither.

Only constants of this package become SQL. What a document or a person wrote is a cell's value or a bound parameter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from reconciliation.formats.base import Side, SourceFacts

# A decimal number of major units, at most twelve digits before the point; the sign is in front.
_DECIMAL: Final = r"^[-+]?[0-9]{1,12}([.][0-9]{1,8})?$"
_YEAR: Final = "(19|20)[0-9]{2}"
_LEAP: Final = "(19|20)(0[48]|[2468][048]|[13579][26])|2000"
_DATE: Final = (
    f"(({_YEAR})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    f"|02-(0[1-9]|1[0-9]|2[0-8]))|({_LEAP})-02-29)"
)
_TIME: Final = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?"
# What must be true of a text before it is cast, as expressions write it: `@decimal(gross)`. A file is first read with
# the quick guards, which take only what is written exactly as PostgreSQL writes it, and may raise; when that fails it
# is read with the exact ones, which take every form that is allowed and never raise. A regular expression costs ten
# times as much as the cast that it guards.
_QUICK: Final = {
    "decimal": "{0}::numeric::text = {0}",
    "day": "{0}::date::text = {0}",
    "moment": "{0}::timestamp::text = {0}",
}
_EXACT: Final = {
    "decimal": f"{{0}} ~ '{_DECIMAL.replace('{', '{{').replace('}', '}}')}'",
    "day": f"{{0}} ~ '^{_DATE.replace('{', '{{').replace('}', '}}')}$'",
    # A time in UTC, or one whose zone is said elsewhere; a day alone is its first instant.
    "moment": f"{{0}} ~ '^{(_DATE + '([ T]' + _TIME + 'Z?)?').replace('{', '{{').replace('}', '}}')}$'",
}
# What a guard is about may call functions of functions: two levels of parentheses inside its own.
_INNER: Final = r"[^()]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^()]*)*"
_GUARD: Final = re.compile(rf"@(decimal|day|moment)\(({_INNER})\)")

# The columns of a line, in the order in which they are stored.
LINE: Final = (
    "key", "flow", "category", "currency", "gross_minor", "fee_minor", "booked_on", "occurred_at", "available_on",
    "reference", "charge_reference", "batch", "own_reference", "paid_currency", "paid_minor", "counterparty", "text",
)  # fmt: skip
ABSENT: Final[Mapping[str, str]] = {
    "fee_minor": "0", "occurred_at": "NULL::timestamptz", "available_on": "NULL::date", "reference": "''",
    "charge_reference": "''", "batch": "''", "own_reference": "''", "paid_currency": "''",
    "paid_minor": "NULL::bigint", "counterparty": "''", "text": "''",
}  # fmt: skip


class Keys(StrEnum):
    """By what a line is known again."""

    OWN = "own"  # the source's own id, unique for ever: the same id twice in a file must be the same line
    COUNTED = "counted"  # ids that real twins share: the id, and which of its twins in the file it is
    CONTENT = "content"  # the own id where it is unique in the file, else the content and which twin of the day it is


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of the document: the first of these names that its header has. One that is missing is NULL."""

    names: tuple[str, ...]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """What must not be true of a row: `wrong` is SQL over cells and values; NULL is not wrong."""

    cell: str
    code: str
    wrong: str
    detail: str


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What must not be found in a file: SQL over `typed` that gives a text for each thing that is wrong."""

    column: str
    code: str
    found: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How one format is read. `currency` is SQL of the code by which amounts are scaled, over the cells.

    In `values` and `line`, `factor` is the number of minor units in a major one (NULL: no such currency), `%(zone)s`
    the time zone of the book, `%(today)s` its day and `%(account)s` the account; `parameters` are bound beside them.
    `identity` is an SQL aggregate over `typed`: what the document is, whatever its bytes; empty where it does not say.
    """

    cells: Mapping[str, Cell]
    currency: str
    values: Mapping[str, str]
    line: Mapping[str, str]
    checks: Sequence[Check]
    keys: Keys
    identity: str = ""
    file_checks: Sequence[FileCheck] = ()
    number: str = "place"
    delimiter: str = ","
    encoding: str = "utf-8"
    parameters: Mapping[str, Any] = field(default_factory=dict)


class ColumnFormat(Protocol):
    """A format of columns. `layout` raises `BadFile` when the source does not say how its columns are to be read."""

    @property
    def name(self) -> str: ...

    @property
    def side(self) -> Side | None: ...

    def layout(self, source: SourceFacts) -> Layout: ...


def guarded(sql: str, *, exactly: bool) -> str:
    """Return SQL with its guards written out."""
    guards = _EXACT if exactly else _QUICK
    return _GUARD.sub(lambda found: guards[found[1]].format(found[2]), sql)


def scaled(cell: str, factor: str = "factor") -> str:
    """Return SQL of a cell of major units as a number of minor units, not rounded; NULL when it is no number."""
    return f"CASE WHEN @decimal({cell}) THEN {cell}::numeric * {factor} END"


def inexact(value: str) -> str:
    """Return SQL that is true when a scaled number is missing, or is no whole number of minor units."""
    return f"({value} IS NULL OR {value} <> trunc({value}))"


def factor_of(currency: str) -> str:
    """Return SQL of the number of minor units in a major one of a currency; NULL when there is no such currency."""
    return f"(SELECT (10 ^ exponent)::bigint::numeric FROM ledger_currency WHERE code = {currency})"


def day(cell: str) -> str:
    """Return SQL of a cell as a day (2026-11-21); NULL when it is none."""
    return f"CASE WHEN @day({cell}) THEN {cell}::date END"


def moment(cell: str, zone: str = "'UTC'") -> str:
    """Return SQL of a cell as an instant, its time of day in a zone; NULL when it is none."""
    return f"CASE WHEN @moment({cell}) THEN rtrim({cell}, 'Z')::timestamp AT TIME ZONE {zone} END"


def by_category(category: str, flows: Mapping[str, str]) -> str:
    """Return SQL of the flow of a category; one that is not known is `other`, never an error."""
    known = " ".join(f"WHEN '{word}' THEN '{flow}'" for word, flow in flows.items())
    return f"CASE {category} {known} ELSE 'other' END"


# Lines that a mapper has read in Python land as text like any others; a column of ours is a cell of the same name.
_AS: Final = {
    "gross_minor": "bigint", "fee_minor": "bigint", "booked_on": "date", "occurred_at": "timestamptz",
    "available_on": "date", "paid_minor": "bigint",
}  # fmt: skip
PARSED_CELLS: Final = ("line", *LINE)
PARSED: Final = Layout(
    cells={f"given_{name}": Cell((name,)) for name in PARSED_CELLS},
    currency="given_currency",
    values={},
    line={name: f"given_{name}::{_AS.get(name, 'text')}" for name in LINE},
    checks=(Check("given_currency", "invalid_currency", "factor IS NULL", "not an ISO 4217 currency"),),
    keys=Keys.CONTENT,
    number="given_line::integer",
)
