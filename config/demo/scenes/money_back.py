"""Scenes of money that goes back: a refund in part, and a dispute that is lost when the seller's money has left."""

from collections.abc import Mapping
from typing import Any, Final

from config.demo import trading
from config.demo.shopper import ApiRefusal, Json
from config.demo.stage import WAIT_SECONDS, Say, Scene, Stage, Told, expect


def partial_refund(stage: Stage, say: Say) -> Told:
    """A part of an order goes back to its buyer, and the platform gives back its fee in proportion."""
    paid = trading.sell(stage, say, "partial refund", "Toy Chest", "50.00")
    trading.expect_wallet(stage, "Toy Chest", pending="45.00")
    order = paid["payment_orders"][0]["id"]
    asked = stage.shopper.post("/refunds", {"payment_order": order, "amount": "20.00"}).body
    say(f"{asked['id']}  20.00 of 50.00 EUR go back: {asked['from_seller']['pending']} from what waits for delivery")
    back = stage.shopper.wait_for(f"/refunds/{asked['id']}", _ended, seconds=WAIT_SECONDS)
    expect(back["status"] == "succeeded", f"{back['id']} is {back['status']}, not succeeded")
    refused = _refused(stage, {"payment_order": order, "amount": "30.01"})
    expect(refused == "refund_exceeds_captured", f"a refund of more than is left was answered {refused or 'with yes'}")
    say("one more over 30.01 EUR is refused: 30.00 EUR are left")
    trading.deliver(stage, paid)
    has = trading.expect_wallet(stage, "Toy Chest", pending="0.00", available="27.00", debt="0.00")
    sentence = "20.00 EUR refunded: 18.00 from the seller, 2.00 of the platform's fee; 27.00 released for the rest"
    return Told(
        sentence,
        {
            "refund": back["id"],
            "captured": "50.00",
            "refunded": back["amount"],
            "of_the_fee": back["platform_fee"],
            "from_the_seller": back["from_seller"]["pending"],
            "refused": refused,
            "available": has["available"],
            "currency": "EUR",
        },
    )


def _ended(found: Json) -> bool:
    return bool(found["status"] != "pending")


def _refused(stage: Stage, body: Mapping[str, str]) -> str:
    try:
        stage.shopper.post("/refunds", body)
    except ApiRefusal as refusal:
        return refusal.code
    return ""


def lost_dispute(stage: Stage, say: Say) -> Told:
    """A bank takes the money of a sale back when the seller has been paid out: the seller owes it."""
    seller = "Gadget Barn"
    paid = trading.sell(stage, say, "lost dispute", seller, "80.00")
    trading.make_payable(stage, say, seller)
    trading.deliver(stage, paid)
    out = trading.pay_out(stage, say, seller, "all")
    trading.expect_wallet(stage, seller, available="0.00", debt="0.00")
    theirs = stage.market.psp.dispute(paid["checkout_id"])
    dispute = _dispute_of(stage, paid["id"])
    expect(dispute["psp_id"] == theirs, f"{dispute['id']} is not the dispute {theirs}")
    trading.expect_wallet(stage, seller, reserved="72.00", debt="72.00")
    say(f"{dispute['id']}  the buyer's bank took 80.00 EUR back, and the PSP {dispute['fee']} for it")
    stage.market.psp.decide(theirs, "lost")
    lost = stage.shopper.wait_for(f"/disputes/{dispute['id']}", _is_closed, seconds=WAIT_SECONDS)
    expect(lost["status"] == "lost", f"{lost['id']} is {lost['status']}, not lost")
    trading.expect_wallet(stage, seller, available="0.00", reserved="0.00", debt="72.00")
    owed = _owed(stage, seller, lost)
    say(f"lost. {seller} was paid out {out['amount']} EUR before and owes {owed} because of {lost['id']}")
    trading.deliver(stage, trading.sell(stage, say, "lost dispute", seller, "30.00", cart="next-sale"))
    has = trading.expect_wallet(stage, seller, available="0.00", debt="45.00", balance="-45.00")
    sentence = f"{seller} owes 72.00 EUR by name of the dispute; its next sale paid 27.00 of it, 45.00 are left"
    return Told(
        sentence,
        {
            "dispute": lost["id"],
            "status": lost["status"],
            "payout": out["id"],
            "paid_out": out["amount"],
            "taken": lost["amount_taken"],
            "charge_of_the_psp": lost["fee"],
            "debt": owed,
            "netted": "27.00",
            "debt_left": has["debt"],
            "debt_left_by_name": _owed(stage, seller, lost),
            "currency": "EUR",
        },
    )


def _is_closed(found: Json) -> bool:
    return bool(found["closed_at"])


def _dispute_of(stage: Stage, payment: str) -> Json:
    """Wait until we have heard of the only dispute of a payment."""
    path = f"/disputes?payment={payment}"
    found = stage.shopper.wait_for(path, lambda page: bool(page["data"]), seconds=WAIT_SECONDS)["data"][0]
    return dict(found)


def _owed(stage: Stage, seller: str, dispute: Json) -> str:
    """Return what a seller still owes. Raises `Unexpected` unless it is all because of one dispute."""
    debts = stage.shopper.get(f"/sellers/{stage.sellers[seller]}/debts")["data"]
    names = [(debt["kind"], debt["subject"], debt["of"], debt["age"]) for debt in debts]
    expect(names == [("open_dispute", f"{dispute['id']}:1", "72.00", "0-30")], f"the debt of {seller} is of {names}")
    return str(debts[0]["amount"])


SCENES: Final = (Scene("partial refund", partial_refund), Scene("lost dispute", lost_dispute))
SELLERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Toy Chest": {"external_id": "toy-chest", "country": "AT"},
    "Gadget Barn": {"external_id": "gadget-barn", "country": "DE"},
}
