"""The stage: what a scene plays with, how a scene is told, and what every scene may wait for.

A scene says what it does, waits for what has to come of it, and raises `Unexpected` when something else does. It goes
through the public HTTP API, the hosted page and the PSP's pages; nothing in here looks into the database. Every wait
is bounded.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from config.demo.marketplace import Marketplace
from config.demo.shopper import Json, Shopper

WAIT_SECONDS: Final = 60.0
FINAL: Final = ("succeeded", "partially_succeeded", "cancelled", "expired")

type Say = Callable[[str], None]


class Unexpected(Exception):
    """Something came out otherwise than the story says."""


@dataclass(frozen=True, slots=True)
class Told:
    """How a scene ended: a sentence for people, and its figures for programs. Amounts are written as the API does."""

    sentence: str
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene: its name and what is played."""

    name: str
    play: Callable[["Stage", Say], Told]


@dataclass(slots=True)
class Stage:
    """What a scene plays with. `payments` gathers the ids of every payment that was made, with the scene's name.

    `markets` are those that scenes opened beside it: their books are compared in the end, too.
    """

    market: Marketplace
    sellers: Mapping[str, str]
    over: Callable[[], bool]
    payments: dict[str, str] = field(default_factory=dict)
    markets: list[Marketplace] = field(default_factory=list)
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def shopper(self) -> Shopper:
        """Return the merchant's client of the API."""
        return self.market.shopper

    def checkout(self, name: str, currency: str, amounts: Mapping[str, str], **more: Any) -> Json:
        """Return the body of a checkout: an order for each seller."""
        return {
            "checkout_id": f"{name.replace(' ', '-').lower()}-{self.run}",
            "currency": currency,
            "buyer": {"id": f"buyer-{self.run}", "country": "DE"},
            "payment_orders": [
                {"reference": f"line-{place}", "seller": self.sellers[seller], "amount": amount, "description": seller}
                for place, (seller, amount) in enumerate(amounts.items(), start=1)
            ],
            **more,
        }

    def buy(self, say: Say, name: str, currency: str, amounts: Mapping[str, str], **more: Any) -> Json:
        """Post a checkout; a token pays it at once."""
        token = more.pop("token", None)
        if token:
            more["payment_method"] = {"token": token}
        made = self.shopper.post("/payments", self.checkout(name, currency, amounts, **more)).body
        self.took(name, made)
        say(f"{made['id']}  {made['amount']} {currency} in {len(amounts)} order(s), {token or 'no method yet'}")
        return made

    def took(self, name: str, payment: Json) -> None:
        """Remember a payment."""
        with self._lock:
            self.payments[payment["id"]] = name

    def opened(self, market: Marketplace) -> None:
        """Remember a marketplace that a scene opened for itself."""
        with self._lock:
            self.markets.append(market)

    def settled(self, payment: str, status: str) -> Json:
        """Wait until a payment is as the story says. Raises `Unexpected` as soon as it is final and is not."""

        def is_final(found: Json) -> bool:
            return found["status"] == status or found["status"] in FINAL

        found = self.shopper.wait_until(payment, is_final, seconds=WAIT_SECONDS)
        expect(found["status"] == status, f"{payment} is {found['status']}, not {status}")
        return found


def expect(holds: bool, otherwise: str) -> None:
    """Raise `Unexpected` with the sentence unless it holds."""
    if not holds:
        raise Unexpected(otherwise)


def told(sentence: str, payment: Json, **more: Any) -> Told:
    """End a scene about one payment."""
    figures = {"payment": payment["id"], "status": payment["status"], "currency": payment["currency"]}
    return Told(sentence, {**figures, "amount": payment["amount"], "captured": payment["amount_captured"], **more})
