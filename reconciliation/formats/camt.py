"""Statements in ISO 20022: camt.053, and the entries of camt.052 (report of the day) and camt.054 (notifications).

Read as a stream: an element is forgotten when it was read, so memory does not grow with the file. The parser loads no
document type, expands no entity and knows no network. Names are local names: every version of the standard has a
namespace of its own, and they differ in little that matters here.

The sign is that of `CdtDbtInd`. `RvslInd` does not turn it: ISO 20022 says that a reversal carries the direction in
which it moves the balance. Only booked entries (`BOOK`) are handed over; a pending one comes again, often under another
id and day, and is only counted where the statement declares a count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, BinaryIO, Final

from lxml import etree

from ledger.money import EXPONENTS
from reconciliation.formats.bank import (
    MAX_LINES,
    MAX_STATEMENTS,
    Findings,
    LimitedReader,
    check_account,
    check_balances,
    check_day,
    first_and_last,
    guarded,
    minor_units,
)
from reconciliation.formats.base import Declared, ParsedLine, Side, SourceFacts, Statement, refuse
from reconciliation.formats.camt_entries import SIGNS, TRUE, Detail, Entry, Part

DOCUMENTS: Final = frozenset({"BkToCstmrStmt", "BkToCstmrAcctRpt", "BkToCstmrDbtCdtNtfctn"})
STATEMENTS: Final = {"Stmt": "camt.053", "Rpt": "camt.052", "Ntfctn": "camt.054"}
STATUSES: Final = frozenset({"BOOK", "PDNG", "INFO", "FUTR"})
# Of one child of a statement, and of one transaction of an entry.
MAX_ELEMENTS: Final = 5_000
MAX_ELEMENTS_OUTSIDE: Final = 10_000
MAX_ELEMENTS_IN_ALL: Final = 4_000_000
OPENING: Final = ("OPBD", "PRCD", "ITBD")
CLOSING: Final = ("CLBD", "ITBD")


type Counted = dict[int, list[int]]


@dataclass(slots=True)
class Draft:
    """A statement while it is read."""

    kind: str
    line: int
    identity: str = ""
    account: str = ""
    currency: str = ""
    days: tuple[date | None, date | None] = (None, None)
    balances: dict[str, list[tuple[int, date | None]]] = field(default_factory=dict)
    summary: Part | None = None
    lines: list[ParsedLine] = field(default_factory=list)
    # How many entries and how much, by sign: of all of them, and of those that are booked.
    counted: Counted = field(default_factory=lambda: {1: [0, 0], -1: [0, 0]})
    booked: Counted = field(default_factory=lambda: {1: [0, 0], -1: [0, 0]})

    def balance(self, names: tuple[str, ...], place: int) -> int | None:
        """Return the first of the named balances that there is; `place` is which of several pages' it is."""
        return next((self.balances[name][place][0] for name in names if name in self.balances), None)

    def closing_day(self) -> date | None:
        """Return the day of the closing balance."""
        return next((day for name in CLOSING for _, day in reversed(self.balances.get(name, [])) if day), None)


class Camt:
    """Reads camt.053, .052 and .054 in any version."""

    name = "camt053"
    side = Side.BANK

    def parse(self, stream: BinaryIO, source: SourceFacts) -> list[Statement]:
        """Return the statements of a document. Raises `BadFile` with all errors."""
        return guarded(lambda findings: _Reading(source, findings).read(stream))


class _Reading:
    """One document on its way."""

    def __init__(self, source: SourceFacts, findings: Findings) -> None:
        self.source = source
        self.findings = findings
        self.drafts: list[Draft] = []
        self.details: list[Detail] = []
        self.count = 0
        self.depth = 0
        self.begin = 0  # the depth of the message that holds the statements
        self.inside = False  # a statement, not the header of the message
        self.kept: list[Part] = []  # from the child of a statement down to the current element
        self.elements = self.outside = self.read_elements = 0

    def read(self, stream: BinaryIO) -> list[Statement]:
        events = etree.iterparse(
            LimitedReader(stream), events=("start", "end"), resolve_entities=False, no_network=True, huge_tree=False,
            load_dtd=False, dtd_validation=False, attribute_defaults=False, remove_comments=True, remove_pis=True,
            recover=False,
        )  # fmt: skip
        try:
            self._walk(events)
        except etree.XMLSyntaxError as problem:
            raise refuse("not_xml", str(problem.msg), line=problem.lineno) from problem
        if not self.drafts:
            raise refuse("no_statement", "the document holds no camt.053, camt.052 or camt.054 statement")
        return [self._statement(draft) for draft in self.drafts]

    def _walk(self, events: Any) -> None:
        """Follow the elements; hand every child of a statement on when it ends, and forget it."""
        for event, element in events:
            if event == "start":
                self.depth += 1
                self._start(element, _local(element), int(element.sourceline or 0))
                continue
            self.depth -= 1
            if self.kept:
                part = self.kept.pop()
                part.text, part.currency = (element.text or "").strip(), element.get("Ccy", "")
                if self._end(part, self.kept):
                    self.elements = 0
            elif self.depth < self.begin:
                self.begin = 0
            _forget(element)

    def _start(self, element: Any, name: str, line: int) -> None:
        self.read_elements += 1
        if self.depth == 1:
            _refuse_document_type(element)
        if not self.begin and name in DOCUMENTS:
            self.begin = self.depth
        elif self.begin and self.depth == self.begin + 1:
            self.inside = name in STATEMENTS
            if self.inside:
                self._begin(name, line)
        elif self.begin and self.inside:
            self.elements += 1
            self.kept.append(Part(name, line))
        else:
            self.outside += 1
        if self.elements > MAX_ELEMENTS:
            raise refuse("too_large", f"more than {MAX_ELEMENTS} elements in one entry", line=line)
        if self.read_elements > MAX_ELEMENTS_IN_ALL or self.outside > MAX_ELEMENTS_OUTSIDE:
            raise refuse("too_large", "the document has more elements than any bank's", line=line)

    def _end(self, part: Part, kept: list[Part]) -> bool:
        """Put an element that ended where it belongs; say whether it was handed on as a whole."""
        if part.name == "TxDtls" and [one.name for one in kept] == ["Ntry", "NtryDtls"]:
            if len(self.details) >= MAX_LINES:
                raise refuse("too_large", f"a statement of a bank has at most {MAX_LINES} lines", line=part.line)
            self.details.append(Detail.of(part))
            return True
        if kept:
            kept[-1].parts.append(part)
            return False
        self._child(part)
        return True

    def _begin(self, name: str, line: int) -> None:
        if len(self.drafts) >= MAX_STATEMENTS:
            raise refuse("too_many_statements", f"a file has at most {MAX_STATEMENTS} statements", line=line)
        self.drafts.append(Draft(STATEMENTS[name], line))

    def _child(self, part: Part) -> None:
        draft = self.drafts[-1]
        match part.name:
            case "Id":
                draft.identity = part.text[:100]
            case "Acct":
                draft.account = part.say("Id/IBAN", "Id/Othr/Id")[:64]
                draft.currency = part.say("Ccy").upper()
                check_account(self.findings, draft.account, self.source, line=part.line, column="Acct")
            case "FrToDt":
                start, end = part.say("FrDtTm", "FrDt"), part.say("ToDtTm", "ToDt")
                draft.days = (self._day(start, part.line, "FrToDt"), self._day(end, part.line, "FrToDt"))
            case "Bal":
                self._balance(draft, part)
            case "TxsSummry":
                draft.summary = part
            case "Ntry":
                self._entry(draft, part)

    def _balance(self, draft: Draft, part: Part) -> None:
        amount = self._amount(draft, part, "Bal")
        day = self._day(part.say("Dt/Dt", "Dt/DtTm", "Dt"), part.line, "Bal/Dt")
        if amount is not None:
            draft.balances.setdefault(part.say("Tp/CdOrPrtry/Cd"), []).append((amount, day))

    def _entry(self, draft: Draft, part: Part) -> None:
        """Turn one booked entry into its lines."""
        details, self.details = self.details, []
        amount = self._amount(draft, part, "Ntry")
        status = part.say("Sts/Cd", "Sts/Prtry", "Sts")
        if status not in STATUSES:
            self.findings.add(part.line, "Ntry/Sts", "unknown_status", f"{status[:20]!r} is no status of an entry")
        if amount is None:
            return
        for counted in (draft.counted, draft.booked) if status == "BOOK" else (draft.counted,):
            of_sign = counted[SIGNS[part.say("CdtDbtInd")]]
            of_sign[0] += 1
            of_sign[1] += abs(amount)
        booked = part.say("BookgDt/Dt", "BookgDt/DtTm")
        value = self._day(part.say("ValDt/Dt", "ValDt/DtTm"), part.line, "Ntry/ValDt")
        booked_on = self._day(booked, part.line, "Ntry/BookgDt") or value or draft.days[1] or draft.closing_day()
        if status != "BOOK":
            return
        if booked_on is None:
            self.findings.add(part.line, "Ntry/BookgDt", "missing_value", "the entry has no day")
            return
        entry = Entry(
            findings=self.findings, line=part.line, currency=draft.currency, amount=amount, booked_on=booked_on,
            value=value, moment=_moment(booked), reversal=part.say("RvslInd") in TRUE, own=Detail.of(part),
            details=details,
        )  # fmt: skip
        lines = entry.lines(self.count + 1)
        self.count += len(lines)
        if self.count > MAX_LINES:
            raise refuse("too_large", f"a statement of a bank has at most {MAX_LINES} lines", line=part.line)
        draft.lines.extend(lines)

    def _statement(self, draft: Draft) -> Statement:
        """Prove a statement by what it says about itself."""
        # The closing balance says the day; the end of the period may be the beginning of the day after.
        begins = draft.days[0] or min((line.booked_on for line in draft.lines), default=None)
        first_day, last_day = first_and_last(draft.lines, begins, draft.closing_day() or draft.days[1])
        check_day(self.findings, last_day, self.source, line=draft.line)
        if not draft.account:
            check_account(self.findings, "", self.source, line=draft.line, column="Acct")
        opening, closing = draft.balance(OPENING, 0), draft.balance(CLOSING, -1)
        if draft.kind != "camt.053":
            opening = closing = None  # of a part of a day: no balance is proven by it
        elif opening is None or closing is None:
            detail = "a statement has an opening and a closing booked balance (OPBD or PRCD, CLBD)"
            self.findings.add(draft.line, "Bal", "missing_value", detail)
        else:
            check_balances(self.findings, opening, closing, draft.lines, line=draft.line)
        if draft.summary is not None:
            # Banks differ in whether a summary counts what is not booked yet; either must hold as a whole.
            wrong = _wrong_totals(draft.summary, draft.booked, draft.currency)
            if (
                wrong
                and draft.counted != draft.booked
                and not _wrong_totals(draft.summary, draft.counted, draft.currency)
            ):
                wrong = []
            for line, column, detail in wrong:
                self.findings.add(line, f"TxsSummry/{column}", "wrong_total", detail)
        identity = f"{draft.kind}:{draft.identity}:{draft.account}:{first_day or ''}:{last_day or ''}"
        declared = {draft.currency: Declared(opening=opening, closing=closing)} if draft.currency else {}
        return Statement(identity, first_day, last_day, declared, draft.lines)

    def _amount(self, draft: Draft, part: Part, column: str) -> int | None:
        """Read the amount of a balance or an entry, signed, in the account's currency."""
        said, direction = part.find("Amt"), part.say("CdtDbtInd")
        if direction not in SIGNS:
            self.findings.add(part.line, f"{column}/CdtDbtInd", "invalid_sign", f"{direction[:10]!r}: CRDT or DBIT")
        if said is None:
            self.findings.add(part.line, f"{column}/Amt", "missing_value", "there is no amount")
            return None
        currency = said.currency.upper()
        draft.currency = draft.currency or currency
        if currency not in EXPONENTS or currency != draft.currency:
            detail = f"{currency[:10]!r} on an account in {draft.currency[:10]!r}"
            self.findings.add(said.line, f"{column}/Amt", "invalid_currency", detail)
            return None
        amount = minor_units(said.text, currency)
        if amount is None:
            detail = f"{said.text[:30]!r} is no amount in {currency}"
            self.findings.add(said.line, f"{column}/Amt", "invalid_amount", detail)
        return None if amount is None or direction not in SIGNS else SIGNS[direction] * amount

    def _day(self, text: str, line: int, column: str) -> date | None:
        if not text:
            return None
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            self.findings.add(line, column, "invalid_time", f"{text[:30]!r} is no day")
            return None


def _wrong_totals(summary: Part, counted: Counted, currency: str) -> list[tuple[int, str, str]]:
    """Compare the control totals with entries; return line, place and difference of those that are wrong."""
    plus, minus, wrong = counted[1], counted[-1], []
    both = [plus[0] + minus[0], plus[1] + minus[1]]
    for name, (number, total) in (("TtlNtries", both), ("TtlCdtNtries", plus), ("TtlDbtNtries", minus)):
        part = summary.find(name)
        if part is None:
            continue
        said = part.say("NbOfNtries")
        if said and said.lstrip("0") != (str(number) if number else ""):
            wrong.append((part.line, f"{name}/NbOfNtries", f"{said[:18]} entries are declared, {number} are there"))
        said = part.say("Sum")
        if said and minor_units(said, currency) != total:
            wrong.append((part.line, f"{name}/Sum", f"a sum of {said[:30]} is declared, the entries make {total}"))
    # The net stands in an element of its own since version 4.
    net = summary.find("TtlNtries/TtlNetNtry") or summary.find("TtlNtries")
    said = net.say("Amt", "TtlNetNtryAmt") if net else ""
    if net and said:
        declared = minor_units(said, currency)
        if declared is None or declared * SIGNS.get(net.say("CdtDbtInd"), 1) != plus[1] - minus[1]:
            detail = f"a net of {said[:30]} is declared, the entries make {plus[1] - minus[1]}"
            wrong.append((net.line, "TtlNtries/TtlNetNtry", detail))
    return wrong


def _local(element: Any) -> str:
    """Return an element's name without its namespace."""
    name = element.tag
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _forget(element: Any) -> None:
    """Take an element that was read, and everything before it, out of the tree."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _refuse_document_type(root: Any) -> None:
    """Refuse a document type before anything in it could be used: no statement has one, and bombs need it."""
    if root.getroottree().docinfo.doctype:
        raise refuse("document_type", "the document has a document type; a statement has none", line=1)


def _moment(text: str) -> datetime | None:
    """Read a moment that says its offset; without one it is only a day."""
    try:
        moment = datetime.fromisoformat(text) if len(text) > 10 else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
