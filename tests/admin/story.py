"""A small marketplace with something of everything, for the pages of the back office.

One checkout is paid (three sellers, one charge), one waits for a token, one was declined, one paid too late,
one lost its answer on the way and one was given up; a notification could not be understood. Money moves through
settlement, as in life.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from config import seam
from payments import settlement
from payments.appliers.batch import Report
from payments.models import Charge, OutboxMessage, PaymentEvent, PspNotification, PspOperation, Seller
from payments.psp.base import (
    Failure,
    MethodDetails,
    ObjectKind,
    ObjectStatus,
    Outcome,
    Result,
    Snapshot,
)
from tests.factories import (
    ChargeFactory,
    PaymentEventFactory,
    PaymentOrderFactory,
    PspOperationFactory,
    Tenant,
    tenant,
)

CLIENT_SECRET = "pi_paid_secret_never_shown"
TOKEN = "pm_card_visa_never_shown"


@dataclass(frozen=True, slots=True)
class Story:
    """What there is to look at."""

    tenant: Tenant
    paid: PaymentEvent
    waiting: PaymentEvent
    declined: PaymentEvent
    late: PaymentEvent
    unknown: PspOperation
    dead: PspOperation
    notification: PspNotification


def tell(now: datetime) -> Story:
    """Write the story in a book of its own; `now` is when it ends."""
    shop = tenant(basis_points=1000)
    sellers = [
        shop.seller(name=name, external_id=name.split()[0].lower())
        for name in ("Ada Ceramics", "Borough Books", "Çelik & Söhne")
    ]
    ada, borough, celik = sellers
    paid = _checkout(shop, "cart-9001", now - timedelta(minutes=42), {ada: 124_990, borough: 501, celik: 2_300})
    _register(paid, "pi_paid")
    waiting = _checkout(shop, "cart-9002", now - timedelta(minutes=20), {ada: 1_999})
    declined = _checkout(shop, "cart-9003", now - timedelta(minutes=12), {borough: 49_900})
    _register(declined, "pi_declined")
    lost = _checkout(shop, "cart-9004", now - timedelta(minutes=9), {celik: 7_500})
    _register(lost, "pi_lost")
    stuck = _checkout(shop, "cart-9005", now - timedelta(hours=3), {ada: 310})
    _register(stuck, "pi_stuck")
    _settle(paid, ObjectStatus.SUCCEEDED, now - timedelta(minutes=41))
    late = _checkout(shop, "cart-9006", now - timedelta(hours=2), {borough: 880})
    _register(late, "pi_late")
    _cancel(late)
    _settle(late, ObjectStatus.SUCCEEDED, now - timedelta(minutes=50))
    _settle(declined, ObjectStatus.DECLINED, now - timedelta(minutes=11))
    unknown = _operation(
        lost,
        now - timedelta(minutes=9),
        state="UNKNOWN",
        tries=6,
        due_at=now + timedelta(seconds=40),
        error_code="psp_timeout",
        error_message="No answer within 10 seconds.",
    )
    dead = _operation(
        stuck,
        now - timedelta(hours=3),
        state="DEAD",
        tries=40,
        due_at=None,
        dead_at=now - timedelta(hours=1),
        error_code="psp_connection_broken",
        error_message="The connection was reset while we waited for the answer.",
    )
    return Story(shop, paid, waiting, declined, late, unknown, dead, _notifications(shop, now))


def _checkout(shop: Tenant, checkout_id: str, at: datetime, parts: dict[Seller, int]) -> PaymentEvent:
    event = PaymentEventFactory.create(
        book=shop.book,
        checkout_id=checkout_id,
        amount_minor=sum(parts.values()),
        buyer={"id": "u-17", "email": "buyer@shop.example", "country": "DE"},
        metadata={"channel": "web"},
        created_at=at,
        updated_at=at,
    )
    charge = ChargeFactory.create(event=event, psp_account=shop.psp_account, created_at=at)
    for place, (seller, amount) in enumerate(parts.items(), 1):
        PaymentOrderFactory.create(
            charge=charge,
            seller=seller,
            position=place,
            reference=f"{checkout_id}/line-{place}",
            amount_minor=amount,
            description="Teapot, glazed",
            created_at=at,
            updated_at=at,
        )
    OutboxMessage.objects.create(
        public_id=seam.new_uuid(),
        book=shop.book,
        type="payment.created",
        subject_kind="payment",
        subject_id=event.pk,
        data={"checkout_id": checkout_id, "client_token": "never-shown"},
        created_at=at,
    )
    return event


def _register(event: PaymentEvent, psp_id: str) -> None:
    charge, at = event.charges.get(), event.created_at
    PspOperationFactory.create(
        charge=charge,
        state="DONE",
        outcome="succeeded",
        tries=1,
        created_at=at,
        first_sent_at=at + timedelta(milliseconds=310),
        closed_at=at + timedelta(milliseconds=620),
        due_at=None,
        psp_request_id="req_register",
    )
    Charge.objects.filter(pk=charge.pk).update(psp_id=psp_id, status="REGISTERED")
    charge.orders.update(status="EXECUTING")
    PaymentEvent.objects.filter(pk=event.pk).update(status="processing")
    event.refresh_from_db()


def _cancel(event: PaymentEvent) -> None:
    charge = event.charges.get()
    Charge.objects.filter(pk=charge.pk).update(status="CANCELLED", cancel_reason="requested")
    charge.orders.update(status="CANCELLED")
    PaymentEvent.objects.filter(pk=event.pk).update(status="cancelled")


def _operation(event: PaymentEvent, at: datetime, **fields: object) -> PspOperation:
    charge = event.charges.get()
    Charge.objects.filter(pk=charge.pk).update(status="PROCESSING", due_at=at + timedelta(hours=4))
    charge.refresh_from_db()
    return PspOperationFactory.create(
        charge=charge, kind="confirm", created_at=at, first_sent_at=at, parameters={"token": TOKEN}, **fields
    )


def _settle(event: PaymentEvent, status: ObjectStatus, at: datetime) -> None:
    charge = event.charges.get()
    assert charge.psp_id
    operation = PspOperationFactory.create(
        charge=charge,
        kind="confirm",
        state="SENT",
        tries=1,
        created_at=at - timedelta(seconds=2),
        first_sent_at=at - timedelta(seconds=1),
        due_at=at,
        parameters={"token": TOKEN},
    )
    succeeded = status == ObjectStatus.SUCCEEDED
    failure = Failure("insufficient_funds", "Your card has insufficient funds.", True, "insufficient_funds")
    snapshot = Snapshot(
        kind=ObjectKind.CHARGE,
        psp_id=charge.psp_id,
        status=status,
        currency=charge.currency_id,
        amount_minor=charge.amount_minor,
        captured_minor=charge.amount_minor if succeeded else 0,
        failure=None if succeeded else failure,
        method=MethodDetails("card", "credit", "visa", "4242"),
    )
    result = Result(
        Outcome.SUCCEEDED if succeeded else Outcome.DECLINED,
        snapshot,
        request_id="req_confirm",
        failure=snapshot.failure,
    )
    applied = settlement.apply([Report(event.pk, charge.pk, result, operation.pk, operation.fence)], now=at)
    assert applied == 1


def _notifications(shop: Tenant, now: datetime) -> PspNotification:
    PspNotification.objects.create(
        psp_account=shop.psp_account,
        psp_event_id="evt_paid",
        type="payment_intent.succeeded",
        object_kind="charge",
        object_psp_id="pi_paid",
        payload={"id": "evt_paid", "data": {"object": {"id": "pi_paid", "client_secret": CLIENT_SECRET}}},
        psp_created_at=now - timedelta(minutes=41),
        received_at=now - timedelta(minutes=40, seconds=59),
        processed_at=now - timedelta(minutes=40, seconds=58),
        result="nothing new",
        tries=1,
    )
    return PspNotification.objects.create(
        psp_account=shop.psp_account,
        psp_event_id="evt_orphan",
        type="payment_intent.processing",
        object_kind="charge",
        object_psp_id="pi_nobodys",
        payload={"id": "evt_orphan", "data": {"object": {"id": "pi_nobodys"}}},
        psp_created_at=now - timedelta(hours=2),
        received_at=now - timedelta(hours=2),
        tries=15,
        dead_at=now - timedelta(hours=1, minutes=10),
        result="unknown object",
    )
