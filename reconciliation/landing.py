"""Where the bytes of a statement arrive: looked at once, then taken by PostgreSQL as text, before anything is believed.

Python moves chunks and looks at bytes; it never holds a file, and in the fast case never sees a row. Only when
PostgreSQL refuses the shape of a file is it read again here, row by row, to name every row that is wrong.

The table that rows land in belongs to this session and this transaction (`reconciliation_open_landing`); what is
personal in a file goes away with it. It must never write a line: that is `reconciliation/lines.py`.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import psycopg
from django.db import connection

from config import seam
from reconciliation.formats.base import MAX_COLUMNS, MAX_ERRORS, MAX_LINE_BYTES, BadFile, FileError, refuse
from reconciliation.formats.columns import Cell, Layout

CHUNK_BYTES: Final = 256 * 1024
_BOM: Final = codecs.BOM_UTF8
_OTHER_BOMS: Final = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
# PostgreSQL before 18 takes a line of these two characters for the end of the data, and would ignore the rest.
_END_MARKS: Final = (b"\n\\.\n", b"\n\\.\r")


@dataclass(frozen=True, slots=True)
class Looked:
    """What the bytes of a file are."""

    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Header:
    """The first row of a table: the place (from 1) of each known column, how many there are, where the rows begin."""

    places: dict[str, int]
    names: dict[str, str]
    width: int
    begins: int
    ends: int


def look(stream: BinaryIO, *, limit_bytes: int) -> Looked:
    """Read a file once for its digest and its size. Raises `BadFile` for one that is empty or over the limit."""
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(stream, 0):
        digest.update(chunk)
        size += len(chunk)
        if size > limit_bytes:
            raise refuse("too_large", f"larger than {limit_bytes} bytes")
    return Looked(digest.digest(), size)


def read_header(stream: BinaryIO, layout: Layout) -> Header:
    """Read the first row and find the columns of a layout in it, by name. Raises `BadFile` with all that is missing."""
    stream.seek(0)
    start = stream.read(MAX_LINE_BYTES)
    if not start.strip():
        raise refuse("empty_file", "there is nothing in it")
    _refuse_other_encodings(start)
    begins = len(_BOM) if start.startswith(_BOM) else 0
    line, newline, _ = start[begins:].partition(b"\n")
    if not newline and len(start) == MAX_LINE_BYTES:
        raise refuse("line_too_long", f"longer than {MAX_LINE_BYTES} bytes", line=1)
    try:
        given = next(csv.reader([line.decode(layout.encoding)], delimiter=layout.delimiter), [])
    except (UnicodeDecodeError, csv.Error) as problem:
        raise refuse("invalid_header", str(problem), line=1) from None
    if len(given) > MAX_COLUMNS:
        raise refuse("too_many_columns", f"{len(given)} columns; {MAX_COLUMNS} is the limit", line=1)
    names = [name.strip().casefold() for name in given]
    errors: list[FileError] = []
    places, shown = {}, {}
    for alias, cell in layout.cells.items():
        place, name = _place(names, alias, cell, errors)
        shown[alias] = name
        if place:
            places[alias] = place
    if errors:
        raise BadFile(errors)
    return Header(places, shown, len(given), begins + len(line) + len(newline), _end(stream))


def check_bytes(stream: BinaryIO, header: Header, layout: Layout) -> None:
    """Look at every byte of the rows: encoding, NUL, length of lines. Raises `BadFile` at the first that is wrong.

    There is no list here: what follows a wrong byte cannot be told from what it damaged.
    """
    decoder = codecs.getincrementaldecoder(layout.encoding)()
    line, since_newline, tail = 2, 0, b"\n"
    for chunk in _chunks(stream, header.begins):
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as problem:
            at = line + problem.object[: problem.start].count(b"\n")
            raise refuse("wrong_encoding", f"not {layout.encoding.upper()}", line=at) from None
        if b"\0" in chunk:
            at = line + chunk[: chunk.index(b"\0")].count(b"\n")
            raise refuse("nul_character", "a NUL character", line=at)
        seen = tail + chunk
        mark = min((at for at in map(seen.find, _END_MARKS) if at >= 0), default=-1)
        if mark >= 0:
            at = line + seen[: mark + 1].count(b"\n") - tail.count(b"\n")
            raise refuse("end_mark", "a line of the two characters \\.", line=at)
        tail = seen[-3:]
        first = chunk.find(b"\n")
        if since_newline + (first if first >= 0 else len(chunk)) > MAX_LINE_BYTES:
            raise refuse("line_too_long", f"longer than {MAX_LINE_BYTES} bytes", line=line)
        since_newline = since_newline + len(chunk) if first < 0 else len(chunk) - chunk.rfind(b"\n") - 1
        line += chunk.count(b"\n")


def land(stream: BinaryIO, header: Header, layout: Layout) -> int:
    """Let PostgreSQL take the rows from the stream; return how many there are. In a transaction.

    Raises `BadFile` with every row whose shape is wrong; the transaction is lost then.
    """
    columns = _open(header.width)
    copy = (
        f"COPY pg_temp.reconciliation_landing ({columns}) FROM STDIN WITH"
        f" (FORMAT csv, DELIMITER '{layout.delimiter}', FORCE_NULL ({columns}))"
    )
    try:
        with connection.cursor() as cursor:
            with seam.crossing("sql", "COPY statement"), cursor.copy(copy) as rows:
                for chunk in _as_utf8(stream, header, layout):
                    rows.write(chunk)
            return int(cursor.rowcount)
    except psycopg.DataError as problem:
        message = str(problem.diag.message_primary or problem)
        raise BadFile(_wrong_rows(stream, header, layout) or [FileError(None, "", "invalid_csv", message)]) from None


def land_rows(width: int, rows: Iterable[Sequence[str | int | None]]) -> int:
    """Write rows that were read in Python where a file of columns would land; return how many. In a transaction."""
    columns = _open(width)
    copy = f"COPY pg_temp.reconciliation_landing ({columns}) FROM STDIN"
    with connection.cursor() as cursor:
        with seam.crossing("sql", "COPY statement"), cursor.copy(copy) as landed:
            for row in rows:
                landed.write_row(row)
        return int(cursor.rowcount)


def _open(width: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reconciliation_open_landing(%s)", [width])
    return ", ".join(f"c{place}" for place in range(1, width + 1))


def _chunks(stream: BinaryIO, begins: int, ends: int | None = None) -> Iterator[bytes]:
    stream.seek(begins)
    left = ends - begins if ends is not None else None
    while left is None or left > 0:
        chunk = stream.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
        if not chunk:
            return
        if left is not None:
            left -= len(chunk)
        yield chunk


def _as_utf8(stream: BinaryIO, header: Header, layout: Layout) -> Iterator[bytes]:
    chunks = _chunks(stream, header.begins, header.ends)
    if layout.encoding == "utf-8":
        return chunks
    return (text.encode() for text in codecs.iterdecode(chunks, layout.encoding))


def _end(stream: BinaryIO) -> int:
    """Return where the last row ends: empty lines behind it are no rows."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - CHUNK_BYTES))
    tail = stream.read(CHUNK_BYTES)
    return size - len(tail) + len(tail.rstrip(b"\r\n"))


def _refuse_other_encodings(start: bytes) -> None:
    for mark, name in _OTHER_BOMS.items():
        if start.startswith(mark):
            raise refuse("wrong_encoding", f"{name}; save it as UTF-8")
    if b"\0" in start[:200]:
        raise refuse("wrong_encoding", "NUL characters: UTF-16, or no text at all; save it as UTF-8")


def _place(names: list[str], alias: str, cell: Cell, errors: list[FileError]) -> tuple[int, str]:
    """Return the place of a column, from 1, and its name; 0 when the document does not have it."""
    for name in cell.names:
        count = names.count(name.casefold())
        if count > 1:
            errors.append(FileError(1, name, "duplicate_column", "this column is there twice"))
        if count:
            return names.index(name.casefold()) + 1, name
    if cell.required:
        errors.append(FileError(1, cell.names[0], "missing_column", "the document has no such column"))
    return 0, cell.names[0] if cell.names else alias


def _wrong_rows(stream: BinaryIO, header: Header, layout: Layout) -> list[FileError]:
    """Read the rows again, one by one, and name those of a wrong shape."""
    csv.field_size_limit(MAX_LINE_BYTES)
    pieces = codecs.iterdecode(_chunks(stream, header.begins, header.ends), layout.encoding)
    reader = csv.reader(_lines(pieces), delimiter=layout.delimiter, strict=True)
    errors: list[FileError] = []
    number = 1
    try:
        for row in reader:
            number += 1
            if len(row) != header.width and len(errors) < MAX_ERRORS:
                detail = f"{len(row)} columns of {header.width}"
                errors.append(FileError(number, "", "wrong_column_count", detail))
    except csv.Error as problem:
        errors.append(FileError(number + 1, "", "invalid_csv", f"{problem}; the file may have been cut off"))
    if errors and errors[-1].line == number:
        errors[-1] = FileError(number, "", errors[-1].code, f"{errors[-1].detail}; the file may have been cut off")
    return errors


def _lines(pieces: Iterator[str]) -> Iterator[str]:
    """Cut a text that comes in pieces into lines, each with its end."""
    rest = ""
    for piece in itertools.chain(pieces, [""]):
        rest += piece
        *whole, rest = rest.split("\n")
        for line in whole:
            yield f"{line}\n"
    if rest:
        yield rest
