"""Stripe's itemised reports: what becomes of each line, and which reports are refused."""

from datetime import UTC, date, datetime

import pytest

from reconciliation.models import ReconciliationRun, SettlementFile, StatementLine
from tests.reconciliation.papers import (
    CHARGE,
    DISPUTE,
    HEADER,
    PAYOUT,
    REFUND,
    TRANSFER,
    codes,
    lines,
    psp_source,
    receive,
    report,
)

pytestmark = pytest.mark.django_db


def test_each_line_is_kept_in_our_words() -> None:
    """Flow, signs, references, batch and days follow the table of the design."""
    source = psp_source()
    received = receive(source, report(CHARGE, REFUND, DISPUTE, TRANSFER, PAYOUT))
    file = received.file
    assert (file.state, file.errors, received.fresh) == ("ingested", [], True)
    assert (file.line_count, file.new_count, file.known_count, file.changed_count) == (5, 5, 0, 0)
    assert (file.first_day, file.last_day) == (date(2026, 11, 20), date(2026, 11, 20))
    kept = [
        (one.number, one.key, one.flow, one.gross_minor, one.fee_minor, one.reference, one.charge_reference, one.batch,
         one.own_reference)
        for one in lines(source)
    ]  # fmt: skip
    assert kept == [
        (1, "txn_1", "charge", 10000, 175, "pi_1", "ch_1", "po_1", ""),
        (2, "txn_2", "refund", -3000, 0, "re_1", "pi_1", "po_1", ""),
        (3, "txn_3", "dispute", -5000, 1500, "du_1", "pi_2", "po_1", ""),
        (4, "txn_4", "transfer", -2000, 0, "tr_1", "", "", "op-17"),
        (5, "txn_5", "payout", -325, 0, "po_1", "", "", "TRACE-1"),
    ]
    first = lines(source)[0]
    assert (first.currency, first.booked_on, first.available_on) == ("EUR", date(2026, 11, 20), date(2026, 11, 22))
    assert first.occurred_at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert first.text == "Order 1"


def test_a_run_is_queued_for_the_last_day() -> None:
    """The file's day is looked at."""
    source = psp_source()
    run = receive(source, report(CHARGE)).run
    assert run is not None
    assert (run.day, run.state, run.verdict) == (date(2026, 11, 20), ReconciliationRun.State.QUEUED, "")


def test_all_that_is_wrong_with_a_file_is_told_at_once() -> None:
    """Every bad cell of every row; nothing is kept."""
    source = psp_source()
    bad = [
        CHARGE.replace("100.00", "=1+1"),
        REFUND.replace("eur", "xxx"),
        DISPUTE.replace("-65.00", "-64.00"),
        TRANSFER.replace("2026-11-20 13:00:00,2026-11-20 13", "2026-02-30 13:00:00,2026-13-20 13"),
        PAYOUT.replace("-3.25,0.00,-3.25", "-3.251,0.00,-3.251"),
        PAYOUT.replace("txn_5", ""),
    ]
    file = receive(source, report(CHARGE, *bad)).file
    assert file.state == SettlementFile.State.QUARANTINED
    assert codes(file) == [
        (3, "gross", "invalid_amount"),
        (4, "currency", "invalid_currency"),
        (5, "net", "wrong_total"),
        (6, "available_on_utc", "invalid_time"),
        (6, "created_utc", "invalid_time"),
        (7, "gross", "invalid_amount"),
        (7, "net", "invalid_amount"),
        (8, "balance_transaction_id", "missing_value"),
    ]
    assert not StatementLine.objects.exists()
    assert not ReconciliationRun.objects.exists()


def test_columns_are_found_by_name_in_any_order() -> None:
    """Order does not matter, and what is not known is not read."""
    source = psp_source()
    names, cells = HEADER.split(","), CHARGE.split(",")
    turned = [",".join([*reversed(row), extra]) for row, extra in ((names, "customer_email"), (cells, "a@example.org"))]
    file = receive(source, report(turned[1], header=turned[0])).file
    assert file.errors == []
    assert (lines(source)[0].reference, lines(source)[0].gross_minor) == ("pi_1", 10000)
