"""Fixtures of the tests of the seals."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.seals.keys import Signer
from tests.ledger.desk import Desk
from tests.ledger.seals.chains import publish, seal_all
from tests.ledger.seals.history import History


@pytest.fixture
def signer() -> Signer:
    """Give a key that signs."""
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@pytest.fixture
def thief() -> Signer:
    """Give another key, that of somebody who is not trusted."""
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))


@pytest.fixture
def history(committed_desk: Desk, signer: Signer, superuser: psycopg.Connection, tmp_path: Path) -> History:
    """Give a sealed history that a check finds sound."""
    desk = committed_desk
    for block in range(4):
        desk.post(*(desk.sale(f"b{block}-{n}", 1000 + n, fee=100) for n in range(3)))
        while seal_all(signer) != 3:
            pass
    made = History(desk, signer, tmp_path / "heads.jsonl", superuser)
    publish(made.heads)
    desk.post(*(desk.sale(f"tail-{n}", 5) for n in range(2)))
    superuser.execute("SET session_replication_role = replica")
    assert made.found() == []
    return made
