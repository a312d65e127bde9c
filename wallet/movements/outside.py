"""What statements prove: what PSPs and banks took, what arrived at our bank, and money that nobody can name.

An amount below zero is the same thing the other way round: a fee that is given back, a payout that returns.
"""

from __future__ import annotations

from ledger.accounts import AccountSpec
from ledger.models import Side, TransactionKind
from wallet import chart
from wallet.movements.heading import Heading, Line, Movement, movement


def psp_fee(heading: Heading, *, psp_account: str, amount: int) -> Movement:
    """Book what a PSP took for its services."""
    book, currency = heading.book_id, heading.currency
    costs, clearing = chart.psp_fees(book, currency), chart.psp_clearing(book, psp_account, currency)
    return movement(TransactionKind.PSP_FEE, heading, *_from_to(clearing, costs, amount))


def psp_rounding(heading: Heading, *, psp_account: str, amount: int) -> Movement:
    """Book that a PSP has a little more (or less) than we counted, by rounding."""
    book, currency = heading.book_id, heading.currency
    clearing, rounding = chart.psp_clearing(book, psp_account, currency), chart.rounding(book, currency)
    return movement(TransactionKind.PSP_ROUNDING, heading, *_from_to(rounding, clearing, amount))


def psp_payout(heading: Heading, *, psp_account: str, amount: int) -> Movement:
    """Book that a PSP paid our balance out: it is on its way to our bank."""
    book, currency = heading.book_id, heading.currency
    clearing, way = chart.psp_clearing(book, psp_account, currency), chart.bank_in_transit(book, currency)
    return movement(TransactionKind.PSP_PAYOUT, heading, *_from_to(clearing, way, amount))


def bank_credit(heading: Heading, *, bank: str, amount: int) -> Movement:
    """Book that a PSP's payout arrived at our bank."""
    book, currency = heading.book_id, heading.currency
    way, account = chart.bank_in_transit(book, currency), chart.bank(book, bank, currency)
    return movement(TransactionKind.BANK_CREDIT, heading, *_from_to(way, account, amount))


def bank_charge(heading: Heading, *, bank: str, amount: int) -> Movement:
    """Book what a bank charged for its services, or, below zero, paid as interest."""
    book, currency = heading.book_id, heading.currency
    account, costs = chart.bank(book, bank, currency), chart.bank_charges(book, currency)
    return movement(TransactionKind.BANK_CHARGE, heading, *_from_to(account, costs, amount))


def suspend(heading: Heading, *, place: str, amount: int) -> Movement:
    """Book money that came to a place of ours (`psp:{account}:clearing`, `bank:{name}`), and that nobody can name yet.

    What went away without a name (an amount below zero) is kept apart from what came: the two never cancel out.
    """
    return movement(TransactionKind.SUSPEND, heading, *_suspense(heading, place, amount))


def identify(heading: Heading, *, place: str, amount: int) -> Movement:
    """Take back what `suspend` booked with the same amount: it was found out what it is, and that is booked itself."""
    turned = [(_OTHER[side], spec, value) for side, spec, value in _suspense(heading, place, amount)]
    return movement(TransactionKind.IDENTIFY, heading, *turned)


_OTHER = {Side.DEBIT: Side.CREDIT, Side.CREDIT: Side.DEBIT}


def _suspense(heading: Heading, place: str, amount: int) -> list[Line]:
    book, currency = heading.book_id, heading.currency
    ours = chart.place(book, place, currency)
    if amount > 0:
        return _from_to(chart.suspense_credit(book, currency), ours, amount)
    return _from_to(ours, chart.suspense_debit(book, currency), -amount)


def _from_to(source: AccountSpec, target: AccountSpec, amount: int) -> list[Line]:
    """Return the lines that credit one account and debit another; turned round for an amount below zero."""
    debit, credit = (target, source) if amount > 0 else (source, target)
    return [(Side.DEBIT, debit, abs(amount)), (Side.CREDIT, credit, abs(amount))]
