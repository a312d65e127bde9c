"""Sealing: every transaction is in exactly one block of its book, late ones too, and blocks continue each other."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from django.db import connection

from ledger.seals import check, sealing
from ledger.seals.keys import Signer
from tests.database import Clone
from tests.factories import NOW
from tests.ledger.desk import Desk, at_once, digests
from tests.ledger.seals.chains import found, seal_all


def blocks() -> list[tuple[str, int, list[int]]]:
    """Return book, number and transactions of every block."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT b.code, s.number, s.transaction_ids FROM ledger_seal s JOIN ledger_book b ON b.id = s.book_id"
            " ORDER BY s.book_id, s.number"
        )
        return list(cursor.fetchall())


def test_each_book_has_a_chain_of_its_own(committed_desk: Desk, signer: Signer) -> None:
    desk, other = committed_desk, Desk.open("USD")
    first = desk.post(*(desk.sale(f"a{n}", 100 + n, fee=5) for n in range(7)))
    (alone,) = other.post(other.journal("x", ("cash", "D", 5), ("ann", "C", 5), currency="USD"))  # type: ignore[arg-type]
    assert seal_all(signer) == 8
    later = desk.post(desk.sale("b", 1))
    assert seal_all(signer, now=NOW + timedelta(minutes=1)) == 1
    assert seal_all(signer) == 0
    assert blocks() == [
        (desk.book.code, 1, [posted.transaction_id for posted in first]),
        (desk.book.code, 2, [later[0].transaction_id]),
        (other.book.code, 1, [alone.transaction_id]),
    ]
    assert found(signer) == []
    report = check.check(trusted={signer.key_id: signer.public_key})
    assert (report.books, report.blocks, report.transactions, report.unsealed) == (2, 3, 9, 0)


def test_a_late_commit_is_in_a_later_block_exactly_once(committed_desk: Desk, clone: Clone, signer: Signer) -> None:
    desk = committed_desk
    desk.post(desk.sale("before", 10))
    assert seal_all(signer) == 1
    with psycopg.connect(clone.app_url) as slow:
        slow.execute(
            "SELECT * FROM ledger_post(ARRAY[gen_random_uuid()], ARRAY[%s]::bigint[], ARRAY['settle_charge'],"
            " ARRAY['slow'], ARRAY['\\x00'::bytea], ARRAY[NULL]::timestamptz[], ARRAY[NULL]::timestamptz[], %s,"
            " ARRAY['tests'], ARRAY[''], ARRAY['{}']::jsonb[], ARRAY[NULL]::bigint[], ARRAY[1,1],"
            " ARRAY[%s,%s]::bigint[], ARRAY['EUR','EUR'], ARRAY['D','C'], ARRAY[5,5]::bigint[], false)",
            [desk.book.pk, NOW, desk.ids["cash"], desk.ids["fees"]],
        )
        (fast,) = desk.post(desk.sale("fast", 10))
        assert sealing.seal(signer, now=NOW) == 0  # the horizon stands before both
        assert sealing.unsealed().transactions == 1
        slow.commit()
    assert seal_all(signer) == 2
    first, *later = (ids for _, _, ids in blocks())
    assert len(first) == 1
    late = [pk for ids in later for pk in ids]
    assert len(late) == len(set(late)) == 2
    assert fast.transaction_id in late
    assert seal_all(signer) == 0
    assert found(signer) == []


def test_a_restored_history_is_sealed_on_and_still_verifies(
    committed_desk: Desk, signer: Signer, superuser: psycopg.Connection
) -> None:
    """In another cluster the xids of a dump mean nothing: all of it is in the past, and no leaf knows them."""
    desk = committed_desk
    desk.post(desk.sale("a", 10))
    assert seal_all(signer) == 1
    desk.post(desk.sale("b", 10))
    before = superuser.execute(
        "SELECT ledger_epoch(), m.cluster_epoch, m.xid::text, m.transaction_id FROM ledger_seal_mark m"
    ).fetchone()
    assert before is not None
    superuser.execute("SET session_replication_role = replica")
    ahead = "(%s::text::bigint + 90000000000)::text::xid8"
    superuser.execute(f"UPDATE ledger_transaction SET created_xid = {ahead % 'created_xid'}")
    superuser.execute(f"UPDATE ledger_seal SET last_xid = {ahead % 'last_xid'}")
    superuser.execute(f"UPDATE ledger_seal_mark SET xid = {ahead % 'xid'}")
    try:
        assert sealing.seal(signer, now=NOW) == 0
        superuser.execute("SELECT ledger_begin_epoch()")
        desk.post(desk.sale("c", 10))
        assert seal_all(signer) == 2
        assert len(blocks()[0][2]) == 1
        assert found(signer) == []
    finally:
        epoch, *mark = before
        superuser.execute(f"ALTER TABLE ledger_transaction ALTER COLUMN cluster_epoch SET DEFAULT {epoch}")
        superuser.execute("UPDATE ledger_seal_mark SET cluster_epoch = %s, xid = %s, transaction_id = %s", mark)


def test_two_sealers_seal_everything_once(committed_desk: Desk, signer: Signer) -> None:
    desk = committed_desk
    for n in range(10):
        desk.post(*(desk.sale(f"r{n}-{m}", 10) for m in range(5)))
        results = at_once(*(lambda: sealing.seal(signer, now=NOW) for _ in range(3)))
        assert all(isinstance(result, int) for result in results), results
    seal_all(signer)
    sealed = [pk for _, _, ids in blocks() for pk in ids]
    assert len(sealed) == len(set(sealed)) == 50
    assert found(signer) == []


def test_a_sealer_does_not_wait_and_posting_does_not_wait_for_it(
    committed_desk: Desk, clone: Clone, signer: Signer
) -> None:
    desk = committed_desk
    desk.post(desk.sale("a", 10))
    with psycopg.connect(clone.app_url) as other:
        ends = 0
        while not other.execute("SELECT count(*) FROM ledger_begin_sealing(10)").fetchone()[0] and ends < 100:  # type: ignore[index]
            other.rollback()
            ends += 1
        desk.post(desk.sale("b", 10))
        assert sealing.seal(signer, now=NOW) == 0
        other.rollback()
    assert seal_all(signer) == 2


def test_a_long_history_is_sealed_in_steps(
    committed_desk: Desk, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "TRANSACTIONS_PER_STEP", 4)
    desk = committed_desk
    desk.post(*(desk.sale(f"r{n}", 10) for n in range(11)))
    assert seal_all(signer) == 11
    assert max(len(ids) for _, _, ids in blocks()) == 4
    assert found(signer) == []


def test_a_clock_that_goes_back_does_not_set_a_chain_back(committed_desk: Desk, signer: Signer) -> None:
    desk = committed_desk
    for n in range(3):
        desk.post(desk.sale(f"r{n}", 10))
        assert seal_all(signer, now=NOW - timedelta(days=n)) == 1
    assert found(signer) == []


def test_a_block_of_an_earlier_key_still_verifies(committed_desk: Desk, signer: Signer, thief: Signer) -> None:
    desk, successor = committed_desk, thief
    desk.post(desk.sale("a", 10))
    seal_all(signer)
    desk.post(desk.sale("b", 10))
    seal_all(successor)
    both = {one.key_id: one.public_key for one in (signer, successor)}
    assert check.check(trusted=both).findings == ()
    assert check.stored_keys() == both
    assert [finding.what for finding in check.check(trusted={successor.key_id: both[successor.key_id]}).findings] == [
        "forged"
    ]


def test_sealing_reads_and_never_changes_the_books(committed_desk: Desk, signer: Signer) -> None:
    desk = committed_desk
    desk.post(desk.sale("a", 10))
    before = digests(connection)
    assert seal_all(signer) == 1
    assert digests(connection) == before
