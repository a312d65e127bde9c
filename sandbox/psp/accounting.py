"""What a merchant may read about its money and its events: balance, balance transactions, events, webhook
endpoints.
"""

from typing import Any, Final

from .call import Call
from .errors import Json, ParameterError, missing, not_found
from .identifiers import new_id, random_text
from .ledger import balances, fresh
from .lists import PAGING, PAGING_WITHOUT_TIME, page

MAX_ENDPOINTS: Final = 16
URL_START: Final = ("http://", "https://")


def retrieve_balance(call: Call) -> Json:
    """`GET /v1/balance`."""
    call.params.only(frozenset(("expand",)))
    held = balances(call.store, call.scope, call.now) or {"eur": {"available": 0, "pending": 0}}

    def part(name: str) -> list[Json]:
        return [
            {"amount": amounts[name], "currency": currency, "source_types": {"card": amounts[name]}}
            for currency, amounts in sorted(held.items())
        ]

    return {
        "object": "balance",
        "available": part("available"),
        "connect_reserved": [{"amount": 0, "currency": currency} for currency in sorted(held)],
        "livemode": False,
        "pending": part("pending"),
    }


def retrieve_transaction(call: Call) -> Json:
    """`GET /v1/balance_transactions/{id}`."""
    call.params.only(frozenset(("expand",)))
    return fresh(call.addressed("balance_transaction", "balance transaction"), call.now)


def list_transactions(call: Call) -> Json:
    """`GET /v1/balance_transactions`, by time, type, source or currency."""
    params = call.params
    params.only(PAGING | {"currency", "payout", "source", "type"})
    where: dict[str, Any] = {
        "type": params.text("type"),
        "parent": params.text("source"),
        "_.payout": params.text("payout"),
        "currency": params.text("currency"),
    }
    return page(call, "balance_transaction", "/v1/balance_transactions", where)


def retrieve_event(call: Call) -> Json:
    """`GET /v1/events/{id}`."""
    event = call.addressed("event", "event")
    (waiting,) = call.store.db.execute(
        "SELECT count(*) FROM deliveries WHERE event = ? AND state = 'due'", (event["id"],)
    ).fetchone()
    return {**event, "pending_webhooks": waiting}


def list_events(call: Call) -> Json:
    """`GET /v1/events`, by type and time."""
    params = call.params
    params.only(PAGING | {"type", "types"})
    return page(call, "event", "/v1/events", {"type": params.text("type") or params.texts("types") or None})


def create_endpoint(call: Call) -> Json:
    """`POST /v1/webhook_endpoints`: the only answer that shows the secret."""
    params = call.params
    params.only(frozenset(("url", "enabled_events", "api_version", "connect", "description", "metadata", "expand")))
    url = params.required_text("url")
    if not url.startswith(URL_START):
        raise ParameterError("Invalid URL: An explicit scheme (such as https) must be provided.", param="url")
    events = params.texts("enabled_events")
    if not events:
        raise missing("enabled_events")
    if call.store.count(call.scope, "webhook_endpoint") >= MAX_ENDPOINTS:
        raise ParameterError(f"You have reached the maximum of {MAX_ENDPOINTS} test webhook endpoints.")
    secret = f"whsec_{random_text(32)}"
    endpoint: Json = {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": params.text("api_version"),
        "application": None,
        "created": call.now,
        "description": params.text("description"),
        "enabled_events": events,
        "livemode": False,
        "metadata": params.metadata(),
        "status": "enabled",
        "url": url,
        "_": {"secret": secret, "connect": params.flag("connect")},
    }
    call.store.add(call.scope, endpoint)
    call.sandbox.webhooks.forget()
    return {**endpoint, "secret": secret}


def retrieve_endpoint(call: Call) -> Json:
    """`GET /v1/webhook_endpoints/{id}`."""
    return call.addressed("webhook_endpoint", "webhook endpoint")


def list_endpoints(call: Call) -> Json:
    """`GET /v1/webhook_endpoints`."""
    call.params.only(PAGING_WITHOUT_TIME)
    return page(call, "webhook_endpoint", "/v1/webhook_endpoints")


def update_endpoint(call: Call) -> Json:
    """`POST /v1/webhook_endpoints/{id}`: url, events, disabled."""
    params = call.params
    params.only(frozenset(("url", "enabled_events", "description", "disabled", "metadata", "expand")))
    endpoint = call.addressed("webhook_endpoint", "webhook endpoint")
    if url := params.text("url"):
        endpoint["url"] = url
    if events := params.texts("enabled_events"):
        endpoint["enabled_events"] = events
    if "disabled" in params:
        endpoint["status"] = "disabled" if params.flag("disabled") else "enabled"
    endpoint["metadata"] = params.metadata(endpoint["metadata"])
    call.sandbox.webhooks.forget()
    return call.store.save(endpoint)


def delete_endpoint(call: Call) -> Json:
    """`DELETE /v1/webhook_endpoints/{id}`: nothing more is delivered to it."""
    if call.store.get(call.scope, call.ids[0], "webhook_endpoint") is None:
        raise not_found("webhook endpoint", call.ids[0])
    call.store.remove(call.ids[0])
    call.sandbox.webhooks.forget()
    return {"id": call.ids[0], "object": "webhook_endpoint", "deleted": True}
