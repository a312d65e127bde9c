"""The timeline of a payment: every fact that the database holds about it, in order of time.

One page answers "what happened?": the checkout, each change of state as the database's trigger recorded it,
each call to the PSP, each notification, each posting with its legs, each message published. The API and the
back office render the same list. It only reads, in a fixed number of statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Q

from ledger.ids import public_id
from ledger.models import Entry, Transaction, TransactionKind
from ledger.money import format_minor
from payments.models import (
    Charge,
    OutboxMessage,
    PaymentEvent,
    PaymentOrder,
    PspNotification,
    PspOperation,
    Refund,
    Transition,
)

LIMIT = 2000  # rows of each kind; no checkout comes near it


class FactKind(StrEnum):
    """What sort of thing happened. In this order when the time is the same: causes before effects."""

    CREATED = "created"
    NOTIFIED = "notification"
    PREPARED = "operation_prepared"
    SENT = "operation_sent"
    CLOSED = "operation_closed"
    DIED = "operation_dead"
    MOVED = "transition"
    POSTED = "posting"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Leg:
    """One entry of a posting. `amount` in minor units, above zero."""

    account: str
    side: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened. `subject` names what it happened to; `data` holds plain values."""

    at: datetime
    kind: FactKind
    subject: str
    summary: str
    data: Mapping[str, Any] = field(default_factory=dict)
    legs: tuple[Leg, ...] = ()


def timeline(event: PaymentEvent) -> list[Fact]:
    """Return every fact of a payment, oldest first. At most eight statements."""
    charges = list(Charge.objects.filter(event=event).order_by("id")[:LIMIT])
    orders = list(PaymentOrder.objects.filter(event=event).order_by("position")[:LIMIT])
    refunds = list(Refund.objects.filter(charge__event=event).order_by("id")[:LIMIT])
    operations = list(PspOperation.objects.filter(event=event).order_by("id")[:LIMIT])
    facts = [
        _created(event, orders),
        *_operations(operations),
        *_transitions(orders, charges, refunds),
        *_notifications(charges, refunds),
        *_postings(event, orders, charges, refunds),
        *_published(event),
    ]
    rank = {kind: place for place, kind in enumerate(FactKind)}
    # The sort is stable: facts of one kind at one time keep the order of their rows.
    return sorted(facts, key=lambda fact: (fact.at, rank[fact.kind]))


def _created(event: PaymentEvent, orders: Sequence[PaymentOrder]) -> Fact:
    return Fact(
        event.created_at,
        FactKind.CREATED,
        public_id("pay", event.public_id),
        f"Checkout {event.checkout_id} accepted",
        {
            "amount": format_minor(event.amount_minor, event.currency_id),
            "currency": event.currency_id,
            "charge_mode": str(event.charge_mode),
            "capture": str(event.capture),
            "payment_orders": [public_id("ord", order.public_id) for order in orders],
        },
    )


def _operations(operations: Iterable[PspOperation]) -> Iterator[Fact]:
    for operation in operations:
        subject, kind = public_id("opr", operation.public_id), operation.kind.replace("_", " ")
        yield Fact(
            operation.created_at,
            FactKind.PREPARED,
            subject,
            f"{kind}: prepared",
            {"operation": operation.kind},
        )
        if operation.first_sent_at is not None:
            yield Fact(
                operation.first_sent_at,
                FactKind.SENT,
                subject,
                f"{kind}: sent to the PSP",
                {"operation": operation.kind},
            )
        if operation.closed_at is not None:
            yield Fact(
                operation.closed_at,
                FactKind.CLOSED,
                subject,
                f"{kind}: {operation.outcome.replace('_', ' ')}",
                {
                    "operation": operation.kind,
                    "outcome": operation.outcome,
                    "tries": operation.tries,
                    **_error(operation),
                },
            )
        elif operation.dead_at is not None:
            yield Fact(
                operation.dead_at,
                FactKind.DIED,
                subject,
                f"{kind}: given up after {operation.tries} tries, a person decides",
                {"operation": operation.kind, "tries": operation.tries, **_error(operation)},
            )


def _error(operation: PspOperation) -> dict[str, str]:
    if not operation.error_code:
        return {}
    return {"error_code": operation.error_code, "error_message": operation.error_message}


# Uses index: transition_by_object (machine, object_id, id).
def _transitions(
    orders: Sequence[PaymentOrder], charges: Sequence[Charge], refunds: Sequence[Refund]
) -> Iterator[Fact]:
    names = {
        (model._meta.db_table, row.pk): (prefix, row.public_id)
        for model, prefix, rows in (
            (PaymentOrder, "ord", orders),
            (Charge, "chg", charges),
            (Refund, "rfd", refunds),
        )
        for row in rows
    }
    tables = {table for table, _ in names}
    wanted = Q()
    for table in tables:
        wanted |= Q(machine=table, object_id__in=[pk for name, pk in names if name == table])
    if not tables:
        return
    words = {"ord": "order", "chg": "charge", "rfd": "refund"}
    for row in Transition.objects.filter(wanted).order_by("id")[:LIMIT]:
        prefix, value = names[row.machine, row.object_id]
        yield Fact(
            row.at,
            FactKind.MOVED,
            public_id(prefix, value),
            f"{words[prefix]}: {row.source} → {row.target}",
            {"from": row.source, "to": row.target},
        )


# Uses index: notification_by_object (psp_account, object_psp_id).
def _notifications(charges: Sequence[Charge], refunds: Sequence[Refund]) -> Iterator[Fact]:
    objects = {charge.session_id for charge in charges if charge.session_id}
    objects |= {charge.psp_id for charge in charges if charge.psp_id}
    objects |= {refund.psp_id for refund in refunds if refund.psp_id}
    rows = PspNotification.objects.filter(
        psp_account_id__in={charge.psp_account_id for charge in charges}, object_psp_id__in=objects
    )
    for row in rows.defer("payload").order_by("id")[:LIMIT]:
        yield Fact(
            row.received_at,
            FactKind.NOTIFIED,
            row.object_psp_id,
            f"notified by the PSP: {row.type}",
            {
                "type": row.type,
                "psp_event_id": row.psp_event_id,
                "result": row.result,
                "processed_at": row.processed_at,
                "dead": row.dead_at is not None,
            },
        )


# Uses index: reference_is_unique_in_its_book. References are `verb:public id` (wallet/movements.py).
def _postings(
    event: PaymentEvent,
    orders: Sequence[PaymentOrder],
    charges: Sequence[Charge],
    refunds: Sequence[Refund],
) -> Iterator[Fact]:
    subjects = [
        public_id(prefix, row.public_id)
        for prefix, rows in (("ord", orders), ("chg", charges), ("rfd", refunds))
        for row in rows
    ]
    references = [f"{kind}:{subject}" for kind in TransactionKind for subject in subjects]
    found = Transaction.objects.filter(book_id=event.book_id, reference__in=references).order_by("id")[:LIMIT]
    transactions = {row.pk: row for row in found}
    legs: dict[int, list[Leg]] = {}
    for entry in Entry.objects.of(transactions).select_related("account")[:LIMIT]:
        leg = Leg(entry.account.code, str(entry.side), entry.amount, entry.currency_id)
        legs.setdefault(entry.transaction_id, []).append(leg)
    for pk, row in transactions.items():
        yield Fact(
            row.posted_at,
            FactKind.POSTED,
            public_id("txn", row.public_id),
            f"posted: {str(row.kind).replace('_', ' ')}",
            {"kind": str(row.kind), "reference": row.reference, "actor": row.actor},
            tuple(legs[pk]),
        )


# Uses index: outbox_by_subject (subject_kind, subject_id, id).
def _published(event: PaymentEvent) -> Iterator[Fact]:
    rows = OutboxMessage.objects.filter(subject_kind="payment", subject_id=event.pk)
    values: Iterable[tuple[UUID, str, datetime]] = rows.order_by("id").values_list("public_id", "type", "created_at")[
        :LIMIT
    ]
    for value, kind, at in values:
        yield Fact(at, FactKind.PUBLISHED, public_id("evt", value), f"published: {kind}", {"type": kind})
