"""Withdrawal of the platform's fees: the draft of a proposal that takes them out of a bank account of ours."""

from __future__ import annotations

from datetime import datetime

from ledger.models import Account
from wallet import chart, earnings, movements
from wallet.errors import Fault, InsufficientFees, WrongProposal
from wallet.legs import DraftLeg
from wallet.models import Proposal
from wallet.movements import Heading
from wallet.proposals import Draft


def fee_withdrawal(
    book_id: int,
    *,
    currency: str,
    amount: int | None,
    bank: str,
    reference: str,
    memo: str,
    maker: str,
    now: datetime,
) -> Draft:
    """Return the draft that takes `amount` minor units of the fees (`None`: all of them) out of `bank:{bank}`.

    The legs are those of the verb. Raises `InsufficientFees` when there are none to take, `WrongProposal` when the book
    has no such bank account.
    """
    # Uses index: account_code_is_unique_in_its_book.
    if not Account.objects.filter(book_id=book_id, code=chart.bank(book_id, bank, currency).code).exists():
        raise WrongProposal([Fault("bank", "unknown_account", f"the book has no such bank account in {currency}")])
    wanted = earnings.earned(book_id, currency) if amount is None else amount
    if wanted <= 0:
        raise InsufficientFees(f"there are no fees in {currency}")
    heading = Heading(book_id, reference, currency, now, maker)
    lines = movements.withdraw_fees(heading, bank=bank, amount=wanted).lines
    legs = tuple(DraftLeg(spec.code, side, minor, spec.currency) for side, spec, minor in lines)
    assert legs[0].account == chart.platform_fees(book_id, currency).code, "the fees come first: their bound is checked"
    return Draft(book_id, Proposal.Kind.WITHDRAW_FEES, reference, legs, memo, maker)
