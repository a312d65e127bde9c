"""Our notification address at Stripe (a webhook endpoint)."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from payments.psp.stripe.fields import text_or_empty
from payments.psp.stripe.wire import API_VERSION, Refusal, Wire

if TYPE_CHECKING:
    from stripe.params import WebhookEndpointCreateParams, WebhookEndpointListParams

MAX_ENDPOINTS: Final = 100


def register_webhook(wire: Wire, url: str) -> str:
    """Register `url` and return its signing secrets, which Stripe shows only now. Raises `ConnectionError`.

    Stripe wants two endpoints, for our own account and for connected ones, each with a secret of its own: they are
    returned as one text with a comma between. Endpoints that had the same address are removed afterwards: their secrets
    are no longer anyone's, and each would deliver every event once more. What they had not delivered yet is found by
    polling.
    """
    own, connected = _register(wire, _for_our_account(url)), _register(wire, _for_connected_accounts(url))
    _remove_others(wire, url, {own[0], connected[0]})
    return f"{own[1]},{connected[1]}"


def _for_our_account(url: str) -> "WebhookEndpointCreateParams":
    return {
        "url": url,
        "api_version": API_VERSION,
        "enabled_events": [
            "payment_intent.amount_capturable_updated",
            "payment_intent.canceled",
            "payment_intent.payment_failed",
            "payment_intent.processing",
            "payment_intent.requires_action",
            "payment_intent.succeeded",
            "checkout.session.async_payment_failed",
            "checkout.session.async_payment_succeeded",
            "checkout.session.completed",
            "checkout.session.expired",
            "setup_intent.canceled",
            "setup_intent.requires_action",
            "setup_intent.setup_failed",
            "setup_intent.succeeded",
            "charge.refunded",
            "charge.refund.updated",
            "charge.dispute.closed",
            "charge.dispute.created",
            "charge.dispute.funds_reinstated",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.updated",
            "refund.created",
            "refund.failed",
            "refund.updated",
        ],
    }


def _for_connected_accounts(url: str) -> "WebhookEndpointCreateParams":
    return {
        "url": url,
        "api_version": API_VERSION,
        "connect": True,
        "enabled_events": ["payout.canceled", "payout.failed", "payout.paid", "payout.updated"],
    }


def _register(wire: Wire, params: "WebhookEndpointCreateParams") -> tuple[str, str]:
    answer = wire.call("webhook_endpoints.create", lambda: wire.v1.webhook_endpoints.create(params))
    if isinstance(answer, Refusal):
        raise ConnectionError(f"the webhook was not registered: {answer.error.code}: {answer.error.message}")
    secret, own_id = text_or_empty(answer.body, "secret"), text_or_empty(answer.body, "id")
    if not secret:
        raise ConnectionError("the webhook was registered, but its secret was not told")
    return own_id, secret


def _remove_others(wire: Wire, url: str, own: set[str]) -> None:
    page: WebhookEndpointListParams = {"limit": MAX_ENDPOINTS}
    listed = wire.call("webhook_endpoints.list", lambda: wire.v1.webhook_endpoints.list(page))
    if isinstance(listed, Refusal):
        return
    data = listed.body.get("data")
    endpoints = [item for item in data if isinstance(item, Mapping)] if isinstance(data, list) else []
    for endpoint in endpoints:
        endpoint_id = text_or_empty(endpoint, "id")
        if endpoint_id and endpoint_id not in own and text_or_empty(endpoint, "url") == url:
            wire.call("webhook_endpoints.delete", partial(wire.v1.webhook_endpoints.delete, endpoint_id))
