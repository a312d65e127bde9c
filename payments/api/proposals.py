"""Proposals of manual journals as the API shows them, and how a draft becomes an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.ids import public_id
from ledger.money import format_minor
from payments.api.authentication import caller_of
from payments.api.ledger_refusals import translated
from payments.api.requests import run_once
from payments.idempotency import Effect
from payments.representations import Object, timestamp
from wallet import proposals
from wallet.legs import DraftLeg, stored
from wallet.models import Proposal
from wallet.proposals import Change, Draft


def maker_of(request: Request) -> str:
    """Return the actor that a key is in the books."""
    return f"key:{public_id('key', caller_of(request).key_public_id)}"


def proposed(request: Request, draft: Draft, *, now: datetime) -> HttpResponse:
    """Answer a request with the proposal that it made: 202, or 200 for one that was made before."""

    def run() -> Effect:
        with translated():
            row, created = proposals.propose(draft, now=now)
        return Effect(202 if created else 200, shown(loaded(row.book_id).filter(pk=row.pk))[0])

    return run_once(request, run, now=now)


def rehearsed(draft: Draft, *, now: datetime) -> Response:
    """Answer with the legs and the balances that approval would lead to. Nothing is written, no key is needed."""
    with translated():
        row, preview = proposals.rehearse(draft, now=now)
    return Response(
        {
            "object": "ledger_rehearsal",
            "kind": str(row.kind),
            "reference": str(row),
            "effective_at": timestamp(row.effective_at) if row.effective_at is not None else None,
            "memo": row.memo,
            "metadata": row.metadata,
            "legs": _legs(stored(row.legs)),
            "balances": [_change(change) for change in preview.changes],
        }
    )


def loaded(book_id: int) -> QuerySet[Proposal]:
    """Return the proposals of a book with what showing them needs."""
    # Uses index: proposal_by_book.
    return Proposal.objects.filter(book_id=book_id).select_related("reverses", "transaction")


def shown(rows: Iterable[Proposal]) -> list[Object]:
    """Show proposals."""
    return [_shown(row) for row in rows]


def _shown(row: Proposal) -> Object:
    return {
        "id": public_id("prp", row.public_id),
        "object": "ledger_proposal",
        "status": str(row.state),
        "kind": str(row.kind),
        "reference": row.reference,
        "effective_at": timestamp(row.effective_at) if row.effective_at is not None else None,
        "memo": row.memo,
        "metadata": row.metadata,
        "legs": _legs(stored(row.legs)),
        "reverses": _transaction(row.reverses),
        "maker": row.maker,
        "created_at": timestamp(row.made_at),
        "checker": row.checker or None,
        "decided_at": timestamp(row.decided_at) if row.decided_at is not None else None,
        "note": row.note,
        "transaction": _transaction(row.transaction),
    }


def _transaction(row: Any) -> str | None:
    value: UUID | None = row.public_id if row is not None else None
    return public_id("txn", value) if value is not None else None


def _legs(legs: Sequence[DraftLeg]) -> list[Mapping[str, str]]:
    return [
        {
            "account": leg.account,
            "side": leg.side.label.lower(),
            "amount": format_minor(leg.amount, leg.currency),
            "currency": leg.currency,
        }
        for leg in legs
    ]


def _change(change: Change) -> Mapping[str, str]:
    return {
        "account": change.account,
        "currency": change.currency,
        "before": format_minor(change.before, change.currency),
        "after": format_minor(change.after, change.currency),
    }
