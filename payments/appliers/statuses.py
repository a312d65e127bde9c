"""The status of a checkout, derived from its orders and charges by one fixed rule (docs/reference/statuses.md)."""

from __future__ import annotations

from collections.abc import Sequence

from payments.models import Charge, PaymentEvent, PaymentOrder

_O = PaymentOrder.Status
_E = PaymentEvent.Status

TERMINAL = frozenset({_E.SUCCEEDED, _E.PARTIALLY_SUCCEEDED, _E.CANCELLED, _E.EXPIRED})

# What a change to a status is published as; the others are not facts of their own.
FACT_TYPES = {
    _E.PROCESSING: "payment.processing",
    _E.REQUIRES_ACTION: "payment.requires_action",
    _E.SUCCEEDED: "payment.succeeded",
    _E.PARTIALLY_SUCCEEDED: "payment.partially_succeeded",
    _E.FAILED: "payment.failed",
    _E.CANCELLED: "payment.cancelled",
    _E.EXPIRED: "payment.expired",
}


def derive(orders: Sequence[PaymentOrder], charges: Sequence[Charge], *, saving_needs_action: bool) -> str:
    """Return the status of a checkout. The first rule that holds decides.

    An action asked of the buyer, then money under way, then money held; then, with nothing under way, what the orders
    ended in.
    """
    states = {order.status for order in orders}
    if saving_needs_action or any(charge.status == Charge.Status.REQUIRES_ACTION for charge in charges):
        return _E.REQUIRES_ACTION
    if _O.EXECUTING in states:
        return _E.PROCESSING
    if _O.AUTHORIZED in states:
        return _E.REQUIRES_CAPTURE
    if states == {_O.SUCCESS}:
        return _E.SUCCEEDED
    if _O.SUCCESS in states:
        return _E.PARTIALLY_SUCCEEDED
    if _O.NOT_STARTED in states:
        return _E.REQUIRES_PAYMENT_METHOD
    if _O.FAILED in states:
        return _E.FAILED
    return _E.EXPIRED if states == {_O.EXPIRED} else _E.CANCELLED
