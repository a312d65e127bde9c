"""Proofs: the script that ships checks them without Florin, and is fooled by none that was changed."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config.local_stack.home import ROOT
from ledger.ids import parse_public_id
from ledger.seals import keys, proofs
from ledger.seals.keys import Signer
from tests.ledger.desk import Desk
from tests.ledger.seals.history import History
from tests.ledger.seals.test_canonical import changes

SCRIPT = ROOT / "docs" / "verify_proof.py"


def proof_of(history: History, reference: str) -> dict[str, Any]:
    """Return the proof of a sale."""
    key = parse_public_id("txn", history.txn(reference))
    assert key is not None
    found = proofs.proof(history.desk.book.pk, key)
    assert found is not None
    made: dict[str, Any] = json.loads(json.dumps(found))
    return made


def run(directory: Path, content: str, signer: Signer, *words: str) -> tuple[int, str]:
    """Run the script on a proof, isolated from our code, and return its exit code and what it says."""
    (directory / "proof.json").write_text(content)
    key = keys.shown({signer.key_id: signer.public_key})[signer.key_id]
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), str(directory / "proof.json"), "--key", key, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=directory,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize("reference", ["b0-0", "b1-1", "b3-2"])
def test_a_transaction_is_proved(history: History, tmp_path: Path, reference: str) -> None:
    shown = json.dumps(proof_of(history, reference))
    assert run(tmp_path, shown, history.signer) == (0, "Proved.")
    assert run(tmp_path, shown, history.signer, "--head", str(history.heads)) == (0, "Proved.")


def test_the_script_is_short_and_needs_nothing_of_ours() -> None:
    text = SCRIPT.read_text()
    assert len(text.splitlines()) < 130
    assert not any(word in text for word in ("import ledger", "from ledger", "import django", "from config"))


def module() -> Any:
    """Return the script as a module: a process for each of many changes takes long."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("verify_proof", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_every_change_of_a_transaction_is_noticed(history: History) -> None:
    script, proof = module(), proof_of(history, "b1-1")
    assert script.problem(copy.deepcopy(proof), history.signer.public_key, []) is None
    tries = 0
    for other in changes(proof["transaction"]):
        assert script.problem({**proof, "transaction": other}, history.signer.public_key, []) is not None, other
        tries += 1
    assert tries > 30


FORGED: dict[str, Any] = {
    "another place": lambda proof: {**proof, "index": proof["index"] - 1},
    "a place that is none": lambda proof: {**proof, "index": -1},
    "a place beyond": lambda proof: {**proof, "index": 3},
    "a path that is too short": lambda proof: {**proof, "path": proof["path"][:-1]},
    "a path that is too long": lambda proof: {**proof, "path": [*proof["path"], "00" * 32]},
    "another root": lambda proof: {**proof, "block": {**proof["block"], "root": "00" * 32}},
    "another number": lambda proof: {**proof, "block": {**proof["block"], "number": 9}},
    "another time": lambda proof: {**proof, "block": {**proof["block"], "sealed_at": "2020-01-01T00:00:00.000000Z"}},
    "another signature": lambda proof: {**proof, "block": {**proof["block"], "signature": "00" * 64}},
    "no signature": lambda proof: {**proof, "block": {**proof["block"], "signature": ""}},
    "no block": lambda proof: {key: value for key, value in proof.items() if key != "block"},
    "no proof": lambda _proof: {},
    "a list": lambda _proof: [],
}


@pytest.mark.parametrize("forgery", FORGED)
def test_a_forged_proof_is_refused(history: History, tmp_path: Path, forgery: str) -> None:
    content = json.dumps(FORGED[forgery](proof_of(history, "b1-1")))
    code, says = run(tmp_path, content, history.signer)
    assert code == 1
    assert says.startswith("NOT PROVED: ")


def test_a_proof_by_another_key_is_refused(history: History, thief: Signer, tmp_path: Path) -> None:
    code, says = run(tmp_path, json.dumps(proof_of(history, "b1-1")), thief)
    assert (code, says) == (1, "NOT PROVED: the block is not signed with the key that you trust")


def test_a_proof_that_the_heads_do_not_have_is_refused(history: History, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in history.heads.read_text().splitlines()]
    other = tmp_path / "other.jsonl"
    for kept in (
        [{**line, "block_hash": "00" * 32} for line in lines],
        [line for line in lines if line["number"] != 2],
    ):
        other.write_text("".join(json.dumps(line) + "\n" for line in kept))
        code, says = run(tmp_path, json.dumps(proof_of(history, "b1-1")), history.signer, "--head", str(other))
        assert (code, says) == (1, "NOT PROVED: the heads that you kept do not have this block")


def test_a_transaction_that_was_changed_since_is_not_proved(history: History, tmp_path: Path) -> None:
    history.run("UPDATE ledger_transaction SET memo = 'x' WHERE reference = 'b1-1'")
    code, says = run(tmp_path, json.dumps(proof_of(history, "b1-1")), history.signer)
    assert code == 1
    assert "is not the one that was sealed" in says


def test_what_is_not_sealed_has_no_proof(history: History) -> None:
    key = parse_public_id("txn", history.txn("tail-0"))
    assert key is not None
    with pytest.raises(proofs.NotSealed):
        proofs.proof(history.desk.book.pk, key)


def test_another_books_transaction_has_no_proof_here(history: History) -> None:
    key = parse_public_id("txn", history.txn("b1-1"))
    assert key is not None
    assert proofs.proof(Desk.open().book.pk, key) is None
