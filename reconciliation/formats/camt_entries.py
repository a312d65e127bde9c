"""Entries of a camt statement: what one of them says, and the lines that it is.

An entry with several transactions is several lines, so that each can be matched by its own reference; a batch whose
transactions are not told is one line that names the batch. Charges that the bank took out of an amount are a line of
their own, so that the line beside it has the amount that was sent. It must never split an entry into lines that do not
make its amount.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from reconciliation.formats.bank import GERMAN_FLOWS, Findings, key_of, minor_units, reference, words
from reconciliation.formats.base import ParsedLine

SIGNS: Final = {"CRDT": 1, "DBIT": -1}
TRUE: Final = frozenset({"true", "1"})
# Sub-families of bank transaction codes (the external code set of ISO 20022), in whatever domain they stand.
CHARGES: Final = frozenset({"CHRG", "FEES", "COMM", "COME", "COMI", "COMT", "TAXE"})
INTEREST: Final = frozenset({"INTR"})
RETURNS: Final = frozenset({"RRTN", "RPCR"})


@dataclass(slots=True)
class Part:
    """An element in our own form: local name, text, attribute `Ccy`, children. The XML behind it is forgotten."""

    name: str
    line: int
    text: str = ""
    currency: str = ""
    parts: list[Part] = field(default_factory=list)

    def all(self, path: str) -> Iterator[Part]:
        """Give all elements at a path of local names."""
        name, _, rest = path.partition("/")
        for part in self.parts:
            if part.name == name:
                if rest:
                    yield from part.all(rest)
                else:
                    yield part

    def find(self, path: str) -> Part | None:
        """Return the first element at a path."""
        return next(self.all(path), None)

    def say(self, *paths: str) -> str:
        """Return the text of the first of the paths that has one."""
        return next((part.text for path in paths for part in self.all(path) if part.text), "")


@dataclass(slots=True)
class Detail:
    """What is kept of one transaction of an entry, as it is written."""

    sign: str = ""
    amounts: tuple[tuple[str, str], ...] = ()  # amount and currency, the most particular first
    instructed: tuple[str, str] = ("", "")
    charges: tuple[tuple[str, str, str, str], ...] = ()  # amount, currency, direction, whether it is inside the amount
    code: tuple[str, str, str] = ("", "", "")
    own_code: str = ""
    bank_reference: str = ""
    end_to_end: str = ""
    batch: str = ""
    debtor: str = ""
    creditor: str = ""
    returned: bool = False
    reason: str = ""
    text: str = ""

    @classmethod
    def of(cls, part: Part) -> Detail:
        """Keep what we need of a transaction, or of an entry that has none."""
        found = [part.find(path) for path in ("Amt", "AmtDtls/TxAmt/Amt")]
        instructed = part.find("AmtDtls/InstdAmt/Amt")
        return cls(
            sign=part.say("CdtDbtInd"),
            amounts=tuple((one.text, one.currency.upper()) for one in found if one is not None),
            instructed=(instructed.text, instructed.currency.upper()) if instructed else ("", ""),
            charges=tuple(_charges(part)),
            code=(part.say("BkTxCd/Domn/Cd"), part.say("BkTxCd/Domn/Fmly/Cd"), part.say("BkTxCd/Domn/Fmly/SubFmlyCd")),
            own_code=part.say("BkTxCd/Prtry/Cd"),
            bank_reference=reference(part.say("Refs/AcctSvcrRef", "AcctSvcrRef", "NtryRef")),
            end_to_end=reference(part.say("Refs/EndToEndId")),
            batch=reference(part.say("Refs/PmtInfId", "NtryDtls/Btch/PmtInfId", "NtryDtls/Btch/MsgId")),
            debtor=part.say("RltdPties/DbtrAcct/Id/IBAN", "RltdPties/DbtrAcct/Id/Othr/Id")[:64],
            creditor=part.say("RltdPties/CdtrAcct/Id/IBAN", "RltdPties/CdtrAcct/Id/Othr/Id")[:64],
            returned=part.find("RtrInf") is not None,
            reason=part.say("RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry"),
            text=words(
                *(one.text for one in part.all("RmtInf/Ustrd")),
                *(one.text for one in part.all("RmtInf/Strd/CdtrRefInf/Ref")),
                *(part.say(path) for path in ("AddtlTxInf", "RtrInf/AddtlInf", "AddtlNtryInf")),
            ),
        )


def _charges(part: Part) -> Iterator[tuple[str, str, str, str]]:
    for charge in (*part.all("Chrgs"), *part.all("Chrgs/Rcrd")):
        said = charge.find("Amt")
        if said is not None:
            yield said.text, said.currency.upper(), charge.say("CdtDbtInd"), charge.say("ChrgInclInd")


@dataclass(slots=True)
class Entry:
    """One booked entry; amounts are minor units of the account's currency, `amount` with its sign."""

    findings: Findings
    line: int
    currency: str
    amount: int
    booked_on: date
    value: date | None
    moment: datetime | None
    reversal: bool
    own: Detail
    details: list[Detail]

    def lines(self, number: int) -> list[ParsedLine]:
        """Return the lines that the entry is, numbered from `number`; their amounts make the entry's."""
        amounts = [self._detail_amount(one) for one in self.details]
        known = [amount for amount in amounts if amount is not None]
        if len(self.details) < 2 or len(known) < len(amounts):
            only = self.details[0] if len(self.details) == 1 else Detail()
            charge = self._charge_inside(self.own) or self._charge_inside(only)
            parts = [(only, self.amount + charge)]
        else:
            charge = sum(known) - self.amount
            parts = list(zip(self.details, known, strict=True))
            if charge not in (0, self._charge_inside(self.own)):
                detail = f"the transactions make {sum(known)}, their entry is {self.amount}"
                self.findings.add(self.line, "Ntry/NtryDtls", "wrong_total", detail)
        lines = [self._line(number + at, one, amount) for at, (one, amount) in enumerate(parts)]
        if charge:
            lines.append(self._charge_line(number + len(lines), charge, lines[0].text))
        return lines

    def _detail_amount(self, detail: Detail) -> int | None:
        """Return a transaction's signed amount; `None` when it is not told in the account's currency."""
        sign = SIGNS.get(detail.sign, 1 if self.amount > 0 else -1)
        for text, currency in detail.amounts:
            if currency == self.currency:
                amount = minor_units(text, currency)
                if amount is None:
                    self._invalid("TxDtls/Amt", text)
                return None if amount is None else sign * amount
        return None

    def _charge_inside(self, detail: Detail) -> int:
        """Return what the bank took out of the amount it booked: a positive number, or a negative one given back.

        It counts when the document says so, or when the amount that was sent is the booked amount and the charge.
        """
        total, told = 0, []
        for text, currency, direction, included in detail.charges:
            if currency == self.currency:
                amount = minor_units(text, currency)
                if amount is None:
                    self._invalid("Chrgs/Amt", text)
                total += (amount or 0) * (-1 if direction == "CRDT" else 1)
                told.append(included)
        sent = minor_units(*detail.instructed) if detail.instructed[1] == self.currency else None
        proven = sent is not None and sent == abs(self.amount + total)
        return total if all(one in TRUE for one in told) or (proven and not any(told)) else 0

    def _invalid(self, column: str, text: str) -> None:
        self.findings.add(self.line, column, "invalid_amount", f"{text[:30]!r} is no amount in {self.currency}")

    def _charge_line(self, number: int, charge: int, text: str) -> ParsedLine:
        return ParsedLine(
            number=number, key="", flow="fee", category="Chrgs", currency=self.currency, gross_minor=-charge,
            booked_on=self.booked_on, available_on=self.value, reference=self.own.bank_reference,
            text=words("charges taken out:", text),
        )  # fmt: skip

    def _line(self, number: int, detail: Detail, gross_minor: int) -> ParsedLine:
        bank_reference = detail.bank_reference or self.own.bank_reference
        text, currency = detail.instructed if detail.instructed[0] else self.own.instructed
        paid = minor_units(text, currency) if currency != self.currency else None
        return ParsedLine(
            number=number,
            key=key_of(self.booked_on, bank_reference),
            flow=self._flow(detail, gross_minor),
            category=self._category(detail),
            currency=self.currency,
            gross_minor=gross_minor,
            booked_on=self.booked_on,
            occurred_at=self.moment,
            available_on=self.value,
            reference=bank_reference,
            batch=detail.batch or self.own.batch,
            own_reference=detail.end_to_end,
            paid_currency="" if paid is None else currency,
            paid_minor=paid,
            counterparty=self._other(detail, gross_minor),
            text=words(detail.text, self.own.text),
        )

    def _other(self, detail: Detail, gross_minor: int) -> str:
        """Return the account on the other side. What comes back names the one it was sent to, in either place."""
        if self._flow(detail, gross_minor) == "return":
            return detail.creditor or detail.debtor
        return detail.debtor if gross_minor > 0 else detail.creditor

    def _category(self, detail: Detail) -> str:
        """Return the bank's code; behind a colon the reason of a return, or `RVSL` of a reversal."""
        code = "-".join(detail.code if detail.code[0] else self.own.code).strip("-")
        said = code or detail.own_code or self.own.own_code or "entry"
        mark = detail.reason or ("RVSL" if self.reversal else "")
        return f"{said[:50]}:{mark[:12]}" if mark else said[:63]

    def _flow(self, detail: Detail, gross_minor: int) -> str:
        sub_family = (detail.code if detail.code[0] else self.own.code)[2]
        # German banks write their own code into the proprietary one: NTRF+808+09310.
        german = next((part for part in (detail.own_code or self.own.own_code).split("+") if part in GERMAN_FLOWS), "")
        flow = GERMAN_FLOWS.get(german, "") if not sub_family else ""
        if gross_minor > 0 and (detail.returned or sub_family in RETURNS or flow == "return"):
            return "return"
        if sub_family in CHARGES or flow == "fee":
            return "fee"
        if sub_family in INTEREST or flow == "interest":
            return "interest"
        return "credit" if gross_minor > 0 else "debit"
