"""A BAI2 file is believed when every control total adds up; else it says everything that does not."""

import pytest

from reconciliation.formats.bai2 import Bai2
from reconciliation.formats.base import BadFile, Declared
from tests.reconciliation.bank_documents import DAY, OTHER_IBAN, US_ACCOUNT, bai2, errors_of, lines_of, read


def accept(document: str) -> list[tuple[str, int]]:
    return [(line.flow, line.gross_minor) for line in lines_of(read(Bai2(), document, US_ACCOUNT))]


def refuse(document: str | bytes) -> list[tuple[str, str]]:
    return errors_of(Bai2(), document, US_ACCOUNT)


def test_a_credit_and_a_debit_become_lines_with_their_signs_and_references() -> None:
    document = bai2("16,142,15025,Z,BR1,po_1,STRIPE, PAYOUT/", "16,495,5000,,BR2,pyo-1,/", closing=20_025)
    (statement,) = read(Bai2(), document, US_ACCOUNT)
    assert statement.declared == {"USD": Declared(opening=10000, closing=20025)}
    assert (statement.first_day, statement.last_day) == (DAY, DAY)
    credit, debit = statement.lines
    assert (credit.flow, credit.gross_minor, credit.category, credit.booked_on) == ("credit", 15025, "142", DAY)
    assert (credit.reference, credit.own_reference, credit.text) == ("BR1", "po_1", "STRIPE, PAYOUT")
    assert (debit.flow, debit.gross_minor, debit.own_reference, debit.text) == ("debit", -5000, "pyo-1", "")


def test_a_file_as_a_bank_sends_it_is_read() -> None:
    document = (
        "01,121140399,US,220201,0830,1,,,2/\n02,121140399,121140399,1,220201,,USD,2/\n"
        "03,1234567890,USD,010,34726979,,,015,35217175,,,/\n88,100,490196,1,,400,000,0,/\n16,142,490196,,172629,/\n"
        "88,SOME PAYMENT ACH OFFSET\n49,70924546,5/\n98,70924546,1,7/\n99,70924546,1,9/\n"
    )
    (line,) = lines_of(read(Bai2(), document, US_ACCOUNT))
    assert (line.gross_minor, line.reference, line.own_reference) == (490196, "172629", "")
    assert line.text == "SOME PAYMENT ACH OFFSET"


@pytest.mark.parametrize(
    ("funds", "available"),
    [
        ("", None),
        ("Z", None),
        ("0", None),
        ("S,100,0,0", None),
        ("V,261121,", 21),
        ("V,261121,1200", 21),
        ("D,2,0,60,1,40", None),
    ],
)
def test_the_fields_of_availability_are_passed_over(funds: str, available: int | None) -> None:
    (line,) = lines_of(read(Bai2(), bai2(f"16,142,100,{funds},BR1,C1,TEXT/", closing=10_100), US_ACCOUNT))
    assert (line.reference, line.own_reference, line.text) == ("BR1", "C1", "TEXT")
    assert (line.available_on.day if line.available_on else None) == available


@pytest.mark.parametrize(
    ("code", "flow", "sign"),
    [
        ("142", "credit", 1), ("257", "return", 1), ("354", "interest", 1), ("398", "fee", 1), ("925", "credit", 1),
        ("455", "debit", -1), ("698", "fee", -1), ("654", "interest", -1), ("557", "debit", -1), ("965", "debit", -1),
    ],
)  # fmt: skip
def test_the_type_code_tells_direction_and_flow(code: str, flow: str, sign: int) -> None:
    assert accept(bai2(f"16,{code},100,,,,/", closing=10_000 + sign * 100)) == [(flow, sign * 100)]


def test_reversals_are_marked() -> None:
    (line,) = lines_of(read(Bai2(), bai2("16,252,100,,,,/", closing=10_100), US_ACCOUNT))
    assert line.category == "252:RVSL"


@pytest.mark.parametrize("code", ["010", "700", "900", "999999", "abc", ""])
def test_a_code_without_a_direction_refuses(code: str) -> None:
    assert ("unknown_type", "16") in refuse(bai2(f"16,{code},100,,,,/"))


def test_a_note_without_money_is_passed_over() -> None:
    assert accept(bai2("16,890,,,,,JUST A NOTE/")) == []
    assert ("unknown_type", "16") in refuse(bai2("16,890,5,,,,/"))


@pytest.mark.parametrize(("currency", "written"), [("JPY", 1999), ("KWD", 1999), ("EUR", 1999), ("", 1999)])
def test_amounts_are_minor_units_of_the_currency(currency: str, written: int) -> None:
    document = bai2(f"16,142,{written},,,,/", opening=0, closing=written, currency=currency)
    (line,) = lines_of(read(Bai2(), document, US_ACCOUNT))
    assert (line.currency, line.gross_minor) == (currency or "USD", written)


def test_a_file_without_entries_is_a_file() -> None:
    assert accept(bai2()) == []
    assert accept(bai2(opening=-5_000, closing=-5_000)) == []


def test_every_control_total_is_compared() -> None:
    entry = "16,142,100,,,,/"
    good = bai2(entry, closing=10_100)
    for record, code in (("49,", "49"), ("98,", "98"), ("99,", "99")):
        whole = next(line for line in good.splitlines() if line.startswith(record))
        fields = whole.rstrip("/").split(",")
        for at in range(1, len(fields)):
            changed = ",".join(str(int(one) + 1) if at == place else one for place, one in enumerate(fields)) + "/"
            assert ("wrong_total", code) in refuse(good.replace(whole, changed)), changed
    assert ("wrong_total", "") in refuse(bai2(entry, closing=10_101))


def test_an_account_without_its_balances_refuses() -> None:
    document = bai2().replace("010,10000,,,015,10000,,/", "040,20000,,/")
    assert refuse(document) == [("missing_value", "03")]


def test_the_statement_of_another_account_refuses() -> None:
    assert refuse(bai2(account="999")) == [("other_account", "03")]
    assert errors_of(Bai2(), bai2(), OTHER_IBAN) == [("other_account", "03")]


def test_the_statement_of_a_day_to_come_refuses() -> None:
    assert refuse(bai2(day="261123")) == [("future_date", "")]


@pytest.mark.parametrize(
    "change", [{"status": "2"}, {"status": "4"}, {"status": ""}, {"modifier": "3"}, {"modifier": "1"}]
)
def test_deletions_tests_and_interim_reports_refuse(change: dict[str, str]) -> None:
    assert refuse(bai2(**change)) == [("unknown_status", "02")]


def test_a_correction_has_the_identity_of_what_it_corrects() -> None:
    (first,), (second,) = (read(Bai2(), bai2(status=status), US_ACCOUNT) for status in "13")
    assert first.identity == second.identity


def test_all_errors_are_told_at_once_with_their_lines() -> None:
    entries = ("16,142,100,Q,,,/", "16,142,200,D,x,,,/", "16,700,100,,,,/")
    document = bai2(*entries, total=1, count=9, day="261340")
    with pytest.raises(BadFile) as caught:
        read(Bai2(), document, US_ACCOUNT)
    assert [(one.code, one.line) for one in caught.value.errors] == [
        ("invalid_time", 2), ("invalid_record", 4), ("invalid_record", 5), ("unknown_type", 6),
        ("wrong_total", 7), ("wrong_total", 7), ("wrong_total", 8), ("wrong_total", 8), ("wrong_total", 9),
        ("wrong_total", 9),
    ]  # fmt: skip


@pytest.mark.parametrize("gone", ["01,", "02,", "03,", "49,", "98,", "99,"])
def test_a_record_that_is_missing_refuses(gone: str) -> None:
    whole = bai2("16,142,100,,,,/", closing=10_100)
    assert refuse("\n".join(line for line in whole.splitlines() if not line.startswith(gone)))


def test_a_truncated_file_is_refused() -> None:
    document = bai2("16,142,100,,,,/", "16,475,50,,,,/", closing=10_050)
    for length in range(len(document) - 2):  # the last slash and line end say nothing
        assert refuse(document[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"", b" \n ", b"hello", b"88,x/", b"\x00", b"99,0,0,1/", b"01,a,b,261120,0000,1,,,2/\n99,0,0,2/",
        b"\xff\xfe\x41",
        b"16," * 500_000, b"01,a\n" + b"88,b\n" * 5000, b"\n" * 3_000_000, b"01," + b"," * 20_000,
        b"01,a,b,261120,0000,1,,,3/\n",
    ],
)  # fmt: skip
def test_what_is_no_file_is_refused(data: bytes) -> None:
    assert refuse(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "   \n"])
def test_encodings_line_ends_and_padding_are_known(encoding: str, end: str) -> None:
    text = bai2("16,142,100,,,,CAFÉ/", closing=10_100).replace("\n", end)
    assert lines_of(read(Bai2(), text.encode(encoding), US_ACCOUNT))[0].text == "CAFÉ"
