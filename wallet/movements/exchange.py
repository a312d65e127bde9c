"""Exchange: money of one currency becomes money of another, in two balanced halves that meet in `fx:clearing`."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from ledger.models import Side, TransactionKind
from wallet import chart
from wallet.movements.heading import Heading, Line, Movement, Share, movement


def convert(
    heading: Heading, *, seller: UUID, amount: int, to_currency: str, share: Share, margin: int, rounding: int
) -> Movement:
    """Change `amount` of a seller's available money: in the other currency the seller gets `share`, we get `margin`.

    `rounding` is what the exact division left over: above zero ours, below zero our loss. All but `amount` are minor
    units of `to_currency`.
    """
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.CONVERT,
        heading,
        (Side.DEBIT, chart.seller(book, seller, "available", currency), amount),
        (Side.CREDIT, chart.fx_clearing(book, currency), amount),
        (Side.DEBIT, chart.fx_clearing(book, to_currency), share.available + share.debt + margin + rounding),
        (Side.CREDIT, chart.seller(book, seller, "debt", to_currency), share.debt),
        (Side.CREDIT, chart.seller(book, seller, "available", to_currency), share.available),
        (Side.CREDIT, chart.fx_fees(book, to_currency), margin),
        _rounding(book, to_currency, rounding),
        seller=seller,
    )


def reconvert(
    heading: Heading, *, seller: UUID, amount: int, to_currency: str, share: Share, margin: int, rounding: int
) -> Movement:
    """Change again what was changed back: its refund failed, or its dispute was won. The words are `convert`'s."""
    again = convert(
        heading, seller=seller, amount=amount, to_currency=to_currency, share=share, margin=margin, rounding=rounding
    )
    return replace(again, kind=TransactionKind.RECONVERT, reference=f"{TransactionKind.RECONVERT}:{heading.subject}")


def unconvert(
    heading: Heading, *, seller: UUID, amount: int, to_currency: str, share: Share, margin: int, rounding: int
) -> Movement:
    """Undo a part of a conversion: the seller has `amount` again and gives `share` of the other currency for it.

    The platform gives `margin` of what it took. The words mean what they mean in `convert`; the sides are turned.
    """
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.UNCONVERT,
        heading,
        (Side.DEBIT, chart.seller(book, seller, "available", to_currency), share.available),
        (Side.DEBIT, chart.seller(book, seller, "debt", to_currency), share.debt),
        (Side.DEBIT, chart.fx_fees(book, to_currency), margin),
        _rounding(book, to_currency, -rounding),
        (Side.CREDIT, chart.fx_clearing(book, to_currency), share.available + share.debt + margin + rounding),
        (Side.DEBIT, chart.fx_clearing(book, currency), amount),
        (Side.CREDIT, chart.seller(book, seller, "available", currency), amount),
        seller=seller,
    )


def psp_convert(heading: Heading, *, psp_account: str, amount: int, to_currency: str, bought: int) -> Movement:
    """Book that a PSP changed `amount` of our money there into `bought` of another currency."""
    book, currency = heading.book_id, heading.currency
    return movement(
        TransactionKind.PSP_CONVERT,
        heading,
        (Side.DEBIT, chart.fx_clearing(book, currency), amount),
        (Side.CREDIT, chart.psp_clearing(book, psp_account, currency), amount),
        (Side.DEBIT, chart.psp_clearing(book, psp_account, to_currency), bought),
        (Side.CREDIT, chart.fx_clearing(book, to_currency), bought),
    )


def realise_fx(heading: Heading, *, gain: int) -> Movement:
    """Take what is left in `fx:clearing` as gain, or as loss where `gain` is below zero."""
    book, currency = heading.book_id, heading.currency
    won = gain > 0
    return movement(
        TransactionKind.REALISE_FX,
        heading,
        (Side.DEBIT, chart.fx_clearing(book, currency) if won else chart.fx_gain_loss(book, currency), abs(gain)),
        (Side.CREDIT, chart.fx_gain_loss(book, currency) if won else chart.fx_clearing(book, currency), abs(gain)),
    )


def _rounding(book_id: int, currency: str, gain: int) -> Line:
    return (Side.CREDIT if gain > 0 else Side.DEBIT, chart.rounding(book_id, currency), abs(gain))
