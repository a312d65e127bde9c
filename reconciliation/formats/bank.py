"""What the statements of banks share, whatever their format: amounts, days, the account, references, and the proofs.

The mappers of camt, MT940 and BAI2 note every error here and go on reading, so that a person sees all of them at once;
nothing is handed over while there is one. It must never mend an amount: what is not written as the format says is an
error.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import BinaryIO, Final

from ledger.money import EXPONENTS
from reconciliation.formats.base import (
    MAX_ERRORS,
    MAX_LINE_BYTES,
    MAX_REFERENCE,
    MAX_TEXT,
    BadFile,
    FileError,
    ParsedLine,
    SourceFacts,
    refuse,
)

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MAX_LINES: Final = 100_000
MAX_STATEMENTS: Final = 1_000
MAX_AMOUNT_DIGITS: Final = 15
MAX_TEXT_LINES: Final = 2_000_000
MAX_KEY_REFERENCE: Final = 100
READ_BYTES: Final = 64 * 1024
# What banks write where there is no reference.
NO_REFERENCE: Final = frozenset({"", "NONREF", "NOTPROVIDED", "NOT PROVIDED", "NONE", "UNKNOWN", "-"})
# Business transaction codes of German banks (GVC) that are neither a plain credit nor a plain debit.
GERMAN_FLOWS: Final = {
    "159": "return", "808": "fee", "809": "fee", "811": "fee", "814": "interest", "815": "interest",
}  # fmt: skip
_AMOUNT: Final = {mark: re.compile(rf"([0-9]{{1,{MAX_AMOUNT_DIGITS}}})(?:{re.escape(mark)}([0-9]*))?") for mark in ".,"}
_ENCODINGS: Final = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_ACCOUNT_MARKS: Final = re.compile(r"[\s/.\-]")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}")
_SPACES: Final = re.compile(r"\s+")


class TooManyErrors(Exception):
    """So many errors that reading on tells nobody anything."""


@dataclass(slots=True)
class Findings:
    """The errors of one file, as they are found."""

    errors: list[FileError] = field(default_factory=list)

    def add(self, line: int | None, column: str, code: str, detail: str) -> None:
        """Note an error. Raises `TooManyErrors` when no more are kept."""
        self.errors.append(FileError(line, column, code, detail))
        if len(self.errors) >= MAX_ERRORS:
            raise TooManyErrors

    def settle(self) -> None:
        """Raise `BadFile` when there was an error."""
        if self.errors:
            raise BadFile(self.errors)


@dataclass(slots=True)
class LimitedReader:
    """A stream that refuses to be longer than a bank's statement ever is."""

    stream: BinaryIO
    limit_bytes: int = MAX_FILE_BYTES
    taken: int = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises `BadFile` beyond the limit."""
        data = self.stream.read(READ_BYTES if size < 0 else min(size, READ_BYTES))
        self.taken += len(data)
        if self.taken > self.limit_bytes:
            raise refuse("too_large", f"a statement of a bank has at most {self.limit_bytes} bytes")
        return data

    def read_all(self) -> bytes:
        """Return everything that is left."""
        parts = []
        while data := self.read():
            parts.append(data)
        return b"".join(parts)


def text_lines(data: bytes) -> list[str]:
    """Return the lines of a text: in the encoding that its byte order mark says, else UTF-8, else Latin-1.

    Raises `BadFile` for what is not text, and beyond the limits.
    """
    mark, encoding = next((known for known in _ENCODINGS if data.startswith(known[0])), (b"", ""))
    data = data[len(mark) :]
    if not encoding and b"\x00" in data:
        raise refuse("nul_character", "the file is not text")
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as problem:
        if encoding:
            raise refuse("wrong_encoding", f"not {encoding}, as its beginning says") from problem
        text = data.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.count("\n") > MAX_TEXT_LINES:
        raise refuse("too_large", f"a file has at most {MAX_TEXT_LINES} lines of text")
    lines = text.split("\n")
    longest = max(range(len(lines)), key=lambda at: len(lines[at]))
    if len(lines[longest]) > MAX_LINE_BYTES:
        raise refuse("line_too_long", f"a line has at most {MAX_LINE_BYTES} characters", line=longest + 1)
    return lines


def minor_units(text: str, currency: str, *, mark: str = ".") -> int | None:
    """Read an unsigned amount of major units as minor units; `None` when it is not one.

    Decimals beyond those of the currency must be zeros.
    """
    match = _AMOUNT[mark].fullmatch(text)
    exponent = EXPONENTS.get(currency)
    if match is None or exponent is None or not text.isascii():
        return None
    decimals = match[2] or ""
    if len(decimals) > MAX_AMOUNT_DIGITS or decimals[exponent:].strip("0"):
        return None
    return int(match[1] + decimals[:exponent].ljust(exponent, "0"))


def account_names(account: str) -> frozenset[str]:
    """Return the ways in which statements write an account: the IBAN, its national part, the national part's halves.

    A currency behind the number is left out. German banks write bank code, slash and a number without leading zeros.
    """
    plain = _ACCOUNT_MARKS.sub("", account).upper()
    names = {plain}
    if plain[-3:] in EXPONENTS and plain[:-3].isalnum() and not plain[:-3].isalpha():
        names.add(plain[:-3])
    for name in tuple(names):
        if _IBAN.fullmatch(name):
            names.add(name[4:])
        if _IBAN.fullmatch(name) and name.startswith("DE") and name[4:].isdigit():
            names.add(name[4:12] + name[12:].lstrip("0"))
    return frozenset(names) - {""}


def same_account(written: str, expected: str) -> bool:
    """Say whether a statement's account is the one that is expected. An account of nothing is no account."""
    return not account_names(written).isdisjoint(account_names(expected))


def reference(text: str | None) -> str:
    """Return a reference without what stands for none."""
    plain = _SPACES.sub(" ", text or "").strip()
    return "" if plain.upper() in NO_REFERENCE else plain[:MAX_REFERENCE]


def words(*texts: str | None) -> str:
    """Return texts as one line, without what is said twice."""
    said: list[str] = []
    for text in texts:
        plain = _SPACES.sub(" ", text or "").strip()
        if plain and plain not in said:
            said.append(plain)
    return " ".join(said)[:MAX_TEXT]


def key_of(booked_on: date, bank_reference: str) -> str:
    """Return the identity of a line by the bank's reference; empty without one.

    With the day, because banks begin their numbers again: the line of another year is another line.
    """
    known = 0 < len(bank_reference) <= MAX_KEY_REFERENCE
    return f"{booked_on:%Y%m%d}:{bank_reference}" if known else ""


def check_account(findings: Findings, written: str, source: SourceFacts, *, line: int | None, column: str) -> None:
    """Note an error when a statement is about another account than the source's."""
    if not written:
        findings.add(line, column, "missing_value", "the statement does not say which account it is about")
    elif not same_account(written, source.account):
        findings.add(line, column, "other_account", f"the statement is about another account: ...{written[-4:]}")


def check_day(findings: Findings, last_day: date | None, source: SourceFacts, *, line: int | None) -> None:
    """Note an error when a statement is of a day that has not come. One day of grace: banks live in other zones."""
    if last_day is not None and last_day > source.today + timedelta(days=1):
        findings.add(line, "", "future_date", f"the statement is of {last_day}")


def check_balances(
    findings: Findings, opening: int, closing: int, lines: list[ParsedLine], *, line: int | None
) -> None:
    """Note an error when opening and entries do not make the closing balance."""
    total = sum(one.gross_minor for one in lines)
    if opening + total != closing:
        detail = f"opening {opening} and entries {total} make {opening + total}, the statement says {closing}"
        findings.add(line, "", "wrong_total", detail)


def first_and_last(lines: list[ParsedLine], *days: date | None) -> tuple[date | None, date | None]:
    """Return the days of a statement: those it names, else those of its entries."""
    known = [day for day in days if day is not None] or [one.booked_on for one in lines]
    return (min(known), max(known)) if known else (None, None)


def guarded[T](read: Callable[[Findings], T]) -> T:
    """Read a file with a place for its errors, and raise `BadFile` with all of them if there was one."""
    findings = Findings()
    try:
        result = read(findings)
    except TooManyErrors:
        raise BadFile(findings.errors) from None
    except BadFile as last:
        raise BadFile([*findings.errors, *last.errors]) from last
    findings.settle()
    return result
