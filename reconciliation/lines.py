"""From text that has landed to lines that are kept, in SQL: read, checked, made ours, and told from what is known.

One statement reads and stores everything. A row that fails a check becomes a line without a day, which the table
refuses; only then are the rows read a second time, to list all that is wrong with them. A file of lines that are all
new, which is nearly every file, needs nothing else; known keys show up as lines that were not stored.

A line is never changed. One that comes again with other content becomes a further revision of its key, completed by
what the earlier one said and the new one does not. One that a revised document leaves out gets a last revision of no
amount.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from django.db import DataError, IntegrityError, NotSupportedError, connection, transaction

from reconciliation.formats.base import MAX_ERRORS, MAX_REFERENCE, MAX_TEXT, BadFile, FileError, SourceFacts
from reconciliation.formats.columns import ABSENT, LINE, Keys, Layout, guarded

MAX_KEY: Final = 128
MAX_CATEGORY: Final = 64
_COLUMNS: Final = ", ".join(LINE)
# What makes a line another line. Texts and times of day differ between reports about the same movement.
_CONTENT: Final = (
    "flow", "category", "currency", "gross_minor", "fee_minor", "booked_on", "reference", "charge_reference", "batch",
    "own_reference", "paid_currency", "paid_minor",
)  # fmt: skip
_ADDED_TO: Final = ("reference", "charge_reference", "batch", "own_reference", "counterparty", "text")
_FINGERPRINT: Final = (
    "md5((booked_on, flow, category, currency, gross_minor, fee_minor, reference, charge_reference, batch,"
    " own_reference, counterparty, text)::text)"
)
_KEYS: Final = {
    Keys.OWN: "key",
    Keys.COUNTED: "key || '#' || row_number() OVER (PARTITION BY key ORDER BY place)",
    Keys.CONTENT: "CASE WHEN key <> '' AND count(*) OVER (PARTITION BY key) = 1 THEN key"
    f" ELSE {_FINGERPRINT} || '#' || row_number() OVER (PARTITION BY {_FINGERPRINT} ORDER BY place) END",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of the lines of a file. `withdrawn` are lines of an earlier version that this one leaves out."""

    new: int
    known: int
    changed: int
    withdrawn: int
    first_day: date | None
    last_day: date | None


@dataclass(frozen=True, slots=True)
class Landed:
    """Text that has landed: how it is read, where its columns are, and as lines of which file it is to be kept."""

    layout: Layout
    places: Mapping[str, int]
    names: Mapping[str, str]
    rows: int
    header_rows: int
    source_id: int
    file_id: int
    facts: SourceFacts
    exactly: bool = False

    def run(self, statement: str, **more: Any) -> list[tuple[Any, ...]]:
        """Run a statement over what landed; return its rows, none for one that gives none."""
        facts = self.facts
        given = {
            "source": self.source_id, "file": self.file_id, "zone": facts.time_zone.key, "today": facts.today,
            "account": facts.account, **self.layout.parameters, **more,
        }  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(guarded(self._reading() + statement, exactly=self.exactly), given)
            return cursor.fetchall() if cursor.description else []

    def _reading(self) -> str:
        """Return the SQL that reads what landed: `cells`, `typed`, `line`, `keyed`.

        OFFSET 0 keeps PostgreSQL from putting an expression in the place of its name, where it would be computed as
        often as it is used.
        """
        layout = self.layout
        cells = "".join(
            f', c{self.places[alias]} AS "{alias}"' if alias in self.places else f', NULL::text AS "{alias}"'
            for alias in layout.cells
        )
        values = "".join(f', {sql} AS "{alias}"' for alias, sql in layout.values.items())
        ours = ", ".join(f"{layout.line.get(column) or ABSENT[column]} AS {column}" for column in LINE)
        wrong = " OR ".join(f"coalesce({check.wrong}, false)" for check in layout.checks) or "false"
        # Counting twins turns the rows around; they are stored as the document has them.
        in_order = "" if layout.keys == Keys.OWN else "ORDER BY place"
        masked = ", ".join(_MASKED.get(column, column) for column in LINE if column != "key")
        return f"""
WITH cells AS (SELECT number AS place{cells} FROM pg_temp.reconciliation_landing),
typed AS (
    SELECT cells.*, currencies.factor{values} FROM cells
      LEFT JOIN (SELECT code, (10 ^ exponent)::bigint::numeric AS factor FROM ledger_currency) currencies
             ON currencies.code = {layout.currency} OFFSET 0),
line AS (SELECT place, {layout.number} AS number, {ours}, ({wrong}) AS wrong FROM typed OFFSET 0),
keyed AS (
    SELECT place, number, {_KEYS[layout.keys]} AS key, {masked}, (wrong OR {_WRONG_LINE}) AS wrong
      FROM line {in_order} OFFSET 0)
"""  # noqa: S608 - constants of the formats


_COMMON: Final = (
    ("future_date", "booked_on > %(today)s", "a day that has not come yet"),
    *(
        ("too_long", f"length({name}) > {limit}", f"{name} has more than {limit} characters")
        for name, limit in (
            ("key", MAX_KEY - 10),
            ("category", MAX_CATEGORY),
            *((name, MAX_REFERENCE) for name in ("reference", "charge_reference", "batch", "own_reference")),
        )
    ),
)
_WRONG_LINE: Final = " OR ".join(f"coalesce({wrong}, false)" for _, wrong, _ in _COMMON)
# The database's rule for card numbers, asked only where enough digits stand together.
_DIGITS: Final = "[0-9]([-[:space:]._/,:]{0,2}[0-9]){12}"
_MASKED: Final = {
    name: f"left(CASE WHEN length({name}) >= 13 AND {name} ~ '{_DIGITS}'"
    f" THEN reconciliation_masked(left({name}, {limit + 40})) ELSE {name} END, {limit}) AS {name}"
    for name, limit in (("text", MAX_TEXT), ("own_reference", MAX_REFERENCE))
}


def store(landed: Landed, *, chain: Sequence[int]) -> Stored:
    """Keep what landed as lines of its file. In a transaction that holds the lock of the source.

    `chain` are earlier versions of the same document: their lines that it leaves out are withdrawn. Raises `BadFile`
    with every row that is wrong; the transaction is lost then.
    """
    new, first_day, last_day = 0, None, None
    if landed.rows:
        landed, (new, first_day, last_day) = _stored(landed)
    errors = [
        FileError(None, check.column, check.code, text)
        for check in landed.layout.file_checks
        for (text,) in landed.run(f"{check.found} LIMIT {MAX_ERRORS}")
    ]
    if errors:
        raise BadFile(errors)
    changed = 0
    if new < landed.rows:
        _refuse_contradictions(landed)
        ((first_day, last_day),) = landed.run("SELECT min(booked_on), max(booked_on) FROM keyed")
        ((changed,),) = landed.run(_REVISE)
    withdrawn = landed.run(_WITHDRAW, chain=list(chain))[0][0] if chain else 0
    return Stored(new, landed.rows - new - changed, changed, withdrawn, first_day, last_day)


def _stored(landed: Landed) -> tuple[Landed, tuple[int, date | None, date | None]]:
    """Store what landed; return how it was read, how many lines are new, and their first and last day."""
    for attempt in (landed, replace(landed, exactly=True)):
        try:
            with transaction.atomic():
                ((new, first_day, last_day),) = attempt.run(_STORE)
        except (IntegrityError, DataError, NotSupportedError):  # the last is what infinity is as an integer
            continue
        return attempt, (new, first_day, last_day)
    raise BadFile(_errors(replace(landed, exactly=True)))


_INTO: Final = f"INSERT INTO reconciliation_statementline (source_id, file_id, number, revision, {_COLUMNS})"
_STORE: Final = f"""
, stored AS ({_INTO}
    SELECT %(source)s, %(file)s, number, 0, {_COLUMNS.replace("booked_on", "CASE WHEN NOT wrong THEN booked_on END")}
      FROM keyed
    ON CONFLICT (source_id, key, revision) DO NOTHING
    RETURNING booked_on)
SELECT count(*), min(booked_on), max(booked_on) FROM stored
"""  # noqa: S608 - constants

# A line that is known: what it says now, completed by what it said before.
_COMPLETED: Final = {
    **{name: f"CASE k.{name} WHEN '' THEN l.{name} ELSE k.{name} END" for name in _ADDED_TO},
    "occurred_at": "coalesce(k.occurred_at, l.occurred_at)",
    "available_on": "coalesce(k.available_on, l.available_on)",
    "paid_currency": "CASE k.paid_currency WHEN '' THEN l.paid_currency ELSE k.paid_currency END",
    "paid_minor": "CASE k.paid_currency WHEN '' THEN l.paid_minor ELSE k.paid_minor END",
}
_NOW: Final = ", ".join(_COMPLETED.get(name, f"k.{name}") for name in _CONTENT)
_BEFORE: Final = ", ".join(f"l.{name}" for name in _CONTENT)
_LATEST: Final = """
JOIN LATERAL (SELECT * FROM reconciliation_statementline l WHERE l.source_id = %(source)s AND l.key = k.key
               ORDER BY l.revision DESC LIMIT 1) l ON true
"""
_REVISE: Final = f"""
, changed AS ({_INTO}
    SELECT DISTINCT ON (k.key) %(source)s, %(file)s, k.number, l.revision + 1,
           {", ".join(_COMPLETED.get(name, f"k.{name}") for name in LINE)}
      FROM keyed k {_LATEST}
     WHERE l.file_id <> %(file)s AND ({_NOW}) IS DISTINCT FROM ({_BEFORE})
     ORDER BY k.key, k.number
    RETURNING 1)
SELECT count(*) FROM changed
"""  # noqa: S608 - constants
_NOTHING: Final = {"gross_minor": "0", "fee_minor": "0", "paid_minor": "NULL::bigint"}
_WITHDRAW: Final = f"""
, withdrawn AS ({_INTO}
    SELECT l.source_id, %(file)s, 0, l.revision + 1,
           {", ".join(_NOTHING.get(name, f"l.{name}") for name in LINE)}
      FROM reconciliation_statementline l
     WHERE l.source_id = %(source)s AND l.file_id = ANY (%(chain)s) AND (l.gross_minor <> 0 OR l.fee_minor <> 0)
       AND NOT EXISTS (SELECT 1 FROM reconciliation_statementline r
                        WHERE r.source_id = l.source_id AND r.key = l.key AND r.revision > l.revision)
       AND NOT EXISTS (SELECT 1 FROM keyed k WHERE k.key = l.key)
    RETURNING 1)
SELECT count(*) FROM withdrawn
"""  # noqa: S608 - constants


def _refuse_contradictions(landed: Landed) -> None:
    """Refuse a file in which one id stands for two different lines."""
    if landed.layout.keys != Keys.OWN:
        return
    found = landed.run(
        f"SELECT key, max(place) FROM keyed GROUP BY key HAVING count(DISTINCT ({', '.join(_CONTENT)})) > 1"  # noqa: S608
        f" ORDER BY 2 LIMIT {MAX_ERRORS}"
    )
    if found:
        raise BadFile(
            [
                FileError(place + landed.header_rows, "", "contradictory_lines", f"{key} stands for different lines")
                for key, place in found
            ]
        )


def _errors(landed: Landed) -> list[FileError]:
    """List what is wrong with the rows, in their order."""
    words: dict[str, str] = {}
    of_rows = []
    for place, check in enumerate(landed.layout.checks):
        words |= {f"n{place}": landed.names.get(check.cell, ""), f"d{place}": check.detail}
        cell = f'"{check.cell}"' if check.cell else "NULL::text"
        of_rows.append(f"(%(n{place})s, '{check.code}', %(d{place})s, {cell}, {check.wrong})")
    of_lines = [f"('', '{code}', '{detail}', NULL::text, coalesce({wrong}, false))" for code, wrong, detail in _COMMON]
    wrong = " UNION ALL ".join(
        f"SELECT place, e.* FROM {step}, LATERAL (VALUES {', '.join(values)}) e (name, code, detail, cell, wrong)"  # noqa: S608
        for step, values in (("typed", of_rows), ("line", of_lines))
        if values
    )
    found = landed.run(
        f"SELECT place, name, code, detail, reconciliation_masked(left(cell, 60)) FROM ({wrong}) e"  # noqa: S608
        f" WHERE wrong ORDER BY place, name LIMIT {MAX_ERRORS}",
        **words,
    )
    if not found:
        return [FileError(None, "", "unreadable_row", "a row could not be stored")]
    return [
        FileError(place + landed.header_rows, name, code, f"{detail}: {cell}" if cell else detail)
        for place, name, code, detail, cell in found
    ]
