"""Statements written by hand for the tests, each line spelled out; nothing here is computed by the code under test."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from typing import Any

from payments.models import PspAccount
from reconciliation import ingest
from reconciliation.ingest import Received
from reconciliation.models import SettlementFile, Source, StatementLine
from tests.factories import tenant

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HEADER = (
    "automatic_payout_id,balance_transaction_id,charge_id,created_utc,available_on_utc,currency,gross,fee,net,"
    "payment_intent_id,reporting_category,source_id,description,transfer_metadata[florin_operation],trace_id"
)
CHARGE = "po_1,txn_1,ch_1,2026-11-20 10:00:00,2026-11-22 00:00:00,eur,100.00,1.75,98.25,pi_1,charge,ch_1,Order 1,,"
REFUND = "po_1,txn_2,ch_1,2026-11-20 11:00:00,2026-11-20 11:00:00,eur,-30.00,0.00,-30.00,pi_1,refund,re_1,,,"
DISPUTE = "po_1,txn_3,ch_2,2026-11-20 12:00:00,2026-11-20 12:00:00,eur,-50.00,15.00,-65.00,pi_2,dispute,du_1,,,"
TRANSFER = ",txn_4,,2026-11-20 13:00:00,2026-11-20 13:00:00,eur,-20.00,0.00,-20.00,,transfer,tr_1,,op-17,"
PAYOUT = ",txn_5,,2026-11-20 14:00:00,2026-11-20 14:00:00,eur,-3.25,0.00,-3.25,,payout,po_1,,,TRACE-1"


def report(*rows: str, header: str = HEADER, ending: str = "\n") -> bytes:
    """Write a report of rows."""
    return ending.join((header, *rows, "")).encode()


def psp_source() -> Source:
    """Open the source of a merchant's PSP account; its days begin at midnight UTC."""
    account = tenant().psp_account
    assert isinstance(account, PspAccount)
    return Source.objects.create(
        public_id=account.public_id,
        book_id=account.book_id,
        code=account.code,
        side=Source.Side.PSP,
        psp_account=account,
        starts_on=date(2026, 11, 1),
    )


def receive(
    source: Source,
    content: bytes,
    written_in: str = "stripe_payout_itemized",
    name: str = "report.csv",
    now: datetime = NOW,
) -> Received:
    """Hand a file in."""
    return ingest.receive(
        source, io.BytesIO(content), format=written_in, name=name, received_from="user:tests", now=now
    )


def lines(source: Source) -> list[StatementLine]:
    """Return every line of a source in the order in which it was kept."""
    return list(StatementLine.objects.filter(source=source).order_by("id"))


def codes(file: SettlementFile) -> list[tuple[Any, str, str]]:
    """Return what is wrong with a file: line, column, code."""
    return [(error["line"], error["column"], error["code"]) for error in file.errors]
