"""Sales: money comes in, becomes the seller's to pay out, and a part of it is held back for a while."""

from __future__ import annotations

from uuid import UUID

from ledger.models import Side, TransactionKind
from wallet import chart
from wallet.movements.heading import Heading, Movement, movement


def settle_charge(heading: Heading, *, psp_account: str, seller: UUID, captured: int, fee: int) -> Movement:
    """Book the captured money of one order: the seller's share is pending, the platform fee is income."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.SETTLE_CHARGE,
        heading,
        (Side.DEBIT, chart.psp_clearing(book, psp_account, currency), captured),
        (Side.CREDIT, chart.seller(book, seller, "pending", currency), captured - fee),
        (Side.CREDIT, chart.platform_fees(book, currency), fee),
        seller=seller,
    )


def late_success(heading: Heading, *, psp_account: str, amount: int) -> Movement:
    """Book money that arrived for a cancelled or expired order: it belongs to the buyer and is refunded."""
    return movement(
        TransactionKind.LATE_SUCCESS,
        heading,
        (Side.DEBIT, chart.psp_clearing(heading.book_id, psp_account, heading.currency), amount),
        (Side.CREDIT, chart.refund_payable(heading.book_id, heading.currency), amount),
    )


def release(heading: Heading, *, seller: UUID, amount: int, debt: int) -> Movement:
    """Make an order's pending share available; what the seller owes is netted first (`debt`, never above `amount`)."""
    assert 0 <= debt <= amount, "a release nets no more than it releases"
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.RELEASE,
        heading,
        (Side.DEBIT, chart.seller(book, seller, "pending", currency), amount),
        (Side.CREDIT, chart.seller(book, seller, "debt", currency), debt),
        (Side.CREDIT, chart.seller(book, seller, "available", currency), amount - debt),
        seller=seller,
    )


def hold_reserve(heading: Heading, *, seller: UUID, amount: int) -> Movement:
    """Hold a share of what was released back for a while (the rolling reserve of a seller)."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.HOLD_RESERVE,
        heading,
        (Side.DEBIT, chart.seller(book, seller, "available", currency), amount),
        (Side.CREDIT, chart.seller(book, seller, "reserved", currency), amount),
        seller=seller,
    )


def free_reserve(heading: Heading, *, seller: UUID, amount: int, debt: int) -> Movement:
    """Give back what was held; what the seller owes is netted first (`debt`, never above `amount`)."""
    assert 0 <= debt <= amount, "a reserve nets no more than it frees"
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.FREE_RESERVE,
        heading,
        (Side.DEBIT, chart.seller(book, seller, "reserved", currency), amount),
        (Side.CREDIT, chart.seller(book, seller, "debt", currency), debt),
        (Side.CREDIT, chart.seller(book, seller, "available", currency), amount - debt),
        seller=seller,
    )
