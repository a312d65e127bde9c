"""An MT940 statement is believed when everything it says about itself is true; else it says everything that is not."""

from datetime import date

import pytest

from reconciliation.formats.base import BadFile, Declared
from reconciliation.formats.mt940 import Mt940
from tests.reconciliation.bank_documents import DAY, IBAN, OTHER_IBAN, errors_of, lines_of, mt940, read


def test_a_credit_and_a_debit_become_lines_with_their_signs_and_references() -> None:
    document = mt940(
        ":61:2611201120CR150,25NTRFNONREF//BR1", ":86:STRIPE PAYOUT po_1", ":61:261120D50,NTRFpyo-1//BR2",
        closing="C261120EUR200,25",
    )  # fmt: skip
    (statement,) = read(Mt940(), document)
    assert statement.declared == {"EUR": Declared(opening=10000, closing=20025)}
    assert statement.last_day == DAY
    credit, debit = statement.lines
    assert (credit.flow, credit.gross_minor, credit.booked_on, credit.category) == ("credit", 15025, DAY, "NTRF")
    assert (credit.reference, credit.own_reference, credit.text) == ("BR1", "", "STRIPE PAYOUT po_1")
    assert (debit.flow, debit.gross_minor, debit.own_reference, debit.text) == ("debit", -5000, "pyo-1", "")
    assert [line.number for line in statement.lines] == [1, 2]
    assert credit.key != debit.key


@pytest.mark.parametrize(
    ("mark", "amount", "category"),
    [("C", 1000, "NTRF"), ("D", -1000, "NTRF"), ("RC", -1000, "NTRF:RVSL"), ("RD", 1000, "NTRF:RVSL")],
)
def test_a_reversal_of_a_credit_takes_and_one_of_a_debit_brings(mark: str, amount: int, category: str) -> None:
    document = mt940(f":61:261120{mark}10,NTRFNONREF", closing=f"C261120EUR{100 + amount // 100},")
    (line,) = lines_of(read(Mt940(), document))
    assert (line.gross_minor, line.category) == (amount, category)


@pytest.mark.parametrize(
    ("value", "entry", "booked"),
    [
        ("260102", "1231", date(2025, 12, 31)),
        ("251231", "0102", date(2026, 1, 2)),
        ("261120", "1119", date(2026, 11, 19)),
        ("261120", "", date(2026, 11, 20)),
        ("261120", "    ", date(2026, 11, 20)),
        ("240301", "0229", date(2024, 2, 29)),
    ],
)
def test_an_entry_date_is_of_the_year_in_which_it_is_nearest_to_the_value_date(
    value: str, entry: str, booked: date
) -> None:
    (line,) = lines_of(read(Mt940(), mt940(f":61:{value}{entry}C1,NTRFNONREF", closing="C261120EUR101,")))
    assert line.booked_on == booked


def test_the_thirtieth_of_february_is_its_last_day() -> None:
    (line,) = lines_of(read(Mt940(), mt940(":61:2602300227C1,NTRFNONREF", closing="C261120EUR101,")))
    assert (line.available_on, line.booked_on) == (date(2026, 2, 28), date(2026, 2, 27))


def test_german_sub_fields_are_read() -> None:
    text = (
        ":86:117?00SEPA UEBERWEISUNG?109310?20EREF+pyo-01jz3v7q2m8n4k5p?216r7s8t9u0v?22KREF+bfl-01jz?23SVWZ+Auszahlung"
        f"\r\n?24 Oktober?30COBADEFF?31{OTHER_IBAN}?32Anna Musterfrau"
    )
    document = mt940(":61:261120D50,NTRFpyo-01jz3v7q2m//BR2", text, closing="C261120EUR50,00")
    (line,) = lines_of(read(Mt940(), document))
    assert line.own_reference == "pyo-01jz3v7q2m8n4k5p6r7s8t9u0v"
    assert (line.batch, line.counterparty, line.category) == ("bfl-01jz", OTHER_IBAN, "NTRF-117")
    assert line.text == "SEPA UEBERWEISUNG Auszahlung Oktober"


@pytest.mark.parametrize(
    ("code", "mark", "flow"),
    [("808", "D", "fee"), ("814", "C", "interest"), ("159", "C", "return"), ("166", "C", "credit")],
)
def test_german_codes_tell_charges_interest_and_returns(code: str, mark: str, flow: str) -> None:
    document = mt940(
        f":61:261120{mark}1,NMSCNONREF", f":86:{code}?00WORT?20EREF+pyo-1?21SVWZ+GRUND AC04",
        closing=f"C261120EUR{101 if mark == 'C' else 99},",
    )  # fmt: skip
    (line,) = lines_of(read(Mt940(), document))
    assert line.flow == flow
    assert line.category == (f"NMSC-{code}:AC04" if flow == "return" else f"NMSC-{code}")


def test_dutch_codes_between_slashes_are_read() -> None:
    text = (
        f":86:/TRTP/SEPA OVERBOEKING/IBAN/{OTHER_IBAN}/BIC/ABNANL2A/NAME/J. Jansen\r\n"
        "/REMI/USTD//betaling 7/8/EREF/pyo-77"
    )
    (line,) = lines_of(read(Mt940(), mt940(":61:261120D50,NTRFNONREF", text, closing="C261120EUR50,")))
    assert (line.own_reference, line.counterparty) == ("pyo-77", OTHER_IBAN)
    assert line.text == "SEPA OVERBOEKING betaling 7/8"


def test_a_dutch_return_is_a_return() -> None:
    text = ":86:/RTRN/AC01/EREF/pyo-77/CNTP/NL91ABNA0417164300/ABNANL2A/J. Jansen///REMI/USTD//terug/"
    (line,) = lines_of(read(Mt940(), mt940(":61:261120C50,NTRFNONREF", text, closing="C261120EUR150,")))
    assert (line.flow, line.category, line.own_reference) == ("return", "NTRF:AC01", "pyo-77")
    assert line.counterparty == OTHER_IBAN


@pytest.mark.parametrize(
    ("word", "mark", "flow"),
    [("NCHG", "D", "fee"), ("NINT", "C", "interest"), ("NRTI", "C", "return"), ("FRTI", "D", "debit")],
)
def test_the_type_of_an_entry_tells_charges_interest_and_returns(word: str, mark: str, flow: str) -> None:
    document = mt940(f":61:261120{mark}1,{word}NONREF", closing=f"C261120EUR{101 if mark == 'C' else 99},")
    assert [line.flow for line in lines_of(read(Mt940(), document))] == [flow]


def test_a_reference_that_is_cut_off_is_completed_from_the_text_and_else_kept() -> None:
    cut = ":61:261120D50,NTRFpyo-0123456789ab//BR2"
    known = mt940(cut, ":86:AUSZAHLUNG pyo-0123456789abcdef DANKE", closing="C261120EUR50,")
    assert lines_of(read(Mt940(), known))[0].own_reference == "pyo-0123456789abcdef"
    unknown = mt940(cut, ":86:AUSZAHLUNG", closing="C261120EUR50,")
    assert lines_of(read(Mt940(), unknown))[0].own_reference == "pyo-0123456789ab"


def test_a_reference_longer_than_the_standard_is_read_up_to_the_banks() -> None:
    document = mt940(":61:261120D50,NTRFpyo-0123456789abcdef01//2026112012345", closing="C261120EUR50,")
    (line,) = lines_of(read(Mt940(), document))
    assert (line.own_reference, line.reference) == ("pyo-0123456789abcdef01", "2026112012345")


def test_a_supplement_to_an_entry_is_part_of_its_text() -> None:
    document = mt940(":61:261120C1,NTRFNONREF//B1\r\nOCMT/EUR1,00", ":86:FREI", closing="C261120EUR101,")
    assert lines_of(read(Mt940(), document))[0].text == "FREI OCMT/EUR1,00"


def test_pages_are_one_statement() -> None:
    first = mt940(":61:261120C1,NTRFNONREF//B1").replace(":62F:C261120EUR100,00", ":62M:C261120EUR101,")
    second = mt940(":61:261120C2,NTRFNONREF//B2", closing="C261120EUR103,").replace(
        ":60F:C261119EUR100,00", ":60M:C261120EUR101,"
    )
    (statement,) = read(Mt940(), first + second)
    assert statement.declared["EUR"] == Declared(opening=10000, closing=10300)
    assert [(line.number, line.reference) for line in statement.lines] == [(1, "B1"), (2, "B2")]
    torn = errors_of(Mt940(), first + second.replace(":60M:C261120EUR101,", ":60M:C261120EUR101,50"))
    assert ("wrong_total", "60M") in torn
    (page,) = read(Mt940(), second)
    assert page.declared["EUR"] == Declared(opening=10100, closing=10300)


def test_several_statements_are_read_each_for_itself() -> None:
    one, other = mt940(), mt940(":61:261120C1,NTRFNONREF", closing="C261120EUR101,").replace("00231", "00232")
    first, second = read(Mt940(), one + other)
    assert (len(list(first.lines)), len(list(second.lines))) == (0, 1)
    assert first.identity != second.identity


@pytest.mark.parametrize(
    "account", [IBAN, "DE89 3704 0044 0532 0130 00", f"{IBAN}EUR", "37040044/0532013000", "37040044/532013000"]
)
def test_the_account_is_known_in_the_ways_banks_write_it(account: str) -> None:
    assert read(Mt940(), mt940(account=account))


@pytest.mark.parametrize("account", [OTHER_IBAN, "37040044/0532013001", "0532013000"])
def test_the_statement_of_another_account_refuses(account: str) -> None:
    assert errors_of(Mt940(), mt940(account=account)) == [("other_account", "25")]


def test_the_statement_of_a_day_to_come_refuses() -> None:
    assert errors_of(Mt940(), mt940(closing="C261123EUR100,00")) == [("future_date", "")]


def test_an_opening_that_with_the_entries_does_not_make_the_closing_refuses() -> None:
    assert errors_of(Mt940(), mt940(":61:261120C1,NTRFNONREF", closing="C261120EUR101,01")) == [("wrong_total", "")]
    assert read(Mt940(), mt940(":61:261120C1,NTRFNONREF", opening="D261119EUR3,", closing="D261120EUR2,"))


def test_sums_of_debits_and_credits_are_compared() -> None:
    entries = (":61:261120C5,NTRFNONREF", ":61:261120D3,NTRFNONREF", ":61:261120C1,NTRFNONREF")
    assert read(Mt940(), mt940(*entries, ":90D:1EUR3,00", ":90C:2EUR6,00", closing="C261120EUR103,"))
    wrong = mt940(*entries, ":90D:2EUR3,00", ":90C:2EUR6,01", ":90C:XEUR", closing="C261120EUR103,")
    assert errors_of(Mt940(), wrong) == [("wrong_total", "90D"), ("wrong_total", "90C"), ("invalid_amount", "90C")]


def test_all_errors_are_told_at_once_with_their_lines() -> None:
    document = mt940(
        ":61:261120C1.50NTRFNONREF", ":61:261320C1,NTRFNONREF", ":61:261120X1,NTRFNONREF", ":61:261120C1,005NTRFNONREF",
        ":61:2611201350C1,NTRFNONREF", closing="C261120EUR7,",
    )  # fmt: skip
    with pytest.raises(BadFile) as caught:
        read(Mt940(), document)
    assert [(one.code, one.line) for one in caught.value.errors] == [
        ("invalid_record", 5), ("invalid_time", 6), ("invalid_record", 7), ("invalid_amount", 8), ("invalid_time", 9),
        ("wrong_total", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_encodings_and_line_ends_are_known(encoding: str, end: str) -> None:
    text = mt940(":61:261120C1,NTRFNONREF", ":86:GEBÜHR", closing="C261120EUR101,").replace("\r\n", end)
    assert lines_of(read(Mt940(), text.encode(encoding)))[0].text == "GEBÜHR"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{1:F01BANKDEFFAXXX0000000000}{2:O9401200}{4:\r\n", "}\r\n{5:{CHK:123456789ABC}}"),
        ("ABNANL2A\r\n940\r\nABNANL2A\r\n", "\r\n"),
        (":940:\r\n", ""),
        ("\r\n\r\n", "\r\n\r\n"),
    ],
)
def test_what_banks_write_around_a_message_is_left_out(before: str, after: str) -> None:
    document = before + mt940(":61:261120C1,NTRFNONREF", closing="C261120EUR101,").rstrip() + after
    assert len(lines_of(read(Mt940(), document))) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"", b"  \n", b"hello", b"<Document/>", b"\x00\x01", b":61:261120C1,NTRFNONREF", b"\xff\xfe\x41",
        b":20:X\n:25:" + IBAN.encode(), b":20:X\n" * 5000, b"\n" * 3_000_000, b":20:" + b"x" * 10_000_000,
        b":20:X\n:25:Y\n:61:" + b"9" * 7000, b":20:X\n:86:" + b"y\n" * 9000,
    ],
)  # fmt: skip
def test_what_is_no_statement_is_refused(data: bytes) -> None:
    assert errors_of(Mt940(), data)


def test_a_truncated_file_is_refused() -> None:
    document = mt940(":61:261120C5,NTRFNONREF", ":86:TEXT", ":61:261120C6,NTRFNONREF", closing="C261120EUR111,00")
    whole = len(document.rstrip("-\r\n")) - 3  # the decimals of the last balance may be missing
    for length in range(whole):
        assert errors_of(Mt940(), document[:length])


def test_currencies_without_and_with_three_decimals_are_counted_right() -> None:
    yen = mt940(":61:261120C1999,NTRFNONREF", opening="C261119JPY0,", closing="C261120JPY1999,")
    assert lines_of(read(Mt940(), yen))[0].gross_minor == 1999
    dinar = mt940(":61:261120C1,999NTRFNONREF", opening="C261119KWD0,", closing="C261120KWD1,999")
    assert lines_of(read(Mt940(), dinar))[0].gross_minor == 1999
    assert ("invalid_currency", "60F") in errors_of(Mt940(), mt940(opening="C261119XXX0,"))
    assert ("invalid_currency", "62F") in errors_of(Mt940(), mt940(opening="C261119USD100,"))
