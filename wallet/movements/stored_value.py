"""Stored value: what we keep for a buyer comes in, pays orders without a PSP, and takes refunds."""

from __future__ import annotations

from uuid import UUID

from ledger.models import Side, TransactionKind
from wallet import chart
from wallet.movements.heading import Heading, Movement, movement


def stored_top_up(heading: Heading, *, psp_account: str, buyer: UUID, seller: UUID, amount: int) -> Movement:
    """Book captured money that a buyer paid in for later. `seller` is the house, whose wallet opens with it."""
    return movement(
        TransactionKind.STORED_TOP_UP,
        heading,
        (Side.DEBIT, chart.psp_clearing(heading.book_id, psp_account, heading.currency), amount),
        (Side.CREDIT, chart.buyer_stored(heading.book_id, buyer, heading.currency), amount),
        seller=seller,
    )


def stored_pay(heading: Heading, *, buyer: UUID, seller: UUID, captured: int, fee: int) -> Movement:
    """Pay one order from a buyer's stored value: a sale as any other, but for where the money comes from."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.STORED_PAY,
        heading,
        (Side.DEBIT, chart.buyer_stored(book, buyer, currency), captured),
        (Side.CREDIT, chart.seller(book, seller, "pending", currency), captured - fee),
        (Side.CREDIT, chart.platform_fees(book, currency), fee),
        seller=seller,
    )


def stored_refund(heading: Heading, *, buyer: UUID, amount: int) -> Movement:
    """Book a refund that the buyer keeps with us: what was owed to the buyer is stored value now."""
    return movement(
        TransactionKind.STORED_REFUND,
        heading,
        (Side.DEBIT, chart.refund_payable(heading.book_id, heading.currency), amount),
        (Side.CREDIT, chart.buyer_stored(heading.book_id, buyer, heading.currency), amount),
    )
