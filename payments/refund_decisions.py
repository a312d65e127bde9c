"""What becomes of a refund that did not arrive: one person proposes it, another one approves.

The money is at the PSP and still owed to the buyer (or, when a refund was paid after its request had been taken back,
gone and not booked). A decision is a manual journal like any other (`wallet.proposals`), with its legs made from the
refund; when it is approved the refund needs nobody any more. Nothing is sent to a PSP here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import structlog
from django.db import transaction

from ledger import accounts
from ledger.ids import public_id
from ledger.models import Side
from payments.errors import InvalidState, NotFound
from payments.models import PspOperation, Refund
from wallet import chart, proposals
from wallet.legs import DraftLeg
from wallet.models import Proposal
from wallet.proposals import Draft

log = structlog.get_logger(__name__)
CONCLUDE_AT_MOST = 100


class Bearer(StrEnum):
    """Who gets the money that is owed to the buyer, or bears what was paid and not booked."""

    SELLER = "seller"  # the seller's share is available to it again, and the platform has its fee
    BANK = "bank"  # the buyer was paid from our bank account by hand
    PLATFORM = "platform"  # nobody can be paid any more: the platform's, until somebody claims it


def propose(
    refund_id: int, bearer: Bearer, *, maker: str, reason: str, bank: str = "main", now: datetime
) -> tuple[Proposal, bool]:
    """Propose what becomes of a refund that waits for a person; return the proposal and whether this call made it.

    Idempotent by refund. `bank` names our bank account. Raises `NotFound`, `InvalidState` for a refund that waits for
    nobody or a bearer that it cannot have, and what `wallet.proposals.propose` raises.
    """
    refund = Refund.objects.select_related("order__seller", "charge__psp_account").filter(pk=refund_id).first()
    if refund is None:
        raise NotFound("not_found", "There is no such refund.")
    if refund.attention_at is None or refund.status != Refund.Status.FAILED:
        raise InvalidState("invalid_state", "This refund waits for nobody's decision.")
    draft = Draft(
        book_id=refund.book_id,
        kind=Proposal.Kind.ADJUST,
        reference=reference_of(refund),
        legs=tuple(_legs(refund, bearer, bank)),
        memo=reason,
        maker=maker,
        metadata={"refund": reference_of(refund), "bearer": str(bearer)},
    )
    return proposals.propose(draft, now=now)


def reference_of(refund: Refund) -> str:
    """Return what a proposal about a refund is called."""
    return public_id("rfd", refund.public_id)


def _legs(refund: Refund, bearer: Bearer, bank: str) -> Sequence[DraftLeg]:
    book, currency, amount = refund.book_id, refund.currency_id, refund.amount_minor
    was_taken_back = refund.order is not None and refund.settled_at is None
    if bearer == Bearer.BANK and was_taken_back:
        raise InvalidState("invalid_state", "The PSP has paid this buyer: nothing is owed to be paid from a bank.")
    if bearer == Bearer.SELLER and refund.order is not None:
        seller = chart.seller(book, refund.order.seller.public_id, "available", currency).code
        parts = [(seller, amount - refund.fee_minor), (chart.platform_fees(book, currency).code, refund.fee_minor)]
    elif bearer == Bearer.SELLER:
        raise InvalidState("invalid_state", "This money never was a seller's.")
    elif bearer == Bearer.BANK:
        account = chart.bank(book, bank, currency)
        accounts.resolve([account])
        parts = [(account.code, amount)]
    else:
        parts = [(chart.write_off(book, currency).code, amount)]
    owed = chart.refund_payable(book, currency).code
    paid = chart.psp_clearing(book, refund.charge.psp_account.code, currency).code
    side = Side.DEBIT if was_taken_back else Side.CREDIT
    legs = [DraftLeg(code, side, part, currency) for code, part in parts if part]
    other = DraftLeg(paid if was_taken_back else owed, legs[0].negated.side, amount, currency)
    return [*legs, other] if was_taken_back else [other, *legs]


def conclude(*, now: datetime) -> int:
    """Let refunds whose proposal was approved wait for nobody any more, with their calls; return how many. Idempotent.

    Locks the refunds, then their operations. A bounded number: the rest is for the next call.
    """
    # Uses indexes: refund_needs_a_person, proposal_reference_is_unique_in_its_book.
    waiting = list(Refund.objects.filter(attention_at__isnull=False).order_by("attention_at")[:CONCLUDE_AT_MOST])
    if not waiting:
        return 0
    approved = set(
        Proposal.objects.filter(
            kind=Proposal.Kind.ADJUST,
            state=Proposal.State.APPROVED,
            book_id__in={refund.book_id for refund in waiting},
            reference__in=[reference_of(refund) for refund in waiting],
        ).values_list("book_id", "reference")
    )
    decided = sorted(row.pk for row in waiting if (row.book_id, reference_of(row)) in approved)
    if not decided:
        return 0
    with transaction.atomic():
        keys = list(
            Refund.objects.select_for_update(no_key=True)
            .filter(pk__in=decided, attention_at__isnull=False)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        Refund.objects.filter(pk__in=keys).update(attention_at=None)
        PspOperation.objects.filter(refund_id__in=keys, state=PspOperation.State.DEAD, closed_at__isnull=True).update(
            state=PspOperation.State.DONE, outcome="decided", closed_at=now, dead_at=None
        )
    log.info("refunds_decided", refunds=keys)
    return len(keys)
