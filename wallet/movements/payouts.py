"""Payouts: a seller's available money leaves, through the PSP or through our bank, and sometimes comes back."""

from __future__ import annotations

from uuid import UUID

from ledger.models import Side, TransactionKind
from wallet import chart
from wallet.movements.heading import Heading, Movement, movement


def reserve_payout(heading: Heading, *, seller: UUID, amount: int) -> Movement:
    """Set the money of a payout aside before anything is sent."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.RESERVE_PAYOUT,
        heading,
        (Side.DEBIT, chart.seller(book, seller, "available", currency), amount),
        (Side.CREDIT, chart.seller(book, seller, "in_transit", currency), amount),
        seller=seller,
    )


def cancel_payout(heading: Heading, *, seller: UUID, amount: int) -> Movement:
    """Give the money of a payout back that provably never left."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.CANCEL_PAYOUT,
        heading,
        (Side.DEBIT, chart.seller(book, seller, "in_transit", currency), amount),
        (Side.CREDIT, chart.seller(book, seller, "available", currency), amount),
        seller=seller,
    )


def fund_payout(heading: Heading, *, psp_account: str, amount: int) -> Movement:
    """Book the transfer to the seller's connected account at the PSP."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.FUND_PAYOUT,
        heading,
        (Side.DEBIT, chart.psp_connected(book, psp_account, currency), amount),
        (Side.CREDIT, chart.psp_clearing(book, psp_account, currency), amount),
    )


def pay_out(heading: Heading, *, psp_account: str, seller: UUID, amount: int) -> Movement:
    """Book that the PSP says paid: the money left the connected account for the seller's bank."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.PAY_OUT,
        heading,
        (Side.DEBIT, chart.seller(book, seller, "in_transit", currency), amount),
        (Side.CREDIT, chart.psp_connected(book, psp_account, currency), amount),
        seller=seller,
    )


def unpay_payout(heading: Heading, *, psp_account: str, seller: UUID, amount: int) -> Movement:
    """Book that a paid payout failed: the money is on the connected account again, not in the wallet."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.UNPAY_PAYOUT,
        heading,
        (Side.DEBIT, chart.psp_connected(book, psp_account, currency), amount),
        (Side.CREDIT, chart.seller(book, seller, "in_transit", currency), amount),
        seller=seller,
    )


def return_payout(heading: Heading, *, psp_account: str, seller: UUID, amount: int) -> Movement:
    """Book that the transfer was reversed: the money is really back, and the wallet has it again."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.RETURN_PAYOUT,
        heading,
        (Side.DEBIT, chart.psp_clearing(book, psp_account, currency), amount),
        (Side.DEBIT, chart.seller(book, seller, "in_transit", currency), amount),
        (Side.CREDIT, chart.psp_connected(book, psp_account, currency), amount),
        (Side.CREDIT, chart.seller(book, seller, "available", currency), amount),
        seller=seller,
    )


def bank_payout(heading: Heading, *, bank: str, seller: UUID, amount: int) -> Movement:
    """Book a credit transfer that our bank has executed."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.BANK_PAYOUT,
        heading,
        (Side.DEBIT, chart.seller(book, seller, "in_transit", currency), amount),
        (Side.CREDIT, chart.bank(book, bank, currency), amount),
        seller=seller,
    )


def return_bank_payout(heading: Heading, *, bank: str, seller: UUID, amount: int) -> Movement:
    """Book a credit transfer that came back to our bank: the wallet has the money again."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.RETURN_BANK_PAYOUT,
        heading,
        (Side.DEBIT, chart.bank(book, bank, currency), amount),
        (Side.CREDIT, chart.seller(book, seller, "available", currency), amount),
        seller=seller,
    )
