"""Scenes of money that sellers get: released on delivery, paid out, and given back by a bank after it was paid."""

from collections.abc import Mapping
from typing import Any, Final

from config.demo import trading
from config.demo.shopper import Json
from config.demo.stage import Say, Scene, Stage, Told, expect

REVERSAL_SECONDS: Final = 2.0


def delivered(stage: Stage, say: Say) -> Told:
    """A seller's share waits until the goods have arrived."""
    paid = trading.sell(stage, say, "delivered", "Garden Gate", "480.00")
    trading.expect_wallet(stage, "Garden Gate", pending="432.00", available="0.00")
    say("432.00 EUR wait for the delivery: 480.00 less the platform's tenth")
    for _ in range(2):
        trading.deliver(stage, paid)
    has = trading.expect_wallet(stage, "Garden Gate", pending="0.00", available="432.00")
    released = [line for line in trading.lines(stage, "Garden Gate") if line["kind"] == "release"]
    expect(len(released) == 1, f"delivered twice, released {len(released)} times")
    sentence = "432.00 EUR are available since the delivery; it was reported twice and counted once"
    figures = {"order": paid["payment_orders"][0]["id"], "captured": paid["amount_captured"], "released": "432.00"}
    return Told(sentence, {**figures, "releases": len(released), "available": has["available"], "currency": "EUR"})


def bounced_payout(stage: Stage, say: Say) -> Told:
    """The PSP says paid, then the seller's bank gives the money back."""
    seller = "Bike Shed"
    paid = trading.sell(stage, say, "bounced payout", seller, "150.00")
    trading.make_payable(stage, say, seller)
    trading.deliver(stage, paid)
    out = trading.pay_out(stage, say, seller, "100.00")
    trading.expect_wallet(stage, seller, available="35.00", in_transit="0.00")
    tree = stage.shopper.get(f"/payouts/{out['id']}/explain")
    shown = [(leaf["amount"], leaf["order"] and leaf["order"]["id"]) for leaf in trading.leaves(tree["pays"])]
    expect(shown == [("100.00", paid["payment_orders"][0]["id"])], f"{out['id']} pays {shown}")
    say("paid; explained: 100.00 EUR of the order's 135.00. Now the seller's bank gives it back")
    stage.market.psp.slow_reversals(REVERSAL_SECONDS)
    stage.market.psp.send_back(out["id"])
    failed = trading.wait_for_payout(stage, out["id"], lambda found: found["status"] in ("failed", "returned"))
    seen = _while_failed(stage, seller, failed)
    if seen:
        say("failed: the money is at the PSP, so the wallet still has 35.00 EUR, and 100.00 in transit")
    trading.wait_for_payout(stage, out["id"], lambda found: found["status"] == "returned")
    has = trading.expect_wallet(stage, seller, available="135.00", in_transit="0.00")
    journey = [(line["kind"], line["change"]["available"]) for line in trading.lines(stage, seller)][-4:]
    wanted = [("reserve_payout", "-100.00"), ("pay_out", "0.00"), ("unpay_payout", "0.00"), ("return_payout", "100.00")]
    expect(journey == wanted, f"the wallet's lines are {journey}")
    sentence = "paid, then failed, then returned: 135.00 EUR are available again since the transfer was taken back"
    figures = {"payout": out["id"], "paid_out": out["amount"], "status": "returned", "seen_failed": seen}
    return Told(
        sentence,
        {**figures, "reason": failed["failure"]["code"], "available": has["available"], "currency": "EUR"},
    )


def _while_failed(stage: Stage, seller: str, failed: Json) -> bool:
    """Look into the wallet while the money is on its way back. It may be back before we look; nothing is wrong then."""
    has = trading.wallet(stage, seller)
    if stage.shopper.get(f"/payouts/{failed['id']}")["status"] != "failed":
        return False
    expect((has["available"], has["in_transit"]) == ("35.00", "100.00"), f"{seller} has {has} before the money is back")
    return True


FIRST: Final = Scene("delivered", delivered)
SCENES: Final = (Scene("bounced payout", bounced_payout),)
SELLERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Garden Gate": {"external_id": "garden-gate", "country": "DE"},
    "Bike Shed": {"external_id": "bike-shed", "country": "NL"},
}
