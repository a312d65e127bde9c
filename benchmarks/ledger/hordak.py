"""The environment and the tables of django-hordak, an anchor that must never enter ours."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.ledger import load
from benchmarks.ledger.server import Server
from config.local_stack.home import ROOT, Home

PINS = Path(__file__).with_name("hordak.txt")
INSTALL_SECONDS = 300
CLIENT = "benchmarks.ledger.hordak_client"
DATABASE = "hordak"


def python() -> str:
    """Return the Python of hordak's environment; make it first where it is missing or has other pins."""
    home = Home.from_environment().directory / "hordak"
    home.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(PINS.read_bytes() + sys.version.encode()).hexdigest()
    interpreter, mark = home / "venv" / "bin" / "python", home / "pins"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if interpreter.exists() and mark.exists() and mark.read_text() == wanted:
            return str(interpreter)
        shutil.rmtree(home / "venv", ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True, timeout=INSTALL_SECONDS)
        words = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", str(PINS)]
        done = subprocess.run(
            [str(interpreter), *words], capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"django-hordak was not installed (--no-hordak leaves it out): {done.stderr.strip()}")
        mark.write_text(wanted)
    return str(interpreter)


def prepare(server: Server, interpreter: str, accounts: int) -> None:
    """Make hordak's tables and as many accounts as our book has."""
    server.make_database(DATABASE)
    given = json.dumps({"socket": server.socket, "accounts": accounts, "seconds": 0})
    subprocess.run(
        [interpreter, "-W", "ignore", "-m", CLIENT, given],
        env=_environment(), cwd=ROOT, check=True, timeout=INSTALL_SECONDS,
    )  # fmt: skip
    with server.connect(DATABASE) as database:
        # Its triggers derive codes of a tree, account by account; root accounts without a code need none.
        database.execute("SET session_replication_role = replica")
        database.execute(
            "INSERT INTO hordak_account (uuid, name, type, is_bank_account, currencies, lft, rght, tree_id, level)"
            " SELECT gen_random_uuid(), 'seller', 'LI', false, '[\"EUR\"]', 1, 2, n, 0 FROM generate_series(1, %s) n",
            [accounts],
        )
        database.execute("VACUUM ANALYZE")


def transfers(server: Server, interpreter: str, accounts: int, seconds: float, processes: int) -> load.Result:
    """Transfer one at a time in each of some processes."""
    given = [{"socket": server.socket, "accounts": accounts, "seconds": seconds}] * processes
    return load.clients(CLIENT, given, _environment(), python=interpreter)


def _environment() -> dict[str, str]:
    """Return ours without what would lead into our environment or to our settings."""
    out = ("PYTHONPATH", "VIRTUAL_ENV", "DJANGO_SETTINGS_MODULE")
    return {name: value for name, value in os.environ.items() if name not in out}
