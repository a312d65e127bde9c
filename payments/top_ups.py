"""Top-ups: a buyer pays in by a token or on the hosted page, and the money becomes stored value instead of a sale.

A payment as any other, with one order of the house seller that bears no fee and says whose stored value it is. What its
capture books is decided in `appliers/charges.py`. It is not refunded: the buyer may have spent it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from payments import buyers, intake
from payments.callers import Caller, SellerTerms
from payments.errors import Conflict, InvalidState
from payments.intake import Accepted, NewPayment
from payments.models import PaymentEvent, PaymentOrder


def house(caller: Caller) -> SellerTerms:
    """Return the seller that stands for the merchant, without fees. Raises `InvalidState` when stored value is off."""
    buyers.check_on(on=buyers.is_on(caller.book_id))
    if caller.house_seller is None:
        raise InvalidState("stored_value_not_possible", "This merchant has no house seller to pay in to.")
    return replace(caller.house_seller, basis_points=0, fixed={})


def accept(caller: Caller, payment: NewPayment, *, now: datetime) -> Accepted:
    """Take a top-up in, and mark its order before anybody can see it. Idempotent as `intake.accept`.

    Raises `Conflict` when the checkout id belongs to a payment that is not the same top-up.
    """
    with transaction.atomic():
        (accepted,) = intake.accept(caller, [payment], now=now)
        if accepted.outcome == "created":
            event = PaymentEvent.objects.get(book_id=caller.book_id, checkout_id=payment.checkout_id)
            buyer = buyers.receiver(event, on=True, now=now)
            PaymentOrder.objects.filter(event=event).update(top_up_of=buyer)
    if accepted.outcome == "exists":
        event = PaymentEvent.objects.get(book_id=caller.book_id, checkout_id=payment.checkout_id)
        same = bytes(event.fingerprint) == intake.content_fingerprint(payment)
        if not same or not PaymentOrder.objects.filter(event=event, top_up_of__isnull=False).exists():
            raise Conflict("checkout_id_conflict", "this checkout_id belongs to a payment with other content")
    return accepted
