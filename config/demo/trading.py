"""What several scenes do with a seller: sell, deliver, make payable, pay out, look at what it has and owes.

Each scene has sellers of its own, so that the figures that it expects are exact although all scenes play at once.
"""

from collections.abc import Callable
from typing import Any, Final

from config.demo.shopper import Json, TakesTooLong
from config.demo.stage import WAIT_SECONDS, Say, Stage, expect

# The PSP has this card's money at once; that of other cards is there after two days.
AT_ONCE: Final = "pm_card_bypassPending"
IBAN: Final = "DE89370400440532013000"


def sell(stage: Stage, say: Say, scene: str, seller: str, amount: str, *, cart: str = "") -> Json:
    """Sell something of one seller for euros, paid by card; return the payment with its only order."""
    more = {"checkout_id": f"{cart}-{stage.run}"} if cart else {}
    made = stage.buy(say, scene, "EUR", {seller: amount}, token=AT_ONCE, **more)
    return stage.settled(made["id"], "succeeded")


def deliver(stage: Stage, payment: Json) -> None:
    """Say that the only order of a payment was delivered: its seller's share becomes available."""
    stage.shopper.post(f"/payment-orders/{payment['payment_orders'][0]['id']}/deliver", {})


def wallet(stage: Stage, seller: str, currency: str = "EUR") -> Json:
    """Return what a seller has in a currency."""
    found = stage.shopper.get(f"/sellers/{stage.sellers[seller]}/wallets")["data"]
    own = {row["currency"]: row for row in found}
    expect(currency in own, f"{seller} has no wallet in {currency}")
    return dict(own[currency])


def expect_wallet(stage: Stage, seller: str, *, currency: str = "EUR", **parts: str) -> Json:
    """Raise `Unexpected` unless the parts of a wallet are as named."""
    found = wallet(stage, seller, currency)
    is_there = {name: found[name] for name in parts}
    expect(is_there == parts, f"{seller} has {is_there} {currency} instead of {parts}")
    return found


def lines(stage: Stage, seller: str, currency: str = "EUR") -> list[Json]:
    """Return what moved a wallet, oldest first."""
    own = wallet(stage, seller, currency)["id"]
    return list(stage.shopper.get(f"/wallets/{own}/transactions", limit=100)["data"])


def make_payable(stage: Stage, say: Say, seller: str, *, iban: str = IBAN) -> None:
    """Record that a seller was verified, and set its bank account by a signed request."""
    own = stage.sellers[seller]
    stage.shopper.post(f"/sellers/{own}/kyc", {"status": "verified", "reference": f"check-{stage.run}"})
    details = {"type": "iban", "iban": iban, "account_holder": seller, "currency": "EUR"}
    account = stage.shopper.put_signed(f"/sellers/{own}/payout-destination", details)
    say(f"{seller} is verified; its bank account {account['account']} was set by a signed request")


def pay_out(stage: Stage, say: Say, seller: str, amount: str) -> Json:
    """Ask for a payout and wait until the seller's bank has it."""
    body = {"seller": stage.sellers[seller], "amount": amount, "currency": "EUR"}
    made = stage.shopper.post("/payouts", body).body
    say(f"{made['id']}  {made['amount']} EUR for {seller}: set aside, transferred, paid")
    paid = wait_for_payout(stage, made["id"], lambda found: found["status"] not in ("pending", "sent"))
    expect(paid["status"] == "paid", f"{made['id']} is {paid['status']}, not paid")
    return paid


def wait_for_payout(stage: Stage, payout: str, is_there: Callable[[Json], bool]) -> Json:
    """Look at a payout until it is as wanted. Raises `TakesTooLong` with what it waits for."""
    try:
        return stage.shopper.wait_for(f"/payouts/{payout}", is_there, seconds=WAIT_SECONDS)
    except TakesTooLong:
        found = stage.shopper.get(f"/payouts/{payout}")
        waits = f", waiting for {found['waiting_for']}" if found["waiting_for"] else ""
        raise TakesTooLong(f"{payout} is still {found['status']}{waits}") from None


def leaves(pays: list[dict[str, Any]]) -> list[Json]:
    """Return the leaves of what a payout pays: what came back of an earlier payout is what that had paid."""
    return [leaf for part in pays for leaf in (leaves(part["pays"]) or [part])]
