"""Statements in BAI2, as banks in North America send them.

A small reader of our own. The library of that name stops at the first type code it does not know and at the first
error, and says itself that it is not for production; here every error is found at once, and a control total that does
not add up refuses the file.

Amounts are whole numbers of minor units of the account's currency; the direction is in the type code. Only final
statements are read: deletions, tests and interim reports are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO, Final

from ledger.money import EXPONENTS
from reconciliation.formats.bai2_records import Record, records
from reconciliation.formats.bank import (
    MAX_STATEMENTS,
    Findings,
    LimitedReader,
    check_account,
    check_balances,
    check_day,
    guarded,
    key_of,
    reference,
    words,
)
from reconciliation.formats.base import Declared, ParsedLine, Side, SourceFacts, Statement, refuse

OPENING: Final = "010"
CLOSING: Final = "015"
WITHOUT_MONEY: Final = "890"
CREDITS: Final = (range(100, 400), range(920, 960))
DEBITS: Final = (range(400, 700), range(960, 1000))
FLOWS: Final = {
    **dict.fromkeys(("257", "266", "268", "123"), "return"),
    **dict.fromkeys(("398", "564", "567", "661", "698"), "fee"),
    **dict.fromkeys(("354", "359", "346", "654", "659"), "interest"),
}
REVERSALS: Final = frozenset({"252", "258", "395", "552", "558", "694"})
UPDATE, CORRECTION = "1", "3"
FINAL_MODIFIERS: Final = frozenset({"", "2", "4"})


@dataclass(slots=True)
class Account:
    """An account of a group while it is read."""

    record: Record
    number: str
    currency: str
    balances: dict[str, int] = field(default_factory=dict)
    total: int = 0
    lines: list[ParsedLine] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """A group while it is read: the accounts of one day."""

    record: Record
    day: date | None
    currency: str
    total: int = 0
    accounts: int = 0


class Bai2:
    """Reads BAI2, version 2."""

    name = "bai2"
    side = Side.BANK

    def parse(self, stream: BinaryIO, source: SourceFacts) -> list[Statement]:
        """Return the statements of a file, one for each account and day. Raises `BadFile` with all errors."""
        data = LimitedReader(stream).read_all()
        return guarded(lambda findings: _Reading(source, findings).read(data))


class _Reading:
    """One file on its way. The records form a tree: 01 (02 (03 16* 49)* 98)* 99."""

    def __init__(self, source: SourceFacts, findings: Findings) -> None:
        self.source = source
        self.findings = findings
        self.file: Record | None = None
        self.group: Group | None = None
        self.account: Account | None = None
        self.total = 0
        self.groups = 0
        self.count = 0
        self.ended = False
        self.statements: list[Statement] = []

    def read(self, data: bytes) -> list[Statement]:
        last: Record | None = None
        for last in records(data, self.findings):
            self._record(last)
        if last is None:
            raise refuse("no_statement", "the file is empty")
        if not self.ended:
            self.findings.add(last.line, "99", "cut_off", "the file does not end with its trailer (99)")
        if self.file is not None and not self.statements and not self.findings.errors:
            raise refuse("no_statement", "the file holds no account")
        return self.statements

    def _record(self, one: Record) -> None:
        if self.ended:
            self._wrong_place(one, "the file has ended")
            return
        match one.code:
            case "01":
                self._file(one)
            case "02":
                self._group(one)
            case "03":
                self._account(one)
            case "16":
                self._entry(one)
            case "49":
                self._end_account(one)
            case "98":
                self._end_group(one)
            case "99":
                self._end_file(one)
            case _:
                self.findings.add(one.line, "", "invalid_record", f"{one.code[:10]!r} is no record of BAI2")

    def _wrong_place(self, one: Record, why: str) -> None:
        self.findings.add(one.line, one.code, "invalid_record", f"record {one.code}: {why}")

    def _file(self, one: Record) -> None:
        if self.file is not None:
            self._wrong_place(one, "the file has begun")
        self.file = one
        if one.field(7) not in ("2", ""):
            self.findings.add(one.line, "01", "invalid_record", f"version {one.field(7)[:10]!r} is not read")

    def _group(self, one: Record) -> None:
        if self.file is None or self.group is not None:
            self._wrong_place(one, "the group before it has not ended" if self.group else "the file has not begun")
        if one.field(2) not in (UPDATE, CORRECTION):
            detail = f"status {one.field(2)[:10]!r}: only updates (1) and corrections (3) are read"
            self.findings.add(one.line, "02", "unknown_status", detail)
        if one.field(6) not in FINAL_MODIFIERS:
            detail = f"modifier {one.field(6)[:10]!r}: only final statements (2, 4) are read"
            self.findings.add(one.line, "02", "unknown_status", detail)
        day = one.day(3)
        if day is None:
            self.findings.add(one.line, "02", "invalid_time", f"{one.field(3)[:10]!r} is no day")
        check_day(self.findings, day, self.source, line=one.line)
        self.group = Group(one, day, one.field(5).upper() or "USD")

    def _account(self, one: Record) -> None:
        if self.group is None or self.account is not None:
            self._wrong_place(one, "the account before it has not ended" if self.account else "no group has begun")
            if self.group is None:
                return
        if len(self.statements) >= MAX_STATEMENTS:
            raise refuse("too_many_statements", f"a file has at most {MAX_STATEMENTS} statements", line=one.line)
        currency = one.field(1).upper() or self.group.currency
        self.account = account = Account(one, one.field(0), currency)
        check_account(self.findings, account.number[:64], self.source, line=one.line, column="03")
        if currency not in EXPONENTS:
            self.findings.add(one.line, "03", "invalid_currency", f"{currency[:10]!r} is no currency")
        at = 2
        while at < len(one.fields):
            if not one.field(at):  # some banks end the list, or every line of it, with a comma
                at += 1
                continue
            code, amount = one.field(at), one.amount(at + 1) if one.field(at + 1) else 0
            if amount is None or not (len(code) == 3 and code.isascii() and code.isdigit()):
                detail = f"{code[:10]!r}, {one.field(at + 1)[:30]!r} is no balance"
                self.findings.add(one.line, "03", "invalid_amount", detail)
                return
            account.balances[code] = amount
            account.total += amount
            taken = one.availability(at + 3)
            if taken is None:
                self.findings.add(one.line, "03", "invalid_record", f"{one.field(at + 3)[:10]!r} is no funds type")
                return
            at += 4 + taken

    def _entry(self, one: Record) -> None:
        account, group = self.account, self.group
        if account is None or group is None:
            self._wrong_place(one, "no account has begun")
            return
        code, amount = one.field(0), one.amount(1) if one.field(1) else 0
        if amount is None:
            self.findings.add(one.line, "16", "invalid_amount", f"{one.field(1)[:30]!r} is no amount")
            return
        account.total += amount
        sign = _sign(code)
        if code == WITHOUT_MONEY and amount == 0:
            return
        if sign == 0 or amount < 0:
            detail = f"type {code[:10]!r} with {amount}: neither a credit nor a debit"
            self.findings.add(one.line, "16", "unknown_type", detail)
            return
        taken = one.availability(2)
        if taken is None:
            self.findings.add(one.line, "16", "invalid_record", f"{one.field(2)[:10]!r} is no funds type")
            return
        if group.day is None:
            return
        at = 3 + taken
        bank_reference = reference(one.field(at))
        flow = FLOWS.get(code, "credit" if sign > 0 else "debit")
        self.count += 1
        account.lines.append(
            ParsedLine(
                number=self.count,
                key=key_of(group.day, bank_reference),
                flow=flow,
                category=f"{code}:RVSL" if code in REVERSALS else code,
                currency=account.currency,
                gross_minor=sign * amount,
                booked_on=group.day,
                available_on=one.day(3) if one.field(2) == "V" else None,
                reference=bank_reference,
                own_reference=reference(one.field(at + 1)),
                text=words(",".join(one.fields[at + 2 :]).strip(", ")),
            )
        )

    def _end_account(self, one: Record) -> None:
        account, group = self.account, self.group
        if account is None or group is None:
            self._wrong_place(one, "no account has begun")
            return
        self._control(one, 0, account.total, "of the amounts of the account")
        self._control(one, 1, one.position - account.record.position + one.size, "of the records of the account")
        group.total += account.total
        group.accounts += 1
        opening, closing = account.balances.get(OPENING), account.balances.get(CLOSING)
        if opening is None or closing is None:
            detail = "an account has its opening (010) and closing (015) ledger balance"
            self.findings.add(account.record.line, "03", "missing_value", detail)
        else:
            check_balances(self.findings, opening, closing, account.lines, line=account.record.line)
        declared = {account.currency: Declared(opening=opening, closing=closing)}
        identity = f"bai2:{account.number[:64]}:{group.day or ''}"
        self.statements.append(Statement(identity, group.day, group.day, declared, account.lines))
        self.account = None

    def _end_group(self, one: Record) -> None:
        group = self.group
        if group is None or self.account is not None:
            self._wrong_place(one, "the account before it has not ended" if self.account else "no group has begun")
            self.account = None
            if group is None:
                return
        self._control(one, 0, group.total, "of the accounts of the group")
        self._control(one, 1, group.accounts, "of accounts")
        self._control(one, 2, one.position - group.record.position + one.size, "of the records of the group")
        self.total += group.total
        self.groups += 1
        self.group = None

    def _end_file(self, one: Record) -> None:
        if self.file is None or self.group is not None:
            self._wrong_place(one, "the group before it has not ended" if self.group else "the file has not begun")
        self._control(one, 0, self.total, "of the groups of the file")
        self._control(one, 1, self.groups, "of groups")
        self._control(one, 2, one.position + one.size - 1, "of the records of the file")
        self.ended = True

    def _control(self, one: Record, at: int, found: int, what: str) -> None:
        said = one.amount(at)
        if said != found:
            detail = f"{one.field(at)[:30]!r} is declared, the total {what} is {found}"
            self.findings.add(one.line, one.code, "wrong_total", detail)


def _sign(code: str) -> int:
    """Return the direction of a type code; 0 when it has none that is known."""
    number = int(code) if len(code) == 3 and code.isascii() and code.isdigit() else 0
    if any(number in codes for codes in CREDITS):
        return 1
    return -1 if any(number in codes for codes in DEBITS) else 0
