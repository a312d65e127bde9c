"""The process dies once, at boundaries of a payout, before them and after them; then a new process goes on.

What must hold each time: the seller is paid once, or has the money again; our books equal the PSP's.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from config import seam
from ledger import invariants
from payments import executor, payouts
from payments.models import Payout
from payments.payouts import PayoutRequest
from tests.faults.crashes import Boundaries, campaign, observed, stories
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


@pytest.mark.slow
@pytest.mark.parametrize("fault", stories(_FAULTS, *_FAULTS))
def test_a_crash_at_a_boundary_pays_once(shop: Shop, market: Market, record_property: Any, fault: str) -> None:
    market.earn(100_000)
    broken = 0 if fault == "none" else 1
    campaign(
        "payout",
        lambda boundaries: _live(shop, market, fault, boundaries),
        record_property,
        calls=2,
        answers=2 - broken,
        begin_at=list(_FAULTS).index(fault),
    )
    rows = list(Payout.objects.all())
    assert {row.status for row in rows} <= {Payout.Status.SENT, Payout.Status.PAID}
    transfers = Counter(transfer["metadata"]["florin_payout"] for transfer in shop.books()["transfers"])
    assert len(transfers) == len(rows)
    assert set(transfers.values()) == {1}, "every seller was sent the money once"
    assert len(shop.books()["payouts"]) == len(rows)
    assert market.connected() == sum(row.amount_minor for row in rows if row.status == Payout.Status.SENT)
    assert invariants.violations() == []
    shop.check()


def _live(shop: Shop, market: Market, fault: str, boundaries: Boundaries) -> None:
    """Play one payout with one death; then let a new process go on until nothing is due."""
    shop.reset_time()
    shop.psp.clear_faults(shop.psp_key)
    if _FAULTS[fault]:
        shop.psp.faults({**_FAULTS[fault], "times": 1}, key=shop.psp_key)
    wanted = PayoutRequest(
        market.seller.pk,
        "EUR",
        100,
        f"payout-{Payout.objects.count()}-{boundaries.crash_at}-{boundaries.crash_at_call}",
    )

    def story() -> None:
        payouts.request(shop.tenant.book.pk, wanted, actor=ACTOR, now=seam.now())
        while executor.execute():
            pass

    observed(boundaries, story)
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
