"""A camt statement is believed when everything it says about itself is true; else it says everything that is not."""

import io
import tracemalloc
from datetime import UTC, date, datetime

import pytest

from reconciliation.formats.base import BadFile, Declared
from reconciliation.formats.camt import Camt
from tests.reconciliation.bank_documents import (
    CAMT,
    DAY,
    IBAN,
    OTHER_IBAN,
    balance,
    camt,
    entry,
    errors_of,
    facts,
    lines_of,
    read,
)


def detail(e2e: str, amount: str = "", more: str = "") -> str:
    written = f"<Amt Ccy='EUR'>{amount}</Amt>" if amount else ""
    return f"<TxDtls><Refs><PmtInfId>bfl-1</PmtInfId><EndToEndId>{e2e}</EndToEndId></Refs>{written}{more}</TxDtls>"


def test_a_credit_and_a_debit_become_lines_with_their_signs_and_references() -> None:
    party = f"<RltdPties><Dbtr><Nm>Anna</Nm></Dbtr><DbtrAcct><Id><IBAN>{OTHER_IBAN}</IBAN></Id></DbtrAcct></RltdPties>"
    told = detail("NOTPROVIDED", "150.25", f"{party}<RmtInf><Ustrd>STRIPE po_1</Ustrd></RmtInf>")
    came = entry("150.25", ref="R1", code="PMNT-RCDT-ESCT", more=f"<NtryDtls>{told}</NtryDtls>")
    went = entry("50.00", "DBIT", ref="R2", more=f"<NtryDtls>{detail('pyo-1', '50.00')}</NtryDtls>")
    (statement,) = read(Camt(), camt(came, went, closing="200.25"))
    assert statement.declared == {"EUR": Declared(opening=10000, closing=20025)}
    assert (statement.first_day, statement.last_day) == (DAY, DAY)
    credit, debit = statement.lines
    assert (credit.flow, credit.gross_minor, credit.fee_minor, credit.booked_on) == ("credit", 15025, 0, DAY)
    assert (credit.reference, credit.own_reference, credit.text) == ("R1", "", "STRIPE po_1")
    assert (credit.counterparty, credit.category) == (OTHER_IBAN, "PMNT-RCDT-ESCT")
    assert (debit.flow, debit.gross_minor, debit.own_reference, debit.batch) == ("debit", -5000, "pyo-1", "bfl-1")
    assert [line.number for line in statement.lines] == [1, 2]
    assert credit.key != debit.key


@pytest.mark.parametrize("version", ["02", "04", "08", "13"])
def test_every_version_of_the_namespace_is_read(version: str) -> None:
    status = "BOOK" if version == "02" else "<Cd>BOOK</Cd>"
    namespace = f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"
    document = camt(entry("1.00", status=status), closing="101.00", namespace=namespace)
    assert [line.gross_minor for line in lines_of(read(Camt(), document))] == [100]


def test_an_entry_with_several_transactions_is_several_lines() -> None:
    told = detail("pyo-1", "30.00") + detail("pyo-2", "20.00")
    batch = f"<NtryDtls><Btch><PmtInfId>bfl-9</PmtInfId></Btch>{told}</NtryDtls>"
    lines = lines_of(read(Camt(), camt(entry("50.00", "DBIT", batch, ref="R1"), closing="50.00")))
    assert [(line.gross_minor, line.own_reference) for line in lines] == [(-3000, "pyo-1"), (-2000, "pyo-2")]
    assert {line.batch for line in lines} == {"bfl-1"}


def test_a_batch_that_hides_its_transactions_is_one_line_with_its_name() -> None:
    hidden = "<NtryDtls><Btch><PmtInfId>bfl-9</PmtInfId><NbOfTxs>2</NbOfTxs></Btch></NtryDtls>"
    (line,) = lines_of(read(Camt(), camt(entry("50.00", "DBIT", hidden), closing="50.00")))
    assert (line.gross_minor, line.batch, line.own_reference, line.key) == (-5000, "bfl-9", "", "")


def test_transactions_that_do_not_make_their_entry_refuse_the_document() -> None:
    batch = f"<NtryDtls>{detail('pyo-1', '30.00')}{detail('pyo-2', '20.01')}</NtryDtls>"
    assert ("wrong_total", "Ntry/NtryDtls") in errors_of(Camt(), camt(entry("50.00", "DBIT", batch), closing="50.00"))


def test_what_came_back_is_a_return_with_its_reason() -> None:
    back = detail("pyo-7", "40.00", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>account closed</AddtlInf></RtrInf>")
    document = camt(entry("40.00", more=f"<NtryDtls>{back}</NtryDtls>", code="PMNT-ICDT-RRTN"), closing="140.00")
    (line,) = lines_of(read(Camt(), document))
    assert (line.flow, line.own_reference, line.category) == ("return", "pyo-7", "PMNT-ICDT-RRTN:AC04")
    assert line.gross_minor == 4000
    assert "account closed" in line.text


def test_a_reversal_carries_its_own_direction() -> None:
    document = camt(entry("10.00", "DBIT", before="<RvslInd>true</RvslInd>", code="PMNT-RCDT-ESCT"), closing="90.00")
    (line,) = lines_of(read(Camt(), document))
    assert (line.flow, line.gross_minor, line.category) == ("debit", -1000, "PMNT-RCDT-ESCT:RVSL")


@pytest.mark.parametrize(
    ("code", "sign", "flow"),
    [
        ("ACMT-MDOP-CHRG", "DBIT", "fee"),
        ("PMNT-MDOP-COMM", "DBIT", "fee"),
        ("ACMT-MCOP-INTR", "CRDT", "interest"),
        ("ACMT-MDOP-INTR", "DBIT", "interest"),
        ("PMNT-RCDT-ESCT", "CRDT", "credit"),
    ],
)
def test_the_banks_code_tells_charges_and_interest(code: str, sign: str, flow: str) -> None:
    document = camt(entry("5.00", sign, code=code), closing="105.00" if sign == "CRDT" else "95.00")
    assert [line.flow for line in lines_of(read(Camt(), document))] == [flow]


def test_german_banks_tell_charges_in_a_code_of_their_own() -> None:
    own = "<BkTxCd><Prtry><Cd>NTRF+808+09310</Cd><Issr>DK</Issr></Prtry></BkTxCd>"
    (line,) = lines_of(read(Camt(), camt(entry("5.00", "DBIT", own), closing="95.00")))
    assert (line.flow, line.category) == ("fee", "NTRF+808+09310")


def test_charges_inside_an_amount_become_a_line_of_their_own() -> None:
    taken = "<Amt Ccy='EUR'>1.50</Amt><CdtDbtInd>DBIT</CdtDbtInd><ChrgInclInd>true</ChrgInclInd>"
    charges = f"<Chrgs><Rcrd>{taken}</Rcrd></Chrgs>"
    lines = lines_of(read(Camt(), camt(entry("98.50", "CRDT", charges, ref="R1"), closing="198.50")))
    assert [(line.flow, line.gross_minor) for line in lines] == [("credit", 10000), ("fee", -150)]


def test_charges_without_a_word_are_believed_when_the_amount_that_was_sent_proves_them() -> None:
    charges = "<Chrgs><Amt Ccy='EUR'>1.50</Amt><CdtDbtInd>DBIT</CdtDbtInd></Chrgs>"
    sent = "<AmtDtls><InstdAmt><Amt Ccy='EUR'>100.00</Amt></InstdAmt></AmtDtls>"
    lines = lines_of(read(Camt(), camt(entry("98.50", "CRDT", sent + charges), closing="198.50")))
    assert [line.gross_minor for line in lines] == [10000, -150]
    lines = lines_of(read(Camt(), camt(entry("98.50", "CRDT", charges), closing="198.50")))
    assert [line.gross_minor for line in lines] == [9850]


def test_an_amount_in_another_currency_is_told_beside_the_booked_one() -> None:
    sent = "<AmtDtls><InstdAmt><Amt Ccy='JPY'>16000</Amt></InstdAmt></AmtDtls>"
    (line,) = lines_of(read(Camt(), camt(entry("98.50", "CRDT", sent), closing="198.50")))
    assert (line.currency, line.gross_minor, line.paid_currency, line.paid_minor) == ("EUR", 9850, "JPY", 16000)


@pytest.mark.parametrize(
    ("currency", "written", "minor"), [("JPY", "1999", 1999), ("KWD", "1.999", 1999), ("EUR", "1.9", 190)]
)
def test_amounts_have_the_decimals_of_their_currency(currency: str, written: str, minor: int) -> None:
    document = camt(entry(written, currency=currency), currency=currency, opening="0", closing=written)
    (line,) = lines_of(read(Camt(), document))
    assert (line.currency, line.gross_minor) == (currency, minor)


def test_pending_entries_are_counted_and_not_kept() -> None:
    summary = (
        "<TxsSummry><TtlNtries><NbOfNtries>2</NbOfNtries><Sum>8.00</Sum><TtlNetNtry><Amt>2.00</Amt>"
        "<CdtDbtInd>CRDT</CdtDbtInd></TtlNetNtry></TtlNtries><TtlCdtNtries><NbOfNtries>1</NbOfNtries><Sum>5.00</Sum>"
        "</TtlCdtNtries><TtlDbtNtries><NbOfNtries>1</NbOfNtries><Sum>3.00</Sum></TtlDbtNtries></TxsSummry>"
    )
    document = camt(entry("5.00"), entry("3.00", "DBIT", status="<Cd>PDNG</Cd>"), closing="105.00", summary=summary)
    assert [line.gross_minor for line in lines_of(read(Camt(), document))] == [500]


def test_every_control_total_that_is_wrong_is_told() -> None:
    summary = (
        "<TxsSummry><TtlNtries><NbOfNtries>3</NbOfNtries><Sum>8.00</Sum><TtlNetNtryAmt>9.00</TtlNetNtryAmt>"
        "<CdtDbtInd>CRDT</CdtDbtInd></TtlNtries><TtlCdtNtries><Sum>4.00</Sum></TtlCdtNtries>"
        "<TtlDbtNtries><NbOfNtries>x</NbOfNtries></TtlDbtNtries></TxsSummry>"
    )
    found = errors_of(Camt(), camt(entry("5.00"), closing="105.00", summary=summary))
    assert found == [
        ("wrong_total", "TxsSummry/TtlNtries/NbOfNtries"),
        ("wrong_total", "TxsSummry/TtlNtries/Sum"),
        ("wrong_total", "TxsSummry/TtlCdtNtries/Sum"),
        ("wrong_total", "TxsSummry/TtlDbtNtries/NbOfNtries"),
        ("wrong_total", "TxsSummry/TtlNtries/TtlNetNtry"),
    ]


def test_a_statement_without_entries_is_a_statement() -> None:
    (statement,) = read(Camt(), camt())
    assert list(statement.lines) == []
    assert statement.declared["EUR"] == Declared(opening=10000, closing=10000)
    assert statement.last_day == DAY


def test_an_opening_that_with_the_entries_does_not_make_the_closing_refuses() -> None:
    assert errors_of(Camt(), camt(entry("5.00"), closing="105.01")) == [("wrong_total", "")]
    debit = balance("OPBD", "5.00", sign="DBIT") + balance("CLBD", "0.00")
    assert lines_of(read(Camt(), camt(entry("5.00"), balances=debit)))[0].gross_minor == 500


@pytest.mark.parametrize("balances", ["", balance("OPBD", "1.00"), balance("CLBD", "1.00"), balance("CLAV", "1.00")])
def test_a_statement_without_its_balances_refuses(balances: str) -> None:
    assert errors_of(Camt(), camt(balances=balances)) == [("missing_value", "Bal")]


def test_pages_of_a_statement_carry_intermediate_balances() -> None:
    first = balance("OPBD", "100.00") + balance("ITBD", "105.00")
    (line,) = lines_of(read(Camt(), camt(entry("5.00"), balances=first)))
    middle = balance("ITBD", "105.00") + balance("ITBD", "111.00")
    (other,) = lines_of(read(Camt(), camt(entry("6.00"), balances=middle)))
    assert (line.gross_minor, other.gross_minor) == (500, 600)


def test_a_previous_closing_serves_as_opening() -> None:
    document = camt(entry("5.00"), balances=balance("PRCD", "1.00") + balance("CLBD", "6.00"))
    assert read(Camt(), document)[0].declared["EUR"].opening == 100


def test_the_statement_of_another_account_refuses() -> None:
    assert errors_of(Camt(), camt(account=OTHER_IBAN)) == [("other_account", "Acct")]
    assert errors_of(Camt(), camt(account="")) == [("missing_value", "Acct"), ("missing_value", "Acct")]
    assert read(Camt(), camt(account="DE89 3704 0044 0532 0130 00"))


def test_the_day_of_a_statement_is_that_of_its_closing_balance() -> None:
    period = "<FrToDt><FrDtTm>2026-11-20T00:00:00</FrDtTm><ToDtTm>2026-11-21T00:00:00</ToDtTm></FrToDt>"
    (statement,) = read(Camt(), camt(entry("5.00"), closing="105.00", summary=period))
    assert (statement.first_day, statement.last_day) == (DAY, DAY)


def test_the_statement_of_a_day_to_come_refuses() -> None:
    late = balance("OPBD", "1.00") + balance("CLBD", "1.00", day=date(2026, 11, 23))
    assert errors_of(Camt(), camt(balances=late)) == [("future_date", "")]


def test_all_errors_are_told_at_once_with_their_lines() -> None:
    document = camt(
        entry("1,00"), entry("-1.00"), entry("1.001"), entry("5.00", "XXXX"), entry("5.00", currency="USD"),
        entry("5.00", status="<Cd>MAYBE</Cd>"), entry("5.00", day="2026-02-30"), closing="7.00",
    )  # fmt: skip
    with pytest.raises(BadFile) as caught:
        read(Camt(), document)
    found = [(one.code, one.line) for one in caught.value.errors]
    assert [code for code, _ in found] == [
        "invalid_amount", "invalid_amount", "invalid_amount", "invalid_sign", "invalid_currency", "unknown_status",
        "invalid_time", "invalid_time", "wrong_total",
    ]  # fmt: skip
    assert [line for _, line in found[:3]] == [4, 5, 6]


def test_more_errors_than_are_kept_end_the_reading() -> None:
    with pytest.raises(BadFile) as caught:
        read(Camt(), camt(*[entry("x")] * 1500))
    assert len(caught.value.errors) == 1000


def test_a_moment_with_an_offset_is_kept_and_one_without_is_only_a_day() -> None:
    with_offset = entry("5.00").replace(f"<BookgDt><Dt>{DAY}</Dt>", "<BookgDt><DtTm>2026-11-20T10:00:00+01:00</DtTm>")
    (line,) = lines_of(read(Camt(), camt(with_offset, closing="105.00")))
    assert (line.booked_on, line.occurred_at) == (DAY, datetime(2026, 11, 20, 9, tzinfo=UTC))
    without = with_offset.replace("+01:00", "")
    assert lines_of(read(Camt(), camt(without, closing="105.00")))[0].occurred_at is None


@pytest.mark.parametrize(
    ("message", "statement", "kind"),
    [("BkToCstmrAcctRpt", "Rpt", "camt.052"), ("BkToCstmrDbtCdtNtfctn", "Ntfctn", "camt.054")],
)
def test_reports_and_notifications_are_entries_without_a_proof(message: str, statement: str, kind: str) -> None:
    document = camt(entry("5.00", ref="R1"), message=message, statement=statement, balances="")
    (read_back,) = read(Camt(), document)
    assert read_back.identity.startswith(f"{kind}:S1:{IBAN}:")
    assert read_back.declared["EUR"] == Declared()
    (day,) = lines_of(read(Camt(), camt(entry("5.00", ref="R1"), closing="105.00")))
    assert lines_of([read_back])[0].key == day.key


def test_an_envelope_around_the_document_is_looked_through() -> None:
    inner = camt(entry("5.00"), closing="105.00").partition("\n")[2]
    assert len(lines_of(read(Camt(), f"<Package><Header><Id>x</Id></Header><Content>{inner}</Content></Package>"))) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_the_encoding_is_what_the_document_says(encoding: str) -> None:
    text = camt(entry("5.00", more="<AddtlNtryInf>Gebühr</AddtlNtryInf>"), closing="105.00")
    data = text.replace("UTF-8", "UTF-8" if encoding == "utf-8-sig" else encoding).encode(encoding)
    assert lines_of(read(Camt(), data))[0].text == "Gebühr"


ENTITIES = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 10))


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE Document>\n",
        f"<!DOCTYPE Document [<!ENTITY e0 'x'>{ENTITIES}]>\n",
        "<!DOCTYPE Document [<!ENTITY e SYSTEM 'file:///etc/hostname'>]>\n",
        "<!DOCTYPE Document SYSTEM 'http://192.0.2.1/x.dtd'>\n",
        "<!DOCTYPE Document [<!ENTITY % p SYSTEM 'http://192.0.2.1/x.dtd'> %p;]>\n",
        "<!DOCTYPE Document [<!ATTLIST Amt Ccy CDATA 'EUR'>]>\n",
    ],
)
def test_a_document_type_refuses_before_anything_of_it_is_used(doctype: str) -> None:
    info = "<AddtlNtryInf>&e9;&e;</AddtlNtryInf>" if "ENTITY e" in doctype else ""
    document = camt(entry("5.00", more=info), closing="105.00", doctype=doctype)
    assert errors_of(Camt(), document)[-1][0] in ("document_type", "not_xml")
    assert errors_of(Camt(), document) == errors_of(Camt(), document.replace(info, "")) or info


@pytest.mark.parametrize(
    "data",
    [
        b"", b"   ", b"hello", b"<a/>", b"\x00\x01\x02", b"<Document><BkToCstmrStmt></BkToCstmrStmt></Document>",
        b"<Document xmlns='" + CAMT.encode() + b"'><BkToCstmrStmt><Stmt><Id>x</Id>", b"\xff\xfe<\x00",
        b"<?xml version='1.0' encoding='nonsense'?><a/>",
    ],
)  # fmt: skip
def test_what_is_no_statement_is_refused(data: bytes) -> None:
    assert errors_of(Camt(), data)


def test_a_truncated_document_is_refused() -> None:
    document = camt(entry("5.00"), entry("6.00"), closing="111.00")
    for length in range(0, len(document) - 3, 97):
        assert errors_of(Camt(), document[:length])


def test_a_text_of_ten_megabytes_and_an_entry_of_endless_parts_are_refused() -> None:
    long = entry("5.00", more=f"<AddtlNtryInf>{'x' * 11_000_000}</AddtlNtryInf>")
    assert errors_of(Camt(), camt(long, closing="105.00"))[-1][0] == "not_xml"
    assert errors_of(Camt(), camt(entry("5.00", more="<A/>" * 6000), closing="105.00"))[-1][0] == "too_large"
    deep = "<A>" * 300 + "</A>" * 300
    assert errors_of(Camt(), camt(entry("5.00", more=deep), closing="105.00"))[-1][0] in ("not_xml", "too_large")


def test_a_document_of_endless_elements_is_refused_without_being_read_to_its_end() -> None:
    class Endless(io.RawIOBase):
        taken = 0

        def read(self, size: int = -1) -> bytes:
            self.taken += size
            return (b"<Document>" if self.taken == size else b"") + b"<a></a>" * (size // 7)

    stream = Endless()
    with pytest.raises(BadFile, match="too_large"):
        Camt().parse(stream, facts())  # type: ignore[arg-type] # a stream of which only read is used
    assert stream.taken < 1024 * 1024


def test_memory_does_not_grow_with_what_is_not_kept() -> None:
    pending = entry("1.00", status="<Cd>PDNG</Cd>", more=f"<NtryDtls>{detail('pyo-1', '1.00')}</NtryDtls>")

    def peak(count: int) -> int:
        data = camt(*[pending] * count).encode()
        tracemalloc.start()
        Camt().parse(io.BytesIO(data), facts())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(800) < peak(100) + 200_000
