"""Recording: movements become transactions of the ledger, in one round trip; wallets open with the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from config import seam
from ledger import accounts, posting
from ledger.models import PostingMode
from ledger.posting import Journal, Leg, Posted
from wallet import chart
from wallet.models import Wallet
from wallet.movements.heading import Movement


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


def _open_wallets(movements: Sequence[Movement]) -> None:
    """Give each seller a wallet and all its accounts with the first movement in a currency."""
    owners = {
        (spec.book_id, movement.seller, spec.currency)
        for movement in movements
        if movement.seller is not None
        for _, spec, _ in movement.lines
        if spec.mode == PostingMode.AUTHORIZING
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
