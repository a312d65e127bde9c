"""What the PSP says of a dispute, booked: money is held, comes back, or is gone.

The facts of the outside world are booked also when they exceed what we think is possible: what a dispute takes beyond
what is left of an order is the platform's loss. What contradicts our records (another currency, money that un-moves) is
not booked at all: the dispute goes into quarantine, in front of a person, with the books untouched.

A snapshot is compared with what is booked, and the difference is posted. So an old, repeated or late one does nothing,
and a dispute that is first heard of when it is over is opened and closed in one transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from config import seam
from payments import representations
from payments.appliers.batch import Batch, PspMismatch
from payments.appliers.cases import Case
from payments.appliers.dispute_money import Money
from payments.models import Charge, Dispute
from payments.outbox import Fact
from payments.psp.base import DisputeFacts, DisputeStage, Snapshot

_S = Dispute.Status
# The PSP tells of every change; a poll is for the one that got lost.
POLL_AFTER = timedelta(days=1)
SOON = timedelta(hours=1)
_SETTLED = (Charge.Status.SUCCEEDED, Charge.Status.LATE_SUCCESS)


def is_ready(charge: Charge) -> bool:
    """Say whether a dispute of a charge can be booked: its own money has to be booked before."""
    return charge.status in _SETTLED


def apply(batch: Batch, charge: Charge, snapshot: Snapshot) -> None:
    """Bring a locked dispute to where the PSP says it is, and book the money that moved since.

    Does nothing while the charge's own money is not booked: whoever told of the dispute tells again.
    """
    facts = snapshot.dispute
    assert facts is not None
    if not is_ready(charge):
        return
    case = _case_of(batch, charge, snapshot, facts)
    dispute = case.dispute
    try:
        _check(charge, dispute, snapshot, facts)
    except PspMismatch as mismatch:
        _quarantine(batch, case, str(mismatch))
        return
    before = dispute.status
    _note(batch, case, snapshot, facts)
    _book(batch, case, charge, facts)
    _move(batch, case, facts)
    _announce(batch, case, charge, before)


def _case_of(batch: Batch, charge: Charge, snapshot: Snapshot, facts: DisputeFacts) -> Case:
    for case in batch.cases:
        if (case.dispute.psp_account_id, case.dispute.psp_id) == (charge.psp_account_id, snapshot.psp_id):
            return case
    dispute = Dispute(
        public_id=seam.new_uuid(),
        book_id=charge.book_id,
        charge=charge,
        psp_account_id=charge.psp_account_id,
        psp_id=snapshot.psp_id,
        status=_first_status(facts),
        currency_id=snapshot.currency,
        amount_minor=snapshot.amount_minor,
        opened_at=snapshot.created_at or batch.now,
        created_at=batch.now,
        updated_at=batch.now,
        version=0,
    )
    case = Case(dispute, is_new=True)
    batch.cases.append(case)
    return case


def _first_status(facts: DisputeFacts) -> str:
    """Return the state in which a dispute is born: one that is over is closed by the transitions below."""
    inquiry = facts.stage in (DisputeStage.INQUIRY_OPEN, DisputeStage.INQUIRY_REVIEW, DisputeStage.INQUIRY_CLOSED)
    return _S.INQUIRY_OPEN if inquiry else _S.NEEDS_RESPONSE


def _check(charge: Charge, dispute: Dispute, snapshot: Snapshot, facts: DisputeFacts) -> None:
    """Raise `PspMismatch` for what cannot be true of this charge, or cannot follow from what was booked."""
    if dispute.charge_id != charge.pk or snapshot.charge_psp_id != charge.psp_id:
        raise PspMismatch(f"the PSP says that this is a dispute of {snapshot.charge_psp_id}, not {charge.psp_id}")
    if snapshot.currency != charge.currency_id:
        raise PspMismatch(f"the dispute is in {snapshot.currency}, the charge in {charge.currency_id}")
    if facts.money_currency not in ("", charge.currency_id):
        raise PspMismatch(f"money moved in {facts.money_currency}, the charge is in {charge.currency_id}")
    if facts.taken_minor > snapshot.amount_minor:
        raise PspMismatch(f"{facts.taken_minor} was taken for a dispute over {snapshot.amount_minor}")
    if facts.returned_minor > facts.taken_minor or facts.cost_returned_minor > facts.cost_minor:
        raise PspMismatch(f"{facts.returned_minor} came back of {facts.taken_minor} that was taken")
    opened = dispute.taken_minor > 0 or dispute.cost_minor > 0
    told, booked = (facts.taken_minor, facts.cost_minor), (dispute.taken_minor, dispute.cost_minor)
    if opened and told != booked:
        raise PspMismatch(f"taken and charged are {told} now, were {booked} when they were booked")
    returned = dispute.returned_minor + dispute.regained_minor
    is_final = returned > 0 and (dispute.lost_minor == 0 or dispute.regained_minor > 0)
    if facts.returned_minor < returned or (is_final and facts.returned_minor > returned):
        raise PspMismatch(f"{facts.returned_minor} came back now, {returned} when it was booked")
    if dispute.status == _S.WON and facts.stage == DisputeStage.LOST:
        raise PspMismatch("the dispute was won and is lost now")


def _quarantine(batch: Batch, case: Case, reason: str) -> None:
    """Put a dispute in front of a person; nothing else of it is changed."""
    dispute = case.dispute
    if dispute.quarantine_reason == reason and dispute.quarantined_at is not None:
        return
    dispute.quarantined_at = batch.now
    dispute.quarantine_reason = reason[:500]
    dispute.due_at = _next_poll(dispute, batch.now)
    dispute.updated_at = batch.now
    case.is_changed = True


def _changed(batch: Batch, case: Case) -> None:
    case.is_changed = case.has_news = True
    case.dispute.updated_at = batch.now


def _note(batch: Batch, case: Case, snapshot: Snapshot, facts: DisputeFacts) -> None:
    """Take over what the PSP says about a dispute beside its money."""
    dispute = case.dispute
    told = {
        "reason": facts.reason[:64],
        "network_reason": facts.network_reason[:32],
        "amount_minor": snapshot.amount_minor,
        "evidence_due_at": facts.evidence_due_at,
        "evidence_count": max(dispute.evidence_count, facts.evidence_count),
        "quarantined_at": None,
        "quarantine_reason": "",
    }
    if any(getattr(dispute, name) != value for name, value in told.items()):
        for name, value in told.items():
            setattr(dispute, name, value)
        _changed(batch, case)


def _book(batch: Batch, case: Case, charge: Charge, facts: DisputeFacts) -> None:
    """Book what moved since: taken, come back, gone."""
    dispute, money = case.dispute, Money(batch, case, charge)
    booked = len(batch.decisions)
    if facts.taken_minor > dispute.taken_minor or facts.cost_minor > dispute.cost_minor:
        money.take(facts)
    is_over = facts.stage in (DisputeStage.WON, DisputeStage.LOST)
    if is_over and facts.returned_minor > dispute.returned_minor + dispute.regained_minor:
        if dispute.lost_minor:
            money.regain(facts)
        else:
            money.give_back(facts)
    if _is_given_up(dispute, facts):
        money.give_up()
    if is_over and facts.cost_returned_minor > dispute.cost_returned_minor:
        money.return_cost(facts)
    if len(batch.decisions) > booked:
        _changed(batch, case)


def _is_given_up(dispute: Dispute, facts: DisputeFacts) -> bool:
    """Say whether what is still held is gone: the bank has decided, and what was to come back has come back."""
    if dispute.held_minor == 0 or dispute.lost_minor > 0:
        return False
    return facts.stage == DisputeStage.LOST or (facts.stage == DisputeStage.WON and dispute.returned_minor > 0)


def evidence_arrived(batch: Batch, case: Case) -> None:
    """Record that the PSP has the evidence."""
    dispute = case.dispute
    dispute.evidence_status, dispute.evidence_at, dispute.evidence_message = Dispute.Evidence.SUBMITTED, batch.now, ""
    _changed(batch, case)


def evidence_refused(batch: Batch, case: Case, message: str) -> None:
    """Record that the PSP does not take the evidence: it may be given again, corrected."""
    dispute = case.dispute
    dispute.evidence_status, dispute.evidence_message = Dispute.Evidence.REFUSED, message[:500]
    dispute.version += 1
    _changed(batch, case)


def _move(batch: Batch, case: Case, facts: DisputeFacts) -> None:
    """Move the state forward. A dispute counts as won when the money is back, whatever the PSP calls it before."""
    dispute, target = case.dispute, _target(case.dispute, facts)
    line = Dispute.LINE
    if line.index(_S(target)) > line.index(_S(dispute.status)):
        moves = {
            _S.INQUIRY_REVIEW: dispute.inquiry_answered,
            _S.INQUIRY_CLOSED: dispute.inquiry_ended,
            _S.NEEDS_RESPONSE: dispute.escalated,
            _S.UNDER_REVIEW: dispute.answered,
            _S.LOST: dispute.lost,
            _S.WON: dispute.won,
        }
        moves[_S(target)](batch.now)
        _changed(batch, case)
    due = _next_poll(dispute, batch.now) if dispute.status in Dispute.OPEN else None
    if facts.stage == DisputeStage.WON and dispute.status != _S.WON:
        due = batch.now + SOON
    if dispute.due_at != due:
        dispute.due_at, dispute.lease_until, dispute.tries = due, None, 0
        case.is_changed = True


def _target(dispute: Dispute, facts: DisputeFacts) -> str:
    is_waiting = dispute.held_minor > 0 or dispute.lost_minor > dispute.regained_minor
    if facts.stage == DisputeStage.WON and is_waiting and dispute.returned_minor + dispute.regained_minor == 0:
        return _S.LOST if dispute.lost_minor else _S.UNDER_REVIEW
    return _S(facts.stage)


def _next_poll(dispute: Dispute, now: datetime) -> datetime:
    """Return when to ask by ourselves: once a day, and right after the time for evidence is over."""
    due = now + POLL_AFTER
    ends = dispute.evidence_due_at
    return min(due, ends + SOON) if ends is not None and ends > now else due


def _announce(batch: Batch, case: Case, charge: Charge, before: str) -> None:
    """Publish what became of a dispute: opened (once more when an inquiry becomes a dispute), won, lost."""
    dispute = case.dispute
    if not case.has_news and dispute.version:
        return
    dispute.version += 1
    kinds = []
    inquiries = (_S.INQUIRY_OPEN, _S.INQUIRY_REVIEW, _S.INQUIRY_CLOSED)
    if dispute.version == 1 or (before in inquiries and dispute.status not in inquiries):
        kinds.append("dispute.opened")
    if dispute.status != before and dispute.status in (_S.WON, _S.LOST):
        kinds.append(f"dispute.{dispute.status}")
    event = batch.events[charge.event_id]
    orders = {order.pk: order for order in batch.orders_of_event(event.pk)}

    def facts() -> list[Fact]:
        shown = representations.dispute(dispute, charge, event, case.parts, orders, sellers=batch.sellers)
        return [Fact(event.book_id, kind, "payment", event.pk, shown) for kind in kinds]

    batch.announcements.append(facts)
