"""Corrections in two words: take a transaction back, or give a wallet an amount. Each becomes the draft of a proposal.

What a wallet gets or gives in an adjustment is the platform's cost or relief, so its other side is always
`write_off:{currency}`: sales, and the money at PSPs, stay what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ledger.ids import public_id
from ledger.models import Entry, Side, Transaction
from wallet import chart
from wallet.errors import Fault, WrongProposal
from wallet.legs import DraftLeg
from wallet.models import Proposal, Wallet
from wallet.proposals import Draft


def adjustment(wallet: Wallet, *, side: Side, amount: int, reference: str, reason: str, maker: str) -> Draft:
    """Return the draft that credits or debits what a wallet has available, in minor units."""
    book_id, currency = wallet.book_id, wallet.currency_id
    available = DraftLeg(chart.seller(book_id, wallet.seller, "available", currency).code, side, amount, currency)
    other = DraftLeg(chart.write_off(book_id, currency).code, available.negated.side, amount, currency)
    debit_first = (available, other) if side == Side.DEBIT else (other, available)
    return Draft(book_id, Proposal.Kind.ADJUST, reference, debit_first, reason, maker)


def reversal(
    original: Transaction,
    *,
    memo: str,
    maker: str,
    reference: str = "",
    amount: int | None = None,
    legs: Sequence[DraftLeg] = (),
    effective_at: datetime | None = None,
) -> Draft:
    """Return the draft that takes a transaction back: all of it, `amount` of its two legs, or the `legs` given.

    The reference of a full reversal is the transaction's id. One statement. Raises `WrongProposal`.
    """
    back = [leg.negated for leg in legs_of(original)]
    if amount is not None and legs:
        raise WrongProposal([Fault("amount", "ambiguous", "give an amount or legs")])
    is_partial = amount is not None or bool(legs)
    if is_partial and not reference:
        raise WrongProposal([Fault("reference", "required", "a partial reversal needs a reference of its own")])
    if amount is not None:
        if len(back) != 2 or len({leg.currency for leg in back}) != 1:
            detail = "the transaction has more than two legs: say which ones, and how much"
            raise WrongProposal([Fault("amount", "not_supported", detail)])
        back = [DraftLeg(leg.account, leg.side, amount, leg.currency) for leg in back]
    return Draft(
        book_id=original.book_id,
        kind=Proposal.Kind.PARTIAL_REVERSAL if is_partial else Proposal.Kind.REVERSAL,
        reference=reference or public_id("txn", original.public_id),
        legs=tuple(legs) or tuple(back),
        memo=memo,
        maker=maker,
        effective_at=effective_at,
        reverses_id=original.pk,
    )


def legs_of(original: Transaction) -> list[DraftLeg]:
    """Return the legs of a transaction, in posting order."""
    entries = Entry.objects.of([original.pk]).select_related("account")
    return [DraftLeg(row.account.code, Side(row.side), row.amount, row.currency_id) for row in entries]


def currency_of(original: Transaction) -> str:
    """Return the currency of a transaction; of one in several the first leg's, whose amounts need legs anyway."""
    return legs_of(original)[0].currency
