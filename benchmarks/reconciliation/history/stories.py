"""What truly happens: sales with their captures, refunds and disputes, payouts to sellers, and what PSP and bank do.

A story is told in full before anything of it is played. Most are plain; a few carry a fate, which is where the outside
world and what Florin is told of it part ways. Days are numbers, counted from the first day of the history.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Final

from benchmarks.reconciliation.history import days
from benchmarks.reconciliation.history.outside import Entered, Kind

CURRENCIES: Final = ("EUR", "USD", "JPY", "KWD")
# The last of them is never paid out: what corruptions sell stays with it.
SELLERS: Final = 5
# Something happens on five business days; then the waits that make a missing line a break run off.
BUSY_DAYS: Final = 5
# Histories begin on these Mondays: an ordinary one, before the end and the beginning of summer time, at the end of a
# year and of a month.
STARTS: Final = (date(2026, 9, 7), date(2026, 10, 19), date(2025, 3, 24), date(2025, 12, 29), date(2026, 6, 29))
CALENDAR_DAYS: Final = 15
_SIZES: Final = {"EUR": (900, 40_000), "USD": (900, 45_000), "JPY": (700, 60_000), "KWD": (1_500, 90_000)}


class Fate(StrEnum):
    """How what the PSP did differs from what Florin was told of a sale."""

    PLAIN = "plain"
    VANISHED = "vanished"  # the PSP answered yes and has nothing of it
    OTHER_AMOUNT = "other amount"
    OTHER_CURRENCY = "other currency"
    UNTOLD = "untold"  # it succeeded at the PSP, and no notification came
    FAILED_LATER = "failed later"
    TWICE = "twice"  # the payer was charged twice
    STUCK = "stuck"  # for ever under way, here and there
    LATE = "late"  # its line comes some days later
    CONVERTED = "converted"  # settled in another currency, at a rate that was not ours
    ROUNDED = "rounded"  # settled a minor unit off


@dataclass(frozen=True, slots=True)
class RefundStory:
    """A refund of one order of a sale; `amount` None is all of it."""

    day: int
    order: int = 0
    amount: int | None = None
    fails_on: int | None = None
    is_told: bool = True  # of its failure
    vanishes: bool = False  # the PSP answered yes and has nothing of it


@dataclass(frozen=True, slots=True)
class DisputeStory:
    """A dispute of a sale's first charge."""

    day: int
    amount: int
    cost: int
    ends: str = ""  # won, lost, partial; empty: it is open when the history ends
    ends_on: int = 0
    back: int = 0
    is_told: bool = True
    end_is_told: bool = True


@dataclass(frozen=True, slots=True)
class Sale:
    """One checkout."""

    name: str
    day: int
    hour: float
    account: int
    currency: str
    amounts: tuple[int, ...]
    sellers: tuple[int, ...]
    per_order: bool = False
    captured: tuple[int, ...] | None = None  # authorized first, then captured to so much
    delayed: bool = False  # the money comes hours later, and a notification says so
    declined: bool = False
    refunds: tuple[RefundStory, ...] = ()
    by_hand: tuple[tuple[int, int], ...] = ()  # refunds made at the PSP itself: day, amount
    dispute: DisputeStory | None = None
    fate: Fate = Fate.PLAIN
    delta: int = 0
    late_days: int = 0

    @property
    def total(self) -> int:
        """Return what is captured in the end."""
        return sum(self.captured if self.captured is not None else self.amounts)


@dataclass(frozen=True, slots=True)
class SellerPayout:
    """A seller takes a share of what is available."""

    name: str
    day: int
    seller: int
    currency: str
    percent: int
    bounces_on: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A line that the PSP makes by itself: a fee, a reserve."""

    name: str
    day: int
    account: int
    currency: str
    kind: Kind
    gross: int
    text: str = ""
    late_days: int = 0  # its line is in a report so many days later


@dataclass(frozen=True, slots=True)
class Banked:
    """An entry that the bank makes by itself."""

    name: str
    day: int
    currency: str
    kind: Entered
    amount: int
    text: str = ""
    name_of_other: str = ""
    pending_since: int | None = None  # shown before it is booked


@dataclass(slots=True)
class PayoutFault:
    """What goes wrong with a PSP's payout to our bank. `payout` and `amount` are known when it is made."""

    kind: str  # lost, short, charged, returned, wrong total, manual
    delta: int = 0
    payout: str = ""
    amount: int = 0
    keys: set[str] = field(default_factory=set)  # the bank's reference of its entry


@dataclass(frozen=True, slots=True)
class Post:
    """How a file is delivered otherwise than it was written, or than on the next morning."""

    source: str  # a PSP account's code or an account's currency
    day: int
    how: str  # late, missing, twice, renamed, revised, truncated, bad total, marked, formulas, pending, hidden batch
    days: int = 0


@dataclass(slots=True)
class Plan:
    """The stories of one history."""

    seed: int
    start: date
    currencies: tuple[str, ...]
    accounts: int
    sales: list[Sale] = field(default_factory=list)
    payouts: list[SellerPayout] = field(default_factory=list)
    standing: list[Standing] = field(default_factory=list)
    banked: list[Banked] = field(default_factory=list)
    # Of a PSP account's payouts, by day made and currency.
    payout_faults: dict[tuple[int, int, str], PayoutFault] = field(default_factory=dict)
    post: list[Post] = field(default_factory=list)
    twins: list[str] = field(default_factory=list)  # sales that have a second charge in our rows
    orphans: list[tuple[int, str]] = field(default_factory=list)  # day, id of an object that nobody knows
    # Payouts to sellers whose transfer the PSP has not, with the key of it once it is known.
    lost_transfers: dict[str, set[str]] = field(default_factory=dict)
    overcharged: dict[str, int] = field(default_factory=dict)  # sales for which the PSP takes too much
    closes_on: int | None = None  # the day on which everything before this month's first day is closed
    names: int = 0
    current: str = ""  # the corruption that is being planted

    @property
    def last_busy(self) -> int:
        """Return the last day on which something new begins."""
        return BUSY_DAYS - 1

    def name(self, word: str) -> str:
        """Return a name that no other story has."""
        self.names += 1
        return f"{word}{self.seed:03}x{self.names:04}"

    def date_of(self, day: int) -> date:
        """Return the date of a day."""
        return date.fromordinal(self.start.toordinal() + day)


def make(seed: int, *, sales: int = 45) -> Plan:
    """Tell the plain stories of a seed."""
    rng = random.Random(seed)
    currencies = ("EUR", *rng.sample(CURRENCIES[1:], 1 + seed % 2))
    plan = Plan(seed, STARTS[seed % len(STARTS)], currencies, accounts=1 + (seed + 1) % 2)
    for number in range(sales):
        plan.sales.append(_sale(plan, rng, number))
    _straddle(plan, rng)
    for currency in currencies:
        plan.payouts += _payouts(plan, rng, currency)
    return plan


def _sale(plan: Plan, rng: random.Random, number: int) -> Sale:
    sale = plain(plan, rng, day=number % BUSY_DAYS)
    chance = rng.random()
    if chance < 0.08:
        sale = replace(sale, captured=tuple(max(1, amount * rng.randint(40, 99) // 100) for amount in sale.amounts))
    elif chance < 0.14:
        sale = replace(sale, delayed=True)
    elif chance < 0.18:
        return replace(sale, declined=True)
    if chance > 0.60:
        sale = replace(sale, refunds=_refunds(rng, sale))
    elif chance > 0.50:
        sale = replace(sale, dispute=_dispute(rng, sale))
    return sale


def plain(plan: Plan, rng: random.Random, *, day: int, currency: str = "", account: int | None = None) -> Sale:
    """Tell of a sale to which nothing happens afterwards. Adyen, which has no transfers to sellers, is account 1."""
    chosen = currency or rng.choice((*plan.currencies, "EUR"))
    least, most = _SIZES[chosen]
    orders = rng.choice((1, 1, 1, 2, 2, 3))
    return Sale(
        plan.name("sale"),
        day,
        rng.uniform(7, 11.9),
        rng.randrange(plan.accounts) if account is None else account,
        chosen,
        tuple(rng.randint(least, most) for _ in range(orders)),
        tuple(rng.randrange(SELLERS - 1) for _ in range(orders)),
        per_order=orders > 1 and rng.random() < 0.4,
    )


def _refunds(rng: random.Random, sale: Sale) -> tuple[RefundStory, ...]:
    amounts = sale.captured if sale.captured is not None else sale.amounts
    day = min(sale.day + rng.randint(0, 2), BUSY_DAYS - 1)
    kind = rng.choice(("full", "part", "parts", "fails"))
    if kind == "full":
        return tuple(RefundStory(day, order) for order in range(len(amounts)))
    if kind == "part":
        return (RefundStory(day, 0, max(1, amounts[0] // 3)),)
    if kind == "parts":
        return (RefundStory(day, 0, max(1, amounts[0] // 4)), RefundStory(BUSY_DAYS - 1, 0, max(1, amounts[0] // 4)))
    return (RefundStory(day, 0, max(1, amounts[0] // 2), fails_on=BUSY_DAYS - 1),)


def _dispute(rng: random.Random, sale: Sale) -> DisputeStory:
    amounts = sale.captured if sale.captured is not None else sale.amounts
    whole = amounts[0] if sale.per_order else sum(amounts)
    amount = whole if rng.random() < 0.6 else max(1, whole // 2)
    day = min(sale.day + 1, BUSY_DAYS - 1)
    cost = {"EUR": 2000, "USD": 1500, "JPY": 1300, "KWD": 4500}[sale.currency]
    ends = rng.choice(("won", "lost", "partial", ""))
    back = {"won": amount, "partial": max(1, amount // 3)}.get(ends, 0)
    return DisputeStory(day, amount, cost, ends, day + 1, back)


def _straddle(plan: Plan, rng: random.Random) -> None:
    """Let sales stand on both sides of midnight, where the book's day and UTC's differ, and two twins on one day."""
    for hour in (23.99, 23.5, 0.01, 1.5):
        plan.sales.append(replace(plain(plan, rng, day=2), hour=hour))
    twin = plain(plan, rng, day=3, currency="EUR", account=0)
    plan.sales += [twin, replace(twin, name=plan.name("sale"))]


def _payouts(plan: Plan, rng: random.Random, currency: str) -> list[SellerPayout]:
    found = []
    for seller in range(SELLERS - 1):
        bounces = rng.random() < 0.25
        day = rng.randint(1, 2)
        found.append(
            SellerPayout(plan.name("po"), day, seller, currency, rng.randint(20, 90), day + 2 if bounces else None)
        )
    return found


def business_day(plan: Plan, day: int) -> bool:
    """Say whether banks work on a day of the history."""
    return days.is_business_day(plan.date_of(day))
