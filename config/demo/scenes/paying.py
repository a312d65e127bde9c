"""Scenes of paying: what buyers, shops and a PSP do in an hour, told in seconds.

Each scene is one checkout and plays by itself, so all of them play at once.
"""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from config.demo.browser import Browser, Page
from config.demo.shopper import Answer, Json, new_key
from config.demo.stage import WAIT_SECONDS, Say, Scene, Stage, Told, expect, told

CLICKS: Final = 20
VISA: Final = "pm_card_visa"
MASTERCARD: Final = "pm_card_mastercard"
EMPTY_CARD: Final = "pm_card_chargeDeclinedInsufficientFunds"
QR: Final = "pm_sandbox_qr"
LATE: Final = "pm_sandbox_late_success"


def three_sellers(stage: Stage, say: Say) -> Told:
    """One charge pays three sellers."""
    amounts = {"Tea House": "19.99", "Paper Mill": "5.01", "Lamp Works": "74.50"}
    made = stage.buy(say, "three sellers", "EUR", amounts, token=VISA)
    paid = stage.settled(made["id"], "succeeded")
    charges = {order["charge"] for order in paid["payment_orders"]}
    expect(len(charges) == 1 and paid["is_payment_done"], "three orders are not paid by one charge")
    expect(paid["ledger_updated"] and paid["wallet_updated"], "ledger and wallets did not move with the payment")
    fees = ", ".join(order["platform_fee"] for order in paid["payment_orders"])
    return told(f"one charge of {paid['amount_captured']} EUR; platform fees {fees}", paid, charges=len(charges))


def order_by_order(stage: Stage, say: Say) -> Told:
    """The card is saved first, then each order is charged by itself."""
    amounts = {"Tea House": "12.00", "Lamp Works": "33.00"}
    made = stage.buy(say, "order by order", "EUR", amounts, token=VISA, charge_mode="per_order")
    paid = stage.settled(made["id"], "succeeded")
    charges = {order["charge"] for order in paid["payment_orders"]}
    expect(len(charges) == 2, "two orders did not get a charge each")
    sentence = f"two charges, two lines on the card statement, {paid['amount_captured']} EUR"
    return told(sentence, paid, charges=len(charges))


def second_card(stage: Stage, say: Say) -> Told:
    """The first card is empty; the buyer takes another one."""
    made = stage.buy(say, "second card", "EUR", {"Paper Mill": "48.20"}, token=EMPTY_CARD)
    declined = stage.settled(made["id"], "failed")
    failure = declined["payment_orders"][0]["failure"]
    say(f"declined: {failure['code']}; the buyer may try again: {failure['retryable_by_buyer']}")
    stage.shopper.post(f"/payments/{made['id']}/process", {"payment_method": {"token": MASTERCARD}})
    paid = stage.settled(made["id"], "succeeded")
    brand = paid["payment_orders"][0]["payment_method_details"]["brand"]
    return told(f"paid with {brand}, on the same object at the PSP", paid, declined=failure["code"])


def captured_in_part(stage: Stage, say: Say) -> Told:
    """Money is held, and less than that is taken."""
    amounts = {"Tea House": "60.00", "Lamp Works": "40.00"}
    made = stage.buy(say, "captured in part", "EUR", amounts, token=VISA, capture="manual")
    held = stage.settled(made["id"], "requires_capture")
    say("100.00 EUR are authorized; the Tea House can deliver only half")
    first, second = (order["id"] for order in held["payment_orders"])
    parts = [{"id": first, "amount": "30.00"}, {"id": second, "amount": "40.00"}]
    stage.shopper.post(f"/payments/{made['id']}/capture", {"payment_orders": parts})
    paid = stage.settled(made["id"], "succeeded")
    expect(paid["amount_captured"] == "70.00", f"{paid['amount_captured']} EUR captured instead of 70.00")
    return told("70.00 EUR captured, the rest released, the fee follows the capture", paid)


def cancelled_hold(stage: Stage, say: Say) -> Told:
    """Money is held and let go."""
    made = stage.buy(say, "cancelled hold", "EUR", {"Lamp Works": "250.00"}, token=VISA, capture="manual")
    stage.settled(made["id"], "requires_capture")
    stage.shopper.post(f"/payments/{made['id']}/cancel", {})
    say("asked to cancel; the order changes when the PSP has said so")
    ended = stage.settled(made["id"], "cancelled")
    expect(ended["amount_captured"] == "0.00", "a cancelled payment took money")
    return told("released at the PSP, nothing was taken", ended)


def hosted_page(stage: Stage, say: Say) -> Told:
    """The buyer pays on the hosted page, and the bank asks first (3-D Secure)."""
    made = stage.buy(say, "hosted page", "EUR", {"Tea House": "29.90", "Paper Mill": "10.10"})
    browser = Browser(over=stage.over)
    page = browser.open(made["checkout_url"])
    say(f"the buyer opens the checkout page {page.heading!r} and presses Pay")
    page = at_the_psp(browser, browser.press(page, "pay"), "three_d_secure")
    say("at the PSP's own page; chooses the card with 3-D Secure")
    page = browser.press(page, "three_d_secure")
    say(f"the bank asks: {page.heading!r}")
    page = browser.press(page, "approve")
    paid = stage.settled(made["id"], "succeeded")
    page = browser.wait(page, lambda shown: shown.refresh is None, seconds=WAIT_SECONDS)
    return told(f"approved; the result page says {page.heading!r}; {paid['amount_captured']} EUR", paid)


def at_the_psp(browser: Browser, page: Page, choice: str) -> Page:
    """Wait until the PSP's own page is open and offers a way to pay."""

    def offers(shown: Page) -> bool:
        return any(found.value == choice for form in shown.forms for found in form.buttons)

    return browser.wait(page, offers, seconds=WAIT_SECONDS)


def qr_code(stage: Stage, say: Say) -> Told:
    """A QR code is scanned; the bank confirms a moment later, by notification."""
    made = stage.buy(say, "QR code", "EUR", {"Paper Mill": "18.00"}, token=QR, payment_method_types=["qr"])
    say("the code is shown; the PSP will tell us when the buyer's bank has paid")
    paid = stage.settled(made["id"], "succeeded")
    method = paid["payment_orders"][0]["payment_method_details"]["type"]
    return told(f"notified and paid by {method}: {paid['amount_captured']} EUR", paid, method=method)


def yen(stage: Stage, say: Say) -> Told:
    """A currency without decimals."""
    made = stage.buy(say, "yen", "JPY", {"Tea House": "1999"}, token=VISA)
    paid = stage.settled(made["id"], "succeeded")
    return told(f"{paid['amount_captured']} JPY, no decimals", paid)


def dinar(stage: Stage, say: Say) -> Told:
    """A currency with three decimals."""
    made = stage.buy(say, "dinar", "KWD", {"Tea House": "8.340", "Lamp Works": "4.000"}, token=VISA)
    paid = stage.settled(made["id"], "succeeded")
    return told(f"{paid['amount_captured']} KWD, three decimals", paid)


def double_click(stage: Stage, say: Say) -> Told:
    """The same request, twenty times at once."""
    body = stage.checkout("double click", "EUR", {"Lamp Works": "15.00"}, payment_method={"token": VISA})
    key = new_key()

    def click(_number: int) -> Answer:
        return stage.shopper.post("/payments", body, key=key)

    with ThreadPoolExecutor(CLICKS) as threads:
        answers = list(threads.map(click, range(CLICKS)))
    made = {answer.body["id"] for answer in answers}
    stage.took("double click", answers[0].body)
    expect(len(made) == 1, f"{CLICKS} clicks made {len(made)} payments")
    replayed = sum(answer.replayed for answer in answers)
    expect(replayed == CLICKS - 1, f"{replayed} of {CLICKS} answers were replays")
    say(f"{made.copy().pop()}  {CLICKS} posts with one Idempotency-Key: 1 payment, {replayed} replays")
    paid = stage.settled(made.pop(), "succeeded")
    return told(f"charged once: {paid['amount_captured']} EUR", paid, clicks=CLICKS, replays=replayed)


def late_money(stage: Stage, say: Say) -> Told:
    """Money arrives for a payment that was cancelled; it goes back by itself."""
    made = stage.buy(say, "late money", "EUR", {"Paper Mill": "77.00"}, token=LATE)
    charge = made["payment_orders"][0]["charge"]
    stage.shopper.wait_until(
        made["id"], lambda found: _confirmed(found, charge), seconds=WAIT_SECONDS, part="/transactions"
    )
    stage.shopper.post(f"/payments/{made['id']}/cancel", {})
    stage.settled(made["id"], "cancelled")
    say("cancelled while the bank was still undecided; now the money arrives after all")
    stage.shopper.wait_until(made["id"], _refunded, seconds=WAIT_SECONDS, part="/transactions")
    ended = stage.shopper.get(f"/payments/{made['id']}")
    expect(ended["status"] == "cancelled", "the cancellation did not hold")
    sentence = "77.00 EUR booked as the buyer's and refunded automatically; the order stays cancelled"
    return told(sentence, ended, came_late="77.00", refunded="77.00")


def _confirmed(found: Json, charge: str) -> bool:
    return any(row["type"] == "confirm" and row["charge"] == charge and row["closed_at"] for row in found["data"])


def _refunded(found: Json) -> bool:
    return any(row["type"] == "refund" and row["outcome"] == "succeeded" for row in found["data"])


def duplicate_webhook(stage: Stage, say: Say) -> Told:
    """The PSP tells everything twice; the money is booked once."""
    body = stage.checkout("duplicate webhook", "EUR", {"Tea House": "21.00"})
    stage.market.psp.deliver_twice(body["checkout_id"])
    made = stage.buy(say, "duplicate webhook", "EUR", {"Tea House": "21.00"}, token=QR, payment_method_types=["qr"])
    paid = stage.settled(made["id"], "succeeded")
    facts = stage.shopper.get(f"/payments/{made['id']}/timeline")["data"]
    events = {fact["data"]["psp_event_id"] for fact in facts if fact["type"] == "notification"}
    delivered = stage.market.psp.delivered()
    twice = sum(delivered[event] > 1 for event in events)
    postings = Counter(fact["type"] for fact in facts)["posting"]
    expect(twice > 0, "no webhook was delivered twice")
    expect(postings == 1, f"the money was booked {postings} times")
    sentence = f"{twice} webhooks came twice, each was stored once, the money was booked once"
    return told(sentence, paid, webhooks_twice=twice, bookings=postings)


SCENES: Final = (
    Scene("late money", late_money),
    Scene("hosted page", hosted_page),
    Scene("QR code", qr_code),
    Scene("duplicate webhook", duplicate_webhook),
    Scene("captured in part", captured_in_part),
    Scene("cancelled hold", cancelled_hold),
    Scene("second card", second_card),
    Scene("order by order", order_by_order),
    Scene("three sellers", three_sellers),
    Scene("double click", double_click),
    Scene("yen", yen),
    Scene("dinar", dinar),
)
SELLERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Tea House": {"external_id": "tea-house", "country": "DE"},
    "Paper Mill": {"external_id": "paper-mill", "country": "FR"},
    # A plan of its own: 8 % and 0.30 EUR an order.
    "Lamp Works": {
        "external_id": "lamp-works",
        "country": "NL",
        "fee_plan": {"basis_points": 800, "fixed": {"EUR": "0.30"}},
    },
}
