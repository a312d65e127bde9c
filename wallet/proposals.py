"""Proposals: one person proposes a journal, another one approves it, and only then is it posted.

Approval posts in the same database transaction as the decision; what the books refuse leaves the proposal waiting. The
database has the last word (`wallet/sql/0003/proposals.sql`): maker and checker differ, content and decisions are final,
and approved means that exactly these legs were posted with the decision. That a journal of these kinds was proposed at
all is kept by this being the only module that posts one: the ledger below knows nothing of proposals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from config import seam
from ledger import balances, posting
from ledger.errors import PeriodClosed, PostingRefused, ReferenceConflict
from ledger.ids import public_id
from ledger.models import DEBIT_NORMAL, Book, Side
from ledger.posting import Journal
from wallet import closing, earnings, legs
from wallet.errors import (
    AlreadyDecided,
    Fault,
    MakerIsChecker,
    ProposalExpired,
    ProposalOutdated,
    UnknownProposal,
    WrongProposal,
)
from wallet.legs import DraftLeg
from wallet.models import Proposal

LIFE = timedelta(days=30)
EXPIRY = "expiry"
MAX_REFERENCE, MAX_TEXT = 100, 255
_EXPIRE_AT_MOST = 1000
_DECISION = ("state", "checker", "decided_at", "note", "transaction")


@dataclass(frozen=True, slots=True)
class Draft:
    """A journal to be proposed. Without `effective_at` it takes effect when it is approved."""

    book_id: int
    kind: Proposal.Kind
    reference: str
    legs: tuple[DraftLeg, ...]
    memo: str
    maker: str
    effective_at: datetime | None = None
    reverses_id: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What approval would do to one account: its balance now and then, in minor units, positive on its normal side."""

    account: str
    currency: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What approval would do to each account, and why the books would refuse it, if they would."""

    changes: tuple[Change, ...]
    refusal: PostingRefused | None


def propose(draft: Draft, *, now: datetime) -> tuple[Proposal, bool]:
    """Write down a journal for somebody else to approve; return it, and whether this call made it.

    Idempotent by book, kind and reference. Tried against the books first: raises `WrongProposal` with every wrong
    field, `InsufficientFees`, and what `ledger.posting` would refuse (`Unbalanced`, `FloorBroken`, ...). A softly
    closed period is no refusal: the checker may be one of those who may post into it. Posts nothing.
    """
    with transaction.atomic():
        made = _checked(draft, now=now)
        same = _with_reference(made)
        if same is not None:
            return same, False
        _require_covered(made)
        answer = _try(made, actor=draft.maker, now=now)
        if answer.outcome == "exists":
            raise ReferenceConflict(f"reference {made} was posted before")
        if answer.refusal is not None and not _is_softly_closed(made, answer.refusal):
            raise answer.refusal
        try:
            with transaction.atomic():
                made.save(force_insert=True)
        except IntegrityError:
            same = _with_reference(made)  # somebody else was faster
            if same is None:
                raise
            return same, False
    return made, True


def rehearse(draft: Draft, *, now: datetime) -> tuple[Proposal, Preview]:
    """Return what a draft would become and what its approval would do. Refuses as `propose`; writes nothing."""
    with transaction.atomic():
        made = _checked(draft, now=now)
        if _with_reference(made) is None and _try(made, actor=draft.maker, now=now).outcome == "exists":
            raise ReferenceConflict(f"reference {made} was posted before")
        _require_covered(made)
        seen = preview(made, actor=draft.maker, now=now)
        if seen.refusal is not None and not _is_softly_closed(made, seen.refusal):
            raise seen.refusal
        transaction.set_rollback(True)  # accounts of the platform that were opened to be looked at
    return made, seen


def preview(proposal: Proposal, *, actor: str, now: datetime) -> Preview:
    """Return what approval by `actor` would do now. Writes nothing; locks balances until the transaction ends."""
    with transaction.atomic():
        answer = _try(proposal, actor=actor, now=now)
        known = legs.found(proposal.book_id, legs.stored(proposal.legs))
        read = balances.of_accounts([account.pk for account in known.values()])
        moved: dict[str, int] = {}
        for leg in legs.stored(proposal.legs):
            moved[leg.account] = moved.get(leg.account, 0) + (leg.amount if leg.side == Side.DEBIT else -leg.amount)
    changes = []
    for code, net in moved.items():
        account = known[code]
        before = read[account.pk].balance
        after = before + (net if account.type in DEBIT_NORMAL else -net)
        changes.append(Change(code, account.currency_id, before, after))
    return Preview(tuple(changes), answer.refusal)


def approve(proposal_id: int, *, checker: str, note: str = "", now: datetime) -> Proposal:
    """Post a proposal, in the name of its checker.

    Locks the proposal, then balances. Of two checkers at once one wins. Raises `UnknownProposal`, `AlreadyDecided`,
    `MakerIsChecker`, `ProposalExpired`, `ProposalOutdated`, `InsufficientFees`, or what `ledger.posting.post` raises;
    it waits on then.
    """
    with transaction.atomic():
        proposal = _to_be_decided(proposal_id, checker)
        if proposal.made_at + LIFE <= now:
            raise ProposalExpired(f"it waited for more than {LIFE.days} days; propose it anew")
        if proposal.kind == Proposal.Kind.YEAR_END_CLOSE and not closing.is_current(proposal):
            raise ProposalOutdated("the balances of the year have changed; reject it and propose it anew")
        _require_covered(proposal)
        (posted,) = posting.post([_journal(proposal, actor=checker, now=now)], now=now)
        proposal.transaction_id = posted.transaction_id
        return _decided(proposal, Proposal.State.APPROVED, checker, note, now)


def reject(proposal_id: int, *, checker: str, note: str = "", now: datetime) -> Proposal:
    """Refuse a proposal for good; its reference can be used again. Locks it. Raises as `approve`, without posting."""
    with transaction.atomic():
        return _decided(_to_be_decided(proposal_id, checker), Proposal.State.REJECTED, checker, note, now)


def expire(*, now: datetime) -> int:
    """Let proposals expire that waited too long, a bounded number of them; return how many."""
    # Uses index: proposal_awaiting.
    old = Proposal.objects.filter(state=Proposal.State.AWAITING_APPROVAL, made_at__lte=now - LIFE)
    with transaction.atomic():
        keys = list(old.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True)[:_EXPIRE_AT_MOST])
        return Proposal.objects.filter(pk__in=keys).update(
            state=Proposal.State.EXPIRED, checker=EXPIRY, decided_at=now, note=f"waited for {LIFE.days} days"
        )


def _checked(draft: Draft, *, now: datetime) -> Proposal:
    """Return the proposal of a draft, not saved. Raises `WrongProposal`, `Unbalanced`."""
    wrong = [
        Fault(name, "invalid_value", f"must have 1 to {most} characters")
        for name, text, most in (("reference", draft.reference, MAX_REFERENCE), ("memo", draft.memo, MAX_TEXT))
        if not 1 <= len(text) <= most
    ]
    if draft.effective_at is not None and draft.effective_at > now:
        wrong.append(Fault("effective_at", "invalid_value", "lies in the future"))
    wrong += legs.faults(draft.book_id, draft.legs)
    if wrong:
        raise WrongProposal(wrong)
    legs.require_balance(draft.legs)
    return Proposal(
        public_id=seam.new_uuid(),
        book_id=draft.book_id,
        kind=draft.kind,
        reference=draft.reference,
        effective_at=draft.effective_at,
        memo=draft.memo,
        metadata=dict(draft.metadata),
        legs=[leg.data for leg in draft.legs],
        reverses_id=draft.reverses_id,
        maker=draft.maker,
        made_at=now,
    )


def _require_covered(proposal: Proposal) -> None:
    if proposal.kind == Proposal.Kind.WITHDRAW_FEES:
        earnings.require_covered(proposal)


def _with_reference(made: Proposal) -> Proposal | None:
    """Return the living proposal of the same reference. Raises `ReferenceConflict` when it says something else."""
    # Uses index: proposal_reference_is_unique_in_its_book.
    same = Proposal.objects.filter(
        book_id=made.book_id, kind=made.kind, reference=made.reference, state__in=Proposal.LIVING
    ).first()
    if same is not None and (same.legs, same.reverses_id, same.effective_at) != (
        made.legs,
        made.reverses_id,
        made.effective_at,
    ):
        raise ReferenceConflict(f"reference {made} was proposed before with other content")
    return same


def _journal(proposal: Proposal, *, actor: str, now: datetime) -> Journal:
    return Journal(
        book_id=proposal.book_id,
        kind=proposal.kind,
        reference=str(proposal),
        legs=legs.ready(proposal.book_id, legs.stored(proposal.legs)),
        effective_at=proposal.effective_at or now,
        actor=actor,
        memo=proposal.memo,
        reverses_id=proposal.reverses_id,
        metadata={**proposal.metadata, "proposal": public_id("prp", proposal.public_id), "maker": proposal.maker},
    )


def _try(proposal: Proposal, *, actor: str, now: datetime) -> posting.Answer:
    (answer,) = posting.post_each([_journal(proposal, actor=actor, now=now)], now=now, dry_run=True)
    return answer


def _is_softly_closed(proposal: Proposal, refusal: PostingRefused) -> bool:
    """Say whether a posting is refused only because its maker may not post into a softly closed period."""
    if not isinstance(refusal, PeriodClosed) or proposal.effective_at is None:
        return False
    closed_before = Book.objects.values_list("closed_before", flat=True).get(pk=proposal.book_id)
    return closed_before is None or proposal.effective_at >= closed_before


def _to_be_decided(proposal_id: int, checker: str) -> Proposal:
    """Lock a proposal that waits. Raises `UnknownProposal`, `AlreadyDecided`, `MakerIsChecker`."""
    proposal = Proposal.objects.select_for_update(no_key=True).filter(pk=proposal_id).first()
    if proposal is None:
        raise UnknownProposal("there is no such proposal")
    if proposal.state != Proposal.State.AWAITING_APPROVAL:
        raise AlreadyDecided(f"it is {proposal.state}: {proposal.checker} decided")
    if proposal.maker == checker:
        raise MakerIsChecker("whoever proposed it cannot decide about it")
    return proposal


def _decided(proposal: Proposal, state: Proposal.State, checker: str, note: str, now: datetime) -> Proposal:
    proposal.state, proposal.checker, proposal.decided_at, proposal.note = state, checker, now, note[:MAX_TEXT]
    proposal.save(update_fields=_DECISION)
    return proposal
