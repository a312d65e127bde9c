"""The platform's fees: what their account holds, and that no withdrawal takes more. Reads only.

The account has no floor, because refunds may take back more than was earned. A withdrawal may not: it is looked at when
it is proposed and again when it is approved, under a lock that withdrawals of one book take in turn; the trigger on
proposals looks last.
"""

from __future__ import annotations

from django.db import connection

from ledger import balances
from ledger.money import format_minor
from wallet import chart, legs
from wallet.errors import InsufficientFees
from wallet.models import Proposal


def earned(book_id: int, currency: str) -> int:
    """Return what the account of the platform's fees holds, in minor units; below zero after many refunds."""
    code = chart.platform_fees(book_id, currency).code
    found = balances.of_codes(book_id, [code]).get(code)
    return found.balance if found is not None else 0


def require_covered(proposal: Proposal) -> None:
    """Raise `InsufficientFees` when a withdrawal takes more than there is. Locks the withdrawals of the book."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('withdraw_fees', %s))", [proposal.book_id])
    taken = legs.stored(proposal.legs)[0]
    held = earned(proposal.book_id, taken.currency)
    if taken.amount > held:
        raise InsufficientFees(f"the fees are {format_minor(max(held, 0), taken.currency)} {taken.currency}")
