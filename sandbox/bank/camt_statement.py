"""A day of an account as camt.053.001.08."""

from __future__ import annotations

from typing import Any, Final
from xml.sax.saxutils import escape

from .money import written
from .statements import Day

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
CODES: Final = {
    "credit": "PMNT RCDT ESCT", "debit": "PMNT RDDT ESDD", "transfer": "PMNT ICDT ESCT", "return": "PMNT ICDT RRTN",
    "charge": "ACMT MDOP CHRG", "interest": "ACMT MCOP INTR",
}  # fmt: skip


def write(day: Day) -> bytes:
    """Write the statement of a day."""
    moment = f"{day.day}T23:59:00Z"
    plus = [line["amount"] for line in day.lines if line["amount"] > 0]
    minus = [-line["amount"] for line in day.lines if line["amount"] <= 0]
    sums = (
        (_total("TtlNtries", plus + minus, day)),
        (_total("TtlCdtNtries", plus, day)),
        _total("TtlDbtNtries", minus, day),
    )
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<Document xmlns="{NAMESPACE}"><BkToCstmrStmt>\n',
        f"<GrpHdr><MsgId>{day.identity}</MsgId><CreDtTm>{moment}</CreDtTm></GrpHdr>\n",
        f"<Stmt><Id>{day.identity}</Id><ElctrncSeqNb>{day.number}</ElctrncSeqNb><CreDtTm>{moment}</CreDtTm>\n",
        f"<FrToDt><FrDtTm>{day.day}T00:00:00Z</FrDtTm><ToDtTm>{moment}</ToDtTm></FrToDt>\n",
        f"<Acct><Id><IBAN>{day.iban}</IBAN></Id><Ccy>{day.currency}</Ccy><Ownr><Nm>{escape(day.holder)}</Nm></Ownr>",
        f"<Svcr><FinInstnId><BICFI>{day.bic}</BICFI></FinInstnId></Svcr></Acct>\n",
        _balance("OPBD", day.opening, day),
        _balance("CLBD", day.closing, day),
        f"<TxsSummry>{''.join(sums)}</TxsSummry>\n",
        *(_entry(line) for line in day.lines),
        "</Stmt></BkToCstmrStmt></Document>\n",
    ]
    return "".join(parts).encode()


def _amount(minor: int, currency: str) -> str:
    return f'<Amt Ccy="{currency}">{written(minor, currency)}</Amt>'


def _signed(minor: int, currency: str) -> str:
    return f"{_amount(minor, currency)}<CdtDbtInd>{'CRDT' if minor >= 0 else 'DBIT'}</CdtDbtInd>"


def _total(name: str, amounts: list[int], day: Day) -> str:
    total = written(sum(amounts), day.currency)
    return f"<{name}><NbOfNtries>{len(amounts)}</NbOfNtries><Sum>{total}</Sum></{name}>"


def _balance(code: str, minor: int, day: Day) -> str:
    kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
    return f"<Bal>{kind}{_signed(minor, day.currency)}<Dt><Dt>{day.day}</Dt></Dt></Bal>\n"


def _entry(line: dict[str, Any]) -> str:
    domain, family, sub_family = CODES[line["kind"]].split()
    code = f"<Domn><Cd>{domain}</Cd><Fmly><Cd>{family}</Cd><SubFmlyCd>{sub_family}</SubFmlyCd></Fmly></Domn>"
    return (
        f"<Ntry>{_signed(line['amount'], line['currency'])}{'<RvslInd>true</RvslInd>' if line['reversal'] else ''}"
        f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{line['booked_on']}</Dt></BookgDt><ValDt><Dt>{line['value_on']}</Dt></ValDt>"
        f"<AcctSvcrRef>{line['reference']}</AcctSvcrRef><BkTxCd>{code}</BkTxCd>{_charges(line)}{_details(line)}</Ntry>\n"
    )


def _charges(line: dict[str, Any]) -> str:
    if not line["charges"]:
        return ""
    told = f"{_amount(line['charges'], line['currency'])}<CdtDbtInd>DBIT</CdtDbtInd><ChrgInclInd>true</ChrgInclInd>"
    return f"<Chrgs><Rcrd>{told}</Rcrd></Chrgs>"


def _details(line: dict[str, Any]) -> str:
    if line["batch"] and not line["end_to_end"]:
        return f"<NtryDtls><Btch><PmtInfId>{escape(line['batch'])}</PmtInfId></Btch></NtryDtls>"
    batch = f"<PmtInfId>{escape(line['batch'])}</PmtInfId>" if line["batch"] else ""
    refs = f"<Refs>{batch}<EndToEndId>{escape(line['end_to_end'] or 'NOTPROVIDED')}</EndToEndId></Refs>"
    party = "Dbtr" if line["kind"] in ("credit", "interest") else "Cdtr"
    name = f"<{party}><Pty><Nm>{escape(line['name'])}</Nm></Pty></{party}>" if line["name"] else ""
    account = (
        f"<{party}Acct><Id><IBAN>{escape(line['other_iban'])}</IBAN></Id></{party}Acct>" if line["other_iban"] else ""
    )
    parties = f"<RltdPties>{name}{account}</RltdPties>" if name or account else ""
    text = f"<RmtInf><Ustrd>{escape(line['text'][:140])}</Ustrd></RmtInf>" if line["text"] else ""
    back = f"<RtrInf><Rsn><Cd>{line['reason']}</Cd></Rsn></RtrInf>" if line["reason"] else ""
    return (
        f"<NtryDtls><TxDtls>{refs}{_signed(line['amount'], line['currency'])}{parties}{text}{back}</TxDtls></NtryDtls>"
    )
