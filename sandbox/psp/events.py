"""Events: what the sandbox says has happened, with a snapshot of the object, and whom it owes a delivery.

An event is written in the transaction of its cause. Delivering is the work of `webhooks`.
"""

import json

from .call import Call
from .errors import Json
from .identifiers import new_id
from .store import encode, shown

API_VERSION = "2026-10-28.endive"


def emit(call: Call, name: str, subject: Json, previous: Json | None = None) -> Json:
    """Write one event about an object and queue it for the endpoints that want it."""
    data: Json = {"object": shown(subject)}
    if previous is not None:
        data["previous_attributes"] = previous
    endpoints = call.sandbox.webhooks.interested(call.scope, name)
    event: Json = {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": call.now,
        "data": data,
        "livemode": False,
        "pending_webhooks": len(endpoints),
        "request": {"id": call.request_id, "idempotency_key": call.idempotency_key},
        "type": name,
    }
    if call.connected:
        event["account"] = call.scope
    call.store.db.execute(
        "INSERT INTO objects (id, scope, kind, created, parent, body) VALUES (?, ?, 'event', ?, ?, ?)",
        (event["id"], call.scope, call.now, subject["id"], encode(event)),
    )
    if endpoints:
        call.sandbox.webhooks.queue(call.scope, event, endpoints)
    return event


def with_pending(event: Json, pending: int) -> Json:
    """Answer an event with the number of deliveries that it still waits for."""
    return {**event, "pending_webhooks": pending}


def load(body: str) -> Json:
    """Read an event from the store."""
    event: Json = json.loads(body)
    return event
