"""Between nights: what failed is asked about once, what is unknown waits a minute, and what is true is applied."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests
from django.db import connection

from config import seam
from payments.models import Charge, PaymentEvent, PaymentOrder, PspNotification, PspOperation
from reconciliation.watch import Watch
from tests.reconciliation.closing import as_superuser
from tests.reconciliation.conftest import Desk


def earlier(desk: Desk, seconds: int = 20) -> None:
    """Let what happened have happened some seconds ago."""
    with as_superuser(desk) as superuser:
        superuser.execute("UPDATE payments_transition SET at = at - make_interval(secs => %s)", [seconds])


def asked() -> int:
    """Return how many questions the watch has written down."""
    return PspNotification.objects.filter(psp_event_id__startswith="watch:").count()


@pytest.fixture
def declined(desk: Desk) -> PaymentEvent:
    """Give a payment that the PSP declined."""
    event = desk.shop.buy(1000, token="pm_card_chargeDeclined")
    desk.shop.work()
    assert Charge.objects.get(event=event).status == "FAILED"
    return event


def test_a_failure_is_asked_about_once_by_whoever_watches(desk: Desk, declined: PaymentEvent) -> None:
    assert Watch().look(seam.now()) == 0, "the PSP has only just said so"
    earlier(desk)
    assert [Watch().look(seam.now()) for _ in range(3)] == [1, 0, 0]
    desk.shop.work()
    assert asked() == 1
    assert PspNotification.objects.get(psp_event_id__startswith="watch:").processed_at is not None
    assert PaymentOrder.objects.get(event=declined).status == "FAILED"


def test_what_the_psp_did_after_all_is_applied_within_the_next_look(desk: Desk, declined: PaymentEvent) -> None:
    """The buyer paid on another way to the PSP, and nobody told us."""
    charge = Charge.objects.get(event=declined)
    requests.post(
        f"{desk.shop.psp.url}/v1/payment_intents/{charge.psp_id}/confirm",
        data={"payment_method": "pm_card_visa"},
        auth=(desk.shop.psp_key, ""),
        timeout=30,
    ).raise_for_status()
    earlier(desk)
    assert Watch().look(seam.now()) == 1
    desk.shop.work()
    assert PaymentOrder.objects.get(event=declined).status == "SUCCESS"
    desk.shop.check()


def test_what_is_old_is_left_to_the_night(desk: Desk, declined: PaymentEvent) -> None:
    earlier(desk, 900)
    assert Watch().look(seam.now()) == 0
    assert asked() == 0
    assert declined.pk


def test_an_unknown_outcome_waits_a_minute_at_most(desk: Desk) -> None:
    desk.shop.buy(1000)
    PspOperation.objects.update(
        state="UNKNOWN", error_code="psp_timeout", due_at=seam.now() + timedelta(seconds=110), first_sent_at=seam.now()
    )
    assert [Watch().look(seam.now()) for _ in range(2)] == [PspOperation.objects.count(), 0]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM payments_pspoperation WHERE due_at > florin_now()")
        assert cursor.fetchone() == (0,)


def test_what_is_due_soon_leased_or_has_not_been_sent_is_left_alone(desk: Desk) -> None:
    desk.shop.buy(1000)
    soon = seam.now() + timedelta(seconds=30)
    PspOperation.objects.update(state="UNKNOWN", error_code="psp_timeout", due_at=soon, first_sent_at=seam.now())
    assert Watch().look(seam.now()) == 0
    later = seam.now() + timedelta(seconds=110)
    PspOperation.objects.update(due_at=later, lease_until=later)
    assert Watch().look(seam.now()) == 0
    PspOperation.objects.update(state="PREPARED", lease_until=None, error_code="")
    assert Watch().look(seam.now()) == 0
    assert set(PspOperation.objects.filter(due_at__isnull=False).values_list("due_at", flat=True)) <= {later}
