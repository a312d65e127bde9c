"""Short ways to seal and to check in tests."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from django.db import connection

from ledger.seals import check, heads, sealing
from ledger.seals.keys import Signer
from tests.factories import NOW


def seal_all(signer: Signer, *, now: datetime = NOW) -> int:
    """Seal until nothing is left, and return how many: another session may hold the horizon for a while."""
    sealed, ends = 0, time.monotonic() + 20
    while sealing.unsealed().transactions and time.monotonic() < ends:
        sealed += sealing.seal(signer, now=now)
    return sealed


def found(signer: Signer, *, head_file: Path | None = None, book: str | None = None) -> list[str]:
    """Check with this key trusted and return the findings as sentences."""
    files = [head_file] if head_file else []
    report = check.check(trusted={signer.key_id: signer.public_key}, head_files=files, book=book)
    return [f"{finding.what}: {finding}" for finding in report.findings]


def publish(path: Path) -> None:
    """Write the head of every block to a file."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT b.code, {check.BLOCK_COLUMNS} FROM ledger_seal s JOIN ledger_book b ON b.id = s.book_id"
            " ORDER BY s.sealed_at, s.book_id, s.number"
        )
        heads.append(path, [check.block_of(row[0], row[1:]) for row in cursor.fetchall()])
