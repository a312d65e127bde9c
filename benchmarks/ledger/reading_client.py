"""Time reads of accounts through `ledger.balances` and `ledger.statements`: p50 and p99 in milliseconds, warm."""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import django
import psutil

if TYPE_CHECKING:
    from ledger.models import Account

READS = 200
SECONDS = 20  # of each kind of read


def main(accounts: dict[str, int]) -> None:
    """Print one line of JSON with the figures of every read of every account."""
    django.setup()
    from django.db import connection

    from ledger.models import Account as Accounts
    from ledger.models import Entry

    found: dict[str, float] = {}
    for name, pk in accounts.items():
        account = Accounts.objects.get(pk=pk)
        entries = Entry.objects.filter(account=account)
        first, last = entries.order_by("id")[0], entries.order_by("-id")[0]
        middle = entries.filter(id__gte=(first.pk + last.pk) // 2).order_by("id")[0].pk
        reads = _reads(account, first.effective_at, middle)
        for what, read in reads.items():
            taken = _times(read)
            found[f"{name} account, {what}, p50 ms"] = statistics.median(taken)
            found[f"{name} account, {what}, p99 ms"] = statistics.quantiles(taken, n=100)[98]
    found["memory of the reading client, MB"] = psutil.Process().memory_info().rss / 1e6
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        session = psutil.Process(cursor.fetchone()[0])
    found["private memory of its session, MB"] = session.memory_full_info().uss / 1e6
    print(json.dumps(found))


def _reads(account: Account, oldest: datetime, middle: int) -> dict[str, Callable[[], object]]:
    """Return what is read of an account whose history begins at `oldest` and has the entry `middle` halfway."""
    from config import seam
    from ledger import balances
    from ledger.statements import statement

    span = (seam.now() - oldest).total_seconds()

    def some_time() -> datetime:
        return oldest + timedelta(seconds=random.uniform(0, span))

    return {
        "balance at an instant, posted": lambda: balances.at(account.pk, at=some_time(), basis="posted"),
        "balance at an instant, effective": lambda: balances.at(account.pk, at=some_time(), basis="effective"),
        "statement, newest page": lambda: statement(account),
        "statement, page in the middle": lambda: statement(account, before=middle),
    }


def _times(read: Callable[[], object]) -> list[float]:
    """Return the milliseconds of each read; what is very slow is read a few times only."""
    taken: list[float] = []
    ends = time.perf_counter() + SECONDS
    while len(taken) < 4 or (len(taken) < 2 * READS and time.perf_counter() < ends):
        started = time.perf_counter()
        read()
        taken.append((time.perf_counter() - started) * 1000)
    return taken[len(taken) // 2 :]  # the first half warms up


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
