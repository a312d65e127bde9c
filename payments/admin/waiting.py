"""What waits for a person, for the first page: disputes to answer, payouts to approve, runs that did not happen.

Each table is read through a partial index and cut at `LIMIT`.
"""

from __future__ import annotations

from datetime import timedelta

from config import seam
from ledger.admin.reading import Table
from ledger.admin.showing import api_id, badge, code, link, money
from payments import missed_runs
from payments.admin.disputes import UNANSWERED
from payments.models import Dispute, Payout

LIMIT = 20
DUE_WITHIN = timedelta(days=7)


# Uses index: dispute_to_answer.
def disputes_to_answer() -> Table:
    """Return the disputes whose answer is due within days, the next first."""
    now = seam.now()
    rows = Dispute.objects.filter(
        status__in=Dispute.ANSWERABLE,
        evidence_status__in=UNANSWERED,
        evidence_due_at__gt=now,
        evidence_due_at__lte=now + DUE_WITHIN,
    ).select_related("charge__event")
    return Table(
        f"Disputes to answer within {DUE_WITHIN.days} days",
        ("Dispute", "Payment", "Disputed", "Held", "Reason", "Answer due", "In"),
        [
            (
                link(row, api_id("dsp", row.public_id)),
                link(row.charge.event, row.charge.event.checkout_id),
                money(row.amount_minor, row.currency_id),
                money(row.held_minor, row.currency_id),
                row.reason.replace("_", " "),
                row.evidence_due_at,
                _left((row.evidence_due_at or now) - now),
            )
            for row in rows.order_by("evidence_due_at")[:LIMIT]
        ],
    )


def _left(time: timedelta) -> object:
    days, hours = time.days, time.seconds // 3600
    return badge(f"{days} d {hours} h", "danger" if time < timedelta(days=2) else "warning")


# Uses index: dispute_in_quarantine.
def disputes_not_booked() -> Table:
    """Return the disputes of which the PSP tells what contradicts our records."""
    rows = Dispute.objects.filter(quarantined_at__isnull=False).select_related("charge__event").order_by("pk")
    return Table(
        "Disputes that contradict our records: nothing of them is booked",
        ("Dispute", "Payment", "Disputed", "Why", "Since"),
        [
            (
                link(row, api_id("dsp", row.public_id)),
                link(row.charge.event, row.charge.event.checkout_id),
                money(row.amount_minor, row.currency_id),
                row.quarantine_reason,
                row.quarantined_at,
            )
            for row in rows[:LIMIT]
        ],
    )


# Uses index: payout_to_approve.
def payouts_to_approve() -> Table:
    """Return the payouts that a second person has to agree to, the oldest first."""
    rows = Payout.objects.filter(status=Payout.Status.REQUIRES_APPROVAL).select_related("seller").order_by("pk")
    return Table(
        "Payouts that somebody else has to approve",
        ("Payout", "Seller", "Amount", "Asked for by", "Since"),
        [
            (
                link(row, api_id("pyo", row.public_id)),
                link(row.seller, row.seller.name),
                money(row.amount_minor, row.currency_id),
                row.requested_by,
                row.created_at,
            )
            for row in rows[:LIMIT]
        ],
    )


def late_runs() -> Table:
    """Return the kinds of daily runs that did not happen in time."""
    return Table(
        "Daily runs that did not happen in time",
        ("Run", "Late", "Finished last"),
        [
            (code(one.kind), one.late, one.finished_at or "never")
            for one in missed_runs.standings(now=seam.now())
            if one.late
        ],
    )
