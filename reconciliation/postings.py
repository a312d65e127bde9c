"""Postings: what a statement proves by itself is booked with its match, in the same transaction.

What the PSP took as fees, what it paid out to our bank, and what arrived there. One journal per day and currency for
fees, however many lines: the lines themselves are the record of each. A line's fee is booked once, with the first match
that it ever has; a revised line books the difference to the line that it replaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from string import Template
from typing import Final
from zoneinfo import ZoneInfo

from django.db import connection

from ledger import periods
from ledger.ids import public_id
from payments import bank_payouts
from payments.bank_payouts import BankFact, Outcome
from payments.models import MerchantBook
from reconciliation import matching
from reconciliation.differences import payouts
from reconciliation.models import Match, ReconciliationRun, Source
from wallet import movements
from wallet.movements import Heading, Movement

ACTOR: Final = "reconciliation"
APPLIED: Final = (Outcome.DONE, Outcome.EXISTS)

# Payouts of the PSP whose lines make their amount; those that do not are breaks.
_PAYOUTS = Template("""
INSERT INTO reconciliation_match (source_id, run_id, rule, rules_version, "group", line_id)
SELECT %(source)s, %(run)s, 'posted', %(version)s, p.id, p.id FROM reconciliation_open_line p
 WHERE p.flow = 'payout' AND p.reference <> ''
   AND NOT EXISTS (SELECT 1 FROM ($batches) wrong WHERE p.id = ANY (wrong.line_ids))
 ORDER BY p.id
""").substitute(batches=payouts.BATCHES)

_FORGET = """
DELETE FROM reconciliation_open_line o USING reconciliation_match m
 WHERE m.line_id = o.id AND m.undone_at IS NULL AND m.rule = 'posted' AND m.id > %(matches_from)s
"""

# The fee of each line that has its first match, less what our books had of it, less that of a line it replaces.
_FEES = """
WITH fresh AS (
    SELECT m.id, m.line_id, m.item_id FROM reconciliation_match m
     WHERE m.source_id = %(source)s AND m.id > %(matches_from)s AND m.undone_at IS NULL),
parts AS (
    SELECT l.currency, l.booked_on, l.fee_minor FROM fresh f JOIN reconciliation_statementline l ON l.id = f.line_id
     WHERE l.fee_minor <> 0 AND NOT EXISTS (
           SELECT 1 FROM reconciliation_match e
            WHERE e.line_id = l.id AND e.undone_at IS NOT NULL AND e.source_id = %(source)s)
     UNION ALL
    SELECT o.currency, l.booked_on, -o.fee_minor FROM fresh f
      JOIN reconciliation_statementline l ON l.id = f.line_id AND l.revision > 0
      JOIN LATERAL (
           SELECT o.currency, o.fee_minor FROM reconciliation_statementline o
             JOIN reconciliation_match e ON e.line_id = o.id AND e.undone_at IS NOT NULL
            WHERE o.source_id = l.source_id AND o.key = l.key AND o.revision < l.revision
            ORDER BY o.revision DESC LIMIT 1) o ON true
     UNION ALL
    SELECT i.currency, coalesce(l.booked_on, (i.occurred_at AT TIME ZONE %(zone)s)::date), -i.fee_minor
      FROM fresh f JOIN reconciliation_item i ON i.id = f.item_id AND i.fee_minor <> 0
      LEFT JOIN reconciliation_statementline l ON l.id = f.line_id
     WHERE NOT EXISTS (SELECT 1 FROM reconciliation_match e
                        WHERE e.item_id = i.id AND e.undone_at IS NOT NULL AND e.source_id = %(source)s))
SELECT currency, booked_on, sum(fee_minor) FROM parts GROUP BY 1, 2 HAVING sum(fee_minor) <> 0 ORDER BY 1, 2
"""

_ARRIVALS = """
SELECT l.id, l.currency, l.booked_on, i.amount_minor
  FROM reconciliation_match m
  JOIN reconciliation_statementline l ON l.id = m.line_id
  JOIN reconciliation_item i ON i.id = m.item_id AND i.subject_kind = 'psp_payout'
 WHERE m.source_id = %(source)s AND m.id > %(matches_from)s AND m.undone_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM reconciliation_match e
                    WHERE e.item_id = i.id AND e.line_id IS NOT NULL AND e.undone_at IS NOT NULL
                      AND e.source_id = %(source)s)
 ORDER BY l.id
"""

_PAID_OUT = """
SELECT l.id, l.currency, l.booked_on, coalesce(o.gross_minor, 0) - l.gross_minor
  FROM reconciliation_match m
  JOIN reconciliation_statementline l ON l.id = m.line_id AND l.flow = 'payout'
  -- Of a payout that is revised only the difference is booked.
  LEFT JOIN LATERAL (
       SELECT o.gross_minor FROM reconciliation_statementline o
         JOIN reconciliation_match e ON e.line_id = o.id AND e.rule = 'posted'
        WHERE o.source_id = l.source_id AND o.key = l.key AND o.revision < l.revision
        ORDER BY o.revision DESC LIMIT 1) o ON l.revision > 0
 WHERE m.source_id = %(source)s AND m.id > %(matches_from)s AND m.undone_at IS NULL AND m.rule = 'posted'
   AND l.gross_minor IS DISTINCT FROM o.gross_minor
   AND NOT EXISTS (SELECT 1 FROM reconciliation_match e
                    WHERE e.line_id = l.id AND e.undone_at IS NOT NULL AND e.source_id = %(source)s)
 ORDER BY l.id
"""


# Transfers of ours that the bank has executed.
_EXECUTED = """
SELECT m.id, i.reference, -i.amount_minor, i.currency, l.booked_on, l.reference
  FROM reconciliation_match m
  JOIN reconciliation_statementline l ON l.id = m.line_id AND l.flow = 'debit'
  JOIN reconciliation_item i ON i.id = m.item_id AND i.flow = 'debit' AND i.subject_kind = 'payout'
 WHERE m.source_id = %(source)s AND m.id > %(matches_from)s AND m.undone_at IS NULL
 ORDER BY l.id
"""


@dataclass(frozen=True, slots=True)
class Booked:
    """How many journals were posted, and up to which match everything is booked."""

    journals: int
    matches_to: int


def book(run: ReconciliationRun, *, now: datetime) -> Booked:
    """Book what the matches of a source prove that were made since the last time.

    In the transaction of `matching.pair`, right after it. Takes the well-formed payouts of a PSP out of the open lines.
    Once per match: the run remembers how far it came.
    """
    source = run.source
    assert source is not None
    parameters = matching.parameters_of(run, now=now) | {"matches_from": booked_to(source)}
    made: list[Movement] = []
    with connection.cursor() as cursor:
        if source.side == Source.Side.PSP:
            cursor.execute(_PAYOUTS, parameters)
            cursor.execute(_FORGET, parameters)
            matching.of_many_rows(cursor)
            cursor.execute(_FEES, parameters)
            fees = cursor.fetchall()
            matching.of_few_rows(cursor)
            for currency, day, amount in fees:
                subject = f"{public_id('rec', run.public_id)}:{run.look}:{currency}:{day}"
                heading = heading_of(source, subject, currency, day, now=now)
                made.append(movements.psp_fee(heading, psp_account=psp_code(source), amount=int(amount)))
            cursor.execute(_PAID_OUT, parameters)
            for line, currency, day, amount in cursor.fetchall():
                heading = heading_of(source, f"line:{line}", currency, day, now=now)
                made.append(movements.psp_payout(heading, psp_account=psp_code(source), amount=amount))
        else:
            cursor.execute(_ARRIVALS, parameters)
            for line, currency, day, amount in cursor.fetchall():
                heading = heading_of(source, f"line:{line}", currency, day, now=now)
                made.append(movements.bank_credit(heading, bank=source.bank_name, amount=amount))
            cursor.execute(_EXECUTED, parameters)
            _executed(source, cursor.fetchall(), now=now)
    record(made, now=now)
    latest = Match.objects.filter(source=source).order_by("-id").values_list("id", flat=True).first() or 0
    run.matches_to, run.look = latest, run.look + 1
    run.save(update_fields=["matches_to", "look"])
    return Booked(len(made), latest)


def _executed(source: Source, rows: Sequence[tuple[int, str, int, str, date, str]], *, now: datetime) -> None:
    """Let payouts follow that our bank has executed. What contradicts what we know of one is open again."""
    facts = [
        BankFact(reference, amount, currency, on, bank_reference)
        for _, reference, amount, currency, on, bank_reference in rows
    ]
    answers = bank_payouts.booked(source.book_id, facts, actor=ACTOR, now=now)
    for (match_id, *_), answer in zip(rows, answers, strict=True):
        if answer.outcome not in APPLIED:
            note = f"{answer.outcome}: {answer.detail}"[:255]
            Match.objects.filter(pk=match_id).update(undone_at=now, undone_by=ACTOR, note=note)


def booked_to(source: Source) -> int:
    """Return up to which match everything of a source is booked."""
    # Uses index: a_day_of_a_source_is_one_run.
    runs = ReconciliationRun.objects.filter(book_id=source.book_id, source=source)
    return max(runs.values_list("matches_to", flat=True), default=0)


def record(made: Sequence[Movement], *, now: datetime) -> list[int]:
    """Post movements in the caller's transaction; return their transactions, in order. Idempotent by reference."""
    return [posted.transaction_id for posted in movements.record(made, now=now)]


def heading_of(source: Source, subject: str, currency: str, day: date, *, now: datetime) -> Heading:
    """Return the heading of a journal about something that a statement books on a day.

    It takes effect on that day where the books are open, and otherwise at their first open instant; never ahead of now.
    """
    zone = ZoneInfo(MerchantBook.objects.values_list("time_zone", flat=True).get(pk=source.book_id))
    at, _ = periods.landing(source.book_id, min(datetime.combine(day, time(), zone), now))
    return Heading(source.book_id, subject, currency, at, ACTOR)


def psp_code(source: Source) -> str:
    """Return the code of the PSP account of a source, as the chart of accounts has it."""
    assert source.psp_account is not None
    return source.psp_account.code
