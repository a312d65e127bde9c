"""Finds payments and their parts in the caller's book, with what showing them needs, in few statements.

Every function starts from the book: an id of another merchant is as unknown as one that never existed.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from ledger.ids import parse_public_id
from payments import representations
from payments.errors import NotFound
from payments.models import Charge, PaymentEvent, PaymentOrder
from payments.representations import Object


def public_uuid(prefix: str, text: str) -> UUID:
    """Read an id of the API. Raises `NotFound` for anything that is not one: it cannot exist."""
    value = parse_public_id(prefix, text)
    if value is None:
        raise no_such_object()
    return value


def no_such_object() -> NotFound:
    """Return the one refusal for what does not exist and for what is another merchant's."""
    return NotFound("not_found", "there is no such object")


def payment(book_id: int, text: str) -> PaymentEvent:
    """Find a payment by its id (one statement). Raises `NotFound`."""
    found = PaymentEvent.objects.filter(book_id=book_id, public_id=public_uuid("pay", text)).first()
    if found is None:
        raise no_such_object()
    return found


def order(book_id: int, text: str) -> PaymentOrder:
    """Find an order by its id, with payment, charge and seller (one statement). Raises `NotFound`."""
    found = (
        PaymentOrder.objects.filter(book_id=book_id, public_id=public_uuid("ord", text))
        .select_related("event", "charge", "seller")
        .first()
    )
    if found is None:
        raise no_such_object()
    return found


def charge(book_id: int, text: str) -> Charge:
    """Find a charge by its id, with payment and PSP account (one statement). Raises `NotFound`."""
    found = (
        Charge.objects.filter(book_id=book_id, public_id=public_uuid("chg", text))
        .select_related("event", "psp_account")
        .first()
    )
    if found is None:
        raise no_such_object()
    return found


def orders_of(events: Sequence[PaymentEvent]) -> dict[int, list[PaymentOrder]]:
    """Return the orders of payments, by payment and in their order, with charges and sellers (one statement)."""
    found: dict[int, list[PaymentOrder]] = {event.pk: [] for event in events}
    # Uses index: order_position_is_unique_in_its_payment.
    rows = PaymentOrder.objects.filter(event_id__in=list(found)).select_related("charge", "seller")
    for row in rows.order_by("event_id", "position"):
        found[row.event_id].append(row)
    return found


def shown(events: Sequence[PaymentEvent]) -> list[Object]:
    """Show payments as they are now (one statement)."""
    orders = orders_of(events) if events else {}
    return [
        representations.payment(
            event,
            orders[event.pk],
            sellers={order.seller_id: order.seller.public_id for order in orders[event.pk]},
        )
        for event in events
    ]


def shown_order(row: PaymentOrder) -> Object:
    """Show an order that was found with payment, charge and seller."""
    return representations.payment_order(row, row.event, seller_public_id=row.seller.public_id)
