"""Posting: the one Python door to the books. It knows nothing of sellers or payments; it only guarantees.

The guarantees themselves are in the database (`ledger/sql`): zero-sum per currency, two legs or more,
append-only, floors, one version per balance change, a reference that is used once. This module packs arrays
and translates errors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, connection

from config import seam
from ledger.errors import (
    AccountClosed,
    AlreadyReversed,
    AmountOutOfRange,
    FloorBroken,
    LedgerError,
    PostingRefused,
    ReferenceConflict,
    ReferenceRaced,
    Unbalanced,
    UnknownAccount,
)
from ledger.models import Side

MAX_TRANSACTIONS = 5000


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of a journal: `amount` is in minor units and above zero."""

    account_id: int
    currency: str
    side: Side
    amount: int


@dataclass(frozen=True, slots=True)
class Journal:
    """What is to be posted. `reference` is unique per book: posting the same again changes nothing."""

    book_id: int
    kind: str
    reference: str
    legs: tuple[Leg, ...]
    effective_at: datetime
    actor: str
    memo: str = ""
    reverses_id: int | None = None

    def request_hash(self) -> bytes:
        """Return the digest of what makes two postings the same: kind and legs, not time or actor."""
        digest = hashlib.sha256(f"{self.kind}\n{self.reverses_id or ''}".encode())
        for leg in self.legs:
            digest.update(f"\n{leg.account_id} {leg.currency} {leg.side} {leg.amount}".encode())
        return digest.digest()


@dataclass(frozen=True, slots=True)
class Posted:
    """The result of one journal: its transaction, and whether this call wrote it."""

    transaction_id: int
    created: bool


def post(journals: Sequence[Journal], *, now: datetime) -> list[Posted]:
    """Post journals in one round trip, all or none, in the caller's database transaction.

    Refuses to run outside an atomic block. Idempotent by (book, reference), also within one call. Takes the
    balance locks of authorizing accounts in account order: it must come last in a business transaction.

    Raises a `PostingRefused` (ledger/errors.py has the tree); the caller's transaction is then broken and must
    be rolled back.
    """
    if not journals:
        return []
    if not connection.in_atomic_block:
        raise PostingRefused("posting must happen inside the business transaction that causes it")
    if len(journals) > MAX_TRANSACTIONS:
        raise PostingRefused(f"at most {MAX_TRANSACTIONS} journals in one call")
    distinct = _distinct(journals)
    found = dict(zip(distinct, _post(list(distinct.values()), now), strict=True))
    results = []
    for journal in journals:
        key = (journal.book_id, journal.reference)
        results.append(found[key])
        found[key] = Posted(found[key].transaction_id, created=False)
    return results


def _distinct(journals: Sequence[Journal]) -> dict[tuple[int, str], Journal]:
    first: dict[tuple[int, str], Journal] = {}
    for journal in journals:
        seen = first.setdefault((journal.book_id, journal.reference), journal)
        if seen is not journal and seen.request_hash() != journal.request_hash():
            raise ReferenceConflict(f"reference {journal.reference} comes twice, with other legs")
    return first


def _post(journals: list[Journal], now: datetime) -> list[Posted]:
    legs = [(position, leg) for position, journal in enumerate(journals, 1) for leg in journal.legs]
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT transaction_id, outcome = 'created' FROM ledger_post("
                "%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::bytea[], %s::timestamptz[], %s,"
                " %s::text[], %s::text[], %s::bigint[],"
                " %s::int[], %s::bigint[], %s::text[], %s::text[], %s::bigint[]) ORDER BY ord",
                [
                    [seam.new_uuid() for _ in journals],
                    [journal.book_id for journal in journals],
                    [journal.kind for journal in journals],
                    [journal.reference for journal in journals],
                    [journal.request_hash() for journal in journals],
                    [journal.effective_at for journal in journals],
                    now,
                    [journal.actor for journal in journals],
                    [journal.memo for journal in journals],
                    [journal.reverses_id for journal in journals],
                    [position for position, _ in legs],
                    [leg.account_id for _, leg in legs],
                    [leg.currency for _, leg in legs],
                    [str(leg.side) for _, leg in legs],
                    [leg.amount for _, leg in legs],
                ],
            )
            return [Posted(*row) for row in cursor.fetchall()]
    except DatabaseError as error:
        raise refusal(error) from error


_BY_STATE: dict[str, type[LedgerError]] = {
    "FL004": Unbalanced,
    "FL005": AccountClosed,
    "FL007": ReferenceConflict,
    "FL008": UnknownAccount,
    "22003": AmountOutOfRange,
}
_BY_CONSTRAINT: dict[str, type[LedgerError]] = {
    "balance_stays_above_its_floor": FloorBroken,
    "reference_is_unique_in_its_book": ReferenceRaced,
    "transaction_is_reversed_at_most_once": AlreadyReversed,
}


def refusal(error: DatabaseError) -> Exception:
    """Translate what the database refused into the ledger's own error; anything else is returned as it is."""
    diagnostic = getattr(error.__cause__, "diag", None)
    state: str = getattr(diagnostic, "sqlstate", None) or ""
    constraint: str = getattr(diagnostic, "constraint_name", None) or ""
    known = _BY_CONSTRAINT.get(constraint) or _BY_STATE.get(state)
    if known is FloorBroken:
        return FloorBroken("the balance would fall below the floor of its account")
    message = str(error).splitlines()[0]
    if known is not None:
        return known(message)
    if state.startswith("FL") or state == "23514":
        return PostingRefused(message)
    return error
