"""One performance of the demo: open a marketplace, play its scenes, wait, look at the books."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.core.management import CommandError
from django.db import connection

from config import seam
from config.demo import exchange_rates
from config.demo.bank import BankRefusal
from config.demo.browser import PageLacks
from config.demo.comparison import Comparison, compare, look_again
from config.demo.marketplace import Marketplace, add_seller, open_marketplace
from config.demo.psp import SandboxRefusal
from config.demo.shopper import ApiRefusal, Json, TakesTooLong
from config.demo.stage import Scene, Stage, Told, Unexpected
from config.demo.story import FIRST, LAST, SCENES, SELLERS
from config.demo.telling import Bar, Teller
from ledger.errors import LedgerError
from ledger.money import Money, format_minor

type Wallets = dict[str, list[Json]]

_FAILURES = (
    Unexpected, TakesTooLong, ApiRefusal, PageLacks, SandboxRefusal, BankRefusal, CommandError, LedgerError, OSError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one scene: how it ended, or what went wrong."""

    name: str
    told: Told | None
    wrong: str = ""

    def summary(self) -> dict[str, Any]:
        """Return it as JSON."""
        if self.told is None:
            return {"scene": self.name, "ended": False, "said": self.wrong, "figures": {}}
        return {"scene": self.name, "ended": True, "said": self.told.sentence, "figures": dict(self.told.figures)}


@dataclass(frozen=True, slots=True)
class Performance:
    """What came of it. `back_and_out` are refunds, disputes and payouts as the API shows them."""

    stage: Stage
    scenes: Sequence[Played]
    payments: Sequence[tuple[str, Json]]
    back_and_out: Mapping[str, Sequence[Json]]
    wallets: Wallets
    comparison: Comparison

    @property
    def unexpected(self) -> list[str]:
        """Return what was not as told, scene by scene."""
        return [f"{scene.name}: {scene.wrong}" for scene in self.scenes if scene.told is None]

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
            "compared_with_the_psp": dict(self.comparison.counts),
            "scenes": [scene.summary() for scene in self.scenes],
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
    _agree_on_terms(market, teller)
    stage = Stage(market, _open_shops(market, teller), over)
    with teller.progress("scenes", len(SCENES)) as bar, ThreadPoolExecutor(len(SCENES)) as threads:
        scenes = [_play(FIRST, stage, teller, bar)]
        others = [scene for scene in SCENES if scene not in (FIRST, LAST)]
        scenes += threads.map(lambda scene: _play(scene, stage, teller, bar), others)
        beside = [(other.book_id, other.psp.books()) for other in stage.markets]
        comparison = compare(market.book_id, market.psp.books(), also=beside)
        scenes.append(_play(LAST, stage, teller, bar))
    place = {scene.name: number for number, scene in enumerate(SCENES)}
    in_order = sorted(stage.payments.items(), key=lambda made: place[made[1]])
    payments = [(name, market.shopper.get(f"/payments/{payment}")) for payment, name in in_order]
    back_and_out = {kind: list(market.shopper.pages(f"/{kind}")) for kind in ("refunds", "disputes", "payouts")}
    wallets = {name: market.shopper.get(f"/sellers/{seller}/wallets")["data"] for name, seller in stage.sellers.items()}
    comparison = look_again(comparison, market.book_id)
    connection.close()
    return Performance(stage, scenes, payments, back_and_out, wallets, comparison)


def _agree_on_terms(market: Marketplace, teller: Teller) -> None:
    """Release on delivery; let a refund give back the platform's fee in proportion; know today's exchange rates."""
    terms = {"release_days_after_delivery": 0, "release_days_after_capture": None}
    market.shopper.call(
        "PUT", f"/merchants/{market.merchant}/terms", body={**terms, "refund_fee_policy": "proportional"}
    )
    new = exchange_rates.load_where_there_are_none(now=seam.now())
    rates = f"{new} rates loaded from {exchange_rates.FILE.name}" if new else "exchange rates of these days are known"
    teller.step("marketplace", f"released on delivery, fees refunded in proportion; {rates}")


def _open_shops(market: Marketplace, teller: Teller) -> dict[str, str]:
    made = {
        name: add_seller(market.shopper, name=name, **{"default_currency": "EUR", **details})
        for name, details in SELLERS.items()
    }
    for name, seller in made.items():
        teller.step("marketplace", f"seller {name}: {seller}")
    return made


def _play(scene: Scene, stage: Stage, teller: Teller, bar: Bar) -> Played:
    """Play one scene and return how it ended, or what was unexpected about it."""
    try:
        told = scene.play(stage, lambda text: teller.step(scene.name, text))
    except _FAILURES as error:
        if not stage.over():  # a person who leaves needs no list of what was still under way
            teller.bad(scene.name, str(error))
        return Played(scene.name, None, str(error) or type(error).__name__)
    finally:
        connection.close()  # of this thread, if the scene needed one
        bar.advance()
    teller.good(scene.name, told.sentence)
    return Played(scene.name, told)
