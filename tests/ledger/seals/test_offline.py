"""An export is checked without a database: what was changed in the database before it, or in the file, is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from config.local_stack.home import ROOT
from ledger.seals import check, export, keys, offline
from ledger.seals.keys import Signer
from tests.factories import NOW
from tests.ledger.desk import Desk
from tests.ledger.seals.chains import seal_all
from tests.ledger.seals.history import History

Line = dict[str, Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a place for an export."""
    return tmp_path / "export.jsonl"


def exported(file: Path, book: str | None = None) -> list[Line]:
    """Write an export and return its lines."""
    file.write_text("".join(export.lines(book=book, now=NOW)))
    return [json.loads(line) for line in file.read_text().splitlines()]


def rewritten(file: Path, lines: list[Line]) -> None:
    """Write other lines in place of an export."""
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def found(history: History, file: Path, *, heads: bool = False) -> list[str]:
    """Return what a check without the database finds."""
    signer = history.signer
    files = [history.heads] if heads else []
    report = offline.check_file(file, trusted={signer.key_id: signer.public_key}, head_files=files)
    return [f"{finding.what}: {finding}" for finding in report.findings]


def test_a_sound_export_is_checked_without_any_database(
    history: History, file: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    exported(file)
    with django_db_blocker.block():
        signer = history.signer
        report = offline.check_file(file, trusted={signer.key_id: signer.public_key}, head_files=[history.heads])
    assert report.findings == ()
    assert (report.books, report.blocks, report.transactions, report.unsealed) == (1, 4, 12, 2)


def test_without_a_trusted_key_those_in_the_file_are_believed_and_that_is_said(history: History, file: Path) -> None:
    exported(file)
    report = offline.check_file(file, trusted={})
    assert (report.findings, report.keys_are_given) == ((), False)
    assert report.keys == (history.signer.key_id,)


def test_a_key_that_is_not_trusted_is_no_proof(history: History, file: Path, thief: Signer) -> None:
    exported(file)
    report = offline.check_file(file, trusted={thief.key_id: thief.public_key})
    assert [finding.what for finding in report.findings] == ["forged"] * 4


IN_THE_DATABASE = {
    "changed": "UPDATE ledger_entry SET amount = amount + 1 WHERE transaction_id = {pk} AND leg = 2",
    "missing": "DELETE FROM ledger_transaction WHERE id = {pk}",
    "inserted": (
        "INSERT INTO ledger_transaction (id, public_id, book_id, kind, reference, request_hash, leg_count,"
        " effective_at, posted_at, actor, created_xid) OVERRIDING SYSTEM VALUE SELECT 1000000000, gen_random_uuid(),"
        " book_id, kind, 'forged', request_hash, leg_count, effective_at, posted_at, actor, created_xid FROM"
        " ledger_transaction WHERE id = {pk}"
    ),
}


@pytest.mark.parametrize("what", IN_THE_DATABASE)
def test_what_was_done_in_the_database_is_named(history: History, file: Path, what: str) -> None:
    name = history.txn("b1-1")
    history.run(IN_THE_DATABASE[what].format(pk=history.pk("b1-1")))
    exported(file)
    book = history.desk.book.code
    forged = history.txn("forged") if what == "inserted" else ""
    says = {
        "changed": f"book {book}, block 2, transaction {name}: position 5 was changed after it was sealed",
        "missing": f"book {book}, block 2: position 5 is missing",
        "inserted": f"book {book}, transaction {forged}: it is in no block: it was inserted",
    }[what]
    assert found(history, file) == [f"{what}: {says}"]


def test_what_was_cut_off_is_told_by_the_heads(history: History, file: Path) -> None:
    history.run(
        "DELETE FROM ledger_seal WHERE number > 2",
        "UPDATE ledger_seal_mark SET (cluster_epoch, xid, transaction_id) ="
        " (SELECT last_epoch, last_xid, last_id FROM ledger_seal ORDER BY number DESC LIMIT 1)",
    )
    exported(file)
    assert found(history, file) == []
    (finding,) = found(history, file, heads=True)
    assert finding.startswith(
        f"truncated: book {history.desk.book.code}, block 3: blocks 3 to 4 were published and are gone"
    )


def only(lines: list[Line], kind: str) -> list[Line]:
    """Return the lines of a type."""
    return [line for line in lines if line["type"] == kind]


def _without_book(lines: list[Line]) -> list[Line]:
    return [lines[0], *only(lines, "key"), {**lines[-1], "blocks": 0, "transactions": 0}]


IN_THE_FILE: dict[str, tuple[Callable[[list[Line]], list[Line]], str]] = {
    "a memo": (lambda lines: [{**line, "memo": "x"} if line.get("reference") == "b1-1" else line for line in lines],
               "position 5 was changed"),
    "a transaction taken out": (lambda lines: [line for line in lines if line.get("reference") != "b1-1"],
                                "position 5 is missing"),
    "a transaction twice": (lambda lines: [copy for line in lines for copy in
                                           ([line, line] if line.get("reference") == "b1-1" else [line])],
                            "it is in no block: it was inserted"),
    "two swapped": (lambda lines: [{**line, "position": {4: 5, 5: 4}.get(line.get("position"), line["position"])}
                                   if line["type"] == "transaction" else line for line in lines],
                    "position 5 was changed"),
    "another book": (lambda lines: [{**line, "book": "other"} if line.get("reference") == "b1-1" else line
                                    for line in lines], "it was inserted"),
    "a field that is no value": (lambda lines: [{**line, "legs": 7} if line.get("reference") == "b1-1" else line
                                                for line in lines], "position 5 cannot be read"),
    "a position that is none": (lambda lines: [{**line, "position": "5"} if line.get("reference") == "b1-1" else line
                                               for line in lines], "TypeError"),
    "a field taken away": (lambda lines: [{k: v for k, v in line.items() if k != "id"}
                                          if line.get("reference") == "b1-1" else line for line in lines], "KeyError"),
    "a block taken out": (lambda lines: [line for line in lines if line.get("number") != 2],
                          "blocks 2 to 2 before it are missing"),
    "the last line": (lambda lines: lines[:-1], "the file has no last line"),
    "the second half": (lambda lines: lines[: len(lines) // 2], "the file has no last line"),
    "the first line": (lambda lines: lines[1:], "line 1 of"),
    "a line after the last": (lambda lines: [*lines, lines[2]], "Unreadable"),
    "an unknown line": (lambda lines: [*lines[:-1], {"type": "x"}, lines[-1]], "Unreadable"),
    "a line that is no object": (lambda lines: [*lines[:-1], [1], lines[-1]], "Unreadable"),  # type: ignore[list-item]
    "the leaves": (lambda lines: [{**line, "leaves": "00" * 96} if line.get("number") == 2 else line for line in lines],
                   "its leaves do not give its root"),
    "no leaves": (lambda lines: [{**line, "leaves": ""} if line.get("number") == 2 else line for line in lines],
                  "leaves and has 0"),
    "a block that is no block": (lambda lines: [{**line, "root": "zz"} if line.get("number") == 2 else line
                                                for line in lines], "Unreadable"),
    "the whole book": (_without_book, "blocks 1 to 4 were published and are gone"),
}  # fmt: skip


@pytest.mark.parametrize("change", IN_THE_FILE)
def test_what_was_done_to_the_file_is_named(history: History, file: Path, change: str) -> None:
    make, says = IN_THE_FILE[change]
    rewritten(file, make(exported(file)))
    findings = found(history, file, heads=True)
    assert any(says in finding for finding in findings), findings


def test_a_file_that_is_no_export_is_told(history: History, file: Path) -> None:
    for content in (b"", b"\xff\xfe\n", b"{}\n" * 3, b"[" * 100_000, b'{"type":"florin.seals.1"}\n'):
        file.write_bytes(content)
        findings = found(history, file)
        assert findings[-1] == "truncated: seals: the file has no last line: it was cut off, or its export did not end"


def test_an_export_of_one_book_says_nothing_of_the_others(history: History, file: Path, signer: Signer) -> None:
    other = Desk.open()
    other.post(other.sale("o", 10))
    seal_all(signer)
    lines = exported(file, book=other.book.code)
    assert {line["book"] for line in lines if "book" in line} == {other.book.code}
    assert found(history, file, heads=True) == []


def test_memory_does_not_grow_with_the_history(committed_desk: Desk, signer: Signer, file: Path) -> None:
    def peak(job: Callable[[], object]) -> int:
        tracemalloc.start()
        job()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    trusted = {signer.key_id: signer.public_key}
    peaks: list[list[int]] = []
    for part in range(2):
        for n in range(1 + 8 * part):
            committed_desk.post(*(committed_desk.sale(f"{part}-{n}-{m}", 10) for m in range(200)))
            done = 0
            while done < 200:
                done += seal_all(signer)
        peaks.append(
            [
                peak(lambda: file.write_text("") or [None for _ in export.lines(now=NOW)]),
                peak(lambda: check.check(trusted=trusted)),
            ]
        )
        exported(file)
        peaks[-1].append(peak(lambda: offline.check_file(file, trusted=trusted)))
    assert offline.check_file(file, trusted=trusted).transactions == 2000
    # Ten times the history; what a batch of blocks may take at most does not count.
    assert peaks[1][0] < 2 * peaks[0][0] + 500_000, peaks
    assert peaks[1][1] < 2 * peaks[0][1] + 500_000, peaks
    assert peaks[1][2] < 2 * peaks[0][2] + 500_000, peaks


def test_the_command_checks_a_file_where_there_is_no_database(history: History, file: Path, tmp_path: Path) -> None:
    exported(file)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DATABASE", "FLORIN", "REDIS"))
    }
    environment |= {"FLORIN_HOME": str(tmp_path / "home"), "DJANGO_SETTINGS_MODULE": "config.settings"}
    public_key = keys.shown({history.signer.key_id: history.signer.public_key})[history.signer.key_id]

    def run() -> subprocess.CompletedProcess[str]:
        words = ["seals", "verify", "--offline", str(file), "--head", str(history.heads), "--key", public_key, "--json"]
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ok"] is True
    assert not (tmp_path / "home" / "postgres").exists()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    rewritten(file, [{**line, "actor": "x"} if line.get("reference") == "b2-0" else line for line in lines])
    done = run()
    assert done.returncode == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["what"], finding["block"], finding["transaction"]) == ("changed", 3, history.txn("b2-0"))
