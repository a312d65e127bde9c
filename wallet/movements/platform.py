"""The platform's own money: what it earned leaves the books through its bank."""

from __future__ import annotations

from ledger.models import Side, TransactionKind
from wallet import chart
from wallet.movements.heading import Heading, Movement, movement


def withdraw_fees(heading: Heading, *, bank: str, amount: int) -> Movement:
    """Take what the platform earned out of our bank account, for the platform's own use."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.WITHDRAW_FEES,
        heading,
        (Side.DEBIT, chart.platform_fees(book, currency), amount),
        (Side.CREDIT, chart.bank(book, bank, currency), amount),
    )
