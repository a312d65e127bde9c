"""The process dies once, at boundaries of a refund, before them and after them; then a new process goes on.

For every fee policy, both charge modes, and the ways in which a refund can end at the PSP. What must hold each time:
an acknowledged refund is paid once, or its request is taken back, or it is in front of a person; our books equal the
PSP's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import requests

from config import seam
from ledger.ids import public_id
from payments import executor, idempotency, invariants, refunds
from payments.idempotency import Effect
from payments.models import MerchantBook, PaymentOrder, Refund
from payments.refunds import Wanted
from tests.faults.crashes import Boundaries, campaign, observed, stories
from tests.shop import Shop

AMOUNT = 100


@dataclass(frozen=True)
class Plan:
    """How a refund is asked for, what goes wrong with its call, and what the PSP makes of it later."""

    policy: str
    mode: str
    ends: str = "succeeded"
    fault: str = ""
    token: str = "pm_card_bypassPending"
    later: str = ""  # what happens at the PSP after its answer, told by a notification
    calls: int = 1
    answers: int = 1
    by_hand: bool = field(default=False)


_PLANS: dict[str, Plan] = {
    "succeeds": Plan("keep", "single"),
    "answer lost, with effect": Plan("return", "per_order", fault="drop_after", answers=0),
    "answer lost, without effect": Plan("proportional", "single", fault="drop_before", answers=0),
    "500, with effect": Plan("keep", "per_order", fault="500_after", answers=0),
    "refused": Plan("proportional", "per_order", ends="failed", by_hand=True, answers=0),
    "slow, then told": Plan("return", "single", token="pm_card_pendingRefund", later="arrives", calls=2),
    "fails before it was paid": Plan(
        "proportional",
        "single",
        ends="failed",
        token="pm_card_pendingRefund",
        later="fails",
        calls=2,
    ),
    "comes back after it was paid": Plan(
        "keep",
        "single",
        ends="failed",
        later="fails",
        calls=2,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", stories(_PLANS, "succeeds", "500, with effect", "slow, then told", "comes back after it was paid")
)
def test_a_crash_at_a_boundary_of_a_refund_costs_nothing(
    shop: Shop, settings: Any, record_property: Any, name: str
) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 0.25
    plan = _PLANS[name]
    MerchantBook.objects.filter(pk=shop.tenant.book.pk).update(refund_fee_policy=plan.policy)
    event = shop.buy(200_000, 50_000, token=plan.token, charge_mode=plan.mode)
    shop.settle_down()
    order = shop.orders(event)[0]
    if plan.by_hand:
        shop.refund_by_hand(str(order.charge.psp_id), 200_000)
    played = _Played(shop, plan, order)
    campaign(
        "refund",
        played.live,
        record_property,
        calls=plan.calls,
        answers=plan.answers,
        begin_at=list(_PLANS).index(name),
    )
    rows = list(Refund.objects.all())
    assert len(rows) == played.asked
    assert {row.status for row in rows} == {plan.ends}
    for row in rows:
        subject = public_id("rfd", row.public_id)
        booked = [kind for kind, reference in shop.journals() if reference.endswith(subject)]
        assert sorted(booked) == sorted(_verbs(row))
    order.refresh_from_db()
    assert order.refunded_minor == sum(row.amount_minor for row in rows if row.settled_at is not None)
    assert invariants.check().violations == []
    if not plan.by_hand:
        made = {row["metadata"]["florin_operation"] for row in shop.books()["refunds"]}
        assert len(made) == len(shop.books()["refunds"]) == len(rows), "the PSP was asked once for each"
        shop.check()


def _verbs(row: Refund) -> list[str]:
    """Return what is booked of a refund that ended so. A slow machine may fail one that was paid a moment before."""
    if row.settled_at is None:
        return ["request_refund", "cancel_refund"]
    return ["request_refund", "settle_refund"] + ["refund_returned"] * (row.status == Refund.Status.FAILED)


class _Played:
    """Plays one refund after the other of the same order."""

    def __init__(self, shop: Shop, plan: Plan, order: PaymentOrder) -> None:
        self.shop, self.plan, self.order = shop, plan, order
        self.asked = 0

    def live(self, boundaries: Boundaries) -> None:
        """Play one refund with one death; then let a new process go on until nothing is due."""
        shop, plan = self.shop, self.plan
        shop.reset_time()
        shop.psp.clear_faults(shop.psp_key)
        if plan.fault:
            shop.psp.faults(
                {"operation": "refunds.create", "kind": plan.fault, "times": 1, "seconds": 5}, key=shop.psp_key
            )
        self.asked += 1
        observed(boundaries, self._story)
        shop.psp.clear_faults(shop.psp_key)
        # The client that got no answer repeats its request; the PSP repeats what was not taken.
        self._ask()
        if plan.later:
            shop.pass_time(timedelta(minutes=2))
            shop.work()
            self._meanwhile()
        else:
            shop.settle_down()
        shop.deliver()
        shop.settle_down()
        row = Refund.objects.order_by("-id")[0]
        assert row.status == plan.ends, (row.status, shop.waiting())

    def _story(self) -> None:
        self._ask()
        self._execute()
        if self.plan.later:
            self._meanwhile()
            self.shop.deliver()
            self._execute()

    def _ask(self) -> None:
        """Ask as the API does: with a key under which the answer is kept."""
        now, order = seam.now(), self.order

        def run() -> Effect:
            made = refunds.request(order.event_id, Wanted(order.pk, AMOUNT), now=now)
            return Effect(201, {"id": public_id("rfd", made.public_id)})

        idempotency.replay_or_run(order.book_id, f"refund-{self.asked}", b"same", run, now=now)

    @staticmethod
    def _execute() -> None:
        while executor.execute():
            pass

    def _meanwhile(self) -> None:
        """Let happen at the PSP what the plan says, to the refund that it has under way."""
        if self.plan.later == "arrives":
            self.shop.psp.advance(10)
        elif self.plan.later == "fails":
            for row in self._at_the_psp():
                self.shop.psp.control(f"refunds/{row}/fail")

    def _at_the_psp(self) -> list[str]:
        answer = requests.get(
            f"{self.shop.psp.url}/v1/refunds", params={"limit": 1}, auth=(self.shop.psp_key, ""), timeout=30
        )
        return [row["id"] for row in answer.json()["data"] if row["status"] in ("pending", "succeeded")]
