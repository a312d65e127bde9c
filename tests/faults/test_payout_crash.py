"""The process dies once, at boundaries of a payout, before them and after them; then a new process goes on.

What must hold each time: the seller is paid once, or has the money again; our books equal the PSP's.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import ProgrammingError

from config import seam
from config.seam import Crash, Crossing
from ledger import invariants
from payments import executor, payouts
from payments.models import Payout
from payments.payouts import PayoutRequest
from tests.faults.crashes import Boundaries, bury
from tests.market import ACTOR, Market
from tests.shop import Shop

_FAULTS: dict[str, dict[str, str]] = {
    "none": {},
    "transfer lost before": {"operation": "transfers.create", "kind": "drop_before"},
    "transfer lost after": {"operation": "transfers.create", "kind": "drop_after"},
    "transfer answered 500 after": {"operation": "transfers.create", "kind": "500_after"},
    "payout lost after": {"operation": "payouts.create", "kind": "drop_after"},
    "payout answered 500 before": {"operation": "payouts.create", "kind": "500_before"},
}
MAX_BOUNDARIES = 400
STRIDE = 9  # boundaries are sampled: each fault begins at another one


class _Numbered(Boundaries):
    """Remembers which boundaries are calls to the PSP: each of them is a place to die."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def __call__(self, crossing: Crossing) -> None:
        """Note a crossing."""
        if crossing.kind == "http":
            self.calls.append(self.seen)
        super().__call__(crossing)


@pytest.mark.slow
@pytest.mark.parametrize("fault", _FAULTS)
def test_a_crash_at_a_boundary_pays_once(shop: Shop, market: Market, record_property: Any, fault: str) -> None:
    market.earn(100_000)
    _live(shop, market, fault, Boundaries())  # the bank account is made known, connections are warm
    baseline = _Numbered()
    _live(shop, market, fault, baseline)
    assert len(baseline.calls) >= 3, "the balance, and what the fault lets through of transfer and payout"
    died: Counter[str] = Counter()
    sampled = range(list(_FAULTS).index(fault), MAX_BOUNDARIES, STRIDE)
    for number in (*baseline.calls, *sampled):
        boundaries = Boundaries(crash_at=number)
        _live(shop, market, fault, boundaries)
        if boundaries.died_at is None:
            break
        died[f"{boundaries.died_at.kind}, {boundaries.died_at.side}"] += 1
    assert died["http, before"] > 0
    assert died["http, after"] > 0
    assert sum(died.values()) >= baseline.seen // STRIDE > 0
    rows = list(Payout.objects.all())
    assert {row.status for row in rows} <= {Payout.Status.SENT, Payout.Status.PAID}
    transfers = Counter(transfer["metadata"]["florin_payout"] for transfer in shop.books()["transfers"])
    assert len(transfers) == len(rows)
    assert set(transfers.values()) == {1}, "every seller was sent the money once"
    assert len(shop.books()["payouts"]) == len(rows)
    assert market.connected() == sum(row.amount_minor for row in rows if row.status == Payout.Status.SENT)
    assert invariants.violations() == []
    shop.check()
    record_property("crash_scenarios", sum(died.values()))
    record_property("crash_boundaries", dict(died))


def _live(shop: Shop, market: Market, fault: str, boundaries: Boundaries) -> None:
    """Play one payout with one death; then let a new process go on until nothing is due."""
    shop.reset_time()
    shop.psp.clear_faults(shop.psp_key)
    if _FAULTS[fault]:
        shop.psp.faults({**_FAULTS[fault], "times": 1}, key=shop.psp_key)
    wanted = PayoutRequest(market.seller.pk, "EUR", 100, f"payout-{Payout.objects.count()}-{boundaries.crash_at}")
    try:
        with seam.observed_by(boundaries):
            payouts.request(shop.tenant.book.pk, wanted, actor=ACTOR, now=seam.now())
            while executor.execute():
                pass
    except (Crash, ProgrammingError):
        assert boundaries.died_at is not None
        bury()
    shop.psp.clear_faults(shop.psp_key)
    if not Payout.objects.filter(reference=wanted.reference).exists():
        payouts.request(shop.tenant.book.pk, wanted, actor=ACTOR, now=seam.now())
    _recover(shop, wanted.reference or "")


def _recover(shop: Shop, reference: str) -> None:
    for _ in range(20):
        shop.work()
        row = Payout.objects.get(reference=reference)
        if row.status in (Payout.Status.SENT, Payout.Status.PAID) and row.psp_id:
            return
        shop.pass_time(timedelta(minutes=2))
    raise AssertionError(f"{row.status} {row.waiting_for}: {shop.waiting()}")
