"""Pairing by people: a match that a person makes or undoes, with a reason, under the lock of the source.

What is undone stays written down and is open again; the next look at the source treats it as it finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import transaction

from payments.errors import InvalidState, NotFound
from reconciliation import matching, sources
from reconciliation.models import Item, Match, ReconciliationRun, Source, StatementLine

MAX_NOTE: Final = 255
MAX_MEMBERS: Final = 1000


def pair(source_id: int, line_ids: Sequence[int], item_ids: Sequence[int], *, actor: str, note: str) -> list[Match]:
    """Match lines and items of a source that are the same money by a person's word.

    Raises `NotFound`, or `InvalidState` when something is matched already, the sums or currencies differ, or no reason
    is given. Takes the lock of the source.
    """
    _reason(note)
    if not 1 <= len(line_ids) + len(item_ids) <= MAX_MEMBERS:
        raise InvalidState("invalid_value", f"A match has 1 to {MAX_MEMBERS} lines and items.")
    with transaction.atomic():
        source = _locked(source_id)
        lines = list(StatementLine.objects.filter(source=source, pk__in=line_ids))
        items = list(Item.objects.filter(source=source, pk__in=item_ids))
        if (len(lines), len(items)) != (len(set(line_ids)), len(set(item_ids))):
            raise NotFound("not_found", "There is no such line or item at this source.")
        live = Match.objects.filter(undone_at__isnull=True)
        if live.filter(line__in=lines).exists() or live.filter(item__in=items).exists():
            raise InvalidState("invalid_state", "One of them is matched; undo that first.")
        currencies = {line.currency for line in lines} | {item.currency for item in items}
        difference = sum(line.gross_minor for line in lines) - sum(item.amount_minor for item in items)
        if len(currencies) != 1 or difference:
            raise InvalidState("invalid_state", "Lines and items differ; a difference needs a journal.")
        run = ReconciliationRun.objects.filter(source=source).order_by("-day").first()
        if run is None:
            raise InvalidState("invalid_state", "This source was never looked at.")
        group = min((*line_ids, *item_ids))
        rows = [Match(line=line, item=None) for line in lines] + [Match(line=None, item=item) for item in items]
        for row in rows:
            row.source, row.run, row.rule, row.group = source, run, Match.Rule.PERSON, group
            row.rules_version, row.actor, row.note = matching.RULES_VERSION, actor, note.strip()
        return Match.objects.bulk_create(rows)


def undo(match_id: int, *, actor: str, note: str, now: datetime) -> int:
    """Undo a match, the whole group of it; return how many rows. What was booked for its lines stays booked.

    Raises `NotFound`, or `InvalidState` when it is undone, a journal stands behind it, or no reason is given.
    """
    _reason(note)
    with transaction.atomic():
        found = Match.objects.filter(pk=match_id).first()
        if found is None:
            raise NotFound("not_found", "There is no such match.")
        _locked(found.source_id)
        found.refresh_from_db()
        if found.undone_at is not None:
            raise InvalidState("invalid_state", "This match was undone.")
        if found.rule in (Match.Rule.BREAK, Match.Rule.POSTED, Match.Rule.TOLERANCE):
            raise InvalidState("invalid_state", "A journal stands behind this match: reverse that.")
        rows = Match.objects.filter(source_id=found.source_id, undone_at__isnull=True)
        same = rows.filter(pk=found.pk) if found.group is None else rows.filter(group=found.group, rule=found.rule)
        return same.update(undone_at=now, undone_by=actor, note=note.strip())


def _locked(source_id: int) -> Source:
    sources.lock(source_id)
    source = Source.objects.filter(pk=source_id).first()
    if source is None:
        raise NotFound("not_found", "There is no such source.")
    return source


def _reason(note: str) -> None:
    if not 1 <= len(note.strip()) <= MAX_NOTE:
        raise InvalidState("invalid_value", f"A reason has 1 to {MAX_NOTE} characters.")
