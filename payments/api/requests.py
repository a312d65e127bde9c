"""What a view needs of a request: its body, its query, and an answer that is given once per idempotency key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.http import HttpResponse
from pydantic import BaseModel
from rest_framework.request import Request

from ledger.errors import MoneyError
from ledger.money import Money
from payments import idempotency
from payments.api import bodies, headers, json_body, new_payments
from payments.api.authentication import caller_of
from payments.errors import FieldError, Invalid
from payments.idempotency import Answer, Effect


def body_of[B: bodies.Body](request: Request, model: type[B]) -> B:
    """Read the body of a request strictly. Raises `Invalid` with every bad field."""
    plain = request._request
    raw = json_body.read(plain)
    if not raw and not any(field.is_required() for field in model.model_fields.values()):
        return model()
    json_body.require_json(plain)
    return bodies.read(model, json_body.parse(raw))


def query_of[Q: BaseModel](request: Request, model: type[Q]) -> Q:
    """Read the query of a request; a name that is unknown or given twice is refused."""
    query = request._request.GET
    for name in query:
        if len(query.getlist(name)) > 1:
            raise bodies.invalid([FieldError(name[:200], "duplicate", "give this once")])
        if "\0" in query[name] or "\0" in name:
            raise Invalid("bad_request", "NUL characters are not accepted")
    return bodies.read(model, query.dict())


def minor_units(field: str, text: str | None, currency: str) -> int | None:
    """Return an amount in minor units, or `None` for none. Raises `Invalid` for what the currency cannot express."""
    if text is None:
        return None
    try:
        return Money.parse(text, currency).minor
    except MoneyError as error:
        raise bodies.invalid([FieldError(field, "invalid_amount", str(error))]) from None


def run_once(request: Request, run: Callable[[], Effect], *, now: datetime) -> HttpResponse:
    """Run the effect of a POST once per Idempotency-Key and answer; the key is in the caller's book."""
    plain = request._request
    key = headers.idempotency_key(plain)
    return answer(idempotency.replay_or_run(caller_of(request).book_id, key, fingerprint_of(request), run, now=now))


def fingerprint_of(request: Request) -> bytes:
    """Return what identifies a request behind its idempotency key."""
    plain = request._request
    raw = json_body.read(plain)
    content = json_body.parse(raw) if raw else {}
    return new_payments.fingerprint(plain.method or "", plain.path, content)


def answer(given: Answer) -> HttpResponse:
    """Send a stored or fresh answer as it is."""
    content = given.body.encode()
    response = HttpResponse(content, content_type="application/json", status=given.status)
    response["Content-Length"] = str(len(content))
    response["Cache-Control"] = "no-store"
    if given.replayed:
        response["Idempotency-Replayed"] = "true"
    return response
