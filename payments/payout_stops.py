"""Stops of payouts: a book whose sums are wrong pays nothing out until a person has looked.

Opened by the checks, at most one per book at a time; lifted only by a named person who says why. Whoever pays out asks
`payouts_stopped` in the transaction that reserves the money. Nothing here lifts a stop by itself, and nothing else of a
book is stopped: taking money in and giving it back to buyers goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import connection, transaction

from ledger.invariants import Violation
from payments.errors import InvalidState, NotFound
from payments.models import PayoutStop

log = structlog.get_logger(__name__)

# A wrong sum means that money in the books appeared, vanished or is somebody else's: what would be paid out may not be
# there. The other checks find wrong order, dates, causes or states, which a payout does not pay with.
STOPPING = frozenset(
    {
        "transaction_balances",
        "book_sums_to_zero",
        "balance_equals_entries",
        "running_balance_follows",
        "fold_equals_entries",
    }
)

_OPEN = """
INSERT INTO payments_payoutstop (book_id, reason, detail, since, stopped_by)
SELECT b.id, w.reason, w.detail, %(now)s, %(actor)s
  FROM ledger_book b
  JOIN LATERAL (SELECT x.reason, x.detail
                  FROM unnest(%(books)s::bigint[], %(reasons)s::text[], %(details)s::text[]) WITH ORDINALITY
                       AS x (book, reason, detail, place)
                 WHERE x.book = b.id OR NOT EXISTS (SELECT 1 FROM ledger_book k WHERE k.id = x.book)
                 ORDER BY x.place LIMIT 1) w ON true
 ORDER BY b.id
ON CONFLICT (book_id) WHERE lifted_at IS NULL DO NOTHING
RETURNING id, book_id, reason, detail
"""


def stop(found: Sequence[Violation], *, actor: str, now: datetime) -> int:
    """Stop the payouts of every book whose sums are wrong; return how many stops are new.

    Findings of other checks stop nothing. One that names no book, or none that exists, stops all books. Idempotent.
    """
    wrong = [violation for violation in found if violation.check in STOPPING]
    if not wrong:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            _OPEN,
            {
                "books": [violation.book_id for violation in wrong],
                "reasons": [violation.check for violation in wrong],
                "details": [violation.detail[:500] for violation in wrong],
                "now": now,
                "actor": actor,
            },
        )
        opened = cursor.fetchall()
    for stop_id, book_id, reason, detail in opened:
        log.error("payouts_stopped", stop_id=stop_id, book=book_id, check=reason, detail=detail)
    return len(opened)


def payouts_stopped(book_id: int) -> bool:
    """Say whether a book must not pay out now. One index probe."""
    return PayoutStop.objects.filter(book_id=book_id, lifted_at__isnull=True).exists()


def open_stops() -> int:
    """Return how many books pay nothing out."""
    return PayoutStop.objects.filter(lifted_at__isnull=True).count()


def lift(stop_id: int, *, actor: str, note: str, now: datetime) -> PayoutStop:
    """Lift a stop. `actor` is `user:NAME`; `note` says what was found and done about it.

    Locks the stop. Raises `NotFound`, or `InvalidState` when it was lifted, has no note, or nobody stands behind it. As
    long as the cause remains, the next check opens another.
    """
    if not actor.removeprefix("user:") or not actor.startswith("user:"):
        raise InvalidState("invalid_state", "A stop is lifted by a person.")
    if not note.strip():
        raise InvalidState("invalid_state", "Say what was found and what was done about it.")
    with transaction.atomic():
        found = PayoutStop.objects.select_for_update(no_key=True).filter(pk=stop_id).first()
        if found is None:
            raise NotFound("not_found", "There is no such stop.")
        if found.lifted_at is not None:
            raise InvalidState("invalid_state", "This stop was lifted.")
        found.lifted_at, found.lifted_by, found.note = now, actor, note.strip()[:500]
        found.save(update_fields=["lifted_at", "lifted_by", "note"])
        log.warning("payout_stop_lifted", stop_id=stop_id, book=found.book_id, actor=actor, note=found.note)
    return found
