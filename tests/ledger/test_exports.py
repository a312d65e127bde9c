"""The general ledger as CSV: every entry of the period once, sums that agree, cells that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ledger import csv_files, exports
from tests.factories import NOW
from tests.ledger.desk import C, D, Desk
from tests.ledger.test_instants import write_history

DAY = timedelta(days=1)


def export(desk: Desk, since: datetime, until: datetime, *words: str) -> tuple[int, list[dict[str, str]], str]:
    """Run the command and return its exit code, the rows, and what it said."""
    out, err, code = io.StringIO(newline=""), io.StringIO(), 0
    try:
        call_command(
            "export_ledger", desk.book.code, "--from", since.isoformat(), "--to", until.isoformat(), *words,
            stdout=out, stderr=err,
        )  # fmt: skip
    except SystemExit as end:
        code = int(end.code or 0)
    return code, list(csv.DictReader(io.StringIO(out.getvalue(), newline=""))), err.getvalue()


def plain(desk: Desk, since: datetime, until: datetime) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.reference, a.code, e.side, e.amount FROM ledger_entry e"
            "  JOIN ledger_account a ON a.id = e.account_id JOIN ledger_transaction t ON t.id = e.transaction_id"
            " WHERE e.book_id = %s AND e.effective_at >= %s AND e.effective_at < %s ORDER BY e.effective_at, e.id",
            [desk.book.pk, since, until],
        )
        return cursor.fetchall()


@pytest.mark.parametrize("in_a_chunk", [1, 7, 500])
def test_every_entry_of_the_period_is_there_once(
    committed_desk: Desk, monkeypatch: pytest.MonkeyPatch, in_a_chunk: int
) -> None:
    desk = committed_desk
    monkeypatch.setattr(exports, "TRANSACTIONS_IN_A_CHUNK", in_a_chunk)
    monkeypatch.setattr(exports, "LEGS_IN_A_CHUNK", 10)
    write_history(desk, seed=3, postings=50)
    other = Desk.open()
    other.post(other.sale("not mine", 5))
    yen = Desk.open("JPY", book=desk.book)
    yen.post(yen.journal("yen", ("cash", D, 500), ("fees", C, 500), currency="JPY"))
    for since, until in ((NOW - 9 * DAY, NOW + 99 * DAY), (NOW + DAY / 2, NOW + 2 * DAY), (NOW - DAY, NOW)):
        code, rows, said = export(desk, since, until)
        assert code == 0, said
        assert [(row["reference"], row["account"], "D" if row["debit"] else "C", minor(row)) for row in rows] == plain(
            desk, since, until
        )
        assert f"{len(rows)} entries, equal to the movement of the trial balance" in said
        for currency in {row["currency"] for row in rows}:
            sides = [[minor(row) for row in rows if row["currency"] == currency and row[side]] for side in SIDES]
            assert sum(sides[0]) == sum(sides[1]) > 0


SIDES = ("debit", "credit")


def minor(row: dict[str, str]) -> int:
    return int((row["debit"] or row["credit"]).replace(".", ""))


def test_what_is_posted_meanwhile_is_left_out_and_the_sums_still_agree(
    committed_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = committed_desk
    monkeypatch.setattr(exports, "TRANSACTIONS_IN_A_CHUNK", 2)
    write_history(desk, seed=5, postings=12)
    there = plain(desk, NOW - 9 * DAY, NOW + 9 * DAY)
    ledger = exports.general_ledger(desk.book.pk, since=NOW - 9 * DAY, until=NOW + 9 * DAY)
    found = []
    for number, entry in enumerate(ledger):
        found.append(entry.reference)
        if number % 5 == 0:
            desk.post(desk.journal(f"late{number}", ("cash", D, 9), ("fees", C, 9), effective_at=NOW + 8 * DAY))
    assert found == [row[0] for row in there]
    assert ledger.agrees


def test_a_difference_is_told_and_the_exit_code_is_one(committed_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = committed_desk
    desk.post(desk.sale("a", 100, fee=1), desk.sale("b", 50))
    whole = exports.GeneralLedger._chunk
    monkeypatch.setattr(exports.GeneralLedger, "_chunk", lambda *place: whole(*place)[1:])
    code, _, said = export(desk, NOW - DAY, NOW + DAY)
    assert code == 1
    assert "DIFFERENT FROM" in said


def test_the_statements_of_an_export_end_one_by_one(committed_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No snapshot is held while rows are read: between two chunks no transaction is open."""
    desk = committed_desk
    monkeypatch.setattr(exports, "TRANSACTIONS_IN_A_CHUNK", 1)
    desk.post(*(desk.sale(f"r{n}", 10) for n in range(5)))
    for _ in exports.general_ledger(desk.book.pk, since=NOW, until=NOW + DAY):
        assert not connection.in_atomic_block
        assert connection.connection.info.transaction_status.name == "IDLE"
    with CaptureQueriesContext(connection) as captured:
        assert len(list(exports.general_ledger(desk.book.pk, since=NOW, until=NOW + DAY))) == 10
    assert sum("pg_visible_in_snapshot" in query["sql"] for query in captured.captured_queries) == 6


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "  =", "＝"])  # noqa: RUF001 - a wide sign is one too
def test_a_cell_never_starts_a_formula(committed_desk: Desk, start: str) -> None:
    desk = committed_desk
    nasty = f'{start}HYPERLINK("http://example.org","x")'
    desk.post(desk.journal(nasty, ("cash", D, 5), ("fees", C, 5), memo=f"{nasty}, and\nmore"))
    _, rows, _ = export(desk, NOW, NOW + DAY)
    assert {(row["reference"], row["memo"]) for row in rows} == {(f"'{nasty}", f"'{nasty}, and\nmore")}
    assert csv_files.text("plain = text") == "plain = text"


def test_a_file_gets_its_name_when_it_is_whole(
    committed_desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, path = committed_desk, tmp_path / "ledger.csv"
    desk.post(desk.sale("a", 100))
    assert export(desk, NOW, NOW + DAY, "--out", str(path))[:2] == (0, [])
    written = path.read_bytes()
    assert written.count(b"\r\n") == 3
    assert [*tmp_path.iterdir()] == [path]

    def broken(_entry: exports.Entry) -> tuple[str, ...]:
        raise OSError("disk full")

    monkeypatch.setattr(exports, "row_of", broken)
    with pytest.raises(OSError, match="disk full"):
        export(desk, NOW, NOW + DAY, "--out", str(path))
    assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("book", "since", "until"),
    [
        ("nowhere", "2026-11-01", "2026-12-01"),
        (None, "2026-12-01", "2026-11-01"),
        (None, "2026-12-01", "2026-12-01"),
        (None, "yesterday", "2026-12-01"),
        (None, "2026-11-01T00:00:00", "2026-12-01"),
    ],
)
def test_a_wrong_word_is_refused(desk: Desk, book: str | None, since: str, until: str) -> None:
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("export_ledger", book or desk.book.code, "--from", since, "--to", until, stdout=out)
    assert out.getvalue() == ""
