"""Movements: the verbs of money. Only this module knows debit and credit.

docs/reference/movements.md lists the legs of each verb.

Each verb builds a `Movement`; `record` posts any number of them in one round trip. References make every verb
idempotent: recording the same movement again writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from config import seam
from ledger import accounts, posting
from ledger.accounts import AccountSpec
from ledger.models import Side, TransactionKind
from ledger.posting import Journal, Leg, Posted
from wallet import chart
from wallet.models import Wallet

Line = tuple[Side, AccountSpec, int]


@dataclass(frozen=True, slots=True)
class Movement:
    """One verb, ready to be recorded. Amounts in minor units; lines of zero are left out."""

    kind: TransactionKind
    reference: str
    lines: tuple[Line, ...]
    effective_at: datetime
    actor: str
    seller: UUID | None = None


def settle_charge(
    *,
    book_id: int,
    reference: str,
    psp_account: str,
    seller: UUID,
    currency: str,
    captured: int,
    fee: int,
    effective_at: datetime,
    actor: str,
) -> Movement:
    """Book the captured money of one order: the seller's share is pending, the platform fee is income."""
    book = book_id
    return _movement(
        TransactionKind.SETTLE_CHARGE,
        reference,
        (Side.DEBIT, chart.psp_clearing(book, psp_account, currency), captured),
        (Side.CREDIT, chart.seller(book, seller, "pending", currency), captured - fee),
        (Side.CREDIT, chart.platform_fees(book, currency), fee),
        effective_at=effective_at,
        actor=actor,
        seller=seller,
    )


def late_success(
    *,
    book_id: int,
    reference: str,
    psp_account: str,
    currency: str,
    amount: int,
    effective_at: datetime,
    actor: str,
) -> Movement:
    """Book money that arrived for a cancelled or expired order: it belongs to the buyer and is refunded."""
    return _movement(
        TransactionKind.LATE_SUCCESS,
        reference,
        (Side.DEBIT, chart.psp_clearing(book_id, psp_account, currency), amount),
        (Side.CREDIT, chart.refund_payable(book_id, currency), amount),
        effective_at=effective_at,
        actor=actor,
    )


def settle_refund(
    *,
    book_id: int,
    reference: str,
    psp_account: str,
    currency: str,
    amount: int,
    effective_at: datetime,
    actor: str,
) -> Movement:
    """Book a refund that the PSP has paid out."""
    return _movement(
        TransactionKind.SETTLE_REFUND,
        reference,
        (Side.DEBIT, chart.refund_payable(book_id, currency), amount),
        (Side.CREDIT, chart.psp_clearing(book_id, psp_account, currency), amount),
        effective_at=effective_at,
        actor=actor,
    )


def refund_returned(
    *,
    book_id: int,
    reference: str,
    psp_account: str,
    currency: str,
    amount: int,
    effective_at: datetime,
    actor: str,
) -> Movement:
    """Book a refund that failed after it was settled: the money is back and still owed to the buyer."""
    return _movement(
        TransactionKind.REFUND_RETURNED,
        reference,
        (Side.DEBIT, chart.psp_clearing(book_id, psp_account, currency), amount),
        (Side.CREDIT, chart.refund_payable(book_id, currency), amount),
        effective_at=effective_at,
        actor=actor,
    )


def record(movements: Sequence[Movement], *, now: datetime) -> list[Posted]:
    """Post movements, all or none, in the caller's database transaction; open accounts and wallets as needed.

    Idempotent by reference. Takes balance locks: call it last in the business transaction. Raises what
    `ledger.posting.post` raises.
    """
    if not movements:
        return []
    _open_wallets(movements)
    ids = accounts.resolve(spec for movement in movements for _, spec, _ in movement.lines)
    journals = [
        Journal(
            book_id=movement.lines[0][1].book_id,
            kind=movement.kind,
            reference=movement.reference,
            legs=tuple(
                Leg(ids[spec.book_id, spec.code], spec.currency, side, amount) for side, spec, amount in movement.lines
            ),
            effective_at=movement.effective_at,
            actor=movement.actor,
        )
        for movement in movements
    ]
    return posting.post(journals, now=now)


def _movement(
    kind: TransactionKind,
    reference: str,
    *lines: Line,
    effective_at: datetime,
    actor: str,
    seller: UUID | None = None,
) -> Movement:
    return Movement(kind, reference, tuple(line for line in lines if line[2] != 0), effective_at, actor, seller)


def _open_wallets(movements: Sequence[Movement]) -> None:
    """Give each seller a wallet and all its accounts with the first movement in a currency."""
    owners = {
        (movement.lines[0][1].book_id, movement.seller, movement.lines[0][1].currency)
        for movement in movements
        if movement.seller is not None
    }
    new = [
        owner
        for owner in sorted(owners, key=str)
        if not accounts.is_known(chart.seller(owner[0], owner[1], "available", owner[2]))
    ]
    if not new:
        return
    Wallet.objects.bulk_create(
        [
            Wallet(public_id=seam.new_uuid(), book_id=book_id, seller=seller, currency_id=currency)
            for book_id, seller, currency in new
        ],
        ignore_conflicts=True,
    )
    accounts.resolve(
        chart.seller(book_id, seller, part, currency)
        for book_id, seller, currency in new
        for part in chart.SELLER_PARTS
    )
