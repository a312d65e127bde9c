"""The canonical bytes: the database and Python agree on any transaction, and every field is in the leaf."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.models import TransactionKind
from ledger.seals import canonical
from tests.database import Clone
from tests.factories import NOW
from tests.ledger.desk import C, D, Desk

# PostgreSQL's text holds every character but NUL; surrogates are no characters.
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
JSON = st.dictionaries(TEXT, TEXT, max_size=5)
INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))


def both(pk: int) -> tuple[bytes, bytes, dict[str, Any]]:
    """Return the leaf of a transaction as the database computes it, as Python does, and its document."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {canonical.LEAF}, {canonical.FIELDS} FROM ledger_transaction t"
            " JOIN ledger_book b ON b.id = t.book_id WHERE t.id = %s",
            [pk],
        )
        leaf, *fields = cursor.fetchone()
    shown = canonical.document(fields)
    return bytes(leaf), canonical.leaf(json.loads(json.dumps(shown))), shown


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reference=TEXT.filter(bool),
    memo=TEXT,
    actor=TEXT,
    metadata=JSON,
    occurred_at=st.none() | INSTANTS,
    effective_at=INSTANTS,
    amounts=st.lists(st.integers(1, 2**50), min_size=1, max_size=6),
    data=st.data(),
)
def test_the_database_and_python_agree_on_any_transaction(  # noqa: PLR0917 - drawn by name
    db: None,
    reference: str,
    memo: str,
    actor: str,
    metadata: dict[str, str],
    occurred_at: datetime | None,
    effective_at: datetime,
    amounts: list[int],
    data: st.DataObject,
) -> None:
    desk = Desk.open()
    metadata = {f"k{name}"[:1] + str(number): value for number, (name, value) in enumerate(metadata.items())}
    lines = [
        line
        for amount in amounts
        for line in (("cash", D, amount), (data.draw(st.sampled_from(["ann", "fees"])), C, amount))
    ]
    journal = desk.journal(
        reference,
        *lines,
        memo=memo,
        actor=actor,
        metadata=metadata,
        occurred_at=occurred_at,
        effective_at=effective_at,
    )
    (posted,) = desk.post(journal)
    in_database, in_python, shown = both(posted.transaction_id)
    assert in_database == in_python
    assert (shown["memo"], shown["actor"], json.loads(shown["metadata"])) == (memo, actor, metadata)
    assert len(shown["legs"]) == 2 * len(amounts)


def test_metadata_that_only_raw_sql_writes_agrees_too(committed_desk: Desk, superuser: psycopg.Connection) -> None:
    desk = committed_desk
    for n, metadata in enumerate(
        ['{"b": [1.10, 1e3, null, true, "é\\u0001\\"\\\\"], "aa": {}, "a": 1}', "null", '"x"']
    ):
        (posted,) = desk.post(desk.sale(f"r{n}", 10))
        superuser.execute("SET session_replication_role = replica")
        superuser.execute(
            "UPDATE ledger_transaction SET metadata = %s, effective_at = 'infinity', occurred_at = '-infinity',"
            " reverses_id = 99 WHERE id = %s",
            [metadata, posted.transaction_id],
        )
        superuser.execute(
            "UPDATE ledger_entry SET effective_at = 'infinity' WHERE transaction_id = %s", [posted.transaction_id]
        )
        in_database, in_python, shown = both(posted.transaction_id)
        assert in_database == in_python
        assert len(shown["legs"]) == 2
        assert shown["reverses"] == "txn_" + 26 * "0"


def test_a_reversal_names_what_it_reverses(desk: Desk) -> None:
    (sale,) = desk.post(desk.sale("a", 100))
    back = desk.journal(
        "b", ("cash", C, 100), ("ann", D, 100), kind=TransactionKind.REVERSAL, reverses_id=sale.transaction_id
    )
    (undone,) = desk.post(back)
    in_database, in_python, shown = both(undone.transaction_id)
    assert in_database == in_python
    assert shown["reverses"] == both(sale.transaction_id)[2]["id"]
    assert both(sale.transaction_id)[2]["reverses"] is None


def changes(shown: Any, path: tuple[Any, ...] = ()) -> Any:
    """Yield copies of a document, each with one value changed."""
    at: Any = shown
    for step in path:
        at = at[step]
    if isinstance(at, dict):
        for key in at:
            yield from changes(shown, (*path, key))
        return
    if isinstance(at, list):
        for key in range(len(at)):
            yield from changes(shown, (*path, key))
        return
    for other in _others(path[-1], at):
        made = copy.deepcopy(shown)
        inside: Any = made
        for step in path[:-1]:
            inside = inside[step]
        inside[path[-1]] = other
        yield made


def _others(name: str, value: Any) -> list[Any]:
    if name in ("account_version", "balance_after_minor"):
        return [None] if value is not None else ["0", "1"]
    if name in ("leg_count", "number"):
        return [value + 1]
    if name == "amount_minor":
        return [str(int(value) + 1)]
    if name == "occurred_at" and value is None:
        return [canonical.show_instant(0)]
    if name.endswith("_at"):
        return [canonical.show_instant(canonical.read_instant(value) + 1)]
    if name == "reverses" and value is None:
        return ["txn_" + 26 * "0"]
    if name == "id":
        return ["txn_" + 26 * "0"]
    if name == "request_hash":
        return [value[:-2], value + "00"]
    return [value + "x"]


def test_every_field_is_in_the_leaf(desk: Desk) -> None:
    (posted,) = desk.post(desk.sale("a", 100, fee=7))
    _, leaf, shown = both(posted.transaction_id)
    leaves = [canonical.leaf(other) for other in changes(shown)]
    assert len(leaves) > 30
    assert len({leaf, *leaves}) == len(leaves) + 1
    swapped = {**shown, "legs": shown["legs"][::-1]}
    assert canonical.leaf(swapped) not in (leaf, *leaves)
    assert canonical.leaf({**shown, "legs": shown["legs"][:-1]}) not in (leaf, *leaves)


def test_neighbours_do_not_run_into_each_other(desk: Desk) -> None:
    (posted,) = desk.post(desk.sale("a", 100))
    _, _, shown = both(posted.transaction_id)
    one = canonical.leaf({**shown, "actor": "ab", "memo": "c"})
    two = canonical.leaf({**shown, "actor": "a", "memo": "bc"})
    none = canonical.leaf({**shown, "actor": "abc", "memo": ""})
    assert len({one, two, none}) == 3


@pytest.mark.parametrize(
    "broken",
    [
        {"effective_at": "2026-01-01"},
        {"effective_at": "2026-01-01T00:00:00+00:00"},
        {"legs": [{"number": 1}]},
        {"legs": None},
        {"id": "txn_x"},
        {"memo": 7},
        {"memo": "\ud800"},
        {"request_hash": "zz"},
        {"leg_count": 2**40},
    ],
)
def test_what_is_no_document_is_refused(desk: Desk, broken: dict[str, Any]) -> None:
    (posted,) = desk.post(desk.sale("a", 100))
    _, _, shown = both(posted.transaction_id)
    with pytest.raises(canonical.Unreadable):
        canonical.leaf({**shown, **broken})


@pytest.mark.parametrize("amount", ["0100", " 100", "1_00", "+100", "1e2", "9223372036854775808"])
def test_an_amount_has_one_spelling(desk: Desk, amount: str) -> None:
    (posted,) = desk.post(desk.sale("a", 100))
    _, _, shown = both(posted.transaction_id)
    shown["legs"][0]["amount_minor"] = amount
    with pytest.raises(canonical.Unreadable):
        canonical.leaf(shown)


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_instant_is_read_as_it_was_shown(microseconds: int) -> None:
    assert canonical.read_instant(canonical.show_instant(microseconds)) == microseconds


def test_another_session_encoding_is_not_used(desk: Desk, clone: Clone) -> None:
    """Leaves are text in the encoding of the session; Django's sessions speak UTF-8, whatever the machine prefers."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW client_encoding")
        assert cursor.fetchone()[0] in ("UTF8", "UTF-8")


def test_a_leg_that_differs_from_its_transaction_is_not_one_of_its_legs(
    committed_desk: Desk, superuser: psycopg.Connection
) -> None:
    desk = committed_desk
    (posted,) = desk.post(desk.sale("a", 100))
    whole = both(posted.transaction_id)[0]
    other = Desk.open()
    superuser.execute("SET session_replication_role = replica")
    for change in (
        f"effective_at = '{NOW + timedelta(seconds=1)}'",
        f"posted_at = '{NOW - timedelta(seconds=1)}'",
        f"book_id = {other.book.pk}",
        f"account_id = {other.ids['cash']}",
    ):
        with superuser.transaction(force_rollback=True):
            superuser.execute(
                f"UPDATE ledger_entry SET {change} WHERE transaction_id = {posted.transaction_id} AND leg = 1"
            )
            row = superuser.execute(
                f"SELECT {canonical.LEAF} FROM ledger_transaction t JOIN ledger_book b ON b.id = t.book_id"  # type: ignore[arg-type]
                " WHERE t.id = %s",
                [posted.transaction_id],
            ).fetchone()
            assert row is not None
            assert row[0] != whole, change
