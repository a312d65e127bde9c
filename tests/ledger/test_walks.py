"""The walks in commit order read what they pass and no more, whatever the planner believes."""

from __future__ import annotations

import psycopg
import pytest

WALKS = ("ledger_append_seals", "ledger_begin_sealing", "ledger_check", "ledger_fold", "ledger_fold_redated")
COUNTS = ("ledger_tail", "ledger_unsealed")


def test_every_walk_is_known(superuser: psycopg.Connection) -> None:
    rows = superuser.execute("SELECT proname FROM pg_proc WHERE prosrc LIKE '%< horizon%' ORDER BY 1").fetchall()
    assert [name for (name,) in rows] == list(WALKS)


@pytest.mark.parametrize("walk", [*WALKS, *COUNTS])
def test_a_walk_takes_the_index_in_its_order(superuser: psycopg.Connection, walk: str) -> None:
    """A bitmap of all that is left would be sorted in every step, and compiling takes longer than executing."""
    row = superuser.execute("SELECT proconfig FROM pg_proc WHERE proname = %s", [walk]).fetchone()
    assert row is not None
    assert {"enable_seqscan=off", "enable_bitmapscan=off", "jit=off"} <= set(row[0])
