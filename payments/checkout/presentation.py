"""What a buyer is shown of a payment: which face of the page, in which words. No request, no query, no money moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ledger.ids import public_id
from ledger.money import format_minor
from payments import representations
from payments.models import Charge, PaymentEvent, PaymentOrder

Status = PaymentEvent.Status
FINAL: Final = (Status.SUCCEEDED, Status.PARTIALLY_SUCCEEDED, Status.CANCELLED, Status.EXPIRED)
# What may be unpaid: orders charged one by one are paid in turn, so a part can be paid and the rest still open.
PAYABLE: Final = (Status.REQUIRES_PAYMENT_METHOD, Status.FAILED, Status.PARTIALLY_SUCCEEDED)
_UNTRIED: Final = (PaymentOrder.Status.NOT_STARTED, PaymentOrder.Status.FAILED)
_OPEN: Final = (Charge.Status.NEW, Charge.Status.REGISTERED, Charge.Status.FAILED)


@dataclass(frozen=True, slots=True)
class Line:
    """One order as the buyer sees it."""

    description: str
    seller: str
    amount: str
    note: str


@dataclass(frozen=True, slots=True)
class Face:
    """Heading, sentence and tone of the page in one status. `waits`: it comes back by itself until that changes."""

    tone: str
    heading: str
    sentence: str
    waits: bool = False


REST: Final = Face("part", "A part of your order is paid", "The rest is paid in the same way. You are not done yet.")
FOLLOWED: Final = Face("wait", "Waiting for the result", "The shop has not heard of a payment yet.", waits=True)
FACES: Final[dict[str, Face]] = {
    Status.REQUIRES_PAYMENT_METHOD: Face("open", "Your order", "Check your order, then pay on the next page."),
    Status.PROCESSING: Face(
        "wait", "Your payment is on its way", "This takes a moment. The page updates by itself.", waits=True
    ),
    Status.REQUIRES_ACTION: Face(
        "act", "Your bank asks you to confirm", "Confirm the payment with your bank, then come back here.", waits=True
    ),
    Status.REQUIRES_CAPTURE: Face(
        "good", "Your payment is authorised", "The amount is reserved. It is taken when your order is sent."
    ),
    Status.SUCCEEDED: Face("good", "Thank you, your payment is complete", "The shop has been told. You are done."),
    Status.PARTIALLY_SUCCEEDED: Face(
        "part", "A part of your order is paid", "What could not be paid is marked below. You were not charged for it."
    ),
    Status.FAILED: Face(
        "bad", "The payment did not work", "You were not charged. You can try again, with another method too."
    ),
    Status.CANCELLED: Face("closed", "This order was cancelled", "You were not charged."),
    Status.EXPIRED: Face("closed", "The time for paying is over", "You were not charged. Start again in the shop."),
}

_NOTES: Final = {
    PaymentOrder.Status.SUCCESS: "paid",
    PaymentOrder.Status.AUTHORIZED: "reserved",
    PaymentOrder.Status.FAILED: "not paid",
    PaymentOrder.Status.CANCELLED: "cancelled",
    PaymentOrder.Status.EXPIRED: "expired",
}


def lines_of(orders: Sequence[PaymentOrder]) -> list[Line]:
    """Return the orders of a payment as lines; sellers must be loaded."""
    return [
        Line(
            description=order.description or order.reference or f"Order {order.position + 1}",
            seller=order.seller.name,
            amount=f"{format_minor(order.amount_minor, order.currency_id)} {order.currency_id}",
            note=_NOTES.get(PaymentOrder.Status(order.status), ""),
        )
        for order in orders
    ]


def unpaid_of(event: PaymentEvent, orders: Sequence[PaymentOrder]) -> list[PaymentOrder]:
    """Return the orders that the buyer can pay now; their charges must be loaded."""
    if event.status not in PAYABLE:
        return []
    return [
        order
        for order in orders
        if order.status in _UNTRIED and order.charge.status in _OPEN and not order.charge.cancel_reason
    ]


def failure_of(orders: Sequence[PaymentOrder]) -> str:
    """Return the first reason, in words for the buyer, why an order could not be paid."""
    messages = (str(order.failure.get("message", "")) for order in orders if order.failure)
    return next((message for message in messages if message), "")


def way_back(event: PaymentEvent) -> str:
    """Return the shop's address with the payment's id and result added to its query; empty when it gave none."""
    if not event.return_url:
        return ""
    parts = urlsplit(event.return_url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    query += [
        ("payment", public_id("pay", event.public_id)),
        ("checkout_id", event.checkout_id),
        ("result", representations.RESULT[event.status]),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))
