"""The pay-out event of the source documents: `POST /payments` with `payment_type` `pay_out`, alone or in bulk.

It is another way to say `POST /payouts`, with the same checks, the same refusals and the same answer. Bank details that
come along (`seller_details`) are put as by `PUT /sellers/{id}/payout-destination`: signed, checked, with a cool-down. A
refusal stores nothing, so what has to cool down first is put there first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from payments import destinations, idempotency, payouts, representations
from payments.api import authentication, bodies, headers, new_payments, seller_changes
from payments.api.payouts import WRITE, actor_of, read
from payments.api.requests import answer
from payments.callers import Caller
from payments.errors import Invalid, Unauthenticated
from payments.idempotency import Answer, Effect
from payments.models import Seller

ADDRESS: Final = "/api/v1/payments"
SCOPE: Final = WRITE


def is_one(content: Any) -> bool:
    """Say whether the body of a payment asks for a payout."""
    return isinstance(content, dict) and content.get("payment_type") == "pay_out"


def accept(request: HttpRequest, content: Mapping[str, Any], caller: Caller, *, now: datetime) -> HttpResponse:
    """Accept a pay-out event: 201 with the payout, or a replay of the first answer."""
    key = headers.idempotency_key(request)
    return answer(_accept(content, caller, key=key, signed=is_signed(request), now=now))


def accept_item(item: Mapping[str, Any], caller: Caller, *, signed: bool, now: datetime) -> str:
    """Accept a pay-out event of a bulk request, in a transaction of its own. Raises what `accept` raises."""
    authentication.require_scope(caller, SCOPE)
    content = dict(item)
    key = content.pop("idempotency_key", None)
    if not isinstance(key, str):
        raise Invalid("idempotency_key_missing", "give every payment an idempotency_key", field="idempotency_key")
    headers.check_idempotency_key(key)
    given = _accept(content, caller, key=key, signed=signed, now=now)
    return f'{{"status":{given.status},"payout":{given.body}{',"replayed":true' if given.replayed else ""}}}'


def is_signed(request: HttpRequest) -> bool:
    """Say whether a request came with a signature; one that is there was checked with the key."""
    return "HTTP_X_SIGNATURE" in request.META


def _accept(content: Mapping[str, Any], caller: Caller, *, key: str, signed: bool, now: datetime) -> Answer:
    body = bodies.read(bodies.NewPayOut, dict(content))
    wanted = read(caller, body)
    account = seller_changes.account_of(body.seller_details) if body.seller_details is not None else None
    if account is not None and not signed:
        raise Unauthenticated("signature_required", "bank details must be signed, with any key")

    def run() -> Effect:
        if account is not None and body.seller_details is not None:
            seller = Seller.objects.get(pk=wanted.seller_id)
            currency = body.seller_details.currency or body.currency
            destinations.put(seller, account, currency=currency, actor=actor_of(caller), now=now)
        made = payouts.request(caller.book_id, wanted, actor=actor_of(caller), now=now)
        return Effect(201, representations.payout(made))

    fingerprint = new_payments.fingerprint("POST", ADDRESS, json.loads(json.dumps(content)))
    return idempotency.replay_or_run(caller.book_id, key, fingerprint, run, now=now)
