"""Repairs of transfers that came back to our bank: the wallet has its money again, because the statement proves it.

Whose money it is was never in doubt: the end-to-end id names the payout. What `payments.bank_payouts` does not take (an
amount that differs, a payout that never left) stays in front of a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from payments import bank_payouts
from payments.bank_payouts import BankFact
from reconciliation import matching, postings
from reconciliation.models import Break, BreakEvent, Match, ReconciliationRun, Source, StatementLine


def work(run: ReconciliationRun, found: Sequence[Break], *, now: datetime) -> int:
    """Give back what transfers of breaks brought back; return how many. In the caller's transaction. Idempotent."""
    assert run.source is not None
    if run.source.side != Source.Side.BANK:
        return 0
    rows = {row.line_ids[0]: row for row in found if len(row.line_ids) == 1}
    lines = list(StatementLine.objects.filter(pk__in=rows, flow="return").exclude(own_reference="").order_by("pk"))
    facts = [
        BankFact(line.own_reference, line.gross_minor, line.currency, line.booked_on, line.reference)
        for line in lines
        if line.gross_minor > 0
    ]
    answers = bank_payouts.returned(run.book_id, facts, actor=postings.ACTOR, now=now)
    done = 0
    for line, answer in zip((line for line in lines if line.gross_minor > 0), answers, strict=True):
        row = rows[line.pk]
        if answer.outcome not in postings.APPLIED:
            _tell(run, row, "refused", f"{answer.outcome}: {answer.detail}", now=now)
            continue
        Match.objects.create(
            source=run.source,
            run=run,
            rule=Match.Rule.POSTED,
            rules_version=matching.RULES_VERSION,
            group=line.pk,
            line=line,
            actor=postings.ACTOR,
        )
        row.state, row.resolution, row.resolved_at = Break.State.RESOLVED, "return booked", now
        row.save(update_fields=["state", "resolution", "resolved_at"])
        _tell(run, row, "repaired", "the wallet has its money again", now=now)
        done += 1
    return done


def _tell(run: ReconciliationRun, row: Break, what: str, detail: str, *, now: datetime) -> None:
    last = row.events.order_by("-id").first()
    if last is None or (last.what, last.detail) != (what, detail):
        BreakEvent.objects.create(
            break_found=row, what=what, code=row.code, actor=postings.ACTOR, run=run, detail=detail, at=now
        )
