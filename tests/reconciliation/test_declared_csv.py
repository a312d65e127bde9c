"""CSV of anybody, read as the source declares it; and sources that are opened and described by a command."""

from __future__ import annotations

import json
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from payments.errors import Conflict, Invalid
from reconciliation import sources
from reconciliation.models import Source, StatementLine
from tests.factories import tenant
from tests.reconciliation.papers import NOW, codes, lines, receive

pytestmark = pytest.mark.django_db

DECLARATION = {
    "delimiter": ";",
    "decimal": ",",
    "date": "DD.MM.YYYY",
    "encoding": "windows-1252",
    "currency": "EUR",
    "columns": {
        "booked_on": "Buchungstag",
        "available_on": "Valuta",
        "amount": "Betrag",
        "category": "Art",
        "text": "Verwendungszweck",
        "account": "Konto",
        "balance": "Saldo",
    },
    "flows": {"Entgelt": "fee"},
}
HEADER = "Konto;Buchungstag;Valuta;Art;Verwendungszweck;Betrag;Saldo"
IBAN = "DE89 3704 0044 0532 0130 00"
CREDIT = f"{IBAN};20.11.2026;20.11.2026;Gutschrift;Überweisung Müller;1.234,56;1.234,56"
FEE = f"{IBAN};20.11.2026;21.11.2026;Entgelt;Kontoführung;-4,56;1.230,00"
DEBIT = f"{IBAN};21.11.2026;21.11.2026;Lastschrift;Miete;-1.000,00;230,00"


def bank(declaration: dict[str, Any] | None = None) -> Source:
    """Open a bank account whose statements are such files."""
    return sources.open_bank(
        tenant().book.pk, name="house", account=IBAN, format="csv", columns=declaration or DECLARATION, now=NOW
    )


def statement(*rows: str, header: str = HEADER) -> bytes:
    """Write a statement as a German bank does."""
    return "\r\n".join((header, *rows, "")).encode("windows-1252")


def test_a_file_is_read_as_declared() -> None:
    """Decimal comma, thousands, other encoding, days of another form, flows by word and else by sign."""
    source = bank()
    file = receive(source, statement(CREDIT, FEE, DEBIT), written_in="csv").file
    assert file.errors == []
    kept = [(one.flow, one.category, one.gross_minor, one.booked_on, one.text) for one in lines(source)]
    assert kept == [
        ("credit", "Gutschrift", 123456, date(2026, 11, 20), "Überweisung Müller"),
        ("fee", "Entgelt", -456, date(2026, 11, 20), "Kontoführung"),
        ("debit", "Lastschrift", -100000, date(2026, 11, 21), "Miete"),
    ]


def test_twins_of_a_day_stay_and_files_that_overlap_agree() -> None:
    """Lines without an id are known by content, and by which of their twins they are."""
    source = bank({**DECLARATION, "columns": {k: v for k, v in DECLARATION["columns"].items() if k != "balance"}})  # type: ignore[attr-defined]
    first = receive(source, statement(CREDIT, CREDIT, FEE), written_in="csv").file
    assert (first.new_count, first.known_count) == (3, 0)
    second = receive(source, statement(CREDIT, CREDIT, CREDIT, DEBIT), written_in="csv").file
    assert (second.new_count, second.known_count) == (2, 2)


def test_balances_that_do_not_follow_refuse_the_file() -> None:
    """A line was left out; upside down is as good as downwards."""
    source = bank()
    file = receive(source, statement(CREDIT, DEBIT), written_in="csv").file
    assert codes(file) == [(None, "balance", "wrong_total")]
    assert receive(source, statement(DEBIT, FEE, CREDIT), written_in="csv").file.errors == []


def test_a_line_of_another_account_refuses_the_file() -> None:
    """Whoever took the wrong file."""
    source = bank()
    other = CREDIT.replace("0130 00", "0130 01")
    assert codes(receive(source, statement(other), written_in="csv").file) == [(None, "account", "other_account")]
    assert not StatementLine.objects.exists()


@pytest.mark.parametrize("cell", ["1.5", "1,234.56", "12.34,56", "1.234.5,00", "=1", ""])
def test_an_amount_of_another_notation_is_refused(cell: str) -> None:
    """A point between thousands stands before three digits, or it is no thousand."""
    row = CREDIT.replace(";1.234,56;1.234,56", f";{cell};1,00")
    assert codes(receive(bank(), statement(row), written_in="csv").file) == [(2, "Betrag", "invalid_amount")]


def test_a_day_of_another_form_is_refused() -> None:
    """American days are not turned around."""
    row = CREDIT.replace("20.11.2026;20.11", "11/20/2026;20.11")
    assert codes(receive(bank(), statement(row), written_in="csv").file) == [(2, "Buchungstag", "invalid_time")]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"delimiter": "/"}, "delimiter"),
        ({"columns": {"amount": "Betrag"}}, "booked_on"),
        ({"columns": {"booked_on": "Tag", "amount": "A", "debit": "D", "credit": "C"}, "flows": {}}, "amount"),
        ({"columns": {"booked_on": "Tag", "amount": "A"}, "currency": "XXX", "flows": {}}, "currency"),
        ({"flows": {"x": "gift"}}, "flows"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_declaration_that_makes_no_sense_refuses_every_file(change: dict[str, Any], named: str) -> None:
    """And nobody can give one to a source by the usual way."""
    source = bank({**DECLARATION, **change})
    assert named in [column for _, column, _ in codes(receive(source, statement(CREDIT), written_in="csv").file)]
    with pytest.raises(Invalid):
        sources.describe(source, columns={**DECLARATION, **change})


def test_words_of_a_declaration_are_never_sql() -> None:
    """A quote in a word is a quote."""
    flows = {"x'; DROP TABLE ledger_entry; --": "fee"}
    source = bank({**DECLARATION, "flows": flows})
    row = CREDIT.replace("Gutschrift", "x'; DROP TABLE ledger_entry; --".replace(";", ","))
    assert receive(source, statement(row), written_in="csv").file.errors == []


def test_two_formats_do_not_tell_of_the_same_days() -> None:
    """Every line would count twice."""
    source = bank()
    receive(source, statement(CREDIT), written_in="csv")
    swift = (
        b":20:X\r\n:25:DE89370400440532013000\r\n:28C:1/1\r\n:60F:C261119EUR0,00\r\n"
        b":61:2611201120C1234,56NTRFNONREF//B1\r\n:86:Ueberweisung\r\n:62F:C261120EUR1234,56\r\n-\r\n"
    )
    assert codes(receive(source, swift, written_in="mt940").file) == [(None, "", "days_known_in_another_format")]


def test_a_source_is_opened_and_described_by_a_command(tmp_path: Path) -> None:
    """A bank account that is new, then its columns; what makes no sense is told."""
    book = tenant().book
    columns = tmp_path / "columns.json"
    columns.write_text(json.dumps(DECLARATION))
    out = StringIO()
    call_command("statement_source", book.code, "bank:house", "--account", IBAN, "--json", stdout=out)
    assert json.loads(out.getvalue())["account"] == "DE89370400440532013000"
    call_command(
        "statement_source", book.code, "bank:house", "--columns", str(columns), "--format", "csv", stdout=StringIO()
    )
    source = Source.objects.get()
    assert (source.side, source.bank_name, source.format, source.columns) == ("bank", "house", "csv", DECLARATION)
    columns.write_text(json.dumps({"columns": {}}))
    with pytest.raises(CommandError, match="booked_on"):
        call_command("statement_source", book.code, "bank:house", "--columns", str(columns))
    with pytest.raises(CommandError, match="--account"):
        call_command("statement_source", book.code, "bank:other")
    with pytest.raises(CommandError, match="no such source"):
        call_command("statement_source", book.code, "elsewhere")
    with pytest.raises(Conflict):
        sources.open_bank(book.pk, name="house", account="1", now=NOW)
    with pytest.raises(Invalid):
        sources.open_bank(book.pk, name="House Bank", account="1", now=NOW)
