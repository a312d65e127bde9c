"""The process dies once, at every boundary of pay-in, before it and after it; then a new process goes on.

For both charge modes and every way in which the PSP can answer. What must hold each time: an acknowledged payment is
finished, charged once, posted once; our books equal the PSP's. The counts are printed at the end of the run.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.db import ProgrammingError

from config import seam
from config.seam import Crash
from ledger import invariants
from ledger.ids import public_id
from ledger.models import Transaction
from payments import executor, intake
from payments.intake import NewPayment
from payments.models import PaymentEvent, PaymentOrder
from tests.faults.crashes import Boundaries, bury
from tests.shop import Shop

_OUTCOMES: dict[str, dict[str, Any]] = {
    "success": {},
    "decline": {"token": "pm_card_chargeDeclined"},
    "timeout_without_effect": {"fault": "drop_before"},
    "timeout_with_effect": {"fault": "drop_after"},
    "500_without_effect": {"fault": "500_before"},
    "500_with_effect": {"fault": "500_after"},
}
_AMOUNTS = [1999, 501]
MAX_BOUNDARIES = 600


@pytest.mark.slow
@pytest.mark.parametrize("outcome", _OUTCOMES)
@pytest.mark.parametrize("mode", ["single", "per_order"])
def test_a_crash_at_any_boundary_costs_nothing(
    shop: Shop, settings: Any, record_property: Any, mode: str, outcome: str
) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 0.25
    plan = _OUTCOMES[outcome]
    warm_up = Boundaries()
    _live(shop, mode, plan, warm_up)
    baseline = Boundaries()
    events = [_live(shop, mode, plan, baseline)]
    died: Counter[str] = Counter()
    number = 0
    while True:
        assert number < MAX_BOUNDARIES
        boundaries = Boundaries(crash_at=number)
        events.append(_live(shop, mode, plan, boundaries))
        if boundaries.died_at is None:
            break
        died[f"{boundaries.died_at.kind}, {boundaries.died_at.side}"] += 1
        number += 1
    assert number >= baseline.seen > 0
    _compare_books(shop, events, paid=outcome != "decline")
    record_property("crash_scenarios", sum(died.values()))
    record_property("crash_boundaries", dict(died))


def _live(shop: Shop, mode: str, plan: dict[str, Any], boundaries: Boundaries) -> PaymentEvent:
    """Play one payment with one death; then let a new process go on until nothing is due."""
    shop.reset_time()
    shop.psp.clear_faults(shop.psp_key)
    if "fault" in plan:
        shop.psp.faults(
            {"operation": "payment_intents.confirm", "kind": plan["fault"], "times": 1, "seconds": 5},
            key=shop.psp_key,
        )
    caller = shop.caller()
    payment = shop.new_payment(caller, _AMOUNTS, charge_mode=mode, token=plan.get("token", "pm_card_visa"))
    try:
        with seam.observed_by(boundaries):
            intake.accept(caller, [payment], now=seam.now())
            while executor.execute(go_on=True):
                pass
    except (Crash, ProgrammingError):
        # Django tidies up after a death inside COMMIT and trips over the open transaction: a dead process would not.
        assert boundaries.died_at is not None
        bury()
    shop.psp.clear_faults(shop.psp_key)
    return _recover(shop, payment)


def _recover(shop: Shop, payment: NewPayment) -> PaymentEvent:
    """The client that got no answer repeats its request; everything else happens without anybody's help."""
    (answer,) = shop.accept(payment)
    assert answer.outcome in ("created", "replayed")
    shop.settle_down()
    event = PaymentEvent.objects.get(book_id=shop.tenant.book.pk, checkout_id=payment.checkout_id)
    assert event.status in ("succeeded", "failed"), (event.status, shop.waiting())
    return event


def _compare_books(shop: Shop, events: list[PaymentEvent], *, paid: bool) -> None:
    taken: dict[str, list[int]] = {}
    for charge in shop.books()["charges"]:
        if charge["captured"]:
            taken.setdefault(charge["metadata"]["florin_payment"], []).append(charge["captured"])
    for event in events:
        orders = list(PaymentOrder.objects.filter(event=event).order_by("position"))
        expected = PaymentOrder.Status.SUCCESS if paid else PaymentOrder.Status.FAILED
        assert [order.status for order in orders] == [expected] * len(orders)
        charged = sorted(taken.get(public_id("pay", event.public_id), []))
        if not paid:
            assert charged == []
            continue
        assert charged == (sorted(_AMOUNTS) if event.charge_mode == "per_order" else [sum(_AMOUNTS)])
        for order in orders:
            reference = f"settle_charge:{public_id('ord', order.public_id)}"
            assert Transaction.objects.filter(book=shop.tenant.book, reference=reference).count() == 1
    assert invariants.violations() == []
    shop.check()
