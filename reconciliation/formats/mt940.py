"""Statements in SWIFT MT940.

The grammar of each field is that of the library `mt940`; the fields are cut here, so that every error has its line and
all of them are found at once. A statement may come in pages: messages whose balances are intermediate (60M, 62M) and
must follow one another. Signs: `C` and the reversal of a debit (`RD`) bring money, `D` and the reversal of a credit
(`RC`) take it.

References are cut at 16 characters by the format. Where the text behind an entry has the whole of it, that is used.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import BinaryIO, Final

import mt940

from ledger.money import EXPONENTS
from reconciliation.formats.bank import (
    GERMAN_FLOWS,
    MAX_LINES,
    MAX_STATEMENTS,
    Findings,
    LimitedReader,
    check_account,
    check_balances,
    check_day,
    first_and_last,
    guarded,
    key_of,
    minor_units,
    reference,
    text_lines,
    words,
)
from reconciliation.formats.base import Declared, ParsedLine, Side, SourceFacts, Statement, refuse
from reconciliation.formats.mt940_fields import Field, cut
from reconciliation.formats.mt940_texts import Told, completed, read_text

MAX_ENTRY_CHARACTERS: Final = 500
_FLOWS_OF_TYPES: Final = {"CHG": "fee", "COM": "fee", "INT": "interest", "RTI": "return", "RTN": "return"}
_BALANCE: Final = mt940.tags.FinalOpeningBalance().re
_ENTRY: Final = mt940.tags.Statement().re
# With a reference that is longer than the standard allows, up to the slashes before the bank's.
_ENTRY_WITH_LONG_REFERENCE: Final = mt940.tags.StatementGLS().re
_SUM: Final = mt940.tags.SumCreditEntries().re


@dataclass(slots=True)
class Balance:
    """What stood on the account, and on which day."""

    minor: int
    currency: str
    day: date


@dataclass(slots=True)
class Page:
    """One message: a statement, or a page of it."""

    line: int
    account: str = ""
    number: str = ""
    opening: Balance | None = None
    closing: Balance | None = None
    opens_statement: bool = True
    closes_statement: bool = True
    entries: list[tuple[Field, Field | None]] = field(default_factory=list)
    sums: list[Field] = field(default_factory=list)


class Mt940:
    """Reads MT940, with or without the envelope of SWIFT."""

    name = "mt940"
    side = Side.BANK

    def parse(self, stream: BinaryIO, source: SourceFacts) -> list[Statement]:
        """Return the statements of a file. Raises `BadFile` with all errors."""
        lines = text_lines(LimitedReader(stream).read_all())
        return guarded(lambda findings: _Reading(source, findings).read(lines))


class _Reading:
    """One file on its way."""

    def __init__(self, source: SourceFacts, findings: Findings) -> None:
        self.source = source
        self.findings = findings
        self.count = 0
        self.numbered = 0

    def read(self, lines: Sequence[str]) -> list[Statement]:
        pages = self._pages(lines)
        if not pages:
            raise refuse("no_statement", "the file holds no message that begins with :20:")
        return [self._statement(group) for group in self._groups(pages)]

    def _pages(self, lines: Sequence[str]) -> list[Page]:
        pages: list[Page] = []
        last: Field | None = None
        for one in cut(lines, self.findings):
            if one.tag == "20":
                if len(pages) >= MAX_STATEMENTS:
                    raise refuse(
                        "too_many_statements", f"a file has at most {MAX_STATEMENTS} statements", line=one.line
                    )
                pages.append(Page(one.line))
            elif not pages:
                self.findings.add(one.line, one.tag, "invalid_record", "a statement begins with :20:")
            else:
                self._field(pages[-1], one, last)
            last = one
        return pages

    def _field(self, page: Page, one: Field, last: Field | None) -> None:
        match one.tag:
            case "25" | "25P":
                page.account = one.text.split("\n")[0].strip()[:64]
            case "28" | "28C":
                page.number = one.text.strip()[:20]
            case "60F" | "60M":
                page.opening, page.opens_statement = self._balance(one), one.tag == "60F"
            case "62F" | "62M":
                page.closing, page.closes_statement = self._balance(one), one.tag == "62F"
            case "61":
                self.count += 1
                if self.count > MAX_LINES:
                    raise refuse("too_large", f"a statement of a bank has at most {MAX_LINES} lines", line=one.line)
                page.entries.append((one, None))
            case "86" if last is not None and last.tag == "61" and page.entries:
                page.entries[-1] = (page.entries[-1][0], one)
            case "90C" | "90D":
                page.sums.append(one)
            case _:
                pass  # the balances ahead (64, 65), the floor (34F), the text of the statement (86)

    def _balance(self, one: Field) -> Balance | None:
        text = one.text.rstrip()
        match = _BALANCE.match(text)
        if match is None or match.end() != len(text):
            self.findings.add(one.line, one.tag, "invalid_record", f"{text[:30]!r} is no balance")
            return None
        currency = match["currency"].upper()
        day = self._day(one, match["year"], match["month"], match["day"])
        amount = self._amount(one, match["amount"], currency)
        if day is None or amount is None:
            return None
        return Balance(amount if match["status"].upper() == "C" else -amount, currency, day)

    def _groups(self, pages: list[Page]) -> Iterator[list[Page]]:
        """Put the pages of a statement together. A page that follows none, or that none follows, stands alone."""
        group: list[Page] = []
        for page in pages:
            if group and not group[-1].closes_statement and not page.opens_statement:
                before, after = group[-1].closing, page.opening
                if before is not None and after is not None and before.minor != after.minor:
                    detail = "the page does not begin with the balance that the page before it ends with"
                    self.findings.add(page.line, "60M", "wrong_total", detail)
                group.append(page)
                continue
            if group:
                yield group
            group = [page]
        yield group

    def _statement(self, pages: list[Page]) -> Statement:
        """Prove a statement, of one page or several, by what it says about itself."""
        first, last = pages[0], pages[-1]
        for page in pages:
            check_account(self.findings, page.account, self.source, line=page.line, column="25")
        opening, closing = first.opening, last.closing
        if opening is None or closing is None:
            detail = "a statement has an opening balance (60F or 60M) and a closing one (62F or 62M)"
            self.findings.add(first.line, "", "missing_value", detail)
        known = closing or opening
        currency = known.currency if known else ""
        if opening is not None and closing is not None and opening.currency != closing.currency:
            self.findings.add(last.line, "62F", "invalid_currency", f"{opening.currency} becomes {closing.currency}")
        found = [line for page in pages for entry in page.entries if (line := self._line(entry, currency)) is not None]
        lines = [replace(line, number=self.numbered + at) for at, line in enumerate(found, start=1)]
        self.numbered += len(lines)
        days = (closing.day,) if closing else ()
        first_day, last_day = first_and_last(lines, *days, *(line.booked_on for line in lines))
        check_day(self.findings, last_day, self.source, line=first.line)
        if opening is not None and closing is not None:
            check_balances(self.findings, opening.minor, closing.minor, lines, line=first.line)
        self._check_sums(pages, lines, currency)
        balances = Declared(opening=opening.minor if opening else None, closing=closing.minor if closing else None)
        identity = f"mt940:{first.number}:{first.account}:{closing.day if closing else ''}"
        return Statement(identity, first_day, last_day, {currency: balances} if currency else {}, lines)

    def _check_sums(self, pages: list[Page], lines: list[ParsedLine], currency: str) -> None:
        """Compare number and sum of debits and credits (90D, 90C) with the entries."""
        for one in (one for page in pages for one in page.sums):
            match = _SUM.match(one.text)
            amount = self._amount(one, match["amount"], currency) if match else None
            if match is None or amount is None:
                self.findings.add(one.line, one.tag, "invalid_amount", f"{one.text[:30]!r} is no sum")
                continue
            sign = 1 if one.tag == "90C" else -1
            chosen = [sign * line.gross_minor for line in lines if sign * line.gross_minor > 0]
            if sum(chosen) != amount or match["number"].lstrip("0") != (str(len(chosen)) if chosen else ""):
                detail = f"{one.text[:30]!r} is declared, the entries are {len(chosen)} and make {sum(chosen)}"
                self.findings.add(one.line, one.tag, "wrong_total", detail)

    def _line(self, entry: tuple[Field, Field | None], currency: str) -> ParsedLine | None:
        """Turn one field 61, and the field 86 behind it, into a line; an error is noted."""
        one, details = entry
        text = one.text.rstrip()
        match = _ENTRY.match(text) if len(text) <= MAX_ENTRY_CHARACTERS else None
        if match is None or match["id"] is None:  # the type is what ends the amount
            self.findings.add(one.line, "61", "invalid_record", f"{text[:30]!r} is no entry")
            return None
        if match["bank_reference"] is None and "//" in text.split("\n")[0]:
            match = _ENTRY_WITH_LONG_REFERENCE.match(text) or match
        value = self._day(one, match["year"], match["month"], match["day"])
        amount = self._amount(one, match["amount"], currency)
        if value is None or amount is None:
            return None
        booked_on = self._booked_on(one, match["entry_month"], match["entry_day"], value)
        mark = match["status"].upper()
        gross_minor = amount if mark in ("C", "RD") else -amount
        told = read_text(details.text) if details else Told()
        bank_reference = reference(match["bank_reference"])
        word = (match["id"] or "").strip().upper()
        return ParsedLine(
            number=1,
            key=key_of(booked_on, bank_reference),
            flow=_flow(told, word, gross_minor),
            category=_category(told, word, reversal=mark in ("RC", "RD")),
            currency=currency,
            gross_minor=gross_minor,
            booked_on=booked_on,
            available_on=value,
            reference=bank_reference,
            batch=told.batch,
            own_reference=_own_reference(told, match["customer_reference"] or "", details.text if details else ""),
            counterparty=told.counterparty,
            text=words(told.text, match["extra_details"]),
        )

    def _booked_on(self, one: Field, month: str | None, day: str | None, value: date) -> date:
        """Return the entry date: month and day, of the year in which they are nearest to the value date."""
        if not (month or "").strip() or not (day or "").strip():
            return value
        days = []
        for year in (value.year - 1, value.year, value.year + 1):
            try:
                days.append(date(year, int(month or ""), int(day or "")))
            except ValueError:
                continue
        if not days:
            self.findings.add(one.line, one.tag, "invalid_time", f"{month}{day} is no day of a year")
            return value
        return min(days, key=lambda known: abs(known - value))

    def _day(self, one: Field, year: str, month: str, day: str) -> date | None:
        """Read a day. The thirtieth of February, to which banks that count 30 days a month date values, is its last."""
        try:
            whole, month_number, day_number = 2000 + int(year), int(month), int(day)
            if month_number == 2 and day_number in (29, 30):
                day_number = monthrange(whole, month_number)[1]
            return date(whole, month_number, day_number)
        except ValueError:
            self.findings.add(one.line, one.tag, "invalid_time", f"{year}{month}{day} is no day")
            return None

    def _amount(self, one: Field, text: str, currency: str) -> int | None:
        if currency not in EXPONENTS:
            self.findings.add(one.line, one.tag, "invalid_currency", f"{currency!r} is no currency")
            return None
        amount = minor_units(text, currency, mark=",")
        if amount is None:
            self.findings.add(one.line, one.tag, "invalid_amount", f"{text[:30]!r} is no amount in {currency}")
        return amount


def _flow(told: Told, word: str, gross_minor: int) -> str:
    flow = GERMAN_FLOWS.get(told.german_code) or _FLOWS_OF_TYPES.get(word[1:], "")
    if gross_minor > 0 and (told.reason or flow == "return"):
        return "return"
    if flow in ("fee", "interest"):
        return flow
    return "credit" if gross_minor > 0 else "debit"


def _category(told: Told, word: str, *, reversal: bool) -> str:
    """Return the type of the entry; behind a colon the reason of a return, or `RVSL` of a reversal."""
    said = "-".join(part for part in (word, told.german_code) if part) or "entry"
    mark = told.reason or ("RVSL" if reversal else "")
    return f"{said}:{mark}" if mark else said


def _own_reference(told: Told, customer_reference: str, text: str) -> str:
    """Return our end-to-end id: as the text says it, else the entry's reference, which may be cut off."""
    if told.end_to_end:
        return told.end_to_end
    known = reference(completed(customer_reference.strip(), text))
    return "" if known and told.batch.startswith(known) else known
