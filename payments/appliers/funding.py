"""Funding: which waiting payouts are taken up with the money that a PSP proved to have.

Everything that may have changed since a payout was asked for is looked at again here, at the last moment before money
moves: the seller, the bank account, its cool-down, the stop of a book.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings

from payments.appliers import payouts
from payments.appliers.payout_batch import PayoutBatch
from payments.models import Payee, Payout, PayoutDestination, PspOperation, Seller
from payments.models.bulk import read_rows
from payments.payout_stops import payouts_stopped
from payments.psp.base import Failure

_K = PspOperation.Kind
DESTINATION_CHANGED = Failure(
    "destination_changed", "The seller's bank account was changed after the payout was asked for.", False
)


def allot(batch: PayoutBatch, available_minor: int, *, now: datetime, clock: datetime | None) -> None:
    """Decide about locked pending payouts of one PSP account and currency, oldest first, within `available_minor`.

    `clock` is the time of due rows. What fits gets its transfer; what does not fit waits for funding, and a later one
    that fits may pass it.
    """
    rest = available_minor
    again_at = (clock or now) + timedelta(seconds=settings.PAYOUT_FUNDING_RETRY_SECONDS)
    current = current_destinations(batch.payouts.values())
    stopped = {book_id for book_id in {row.book_id for row in batch.payouts.values()} if payouts_stopped(book_id)}
    for key in sorted(batch.payouts):
        payout = batch.payouts[key]
        if payout.status != Payout.Status.PENDING or payout.due_at is None:
            continue
        found = current.get((payout.seller_id, payout.currency_id))
        if found != payout.destination_id:
            destination_changed(batch, payout)
        elif reason := "stopped" if payout.book_id in stopped else why_not(payout, rest, now=now):
            payout.waiting_for, payout.due_at = reason, again_at
            batch.touch(payout)
        else:
            rest -= payout.amount_minor
            _take_up(batch, payout)


def why_not(payout: Payout, rest: int, *, now: datetime) -> str:
    """Return what a pending payout has to wait for, when `rest` is what is there; nothing when it may go."""
    seller: Seller = payout.seller
    if seller.kyc_status != Seller.Kyc.VERIFIED or seller.closed_at is not None:
        return "seller"
    if payout.destination.usable_at > now:
        return "cool_down"
    return "funding" if payout.amount_minor > rest else ""


def _take_up(batch: PayoutBatch, payout: Payout) -> None:
    """Decide the transfer of a payout, and before it the payee when the PSP does not know the bank account."""
    payout.due_at, payout.waiting_for = None, ""
    batch.touch(payout)
    payee = batch.payee_of(payout)
    if payee is None:
        payee = Payee.objects.create(destination_id=payout.destination_id, psp_account_id=payout.psp.pk)
        batch.payees[payout.destination_id, payout.psp.pk] = payee
        batch.operation(payout, _K.CREATE_PAYEE)
    batch.operation(payout, _K.TRANSFER, due=bool(payee.psp_id))


def destination_changed(batch: PayoutBatch, payout: Payout) -> None:
    """An approval was for another bank account: it is void. Without one the payout ends, and its money is available."""
    if payout.approved_by is None:
        payouts.cancel(batch, payout, DESTINATION_CHANGED)
        return
    payout.void_approval()
    payout.waiting_for, payout.due_at = "", None
    batch.publish(payout)


def current_destinations(rows: Iterable[Payout]) -> dict[tuple[int, str], int]:
    """Return the bank account that each seller of payouts is paid to now, by seller and currency."""
    sellers = {payout.seller_id for payout in rows}
    found = read_rows(PayoutDestination, "seller_id", sellers, where="t.superseded_at IS NULL")
    return {(row.seller_id, row.currency_id): row.pk for row in found}
