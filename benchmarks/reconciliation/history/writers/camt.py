"""camt.053, as banks of the euro area write it: versions 02 and 08, single entries, and batches with their details."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time
from xml.sax.saxutils import escape

from benchmarks.reconciliation.history.money import major
from benchmarks.reconciliation.history.outside import BankDay, BankEntry, Entered

_CODES = {
    Entered.PSP_CREDIT: ("PMNT", "RCDT", "ESCT"),
    Entered.PSP_DEBIT: ("PMNT", "IDDT", "ESDD"),
    Entered.TRANSFER_OUT: ("PMNT", "ICDT", "ESCT"),
    Entered.TRANSFER_RETURNED: ("PMNT", "ICDT", "RRTN"),
    Entered.CHARGES: ("ACMT", "MDOP", "CHRG"),
    Entered.INTEREST: ("ACMT", "MCOP", "INTR"),
    Entered.CREDIT: ("PMNT", "RCDT", "ESCT"),
    Entered.DEBIT: ("PMNT", "RDDT", "ESDD"),
}


def statement(day: BankDay, *, version: int = 8, sums: bool = True, copy: bool = False) -> bytes:
    """Write one statement of one account. `version` is that of the schema; `sums` adds the summary."""
    booked = [entry for entry in day.entries if not entry.pending]
    written_at = datetime.combine(day.day, time(22, 15), tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version:02}">\n<BkToCstmrStmt>\n',
        f"<GrpHdr><MsgId>{escape(day.identity)}-M</MsgId><CreDtTm>{written_at}</CreDtTm></GrpHdr>\n",
        f"<Stmt><Id>{escape(day.identity)}</Id><ElctrncSeqNb>{day.number}</ElctrncSeqNb>",
        f"<CreDtTm>{written_at}</CreDtTm>",
        f"<FrToDt><FrDtTm>{day.day}T00:00:00</FrDtTm><ToDtTm>{day.day}T23:59:59</ToDtTm></FrToDt>",
        "<CpyDplctInd>DUPL</CpyDplctInd>" if copy else "",
        f"<Acct><Id>{_account(day.account)}</Id><Ccy>{day.currency}</Ccy></Acct>\n",
        _balance("OPBD", day.opening, day),
        _balance("CLBD", day.closing, day),
        _summary(booked, day.currency) if sums else "",
        *(_entry(entry, version) for entry in day.entries),
        "</Stmt>\n</BkToCstmrStmt>\n</Document>\n",
    ]
    return "".join(parts).encode()


def _account(number: str) -> str:
    if number[:2].isalpha():
        return f"<IBAN>{escape(number)}</IBAN>"
    return f"<Othr><Id>{escape(number)}</Id></Othr>"


def _amount(minor: int, currency: str) -> str:
    return f'<Amt Ccy="{currency}">{major(abs(minor), currency)}</Amt>'


def _side(minor: int) -> str:
    return f"<CdtDbtInd>{'DBIT' if minor < 0 else 'CRDT'}</CdtDbtInd>"


def _balance(code: str, minor: int, day: BankDay) -> str:
    kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
    return f"<Bal>{kind}{_amount(minor, day.currency)}{_side(minor)}<Dt><Dt>{day.day}</Dt></Dt></Bal>\n"


def _summary(entries: list[BankEntry], currency: str) -> str:
    ins = [entry.amount for entry in entries if entry.amount >= 0]
    outs = [-entry.amount for entry in entries if entry.amount < 0]

    def total(tag: str, amounts: Iterable[int]) -> str:
        found = list(amounts)
        return f"<{tag}><NbOfNtries>{len(found)}</NbOfNtries><Sum>{major(sum(found), currency)}</Sum></{tag}>"

    return (
        f"<TxsSummry>{total('TtlNtries', ins + outs)}{total('TtlCdtNtries', ins)}"
        f"{total('TtlDbtNtries', outs)}</TxsSummry>\n"
    )


def _entry(entry: BankEntry, version: int) -> str:
    status = "PDNG" if entry.pending else "BOOK"
    code = f"<Cd>{status}</Cd>" if version > 2 else status
    domain, family, sub = _CODES[entry.kind]
    own = f"<AcctSvcrRef>{escape(entry.reference)}</AcctSvcrRef>" if entry.has_own_reference else ""
    return (
        f"<Ntry>{_amount(entry.amount, entry.currency)}{_side(entry.amount)}<Sts>{code}</Sts>"
        f"<BookgDt><Dt>{entry.day}</Dt></BookgDt><ValDt><Dt>{entry.value_day or entry.day}</Dt></ValDt>{own}"
        f"<BkTxCd><Domn><Cd>{domain}</Cd><Fmly><Cd>{family}</Cd><SubFmlyCd>{sub}</SubFmlyCd></Fmly></Domn></BkTxCd>"
        f"{_details(entry, version)}</Ntry>\n"
    )


def _details(entry: BankEntry, version: int) -> str:
    if entry.batch and not entry.end_to_end:
        batch = f"<Btch><PmtInfId>{escape(entry.batch)}</PmtInfId><NbOfTxs>2</NbOfTxs></Btch>"
        return f"<NtryDtls>{batch}</NtryDtls>"  # a batch that hides its items
    refs = f"<EndToEndId>{escape(entry.end_to_end)}</EndToEndId>" if entry.end_to_end else ""
    if entry.batch:
        refs = f"<PmtInfId>{escape(entry.batch)}</PmtInfId>{refs}"
    charges = ""
    if entry.charges:
        instructed = _amount(entry.amount + entry.charges, entry.currency)
        charges = (
            f"<AmtDtls><InstdAmt>{instructed}</InstdAmt></AmtDtls>"
            f"<Chrgs><Rcrd>{_amount(entry.charges, entry.currency)}<CdtDbtInd>DBIT</CdtDbtInd></Rcrd></Chrgs>"
        )
    party = _party(entry, version)
    text = f"<RmtInf><Ustrd>{escape(entry.text)}</Ustrd></RmtInf>" if entry.text else ""
    back = f"<RtrInf><Rsn><Cd>{entry.reason}</Cd></Rsn></RtrInf>" if entry.reason else ""
    shown = f"<Refs>{refs}</Refs>" if refs else ""
    return (
        f"<NtryDtls><TxDtls>{shown}{_amount(entry.amount, entry.currency)}{_side(entry.amount)}{charges}{party}{text}"
        f"{back}</TxDtls></NtryDtls>"
    )


def _party(entry: BankEntry, version: int) -> str:
    if not entry.name:
        return ""
    tag = "Cdtr" if entry.amount < 0 or entry.kind == Entered.TRANSFER_RETURNED else "Dbtr"
    name = f"<Nm>{escape(entry.name)}</Nm>"
    name = f"<Pty>{name}</Pty>" if version >= 8 else name
    account = f"<{tag}Acct><Id>{_account(entry.account)}</Id></{tag}Acct>" if entry.account else ""
    return f"<RltdPties><{tag}>{name}</{tag}>{account}</RltdPties>"
