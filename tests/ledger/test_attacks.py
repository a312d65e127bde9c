"""Raw SQL against the books, as the runtime role and as the owner of the schema. Each attack leaves no trace.

The runtime role may only read and call the two functions. The owner may write, so that migrations can; the guards hold
for it too. (An owner can drop a guard, and a superuser can do anything: that is what `verify_books` is for.)
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from config.local_stack.home import ROOT
from ledger import invariants
from tests.database import Clone
from tests.ledger.desk import Desk, digests

TABLES = (
    "ledger_account",
    "ledger_anchor",
    "ledger_balance",
    "ledger_check_mark",
    "ledger_check_run",
    "ledger_currency",
    "ledger_entry",
    "ledger_fold_mark",
    "ledger_folded",
    "ledger_period",
    "ledger_period_balance",
    "ledger_redated",
    "ledger_redated_mark",
    "ledger_seal",
    "ledger_seal_key",
    "ledger_seal_mark",
    "ledger_seal_published",
    "ledger_transaction",
    "ledger_verified",
)
DENIED = "42501"


@pytest.fixture
def names(committed_desk: Desk, committed_db: Clone) -> dict[str, int]:
    """Post a sale of 1000 with a fee of 100 and give the ids that an attacker would use."""
    desk = committed_desk
    other = Desk.open()
    dollars = Desk.open("USD")
    (sale,) = desk.post(desk.sale("r1", 1000, fee=100))
    return {
        **desk.ids,
        "book": desk.book.pk,
        "sale": sale.transaction_id,
        "other_book": other.book.pk,
        "other_cash": other.ids["cash"],
        "dollars": dollars.ids["cash"],
    }


@contextlib.contextmanager
def attack(url: str) -> Iterator[psycopg.Connection]:
    """Open the attacker's connection; whatever it left uncommitted is gone afterwards."""
    with psycopg.connect(url) as attacker:
        try:
            yield attacker
        finally:
            attacker.rollback()


def fails(url: str, sqlstate: str, *statements: str) -> None:
    """Run statements in one transaction; the last one must be refused, and the books be as they were."""
    before = digests(connection)
    with attack(url) as attacker:
        for statement in statements[:-1]:
            attacker.execute(statement)
        with pytest.raises(psycopg.Error) as caught:
            attacker.execute(statements[-1])
        assert caught.value.sqlstate == sqlstate, caught.value
    assert digests(connection) == before
    assert invariants.violations() == []


# --- the runtime role ------------------------------------------------------------------------------------------

READ_ONLY = [
    *(f"INSERT INTO {table} SELECT * FROM {table}" for table in TABLES),
    *(f"DELETE FROM {table}" for table in TABLES),
    *(f"TRUNCATE {table} CASCADE" for table in TABLES),
    *(f"LOCK TABLE {table} IN SHARE MODE" for table in TABLES),
    *(f"SELECT * FROM {table} FOR UPDATE" for table in TABLES),
    *(f"COPY {table} FROM STDIN" for table in TABLES),
    *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in TABLES),
    *(f"ALTER TABLE {table} OWNER TO florin_app" for table in TABLES),
    *(f"DROP TABLE {table} CASCADE" for table in TABLES),
    *(f"CREATE INDEX mine ON {table} ((1))" for table in TABLES),
    *(f"CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING" for table in TABLES),
    "UPDATE ledger_account SET closed_at = now()",
    "UPDATE ledger_balance SET credits = credits + 1, debits = debits + 1",
    "UPDATE ledger_balance SET floor = NULL",
    "UPDATE ledger_currency SET exponent = 0",
    "UPDATE ledger_entry SET amount = 1",
    "UPDATE ledger_transaction SET memo = 'mine'",
    "UPDATE ledger_book SET mode = 'live'",
    "DELETE FROM ledger_book",
    "TRUNCATE ledger_book CASCADE",
    "SELECT nextval('ledger_transaction_id_seq')",
    "SELECT setval('ledger_transaction_id_seq', 1)",
    (
        "MERGE INTO ledger_balance b USING ledger_balance s ON s.account_id = b.account_id"
        " WHEN MATCHED THEN UPDATE SET floor = NULL"
    ),
    "SET ROLE florin_owner",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION florin_owner",
    "SET session_replication_role = replica",
    "ALTER ROLE florin_app SUPERUSER",
    "GRANT florin_owner TO florin_app",
    "CREATE FUNCTION public.sum(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'",
    "CREATE SCHEMA mine",
    "CREATE TABLE public.mine (id int)",
    "CREATE TEMP TABLE ledger_balance (account_id bigint)",
    "CREATE TRIGGER mine BEFORE INSERT ON ledger_entry EXECUTE FUNCTION ledger_refuse_change()",
    "DROP TRIGGER entries_balance ON ledger_entry",
    "DROP FUNCTION ledger_entries_balance() CASCADE",
    "ALTER FUNCTION ledger_entries_balance() RESET ALL",
    "ALTER FUNCTION ledger_post SECURITY INVOKER",
    "CREATE OR REPLACE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "ALTER TABLE ledger_entry DROP CONSTRAINT entry_amount_is_above_zero",
    "ALTER DATABASE postgres SET session_replication_role = replica",
    "COPY (SELECT 1) TO PROGRAM 'true'",
]


@pytest.mark.parametrize("statement", READ_ONLY)
def test_the_runtime_role_is_denied(names: dict[str, int], clone: Clone, statement: str) -> None:
    fails(clone.app_url, DENIED, statement)


def test_the_runtime_role_cannot_give_itself_rights(names: dict[str, int], clone: Clone) -> None:
    """PostgreSQL only warns of a GRANT without the right to grant; it must have no effect."""
    before = digests(connection)
    with attack(clone.app_url) as attacker:
        attacker.execute("GRANT ALL ON ledger_entry TO florin_app")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attacker.execute("DELETE FROM ledger_entry")
    assert digests(connection) == before


def test_the_rights_of_the_runtime_role_are_exactly_these(db: None, superuser: psycopg.Connection) -> None:
    rows = superuser.execute(
        "SELECT table_name, string_agg(privilege_type, ',' ORDER BY privilege_type)"
        "  FROM information_schema.role_table_grants"
        " WHERE grantee IN ('florin_app', 'PUBLIC') AND table_name LIKE 'ledger\\_%' GROUP BY table_name"
    ).fetchall()
    assert dict(rows) == {**dict.fromkeys(TABLES, "SELECT"), "ledger_book": "INSERT,SELECT"}
    callable_by = superuser.execute(
        "SELECT p.proname FROM pg_proc p WHERE p.proname LIKE 'ledger\\_%' AND p.prorettype <> 'trigger'::regtype"
        " AND has_function_privilege('florin_app', p.oid, 'EXECUTE') AND p.prosecdef ORDER BY 1"
    ).fetchall()
    writers = [
        "ledger_append_seals",
        "ledger_begin_close",
        "ledger_begin_sealing",
        "ledger_check",
        "ledger_check_sums",
        "ledger_close_account",
        "ledger_finish_close",
        "ledger_fold",
        "ledger_fold_redated",
        "ledger_lock_balances",
        "ledger_note_published",
        "ledger_open_accounts",
        "ledger_post",
        "ledger_post_each",
        "ledger_post_one",
        "ledger_record_full_check",
        "ledger_soft_close",
    ]
    assert [name for (name,) in callable_by] == writers
    public = superuser.execute(
        "SELECT p.proname FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x"
        " WHERE p.proname = ANY (%s) AND x.grantee = 0",
        [[*writers, "ledger_begin_epoch"]],
    ).fetchall()
    assert public == []


def test_the_grants_of_a_restore_give_the_rights_that_the_migrations_gave(superuser: psycopg.Connection) -> None:
    """A dump brings no rights along: what the how-to runs afterwards, on its own, must be enough and complete."""
    page = (ROOT / "docs/how-to/back-up-and-restore.md").read_text()
    files = re.findall(r"-f (\S+\.sql)", page.split("pg_restore", 1)[1].split("```", 1)[0])
    assert files
    with superuser.transaction(force_rollback=True):
        before = rights(superuser)
        superuser.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO florin_app")
        superuser.execute("GRANT ALL ON ALL FUNCTIONS IN SCHEMA public TO florin_app, PUBLIC")
        assert rights(superuser) != before
        superuser.execute("SET LOCAL ROLE florin_owner")
        for name in files:
            superuser.execute((ROOT / name).read_text().encode())
        after = rights(superuser)
    assert (after - before, before - after) == (set(), set())


def rights(superuser: psycopg.Connection) -> set[tuple[str, str]]:
    """Return what the runtime role may do with tables, and which functions it may run that act as their owner."""
    return set(
        superuser.execute(
            "SELECT c.relname, p.privilege FROM pg_class c,"
            " unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS p (privilege)"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
            " AND (c.relname LIKE 'ledger\\_%' OR c.relname LIKE 'payments\\_%' OR c.relname LIKE 'wallet\\_%'"
            " OR c.relname LIKE 'reconciliation\\_%')"
            " AND has_table_privilege('florin_app', c.oid, p.privilege)"
            " UNION ALL SELECT p.oid::regprocedure::text, 'EXECUTE' FROM pg_proc p"
            " WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef"
            " AND has_function_privilege('florin_app', p.oid, 'EXECUTE')"
        ).fetchall()
    )


def test_every_function_of_the_books_pins_its_search_path(db: None, superuser: psycopg.Connection) -> None:
    """A function that reads tables by bare name could be led to tables of the same name elsewhere."""
    rows = superuser.execute(
        "SELECT proname FROM pg_proc WHERE proname LIKE 'ledger\\_%' AND proname <> 'ledger_refuse_change'"
        " AND NOT coalesce(proconfig @> ARRAY['search_path=public, pg_temp'], false)"
    ).fetchall()
    assert rows == []


POST_ONE = (
    "SELECT outcome FROM ledger_post(ARRAY[gen_random_uuid()], ARRAY[{book}]::bigint[], ARRAY['settle_charge'],"
    " ARRAY['{reference}'], ARRAY['\\x00'::bytea], ARRAY[now()], ARRAY[NULL]::timestamptz[], now(),"
    " ARRAY['attacker'], ARRAY[''], ARRAY['{{}}']::jsonb[], ARRAY[NULL]::bigint[], ARRAY[1,1],"
    " ARRAY[{debit},{credit}]::bigint[], ARRAY['EUR','EUR'], ARRAY['D','C'],"
    " ARRAY[{amount},{amount}]::bigint[], false)"
)


def test_tables_of_the_same_name_do_not_stand_in_for_the_books(
    names: dict[str, int], clone: Clone, superuser: psycopg.Connection
) -> None:
    """Given the right to temporary tables, shadows change nothing: floors are read where they are."""
    superuser.execute(
        psycopg.sql.SQL("GRANT TEMP ON DATABASE {} TO florin_app").format(psycopg.sql.Identifier(clone.name))
    )
    try:
        before = digests(connection)
        with attack(clone.app_url) as attacker:
            for table in TABLES:
                attacker.execute(f"CREATE TEMP TABLE {table} (LIKE public.{table})")
            attacker.execute("INSERT INTO ledger_balance SELECT * FROM public.ledger_balance")
            attacker.execute("UPDATE ledger_balance SET credits = 1000000, floor = NULL")
            attacker.execute("CREATE FUNCTION pg_temp.cardinality(anyarray) RETURNS int LANGUAGE sql AS 'SELECT 0'")
            attacker.execute("SET search_path = pg_temp, public, pg_catalog")
            theft = POST_ONE.format(reference="theft", amount=5000, debit=names["ann"], credit=names["bob"], **names)
            with pytest.raises(psycopg.errors.CheckViolation) as caught:
                attacker.execute(theft)
            assert caught.value.diag.constraint_name == "balance_stays_above_its_floor"
        assert digests(connection) == before
        with attack(clone.app_url) as attacker:
            for table in TABLES:
                attacker.execute(f"CREATE TEMP TABLE {table} (LIKE public.{table})")
            honest = POST_ONE.format(reference="r2", amount=50, debit=names["ann"], credit=names["bob"], **names)
            assert attacker.execute(honest).fetchone() == ("created",)
            attacker.commit()
        assert invariants.violations() == []
    finally:
        superuser.execute(
            psycopg.sql.SQL("REVOKE TEMP ON DATABASE {} FROM florin_app").format(psycopg.sql.Identifier(clone.name))
        )


LIES = {
    "one leg": ("ARRAY[1]", "ARRAY[{cash}]", "ARRAY['D']", "ARRAY[5]", "23514"),
    "legs of nobody": ("ARRAY[2,2]", "ARRAY[{cash},{fees}]", "ARRAY['D','C']", "ARRAY[5,5]", "FL003"),
    "a leg of nobody": ("ARRAY[1,1,0]", "ARRAY[{cash},{fees},{fees}]", "ARRAY['D','C','C']", "ARRAY[5,5,5]", "FL003"),
    "another side": ("ARRAY[1,1]", "ARRAY[{cash},{fees}]", "ARRAY['D','X']", "ARRAY[5,5]", "23514"),
    "no side": ("ARRAY[1,1]", "ARRAY[{cash},{fees}]", "ARRAY['D',NULL]", "ARRAY[5,5]", "23502"),
    "no amount": ("ARRAY[1,1]", "ARRAY[{cash},{fees}]", "ARRAY['D','C']", "ARRAY[5,NULL]", "23502"),
    "too few amounts": ("ARRAY[1,1]", "ARRAY[{cash},{fees}]", "ARRAY['D','C']", "ARRAY[5]", "23502"),
    "too many accounts": ("ARRAY[1,1]", "ARRAY[{cash},{fees},{ann}]", "ARRAY['D','C']", "ARRAY[5,5]", "23502"),
    "no account": ("ARRAY[1,1]", "ARRAY[{cash},NULL]", "ARRAY['D','C']", "ARRAY[5,5]", "23502"),
    "negative": ("ARRAY[1,1]", "ARRAY[{cash},{fees}]", "ARRAY['D','C']", "ARRAY[-5,-5]", "23514"),
    "unbalanced": ("ARRAY[1,1]", "ARRAY[{cash},{fees}]", "ARRAY['D','C']", "ARRAY[5,6]", "FL004"),
    "another book": ("ARRAY[1,1]", "ARRAY[{cash},{other_cash}]", "ARRAY['D','C']", "ARRAY[5,5]", "FL008"),
    "nothing at all": ("NULL", "NULL", "NULL", "NULL", "FL003"),
}


@pytest.mark.parametrize("lie", LIES)
def test_the_posting_function_believes_nothing(names: dict[str, int], clone: Clone, lie: str) -> None:
    transactions, accounts, sides, amounts, sqlstate = LIES[lie]
    statement = (
        "SELECT * FROM ledger_post(ARRAY[gen_random_uuid()], ARRAY[{book}]::bigint[], ARRAY['settle_charge'],"
        " ARRAY['lie'], ARRAY['\\x00'::bytea], ARRAY[now()], ARRAY[NULL]::timestamptz[],"
        f" now(), ARRAY['attacker'], ARRAY[''], ARRAY['{{{{}}}}']::jsonb[], ARRAY[NULL]::bigint[],"
        f" {transactions}::int[], {accounts}::bigint[],"
        f" array_fill('EUR'::text, ARRAY[coalesce(cardinality({accounts}::bigint[]), 0)]),"
        f" {sides}::text[], {amounts}::bigint[], false)"
    ).format(**names)
    fails(clone.app_url, sqlstate, statement)


@pytest.mark.parametrize("lie", [lie for lie in LIES if not lie.endswith("of nobody")])
def test_posting_one_believes_nothing_either(names: dict[str, int], clone: Clone, lie: str) -> None:
    """The same refusals; only that a header is there anyhow, so without legs it has too few."""
    _, accounts, sides, amounts, sqlstate = LIES[lie]
    sqlstate = "23514" if lie == "nothing at all" else sqlstate
    statement = (
        "SELECT * FROM ledger_post_one(gen_random_uuid(), {book}, 'settle_charge', 'lie', '\\x00', now(), NULL, now(),"
        f" 'attacker', '', '{{{{}}}}', NULL, {accounts}::bigint[],"
        f" array_fill('EUR'::text, ARRAY[coalesce(cardinality({accounts}::bigint[]), 0)]),"
        f" {sides}::text[], {amounts}::bigint[], false)"
    ).format(**names)
    fails(clone.app_url, sqlstate, statement)


# --- the owner of the schema -----------------------------------------------------------------------------------

HEAD = (
    "INSERT INTO ledger_transaction (id, public_id, book_id, kind, reference, request_hash, leg_count, effective_at,"
    " posted_at, actor, reverses_id) OVERRIDING SYSTEM VALUE"
    " VALUES (900001, gen_random_uuid(), {book}, '{kind}', '{reference}', '\\x00', {legs}, '2026-01-01Z', now(),"
    " 'attacker', {reverses})"
)
ENTRIES = (
    "INSERT INTO ledger_entry (id, transaction_id, leg, book_id, account_id, currency, side, amount, account_version,"
    " balance_after, effective_at, posted_at) VALUES "
)
PAIR = ("cash D 5", "fees C 5")


def head(legs: int = 2, *, kind: str = "settle_charge", reference: str = "raw", reverses: str = "NULL") -> str:
    """Return an INSERT of a header with id 900001."""
    return (
        HEAD.replace("{legs}", str(legs))
        .replace("{kind}", kind)
        .replace("{reference}", reference)
        .replace("{reverses}", reverses)
    )


def entries(*lines: str, first: int = 1, transaction: str = "900001", changes: dict[str, str] | None = None) -> str:
    """Return an INSERT of entries: each line is account, side, amount and, when it has one, version and balance."""
    changes = changes or {}
    rows = []
    for leg, line in enumerate(lines, first):
        account, side, amount, version, after = (*line.split(), "NULL", "NULL")[:5]
        book, currency = changes.get("book", "{book}"), changes.get("currency", "EUR")
        at = changes.get("at", "2026-01-01Z")
        place = f"{transaction}::bigint * 32768 + {leg}, {transaction}, {leg}, {book}, {{{account}}}"
        rows.append(f"({place}, '{currency}', '{side}', {amount}, {version}, {after}, '{at}', now())")
    return ENTRIES + ", ".join(rows)


def together(*statements: str) -> str:
    """Return one statement that runs all of them."""
    *first, last = statements
    return "WITH " + ", ".join(f"x{n} AS ({statement})" for n, statement in enumerate(first)) + " " + last


# An authorizing account without a balance row yet, for the attacks that would insert one.
LOOSE = (
    "INSERT INTO ledger_account (book_id, code, type, currency, mode)"
    " VALUES ({book}, 'loose', 'liability', 'EUR', 'authorizing')"
)
LOOSE_ID = "(SELECT id FROM ledger_account WHERE code = 'loose')"
MOVE_ANN = (
    "UPDATE ledger_balance SET credits = credits + {n}, version = version + 1, posted_at = now()"
    " WHERE account_id = {{ann}}"
)

OWNER_ATTACKS: dict[str, tuple[str, list[str]]] = {
    # legs and headers
    "unbalanced": ("FL004", [together(head(), entries("cash D 5", "fees C 4"))]),
    "balanced across currencies only": (
        "FL008",
        [together(head(), entries(*PAIR, changes={"currency": "USD"}))],
    ),
    "one leg, honest": ("23514", [together(head(1), entries("cash D 5"))]),
    "one leg of two": ("FL003", [together(head(2), entries("cash D 5"))]),
    "more legs than said": ("FL003", [together(head(2), entries(*PAIR, "cash D 5", "fees C 5"))]),
    "fewer legs than said": ("FL003", [together(head(4), entries(*PAIR))]),
    "the first leg of one transaction, the second of another": (
        "FL003",
        [
            together(
                head(),
                head(reference="raw2").replace("900001", "900002"),
                entries("cash D 5") + ", " + entries("fees C 5", first=2, transaction="900002").removeprefix(ENTRIES),
            )
        ],
    ),
    "legs with a gap": ("FL003", [together(head(2), entries(*PAIR, first=2))]),
    "header without entries": ("FL003", [head()]),
    "legs without a header": ("FL003", [entries(*PAIR)]),
    "legs added to a committed transaction": ("FL003", [entries(*PAIR, first=4, transaction="{sale}")]),
    "legs added in the same database transaction": (
        "FL003",
        [together(head(), entries(*PAIR)), entries(*PAIR, first=3)],
    ),
    "header of another time": ("FL003", [together(head(), entries(*PAIR, changes={"at": "2026-01-02Z"}))]),
    "header that claims another transaction id": (
        "FL003",
        [
            together(
                head()
                .replace("actor, reverses_id)", "actor, reverses_id, created_xid)")
                .replace("NULL)", "NULL, '5')"),
                entries(*PAIR),
            )
        ],
    ),
    "no kind": ("23514", [together(head(kind="gift"), entries(*PAIR))]),
    "reference used before": ("23505", [together(head(reference="r1"), entries(*PAIR))]),
    "amount zero": ("23514", [together(head(), entries("cash D 0", "fees C 0"))]),
    "amount negative": ("23514", [together(head(), entries("cash D -5", "fees C -5"))]),
    "third side": ("23514", [together(head(), entries("cash X 5", "fees C 5"))]),
    "another book's account": ("FL008", [together(head(), entries("cash D 5", "other_cash C 5"))]),
    "another book's entries": ("FL008", [together(head(), entries(*PAIR, changes={"book": "{other_book}"}))]),
    "another currency's account": ("FL008", [together(head(), entries("cash D 5", "dollars C 5"))]),
    "unknown account": ("FL008", [together(head(), entries("cash D 5", "nobody C 5"))]),
    # versions
    "no version on a wallet": ("FL002", [together(head(), entries("cash D 5", "ann C 5"))]),
    "a version on a hot account": ("FL002", [together(head(), entries("cash D 5 1 5", "fees C 5"))]),
    "version without its balance": ("23514", [together(head(), entries("cash D 5", "ann C 5 2 NULL"))]),
    "version below one": ("23514", [together(head(), entries("cash D 5", "ann C 5 0 905"))]),
    "version used before": ("23505", [together(head(), entries("cash D 5", "ann C 5 1 905"))]),
    "balance row not moved": ("FL002", [together(head(), entries("cash D 5", "ann C 5 2 905"))]),
    "version with a gap": (
        "FL002",
        [together(head(), MOVE_ANN.format(n=5).replace("+ 1", "+ 2"), entries("cash D 5", "ann C 5 3 905"))],
    ),
    "wrong balance on the entry": (
        "FL002",
        [together(head(), MOVE_ANN.format(n=5), entries("cash D 5", "ann C 5 2 906"))],
    ),
    "balance row moved by more": (
        "FL002",
        [together(head(), MOVE_ANN.format(n=6), entries("cash D 5", "ann C 5 2 905"))],
    ),
    "turnover inflated on both sides": (
        "FL002",
        [
            together(
                head(),
                MOVE_ANN.format(n=105).replace("SET", "SET debits = debits + 100,"),
                entries("cash D 5", "ann C 5 2 905"),
            )
        ],
    ),
    # balances
    "balance by hand": ("FL002", ["UPDATE ledger_balance SET credits = credits + 5 WHERE account_id = {ann}"]),
    "balance by hand, both sides": (
        "FL002",
        ["UPDATE ledger_balance SET credits = credits + 5, debits = debits + 5 WHERE account_id = {ann}"],
    ),
    "balance taken back": (
        "FL002",
        ["UPDATE ledger_balance SET credits = 0, version = 0 WHERE account_id = {ann}"],
    ),
    "version by hand": ("FL002", ["UPDATE ledger_balance SET version = version + 1 WHERE account_id = {ann}"]),
    "balance turned around": (
        "FL002",
        ["UPDATE ledger_balance SET debit_normal = NOT debit_normal WHERE account_id = {bob}"],
    ),
    "balance given to another account": (
        "FL002",
        ["UPDATE ledger_balance SET account_id = {fees} WHERE account_id = {ann}"],
    ),
    "floor broken by hand": ("23514", ["UPDATE ledger_balance SET floor = 901 WHERE account_id = {ann}"]),
    "balance row of a hot account": (
        "FL002",
        ["INSERT INTO ledger_balance (account_id, debit_normal) VALUES ({cash}, true)"],
    ),
    "balance row that starts with money": (
        "FL002",
        [LOOSE, "INSERT INTO ledger_balance (account_id, debit_normal, credits) VALUES ({loose}, false, 5)"],
    ),
    "balance row on the wrong side": (
        "FL002",
        [LOOSE, "INSERT INTO ledger_balance (account_id, debit_normal) VALUES ({loose}, true)"],
    ),
    # append-only
    **{
        f"{verb.split()[0].lower()} {table}": ("FL001", [verb.replace("#", table)])
        for table in ("ledger_transaction", "ledger_entry")
        for verb in ("UPDATE # SET id = id", "DELETE FROM #", "TRUNCATE # CASCADE")
    },
    **{
        f"{verb.split()[0].lower()} {table}": ("FL001", [verb.replace("#", table)])
        for table in ("ledger_account", "ledger_balance", "ledger_book", "ledger_currency")
        for verb in ("DELETE FROM #", "TRUNCATE # CASCADE")
    },
    "upsert into entries": (
        "FL001",
        ["INSERT INTO ledger_entry SELECT * FROM ledger_entry ON CONFLICT (id) DO UPDATE SET amount = 1"],
    ),
    "upsert into transactions": (
        "FL001",
        ["INSERT INTO ledger_transaction SELECT * FROM ledger_transaction ON CONFLICT (id) DO UPDATE SET memo = 'x'"],
    ),
    "merge into transactions": (
        "FL001",
        [
            (
                "MERGE INTO ledger_transaction t USING ledger_transaction s ON s.id = t.id"
                " WHEN MATCHED THEN UPDATE SET memo = 'x'"
            )
        ],
    ),
    "exponent of a currency": ("FL001", ["UPDATE ledger_currency SET exponent = 0 WHERE code = 'EUR'"]),
    **{
        f"account with another {column}": (
            "FL001",
            [f"UPDATE ledger_account SET {column} = {value} WHERE id = {{ann}}"],
        )
        for column, value in (
            ("type", "'asset'"),
            ("mode", "'recording'"),
            ("currency", "'USD'"),
            ("code", "'mine'"),
            ("book_id", "{other_book}"),
            ("created_at", "'2020-01-01'"),
        )
    },
    # closed, reversed
    "posting to a closed account": (
        "FL005",
        [
            "UPDATE ledger_account SET closed_at = now() WHERE id = {fees}",
            together(head(), entries(*PAIR)),
        ],
    ),
    "reversal that does not negate": (
        "FL009",
        [together(head(kind="reversal", reverses="{sale}"), entries("cash C 5", "fees D 5"))],
    ),
    "reversal of nothing": ("FL009", [together(head(kind="reversal"), entries(*PAIR))]),
    "reversal of what does not exist": (
        "FL009",
        [together(head(kind="reversal", reverses="800000"), entries(*PAIR))],
    ),
}


@pytest.mark.parametrize("name", OWNER_ATTACKS)
def test_the_owner_is_refused(names: dict[str, int], clone: Clone, name: str) -> None:
    sqlstate, statements = OWNER_ATTACKS[name]
    known = {**names, "loose": LOOSE_ID, "nobody": 2**40}
    fails(clone.owner_url, sqlstate, *(statement.format(**known) for statement in statements))


def test_what_the_attacks_start_from_is_accepted(names: dict[str, int], clone: Clone) -> None:
    """The control: with nothing wrong in them the same statements post, so each refusal above has its own reason."""
    with attack(clone.owner_url) as attacker:
        attacker.execute(
            together(head(3), MOVE_ANN.format(n=3), entries("cash D 5", "ann C 3 2 903", "fees C 2")).format(**names)
        )
        attacker.commit()
    assert invariants.violations() == []


def test_legs_in_any_order_are_accepted(names: dict[str, int], clone: Clone) -> None:
    """The short way of the guards wants the legs in order; what goes past it is judged by the whole check."""
    rows = [entries(line, first=leg).removeprefix(ENTRIES) for leg, line in enumerate(("cash D 5", "fees C 5"), 1)]
    with attack(clone.owner_url) as attacker:
        attacker.execute(together(head(), ENTRIES + ", ".join(reversed(rows))).format(**names))
        attacker.commit()
    assert invariants.violations() == []


def test_shadow_tables_do_not_blind_the_guards(names: dict[str, int], clone: Clone) -> None:
    """The owner's triggers look at the books, not at temporary tables of the same name."""
    fails(
        clone.owner_url,
        "FL008",
        *(f"CREATE TEMP TABLE {table} (LIKE public.{table})" for table in TABLES),
        "INSERT INTO ledger_account SELECT * FROM public.ledger_account",
        f"UPDATE ledger_account SET book_id = {names['book']}",
        together(head(), entries("cash D 5", "other_cash C 5"))
        .format(**names)
        .replace("INTO ledger_", "INTO public.ledger_"),
    )


def test_a_floor_may_be_changed_by_the_owner_but_not_below_what_is_there(names: dict[str, int], clone: Clone) -> None:
    with attack(clone.owner_url) as attacker:
        attacker.execute("UPDATE ledger_balance SET floor = 900 WHERE account_id = %s", [names["ann"]])
        attacker.execute("UPDATE ledger_balance SET floor = -50 WHERE account_id = %s", [names["ann"]])
        attacker.commit()
    assert invariants.violations() == []


def test_a_second_reversal_is_refused_by_the_owners_own_hand(committed_desk: Desk, clone: Clone) -> None:
    desk = committed_desk
    (sale,) = desk.post(desk.journal("r1", ("cash", "D", 5), ("fees", "C", 5)))  # type: ignore[arg-type]
    values: dict[str, Any] = {**desk.ids, "book": desk.book.pk, "sale": sale.transaction_id}
    reversal = together(head(kind="reversal", reverses="{sale}"), entries("cash C 5", "fees D 5")).format(**values)
    with attack(clone.owner_url) as attacker:
        attacker.execute(reversal)
        attacker.commit()
    fails(clone.owner_url, "FL009", reversal.replace("900001", "900002").replace("'raw'", "'raw2'"))


def test_metadata_cannot_smuggle_statements(names: dict[str, int], clone: Clone) -> None:
    """Values are values: quotes in references, actors and memos are stored as they are."""
    nasty = "'); DELETE FROM ledger_entry; --"
    with attack(clone.app_url) as attacker:
        attacker.execute(
            "SELECT * FROM ledger_post(ARRAY[gen_random_uuid()], ARRAY[%s]::bigint[], ARRAY['settle_charge'],"
            " ARRAY[%s], ARRAY['\\x00'::bytea], ARRAY[now()], ARRAY[NULL]::timestamptz[], now(), ARRAY[%s], ARRAY[%s],"
            " ARRAY['{}']::jsonb[], ARRAY[NULL]::bigint[],"
            " ARRAY[1,1], ARRAY[%s,%s]::bigint[], ARRAY['EUR','EUR'], ARRAY['D','C'], ARRAY[5,5]::bigint[], false)",
            [names["book"], nasty, nasty, nasty, names["cash"], names["fees"]],
        )
        attacker.commit()
    with connection.cursor() as cursor:
        cursor.execute("SELECT actor, memo FROM ledger_transaction WHERE reference = %s", [nasty])
        assert cursor.fetchone() == (nasty, nasty)
    assert invariants.violations() == []
