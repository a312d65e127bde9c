"""The anchor: heads reach the file once, a torn line is taken off, what fails comes again; keys; the command."""

from __future__ import annotations

import base64
import json
import stat
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from config import seam
from ledger.seals import check, keys, publishing, sealing
from payments import seal_anchor, work_loop
from tests.factories import NOW
from tests.ledger.desk import Desk


@pytest.fixture
def head_file(settings: Any, tmp_path: Path) -> Path:
    """Give the file of heads that the settings name."""
    settings.SEAL_HEADS = str(tmp_path / "kept" / "heads.jsonl")
    return tmp_path / "kept" / "heads.jsonl"


def post_and_seal(desk: Desk, *references: str) -> None:
    """Post sales, seal and publish."""
    desk.post(*(desk.sale(reference, 10) for reference in references))
    done = 0
    while done < len(references):
        done += seal_anchor.seal_and_publish(now=NOW)


def numbers(path: Path) -> list[int]:
    """Return the numbers of the heads in a file."""
    return [json.loads(line)["number"] for line in path.read_text().splitlines()]


def test_heads_are_appended_once(committed_desk: Desk, head_file: Path) -> None:
    for n in range(3):
        post_and_seal(committed_desk, f"r{n}")
    seal_anchor.publish(now=NOW)
    assert numbers(head_file) == [1, 2, 3]


def test_a_line_that_a_crash_has_torn_is_taken_off(committed_desk: Desk, head_file: Path) -> None:
    post_and_seal(committed_desk, "a")
    with head_file.open("a") as file:
        file.write('{"book":"bo')
    post_and_seal(committed_desk, "b")
    assert numbers(head_file) == [1, 2]
    assert run("verify")[0] == 0


def test_a_place_that_cannot_be_written_gets_its_heads_later(
    committed_desk: Desk, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    settings.SEAL_HEADS = str(tmp_path / "file" / "heads.jsonl")
    post_and_seal(committed_desk, "a")
    assert publishing.missing(seal_anchor.places()[0].name) == 1
    (tmp_path / "file").unlink()
    post_and_seal(committed_desk, "b")
    assert numbers(tmp_path / "file" / "heads.jsonl") == [1, 2]
    assert publishing.missing(seal_anchor.places()[0].name) == 0


def test_a_new_place_gets_everything(committed_desk: Desk, settings: Any, head_file: Path, tmp_path: Path) -> None:
    post_and_seal(committed_desk, "a")
    post_and_seal(committed_desk, "b")
    settings.SEAL_HEADS = str(tmp_path / "other.jsonl")
    seal_anchor.publish(now=NOW)
    assert (tmp_path / "other.jsonl").read_text() == head_file.read_text()


def test_many_heads_are_written_in_portions(
    committed_desk: Desk, head_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "HEADS_AT_ONCE", 2)
    monkeypatch.setattr(sealing, "TRANSACTIONS_PER_STEP", 1)
    post_and_seal(committed_desk, *(f"r{n}" for n in range(7)))
    assert numbers(head_file) == list(range(1, 8))


def test_without_a_place_nothing_is_written(committed_desk: Desk, settings: Any) -> None:
    settings.SEAL_HEADS = "off"
    post_and_seal(committed_desk, "a")
    assert seal_anchor.places() == []
    assert seal_anchor.head_files() == []


def test_no_transaction_is_held_over_the_network(committed_desk: Desk, head_file: Path) -> None:
    with transaction.atomic(), pytest.raises(AssertionError):
        seal_anchor.publish(now=NOW)


def test_without_a_key_nothing_is_sealed(committed_desk: Desk, head_file: Path, settings: Any) -> None:
    settings.SEAL_KEY = ""
    committed_desk.post(committed_desk.sale("a", 10))
    assert seal_anchor.seal_and_publish(now=NOW) == 0
    assert not head_file.exists()
    with pytest.raises(CommandError, match="FLORIN_SEAL_KEY"):
        run("seal")


def test_the_work_loop_seals(committed_desk: Desk, head_file: Path) -> None:
    committed_desk.post(committed_desk.sale("a", 10))
    rounds = iter(range(100))
    upkeep = work_loop._Upkeep()
    while sealing.unsealed().transactions and next(rounds) < 100:
        upkeep.next_seal_at = 0.0
        upkeep.seal_when_it_is_time()
    assert numbers(head_file) == [1]
    committed_desk.post(committed_desk.sale("b", 10))
    upkeep.seal_when_it_is_time()  # not yet
    assert numbers(head_file) == [1]


# --- keys ------------------------------------------------------------------------------------------------------

SEED = bytes(range(32))
PRIVATE = Ed25519PrivateKey.from_private_bytes(SEED)
PEM = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC_PEM = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PUBLIC = PRIVATE.public_key().public_bytes_raw()


@pytest.mark.parametrize("given", [base64.b64encode(SEED).decode(), PEM, PEM.replace("\n", "\\n"), f"  {PEM}  "])
def test_a_key_is_given_in_base64_or_pem_or_a_file(settings: Any, tmp_path: Path, given: str) -> None:
    (tmp_path / "key").write_text(given)
    for setting in (given, str(tmp_path / "key")):
        settings.SEAL_KEY = setting
        signer = keys.signer()
        assert signer is not None
        assert (signer.public_key, signer.key_id) == (PUBLIC, keys.key_id_of(PUBLIC))


@pytest.mark.parametrize("given", [base64.b64encode(PUBLIC).decode(), PUBLIC_PEM])
def test_a_public_key_is_given_in_base64_or_pem_or_a_file(tmp_path: Path, given: str) -> None:
    (tmp_path / "key").write_text(given)
    assert keys.read_public(given) == keys.read_public(str(tmp_path / "key")) == PUBLIC


OTHER_PEM = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize("given", ["x", "AAAA", "/nowhere/key", "-----BEGIN nothing", OTHER_PEM, "é" * 44, "\0/"])
def test_what_is_no_key_is_told_without_showing_it(settings: Any, given: str) -> None:
    settings.SEAL_KEY = given
    with pytest.raises(keys.UnusableKey) as caught:
        keys.signer()
    assert given not in str(caught.value)
    with pytest.raises(keys.UnusableKey):
        keys.read_public(given)
    assert [finding.what for finding in check.findings()] == ["unreadable"]


def test_the_private_key_is_neither_in_the_database_nor_in_a_log(
    committed_desk: Desk,
    head_file: Path,
    settings: Any,
    superuser: psycopg.Connection,
    capfd: pytest.CaptureFixture[str],
) -> None:
    post_and_seal(committed_desk, "a")
    run("verify")
    run("keys")
    seed = base64.b64decode(settings.SEAL_KEY)
    rows = superuser.execute(
        "SELECT s::text FROM ledger_seal s UNION ALL SELECT k::text FROM ledger_seal_key k"
        " UNION ALL SELECT m::text FROM ledger_seal_mark m UNION ALL SELECT p::text FROM ledger_seal_published p"
    ).fetchall()
    shown = "".join(row[0] for row in rows) + "".join(capfd.readouterr()) + repr(keys.signer()) + head_file.read_text()
    assert seed.hex() not in shown
    assert settings.SEAL_KEY not in shown


def test_a_key_is_replaced_and_old_blocks_stay_valid(committed_desk: Desk, head_file: Path, settings: Any) -> None:
    post_and_seal(committed_desk, "a")
    (old,) = keys.shown(keys.trusted()).values()
    settings.SEAL_KEY = base64.b64encode(SEED).decode()
    post_and_seal(committed_desk, "b")
    assert run("verify")[0] == 1
    settings.SEAL_PUBLIC_KEYS = old
    assert run("verify")[0] == 0
    code, says = run("keys")
    assert (code, says.count("\n")) == (0, 2)
    assert f"{keys.key_id_of(PUBLIC)}  {base64.b64encode(PUBLIC).decode()}  current, trusted, has signed" in says


# --- the command -----------------------------------------------------------------------------------------------


def run(*words: str) -> tuple[int, str]:
    """Run `./florin seals` and return its exit code and what it printed."""
    output = StringIO()
    try:
        call_command("seals", *words, stdout=output)
    except SystemExit as stopped:
        return int(str(stopped.code)), output.getvalue()
    return 0, output.getvalue()


def test_the_command_seals_checks_and_exports(committed_desk: Desk, head_file: Path, tmp_path: Path) -> None:
    committed_desk.post(committed_desk.sale("a", 10))
    while sealing.unsealed().transactions:
        assert run("seal")[0] == 0
    code, says = run("verify")
    assert (code, says.splitlines()[0]) == (0, "As sealed (1 books, 1 blocks, 1 transactions).")
    assert "Not covered: 0 transactions" in says
    assert "No published heads" not in says
    assert run("export", str(tmp_path / "export"))[0] == 0
    code, says = run("verify", "--offline", str(tmp_path / "export"))
    assert code == 0
    assert "No trusted key was given" in says
    assert "No published heads were compared" in says


def test_the_command_names_what_was_changed(
    committed_desk: Desk, head_file: Path, superuser: psycopg.Connection
) -> None:
    post_and_seal(committed_desk, "a")
    superuser.execute("SET session_replication_role = replica")
    superuser.execute("UPDATE ledger_transaction SET actor = 'x'")
    code, says = run("verify", "--book", committed_desk.book.code)
    assert code == 1
    assert says.startswith("changed: book ")
    code, says = run("verify", "--json")
    (finding,) = json.loads(says)["findings"]
    assert (code, finding["what"], finding["block"]) == (1, "changed", 1)


def test_heads_that_were_deleted_are_missed(committed_desk: Desk, head_file: Path) -> None:
    for n in range(3):
        post_and_seal(committed_desk, f"r{n}")
    lines = head_file.read_text().splitlines(keepends=True)
    head_file.write_text("".join(lines[:-1]))
    code, says = run("verify")
    assert code == 1
    assert "the heads of blocks 3 to 3 are not in their file" in says
    head_file.unlink()
    code, says = run("verify")
    assert code == 1
    assert "cannot be read" in says


def test_wrong_words_are_refused(committed_desk: Desk, head_file: Path, tmp_path: Path) -> None:
    for words in (
        ("verify", "--book", "nothing"),
        ("export", str(tmp_path / "file"), "--book", "nothing"),
        ("export", str(tmp_path / "no" / "file")),
        ("verify", "--offline", str(tmp_path / "nothing")),
        ("verify", "--key", "nothing"),
        (),
    ):
        with pytest.raises(CommandError):
            run(*words)
    assert not (tmp_path / "file").exists()


def test_sealing_crosses_the_seam(committed_desk: Desk, settings: Any, head_file: Path) -> None:
    settings.SEAL_BUCKET = "http://127.0.0.1:1/heads"
    seen: list[str] = []
    with seam.observed_by(lambda crossing: seen.append(f"{crossing.kind} {crossing.name}")):
        post_and_seal(committed_desk, "a")
    assert "http PUT seal heads" in seen


def test_the_file_is_for_everyone_to_read_and_for_its_owner_to_write(committed_desk: Desk, head_file: Path) -> None:
    post_and_seal(committed_desk, "a")
    assert stat.S_IMODE(head_file.stat().st_mode) & 0o022 == 0
    assert not connection.in_atomic_block
