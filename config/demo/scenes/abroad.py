"""The scene of a seller who is paid in another currency than its buyers pay in."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from config.demo import trading
from config.demo.shopper import Json
from config.demo.stage import WAIT_SECONDS, Say, Scene, Stage, Told, expect

SELLER: Final = "Kyoto Tea"


def other_currency(stage: Stage, say: Say) -> Told:
    """What is released in euros becomes yen by a quote; a refund takes it back at the rate of that quote."""
    paid = trading.sell(stage, say, "other currency", SELLER, "60.00")
    trading.deliver(stage, paid)
    say("54.00 EUR are released; the seller is paid in yen")
    wallets = f"/sellers/{stage.sellers[SELLER]}/wallets"
    stage.shopper.wait_for(wallets, _has_yen, seconds=WAIT_SECONDS)
    euros = trading.expect_wallet(stage, SELLER, available="0.00")
    quotes = stage.shopper.get(f"/wallets/{euros['id']}/quotes")["data"]
    expect(len(quotes) == 1 and bool(quotes[0]["executed_at"]), f"{SELLER} was changed by {len(quotes)} quotes")
    quote: Json = quotes[0]
    # 54.00 EUR are 5,400 minor units; yen have no decimals, and this merchant takes no margin.
    worth = round(54 * Fraction(quote["rate_exact"]))
    seen = (quote["amount"], quote["worth"], quote["received"], quote["margin"])
    expect(seen == ("54.00", str(worth), str(worth), "0"), f"{quote['id']} says {seen}, at its rate it is {worth} JPY")
    trading.expect_wallet(stage, SELLER, currency="JPY", available=str(worth))
    say(f"{quote['id']}  at {quote['rate']}, {quote['rate_source']} of {quote['rate_date']}: {worth} JPY")
    order = paid["payment_orders"][0]["id"]
    refund = stage.shopper.post("/refunds", {"payment_order": order, "amount": "10.00"}).body
    stage.shopper.wait_for(f"/refunds/{refund['id']}", _has_ended, seconds=WAIT_SECONDS)
    taken = worth * 900 // 5400
    has = trading.expect_wallet(stage, SELLER, currency="JPY", available=str(worth - taken), debt="0")
    trading.expect_wallet(stage, SELLER, available="0.00", debt="0.00")
    sentence = f"54.00 EUR became {worth} JPY; a refund of 10.00 EUR took back {taken} JPY at the rate of the sale"
    figures = {"quote": quote["id"], "rate": quote["rate_exact"], "source": quote["rate_source"]}
    return Told(
        sentence,
        {
            **figures,
            "observed_on": quote["rate_date"],
            "changed": "54.00 EUR",
            "received": f"{worth} JPY",
            "refund": refund["id"],
            "taken_back": f"{taken} JPY",
            "available": f"{has['available']} JPY",
        },
    )


def _has_yen(found: Json) -> bool:
    return any(row["currency"] == "JPY" and row["available"] != "0" for row in found["data"])


def _has_ended(found: Json) -> bool:
    return bool(found["status"] == "succeeded")


SCENES: Final = (Scene("other currency", other_currency),)
SELLERS: Final[Mapping[str, Mapping[str, Any]]] = {
    SELLER: {"external_id": "kyoto-tea", "country": "JP", "default_currency": "JPY", "settlement_currency": "JPY"},
}
