"""The parameters of a Checkout Session: what the buyer sees on Stripe's own page, and what it leads to.

Its metadata goes on the session and on the intent that Stripe makes when the buyer pays, so both can be found
again.
"""

from typing import TYPE_CHECKING, Final

from payments.psp.base import HostedRequest, OrderLine
from payments.psp.stripe.currencies import to_stripe
from payments.psp.stripe.methods import allowed_types, reusable_types

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams, SessionCreateParamsLineItem

MAX_LINES: Final = 100
MAX_NAME_LENGTH: Final = 250


def hosted_session_params(
    request: HostedRequest, metadata: dict[str, str], operation_id: str
) -> "SessionCreateParams | None":
    """Return the parameters, or `None` if Stripe cannot express an amount."""
    params: SessionCreateParams = {
        "success_url": request.return_url,
        "cancel_url": request.cancel_url,
        "client_reference_id": operation_id,
        "metadata": metadata,
    }
    if request.expires_at is not None:
        params["expires_at"] = int(request.expires_at.timestamp())
    if request.saves_method:
        params["mode"] = "setup"
        params["currency"] = request.currency.lower()
        params["customer_creation"] = "always"  # a method is charged again only through its customer
        params["setup_intent_data"] = {"metadata": metadata}
        params["allowed_payment_method_types"] = [*reusable_types(request.method_types)]
        return params
    items = _line_items(request)
    if items is None:
        return None
    params["mode"] = "payment"
    params["line_items"] = items
    params["payment_intent_data"] = {
        "capture_method": "manual" if request.capture_later else "automatic",
        "metadata": metadata,
    }
    if types := allowed_types(request.method_types):
        params["allowed_payment_method_types"] = [*types]
    return params


def _line_items(request: HostedRequest) -> "list[SessionCreateParamsLineItem] | None":
    items: list[SessionCreateParamsLineItem] = []
    for line in _lines(request):
        amount = to_stripe(line.amount_minor, request.currency)
        if amount is None:
            return None
        name = line.description.strip()[:MAX_NAME_LENGTH] or "Order"
        items.append(
            {
                "quantity": 1,
                "price_data": {
                    "currency": request.currency.lower(),
                    "unit_amount": amount,
                    "product_data": {"name": name},
                },
            }
        )
    return items


def _lines(request: HostedRequest) -> tuple[OrderLine, ...]:
    """Return the lines to show: one of the whole amount if there are none, the tail in one if too many."""
    if not request.lines:
        return (OrderLine("Order", request.amount_minor),)
    assert sum(line.amount_minor for line in request.lines) == request.amount_minor, "lines must sum to the amount"
    if len(request.lines) <= MAX_LINES:
        return request.lines
    shown = request.lines[: MAX_LINES - 1]
    rest = request.amount_minor - sum(line.amount_minor for line in shown)
    return (*shown, OrderLine(f"{len(request.lines) - len(shown)} more", rest))
