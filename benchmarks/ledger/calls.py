"""The calls that post: `ledger_post_one` for pgbench, `ledger_post` with binary arrays. The one place that knows them.

The parameters of the latter are asked of the database by name: a new one with a default value here needs one line.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg

UUID, BIGINT, INT, TEXT, BYTEA = 2950, 20, 23, 25, 17
KIND = "settle_charge"
HASH = "\\x" + "5f" * 32
CURRENCY = "EUR"
AMOUNT, FEE = 100, 10

# What every transaction of the benchmark has in common. `{n}` is the number of transactions in the call. The times are
# made by the server: a client that packed its arrays beforehand would send old ones.
COMMON = {
    "p_book": "array_fill({book}::bigint, ARRAY[{n}])",
    "p_kind": f"array_fill('{KIND}'::text, ARRAY[{{n}}])",
    "p_effective_at": "array_fill(now(), ARRAY[{n}])",
    "p_occurred_at": "array_fill(NULL::timestamptz, ARRAY[{n}])",
    "p_posted_at": "now()",
    "p_actor": "array_fill('benchmark'::text, ARRAY[{n}])",
    "p_memo": "array_fill(''::text, ARRAY[{n}])",
    "p_metadata": "array_fill('{{}}'::jsonb, ARRAY[{n}])",
    "p_reverses": "array_fill(NULL::bigint, ARRAY[{n}])",
    "p_leg_currency": f"array_fill('{CURRENCY}'::text, ARRAY[{{legs}}])",
    "p_receipt": "false",
}
# What differs from one transaction to the next; the bulk client sends these as binary parameters.
VARYING = {
    "p_public_id": "uuid[]",
    "p_reference": "text[]",
    "p_request_hash": "bytea[]",
    "p_leg_txn": "int[]",
    "p_leg_account": "bigint[]",
    "p_leg_side": "text[]",
    "p_leg_amount": "bigint[]",
}


@dataclass(frozen=True, slots=True)
class Book:
    """The book of the benchmark: sellers have the ids from `low` to `high`."""

    id: int
    low: int
    high: int
    clearing: int
    fees: int


def parameters(connection: psycopg.Connection) -> list[str]:
    """Return the names of the function's input parameters as the installed schema has them."""
    row = connection.execute(
        "SELECT proargnames[1:pronargs] FROM pg_proc WHERE proname = 'ledger_post' ORDER BY pronargs DESC LIMIT 1"
    ).fetchone()
    assert row is not None
    names: list[str] = row[0]
    unknown = set(names) - set(COMMON) - set(VARYING)
    if unknown:
        raise SystemExit(f"ledger_post has parameters that the benchmark does not know: {sorted(unknown)}")
    return names


def _call(names: Sequence[str], varying: dict[str, str], **common: int) -> str:
    here = dict(COMMON)
    if "p_occurred_at" in names:  # then NULL says: effective at the moment of posting
        here["p_effective_at"] = here["p_occurred_at"]
    given = [f"{name} => {varying.get(name) or here[name].format(**common)}" for name in names]
    return "SELECT outcome FROM ledger_post(" + ", ".join(given) + ")"


def pgbench_script(book: Book, shape: str) -> str:
    """Return the script of one posting: `uniform` from seller to seller, or `checkout` over two hot accounts.

    `:n` counts up in each client, from a number that the caller sets: references and public ids grow with time, as
    those of the product do.
    """
    if shape == "uniform":
        picks = (
            f"\\set a random({book.low}, {book.high})\n\\set b random({book.low}, {book.high - 1})\n"
            "\\set b case when :b >= :a then :b + 1 else :b end\n"
        )
        accounts, sides, amounts, legs = ":a, :b", "'D', 'C'", f"{AMOUNT}, {AMOUNT}", 2
    else:
        picks = f"\\set a random({book.low}, {book.high})\n"
        accounts, sides = f"{book.clearing}, :a, {book.fees}", "'D', 'C', 'C'"
        amounts, legs = f"{AMOUNT}, {AMOUNT - FEE}, {FEE}", 3
    currencies = ", ".join([f"'{CURRENCY}'"] * legs)
    call = (
        f"SELECT outcome FROM ledger_post_one((:n::text || :x::text)::uuid, {book.id}, '{KIND}',"
        f" '{KIND}-' || :n::text || '-' || :client_id::text, '{HASH}', NULL, NULL, now(),"
        " 'benchmark', '', '{}', NULL,"
        f" ARRAY[{accounts}]::bigint[], ARRAY[{currencies}], ARRAY[{sides}], ARRAY[{amounts}]::bigint[], false);\n"
    )
    return picks + "\\set n :n + 1\n\\set x random(1000000000000000, 9999999999999999)\n" + call


def bulk_statement(names: Sequence[str], book: Book, size: int, *, dated: bool = False) -> str:
    """Return the call of `size` transactions whose varying arrays are $1, $2 and so on, in the order of `VARYING`.

    `dated`: one more parameter at the end says how many seconds ago they are posted and effective.
    """
    numbered = {name: f"${i}::{kind}" for i, (name, kind) in enumerate(VARYING.items(), 1)}
    call = _call(names, numbered, book=book.id, n=size, legs=2 * size)
    if dated:
        call = call.replace("now()", f"(now() - ${len(numbered) + 1}::bigint * interval '1 second')")
    return call.replace("SELECT outcome", "SELECT count(*) FILTER (WHERE outcome = 'created')", 1)


def bulk_arguments(book: Book, size: int, first: int, accounts: Sequence[bytes] | None = None) -> list[bytes]:
    """Pack the arrays of one call of `size` transfers with references from `first` on.

    Between distinct random sellers, unless `accounts` names a packed debit and credit account for each transfer.
    """
    if accounts is None:
        chosen = random.sample(range(book.low, book.high + 1), 2 * size)
        accounts = [struct.pack(">q", account) for account in chosen]
    return [
        _array(UUID, (struct.pack(">Q", first + i) + os.urandom(8) for i in range(size))),
        _array(TEXT, (b"%s-%d" % (KIND.encode(), first + i) for i in range(size))),
        _array(BYTEA, (os.urandom(32) for _ in range(size))),
        _array(INT, (struct.pack(">i", 1 + i // 2) for i in range(2 * size))),
        _array(BIGINT, accounts),
        _array(TEXT, [b"D", b"C"] * size),
        _array(BIGINT, [struct.pack(">q", AMOUNT)] * (2 * size)),
    ]


def _array(element: int, values: Iterable[bytes]) -> bytes:
    """Return PostgreSQL's binary form of a one-dimensional array without NULL."""
    packed = [struct.pack(">i", len(value)) + value for value in values]
    return struct.pack(">iiIii", 1, 0, element, len(packed), 1) + b"".join(packed)
