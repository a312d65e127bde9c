"""Reports of a bank (pain.002): what they refuse is available again; what is none, or hides something, is refused."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from config import seam
from ledger.ids import public_id
from payments import bank_reports
from payments.errors import Invalid
from payments.models import BankFile, BankFileHandOut, OutboxMessage, Payout
from payments.sepa import as_id
from tests.bank import Bank, again

_S = Payout.Status


def report(*parts: str, version: str = "03", group: str = "", message: str = "bfl-x") -> bytes:
    """Write a report; `parts` are blocks of its payments."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.{version}">'
        "<CstmrPmtStsRpt><GrpHdr><MsgId>R1</MsgId><CreDtTm>2026-11-21T10:00:00</CreDtTm></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{message}</OrgnlMsgId><OrgnlMsgNmId>pain.001</OrgnlMsgNmId>{group}"
        f"</OrgnlGrpInfAndSts>{''.join(parts)}</CstmrPmtStsRpt></Document>"
    ).encode()


def block(*statuses: str, name: str = "bfl-x", status: str = "") -> str:
    """Write the block of a payment information."""
    return f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{name}</OrgnlPmtInfId>{status}{''.join(statuses)}</OrgnlPmtInfAndSts>"


def transfer(payout: Payout, status: str = "RJCT", reason: str = "<Cd>AC04</Cd>") -> str:
    """Write the status of one transfer."""
    return (
        f"<TxInfAndSts><OrgnlEndToEndId>{as_id(public_id('pyo', payout.public_id))}</OrgnlEndToEndId>"
        f"<TxSts>{status}</TxSts><StsRsnInf><Rsn>{reason}</Rsn></StsRsnInf></TxInfAndSts>"
    )


def read_in(bank: Bank, content: bytes) -> bank_reports.ReadIn:
    return bank_reports.read_in(bank.book_id, content, actor="tests", now=seam.now())


def outcomes(bank: Bank, content: bytes) -> list[str]:
    return [str(one.outcome) for one in read_in(bank, content).answers]


def state() -> list[Any]:
    return [list(Payout.objects.order_by("pk").values()), OutboxMessage.objects.count()]


@pytest.mark.parametrize("version", ["03", "10", "14"])
def test_what_a_report_refuses_is_available_again_and_the_rest_goes_on(bank: Bank, version: str) -> None:
    refused, accepted, odd = bank.sent(1_000, 2_000, 3_000)
    content = report(
        block(transfer(refused), transfer(accepted, "ACSP", ""), transfer(odd, reason="<Prtry>X9</Prtry>")),
        version=version,
        group="<GrpSts>PART</GrpSts>",
    )
    done = read_in(bank, content)
    assert ([str(one.outcome) for one in done.answers], done.without_effect) == (["done", "done"], 2)
    assert [again(row).status for row in (refused, accepted, odd)] == [_S.CANCELLED, _S.SENT, _S.CANCELLED]
    assert refused.failure is not None
    assert odd.failure is not None
    assert (refused.failure["psp_code"], odd.failure["psp_code"]) == ("AC04", "X9")
    before = state()
    assert outcomes(bank, content) == ["exists", "exists"]
    assert state() == before
    bank.market.shop.check()


@pytest.mark.parametrize("level", ["group", "block"])
def test_a_file_that_is_refused_as_a_whole_gives_everything_back(bank: Bank, level: str) -> None:
    rows = bank.sent(1_000, 2_000)
    name = as_id(public_id("bfl", BankFile.objects.get().public_id))
    reason = "<StsRsnInf><Rsn><Cd>FF01</Cd></Rsn></StsRsnInf>"
    content = (
        report(message=name, group=f"<GrpSts>RJCT</GrpSts>{reason}")
        if level == "group"
        else report(block(name=name, status=f"<PmtInfSts>RJCT</PmtInfSts>{reason}"), message=name)
    )
    assert outcomes(bank, content) == ["done", "done"]
    assert [again(row).status for row in rows] == [_S.CANCELLED] * 2
    assert {row.failure["psp_code"] for row in rows if row.failure} == {"FF01"}
    assert BankFile.objects.get().status == BankFile.Status.ANSWERED
    bank.market.shop.check()


def test_a_report_of_somebody_elses_file_changes_nothing(bank: Bank) -> None:
    bank.sent(1_000)
    before = state()
    stranger = public_id("bfl", seam.new_uuid())
    assert outcomes(bank, report(message=stranger, group="<GrpSts>RJCT</GrpSts>")) == ["unknown_reference"]
    assert outcomes(bank, report(message="M1", group="<GrpSts>RJCT</GrpSts>")) == ["unknown_reference"]
    assert outcomes(bank, report(message="M1", group="<GrpSts>ACCP</GrpSts>")) == []
    assert state() == before


_ENTITIES = b"""<?xml version="1.0"?><!DOCTYPE Document [<!ENTITY a "RJCT"><!ENTITY b "&a;&a;&a;&a;">]>
<Document><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>bfl-x</OrgnlMsgId><GrpSts>&a;</GrpSts></OrgnlGrpInfAndSts>
</CstmrPmtStsRpt></Document>"""
_OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE Document SYSTEM "http://127.0.0.1:9/x.dtd"><Document><CstmrPmtStsRpt/></Document>"""
_FILE = b"""<?xml version="1.0"?><!DOCTYPE Document [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<Document><CstmrPmtStsRpt>&a;</CstmrPmtStsRpt></Document>"""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no XML",
        b"<Document>",
        b"<Document/>",
        b"<html><CstmrPmtStsRpt/></html>",
        b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt/></Document>',
        _ENTITIES,
        _OUTSIDE,
        _FILE,
        b"<Document><CstmrPmtStsRpt>" + b"<a>" * 50 + b"</a>" * 50 + b"</CstmrPmtStsRpt></Document>",
        report(block("<TxInfAndSts><TxSts>RJCT</TxSts></TxInfAndSts>")),
        report()[:-30],
        b"<Document><CstmrPmtStsRpt>" + b" " * bank_reports.MAX_BYTES + b"</CstmrPmtStsRpt></Document>",
        report(block(*["<TxInfAndSts><OrgnlEndToEndId>x</OrgnlEndToEndId><TxSts>ACCP</TxSts></TxInfAndSts>"] * 20_001)),
    ],
    ids=lambda value: repr(value[:40]),
)
def test_what_is_no_report_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(Invalid) as refusal:
        bank_reports.parse(content)
    assert refusal.value.code == "invalid_bank_report"


# --- the command ---------------------------------------------------------------------------------------------------


def florin(*words: str) -> tuple[str, str]:
    """Run the command; return what it printed on both streams."""
    out, err = StringIO(), StringIO()
    call_command("bank_file", *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_makes_hands_out_and_reads_in(bank: Bank, tmp_path: Path) -> None:
    book = bank.market.shop.tenant.book.code
    refused, _other = bank.ready(1_000, 2_000)
    made = json.loads(florin("make", book)[0])
    assert (made["status"], made["payouts"], made["total"]) == ("ready", 2, "30.00")
    assert florin("make", book) == ("", "")
    place = tmp_path / "file.xml"
    said = florin("fetch", book, made["id"], "--out", str(place), "--actor", "user:mia")[1]
    assert as_id(made["id"]).encode() in place.read_bytes()
    assert "BEFORE" not in said
    with pytest.raises(CommandError, match="is there already"):
        florin("fetch", book, made["id"], "--out", str(place))
    assert BankFileHandOut.objects.count() == 1, "a fetch that wrote nothing handed nothing out"
    content, said = florin("fetch", book, made["id"])
    assert content.encode().strip() == place.read_bytes().strip()
    assert "HANDED OUT BEFORE, this is no. 2" in said
    answer = tmp_path / "report.xml"
    answer.write_bytes(report(block(transfer(refused))))
    assert florin("report", book, str(answer))[0].endswith("done\n")
    assert again(refused).status == _S.CANCELLED
    assert json.loads(florin("list", book)[0])["status"] == "handed_out"
    for words, says in (
        (("withdraw", book, made["id"]), "invalid_state"),
        (("approve", book, made["id"]), "invalid_state"),
        (("fetch", book, "bfl_unknown"), "has no file"),
        (("report", book, str(tmp_path / "none.xml")), "cannot be read"),
        (("report", book, str(place)), "invalid_bank_report"),
        (("make", "nowhere"), "there is no book"),
    ):
        with pytest.raises(CommandError, match=says):
            florin(*words)
