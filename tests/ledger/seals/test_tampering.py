"""History is changed by a superuser with the guards off; the check finds it and names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ledger.seals import canonical, check, merkle
from ledger.seals.blocks import Block
from ledger.seals.keys import Signer
from tests.ledger.desk import Desk
from tests.ledger.seals.chains import found, publish, seal_all
from tests.ledger.seals.history import History


def test_the_report_says_what_is_covered_and_what_is_not(history: History) -> None:
    report = check.check(trusted={history.signer.key_id: history.signer.public_key}, head_files=[history.heads])
    assert (report.books, report.blocks, report.transactions, report.unsealed) == (1, 4, 12, 2)
    assert report.unsealed_since is not None
    assert report.keys_are_given


CHANGES = {
    "an amount": "UPDATE ledger_entry SET amount = amount + 1 WHERE transaction_id = {pk} AND leg = 2",
    "both amounts": "UPDATE ledger_entry SET amount = amount * 2 WHERE transaction_id = {pk}",
    "a memo": "UPDATE ledger_transaction SET memo = 'nothing to see' WHERE id = {pk}",
    "an actor": "UPDATE ledger_transaction SET actor = 'somebody' WHERE id = {pk}",
    "metadata": 'UPDATE ledger_transaction SET metadata = \'{{"a": "b"}}\' WHERE id = {pk}',
    "a date": "UPDATE ledger_transaction SET effective_at = effective_at - interval '1 microsecond' WHERE id = {pk}",
    "a date everywhere": (
        "WITH t AS (UPDATE ledger_transaction SET posted_at = posted_at - interval '1 s' WHERE id = {pk})"
        " UPDATE ledger_entry SET posted_at = posted_at - interval '1 s' WHERE transaction_id = {pk}"
    ),
    "an account": "UPDATE ledger_entry SET account_id = {bob} WHERE transaction_id = {pk} AND leg = 2",
    "a side": "UPDATE ledger_entry SET side = CASE side WHEN 'D' THEN 'C' ELSE 'D' END WHERE transaction_id = {pk}",
    "a balance": "UPDATE ledger_entry SET balance_after = balance_after + 1 WHERE transaction_id = {pk} AND leg = 2",
    "a reference": "UPDATE ledger_transaction SET reference = 'other' WHERE id = {pk}",
    "what it reverses": "UPDATE ledger_transaction SET reverses_id = 1 WHERE id = {pk}",
    "a leg taken away": "DELETE FROM ledger_entry WHERE transaction_id = {pk} AND leg = 3",
    "a leg added": (
        "INSERT INTO ledger_entry (id, transaction_id, leg, book_id, account_id, currency, side, amount, effective_at,"
        " posted_at) SELECT id + 10, transaction_id, leg + 10, book_id, account_id, currency, side, amount,"
        " effective_at, posted_at FROM ledger_entry WHERE transaction_id = {pk} AND leg = 3"
    ),
    "its kind": "UPDATE ledger_transaction SET kind = 'late_success' WHERE id = {pk}",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_row_is_named(history: History, change: str) -> None:
    pk, name = history.pk("b1-1"), history.txn("b1-1")
    history.run(CHANGES[change].format(pk=pk, **history.desk.ids))
    says = f"position 5 was changed after it was sealed (internal id {pk})"
    assert history.found(heads=False) == [
        f"changed: book {history.desk.book.code}, block 2, transaction {name}: {says}"
    ]


def test_a_public_id_that_was_changed_is_named(history: History) -> None:
    pk = history.pk("b1-1")
    history.run(f"UPDATE ledger_transaction SET public_id = gen_random_uuid() WHERE id = {pk}")
    (finding,) = history.found(heads=False)
    assert f"{history.txn('b1-1')}: position 5 was changed" in finding


def test_an_account_that_is_renamed_changes_every_row_that_names_it(history: History) -> None:
    history.run(f"UPDATE ledger_account SET code = 'bob2:EUR' WHERE id = {history.desk.ids['fees']}")
    assert len(history.found()) == 12


def test_a_deleted_transaction_in_the_middle_is_named(history: History) -> None:
    pk = history.pk("b2-0")
    history.run(
        f"DELETE FROM ledger_entry WHERE transaction_id = {pk}", f"DELETE FROM ledger_transaction WHERE id = {pk}"
    )
    assert history.found(heads=False) == [
        f"missing: book {history.desk.book.code}, block 3: position 7 is missing (internal id {pk})"
    ]


COPY = (
    "INSERT INTO ledger_transaction (id, public_id, book_id, kind, reference, request_hash, leg_count, effective_at,"
    " posted_at, actor, created_xid) OVERRIDING SYSTEM VALUE SELECT {new}, gen_random_uuid(), book_id, kind, 'forged',"
    " request_hash, leg_count, effective_at, posted_at, actor, {xid} FROM ledger_transaction WHERE id = {pk}"
)


def test_a_transaction_inserted_into_the_sealed_range_is_named(history: History) -> None:
    history.run(COPY.format(new=10**9, xid="created_xid", pk=history.pk("b1-1")))
    (finding,) = history.found(heads=False)
    assert finding.startswith(
        f"inserted: book {history.desk.book.code}, transaction {history.txn('forged')}: it lies in"
    )


def test_an_insertion_is_not_hidden_by_moving_another_row_away(history: History) -> None:
    moved = history.txn("b1-0")
    history.run(
        COPY.format(new=10**9, xid="created_xid", pk=history.pk("b1-1")),
        f"UPDATE ledger_transaction SET created_xid = pg_current_xact_id() WHERE id = {history.pk('b1-0')}",
    )
    findings = history.found(heads=False)
    assert len(findings) == 2
    assert any(finding.startswith("inserted") and history.txn("forged") in finding for finding in findings)
    assert any(finding.startswith("altered") and moved in finding for finding in findings)


def test_two_rows_that_are_swapped_are_both_named(history: History) -> None:
    one, two = history.pk("b1-0"), history.pk("b2-2")
    names = [history.txn("b2-2"), history.txn("b1-0")]
    for table, column in (("ledger_transaction", "id"), ("ledger_entry", "transaction_id")):
        shift = ", id = {to}::bigint * 32768 + leg" if table == "ledger_entry" else ""
        for source, target in ((one, 10**9), (two, one), (10**9, two)):
            history.run(
                f"UPDATE {table} SET {column} = {target}{shift.format(to=target)}" + f" WHERE {column} = {source}"
            )
    findings = history.found(heads=False)
    assert [finding.split(": ")[0] for finding in findings] == ["changed", "changed"]
    assert [name in finding for name, finding in zip(names, findings, strict=True)] == [True, True]


def cut(history: History, after_block: int) -> None:
    """Remove every block after one, its transactions, and what is not sealed; set the mark back."""
    history.run(
        f"DELETE FROM ledger_seal WHERE number > {after_block}",
        "DELETE FROM ledger_transaction t WHERE NOT EXISTS"
        " (SELECT 1 FROM ledger_seal s WHERE t.id = ANY (s.transaction_ids))",
        "DELETE FROM ledger_entry WHERE transaction_id NOT IN (SELECT id FROM ledger_transaction)",
        "UPDATE ledger_seal_mark SET (cluster_epoch, xid, transaction_id) ="
        " (SELECT last_epoch, last_xid, last_id FROM ledger_seal ORDER BY number DESC LIMIT 1)",
    )


def test_the_newest_rows_cut_off_with_their_seals_are_told_by_the_heads(history: History) -> None:
    cut(history, after_block=2)
    assert history.found(heads=False) == []  # the database alone cannot know
    (finding,) = history.found()
    assert finding.startswith(f"truncated: book {history.desk.book.code}, block 3: blocks 3 to 4 were published and")
    assert finding.endswith("are gone, and with them every transaction after position 6")


def test_a_book_that_is_gone_is_told_by_the_heads(history: History) -> None:
    history.run(*(f"DELETE FROM {table}" for table in ("ledger_seal", "ledger_entry", "ledger_transaction")))
    history.run("DELETE FROM ledger_balance", "DELETE FROM ledger_account", "DELETE FROM ledger_book")
    (finding,) = history.found()
    assert finding.startswith(f"truncated: book {history.desk.book.code}, block 1: blocks 1 to 4 were published")


def test_a_block_that_is_taken_out_is_missed(history: History) -> None:
    history.run("DELETE FROM ledger_seal WHERE number = 2")
    findings = history.found(heads=False)
    assert f"missing: book {history.desk.book.code}, block 3: blocks 2 to 2 before it are missing" in findings
    assert sum(finding.startswith("inserted") for finding in findings) == 3


def rewrite(history: History, signer: Signer, from_block: int) -> None:
    """Make the chain from a block on again over the rows as they are now, as its thief would, with another key."""
    history.run(
        "INSERT INTO ledger_seal_key (key_id, public_key, added_at)"
        f" VALUES ('{signer.key_id}', '\\x{signer.public_key.hex()}', now()) ON CONFLICT DO NOTHING"
    )
    rows = history.superuser.execute(
        f"SELECT {check.BLOCK_COLUMNS},"
        f" (SELECT string_agg({canonical.LEAF}, ''::bytea ORDER BY u.at) FROM unnest(s.transaction_ids)"
        "     WITH ORDINALITY u (id, at) JOIN ledger_transaction t ON t.id = u.id)"
        " FROM ledger_seal s JOIN ledger_book b ON b.id = s.book_id ORDER BY s.number"
    ).fetchall()
    previous = b""
    for row in rows:
        block = check.block_of(history.desk.book.code, row[:10])
        if block.number >= from_block:
            leaves = bytes(row[10])
            block = Block(
                **{
                    **{name: getattr(block, name) for name in Block.__slots__},
                    "root": merkle.root(merkle.split(leaves)),
                    "previous_hash": previous or block.previous_hash,
                    "key_id": signer.key_id,
                }
            ).with_hash()
            block = replace(block, signature=signer.sign(block.block_hash))
            history.superuser.execute(
                "UPDATE ledger_seal SET previous_hash = %s, root = %s, key_id = %s, block_hash = %s, signature = %s,"
                " leaves = %s WHERE number = %s",
                [
                    block.previous_hash,
                    block.root,
                    block.key_id,
                    block.block_hash,
                    block.signature,
                    leaves,
                    block.number,
                ],
            )
        previous = block.block_hash


def test_a_chain_that_was_made_again_with_another_key_is_found(history: History, thief: Signer) -> None:
    history.run(CHANGES["both amounts"].format(pk=history.pk("b1-1")))
    rewrite(history, thief, from_block=2)
    findings = history.found(heads=False)
    assert [(finding.split(":")[0], f"block {n}: it is signed with key {thief.key_id}" in finding)
            for n, finding in enumerate(findings, 2)] == [("forged", True)] * 3  # fmt: skip
    assert len(history.found()) == 6  # and each differs from its published head


def test_a_chain_that_was_made_again_with_our_own_key_differs_from_the_heads(history: History) -> None:
    history.run(CHANGES["both amounts"].format(pk=history.pk("b1-1")))
    rewrite(history, history.signer, from_block=2)
    assert history.found(heads=False) == []  # whoever has the key can do that: hence the heads
    findings = history.found()
    assert [finding.split(":")[0] for finding in findings] == ["altered"] * 3
    assert "block 2: another head was published for it" in findings[0]


def test_believing_the_keys_in_the_database_is_said(history: History, thief: Signer) -> None:
    rewrite(history, thief, from_block=1)
    report = check.check(trusted={})
    assert (report.findings, report.keys_are_given) == ((), False)


ALTERED = {
    "its root": ("UPDATE ledger_seal SET root = sha256('x') WHERE number = 2", "does not have its hash"),
    "its hash": ("UPDATE ledger_seal SET block_hash = sha256('x') WHERE number = 2", "does not have its hash"),
    "its leaves": ("UPDATE ledger_seal SET leaves = leaves || sha256('x') WHERE number = 2", "leaves and has"),
    "its time": ("UPDATE ledger_seal SET sealed_at = 'infinity' WHERE number = 2", "does not have its hash"),
    "its signature": ("UPDATE ledger_seal SET signature = signature || '\\x00' WHERE number = 2", "signature is not"),
    "its number": ("UPDATE ledger_seal SET number = 9 WHERE number = 4", "are missing"),
    "its positions": ("UPDATE ledger_seal SET first_position = 1 WHERE number = 2", "positions"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_a_block_that_was_altered_is_named(history: History, what: str) -> None:
    statement, says = ALTERED[what]
    history.run("ALTER TABLE ledger_seal DROP CONSTRAINT seal_holds_its_leaves")
    history.run("ALTER TABLE ledger_seal DROP CONSTRAINT seal_hashes_are_complete")
    try:
        history.run(statement)
        findings = history.found(heads=False)
        block = 9 if what == "its number" else 2
        assert any(f"block {block}: " in finding and says in finding for finding in findings), findings
    finally:
        history.run("DELETE FROM ledger_seal")
        history.run(
            "ALTER TABLE ledger_seal ADD CONSTRAINT seal_holds_its_leaves CHECK ("
            "leaf_count >= 1 AND cardinality(transaction_ids) = leaf_count AND octet_length(leaves) = 32 * leaf_count"
            " AND last_position = first_position + leaf_count - 1 AND number >= 1"
            " AND last_id = transaction_ids[leaf_count]),"
            " ADD CONSTRAINT seal_hashes_are_complete CHECK (octet_length(previous_hash) = 32"
            " AND octet_length(root) = 32 AND octet_length(block_hash) = 32 AND octet_length(signature) = 64)"
        )


def test_a_changed_row_is_not_hidden_by_its_leaf(history: History) -> None:
    history.run(
        CHANGES["a memo"].format(pk=history.pk("b1-1")),
        "UPDATE ledger_seal s SET leaves = overlay(leaves PLACING (SELECT "
        + canonical.LEAF
        + " FROM ledger_transaction t JOIN ledger_book b ON b.id = t.book_id"
        f"  WHERE t.id = {history.pk('b1-1')}) FROM 33) WHERE number = 2",
    )
    assert history.found(heads=False) == [
        f"altered: book {history.desk.book.code}, block 2: its leaves do not give its root"
    ]


def test_findings_are_limited(history: History) -> None:
    history.run("UPDATE ledger_transaction SET memo = 'x'")
    report = check.check(trusted={history.signer.key_id: history.signer.public_key}, limit=5)
    assert len(report.findings) == 5


def test_one_book_is_checked_alone(history: History, signer: Signer) -> None:
    other = Desk.open()
    other.post(other.sale("o", 10))
    seal_all(signer)
    history.run("UPDATE ledger_transaction SET memo = 'x' WHERE reference = 'b1-1'")
    assert found(signer, book=other.book.code) == []
    assert len(found(signer, book=history.desk.book.code)) == 1


HEADS: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "changed": (lambda lines: [lines[0].replace('"number":1', '"number":2'), *lines[1:]], "does not have its hash"),
    "no head": (lambda lines: [*lines, "{}\n"], "it is no head"),
    "no JSON": (lambda lines: [*lines, "\xff\n"], "it is no head"),
    "too deep": (lambda lines: [*lines, "[" * 5000 + "\n"], "it is no head"),
}


@pytest.mark.parametrize("change", HEADS)
def test_a_head_file_that_was_changed_is_told_by_line(history: History, change: str) -> None:
    make, says = HEADS[change]
    history.heads.write_text("".join(make(history.heads.read_text().splitlines(keepends=True))), encoding="latin-1")
    (finding,) = history.found()
    assert finding.startswith("unreadable: seals: line ")
    assert says in finding


def test_two_heads_for_one_block_are_told(history: History, thief: Signer) -> None:
    rewrite(history, thief, from_block=4)
    publish(history.heads)
    findings = history.found()
    assert any("two heads were published for block 4" in finding for finding in findings)
    assert any("another head was published for it" in finding for finding in findings)
