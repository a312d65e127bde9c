"""A refund did not arrive: one person proposes who gets the money, another approves, and nobody is waited for then."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from django.core.management import CommandError, call_command

from config import seam
from ledger.errors import LedgerError, ReferenceConflict
from ledger.ids import public_id
from payments import cancellations, found_refunds, invariants, refund_decisions, refunds
from payments.errors import InvalidState, NotFound
from payments.models import FoundRefund, MerchantBook, PspOperation, Refund
from payments.refund_decisions import Bearer
from payments.refunds import Wanted
from tests.shop import Shop
from wallet import proposals
from wallet.errors import MakerIsChecker

MAKER, CHECKER = "user:maker", "user:checker"


@pytest.fixture
def returned(shop: Shop) -> Refund:
    """Give a refund of 10.00 that came back after it was paid; 1.00 of it was the platform's fee."""
    MerchantBook.objects.filter(pk=shop.tenant.book.pk).update(refund_fee_policy="return")
    event = shop.buy(1000, token="pm_card_refundFail")
    shop.work()
    made = refunds.request(event.pk, Wanted(shop.orders(event)[0].pk), now=seam.now())
    shop.work()
    shop.psp.advance(60)
    shop.notify()
    shop.work()
    made.refresh_from_db()
    assert (made.status, made.attention_at is not None) == ("failed", True)
    return made


def decide(refund: Refund, bearer: Bearer) -> None:
    """Propose and approve, and let the sweeper conclude."""
    made, _ = refund_decisions.propose(refund.pk, bearer, maker=MAKER, reason="the card is closed", now=seam.now())
    assert refund_decisions.conclude(now=seam.now()) == 0, "proposed is not decided"
    proposals.approve(made.pk, checker=CHECKER, now=seam.now())
    assert refund_decisions.conclude(now=seam.now()) == 1
    assert refund_decisions.conclude(now=seam.now()) == 0


def sound(shop: Shop) -> None:
    """Assert that nothing is wrong, nobody is waited for, and the PSP's books agree."""
    checked = invariants.check()
    assert (checked.violations, checked.warnings) == ([], [])
    shop.check()


@pytest.mark.parametrize(
    ("bearer", "expected"),
    [
        (Bearer.SELLER, {"available": 900, "fees:platform:EUR": -100}),
        (Bearer.BANK, {"bank:main:EUR": -1000}),
        (Bearer.PLATFORM, {"write_off:EUR": -1000}),
    ],
)
def test_the_money_goes_where_two_people_say(
    shop: Shop, returned: Refund, bearer: Bearer, expected: dict[str, int]
) -> None:
    decide(returned, bearer)
    returned.refresh_from_db()
    assert (returned.status, returned.attention_at) == ("failed", None)
    balances = {"available": shop.wallet().available, **shop.balances()}
    assert balances.get("refund:payable:EUR", 0) == 0
    for name, amount in expected.items():
        assert balances[name] == amount
    sound(shop)


def test_money_that_came_too_late_and_cannot_go_back_is_decided_too(shop: Shop) -> None:
    event = shop.buy(1000, token="pm_sandbox_late_success", method_types=())
    shop.work()
    cancellations.cancel(event.pk, reason="cancelled", now=seam.now())
    shop.settle_down()
    shop.psp.faults({"operation": "refunds.create", "kind": "429", "times": 100}, key=shop.psp_key)
    shop.psp.advance(60)
    shop.notify()
    shop.work()
    refund = Refund.objects.get()
    shop.psp.clear_faults(shop.psp_key)
    shop.settle_down()
    refund.refresh_from_db()
    assert refund.status == "succeeded"
    shop.psp.control(f"refunds/{refund.psp_id}/fail")
    shop.notify()
    shop.settle_down()
    refund.refresh_from_db()
    assert refund.attention_at is not None
    with pytest.raises(InvalidState):
        refund_decisions.propose(refund.pk, Bearer.SELLER, maker=MAKER, reason="x", now=seam.now())
    decide(refund, Bearer.BANK)
    assert not PspOperation.objects.filter(dead_at__isnull=False).exists()
    sound(shop)


def test_what_was_paid_after_its_request_was_taken_back_is_borne_by_somebody(shop: Shop) -> None:
    """The PSP says no, and pays nevertheless: the seller has the share, and the money is gone."""
    event = shop.buy(1000)
    shop.work()
    order = shop.orders(event)[0]
    intent = shop.books()["charges"][0]["payment_intent"]
    shop.refund_by_hand(intent, 1000)
    refund = refunds.request(event.pk, Wanted(order.pk), now=seam.now())
    shop.work()
    shop.psp.control(f"refunds/{shop.books()['refunds'][0]['id']}/fail")
    operation = PspOperation.objects.get(refund=refund)
    requests.post(
        f"{shop.psp.url}/v1/refunds",
        data={"payment_intent": intent, "metadata[florin_operation]": str(operation.public_id)},
        auth=(shop.psp_key, ""),
        timeout=30,
    ).raise_for_status()
    shop.notify()
    shop.settle_down()
    refund.refresh_from_db()
    assert (refund.status, refund.settled_at, refund.attention_at is not None) == ("failed", None, True)
    assert not any(found_refunds.is_open(found) for found in FoundRefund.objects.all()), "it is ours"
    with pytest.raises(InvalidState):
        refund_decisions.propose(refund.pk, Bearer.BANK, maker=MAKER, reason="x", now=seam.now())
    with pytest.raises(LedgerError):
        # The share is pending, not available: the floor of the wallet holds.
        refund_decisions.propose(refund.pk, Bearer.SELLER, maker=MAKER, reason="x", now=seam.now())
    decide(refund, Bearer.PLATFORM)
    assert shop.balances()["write_off:EUR"] == 1000
    sound(shop)


def test_nobody_decides_alone_or_twice_or_about_a_refund_that_arrived(shop: Shop, returned: Refund) -> None:
    before = shop.journals()
    made, is_new = refund_decisions.propose(returned.pk, Bearer.BANK, maker=MAKER, reason="x", now=seam.now())
    again, was_new = refund_decisions.propose(returned.pk, Bearer.BANK, maker=MAKER, reason="x", now=seam.now())
    assert (is_new, was_new, again.pk) == (True, False, made.pk)
    with pytest.raises(ReferenceConflict):
        refund_decisions.propose(returned.pk, Bearer.SELLER, maker=MAKER, reason="x", now=seam.now())
    with pytest.raises(MakerIsChecker):
        proposals.approve(made.pk, checker=MAKER, now=seam.now())
    assert shop.journals() == before
    proposals.reject(made.pk, checker=CHECKER, now=seam.now())
    assert refund_decisions.conclude(now=seam.now()) == 0
    decide(returned, Bearer.SELLER)
    with pytest.raises(InvalidState):
        refund_decisions.propose(returned.pk, Bearer.BANK, maker=MAKER, reason="x", now=seam.now())
    with pytest.raises(NotFound):
        refund_decisions.propose(0, Bearer.BANK, maker=MAKER, reason="x", now=seam.now())
    assert [kind for kind, _ in shop.journals()].count("adjust") == 1


def test_the_command_proposes_and_says_what_waits(shop: Shop, returned: Refund, capsys: Any) -> None:
    name = public_id("rfd", returned.public_id)
    call_command("decide_refund", name, "--to", "seller", "--reason", "the buyer has it", "--actor", MAKER, "--json")
    shown = json.loads(capsys.readouterr().out)
    assert (shown["reference"], shown["created"]) == (f"adjust:{name}", True)
    with pytest.raises(CommandError):
        call_command("decide_refund", "rfd_nothing", "--to", "seller", "--reason", "x")
    assert shop.wallet().available == 0
