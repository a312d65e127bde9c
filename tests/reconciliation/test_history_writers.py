"""The writers of the history: what they write is what the formats' publications show, and it adds up by itself."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest

from benchmarks.reconciliation.history.money import major
from benchmarks.reconciliation.history.outside import BankDay, BankEntry, Entered, Kind, PspLine
from benchmarks.reconciliation.history.writers import adyen, bai2, camt, declared, mt940, stripe

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 11, 20)


def psp_line(
    kind: Kind = Kind.CHARGE, currency: str = "EUR", gross: int = 10_000, fee: int = 175, **more: object
) -> PspLine:
    found = PspLine("txn_1", kind, currency, gross, datetime(2026, 11, 20, 23, 30, tzinfo=UTC), "ch_1", fee=fee)
    found.charge, found.payment, found.payout, found.available_on = "ch_1", "pi_1", "po_1", date(2026, 11, 24)
    for name, value in more.items():
        setattr(found, name, value)
    return found


def statement(
    *entries: BankEntry, opening: int = 0, currency: str = "EUR", account: str = "DE75512108001245126199"
) -> BankDay:
    found = BankDay("2026324EUR", 324, DAY, currency, account, opening, list(entries))
    found.closing = opening + sum(entry.amount for entry in entries if not entry.pending)
    return found


@pytest.mark.parametrize(
    ("minor", "currency", "written"),
    [(-1050, "EUR", "-10.50"), (5, "USD", "0.05"), (7, "JPY", "7"), (-1, "KWD", "-0.001"), (0, "EUR", "0.00")],
)
def test_amounts_have_the_decimals_of_their_currency(minor: int, currency: str, written: str) -> None:
    assert major(minor, currency) == written


def test_stripe_reports_have_net_as_gross_less_fee_and_both_clocks() -> None:
    (row,) = csv.DictReader(io.StringIO(stripe.payout_reconciliation([psp_line()], BERLIN).decode()))
    assert (row["gross"], row["fee"], row["net"]) == ("100.00", "1.75", "98.25")
    assert (row["created_utc"], row["created"]) == ("2026-11-20 23:30:00", "2026-11-21 00:30:00")
    assert (row["reporting_category"], row["automatic_payout_id"]) == ("charge", "po_1")


def test_stripe_activity_leaves_payouts_out() -> None:
    written = stripe.balance_change([psp_line(), psp_line(Kind.PAYOUT, gross=-9825, fee=0)], BERLIN)
    assert [row["reporting_category"] for row in csv.DictReader(io.StringIO(written.decode()))] == ["charge"]


def test_quoted_newlines_of_a_text_stay_in_one_cell() -> None:
    written = stripe.balance_change([psp_line(text='with "thanks",\nfor a teapot')], BERLIN)
    (row,) = csv.DictReader(io.StringIO(written.decode()))
    assert row["description"] == 'with "thanks",\nfor a teapot'


def test_adyen_rows_are_unsigned_and_their_net_is_gross_less_the_four_fees() -> None:
    lines = [psp_line(gross=500, fee=12), psp_line(Kind.REFUND, gross=-200, fee=0, source="re_1")]
    settled, refunded = csv.DictReader(io.StringIO(adyen.settlement_details(lines, 1001, BERLIN).decode()))
    fees = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
    assert Decimal(settled["Gross Credit (GC)"]) - sum(Decimal(settled[fee]) for fee in fees) == Decimal("4.88")
    assert settled["Net Credit (NC)"] == "4.88"
    assert (settled["Psp Reference"], settled["Modification Reference"], settled["TimeZone"]) == ("pi_1", "ch_1", "CET")
    assert (refunded["Type"], refunded["Net Debit (NC)"], refunded["Net Credit (NC)"]) == ("Refunded", "2.00", "")
    assert (refunded["Psp Reference"], refunded["Modification Reference"]) == ("pi_1", "re_1")


def test_an_adyen_batch_ends_with_the_payout_of_its_sum() -> None:
    lines = [psp_line(gross=500, fee=12), psp_line(Kind.PAYOUT, gross=-488, fee=0, source="1001")]
    rows = list(csv.DictReader(io.StringIO(adyen.settlement_details(lines, 1001, BERLIN).decode())))
    assert (rows[-1]["Type"], rows[-1]["Net Debit (NC)"], rows[-1]["Batch Number"]) == (
        "MerchantPayout",
        "4.88",
        "1001",
    )
    assert rows[-1]["Gross Currency"] == ""


@pytest.mark.parametrize("version", [2, 8])
def test_camt_balances_close_and_names_stand_where_the_version_has_them(version: int) -> None:
    credit = BankEntry(Entered.PSP_CREDIT, "EUR", 9825, DAY, "B1", text="STRIPE po_1", name="STRIPE", charges=25)
    document = ET.fromstring(camt.statement(statement(credit, opening=-100), version=version))
    tag = f"{{urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version:02}}}"
    amounts = {
        balance.findtext(f"{tag}Tp/{tag}CdOrPrtry/{tag}Cd"): balance.findtext(f"{tag}Amt")
        for balance in document.iter(f"{tag}Bal")
    }
    assert amounts == {"OPBD": "1.00", "CLBD": "97.25"}
    (status,) = document.iter(f"{tag}Sts")
    assert (status.text or status.findtext(f"{tag}Cd")) == "BOOK"
    path = f"{tag}Dbtr/{tag}Pty/{tag}Nm" if version == 8 else f"{tag}Dbtr/{tag}Nm"
    (parties,) = document.iter(f"{tag}RltdPties")
    assert parties.findtext(path) == "STRIPE"
    (instructed,) = document.iter(f"{tag}InstdAmt")
    assert instructed.findtext(f"{tag}Amt") == "98.50"


def test_camt_counts_booked_entries_only() -> None:
    booked = BankEntry(Entered.CREDIT, "EUR", 100, DAY, "B1")
    waiting = BankEntry(Entered.CREDIT, "EUR", 900, DAY, "B2", pending=True)
    written = camt.statement(statement(booked, waiting)).decode()
    assert "<TtlNtries><NbOfNtries>1</NbOfNtries><Sum>1.00</Sum></TtlNtries>" in written
    assert "<Sts><Cd>PDNG</Cd></Sts>" in written


def test_mt940_has_the_lines_of_the_standard_and_cuts_references() -> None:
    entry = BankEntry(
        Entered.TRANSFER_OUT, "JPY", -5000, DAY, "B1", end_to_end="A-REFERENCE-OF-30-CHARACTERS", text="RENT",
        value_day=date(2026, 11, 23),
    )  # fmt: skip
    lines = mt940.statement(statement(entry, opening=9000, currency="JPY", account="0017290041")).decode().split("\r\n")
    assert lines[:4] == [":20:2026324EUR", ":25:0017290041", ":28C:00324/001", ":60F:C261120JPY9000,"]
    assert lines[4] == ":61:2611231120D5000,NTRFA-REFERENCE-OF-3//B1"
    assert lines[5] == ":86:/EREF/A-REFERENCE-OF-30-CHARACTERS/REMI/RENT"
    assert ":62F:C261120JPY4000," in lines


def test_mt940_writes_decimals_with_a_comma_and_debit_balances_with_d() -> None:
    written = mt940.statement(statement(opening=-1250)).decode()
    assert ":60F:D261120EUR12,50\r\n" in written
    assert ":62F:D261120EUR12,50\r\n" in written


def test_bai2_totals_are_those_of_the_published_sample() -> None:
    credit = BankEntry(Entered.PSP_CREDIT, "USD", 490_196, date(2022, 2, 1), "172629", text="SOME PAYMENT")
    day = BankDay("S", 1, date(2022, 2, 1), "USD", "1234567890", 34_726_979, [credit], 35_217_175)
    records = bai2.statement(day).decode().splitlines()
    assert records[2] == "03,1234567890,USD,010,34726979,,,015,35217175,,/"
    assert records[3] == "88,100,490196,1,,400,0,0,/"
    assert records[4] == "16,142,490196,,172629,,/"
    # Each amount counts: the balances, the summary of the credits, and the credit itself.
    total = 34_726_979 + 35_217_175 + 490_196 + 490_196
    assert records[-3:] == [f"49,{total},5/", f"98,{total},1,7/", f"99,{total},1,9/"]


def test_declared_csv_is_what_a_spreadsheet_of_the_bank_writes() -> None:
    credit = BankEntry(Entered.CREDIT, "KWD", -1500, DAY, "B1", text="TWO WORDS")
    written = declared.statement(statement(credit, currency="KWD"), mark=True)
    assert written.startswith(b"\xef\xbb\xbfBooking day;Value day;Amount;")
    (row,) = csv.DictReader(io.StringIO(written.decode("utf-8-sig"), newline=""), delimiter=";")
    assert (row["Booking day"], row["Amount"], row["Purpose"]) == ("20.11.2026", "-1,500", "TWO\nWORDS")
