"""A sealed history to tamper with, as a superuser whom no trigger stops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg

from ledger.ids import public_id
from ledger.models import Transaction
from ledger.seals.keys import Signer
from tests.ledger.desk import Desk
from tests.ledger.seals.chains import found


@dataclass
class History:
    """Four blocks of three sales each, references b0-0 to b3-2, their heads published, and two sales more."""

    desk: Desk
    signer: Signer
    heads: Path
    superuser: psycopg.Connection

    def pk(self, reference: str) -> int:
        """Return the internal id of a sale."""
        return int(Transaction.objects.get(book=self.desk.book, reference=reference).pk)

    def txn(self, reference: str) -> str:
        """Return the public id of a sale."""
        return public_id("txn", Transaction.objects.get(book=self.desk.book, reference=reference).public_id)

    def run(self, *statements: str) -> None:
        """Run statements as the superuser, whom no trigger stops."""
        for statement in statements:
            self.superuser.execute(statement)  # type: ignore[call-overload]

    def found(self, *, heads: bool = True) -> list[str]:
        """Return what a check finds, with or without the published heads."""
        return found(self.signer, head_file=self.heads if heads else None)
