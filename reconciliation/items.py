"""Items: what we did at a source, or heard from it, and so expect in its statements.

Read from charges, refunds, disputes and payouts, never from the books that they are to prove. One statement per kind,
set-based; a further call adds what happened since, and an item is gathered once whoever calls how often.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection

from payments import calendars
from payments.models import MerchantBook
from reconciliation.models import ReconciliationRun, Source

# A transaction that writes history commits within this time: so far back everything is looked at again.
OVERLAP: Final = "10 minutes"
# Business days are counted for these days; what is older is due at once.
LOOK_BACK_DAYS: Final = 400
LOOK_AHEAD_DAYS: Final = 7

# The days by which something that happened on a day must stand in a statement are looked up in a short table, because
# business days are counted by a calendar and not by SQL.
_DUE = """
due (day, by_day) AS (SELECT * FROM unnest(%(days)s::date[], %(by_days)s::date[])),
parameters (source_id, psp_account_id, zone, starts_on, since, first_due) AS (
    SELECT %(source)s::bigint, %(psp_account)s::bigint, %(zone)s::text, %(starts_on)s::date, %(since)s::bigint,
           %(first_due)s::date)
"""

_INSERT = """
INSERT INTO reconciliation_item (source_id, flow, reference, part, currency, amount_minor, fee_minor, subject_kind,
                                 subject_id, counterparty, occurred_at, expected_by)
SELECT p.source_id, x.flow, x.reference, x.part, x.currency, x.amount_minor, x.fee_minor, x.subject_kind, x.subject_id,
       x.counterparty, x.occurred_at,
       coalesce(due.by_day, greatest(p.first_due, (x.occurred_at AT TIME ZONE p.zone)::date + %(ahead)s::integer))
  FROM moved x CROSS JOIN parameters p
  LEFT JOIN due ON due.day = (x.occurred_at AT TIME ZONE p.zone)::date
 WHERE (x.occurred_at AT TIME ZONE p.zone)::date >= p.starts_on
ON CONFLICT DO NOTHING
"""

_CHARGES = """
moved AS (
    SELECT 'charge' AS flow, c.psp_id AS reference, 0::smallint AS part, c.currency, c.captured_minor AS amount_minor,
           0::bigint AS fee_minor, 'charge' AS subject_kind, c.id AS subject_id, '' AS counterparty,
           coalesce(o.succeeded_at, t.at) AS occurred_at
      FROM parameters p
      JOIN payments_transition t ON t.id > p.since AND t.machine = 'payments_charge'
                                AND t.target IN ('SUCCEEDED', 'LATE_SUCCESS')
      JOIN payments_charge c ON c.id = t.object_id AND c.psp_account_id = p.psp_account_id AND c.psp_id IS NOT NULL
      LEFT JOIN LATERAL (SELECT min(o.succeeded_at) AS succeeded_at FROM payments_paymentorder o
                          WHERE o.charge_id = c.id) o ON true
     WHERE c.captured_minor > 0)
"""

# A refund that failed before it was paid out was never booked: it is no item, and its two lines cancel out.
_REFUNDS = """
moved AS (
    SELECT v.flow, r.psp_id AS reference, 0::smallint AS part, r.currency, v.sign * r.amount_minor AS amount_minor,
           0::bigint AS fee_minor, 'refund' AS subject_kind, r.id AS subject_id, '' AS counterparty,
           CASE v.flow WHEN 'refund' THEN r.settled_at ELSE t.at END AS occurred_at
      FROM parameters p
      JOIN payments_transition t ON t.id > p.since AND t.machine = 'payments_refund'
      JOIN payments_refund r ON r.id = t.object_id AND r.psp_id IS NOT NULL AND r.settled_at IS NOT NULL
      JOIN payments_charge c ON c.id = r.charge_id AND c.psp_account_id = p.psp_account_id
      JOIN (VALUES ('succeeded', 'refund', -1), ('failed', 'refund_failure', 1)) AS v (target, flow, sign)
        ON v.target = t.target)
"""

# What disputes took and gave back grows: an item is what came on top of the items before it.
_DISPUTES = """
before AS (
    SELECT i.subject_id, count(*) AS parts, coalesce(-sum(i.amount_minor) FILTER (WHERE i.flow = 'dispute'),
      0) AS taken,
           coalesce(sum(i.amount_minor) FILTER (WHERE i.flow = 'dispute_reversal'), 0) AS returned,
           coalesce(sum(i.fee_minor) FILTER (WHERE i.flow = 'dispute'), 0) AS cost,
           coalesce(-sum(i.fee_minor) FILTER (WHERE i.flow = 'dispute_reversal'), 0) AS cost_returned
      FROM parameters p JOIN reconciliation_item i ON i.source_id = p.source_id AND i.subject_kind = 'dispute'
     GROUP BY i.subject_id),
moved AS (
    SELECT v.flow, d.psp_id AS reference, coalesce(b.parts, 0)::smallint AS part, d.currency, v.amount_minor,
      v.fee_minor,
           'dispute' AS subject_kind, d.id AS subject_id, '' AS counterparty,
           CASE WHEN v.flow = 'dispute' AND b.parts IS NULL THEN d.opened_at ELSE d.updated_at END AS occurred_at
      FROM parameters p JOIN payments_dispute d ON d.psp_account_id = p.psp_account_id
      LEFT JOIN before b ON b.subject_id = d.id
     CROSS JOIN LATERAL (VALUES
           ('dispute', -(d.taken_minor - coalesce(b.taken, 0)), d.cost_minor - coalesce(b.cost, 0)),
           ('dispute_reversal', d.returned_minor + d.regained_minor - coalesce(b.returned, 0),
            -(d.cost_returned_minor - coalesce(b.cost_returned, 0)))) AS v (flow, amount_minor, fee_minor)
     WHERE v.amount_minor <> 0 OR v.fee_minor <> 0)
"""

_PAYOUTS = """
moved AS (
    SELECT v.flow, CASE v.flow WHEN 'transfer' THEN y.transfer_psp_id ELSE o.public_id::text END AS reference,
           0::smallint AS part, y.currency, v.sign * y.amount_minor AS amount_minor, 0::bigint AS fee_minor,
           'payout' AS subject_kind, y.id AS subject_id, '' AS counterparty, coalesce(o.closed_at, t.at) AS occurred_at
      FROM parameters p
      JOIN payments_transition t ON t.id > p.since AND t.machine = 'payments_payout'
      JOIN payments_payout y ON y.id = t.object_id AND y.psp_account_id = p.psp_account_id
      JOIN (VALUES ('sent', 'transfer', 'transfer', -1), ('returned', 'reverse_transfer', 'transfer_reversal', 1))
           AS v (target, kind, flow, sign) ON v.target = t.target
      JOIN LATERAL (SELECT o.public_id, o.closed_at FROM payments_pspoperation o
                     WHERE o.payout_id = y.id AND o.kind = v.kind AND o.outcome IN ('succeeded', 'pending')
                     ORDER BY o.id DESC LIMIT 1) o ON true
     WHERE y.transfer_psp_id <> '')
"""

# What the PSPs of the book said that they paid out to our bank is what its statements must show; what came back to the
# PSP before it arrived takes it back.
_PSP_PAYOUTS = """
moved AS (
    SELECT 'credit' AS flow, l.reference, (l.flow = 'payout_reversal')::int::smallint AS part, l.currency,
      -(l.gross_minor - l.fee_minor) AS amount_minor,
           0::bigint AS fee_minor, 'psp_payout' AS subject_kind, l.id AS subject_id, '' AS counterparty,
           coalesce(l.occurred_at, l.booked_on::timestamp AT TIME ZONE p.zone) AS occurred_at
      FROM parameters p
      JOIN reconciliation_source bank ON bank.id = p.source_id
      JOIN reconciliation_source psp ON psp.book_id = bank.book_id AND psp.side = 'psp'
      JOIN reconciliation_statementline l ON l.source_id = psp.id AND l.flow IN ('payout', 'payout_reversal')
       AND l.reference <> ''
      JOIN reconciliation_match m ON m.line_id = l.id AND m.rule = 'posted' AND m.undone_at IS NULL
     WHERE l.id > (SELECT coalesce(max(i.subject_id), 0) - 10000 FROM reconciliation_item i
                    WHERE i.source_id = p.source_id AND i.subject_kind = 'psp_payout')
       -- A payout goes to one bank account: the first that is named for its currency.
       AND bank.id = (SELECT min(b.id) FROM reconciliation_source b
                       WHERE b.book_id = bank.book_id AND b.side = 'bank' AND b.active
                         AND (b.currencies = '{}' OR l.currency = ANY (b.currencies))))
"""

# Transfers of ours that our bank was told to make; one that it refused takes its item back.
_BANK_PAYOUTS = """
moved AS (
    SELECT 'debit' AS flow, n.end_to_end_id AS reference, v.part::smallint AS part, f.currency,
           v.sign * n.amount_minor AS amount_minor, 0::bigint AS fee_minor, 'payout' AS subject_kind,
           n.payout_id AS subject_id, encode(d.blind_index, 'hex') AS counterparty,
           CASE v.part WHEN 0 THEN h.at ELSE n.refused_on::timestamp AT TIME ZONE p.zone END AS occurred_at
      FROM parameters p
      JOIN reconciliation_source s ON s.id = p.source_id
      JOIN payments_ownbankaccount a ON a.book_id = s.book_id AND a.name = s.bank_name
      JOIN payments_bankfile f ON f.bank_account_id = a.id AND f.status IN ('handed_out', 'answered')
                              AND f.made_at > %(now)s - interval '60 days'
      JOIN payments_bankinstruction n ON n.file_id = f.id AND n.withdrawn_at IS NULL
      JOIN payments_payoutdestination d ON d.id = n.destination_id
     CROSS JOIN (VALUES (0, -1), (1, 1)) AS v (part, sign)
     CROSS JOIN LATERAL (SELECT min(h.at) AS at FROM payments_bankfilehandout h WHERE h.file_id = f.id) h
     WHERE v.part = 0 OR n.refused_on IS NOT NULL)
"""

_OF_A_PSP: Final = (_CHARGES, _REFUNDS, _DISPUTES, _PAYOUTS)
_OF_A_BANK: Final = (_PSP_PAYOUTS, _BANK_PAYOUTS)


@dataclass(frozen=True, slots=True)
class Gathered:
    """How many items were new, and up to which row of the history everything was seen."""

    new: int
    transitions_to: int


def gather(source: Source, *, since: int, now: datetime) -> Gathered:
    """Add what happened since a row of the history; return how many items were new and where to go on.

    Idempotent. A handful of statements in the caller's transaction, whatever the number of items.
    """
    kinds = _OF_A_PSP if source.side == Source.Side.PSP else _OF_A_BANK
    parameters = _parameters(source, since=since, now=now)
    new = 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce((SELECT id FROM payments_transition WHERE at < clock_timestamp() - %s::interval"
            " ORDER BY id DESC LIMIT 1), 0)",
            [OVERLAP],
        )
        seen = max(since, int(cursor.fetchone()[0]))
        for kind in kinds:
            cursor.execute(f"WITH {_DUE}, {kind} {_INSERT}", parameters)
            new += cursor.rowcount
    return Gathered(new, seen)


def last_seen(source: Source) -> int:
    """Return up to which row of the history a finished run of a source has seen everything."""
    # Uses index: a_day_of_a_source_is_one_run.
    runs = ReconciliationRun.objects.filter(book_id=source.book_id, source=source)
    return max(runs.values_list("transitions_to", flat=True), default=0)


def _parameters(source: Source, *, since: int, now: datetime) -> dict[str, Any]:
    book = MerchantBook.objects.only("business_calendar", "time_zone").get(pk=source.book_id)
    days, by_days = due_days(book.business_calendar, book.time_zone, source.grace_days, now=now)
    return {
        "source": source.pk,
        "now": now,
        "psp_account": source.psp_account_id,
        "zone": book.time_zone,
        "starts_on": source.starts_on,
        "since": since,
        "days": days,
        "by_days": by_days,
        "first_due": by_days[0],
        "ahead": 2 * source.grace_days,
    }


def due_days(calendar: str, zone: str, grace: int, *, now: datetime) -> tuple[list[date], list[date]]:
    """Return days around now, and for each the last day on which what happened then may be missing."""
    today = now.astimezone(ZoneInfo(zone)).date()
    days = [today + timedelta(days=number) for number in range(-LOOK_BACK_DAYS, LOOK_AHEAD_DAYS + 1)]
    by_days = []
    for day in days:
        noon = datetime.combine(day, time(12), tzinfo=ZoneInfo(zone))
        ends = calendars.after(noon, grace, business=True, calendar=calendar, time_zone=zone)
        by_days.append(ends.astimezone(ZoneInfo(zone)).date())
    return days, by_days
