"""Disputes: a buyer's bank takes money back. It is held until the dispute is won or lost."""

from __future__ import annotations

from uuid import UUID

from ledger.models import Side, TransactionKind
from wallet import chart
from wallet.movements.heading import Heading, Movement, Share, movement


def open_dispute(heading: Heading, *, psp_account: str, seller: UUID, share: Share, amount: int, cost: int) -> Movement:
    """Hold what the PSP took (`amount`), pay its charge for the dispute (`cost`), and reserve the seller's share."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.OPEN_DISPUTE,
        heading,
        (Side.DEBIT, chart.dispute_held(book, psp_account, currency), amount),
        (Side.DEBIT, chart.dispute_fees(book, currency), cost),
        (Side.DEBIT, chart.seller(book, seller, "pending", currency), share.pending),
        (Side.DEBIT, chart.seller(book, seller, "available", currency), share.available),
        (Side.DEBIT, chart.seller(book, seller, "debt", currency), share.debt),
        (Side.CREDIT, chart.psp_clearing(book, psp_account, currency), amount + cost),
        (Side.CREDIT, chart.seller(book, seller, "reserved", currency), share.total),
        seller=seller,
    )


def win_dispute(heading: Heading, *, psp_account: str, seller: UUID, share: Share, amount: int, cost: int) -> Movement:
    """Take the money back from the PSP, with its charge where it returns that, and give the seller its share again."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.WIN_DISPUTE,
        heading,
        (Side.DEBIT, chart.psp_clearing(book, psp_account, currency), amount + cost),
        (Side.DEBIT, chart.seller(book, seller, "reserved", currency), share.total),
        (Side.CREDIT, chart.dispute_held(book, psp_account, currency), amount),
        (Side.CREDIT, chart.dispute_fees(book, currency), cost),
        (Side.CREDIT, chart.seller(book, seller, "pending", currency), share.pending),
        (Side.CREDIT, chart.seller(book, seller, "available", currency), share.available),
        (Side.CREDIT, chart.seller(book, seller, "debt", currency), share.debt),
        seller=seller,
    )


def regain_dispute(
    heading: Heading, *, psp_account: str, seller: UUID, share: Share, fee: int, loss: int, cost: int
) -> Movement:
    """Take money back that was given up: the bank changed its mind after the dispute was lost.

    The seller has its `share` again (by the accounts that it goes to), the platform `fee` of its income and its `loss`.
    """
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.REGAIN_DISPUTE,
        heading,
        (Side.DEBIT, chart.psp_clearing(book, psp_account, currency), share.total + fee + loss + cost),
        (Side.CREDIT, chart.dispute_fees(book, currency), cost),
        (Side.CREDIT, chart.seller(book, seller, "pending", currency), share.pending),
        (Side.CREDIT, chart.seller(book, seller, "available", currency), share.available),
        (Side.CREDIT, chart.seller(book, seller, "debt", currency), share.debt),
        (Side.CREDIT, chart.platform_fees(book, currency), fee),
        (Side.CREDIT, chart.chargeback_loss(book, currency), loss),
        seller=seller,
    )


def lose_dispute(heading: Heading, *, psp_account: str, seller: UUID, reserved: int, fee: int, loss: int) -> Movement:
    """Give the money up: the seller's `reserved` share, `fee` of the platform's income, the rest as our loss."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.LOSE_DISPUTE,
        heading,
        (Side.DEBIT, chart.seller(book, seller, "reserved", currency), reserved),
        (Side.DEBIT, chart.platform_fees(book, currency), fee),
        (Side.DEBIT, chart.chargeback_loss(book, currency), loss),
        (Side.CREDIT, chart.dispute_held(book, psp_account, currency), reserved + fee + loss),
        seller=seller,
    )
