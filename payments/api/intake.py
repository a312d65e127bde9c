"""`POST /payments` and `POST /payments/bulk`: plain functions on the hot path, without the REST framework's dispatch.

One request costs two statements: who is calling together with the sellers, and the acceptance itself. A signed request
costs one more for its nonce. Whatever is wrong with a request is only told to who has a valid key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from config import seam
from payments import intake
from payments.api import (
    authentication,
    bodies,
    card_numbers,
    headers,
    json_body,
    new_payments,
    pay_outs,
    payment_lookup,
    signatures,
)
from payments.api.errors import document, problem, refusal_of
from payments.callers import MAX_SELLERS_PER_CALL, Caller
from payments.errors import Conflict, FieldError, Invalid, PaymentsError, Unprocessable
from payments.intake import Accepted, NewPayment
from payments.models import PaymentEvent

ADDRESS: Final = "/api/v1/payments"
SCOPE: Final = "payments:write"


@dataclass(slots=True)
class _Received:
    """A request as it came in. `refusal` waits until the caller is known."""

    body: bytes
    content: dict[str, Any]
    refusal: PaymentsError | None


def accept_payment(request: HttpRequest) -> HttpResponse:
    """Accept one checkout: 201, or 200 with the payment that has its checkout id, or a replay of the first answer."""
    try:
        return _accept_payment(request)
    except Exception as error:  # noqa: BLE001 - the edge: every exception becomes an answer, none is lost
        return problem(refusal_of(error, writes=True))


def accept_bulk(request: HttpRequest) -> HttpResponse:
    """Accept up to 500 checkouts; each is answered by itself, in the order in which they were sent."""
    try:
        return _accept_bulk(request)
    except Exception as error:  # noqa: BLE001 - the edge: every exception becomes an answer, none is lost
        return problem(refusal_of(error, writes=True))


def _accept_payment(request: HttpRequest) -> HttpResponse:
    now = seam.now()
    received = _receive(request, json_body.LIMIT_BYTES, inspected=True)
    if pay_outs.is_one(received.content):
        return _accept_pay_out(request, received, now=now)
    caller = _caller(request, received, list(new_payments.seller_refs(received.content)), now=now)
    if received.refusal is not None:
        raise received.refusal
    key = headers.idempotency_key(request)
    new = new_payments.read(received.content, caller, idempotency_key=key, path=ADDRESS)
    if isinstance(new, list):
        raise bodies.invalid(new)
    (accepted,) = intake.accept(caller, [new], now=now)
    if accepted.outcome in ("created", "replayed"):
        response = _json(accepted.body.encode(), accepted.status)
        if accepted.outcome == "replayed":
            response["Idempotency-Replayed"] = "true"
        return response
    return _json(_dump(_existing(caller, [new], [accepted])[0]), 200)


def _accept_bulk(request: HttpRequest) -> HttpResponse:
    now = seam.now()
    received = _receive(request, json_body.BULK_LIMIT_BYTES, inspected=False)
    items = received.content.get("payments")
    items = items if isinstance(items, list) else []
    refs = list({ref for item in items for ref in new_payments.seller_refs(item)})
    caller = _caller(request, received, refs[:MAX_SELLERS_PER_CALL], now=now)
    if received.refusal is not None:
        raise received.refusal
    if "HTTP_IDEMPOTENCY_KEY" in request.META:
        raise Invalid("idempotency_key_not_allowed", "each payment of a bulk request has an idempotency_key of its own")
    _check_bulk(received.content, items, refs)
    answers: list[str] = [""] * len(items)
    new: dict[int, NewPayment] = {}
    for position, item in enumerate(items):
        try:
            if pay_outs.is_one(item):
                json_body.inspect(item)
                signed = pay_outs.is_signed(request)
                answers[position] = pay_outs.accept_item(item, caller, signed=signed, now=now)
                continue
            new[position] = _read_item(item, caller)
        except PaymentsError as error:
            answers[position] = _item_refused(error)
    accepted = intake.accept(caller, list(new.values()), now=now) if new else []
    existing = iter(_existing(caller, list(new.values()), accepted))
    for position, one in zip(new, accepted, strict=True):
        answers[position] = _item_answer(one, existing)
    return _json(f'{{"data":[{",".join(answers)}]}}'.encode(), 200)


def _accept_pay_out(request: HttpRequest, received: _Received, *, now: datetime) -> HttpResponse:
    caller = _caller(request, received, [], scope=pay_outs.SCOPE, now=now)
    if received.refusal is not None:
        raise received.refusal
    return pay_outs.accept(request, received.content, caller, now=now)


def _receive(request: HttpRequest, limit_bytes: int, *, inspected: bool) -> _Received:
    """Read the body. What is wrong with its content is kept back; one over its limit is refused unread."""
    headers.api_key(request)
    body = json_body.read(request, limit_bytes=limit_bytes)
    try:
        card_numbers.refuse_address(request.path, request.META.get("QUERY_STRING", ""))
        json_body.require_json(request)
        content = json_body.decode(body)
        if inspected:
            json_body.inspect(content)
    except PaymentsError as error:
        return _Received(body, {}, error)
    return _Received(body, content, None)


def _caller(
    request: HttpRequest, received: _Received, refs: Sequence[str], *, scope: str = SCOPE, now: datetime
) -> Caller:
    caller = authentication.identify(headers.api_key(request), seller_refs=refs, now=now)
    authentication.require_scope(caller, scope)
    signatures.verify(request, received.body, caller, now=now)
    return caller


def _check_bulk(content: Mapping[str, Any], items: Sequence[Any], refs: Sequence[str]) -> None:
    """Refuse a bulk request as a whole only for what does not belong to one of its items."""
    errors = [
        FieldError(name[:200], "unknown_field", "this field does not exist") for name in content if name != "payments"
    ]
    if "payments" not in content:
        errors.append(FieldError("payments", "required", "this field is required"))
    elif not isinstance(content["payments"], list):
        errors.append(FieldError("payments", "invalid_type", "must be a list"))
    elif not items:
        errors.append(FieldError("payments", "too_short", "give at least one payment"))
    elif len(items) > bodies.MAX_PAYMENTS:
        errors.append(FieldError("payments", "too_long", f"give at most {bodies.MAX_PAYMENTS} payments"))
    elif len(refs) > MAX_SELLERS_PER_CALL:
        errors.append(FieldError("payments", "too_long", f"name at most {MAX_SELLERS_PER_CALL} sellers"))
    if errors:
        json_body.inspect(dict.fromkeys(content))
        raise bodies.invalid(errors)


def _read_item(item: Any, caller: Caller) -> NewPayment:
    """Read one payment of a bulk request; its fingerprint is that of the same payment sent alone."""
    if not isinstance(item, dict):
        raise Invalid("invalid_request", "a payment must be an object")
    json_body.inspect(item)
    content = dict(item)
    key = content.pop("idempotency_key", None)
    if key is None:
        raise Invalid("idempotency_key_missing", "give every payment an idempotency_key", field="idempotency_key")
    if not isinstance(key, str):
        raise Invalid("idempotency_key_invalid", "idempotency_key must be a text", field="idempotency_key")
    headers.check_idempotency_key(key)
    new = new_payments.read(content, caller, idempotency_key=key, path=ADDRESS)
    if isinstance(new, list):
        raise bodies.invalid(new)
    return new


def _existing(
    caller: Caller, new: Sequence[NewPayment], accepted: Sequence[Accepted]
) -> list[dict[str, Any] | PaymentsError]:
    """Return, for each payment whose key or checkout id was taken: the payment as it is now, or the refusal.

    Two statements when a checkout id was taken, none otherwise.
    """
    ids = [one.existing for one in accepted if one.existing is not None]
    found = PaymentEvent.objects.filter(book_id=caller.book_id, public_id__in=ids) if ids else ()
    events = {event.public_id: event for event in found}
    shown = dict(zip(events, payment_lookup.shown(list(events.values())), strict=True))
    answers: list[dict[str, Any] | PaymentsError] = []
    for payment, one in zip(new, accepted, strict=True):
        if one.outcome in ("created", "replayed"):
            continue
        if one.outcome == "key_reused":
            answers.append(key_reused())
        elif one.existing is None or not _same_content(events[one.existing], payment):
            answers.append(Conflict("checkout_id_conflict", "this checkout_id belongs to a payment with other content"))
        else:
            answers.append(shown[one.existing])
    return answers


def key_reused() -> Unprocessable:
    """Return the refusal of an idempotency key that was used for another request."""
    return Unprocessable("idempotency_key_reused", "this Idempotency-Key was used for another request")


def _same_content(event: PaymentEvent, payment: NewPayment) -> bool:
    return bytes(event.fingerprint) == intake.content_fingerprint(payment)


def _item_answer(one: Accepted, existing: Any) -> str:
    if one.outcome == "created":
        return f'{{"status":{one.status},"payment":{one.body}}}'
    if one.outcome == "replayed":
        return f'{{"status":{one.status},"payment":{one.body},"replayed":true}}'
    answer = next(existing)
    if isinstance(answer, PaymentsError):
        return _item_refused(answer)
    return f'{{"status":200,"payment":{_dump(answer).decode()}}}'


def _item_refused(error: PaymentsError) -> str:
    return json.dumps({"status": error.status, "error": document(error)}, ensure_ascii=False)


def _dump(answer: dict[str, Any] | PaymentsError) -> bytes:
    if isinstance(answer, PaymentsError):
        raise answer
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()


def _json(body: bytes, status: int) -> HttpResponse:
    response = HttpResponse(body, content_type="application/json", status=status)
    response["Content-Length"] = str(len(body))
    response["Cache-Control"] = "no-store"
    return response
