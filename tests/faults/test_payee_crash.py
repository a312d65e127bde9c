"""The process dies once while a bank account is made known to the PSP, and while a payout comes back.

What must hold each time: one account at the PSP for each bank account, one transfer and one reversal for each payout;
the seller is paid once, or has the money again; our books equal the PSP's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

from config import seam
from payments import executor, invariants, payouts
from payments.models import Payout, PayoutDestination
from payments.payouts import PayoutRequest
from tests.faults.crashes import Boundaries, campaign, observed, stories
from tests.market import ACTOR, GOOD_IBAN, Market
from tests.shop import Shop

OTHER_IBAN = "DE02120300000000202051"
AMOUNT = 100
_PAYEE_FAULTS = {
    "none": "",
    "lost before": "drop_before",
    "lost after": "drop_after",
    "500 after": "500_after",
}
_RETURN_FAULTS = {
    "none": "",
    "reversal lost before": "drop_before",
    "reversal lost after": "drop_after",
    "reversal answered 500 after": "500_after",
}


def pages(shop: Shop, name: str) -> list[dict[str, Any]]:
    """Return everything that the PSP lists of a kind."""
    rows: list[dict[str, Any]] = []
    for _ in range(100):
        params: dict[str, Any] = {"limit": 100} | ({"starting_after": rows[-1]["id"]} if rows else {})
        answer = requests.get(f"{shop.psp.url}/v1/{name}", params=params, auth=(shop.psp_key, ""), timeout=30).json()
        rows += answer["data"]
        if not answer["has_more"]:
            return rows
    raise AssertionError("the list does not end")


def ask(shop: Shop, market: Market, reference: str) -> Payout:
    """Ask for a payout, once for each reference."""
    known = Payout.objects.filter(reference=reference).first()
    wanted = PayoutRequest(market.seller.pk, "EUR", AMOUNT, reference)
    return known or payouts.request(shop.tenant.book.pk, wanted, actor=ACTOR, now=seam.now())


def go_on(shop: Shop, reference: str, *statuses: str) -> Payout:
    """Let a new process work until a payout has come to its end."""
    for _ in range(20):
        shop.work()
        row = Payout.objects.get(reference=reference)
        if row.status in statuses and row.psp_id:
            return row
        shop.pass_time(timedelta(minutes=2))
    raise AssertionError(f"{row.status} {row.waiting_for}: {shop.waiting()}")


def execute() -> None:
    """Work until nothing is due."""
    while executor.execute():
        pass


@pytest.mark.slow
@pytest.mark.parametrize("fault", stories(_PAYEE_FAULTS, "none", "lost after"))
def test_a_crash_while_a_bank_account_is_made_known_makes_it_known_once(
    shop: Shop, market: Market, settings: Any, record_property: Any, fault: str
) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 0.25
    market.earn(100_000)
    played = 0

    def live(boundaries: Boundaries) -> None:
        nonlocal played
        played += 1
        reference = f"payout-{played}"
        market.destination(market.seller, iban=(GOOD_IBAN, OTHER_IBAN)[played % 2])
        shop.reset_time()
        _order_fault(shop, "accounts.create", _PAYEE_FAULTS[fault])

        def story() -> None:
            ask(shop, market, reference)
            execute()

        observed(boundaries, story)
        shop.psp.clear_faults(shop.psp_key)
        ask(shop, market, reference)
        go_on(shop, reference, Payout.Status.SENT, Payout.Status.PAID)

    calls = 4 if fault == "none" else 1
    campaign("payee", live, record_property, calls=calls, answers=calls - 1, begin_at=list(_PAYEE_FAULTS).index(fault))
    assert len(pages(shop, "accounts")) == PayoutDestination.objects.filter(payouts__isnull=False).distinct().count()
    assert len(shop.books()["transfers"]) == len(shop.books()["payouts"]) == Payout.objects.count() == played
    assert invariants.check().violations == []
    shop.check()


@pytest.mark.slow
@pytest.mark.parametrize("fault", stories(_RETURN_FAULTS, "none", "reversal answered 500 after"))
def test_a_crash_while_a_payout_comes_back_brings_it_back_once(
    shop: Shop, market: Market, settings: Any, record_property: Any, fault: str
) -> None:
    settings.PSP_READ_TIMEOUT_SECONDS = 0.25
    market.earn(100_000)
    played = 0

    def live(boundaries: Boundaries) -> None:
        nonlocal played
        played += 1
        reference = f"payout-{played}"
        shop.reset_time()
        shop.psp.clear_faults(shop.psp_key)
        ask(shop, market, reference)
        row = go_on(shop, reference, Payout.Status.SENT, Payout.Status.PAID)
        _order_fault(shop, "transfers.reversals.create", _RETURN_FAULTS[fault])

        def story() -> None:
            for status in ("paid", "failed"):
                _bank_says(shop, market, row, status)
                execute()

        observed(boundaries, story)
        shop.psp.clear_faults(shop.psp_key)
        for status in ("paid", "failed"):
            _bank_says(shop, market, row, status)
        go_on(shop, reference, Payout.Status.RETURNED)

    calls = 3 if fault == "none" else 1
    campaign(
        "payout that comes back",
        live,
        record_property,
        calls=calls,
        answers=calls - 1,
        begin_at=list(_RETURN_FAULTS).index(fault),
    )
    transfers = shop.books()["transfers"]
    assert [(row["amount"], row["amount_reversed"]) for row in transfers] == [(AMOUNT, AMOUNT)] * played
    assert {row.status for row in Payout.objects.all()} == {Payout.Status.RETURNED}
    assert (market.wallet()["in_transit"], market.connected()) == (0, 0)
    kinds = [kind for kind, _ in shop.journals()]
    assert kinds.count("return_payout") == kinds.count("fund_payout") == played
    assert invariants.check().violations == []
    shop.check()


def _order_fault(shop: Shop, operation: str, kind: str) -> None:
    shop.psp.clear_faults(shop.psp_key)
    if kind:
        shop.psp.faults({"operation": operation, "kind": kind, "times": 1, "seconds": 5}, key=shop.psp_key)


def _bank_says(shop: Shop, market: Market, row: Payout, status: str) -> None:
    """Let the payout at the PSP go where the bank says, once; and let us hear of it."""
    now_at = {"paid": ("pending", "in_transit"), "failed": ("pending", "in_transit", "paid")}[status]
    found = next(payout for payout in shop.books()["payouts"] if payout["id"] == row.psp_id)
    if found["status"] in now_at:
        market.bank_says(row, status, work=False)
    else:
        Payout.objects.filter(pk=row.pk, due_at__isnull=False).update(due_at=seam.now(), tries=0)
