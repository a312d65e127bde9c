"""What somebody with the superuser's rights does to the books behind everybody's back: one row each, and back again.

Each tampering is made alone, must be found, and is undone before the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql


@dataclass(frozen=True, slots=True)
class Tampering:
    """A change of rows and its inverse. `row` finds the id that both are about; `also` are classes that follow.

    `guard` is a constraint, by table and name, that has to be taken away for as long as the change stands.
    """

    code: str
    says: str
    row: str
    do: str
    undo: str
    also: tuple[str, ...] = ()
    guard: tuple[str, str] | None = None


_A_SALE: Final = "SELECT id FROM ledger_transaction WHERE kind = 'settle_charge' ORDER BY id LIMIT 1"
_AVAILABLE: Final = """SELECT a.id FROM ledger_account a JOIN ledger_balance b ON b.account_id = a.id
                        WHERE a.code LIKE 'seller:%:available:EUR' AND b.credits > b.debits ORDER BY a.id LIMIT 1"""

TAMPERINGS: Final = (
    Tampering(
        "D01", "an entry has another amount",
        """SELECT e.id FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id
            WHERE a.code LIKE 'fees:platform:%' ORDER BY e.id LIMIT 1""",
        "UPDATE ledger_entry SET amount = amount + 1 WHERE id = %(row)s",
        "UPDATE ledger_entry SET amount = amount - 1 WHERE id = %(row)s",
        ("D02", "D03", "D05", "D08"),
    ),
    Tampering(
        "D02", "a sale has lost its journal", _A_SALE,
        "UPDATE ledger_transaction SET reference = 'lost:' || reference WHERE id = %(row)s",
        "UPDATE ledger_transaction SET reference = substr(reference, 6) WHERE id = %(row)s",
        ("D03", "D05", "D08"),
    ),
    Tampering(
        "D03", "a journal of people that nobody approved", _A_SALE,
        "UPDATE ledger_transaction SET kind = 'adjust' WHERE id = %(row)s",
        "UPDATE ledger_transaction SET kind = 'settle_charge' WHERE id = %(row)s",
        ("D02", "D05", "D08"),
    ),
    Tampering(
        "D04", "a sale has two journals",
        "SELECT max(id) FROM ledger_transaction WHERE kind = 'settle_charge'",
        f"""UPDATE ledger_transaction SET metadata = jsonb_build_object('was', reference),
                   reference = (SELECT reference || ':2' FROM ledger_transaction WHERE id = ({_A_SALE}))
             WHERE id = %(row)s""",
        """UPDATE ledger_transaction SET reference = metadata ->> 'was', metadata = '{}' WHERE id = %(row)s""",
        ("D02", "D03", "D05", "D08"),
    ),
    Tampering(
        "D05", "a wallet's balance was raised", _AVAILABLE,
        "UPDATE ledger_balance SET credits = credits + 100 WHERE account_id = %(row)s",
        "UPDATE ledger_balance SET credits = credits - 100 WHERE account_id = %(row)s",
        ("D01", "D08", "D10"),
    ),
    Tampering(
        "D06", "a wallet is below its floor", _AVAILABLE,
        "UPDATE ledger_balance SET floor = 1000000000000 WHERE account_id = %(row)s",
        "UPDATE ledger_balance SET floor = 0 WHERE account_id = %(row)s",
        ("D08",),
        ("ledger_balance", "balance_stays_above_its_floor"),
    ),
    Tampering(
        "D07", "the end of a checkout is overdue",
        "SELECT min(id) FROM payments_paymentevent WHERE expiry_due_at IS NULL",
        "UPDATE payments_paymentevent SET expiry_due_at = florin_now() - interval '2 hours' WHERE id = %(row)s",
        "UPDATE payments_paymentevent SET expiry_due_at = NULL WHERE id = %(row)s",
    ),
    Tampering(
        "D08", "a checkout is not the sum of its orders",
        "SELECT min(id) FROM payments_paymentevent WHERE status = 'succeeded'",
        "UPDATE payments_paymentevent SET amount_minor = amount_minor + 1 WHERE id = %(row)s",
        "UPDATE payments_paymentevent SET amount_minor = amount_minor - 1 WHERE id = %(row)s",
    ),
    Tampering(
        "D09", "money has been in suspense for two months",
        """SELECT min(t.id) FROM ledger_transaction t JOIN reconciliation_break b ON b.transaction_id = t.id
            WHERE t.kind = 'suspend' AND b.state <> 'resolved'""",
        "UPDATE ledger_transaction SET posted_at = posted_at - interval '60 days' WHERE id = %(row)s",
        "UPDATE ledger_transaction SET posted_at = posted_at + interval '60 days' WHERE id = %(row)s",
        ("D01", "D03", "D05"),
    ),
    Tampering(
        "D10", "the money at the bank is somewhere else",
        "SELECT min(id) FROM ledger_account WHERE code LIKE 'bank:main-eur:EUR'",
        "UPDATE ledger_account SET code = 'x' || code WHERE id = %(row)s",
        "UPDATE ledger_account SET code = substr(code, 2) WHERE id = %(row)s",
        ("D02", "D03", "D05", "D08"),
    ),
)  # fmt: skip


def chosen(seed: int, count: int = 4) -> tuple[Tampering, ...]:
    """Return those that a seed tries: in turn, so that a few seeds try all of them."""
    return tuple(TAMPERINGS[(seed * count + number) % len(TAMPERINGS)] for number in range(count))


@contextmanager
def made(tampering: Tampering, superuser_url: str) -> Iterator[bool]:
    """Tamper, and undo it at the end; gives False where there is nothing to tamper with."""
    with psycopg.connect(superuser_url, autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        found = superuser.execute(tampering.row.replace("%", "%%"), {}).fetchone()
        row = found[0] if found else None
        if row is None:
            yield False
            return
        with _without(tampering.guard, superuser):
            superuser.execute(tampering.do, {"row": row})
            try:
                yield True
            finally:
                superuser.execute(tampering.undo, {"row": row})


@contextmanager
def _without(guard: tuple[str, str] | None, superuser: psycopg.Connection) -> Iterator[None]:
    """Take a constraint away, as only the owner of a table can, and put it back as it was."""
    if guard is None:
        yield
        return
    table, name = (sql.Identifier(word) for word in guard)
    found = superuser.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [guard[1]])
    (definition,) = found.fetchone() or ("",)
    assert definition, f"there is no constraint {guard[1]}"
    superuser.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table, name))
    try:
        yield
    finally:
        again = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}")
        superuser.execute(again.format(table, name, sql.SQL(definition)))
