"""Posting: the one Python door to the books. It knows nothing of sellers or payments; it only guarantees.

The guarantees themselves are in the database (`ledger/sql`): zero-sum per currency, two legs or more,
append-only, floors, one version per balance change, a reference that is used once. This module packs arrays
and translates errors.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from django.db import DatabaseError, connection
from django.db.backends.utils import CursorWrapper
from psycopg.types.numeric import Int8

from config import seam
from ledger import arrays
from ledger.errors import (
    AccountClosed,
    AccountNotEmpty,
    AmountOutOfRange,
    FloorBroken,
    PeriodClosed,
    PeriodOrder,
    PersonalData,
    PostingRefused,
    ReferenceConflict,
    ReferenceRaced,
    ReversalExceeds,
    Unbalanced,
    UnknownAccount,
)
from ledger.models import Side

MAX_TRANSACTIONS = 5000
MAX_LEGS = 10_000
MAX_AMOUNT = 2**63 - 1
_PERSONAL = re.compile(r"e-?mail|name|phone|address|birth|iban|card|passport|(^|_)ip($|_)")


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
    occurred_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def request_hash(self) -> bytes:
        """Return the digest of what makes two postings the same: kind and legs, not time or actor."""
        digest = hashlib.sha256(f"{self.kind}\n{self.reverses_id or ''}".encode())
        for leg in self.legs:
            digest.update(f"\n{leg.account_id} {leg.currency} {leg.side} {leg.amount}".encode())
        return digest.digest()


@dataclass(frozen=True, slots=True)
class Posted:
    """The result of one journal: its transaction, whether this call wrote it, and its receipt if one was asked for.

    The receipt is the balance after each leg in minor units, positive on the account's normal side; `None` for a leg
    on a recording account, which keeps none.
    """

    transaction_id: int
    created: bool
    receipt: tuple[int | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one journal of `post_each`: `created`, `exists` or `refused`, and why it was refused."""

    outcome: Literal["created", "exists", "refused"]
    transaction_id: int | None
    receipt: tuple[int | None, ...] | None
    refusal: PostingRefused | None = None


def post(journals: Sequence[Journal], *, now: datetime, receipt: bool = False) -> list[Posted]:
    """Post journals in one round trip, all or none, in the caller's database transaction.

    Refuses to run outside an atomic block. Idempotent by (book, reference), also within one call. Takes the
    balance locks of authorizing accounts in account order: it must come last in a business transaction.

    Raises a `PostingRefused` (ledger/errors.py has the tree); the caller's transaction is then broken and must
    be rolled back.
    """
    if not journals:
        return []
    _check_call(journals)
    distinct = _distinct(journals)
    unique = list(distinct.values())
    statement, parameters = (_POST_ONE, _one(unique[0], now)) if len(unique) == 1 else (_POST, _packed(unique, now))
    try:
        with _cursor() as cursor:
            cursor.execute(statement, [*parameters, receipt])
            rows = cursor.fetchall()
    except DatabaseError as error:
        raise refusal(error) from error
    found = {
        key: Posted(transaction_id, created, _receipt(balances))
        for key, (transaction_id, created, balances) in zip(distinct, rows, strict=True)
    }
    results = []
    for journal in journals:
        key = (journal.book_id, journal.reference)
        results.append(found[key])
        found[key] = replace(found[key], created=False)
    return results


def post_each(
    journals: Sequence[Journal], *, now: datetime, groups: Sequence[int | None] | None = None, dry_run: bool = False
) -> list[Answer]:
    """Post journals in one round trip, each for itself: one that is refused stops no other.

    Journals of one group (an equal number in `groups`) stand or fall together. With `dry_run` the answers are the same
    and nothing is written; a journal that would be created has no transaction id then. Floors hold for what the call
    leaves behind. Otherwise as `post`.
    """
    if not journals:
        return []
    _check_call(journals)
    assert groups is None or len(groups) == len(journals), "one group number, or None, for each journal"
    parameters = [*_packed(journals, now), arrays.ints_or_nulls(groups or [None] * len(journals)), dry_run]
    try:
        with _cursor() as cursor:
            cursor.execute(_POST_EACH, parameters)
            rows = cursor.fetchall()
    except DatabaseError as error:
        raise refusal(error) from error
    return [
        Answer(outcome, transaction_id, _receipt(balances), None if code is None else _refusal(code, detail))
        for outcome, transaction_id, balances, code, detail in rows
    ]


def _check_call(journals: Sequence[Journal]) -> None:
    if not connection.in_atomic_block:
        raise PostingRefused("posting must happen inside the business transaction that causes it")
    if len(journals) > MAX_TRANSACTIONS:
        raise PostingRefused(f"at most {MAX_TRANSACTIONS} journals in one call")
    for item, journal in enumerate(journals):
        _check(item, journal)


def _check(item: int, journal: Journal) -> None:
    """Refuse what is wrong whatever the books hold, and name the item and the leg."""
    if len(journal.legs) > MAX_LEGS:
        raise AmountOutOfRange(f"item {item}: {len(journal.legs)} legs; a transaction has at most {MAX_LEGS}")
    for position, leg in enumerate(journal.legs):
        if not 0 < leg.amount <= MAX_AMOUNT:
            raise AmountOutOfRange(f"item {item}, leg {position}: {leg.amount} is not between 1 and {MAX_AMOUNT}")
    for name in journal.metadata:
        if _PERSONAL.search(name.lower()):
            raise PersonalData(f"item {item}: metadata key {name!r} looks personal; the books hold no personal data")


def _distinct(journals: Sequence[Journal]) -> dict[tuple[int, str], Journal]:
    first: dict[tuple[int, str], Journal] = {}
    for journal in journals:
        seen = first.setdefault((journal.book_id, journal.reference), journal)
        if seen is not journal and seen.request_hash() != journal.request_hash():
            raise ReferenceConflict(f"reference {journal.reference} comes twice, with other legs")
    return first


# Names and types of the parameters are in ledger/sql; a NULL has no type of its own, so the text says it.
_PACKED = "%s, %s, %s, %s, %s, %s, %s, %s::timestamptz, %s, %s, %s, %s, %s, %s, %s, %s, %s"
_POST = (
    "SELECT transaction_id, outcome = 'created', balances "  # noqa: S608 - our own text
    f"FROM ledger_post({_PACKED}, %s) ORDER BY ord"
)
_POST_ONE = (
    "SELECT transaction_id, outcome = 'created', balances FROM ledger_post_one("
    "%s, %s, %s, %s, %s, %s::timestamptz, %s::timestamptz, %s::timestamptz, %s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s)"
)
_POST_EACH = (
    "SELECT outcome, transaction_id, balances, code, detail "  # noqa: S608 - our own text
    f"FROM ledger_post_each({_PACKED}, %s, %s) ORDER BY ord"
)


def _cursor() -> CursorWrapper:
    """Return a cursor that keeps its statements prepared (config/database); any other one would do, more slowly."""
    database: Any = connection
    cursor: CursorWrapper = database.prepared_cursor()
    return cursor


def _one(journal: Journal, now: datetime) -> list[Any]:
    """Return the parameters of `_POST_ONE`. Numbers say their size: a statement is kept by types."""
    return [
        seam.new_uuid(),
        Int8(journal.book_id),
        str(journal.kind),
        journal.reference,
        journal.request_hash(),
        None if journal.effective_at == now else journal.effective_at,
        journal.occurred_at,
        now,
        journal.actor,
        journal.memo,
        _document(journal),
        None if journal.reverses_id is None else Int8(journal.reverses_id),
        arrays.bigints([leg.account_id for leg in journal.legs]),
        arrays.texts([leg.currency for leg in journal.legs]),
        arrays.texts([leg.side for leg in journal.legs]),
        arrays.bigints([leg.amount for leg in journal.legs]),
    ]


def _document(journal: Journal) -> str:
    return json.dumps(dict(journal.metadata)) if journal.metadata else "{}"


def _packed(journals: Sequence[Journal], now: datetime) -> list[Any]:
    """Return the parameters of `_PACKED`. What is effective now takes the moment of posting that the books assign."""
    legs = [(position, leg) for position, journal in enumerate(journals, 1) for leg in journal.legs]
    return [
        arrays.uuids([seam.new_uuid() for _ in journals]),
        arrays.bigints([journal.book_id for journal in journals]),
        arrays.texts([journal.kind for journal in journals]),
        arrays.texts([journal.reference for journal in journals]),
        arrays.blobs([journal.request_hash() for journal in journals]),
        arrays.instants([None if journal.effective_at == now else journal.effective_at for journal in journals]),
        arrays.instants([journal.occurred_at for journal in journals]),
        now,
        arrays.texts([journal.actor for journal in journals]),
        arrays.texts([journal.memo for journal in journals]),
        arrays.documents([_document(journal) for journal in journals]),
        arrays.bigints_or_nulls([journal.reverses_id for journal in journals]),
        arrays.ints([position for position, _ in legs]),
        arrays.bigints([leg.account_id for _, leg in legs]),
        arrays.texts([leg.currency for _, leg in legs]),
        arrays.texts([leg.side for _, leg in legs]),
        arrays.bigints([leg.amount for _, leg in legs]),
    ]


def _receipt(balances: list[int | None] | None) -> tuple[int | None, ...] | None:
    return None if balances is None else tuple(balances)


_BY_STATE: dict[str, type[PostingRefused]] = {
    "FL004": Unbalanced,
    "FL005": AccountClosed,
    "FL007": ReferenceConflict,
    "FL008": UnknownAccount,
    "FL009": ReversalExceeds,
    "FL011": PeriodClosed,
    "FL013": PeriodOrder,
    "FL014": AccountNotEmpty,
    "22003": AmountOutOfRange,
}
_BY_CONSTRAINT: dict[str, type[PostingRefused]] = {
    "balance_stays_above_its_floor": FloorBroken,
    "reference_is_unique_in_its_book": ReferenceRaced,
    "entry_amount_is_above_zero": AmountOutOfRange,
}


def refusal(error: DatabaseError) -> Exception:
    """Translate what the database refused into the ledger's own error; anything else is returned as it is."""
    diagnostic = getattr(error.__cause__, "diag", None)
    state: str = getattr(diagnostic, "sqlstate", None) or ""
    constraint: str = getattr(diagnostic, "constraint_name", None) or ""
    if constraint in _BY_CONSTRAINT or state in _BY_STATE or state.startswith("FL") or state == "23514":
        return _refusal(constraint if constraint in _BY_CONSTRAINT else state, str(error).splitlines()[0])
    return error


def _refusal(code: str, detail: str) -> PostingRefused:
    known = _BY_CONSTRAINT.get(code) or _BY_STATE.get(code) or PostingRefused
    return known("the balance would fall below the floor of its account" if known is FloorBroken else detail)
