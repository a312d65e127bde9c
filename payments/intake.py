"""Intake: a checkout comes in, is split into one order per seller, and is written with one call of one SQL function.

Nothing is sent anywhere from here. What has to happen at the PSP is written as operations that are due, in the same
database transaction as the payment, its idempotency record and the fact that it was created.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from django.conf import settings
from django.db import connection

from config import seam
from payments import doorbell, fees, representations
from payments.callers import Caller, SellerTerms
from payments.drafts import DraftCharge, DraftOrder, DraftPayment
from payments.errors import InvalidState
from payments.models import PaymentEvent, PaymentOrder, PspOperation

MAX_PAYMENTS_PER_CALL = 500

# Members of an enumeration as plain texts: what reads them asks for each several times a payment.
_PROCESSING: Final = str(PaymentEvent.Status.PROCESSING)
_REQUIRES_PAYMENT_METHOD: Final = str(PaymentEvent.Status.REQUIRES_PAYMENT_METHOD)
_EXECUTING: Final = str(PaymentOrder.Status.EXECUTING)
_NOT_STARTED: Final = str(PaymentOrder.Status.NOT_STARTED)
_PER_ORDER: Final = str(PaymentEvent.ChargeMode.PER_ORDER)

Outcome = Literal["created", "replayed", "exists", "checkout_conflict", "key_reused"]


@dataclass(frozen=True, slots=True)
class NewOrder:
    """The part of a new payment that belongs to one seller."""

    seller: SellerTerms
    amount_minor: int
    reference: str
    description: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A validated checkout. `fingerprint` identifies the request, `content` the checkout that it describes."""

    checkout_id: str
    currency: str
    orders: tuple[NewOrder, ...]
    buyer: Mapping[str, Any]
    token: str
    method_types: tuple[str, ...]
    charge_mode: str
    capture: str
    return_url: str
    metadata: Mapping[str, str]
    idempotency_key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of one new payment: the answer's status and body, or the payment that was there before."""

    outcome: Outcome
    status: int
    body: str
    existing: UUID | None = None


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the database had before: the first answer to a key, or the payment that holds a checkout id."""

    fingerprint: bytes | None
    status: int | None
    body: str | None
    existing: UUID | None


def accept(caller: Caller, payments: Sequence[NewPayment], *, now: datetime) -> list[Accepted]:
    """Accept payments in one round trip; each is answered on its own, in the order given.

    Idempotent by (book, idempotency key) and by (book, checkout id). Rings the doorbell of the PSP queue afterwards.
    """
    if len(payments) > MAX_PAYMENTS_PER_CALL:
        raise ValueError(f"at most {MAX_PAYMENTS_PER_CALL} payments in one call")
    if caller.psp_account_id is None:
        raise InvalidState("no_psp_account", "This merchant has no PSP account to charge with.")
    answers: dict[int, Accepted] = {}
    waiting = list(range(len(payments)))
    while waiting:
        # A key or a checkout id that occurs twice in one call is taken in a later round, when the first is decided.
        keys: set[str] = set()
        checkouts: set[str] = set()
        round_: list[int] = []
        later: list[int] = []
        for i in waiting:
            fresh = payments[i].idempotency_key not in keys and payments[i].checkout_id not in checkouts
            (round_ if fresh else later).append(i)
            keys.add(payments[i].idempotency_key)
            checkouts.add(payments[i].checkout_id)
        answers.update(_write(caller, {i: payments[i] for i in round_}, now=now))
        waiting = later
    if any(answer.outcome == "created" for answer in answers.values()):
        doorbell.ring("psp")
    return [answers[i] for i in range(len(payments))]


def _write(caller: Caller, payments: Mapping[int, NewPayment], *, now: datetime) -> dict[int, Accepted]:
    items, bodies = [], {}
    for number, payment in payments.items():
        item, body = _item(number, caller, payment, now=now)
        items.append(item)
        bodies[number] = body
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM payments_accept(%s::jsonb, %s)", [_compact(items), now])
        rows = cursor.fetchall()
    return {
        number: _answer(payments[number], bodies[number], outcome, _Stored(*stored))
        for number, outcome, *stored in rows
    }


def _answer(payment: NewPayment, body: str, outcome: str, stored: _Stored) -> Accepted:
    if outcome == "created":
        return Accepted("created", 201, body)
    if outcome == "checkout_exists":
        return Accepted("exists", 200, "", stored.existing)
    if stored.fingerprint is None or bytes(stored.fingerprint) != payment.fingerprint:
        return Accepted("key_reused", 422, "")
    return Accepted("replayed", stored.status or 201, stored.body or "")


def _item(number: int, caller: Caller, payment: NewPayment, *, now: datetime) -> tuple[dict[str, Any], str]:
    """Build everything that accepting one payment writes, and the body of its answer."""
    total = sum(order.amount_minor for order in payment.orders)
    paid_at_once = bool(payment.token)
    order_status = _EXECUTING if paid_at_once else _NOT_STARTED
    event = DraftPayment(
        public_id=seam.new_uuid(),
        checkout_id=payment.checkout_id,
        status=_PROCESSING if paid_at_once else _REQUIRES_PAYMENT_METHOD,
        currency_id=payment.currency,
        amount_minor=total,
        charge_mode=payment.charge_mode,
        capture=payment.capture,
        buyer=payment.buyer,
        metadata=payment.metadata,
        created_at=now,
    )
    shares = fees.platform_fees(
        [
            (order.amount_minor, order.seller.basis_points, order.seller.fixed.get(payment.currency, 0))
            for order in payment.orders
        ]
    )
    per_order = payment.charge_mode == _PER_ORDER
    amounts = [order.amount_minor for order in payment.orders] if per_order else [total]
    charges = [DraftCharge(seam.new_uuid(), amount) for amount in amounts]
    orders = [
        DraftOrder(
            public_id=seam.new_uuid(),
            charge=charges[position if per_order else 0],
            seller_id=order.seller.id,
            position=position,
            reference=order.reference,
            status=order_status,
            currency_id=payment.currency,
            amount_minor=order.amount_minor,
            fee_minor=share,
            description=order.description,
            metadata=order.metadata,
        )
        for position, (order, share) in enumerate(zip(payment.orders, shares, strict=True))
    ]
    sellers = {order.seller.id: order.seller.public_id for order in payment.orders}
    shown = representations.payment(event, orders, sellers=sellers)
    body = _compact(shown)
    return {
        "item": number,
        "book": caller.book_id,
        "key": payment.idempotency_key,
        "fingerprint": payment.fingerprint.hex(),
        "body": body,
        "fact": str(seam.new_uuid()),
        "event": {
            "public_id": str(event.public_id),
            "checkout_id": event.checkout_id,
            "fingerprint": content_fingerprint(payment).hex(),
            "status": event.status,
            "currency": payment.currency,
            "amount_minor": total,
            "charge_mode": event.charge_mode,
            "capture": event.capture,
            "buyer": event.buyer,
            "payment_method_types": payment.method_types,
            "return_url": payment.return_url,
            "metadata": event.metadata,
            "expiry_due_at": (now + timedelta(hours=settings.CHECKOUT_EXPIRES_AFTER_HOURS)).isoformat(),
        },
        "charges": [
            {
                "public_id": str(charge.public_id),
                "psp_account_id": caller.psp_account_id,
                "currency": payment.currency,
                "amount_minor": charge.amount_minor,
            }
            for charge in charges
        ],
        "orders": [
            {
                "public_id": str(order.public_id),
                "charge": str(order.charge.public_id),
                "seller_id": order.seller_id,
                "position": order.position,
                "reference": order.reference,
                "status": order.status,
                "currency": payment.currency,
                "amount_minor": order.amount_minor,
                "fee_minor": order.fee_minor,
                "description": order.description,
                "metadata": order.metadata,
            }
            for order in orders
        ],
        "operations": _operations(caller, payment, charges) if paid_at_once else [],
    }, body


def _operations(caller: Caller, payment: NewPayment, charges: Sequence[DraftCharge]) -> list[dict[str, Any]]:
    """Decide the PSP calls of a payment that came with a token.

    One charge: register, then confirm. Several: a token pays once, so the method is saved first, and the charges are
    registered and confirmed with the saved one. Only the first call is due; each success makes the next one due.
    """
    several = len(charges) > 1
    calls: list[dict[str, Any]] = []
    if several:
        calls.append(
            {
                "public_id": str(seam.new_uuid()),
                "charge": None,
                "psp_account_id": caller.psp_account_id,
                "kind": PspOperation.Kind.SAVE_METHOD,
                "amount_minor": 0,
                "parameters": {"token": payment.token},
                "due": True,
            }
        )
    for charge in charges:
        for kind, parameters in (
            (PspOperation.Kind.REGISTER, {}),
            (PspOperation.Kind.CONFIRM, {} if several else {"token": payment.token}),
        ):
            calls.append(
                {
                    "public_id": str(seam.new_uuid()),
                    "charge": str(charge.public_id),
                    "psp_account_id": caller.psp_account_id,
                    "kind": kind,
                    "amount_minor": charge.amount_minor,
                    "parameters": parameters,
                    "due": kind == PspOperation.Kind.REGISTER and not several,
                }
            )
    return calls


# One encoder for all: `json.dumps` with options makes a new one for each document.
_compact: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def content_fingerprint(payment: NewPayment) -> bytes:
    """Return the digest of a checkout's content, which decides whether a second POST of its id is the same."""
    content = [
        payment.currency,
        payment.charge_mode,
        payment.capture,
        [
            [order.seller.id, order.amount_minor, order.reference, order.description, dict(order.metadata)]
            for order in payment.orders
        ],
        dict(payment.buyer),
        dict(payment.metadata),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
