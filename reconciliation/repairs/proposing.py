"""Journals for breaks that need a person: one proposes, another approves exactly what was proposed.

It is an ordinary proposal of the wallet (maker is never checker, by a constraint) that names its break. The approval is
bound to a digest of what the checker saw. However it is decided, here or where all proposals are, `settle` lets the
break follow: posted ends it, refused opens it again. A break has one proposal at a time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from ledger.ids import public_id
from ledger.models import Side
from payments.errors import Conflict, InvalidState, NotFound
from reconciliation import breaks, matching
from reconciliation.models import Break, Match, ReconciliationRun, Source, StatementLine
from reconciliation.repairs.booking import place_of
from wallet import chart, proposals
from wallet.legs import DraftLeg
from wallet.models import Proposal
from wallet.proposals import Draft

_SETTLED_AT_MOST: Final = 1000
# What came or went without a known reason stays visible as such, until it is identified.
_TO_SUSPENSE: Final = frozenset({"A04", "A05", "A12", "A13", "A15", "A16", "A17", "A19", "B06", "B11"})
# What we booked and nobody has: given up, until somebody is found who owes it.
_GIVEN_UP: Final = frozenset({"A03", "A07", "A08"})


@dataclass(frozen=True, slots=True)
class Waiting:
    """A proposal about a break, what its approval would do, and the digest that an approval must name."""

    proposal: Proposal
    preview: proposals.Preview
    digest: str


def suggest(found: Break) -> tuple[DraftLeg, ...]:
    """Return the journal that the class of a break usually asks for; nothing where only a person can tell."""
    if found.source is None or found.currency_id is None or not found.amount_minor:
        return ()
    book, currency, amount = found.book_id, found.currency_id, found.amount_minor
    ours = f"{place_of(found.source)}:{currency}"
    if found.code in _TO_SUSPENSE:
        other = chart.suspense_credit if amount > 0 else chart.suspense_debit
        return _legs(ours, other(book, currency).code, amount, currency)
    if found.code in _GIVEN_UP:
        return _legs(ours, chart.write_off(book, currency).code, amount, currency)
    if found.code == "A10":
        fees, variance = chart.psp_fees(book, currency).code, chart.fee_variance(book, currency).code
        return _legs(variance, fees, -amount, currency)
    if found.code == "B01":
        way = chart.bank_in_transit(book, currency).code
        other = chart.suspense_credit if amount > 0 else chart.suspense_debit
        return _legs(way, other(book, currency).code, amount, currency)
    if found.code == "B03":
        return _short_payout(found, ours, currency)
    return ()


def propose(
    break_id: int, legs: Sequence[DraftLeg], *, memo: str, maker: str, now: datetime, write_off: bool = False
) -> Waiting:
    """Propose a journal for a break. Locks the break; it waits for a checker then.

    Raises `NotFound`, `InvalidState` when it is resolved or has a proposal, and what `wallet.proposals.propose` raises.
    """
    with transaction.atomic():
        found = _locked(break_id)
        if found.state != Break.State.OPEN:
            raise InvalidState("invalid_state", f"This break is {found.state}.")
        name = public_id("brk", found.public_id)
        draft = Draft(
            book_id=found.book_id,
            kind=Proposal.Kind.WRITE_OFF if write_off else Proposal.Kind.ADJUST,
            reference=f"{name}:{found.events.filter(what='proposed').count()}",
            legs=tuple(legs),
            memo=memo,
            maker=maker,
            metadata={"break": name},
        )
        proposal, _ = proposals.propose(draft, now=now)
        found.state = Break.State.PROPOSED
        found.save(update_fields=["state"])
        breaks.tell(found, "proposed", actor=maker, detail=public_id("prp", proposal.public_id), now=now)
        return Waiting(proposal, proposals.preview(proposal, actor=maker, now=now), digest_of(proposal))


def waiting(break_id: int, *, actor: str, now: datetime) -> Waiting:
    """Return the proposal that waits about a break, what it would do now, and its digest. Raises `NotFound`."""
    found = Break.objects.filter(pk=break_id).first()
    proposal = _proposal_of(found) if found is not None else None
    if proposal is None or proposal.state != Proposal.State.AWAITING_APPROVAL:
        raise NotFound("not_found", "No journal waits for this break.")
    return Waiting(proposal, proposals.preview(proposal, actor=actor, now=now), digest_of(proposal))


def approve(break_id: int, *, digest: str, checker: str, note: str = "", now: datetime) -> Break:
    """Approve the journal of a break, exactly as the checker saw it, and end the break.

    Raises `NotFound`, `Conflict` when the digest is of something else, and what `wallet.proposals.approve` raises.
    """
    with transaction.atomic():
        found = _locked(break_id)
        proposal = _proposal_of(found)
        if proposal is None:
            raise NotFound("not_found", "No journal waits for this break.")
        if digest_of(proposal) != digest:
            raise Conflict("proposal_changed", "This is not the journal that you looked at.")
        proposals.approve(proposal.pk, checker=checker, note=note, now=now)
        return _follow(found, now=now)


def settle(source: Source | None, book_id: int, *, now: datetime) -> int:
    """Let breaks follow the proposals about them that were decided elsewhere; return how many did."""
    rows = Break.objects.filter(book_id=book_id, source=source, state=Break.State.PROPOSED)
    with transaction.atomic():
        decided = [
            row
            for row in rows.select_for_update(no_key=True, of=("self",)).order_by("id")[:_SETTLED_AT_MOST]
            if (proposal := _proposal_of(row)) is None or proposal.state != Proposal.State.AWAITING_APPROVAL
        ]
        for row in decided:
            _follow(row, now=now)
    return len(decided)


def digest_of(proposal: Proposal) -> str:
    """Return the digest of all that a proposal says."""
    said = {
        "proposal": str(proposal.public_id),
        "kind": proposal.kind,
        "reference": proposal.reference,
        "legs": proposal.legs,
        "effective_at": None if proposal.effective_at is None else proposal.effective_at.isoformat(),
        "memo": proposal.memo,
        "maker": proposal.maker,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _follow(found: Break, *, now: datetime) -> Break:
    proposal = _proposal_of(found)
    if proposal is not None and proposal.state == Proposal.State.APPROVED:
        found.state, found.resolution, found.resolved_at = Break.State.RESOLVED, "journal", now
        found.transaction_id = proposal.transaction_id
        _take_out(found, actor=proposal.checker)
        actor, what, detail = proposal.checker, "resolved", public_id("prp", proposal.public_id)
    else:
        found.state = Break.State.OPEN
        actor = proposal.checker if proposal is not None else "run"
        what, detail = "refused", proposal.note if proposal is not None else ""
    found.save(update_fields=["state", "resolution", "resolved_at", "transaction"])
    breaks.tell(found, what, actor=actor, detail=detail, now=now)
    return found


def _take_out(found: Break, *, actor: str) -> None:
    """Match the lines and items of a break that a journal ended: they are no longer open."""
    if found.source is None:
        return
    run = ReconciliationRun.objects.filter(pk=found.last_run_id).get()
    about = {
        "source": found.source,
        "run": run,
        "rule": Match.Rule.BREAK,
        "rules_version": matching.RULES_VERSION,
        "group": found.pk,
        "actor": actor,
    }
    live = Match.objects.filter(undone_at__isnull=True)
    lines = set(live.filter(line_id__in=found.line_ids).values_list("line_id", flat=True))
    items = set(live.filter(item_id__in=found.item_ids).values_list("item_id", flat=True))
    rows = [Match(line_id=line, **about) for line in found.line_ids if line not in lines]
    rows += [Match(item_id=item, **about) for item in found.item_ids if item not in items]
    Match.objects.bulk_create(rows)


def _short_payout(found: Break, ours: str, currency: str) -> tuple[DraftLeg, ...]:
    """What arrived is at the bank, what is missing was charged on the way, and nothing is on its way any more."""
    arrived = sum(StatementLine.objects.filter(pk__in=found.line_ids).values_list("gross_minor", flat=True))
    missing = -found.amount_minor
    if arrived <= 0 or missing <= 0:
        return ()
    return (
        DraftLeg(ours, Side.DEBIT, arrived, currency),
        DraftLeg(chart.bank_charges(found.book_id, currency).code, Side.DEBIT, missing, currency),
        DraftLeg(chart.bank_in_transit(found.book_id, currency).code, Side.CREDIT, arrived + missing, currency),
    )


def _legs(debit: str, credit: str, amount: int, currency: str) -> tuple[DraftLeg, ...]:
    """Return the two legs of an amount; turned round for one below zero."""
    if amount < 0:
        debit, credit = credit, debit
    return (
        DraftLeg(debit, Side.DEBIT, abs(amount), currency),
        DraftLeg(credit, Side.CREDIT, abs(amount), currency),
    )


def _proposal_of(found: Break) -> Proposal | None:
    event = found.events.filter(what="proposed").order_by("-id").first()
    if event is None:
        return None
    number = found.events.filter(what="proposed").count() - 1
    reference = f"{public_id('brk', found.public_id)}:{number}"
    return Proposal.objects.filter(book_id=found.book_id, reference=reference).order_by("-id").first()


def _locked(break_id: int) -> Break:
    found = Break.objects.select_for_update(no_key=True, of=("self",)).filter(pk=break_id).first()
    if found is None:
        raise NotFound("not_found", "There is no such break.")
    return found
