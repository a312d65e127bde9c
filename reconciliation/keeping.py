"""Reading a document by its format, and keeping its lines: what stands between bytes and lines.

A table of columns goes to PostgreSQL as it is; what has to be read in Python lands beside it in the same form, so both
are checked, keyed and compared by the same statements (reconciliation/lines.py). Everything here happens in the
transaction of `ingest.receive`: a `BadFile` undoes it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, BinaryIO, Final

from reconciliation import counterparties, landing, lines, sources
from reconciliation.formats import Format
from reconciliation.formats.base import BadFile, Declared, FileError, ParsedFormat, Side, SourceFacts, Statement, refuse
from reconciliation.formats.columns import PARSED, PARSED_CELLS, ColumnFormat
from reconciliation.models import SettlementFile, Source

MAX_STATEMENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """What a document says it is, and what became of its lines."""

    identity: str
    first_day: date | None
    last_day: date | None
    declared: Mapping[str, Any]
    lines: lines.Stored
    revises: SettlementFile | None


def keep(source: Source, mapper: Format, stream: BinaryIO, *, file_id: int, now: datetime) -> Kept:
    """Read a document and keep its lines. Raises `BadFile`."""
    facts = sources.facts_of(source, now=now)
    if isinstance(mapper, ParsedFormat):
        return _keep_parsed(source, mapper, stream, facts, file_id=file_id)
    return _keep_columns(source, mapper, stream, facts, file_id=file_id)


def _keep_columns(source: Source, mapper: ColumnFormat, stream: BinaryIO, facts: SourceFacts, *, file_id: int) -> Kept:
    layout = mapper.layout(facts)
    header = landing.read_header(stream, layout)
    landing.check_bytes(stream, header, layout)
    rows = landing.land(stream, header, layout)
    if rows == 0:
        raise refuse("no_lines", "there is a header and no line")
    landed = lines.Landed(layout, header.places, header.names, rows, 1, source.pk, file_id, facts)
    identity = ""
    if layout.identity:
        ((found,),) = landed.run(f"SELECT {layout.identity} FROM typed")  # noqa: S608 - a constant of the format
        identity = (found or "")[:255]
    revises, chain = _earlier(source, mapper.name, identity)
    stored = lines.store(landed, chain=chain)
    _refuse_days_known_otherwise(source, mapper.name, stored.first_day, stored.last_day)
    return Kept(identity, stored.first_day, stored.last_day, {}, stored, revises)


def _keep_parsed(source: Source, mapper: ParsedFormat, stream: BinaryIO, facts: SourceFacts, *, file_id: int) -> Kept:
    stream.seek(0)
    statements = list(itertools.islice(mapper.parse(stream, facts), MAX_STATEMENTS + 1))
    if not statements:
        raise refuse("no_statement", "there is no statement in it")
    if len(statements) > MAX_STATEMENTS:
        raise refuse("too_many_statements", f"more than {MAX_STATEMENTS} statements")
    places = {f"given_{name}": place for place, name in enumerate(PARSED_CELLS, 1)}
    errors: list[FileError] = []
    rows = landing.land_rows(len(PARSED_CELLS), _rows(statements, errors))
    if errors:
        raise BadFile(errors)
    names = {f"given_{name}": name for name in PARSED_CELLS}
    landed = lines.Landed(PARSED, places, names, rows, 0, source.pk, file_id, facts)
    identity = ", ".join(one.identity for one in statements if one.identity)[:255]
    revises, chain = _earlier(source, mapper.name, identity)
    stored = lines.store(landed, chain=chain)
    first_day = min((one.first_day for one in statements if one.first_day), default=stored.first_day)
    last_day = max((one.last_day for one in statements if one.last_day), default=stored.last_day)
    if last_day is not None and last_day > facts.today:
        raise refuse("future_date", f"the statement is of {last_day}, a day that has not come yet")
    _refuse_days_known_otherwise(source, mapper.name, first_day, last_day)
    return Kept(identity, first_day, last_day, _declared(statements), stored, revises)


def _rows(statements: Sequence[Statement], errors: list[FileError]) -> Iterator[Sequence[str | int | None]]:
    """Give the lines as rows of text, and note where the lines of a statement are not what it declares."""
    for statement in statements:
        net: dict[str, int] = {}
        count: dict[str, int] = {}
        for line in statement.lines:
            net[line.currency] = net.get(line.currency, 0) + line.gross_minor - line.fee_minor
            count[line.currency] = count.get(line.currency, 0) + 1
            yield (
                line.number, line.key, line.flow, line.category, line.currency, line.gross_minor, line.fee_minor,
                line.booked_on.isoformat(), line.occurred_at.isoformat() if line.occurred_at else None,
                line.available_on.isoformat() if line.available_on else None, line.reference, line.charge_reference,
                line.batch, line.own_reference, line.paid_currency, line.paid_minor,
                counterparties.digest(line.counterparty), line.text,
            )  # fmt: skip
        for currency, declared in statement.declared.items():
            errors += _differences(statement, currency, declared, net.get(currency, 0), count.get(currency, 0))


def _differences(statement: Statement, currency: str, declared: Declared, net: int, count: int) -> Iterator[FileError]:
    where = f"statement {statement.identity[:60]}, {currency}"
    if declared.net is not None and declared.net != net:
        yield FileError(None, "net", "wrong_total", f"{where}: {declared.net} declared, the lines make {net}")
    if declared.count is not None and declared.count != count:
        yield FileError(None, "count", "wrong_total", f"{where}: {declared.count} lines declared, there are {count}")
    if declared.opening is not None and declared.closing is not None and declared.opening + net != declared.closing:
        detail = f"{where}: opening {declared.opening} and lines of {net} do not make {declared.closing}"
        yield FileError(None, "closing", "wrong_total", detail)


def _declared(statements: Iterable[Statement]) -> dict[str, Any]:
    """Put what several statements of a document declare together: first opening, last closing, sums of the rest."""
    found: dict[str, dict[str, int | None]] = {}
    for statement in statements:
        for currency, one in statement.declared.items():
            held = found.setdefault(currency, {"opening": one.opening, "closing": None, "net": None, "count": None})
            held["closing"] = one.closing if one.closing is not None else held["closing"]
            for name, value in (("net", one.net), ("count", one.count)):
                if value is not None:
                    held[name] = (held[name] or 0) + value
    return found


def _earlier(source: Source, mapper_name: str, identity: str) -> tuple[SettlementFile | None, list[int]]:
    """Return the latest version of a document that is known, and all of them. None without an identity."""
    if not identity:
        return None, []
    # Uses index: settlement_file_by_identity.
    found = list(
        SettlementFile.objects.filter(
            source=source, identity=identity, format=mapper_name, state=SettlementFile.State.INGESTED
        ).order_by("pk")
    )
    return (found[-1], [one.pk for one in found]) if found else (None, [])


def _refuse_days_known_otherwise(
    source: Source, mapper_name: str, first_day: date | None, last_day: date | None
) -> None:
    """Refuse a bank's statement of days that are known from another format: every line would count twice."""
    if source.side != Side.BANK or first_day is None or last_day is None:
        return
    other = (
        SettlementFile.objects.filter(
            source=source, state=SettlementFile.State.INGESTED, first_day__lte=last_day, last_day__gte=first_day
        )
        .exclude(format=mapper_name)
        .first()
    )
    if other is not None:
        detail = f"{other.first_day} to {other.last_day} are known from {other.format} {other.name}"
        raise refuse("days_known_in_another_format", detail)
