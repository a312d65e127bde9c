"""Raw SQL against the seals, as the runtime role and as the owner of the schema. Each attack leaves no trace."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from ledger.ids import public_id
from ledger.models import Transaction
from ledger.seals import canonical, merkle
from ledger.seals.blocks import GENESIS, Block
from ledger.seals.keys import Signer
from tests.database import Clone
from tests.factories import NOW
from tests.ledger.desk import Desk, wait_for_the_horizon
from tests.ledger.seals.chains import found, seal_all

TABLES = ("ledger_seal", "ledger_seal_key", "ledger_seal_mark", "ledger_seal_published")


def digest() -> list[Any]:
    """Return what is in the tables of the seals."""
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{table}', md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t"
                for table in TABLES
            )
        )
        return list(cursor.fetchall())


@pytest.fixture
def sealed(committed_desk: Desk, signer: Signer) -> Desk:
    """Give a book with one block of two sales, and two sales that are not sealed."""
    committed_desk.post(committed_desk.sale("a", 100), committed_desk.sale("b", 100))
    while seal_all(signer) != 2:
        pass
    committed_desk.post(committed_desk.sale("c", 100), committed_desk.sale("d", 100))
    return committed_desk


OWNER = {
    **{
        f"{verb.split()[0].lower()} {table}": ("FL001", verb.replace("#", table))
        for table in ("ledger_seal", "ledger_seal_key")
        for verb in ("UPDATE # SET key_id = key_id", "DELETE FROM #", "TRUNCATE # CASCADE")
    },
    "the mark goes back": ("FL001", "UPDATE ledger_seal_mark SET xid = '1'"),
    "the mark is deleted": ("FL001", "DELETE FROM ledger_seal_mark"),
    "a second mark": ("23514", "INSERT INTO ledger_seal_mark SELECT 2, cluster_epoch, xid, 1 FROM ledger_seal_mark"),
    "a key under another name": ("23514", "INSERT INTO ledger_seal_key VALUES ('0123456789ab', sha256('x'), now())"),
    "a key that is none": ("23514", "INSERT INTO ledger_seal_key VALUES ('ab', '\\x00', now())"),
    "upsert": (
        "FL001",
        "INSERT INTO ledger_seal SELECT * FROM ledger_seal ON CONFLICT (book_id, number) DO UPDATE SET number = 9",
    ),
}  # fmt: skip


def fails(url: str, sqlstate: str, statement: str, parameters: list[Any] | None = None) -> None:
    """Run a statement that must be refused; the seals must be as they were."""
    before = digest()
    with psycopg.connect(url) as attacker:
        with pytest.raises(psycopg.Error) as caught:
            attacker.execute(statement, parameters)  # type: ignore[call-overload]
        assert caught.value.sqlstate == sqlstate, caught.value
        attacker.rollback()
    assert digest() == before


@pytest.mark.parametrize("attack", OWNER)
def test_the_owner_is_refused(sealed: Desk, clone: Clone, signer: Signer, attack: str) -> None:
    sqlstate, statement = OWNER[attack]
    fails(clone.owner_url, sqlstate, statement)
    assert found(signer) == []


APPEND = (
    "SELECT ledger_append_seals(%s, %s, %s::bigint[], %s::bigint[], %s::bytea[], %s::bytea[], %s::int[], %s::bytea[],"
    " %s::bytea[], %s::bytea[])"
)
ROW = (
    "INSERT INTO ledger_seal (book_id, number, previous_hash, root, leaf_count, first_position, last_position,"
    " sealed_at, key_id, block_hash, signature, last_epoch, last_xid, last_id, transaction_ids, leaves)"
    " SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, t.cluster_epoch, t.created_xid, t.id, %s, %s"
    "   FROM ledger_transaction t WHERE t.id = %s"
)


def next_block(desk: Desk, signer: Signer, *references: str) -> tuple[Block, bytes, list[int]]:
    """Return the block that would be sealed next, its leaves and its transactions, when nothing holds them up."""
    ends, ready = time.monotonic() + 20, 0
    while ready != 2 and time.monotonic() < ends:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM ledger_begin_sealing(10)")
            (ready,) = cursor.fetchone()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT t.id, {canonical.LEAF} FROM ledger_transaction t JOIN ledger_book b ON b.id = t.book_id"
            " WHERE t.reference = ANY (%s) ORDER BY t.id",
            [list(references or ("c", "d"))],
        )
        rows = cursor.fetchall()
        cursor.execute("SELECT block_hash FROM ledger_seal WHERE book_id = %s", [desk.book.pk])
        (previous,) = cursor.fetchone()
    leaves = [bytes(leaf) for _, leaf in rows]
    block = Block(
        book=desk.book.code,
        number=2,
        previous_hash=bytes(previous),
        root=merkle.root(leaves),
        leaf_count=len(leaves),
        first_position=3,
        last_position=2 + len(leaves),
        sealed_at=canonical.microseconds(NOW),
        key_id=signer.key_id,
    )
    return signed(block, signer), b"".join(leaves), [pk for pk, _ in rows]


def signed(block: Block, signer: Signer) -> Block:
    """Return a block with the hash and the signature that it must have."""
    block = block.with_hash()
    return replace(block, signature=signer.sign(block.block_hash))


def call(desk: Desk, signer: Signer, block: Block, leaves: bytes, copies: int = 1) -> list[Any]:
    """Return the parameters of `APPEND` for one block."""
    fields = (desk.book.pk, block.number, block.previous_hash, block.root, block.leaf_count, block.block_hash,
              block.signature, leaves)  # fmt: skip
    return [signer.public_key, NOW, *([field] * copies for field in fields)]


def test_the_next_block_is_appended(sealed: Desk, clone: Clone, signer: Signer) -> None:
    """The parameters of the attacks below are right but for what each of them changes."""
    block, leaves, _ = next_block(sealed, signer)
    with psycopg.connect(clone.app_url) as attacker:
        assert attacker.execute(APPEND, call(sealed, signer, block, leaves)).fetchone() == (1,)
        attacker.commit()
    assert found(signer) == []


CHANGED: dict[str, dict[str, Any]] = {
    "a number left out": {"number": 3},
    "a number again": {"number": 1},
    "another block before": {"previous_hash": GENESIS},
    "more than there is": {"leaf_count": 3, "last_position": 5},
    "less than there are leaves": {"leaf_count": 1, "last_position": 3},
    "a hash of something else": {"sealed_at": 0},
}


@pytest.mark.parametrize("change", CHANGED)
def test_the_runtime_role_appends_nothing_that_does_not_continue(
    sealed: Desk, clone: Clone, signer: Signer, change: str
) -> None:
    block, leaves, _ = next_block(sealed, signer)
    block = signed(replace(block, **CHANGED[change]), signer)
    state = "23514" if change == "less than there are leaves" else "FL015"
    fails(clone.app_url, state, APPEND, call(sealed, signer, block, leaves))


def test_the_runtime_role_cannot_leave_out_a_book_or_a_transaction(sealed: Desk, clone: Clone, signer: Signer) -> None:
    """Which transactions are sealed is found in the function: what comes first cannot be passed over."""
    other = Desk.open()
    other.post(other.sale("o", 5))
    wait_for_the_horizon()
    leaf = merkle.leaf_hash(b"anything")
    block = Block(other.book.code, 1, GENESIS, leaf, 1, 1, 1, canonical.microseconds(NOW), signer.key_id)
    fails(clone.app_url, "FL015", APPEND, call(other, signer, signed(block, signer), leaf))
    block, leaves, _ = next_block(sealed, signer)
    fails(clone.app_url, "FL015", APPEND, call(sealed, signer, block, leaves, copies=2))


@pytest.mark.parametrize("change", [*CHANGED, "positions that overlap", "an unknown key"])
def test_the_owner_appends_nothing_that_does_not_continue(
    sealed: Desk, clone: Clone, signer: Signer, thief: Signer, change: str
) -> None:
    block, leaves, ids = next_block(sealed, signer)
    other = {**CHANGED, "positions that overlap": {"first_position": 2, "last_position": 3},
             "an unknown key": {"key_id": thief.key_id}}[change]  # fmt: skip
    block = signed(replace(block, **other), signer)
    row = [sealed.book.pk, block.number, block.previous_hash, block.root, block.leaf_count, block.first_position,
           block.last_position, NOW, block.key_id, block.block_hash, block.signature, ids, leaves, ids[-1]]  # fmt: skip
    state = {"more than there is": "23514", "less than there are leaves": "23514", "an unknown key": "23503"}
    fails(clone.owner_url, state.get(change, "FL015"), ROW, row)


def test_what_a_running_transaction_may_come_before_is_not_sealed(sealed: Desk, clone: Clone, signer: Signer) -> None:
    """The same block is refused while such a transaction runs, and appended afterwards."""
    with psycopg.connect(clone.app_url) as running, psycopg.connect(clone.app_url) as role:
        running.execute("SELECT pg_current_xact_id()")
        sealed.post(sealed.sale("e", 100))
        block, leaves, _ = next_block(sealed, signer, "c", "d", "e")
        with pytest.raises(psycopg.Error) as caught:
            role.execute(APPEND, call(sealed, signer, block, leaves))
        assert caught.value.sqlstate == "FL015"
        role.rollback()
        running.rollback()
        wait_for_the_horizon()
        assert role.execute(APPEND, call(sealed, signer, block, leaves)).fetchone() == (1,)
        role.commit()
    assert found(signer) == []


def test_a_forged_signature_is_appended_and_found(sealed: Desk, clone: Clone, signer: Signer, thief: Signer) -> None:
    """The database has no keys: whoever has the runtime role can append a block, and the check tells."""
    block, leaves, _ = next_block(sealed, signer)
    block = replace(block, signature=thief.sign(block.block_hash))
    with psycopg.connect(clone.app_url) as attacker:
        attacker.execute(APPEND, call(sealed, signer, block, leaves))
        attacker.commit()
    assert found(signer) == [
        f"forged: book {sealed.book.code}, block 2: its signature is not one of key {signer.key_id}"
    ]


def test_lies_about_leaves_are_appended_and_found(sealed: Desk, clone: Clone, signer: Signer) -> None:
    block, leaves, ids = next_block(sealed, signer)
    lie = merkle.leaf_hash(b"lie")
    block = signed(replace(block, root=merkle.root([lie, leaves[32:]])), signer)
    with psycopg.connect(clone.app_url) as attacker:
        attacker.execute(APPEND, call(sealed, signer, block, lie + leaves[32:]))
        attacker.commit()
    name = public_id("txn", Transaction.objects.get(pk=ids[0]).public_id)
    changed = f"position 3 was changed after it was sealed (internal id {ids[0]})"
    assert found(signer) == [f"changed: book {sealed.book.code}, block 2, transaction {name}: {changed}"]


def test_what_is_published_never_goes_back_or_ahead(sealed: Desk, clone: Clone) -> None:
    note = "SELECT ledger_note_published('file', ARRAY[%s]::bigint[], ARRAY[%s]::bigint[], now())"
    read = "SELECT number FROM ledger_seal_published"
    with psycopg.connect(clone.app_url, autocommit=True) as role:
        role.execute(note, [sealed.book.pk, 7])
        assert role.execute(read).fetchall() == []
        role.execute(note, [sealed.book.pk, 1])
        assert role.execute(read).fetchall() == [(1,)]
        role.execute(note, [sealed.book.pk, 0])
        role.execute(note, [10**9, 1])
        assert role.execute(read).fetchall() == [(1,)]
