"""Reads transactions: lists of a book or an account, newest first, paged by key, and what belongs to each of them.

No list scans a book: it follows the index of kinds (`transaction_by_kind`) or the entries of one account
(`entry_by_account`). It must never write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from ledger.models import Entry, Transaction, TransactionKind

MAX_REVERSALS: Final = 1000
SHOWN_LEGS: Final = 100

# Uses index: transaction_by_kind (book_id, kind, posted_at, id), one range of it for each kind.
_OF_BOOK: Final = """
SELECT t.* FROM unnest(%(kinds)s::text[]) AS k (kind)
 CROSS JOIN LATERAL (
    SELECT x.* FROM ledger_transaction x
     WHERE x.book_id = %(book)s AND x.kind = k.kind AND x.posted_at >= %(since)s AND x.posted_at < %(until)s
       AND (x.posted_at, x.id) < (%(before_at)s, %(before_id)s)
     ORDER BY x.posted_at DESC, x.id DESC LIMIT %(limit)s) t
 ORDER BY t.posted_at DESC, t.id DESC LIMIT %(limit)s
"""
# Uses index: entry_by_account (account_id, posted_at, id). A transaction is found by its first leg on the account.
_OF_ACCOUNT: Final = """
SELECT t.* FROM (
    SELECT e.transaction_id, e.posted_at FROM ledger_entry e
     WHERE e.account_id = %(account)s AND e.posted_at >= %(since)s AND e.posted_at < %(until)s
       AND (e.posted_at, e.id) < (%(before_at)s, %(before_id)s * 32768)
       AND NOT EXISTS (SELECT 1 FROM ledger_entry d WHERE d.id > e.transaction_id * 32768 AND d.id < e.id
                          AND d.account_id = e.account_id)
     ORDER BY e.posted_at DESC, e.id DESC LIMIT %(limit)s) p
  JOIN ledger_transaction t ON t.id = p.transaction_id
 ORDER BY t.posted_at DESC, t.id DESC
"""


@dataclass(frozen=True, slots=True)
class Journal:
    """A transaction with its legs (`None` when a list leaves out very many), what it reverses and what reverses it."""

    transaction: Transaction
    legs: tuple[Entry, ...] | None
    reverses: UUID | None
    reversed_by: tuple[UUID, ...]


def newest(
    book_id: int,
    *,
    kinds: Sequence[str] = tuple(TransactionKind.values),
    account_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: Transaction | None = None,
    limit: int,
) -> list[Transaction]:
    """Return transactions of a book, or those that touch one of its accounts (of any kind), newest first.

    Posted from `since` on and before `until`, and older than `before`. One statement; it reads at most `limit` rows of
    each kind, or of the account the legs of `limit` transactions.
    """
    parameters = {
        "book": book_id,
        "kinds": list(kinds),
        "account": account_id,
        "since": since or "-infinity",
        "until": until or "infinity",
        "before_at": before.posted_at if before is not None else "infinity",
        "before_id": before.pk if before is not None else 0,
        "limit": limit,
    }
    return list(Transaction.objects.raw(_OF_BOOK if account_id is None else _OF_ACCOUNT, parameters))


def find(book_id: int, *, public_id: UUID | None = None, reference: str | None = None) -> Transaction | None:
    """Return a transaction of a book by its public id or its reference (one statement)."""
    rows = Transaction.objects.filter(book_id=book_id)
    rows = rows.filter(public_id=public_id) if public_id is not None else rows.filter(reference=reference)
    return rows.first()


def with_legs(rows: Sequence[Transaction], *, most: int | None = None) -> list[Journal]:
    """Return transactions with their legs, what they reverse and what reverses them (three statements at most).

    Legs of a transaction with more than `most` are left out.
    """
    legs: dict[int, list[Entry]] = {row.pk: [] for row in rows if most is None or row.leg_count <= most}
    for entry in Entry.objects.of(legs).select_related("account"):
        legs[entry.transaction_id].append(entry)
    originals = _public_ids(row.reverses_id for row in rows if row.reverses_id is not None)
    reversals: dict[int, list[UUID]] = {}
    # Uses index: the one on reverses_id, which only reversals are in.
    later = Transaction.objects.filter(reverses_id__in=[row.pk for row in rows]).order_by("pk")
    for original, reversal in later.values_list("reverses_id", "public_id")[:MAX_REVERSALS]:
        reversals.setdefault(original or 0, []).append(reversal)
    return [
        Journal(
            transaction=row,
            legs=tuple(legs[row.pk]) if row.pk in legs else None,
            reverses=originals[row.reverses_id] if row.reverses_id is not None else None,
            reversed_by=tuple(reversals.get(row.pk, ())),
        )
        for row in rows
    ]


def _public_ids(keys: Iterable[int]) -> dict[int, UUID]:
    wanted = list(keys)
    return dict(Transaction.objects.filter(pk__in=wanted).values_list("pk", "public_id")) if wanted else {}


def touches(row: Transaction, account_id: int) -> bool:
    """Say whether a transaction has a leg on an account (one statement)."""
    return Entry.objects.of([row.pk]).filter(account_id=account_id).exists()
