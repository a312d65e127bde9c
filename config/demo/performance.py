"""One performance of the demo: open a marketplace, play every scene at once, wait, look at the books."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.db import connection

from config import seam
from config.demo.browser import PageLacks
from config.demo.comparison import Comparison, compare
from config.demo.marketplace import Marketplace, add_seller, open_marketplace
from config.demo.psp import SandboxRefusal
from config.demo.shopper import ApiRefusal, Json, TakesTooLong
from config.demo.story import SCENES, SELLERS, Scene, Stage, Unexpected
from config.demo.telling import Bar, Teller
from ledger.money import Money, format_minor

type Wallets = dict[str, list[Json]]

_FAILURES = (Unexpected, TakesTooLong, ApiRefusal, PageLacks, SandboxRefusal, OSError)


@dataclass(frozen=True, slots=True)
class Performance:
    """What came of it."""

    stage: Stage
    payments: Sequence[tuple[str, Json]]
    wallets: Wallets
    comparison: Comparison
    unexpected: Sequence[str]

    @property
    def agrees(self) -> bool:
        """Say whether the story went as told and all books agree."""
        return not self.unexpected and self.comparison.everything_agrees

    @property
    def checkout_url(self) -> str:
        """Return the hosted page of the checkout that was paid there."""
        return next((str(found["checkout_url"]) for name, found in self.payments if name == "hosted page"), "")

    def summary(self, urls: Mapping[str, str]) -> dict[str, Any]:
        """Return the JSON summary, the last line of `--json`."""
        return {
            "payments": len(self.payments),
            "orders": dict(
                sorted(Counter(o["status"] for _, found in self.payments for o in found["payment_orders"]).items())
            ),
            "captured": captured(found for _, found in self.payments),
            "trial_balance": {
                row.currency: format_minor(row.difference, row.currency) for row in self.comparison.trial_balance
            },
            "violations": list(self.comparison.violations),
            "psp_agrees": self.comparison.psp_agrees,
            "urls": dict(urls),
            "unexpected": [*self.unexpected, *self.comparison.differences],
            "merchant": self.stage.market.merchant,
        }


def captured(payments: Any) -> dict[str, str]:
    """Sum what was captured, per currency, as the API writes amounts."""
    sums: dict[str, int] = defaultdict(int)
    for found in payments:
        sums[found["currency"]] += minor(found["amount_captured"], found["currency"])
    return {currency: format_minor(total, currency) for currency, total in sorted(sums.items())}


def minor(text: str, currency: str) -> int:
    """Read an amount of the API, which may be zero, in minor units."""
    return Money.parse(text, currency).minor if text.strip("0.") else 0


def perform(addresses: Mapping[str, str], teller: Teller, *, over: Callable[[], bool]) -> Performance:
    """Open a marketplace, play the story, and compare the books."""
    name = f"Demo market {seam.now():%Y-%m-%d %H:%M:%S}"
    market = open_marketplace(name, addresses, country="DE", currency="EUR", over=over)
    teller.step("marketplace", f"{name}: {market.merchant}")
    stage = Stage(market, _open_shops(market, teller), over)
    with teller.progress("scenes", len(SCENES)) as bar, ThreadPoolExecutor(len(SCENES)) as threads:
        unexpected = [line for line in threads.map(lambda scene: _play(scene, stage, teller, bar), SCENES) if line]
    place = {scene.name: number for number, scene in enumerate(SCENES)}
    in_order = sorted(stage.payments.items(), key=lambda made: place[made[1]])
    payments = [(name, market.shopper.get(f"/payments/{payment}")) for payment, name in in_order]
    wallets = {name: market.shopper.get(f"/sellers/{seller}/wallets")["data"] for name, seller in stage.sellers.items()}
    comparison = compare(market.book_id, market.psp.books())
    connection.close()
    return Performance(stage, payments, wallets, comparison, unexpected)


def _open_shops(market: Marketplace, teller: Teller) -> dict[str, str]:
    made = {
        name: add_seller(market.shopper, name=name, default_currency="EUR", **details)
        for name, details in SELLERS.items()
    }
    for name, seller in made.items():
        teller.step("marketplace", f"seller {name}: {seller}")
    return made


def _play(scene: Scene, stage: Stage, teller: Teller, bar: Bar) -> str:
    """Play one scene and return what was unexpected about it, or nothing."""
    try:
        teller.good(scene.name, scene.play(stage, lambda text: teller.step(scene.name, text)))
    except _FAILURES as error:
        if not stage.over():  # a person who leaves needs no list of what was still under way
            teller.bad(scene.name, str(error))
        return f"{scene.name}: {error}"
    finally:
        bar.advance()
    return ""
