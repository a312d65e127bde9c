"""Refunds: what is owed to a buyer, from whom it is taken, and how it leaves."""

from __future__ import annotations

from uuid import UUID

from ledger.models import Side, TransactionKind
from wallet import chart
from wallet.movements.heading import Heading, Movement, Share, movement


def request_refund(heading: Heading, *, seller: UUID, share: Share, fee: int) -> Movement:
    """Owe money to the buyer: the seller's `share` is taken now, the platform gives back `fee` of its own."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.REQUEST_REFUND,
        heading,
        (Side.DEBIT, chart.seller(book, seller, "pending", currency), share.pending),
        (Side.DEBIT, chart.seller(book, seller, "available", currency), share.available),
        (Side.DEBIT, chart.seller(book, seller, "debt", currency), share.debt),
        (Side.DEBIT, chart.platform_fees(book, currency), fee),
        (Side.CREDIT, chart.refund_payable(book, currency), share.total + fee),
        seller=seller,
    )


def cancel_refund(heading: Heading, *, seller: UUID, share: Share, fee: int) -> Movement:
    """Take a request back that the PSP never paid out: the seller and the platform have their parts again."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.CANCEL_REFUND,
        heading,
        (Side.DEBIT, chart.refund_payable(book, currency), share.total + fee),
        (Side.CREDIT, chart.seller(book, seller, "pending", currency), share.pending),
        (Side.CREDIT, chart.seller(book, seller, "available", currency), share.available),
        (Side.CREDIT, chart.seller(book, seller, "debt", currency), share.debt),
        (Side.CREDIT, chart.platform_fees(book, currency), fee),
        seller=seller,
    )


def settle_refund(heading: Heading, *, psp_account: str, amount: int) -> Movement:
    """Book a refund that the PSP has paid out."""
    return movement(
        TransactionKind.SETTLE_REFUND,
        heading,
        (Side.DEBIT, chart.refund_payable(heading.book_id, heading.currency), amount),
        (Side.CREDIT, chart.psp_clearing(heading.book_id, psp_account, heading.currency), amount),
    )


def refund_returned(heading: Heading, *, psp_account: str, amount: int) -> Movement:
    """Book a refund that failed after it was settled: the money is back and still owed to the buyer."""
    return movement(
        TransactionKind.REFUND_RETURNED,
        heading,
        (Side.DEBIT, chart.psp_clearing(heading.book_id, psp_account, heading.currency), amount),
        (Side.CREDIT, chart.refund_payable(heading.book_id, heading.currency), amount),
    )
