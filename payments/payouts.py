"""Payouts: asked for, approved, cancelled. The money is set aside and explained in the transaction of the request.

Nothing is sent here: a pending payout is a due row, and `payout_settlement` takes it up when the PSP proved to have the
money; one that the merchant's bank pays waits for the next file (`bank_files`). Every refusal comes before anything is
written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, connection, transaction

from config import seam
from ledger import accounts
from ledger.ids import public_id
from ledger.money import Money, format_minor
from payments import doorbell, outbox, payout_settlement, payout_ways
from payments.appliers.payout_batch import fact_of
from payments.errors import Conflict, InvalidState, NotFound, Unprocessable
from payments.models import MerchantBook, Payout, PayoutDestination, Seller
from payments.models.bulk import read_rows
from payments.payout_stops import payouts_stopped
from payments.payout_ways import Way
from wallet import chart, holdings, movements
from wallet.movements import Heading


@dataclass(frozen=True, slots=True)
class PayoutRequest:
    """A payout that somebody asks for. `amount_minor` is `None` for everything that is available."""

    seller_id: int
    currency: str
    amount_minor: int | None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A payout that is due by a schedule: its seller is locked and may be paid, its money is there."""

    seller: Seller
    destination: PayoutDestination
    amount_minor: int

    @property
    def currency(self) -> str:
        """Return the currency of the destination."""
        return self.destination.currency_id


def request_due(book_id: int, due: Sequence[Due], *, actor: str, reference: str | None, now: datetime) -> list[Payout]:
    """Set the money of many payouts aside, in the caller's transaction and a fixed number of statements.

    The caller has locked sellers and wallets, and has checked what `request` checks. A `reference` names the run: each
    payout's own is made of it, so that no run can make one twice.
    """
    if not due:
        return []
    settings_ = MerchantBook.objects.select_related("default_psp_account").get(book_id=book_id)
    ways = {currency: payout_ways.of_book(settings_, currency) for currency in {one.currency for one in due}}
    made = [
        _built(
            PayoutRequest(
                one.seller.pk,
                one.currency,
                one.amount_minor,
                reference and f"{reference}-{public_id('sel', one.seller.public_id)}-{one.currency}",
            ),
            one.amount_minor,
            settings_=settings_,
            way=ways[one.currency],
            seller=one.seller,
            destination=one.destination,
            actor=actor,
            now=now,
        )
        for one in due
    ]
    Payout.objects.bulk_create(made)
    _set_aside(made, now=now)
    return made


def request(book_id: int, wanted: PayoutRequest, *, actor: str, now: datetime) -> Payout:
    """Set the money of a payout aside, say what it pays, and make it due (or let it wait for an approval).

    Locks the seller (shared) and its wallet. Raises `NotFound` for a seller of another book, `Unprocessable` or
    `Conflict` with the reason; nothing is written then.
    """
    with transaction.atomic():
        if payouts_stopped(book_id):
            raise Conflict("payouts_stopped", "this book pays nothing out until a person has looked at it")
        settings_ = MerchantBook.objects.select_related("default_psp_account").get(book_id=book_id)
        seller = _seller(book_id, wanted.seller_id)
        way = payout_ways.of_book(settings_, wanted.currency)
        destination = _destination(seller, wanted.currency, now=now)
        way.require(destination)
        _check_minimum(seller, wanted)
        owner = (book_id, seller.public_id, wanted.currency)
        available = holdings.lock([owner])[owner].available
        amount = available if wanted.amount_minor is None else wanted.amount_minor
        if amount <= 0 or amount > available:
            raise Unprocessable(
                "insufficient_available_balance",
                f"{format_minor(available, wanted.currency)} {wanted.currency} is available",
                field="amount",
            )
        _check_least(seller, amount, wanted.currency)
        payout = _new(
            wanted, amount, settings_=settings_, way=way, seller=seller, destination=destination, actor=actor, now=now
        )
        _set_aside([payout], now=now)
    return payout


def _seller(book_id: int, seller_id: int) -> Seller:
    found = read_rows(Seller, "id", [seller_id], share=True)
    if not found or found[0].book_id != book_id:
        raise NotFound("not_found", "there is no such object")
    (seller,) = found
    if seller.closed_at is not None:
        raise InvalidState("seller_closed", "the seller is closed")
    if seller.kyc_status != Seller.Kyc.VERIFIED:
        raise Unprocessable("seller_not_verified", f"the seller is {seller.kyc_status}", field="seller")
    return seller


def _destination(seller: Seller, currency: str, *, now: datetime) -> PayoutDestination:
    found = PayoutDestination.objects.filter(seller=seller, superseded_at__isnull=True).order_by("pk")
    by_currency = {row.currency_id: row for row in found}
    if not by_currency:
        raise Unprocessable("payout_destination_missing", "the seller has no bank account", field="seller")
    destination = by_currency.get(currency)
    if destination is None:
        held = ", ".join(sorted(by_currency))
        raise Unprocessable("payout_currency_mismatch", f"the seller's bank accounts take {held}", field="currency")
    if destination.usable_at > now:
        raise Unprocessable(
            "payout_destination_cooling_down", f"the bank account may be paid from {destination.usable_at:%FT%TZ}"
        )
    return destination


def _check_minimum(seller: Seller, wanted: PayoutRequest) -> None:
    if wanted.amount_minor is not None:
        _check_least(seller, wanted.amount_minor, wanted.currency)


def _check_least(seller: Seller, amount_minor: int, currency: str) -> None:
    least = minimum_minor(seller, currency)
    if amount_minor < least:
        raise Unprocessable(
            "payout_below_minimum", f"the least is {format_minor(least, currency)} {currency}", field="amount"
        )


def minimum_minor(seller: Seller, currency: str) -> int:
    """Return the least that a seller is paid in a currency; its minimum is in its default currency only."""
    text = seller.payout_schedule.get("minimum")
    if not text or currency != seller.default_currency_id or not float(text):
        return 0
    return Money.parse(str(text), currency).minor


def _new(
    wanted: PayoutRequest,
    amount: int,
    *,
    settings_: MerchantBook,
    way: Way,
    seller: Seller,
    destination: PayoutDestination,
    actor: str,
    now: datetime,
) -> Payout:
    payout = _built(
        wanted, amount, settings_=settings_, way=way, seller=seller, destination=destination, actor=actor, now=now
    )
    try:
        with transaction.atomic():
            payout.save(force_insert=True)
    except IntegrityError as error:
        if "payout_reference_is_unique_in_its_book" in str(error):
            raise Conflict("payout_reference_exists", "a payout has this reference", field="reference") from None
        raise
    return payout


def _built(
    wanted: PayoutRequest,
    amount: int,
    *,
    settings_: MerchantBook,
    way: Way,
    seller: Seller,
    destination: PayoutDestination,
    actor: str,
    now: datetime,
) -> Payout:
    above = settings_.payout_approval_above.get(wanted.currency)
    needs_approval = above is not None and amount > int(above)
    return Payout(
        public_id=seam.new_uuid(),
        book_id=seller.book_id,
        seller=seller,
        destination=destination,
        psp_account=way.psp_account,
        bank_account=way.bank_account,
        status=Payout.Status.REQUIRES_APPROVAL if needs_approval else Payout.Status.PENDING,
        currency_id=wanted.currency,
        amount_minor=amount,
        reference=wanted.reference,
        requested_by=actor,
        version=1,
        waiting_for="" if needs_approval else way.waiting_for,
        created_at=now,
        updated_at=now,
        due_at=None if needs_approval or way.bank_account is not None else now,
    )


def _set_aside(payouts: list[Payout], *, now: datetime) -> None:
    """Reserve the money of new payouts, write what they pay, and tell of them. Their wallets are locked."""
    outbox.publish([fact_of(payout) for payout in payouts], now=now)
    movements.record([_reservation(payout, now=now) for payout in payouts], now=now)
    specs = [chart.seller(p.book_id, p.seller.public_id, "available", p.currency_id) for p in payouts]
    ids = accounts.resolve(specs)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT payments_allocate_payouts(%s::bigint[], %s::text[], %s::bigint[])",
            [
                [payout.pk for payout in payouts],
                [f"reserve_payout:{public_id('pyo', payout.public_id)}" for payout in payouts],
                [ids[spec.book_id, spec.code] for spec in specs],
            ],
        )
    doorbell.ring("psp")


def _reservation(payout: Payout, *, now: datetime) -> movements.Movement:
    heading = Heading(payout.book_id, public_id("pyo", payout.public_id), payout.currency_id, now, payout.requested_by)
    return movements.reserve_payout(heading, seller=payout.seller.public_id, amount=payout.amount_minor)


def approve(payout_id: int, *, actor: str, now: datetime) -> Payout:
    """Agree to a payout that somebody else asked for; it is sent to the seller's bank account as it is now.

    Locks the payout. Raises `NotFound`, `InvalidState` when it waits for no approval, or `Conflict` for who asked.
    """
    with transaction.atomic():
        payout = _locked(payout_id)
        if payout.status != Payout.Status.REQUIRES_APPROVAL:
            raise InvalidState("invalid_state", f"the payout is {payout.status}")
        if actor == payout.requested_by:
            raise Conflict("maker_is_not_checker", "somebody else has to approve this payout")
        way = Way(payout.psp_account, payout.bank_account)
        payout.destination = _destination(payout.seller, payout.currency_id, now=now)
        way.require(payout.destination)
        payout.approve()
        payout.approved_by, payout.updated_at, payout.waiting_for = actor, now, way.waiting_for
        payout.due_at = None if way.bank_account is not None else now
        payout.version += 1
        payout.save(
            update_fields=["status", "destination", "approved_by", "due_at", "updated_at", "version", "waiting_for"]
        )
        outbox.publish([fact_of(payout)], now=now)
        doorbell.ring("psp")
    return payout


def cancel(payout_id: int, *, now: datetime) -> Payout:
    """Give the wallet back the money of a payout of which nothing was sent, or ask the PSP to stop the payout.

    One that the PSP has stays `sent` until the PSP answers: then it fails and comes back, or goes on. Locks the payout;
    raises `InvalidState` when it is too late for both.
    """
    with transaction.atomic():
        payout = payout_settlement.cancel(payout_id, now=now)
        if payout is None:
            raise InvalidState("payout_not_cancellable", "the payout is on its way, or has ended")
        doorbell.ring("psp")
    return payout


def _locked(payout_id: int) -> Payout:
    found = Payout.objects.select_for_update(no_key=True, of=("self",)).filter(pk=payout_id)
    payout = found.select_related("seller", "destination", "psp_account", "bank_account").first()
    if payout is None:
        raise NotFound("not_found", "There is no such payout.")
    return payout
