"""Statements of banks, written out by hand for tests: small, and wrong wherever a test wants them wrong."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date
from typing import Any

from reconciliation.formats.bai2 import Bai2
from reconciliation.formats.base import BadFile, ParsedLine, Side, SourceFacts, Statement
from reconciliation.formats.camt import Camt
from reconciliation.formats.mt940 import Mt940

IBAN = "DE89370400440532013000"
OTHER_IBAN = "NL91ABNA0417164300"
US_ACCOUNT = "1234567890"
DAY = date(2026, 11, 20)
TODAY = date(2026, 11, 21)
CAMT = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"


def facts(account: str = IBAN, today: date = TODAY) -> SourceFacts:
    """Give what a mapper knows of a source."""
    return SourceFacts(code="house-bank", side=Side.BANK, today=today, account=account)


def read(reader: Camt | Mt940 | Bai2, document: str | bytes, account: str = IBAN) -> list[Statement]:
    """Read a document."""
    data = document.encode() if isinstance(document, str) else document
    return reader.parse(io.BytesIO(data), facts(account))


def lines_of(statements: Sequence[Statement]) -> list[ParsedLine]:
    """Give the lines of all statements."""
    return [line for statement in statements for line in statement.lines]


def errors_of(reader: Camt | Mt940 | Bai2, document: str | bytes, account: str = IBAN) -> list[tuple[str, str]]:
    """Give code and column of every error of a document that must be refused."""
    try:
        read(reader, document, account)
    except BadFile as bad:
        return [(one.code, one.column) for one in bad.errors]
    raise AssertionError("the document was accepted")


def balance(code: str, amount: str, *, sign: str = "CRDT", currency: str = "EUR", day: date = DAY) -> str:
    """Write a balance of a camt statement."""
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy='{currency}'>{amount}</Amt>"
        f"<CdtDbtInd>{sign}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def entry(amount: str, sign: str = "CRDT", more: str = "", **given: Any) -> str:
    """Write an entry: `ref`, `code` (domain-family-sub-family), `status`, `before` (right after its sign), `day`."""
    ref, code = given.get("ref", ""), given.get("code", "")
    parts = code.split("-")
    words = (
        f"<BkTxCd><Domn><Cd>{parts[0]}</Cd><Fmly><Cd>{parts[1]}</Cd><SubFmlyCd>{parts[2]}</SubFmlyCd></Fmly></Domn></BkTxCd>"
        if code
        else ""
    )
    return (
        f"<Ntry><Amt Ccy='{given.get('currency', 'EUR')}'>{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd>"
        f"{given.get('before', '')}<Sts>{given.get('status', '<Cd>BOOK</Cd>')}</Sts>"
        f"<BookgDt><Dt>{given.get('day', DAY)}</Dt></BookgDt><ValDt><Dt>{given.get('day', DAY)}</Dt></ValDt>"
        f"{f'<AcctSvcrRef>{ref}</AcctSvcrRef>' if ref else ''}{words}{more}</Ntry>"
    )


def camt(
    *parts: str,
    account: str = IBAN,
    namespace: str = CAMT,
    opening: str = "100.00",
    closing: str = "100.00",
    **given: Any,
) -> str:
    """Write a camt.053 document of one statement; `statement` and `message` name other elements."""
    statement, message = given.get("statement", "Stmt"), given.get("message", "BkToCstmrStmt")
    currency = given.get("currency", "EUR")
    balances = given.get(
        "balances",
        balance("OPBD", opening, currency=currency) + balance("CLBD", closing, currency=currency),
    )
    return (
        f"<?xml version='1.0' encoding='UTF-8'?>\n{given.get('doctype', '')}<Document xmlns='{namespace}'><{message}>"
        f"<GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-11-20T20:00:00Z</CreDtTm></GrpHdr>\n<{statement}><Id>S1</Id>"
        f"<Acct><Id><IBAN>{account}</IBAN></Id><Ccy>{currency}</Ccy></Acct>{balances}"
        f"{given.get('summary', '')}\n" + "\n".join(parts) + f"\n</{statement}></{message}></Document>"
    )


def mt940(
    *fields: str, account: str = IBAN, opening: str = "C261119EUR100,00", closing: str = "C261120EUR100,00"
) -> str:
    """Write an MT940 message of one page."""
    lines = (":20:STARTUMS", f":25:{account}", ":28C:00231/001", f":60F:{opening}", *fields, f":62F:{closing}", "-")
    return "\r\n".join(lines) + "\r\n"


def bai2(*entries: str, opening: int = 10_000, closing: int = 10_000, **given: Any) -> str:
    """Write a BAI2 file of one account, with control totals that are right unless `total` or `count` say otherwise."""
    account, currency = given.get("account", US_ACCOUNT), given.get("currency", "USD")
    amounts = [int(one.split(",")[2] or 0) for one in entries if one.startswith("16,")]
    total = given.get("total", opening + closing + sum(amounts))
    count = given.get("count", len(entries) + 2)
    lines = (
        f"01,BANK,US,{given.get('created', '261120')},2100,7,,,2/",
        f"02,US,BANK,{given.get('status', '1')},{given.get('day', '261120')},,{currency},{given.get('modifier', '2')}/",
        f"03,{account},{currency},010,{opening},,,015,{closing},,/",
        *entries,
        f"49,{total},{count}/",
        f"98,{total},1,{count + 2}/",
        f"99,{total},1,{count + 4}/",
    )
    return "\n".join(lines) + "\n"
