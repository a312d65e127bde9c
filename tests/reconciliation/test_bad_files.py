"""Files that are refused, and oddities that are not. A refusal leaves a row with its reasons, and no line."""

import io
from datetime import UTC, datetime, timedelta

import pytest

from payments.errors import Invalid
from reconciliation import ingest
from reconciliation.models import ReconciliationRun, SettlementFile, Source, StatementLine
from tests.reconciliation.papers import CHARGE, HEADER, NOW, REFUND, codes, lines, psp_source, receive, report

pytestmark = pytest.mark.django_db


@pytest.fixture
def source() -> Source:
    """Give a source of a PSP account."""
    return psp_source()


def assert_refused(source: Source, content: bytes, *expected: tuple[int | None, str, str]) -> SettlementFile:
    """Hand a file in that has to be refused for these reasons; nothing else may have changed."""
    received = receive(source, content)
    assert received.file.state == SettlementFile.State.QUARANTINED
    assert codes(received.file) == list(expected)
    assert received.run is None
    assert not StatementLine.objects.exists()
    assert not ReconciliationRun.objects.exists()
    return received.file


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (None, "", "empty_file")),
        (b"\n\n", (None, "", "empty_file")),
        (report(), (None, "", "no_lines")),
        (report(CHARGE).decode().encode("utf-16"), (None, "", "wrong_encoding")),
        (report(CHARGE).decode().encode("utf-16-le"), (None, "", "wrong_encoding")),
        (report(CHARGE.replace("Order", "Bücher")).decode().encode("latin-1"), (2, "", "wrong_encoding")),
        (report(CHARGE, REFUND.replace("refund,re_1", "refund\0,re_1")), (3, "", "nul_character")),
        (report(CHARGE, "\\.", REFUND), (3, "", "end_mark")),
        (report(CHARGE, "x" * (10 * 1024 * 1024)), (3, "", "line_too_long")),
        (b"," * 300 + b"\n1\n", (1, "", "too_many_columns")),
    ],
    ids=[
        "empty", "blank", "header only", "UTF-16", "UTF-16 without a mark", "Latin-1", "NUL", "end mark", "10 MB line",
        "300 columns",
    ],
)  # fmt: skip
def test_what_is_no_readable_table_is_refused(
    source: Source, content: bytes, expected: tuple[int | None, str, str]
) -> None:
    """Emptiness, other encodings, and what would damage the reading itself."""
    assert_refused(source, content, expected)


def test_a_file_that_was_cut_off_is_refused(source: Source) -> None:
    """The last row is not whole."""
    whole = report(CHARGE, REFUND)
    file = assert_refused(source, whole[:-30], (3, "", "wrong_column_count"))
    assert "cut off" in file.errors[0]["detail"]


def test_every_row_of_a_wrong_width_is_named(source: Source) -> None:
    """Too few, too many."""
    rows = [CHARGE, "po_1,txn_9", REFUND, f"{REFUND},more"]
    assert_refused(source, report(*rows), (3, "", "wrong_column_count"), (5, "", "wrong_column_count"))


def test_quotes_that_do_not_close_are_refused(source: Source) -> None:
    """Everything behind the quote would be one cell."""
    assert_refused(source, report(CHARGE.replace("Order 1", '"Order 1'), REFUND), (2, "", "invalid_csv"))


def test_missing_columns_are_all_named(source: Source) -> None:
    """A header that lacks three of ours."""
    header = HEADER.replace("gross,", "").replace("reporting_category", "category").replace("currency", "coin")
    expected = [(1, name, "missing_column") for name in ("currency", "gross", "reporting_category")]
    assert_refused(source, report(CHARGE, header=header), *expected)


def test_a_column_that_is_there_twice_is_refused(source: Source) -> None:
    """Which of the two would be meant?"""
    header = HEADER.replace("description", "gross")
    assert_refused(source, report(CHARGE, header=header), (1, "gross", "duplicate_column"))


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "@SUM(A1)", "NaN", "Infinity", "1e5", "1,000.00", " 100.00 ", "0x10", "1_0", "", "-", "9" * 20],
)
def test_a_cell_that_is_no_amount_is_refused(source: Source, cell: str) -> None:
    """Formulas, other notations, decimals that the currency does not have."""
    rows = [CHARGE.replace("100.00", f'"{cell}"')]
    assert_refused(source, report(*rows), (2, "gross", "invalid_amount"))


def test_more_decimals_than_the_currency_has_are_refused(source: Source) -> None:
    """Nothing is rounded."""
    assert_refused(
        source, report(CHARGE.replace("100.00", "100.001")), (2, "gross", "invalid_amount"), (2, "net", "wrong_total")
    )


@pytest.mark.parametrize(
    "moment", ["now", "today", "infinity", "2026-02-29 10:00:00", "2026-13-01 10:00:00", "11/20/2026", ""]
)
def test_a_cell_that_is_no_time_is_refused(source: Source, moment: str) -> None:
    """Words that PostgreSQL would take for a time are none here."""
    rows = [CHARGE.replace("2026-11-20 10:00:00", moment)]
    assert_refused(source, report(*rows), (2, "created_utc", "invalid_time"))


def test_a_file_of_tomorrow_is_refused_until_its_day_has_come(source: Source) -> None:
    """The same bytes are read anew the next day."""
    content = report(CHARGE.replace("2026-11-20 10", "2026-11-22 10"))
    assert_refused(source, content, (2, "", "future_date"))
    again = receive(source, content, now=NOW + timedelta(days=1))
    assert (again.file.state, again.fresh, again.file.line_count) == ("ingested", True, 1)


def test_the_day_is_that_of_the_book(source: Source) -> None:
    """Late in the evening in UTC the day has changed where the merchant is."""
    type(source.book.merchantbook).objects.filter(pk=source.book_id).update(time_zone="Asia/Tokyo")
    late = datetime(2026, 11, 20, 16, tzinfo=UTC)
    receive(source, report(CHARGE.replace("2026-11-20 10:00:00", "2026-11-20 15:30:00")), now=late)
    assert lines(source)[0].booked_on.isoformat() == "2026-11-21"


def test_a_bad_file_is_kept_once(source: Source) -> None:
    """The same bytes with the same errors are the first refusal again."""
    first, second = receive(source, b"nothing"), receive(source, b"nothing", name="another name")
    assert (first.fresh, second.fresh) == (True, False)
    assert first.file.pk == second.file.pk


def test_a_file_over_the_limit_is_refused(source: Source) -> None:
    """It is not even read to its end."""
    received = ingest.receive(
        source,
        io.BytesIO(report(CHARGE)),
        format="stripe_payout_itemized",
        name="",
        received_from="user:tests",
        now=NOW,
        limit_bytes=100,
    )
    assert codes(received.file) == [(None, "", "too_large")]


def test_a_format_that_does_not_exist_is_refused_without_a_trace(source: Source) -> None:
    """It is the caller's mistake, not the file's."""
    with pytest.raises(Invalid):
        receive(source, report(CHARGE), written_in="excel")
    assert not SettlementFile.objects.exists()


def test_a_statement_of_a_bank_is_none_of_a_psp(source: Source) -> None:
    """The format tells the side."""
    received = receive(source, b":20:X\n", written_in="mt940")
    assert codes(received.file) == [(None, "", "other_account")]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + report(CHARGE, REFUND),
        report(CHARGE, REFUND, ending="\r\n"),
        report(CHARGE, REFUND) + b"\n\n\r\n",
        report(CHARGE, REFUND).rstrip(b"\n"),
    ],
    ids=["byte order mark", "CRLF", "empty lines at the end", "no newline at the end"],
)
def test_harmless_oddities_are_accepted(source: Source, content: bytes) -> None:
    """What spreadsheets do to a file."""
    file = receive(source, content).file
    assert (file.errors, file.line_count) == ([], 2)


@pytest.mark.parametrize("cell", ["+100.00", "0100.00", "100", "100.0", "100.000"])
def test_other_ways_to_write_the_same_amount_are_accepted(source: Source, cell: str) -> None:
    """A sign, a zero too many or too few."""
    receive(source, report(CHARGE.replace("100.00", cell)))
    assert lines(source)[0].gross_minor == 10000


def test_a_formula_in_a_text_stays_text(source: Source) -> None:
    """It is stored as it is; exports escape it."""
    receive(source, report(CHARGE.replace("Order 1", "=cmd()")))
    assert lines(source)[0].text == "=cmd()"


def test_a_category_that_nobody_knows_is_no_error(source: Source) -> None:
    """It keeps its name."""
    receive(source, report(CHARGE.replace(",charge,ch_1", ",brand_new_thing,ch_1")))
    assert (lines(source)[0].flow, lines(source)[0].category) == ("other", "brand_new_thing")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("paid with 4242424242424242", "paid with ************4242"),
        ("4242 4242 4242 4242 12/27", "**** **** **** 4242 12/27"),
        ("3782-822463-10005", "****-******-*0005"),
        ("4242424242424243", "4242424242424243"),
        ("1234567890123456", "1234567890123456"),
        ("0199aa11-4242-4242-4242-424242424242", "0199aa11-4242-4242-4242-424242424242"),
    ],
)
def test_card_numbers_are_masked(source: Source, text: str, kept: str) -> None:
    """Only what has the form and the check digit of one; the last four digits stay."""
    receive(source, report(CHARGE.replace("Order 1", text)))
    assert lines(source)[0].text == kept
