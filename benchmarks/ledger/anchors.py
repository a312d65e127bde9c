"""What the shapes are measured beside, on the same server in the same rounds: each in a database of its own."""

from __future__ import annotations

from pathlib import Path

from benchmarks.ledger import load
from benchmarks.ledger.server import Server, run_program

TPC_B, LIMIT, PGLEDGER = "tpcb", "unguarded", "pgledger"
TPC_B_SCALE = 50
PAIR = (
    "\\set a random(1, {accounts})\n\\set b random(1, {accounts} - 1)\n"
    "\\set b case when :b >= :a then :b + 1 else :b end\n"
)
HOT_PAIR = "\\set a 1\n\\set b random(2, {accounts})\n"


def prepare_tpc_b(server: Server, scale: int) -> None:
    """Make the tables of pgbench."""
    server.make_database(TPC_B)
    run_program("pgbench", "-i", "-q", "-s", str(scale), server.url(TPC_B))


def tpc_b(server: Server, seconds: float) -> load.Result:
    """Run TPC-B as pgbench has it."""
    return load.pgbench(server.url(TPC_B), None, seconds, 0)


def prepare_limit(server: Server, accounts: int) -> None:
    """Make the tables of the unguarded posting."""
    server.make_database(LIMIT)
    with server.connect(LIMIT) as database:
        database.execute(Path(__file__).with_name("limit.sql").read_text())
        database.execute("INSERT INTO account (id) SELECT n FROM generate_series(1, %s) n", [accounts])
        database.execute("VACUUM ANALYZE")


def limit(server: Server, accounts: int, seconds: float, first: int) -> load.Result:
    """Post between two random accounts without a guard."""
    script = PAIR.format(accounts=accounts) + "\\set n :n + 1\n"
    script += "SELECT post(:a, :b, 100, 'settle_charge-' || :n::text || '-' || :client_id::text);\n"
    return load.pgbench(server.url(LIMIT), script, seconds, first)


def prepare_pgledger(server: Server, folder: Path, accounts: int) -> None:
    """Load pgledger's SQL files in the order of their names, and open accounts in it."""
    server.make_database(PGLEDGER)
    files = sorted(folder.glob("*.sql"))
    if not files:
        raise SystemExit(f"{folder} holds no .sql file")
    # Its functions call each other across the files; nothing is called while they load.
    url = server.url(PGLEDGER) + "&options=-c%20check_function_bodies%3Doff"
    for path in files:
        run_program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", str(path))
    with server.connect(PGLEDGER) as database:
        database.execute(
            "CREATE TABLE bench_account AS SELECT n, a.id FROM generate_series(1, %s) n,"
            " LATERAL pgledger_create_account('bench-' || n, 'EUR') a",
            [accounts],
        )
        database.execute("ALTER TABLE bench_account ADD PRIMARY KEY (n)")
        database.execute("VACUUM ANALYZE")


def pgledger(server: Server, accounts: int, seconds: float, *, hot: bool) -> load.Result:
    """Transfer between two random accounts, or from one hot account to random ones."""
    script = (HOT_PAIR if hot else PAIR).format(accounts=accounts)
    script += (
        "SELECT pgledger_create_transfer((SELECT id FROM bench_account WHERE n = :a),"
        " (SELECT id FROM bench_account WHERE n = :b), 1.00);\n"
    )
    return load.pgbench(server.url(PGLEDGER), script, seconds, 0)
