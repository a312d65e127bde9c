"""Breaks: differences with an identity, an owner and a history.

A break is written by a run (`record`), taken up by people (`take`, `note`, `resolve`), ended by either. Its identity
  and ended by either. Its identity
is a hash of book, source, leg, key and currency, so notes and owner stay when its class changes or it comes back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from payments.errors import InvalidState, NotFound
from reconciliation.models import Break, BreakEvent

MAX_NOTE: Final = 1000
# How many breaks a run writes at most; what is beyond is counted, and the run is incomplete.
MAX_BREAKS: Final = 100_000

# The differences of a run are in `reconciliation_found` (classification.py). New ones are born, known ones follow what
# is true now, resolved ones are opened again; each change writes its line of history.
_UPSERT = """
WITH known AS (
    SELECT b.id, b.identity, b.code AS old_code, b.state AS old_state FROM reconciliation_break b
     WHERE b.book_id = %(book)s AND b.identity IN (SELECT identity FROM reconciliation_found)),
written AS (
    INSERT INTO reconciliation_break AS b (public_id, book_id, source_id, identity, code, state, priority, currency,
           amount_minor, reference, detail, evidence, line_ids, item_ids, break_on, first_run_id, last_run_id,
             created_at)
    SELECT gen_random_uuid(), %(book)s, %(source)s, f.identity, f.code, 'open', f.priority, f.currency, f.amount,
           left(f.reference, 255), left(f.detail, 500), f.evidence, f.line_ids, f.item_ids, %(day)s, %(run)s, %(run)s,
           %(now)s
      FROM reconciliation_found f ORDER BY f.identity
    ON CONFLICT (book_id, identity) DO UPDATE
       SET code = EXCLUDED.code, priority = EXCLUDED.priority, amount_minor = EXCLUDED.amount_minor,
           reference = EXCLUDED.reference, detail = EXCLUDED.detail, evidence = EXCLUDED.evidence,
           line_ids = EXCLUDED.line_ids, item_ids = EXCLUDED.item_ids, last_run_id = EXCLUDED.last_run_id,
           state = CASE WHEN b.state = 'resolved' THEN 'open' ELSE b.state END,
           resolution = CASE WHEN b.state = 'resolved' THEN '' ELSE b.resolution END,
           resolved_at = CASE WHEN b.state = 'resolved' THEN NULL ELSE b.resolved_at END,
           break_on = CASE WHEN b.state = 'resolved' THEN EXCLUDED.break_on ELSE b.break_on END
     -- What a person or a posting settled stays settled while it is the same difference.
     WHERE NOT (b.state = 'resolved' AND b.resolution <> 'matched' AND b.code = EXCLUDED.code
                AND b.amount_minor = EXCLUDED.amount_minor)
    RETURNING b.id, b.identity, b.code, b.detail),
told AS (
    INSERT INTO reconciliation_breakevent (break_id, what, code, actor, run_id, detail, at)
    SELECT w.id, CASE WHEN k.id IS NULL THEN 'opened' WHEN k.old_state = 'resolved' THEN 'reopened'
                      ELSE 'reclassified' END,
           w.code, 'run', %(run)s, w.detail, %(now)s
      FROM written w LEFT JOIN known k ON k.identity = w.identity
     WHERE k.id IS NULL OR k.old_state = 'resolved' OR k.old_code <> w.code ORDER BY w.id
    RETURNING what)
SELECT count(*) FILTER (WHERE what = 'opened'), count(*) FILTER (WHERE what = 'reopened'),
       count(*) FILTER (WHERE what = 'reclassified') FROM told
"""

# What is not found any more has been explained: its lines and items are matched now, or the state has moved on.
_RESOLVE = """
WITH ended AS (
    UPDATE reconciliation_break b SET state = 'resolved', resolution = 'matched', resolved_at = %(now)s,
           last_run_id = %(run)s
     WHERE b.source_id IS NOT DISTINCT FROM %(source)s AND b.book_id = %(book)s AND b.state <> 'resolved'
       AND b.code = ANY (%(codes)s)
       -- What was booked about a break (unknown money in suspense) is ended by who finds out, not by its own match.
       AND b.transaction_id IS NULL
       AND NOT EXISTS (SELECT 1 FROM reconciliation_found f WHERE f.identity = b.identity)
    RETURNING b.id, b.code)
INSERT INTO reconciliation_breakevent (break_id, what, code, actor, run_id, detail, at)
SELECT e.id, 'resolved', e.code, 'run', %(run)s, 'it is explained now', %(now)s FROM ended e
"""


def record(parameters: dict[str, Any], *, codes: list[str]) -> tuple[int, int, int, int]:
    """Write what `reconciliation_found` holds; return how many breaks are new, reopened, reclassified and resolved.

    Breaks of `codes` at the source of the run that were not found are resolved. In the caller's transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, parameters)
        new, reopened, reclassified = cursor.fetchone()
        cursor.execute(_RESOLVE, {**parameters, "codes": codes})
        return new, reopened, reclassified, cursor.rowcount


def take(break_id: int, *, actor: str, owner: str, now: datetime) -> Break:
    """Give a break an owner, or none. Locks it. Raises `NotFound`, `InvalidState` when it is resolved."""
    with transaction.atomic():
        found = _unresolved(break_id)
        found.owner = owner
        found.save(update_fields=["owner"])
        tell(found, "taken", actor=actor, detail=owner, now=now)
    return found


def note(break_id: int, *, actor: str, text: str, now: datetime) -> BreakEvent:
    """Add a note to a break, whatever its state. Raises `NotFound`, `InvalidState` for an empty or too long one."""
    if not 1 <= len(text.strip()) <= MAX_NOTE:
        raise InvalidState("invalid_value", f"A note has 1 to {MAX_NOTE} characters.")
    found = Break.objects.filter(pk=break_id).first()
    if found is None:
        raise NotFound("not_found", "There is no such break.")
    return tell(found, "noted", actor=actor, detail=text.strip(), now=now)


def resolve(break_id: int, *, actor: str, reason: str, now: datetime, resolution: str = "person") -> Break:
    """End a break by somebody's word; it is opened again when a run finds it with another amount or class.

    Locks it. Raises `NotFound`, `InvalidState` when it is resolved, waits for a checker, or no reason is given.
    """
    if not 1 <= len(reason.strip()) <= MAX_NOTE:
        raise InvalidState("invalid_value", f"A reason has 1 to {MAX_NOTE} characters.")
    with transaction.atomic():
        found = _unresolved(break_id)
        if found.state == Break.State.PROPOSED:
            raise InvalidState("invalid_state", "A journal for it waits for its checker.")
        found.state, found.resolution, found.resolved_at = Break.State.RESOLVED, resolution, now
        found.save(update_fields=["state", "resolution", "resolved_at"])
        tell(found, "resolved", actor=actor, detail=reason.strip(), now=now)
    return found


def tell(found: Break, what: str, *, actor: str, detail: str, now: datetime) -> BreakEvent:
    """Write a line of a break's history."""
    return BreakEvent.objects.create(
        break_found=found, what=what, code=found.code, actor=actor[:128], detail=detail[:MAX_NOTE], at=now
    )


def _unresolved(break_id: int) -> Break:
    found = Break.objects.select_for_update(no_key=True).filter(pk=break_id).first()
    if found is None:
        raise NotFound("not_found", "There is no such break.")
    if found.state == Break.State.RESOLVED:
        raise InvalidState("invalid_state", "This break is resolved.")
    return found
