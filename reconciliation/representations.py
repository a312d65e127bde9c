"""Runs and breaks as the API, reports and facts show them: pure functions; whoever calls has loaded what is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ledger.ids import public_id
from ledger.money import format_minor
from payments.representations import Object, timestamp
from reconciliation.codes import CODES
from reconciliation.models import Break, BreakEvent, Identity, ReconciliationRun, SettlementFile

# What a run counts for itself and nobody else reads.
_INNER: Final = frozenset({"closing", "published"})


def run(row: ReconciliationRun, identities: Iterable[Identity]) -> Object:
    """Show a run with its identities; `row.source` must be loaded."""
    counts = {name: value for name, value in row.counts.items() if name not in _INNER}
    return {
        "id": public_id("rec", row.public_id),
        "object": "reconciliation_run",
        "source": None if row.source is None else row.source.code,
        "day": row.day.isoformat(),
        "status": row.state,
        "verdict": row.verdict or None,
        "identities": [_identity(one) for one in identities],
        "counts": {
            "lines": counts.get("lines", 0),
            "matched": counts.get("matched", {}),
            "breaks": counts.get("breaks", {}),
            "pending": [_pending(one) for one in counts.get("pending", [])],
            "repairs": counts.get("repairs", {}),
        },
        "incomplete": counts.get("incomplete", []),
        "error": row.error or None,
        "started_at": None if row.started_at is None else timestamp(row.started_at),
        "finished_at": None if row.finished_at is None else timestamp(row.finished_at),
    }


def settlement_file(row: SettlementFile) -> Object:
    """Show a file that was received; `row.source` must be loaded."""
    return {
        "id": public_id("stf", row.public_id),
        "object": "settlement_file",
        "source": row.source.code,
        "format": row.format,
        "name": row.name,
        "sha256": bytes(row.sha256).hex(),
        "status": row.state,
        "first_day": None if row.first_day is None else row.first_day.isoformat(),
        "last_day": None if row.last_day is None else row.last_day.isoformat(),
        "lines": row.line_count,
        "new": row.new_count,
        "known": row.known_count,
        "changed": row.changed_count,
        "withdrawn": row.withdrawn_count,
        "received_at": timestamp(row.received_at),
    }


def _identity(one: Identity) -> Object:
    currency = one.currency_id
    return {
        "name": one.name,
        "currency": currency,
        "left": format_minor(one.left_minor, currency),
        "right": format_minor(one.right_minor, currency),
        "residual": format_minor(one.residual_minor, currency),
        "proven": one.proven,
        "holds": one.residual_minor == 0,
        "terms": [_term(term, currency) for term in one.terms],
    }


def _term(term: Mapping[str, Any], currency: str) -> Object:
    return {
        "what": term["what"],
        "count": term["count"],
        "amount": format_minor(term["amount"], currency),
        "differs": term.get("differs", 0),
    }


def _pending(one: Mapping[str, Any]) -> Object:
    return {
        "flow": one["flow"],
        "currency": one["currency"],
        "count": one["count"],
        "amount": format_minor(one["amount"], one["currency"]),
        "break_on": one["break_on"],
    }


def found_break(row: Break, events: Sequence[BreakEvent] = ()) -> Object:
    """Show a break; `row.source` must be loaded."""
    code = CODES.get(row.code)
    currency = row.currency_id
    return {
        "id": public_id("brk", row.public_id),
        "object": "reconciliation_break",
        "code": row.code,
        "name": code.name if code else row.code,
        "status": row.state,
        "priority": row.priority,
        "source": None if row.source is None else row.source.code,
        "currency": currency,
        "amount": None if currency is None else format_minor(row.amount_minor, currency),
        "reference": row.reference or None,
        "detail": row.detail,
        "owner": row.owner or None,
        "break_on": row.break_on.isoformat(),
        "resolution": row.resolution or None,
        "resolved_at": None if row.resolved_at is None else timestamp(row.resolved_at),
        "created_at": timestamp(row.created_at),
        "events": [
            {
                "what": event.what,
                "code": event.code,
                "actor": event.actor,
                "detail": event.detail,
                "at": timestamp(event.at),
            }
            for event in events
        ],
    }
