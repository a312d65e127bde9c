"""The catalogue of what goes wrong between a merchant, its PSPs and its bank, and of what only looks like it.

Each corruption tells stories of its own, so that none disturbs another, and says what must be found because of it.
A trap says nothing: whoever finds a break there is wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from benchmarks.reconciliation.history import days, stories
from benchmarks.reconciliation.history.manifest import Planted
from benchmarks.reconciliation.history.outside import Entered, Kind
from benchmarks.reconciliation.history.psp import Psp
from benchmarks.reconciliation.history.stories import (
    Banked,
    DisputeStory,
    Fate,
    PayoutFault,
    Plan,
    Post,
    RefundStory,
    Sale,
    SellerPayout,
    Standing,
)
from benchmarks.reconciliation.history.tampering import TAMPERINGS

GRACE: Final = 3
QUIET_DAYS: Final = (9, 10, 11)  # nothing new is sold: entries of the bank on them are its own
CODES: Final = ("stripe", "adyen")
LAST_SELLER: Final = stories.SELLERS - 1


@dataclass(slots=True)
class Sowing:
    """A plan that corruptions are planted into."""

    plan: Plan
    rng: random.Random
    planted: list[Planted] = field(default_factory=list)
    taken: set[object] = field(default_factory=set)

    def sale(
        self, *, day: int | None = None, currency: str = "EUR", account: int | None = None, **more: object
    ) -> Sale:
        """Tell of a sale of one order that is a corruption's own."""
        when = self.rng.randrange(stories.BUSY_DAYS - 1) if day is None else day
        told = stories.plain(self.plan, self.rng, day=when, currency=currency, account=account)
        one = replace(told, amounts=told.amounts[:1], sellers=(LAST_SELLER,), per_order=False)
        sale = replace(one, **more)  # type: ignore[arg-type]  # each corruption names fields of a sale
        self.plan.sales.append(sale)
        return sale

    def payment_id(self, sale: Sale) -> str:
        """Return the id that the PSP will give the payment."""
        return self.ids(sale.account).id_of("pi", sale.name)

    @staticmethod
    def ids(account: int) -> Psp:
        """Return who makes the ids of an account."""
        return _IDS[account]

    def expect(self, code: str, source: int | str, *keys: str, **more: object) -> None:
        """Write into the manifest what must be found."""
        name = CODES[source] if isinstance(source, int) else source
        corruption = str(more.pop("corruption", self.plan.current))
        found = Planted(corruption, code, name, set(keys), **more)  # type: ignore[arg-type]  # its own fields
        self.planted.append(found)

    def due(self, day: int) -> int:
        """Return the first day on which what should have been there since a day is a break."""
        last = days.within(self.plan.date_of(day), GRACE)
        return last.toordinal() - self.plan.start.toordinal() + 1

    def payout_slot(self, kind: str, *, currency: str = "EUR", delta: int = 0) -> tuple[int, PayoutFault] | None:
        """Take a payout of the first PSP account on a day that no other corruption has, and make sure there is one."""
        for day in self.rng.sample(range(1, stories.BUSY_DAYS), stories.BUSY_DAYS - 1):
            if (day, currency) in self.taken or not stories.business_day(self.plan, day):
                continue
            self.taken.add((day, currency))
            large = {"EUR": 2_500_000, "USD": 2_500_000, "JPY": 3_000_000, "KWD": 9_000_000}[currency]
            before = max(number for number in range(day) if number < day)
            self.sale(
                day=before,
                currency=currency,
                account=0,
                amounts=(large + self.rng.randrange(1000),),
                sellers=(LAST_SELLER,),
            )
            fault = PayoutFault(kind, delta)
            self.plan.payout_faults[0, day, currency] = fault
            return day, fault
        return None

    def quiet_day(self, currency: str) -> int | None:
        """Take a day on which an account of the bank has no other corruption."""
        for day in QUIET_DAYS:
            if (day, currency) not in self.taken and stories.business_day(self.plan, day):
                self.taken.add((day, currency))
                return day
        return None

    def banked(self, day: int, currency: str, kind: Entered, amount: int, **more: object) -> Banked:
        """Let the bank enter something by itself."""
        name = self.plan.name("bk")
        story = Banked(name, day, currency, kind, amount, f"{kind} {name}".upper(), **more)  # type: ignore[arg-type]
        self.plan.banked.append(story)
        return story


def _never() -> datetime:
    raise AssertionError("only ids are made here")


_IDS: Final = (Psp(0, _never, {}), Psp(1, _never, {}))


type Plant = Callable[[Sowing], None]


@dataclass(frozen=True, slots=True)
class Corruption:
    """One entry of the catalogue. `codes` are what it makes; none: it is a trap."""

    name: str
    codes: tuple[str, ...]
    says: str
    plant: Plant


_ALL: list[Corruption] = []


def _corruption(*codes: str) -> Callable[[Plant], Plant]:
    def keep(plant: Plant) -> Plant:
        says = (plant.__doc__ or "").strip().rstrip(".")
        _ALL.append(Corruption(plant.__name__.strip("_").replace("_", " "), codes, says, plant))
        return plant

    return keep


# --- A: payments, refunds, disputes, transfers at the PSP ---------------------------------------------------------


@_corruption()
def _late_line(s: Sowing) -> None:
    """A charge whose line comes two business days later is pending, and then matched."""
    s.sale(day=s.rng.randrange(2), account=0, fate=Fate.LATE, late_days=2)


@_corruption("A02")
def _charge_of_nobody(s: Sowing) -> None:
    """A charge at the PSP that no payment of ours knows."""
    day, amount, name = s.rng.randrange(stories.BUSY_DAYS), s.rng.randint(1000, 9000), s.plan.name("x")
    s.plan.standing.append(Standing(name, day, 0, "EUR", Kind.CHARGE, amount, "Payment by hand"))
    s.expect("A02", 0, s.ids(0).id_of("st", name), currency="EUR", amount=amount, day=day, automatic="suspend")


@_corruption("A03")
def _vanished_charge(s: Sowing) -> None:
    """The PSP said yes to a payment and has nothing of it."""
    sale = s.sale(fate=Fate.VANISHED)
    s.expect("A03", sale.account, s.payment_id(sale), currency="EUR", amount=-sale.total, day=s.due(sale.day))


@_corruption("A04")
def _other_amount(s: Sowing) -> None:
    """The PSP took another amount than it said."""
    sale = s.sale(fate=Fate.OTHER_AMOUNT, delta=s.rng.choice((-1, 1)) * s.rng.randint(50, 500))
    s.expect("A04", sale.account, s.payment_id(sale), currency="EUR", amount=sale.delta, day=sale.day)


@_corruption("A05")
def _other_currency(s: Sowing) -> None:
    """The PSP took the number in another currency."""
    if "USD" not in s.plan.currencies:
        return
    sale = s.sale(fate=Fate.OTHER_CURRENCY)
    s.expect("A05", sale.account, s.payment_id(sale), currency="EUR", amount=-sale.total, day=sale.day)


@_corruption("A06")
def _lost_notification(s: Sowing) -> None:
    """A delayed payment succeeded and its notification was lost; the PSP is asked and the payment ends by itself."""
    sale = s.sale(fate=Fate.UNTOLD)
    s.expect(
        "A06", sale.account, s.payment_id(sale), currency="EUR", amount=sale.total, day=sale.day,
        automatic="look_up", ends="resolved",
    )  # fmt: skip


@_corruption("A07")
def _charge_taken_back(s: Sowing) -> None:
    """A payment that had succeeded fails at the PSP a day later, and nobody tells us."""
    sale = s.sale(day=s.rng.randrange(3), account=0, fate=Fate.FAILED_LATER)
    s.expect("A07", 0, s.payment_id(sale), currency="EUR", amount=-sale.total, day=sale.day + 1)


@_corruption("A08")
def _booked_twice(s: Sowing) -> None:
    """A payment has a second charge in our rows that the PSP never saw; somebody wrote it there."""
    sale = s.sale(day=s.rng.randrange(3))
    s.plan.twins.append(sale.name)
    key = f"{s.payment_id(sale)}twin"
    s.expect("A08", sale.account, key, currency="EUR", amount=-sale.total, day=s.due(sale.day))
    for code in ("D02", "D03", "D08"):
        s.expect(code, "books", follows=True, times=9)


@_corruption("A09")
def _charged_twice(s: Sowing) -> None:
    """The payer was charged twice for one payment."""
    sale = s.sale(fate=Fate.TWICE)
    s.expect(
        "A09", sale.account, s.payment_id(sale), currency="EUR", amount=sale.total, day=sale.day, automatic="suspend"
    )


@_corruption("A10")
def _fee_above_contract(s: Sowing) -> None:
    """The PSP took a higher fee than its contract says."""
    sale, more = s.sale(account=0), s.rng.randint(20, 90)
    s.plan.overcharged[sale.name] = more
    s.expect("A10", 0, s.payment_id(sale), currency="EUR", amount=-more, day=sale.day)


@_corruption("A11")
def _fee_by_itself(s: Sowing) -> None:
    """A fee of the PSP that belongs to no payment, in each account."""
    for account in range(s.plan.accounts):
        day, amount, name = s.rng.randrange(stories.BUSY_DAYS), s.rng.randint(100, 900), s.plan.name("x")
        s.plan.standing.append(Standing(name, day, account, "EUR", Kind.FEE, -amount, "Monthly fee"))
        s.expect(
            "A11", account, s.ids(account).id_of("st", name), currency="EUR", amount=-amount, day=day, automatic="book"
        )


@_corruption("A12")
def _refund_by_hand(s: Sowing) -> None:
    """Somebody refunded a payment in the PSP's own office."""
    sale = s.sale(day=s.rng.randrange(3))
    amount = max(1, sale.total // 2)
    sale = _again(s, sale, by_hand=((sale.day + 1, amount),))
    s.expect(
        "A12",
        sale.account,
        s.ids(sale.account).id_of("re", sale.name),
        currency="EUR",
        amount=-amount,
        day=sale.day + 1,
    )


@_corruption("A13")
def _vanished_refund(s: Sowing) -> None:
    """The PSP said yes to a refund and has nothing of it."""
    sale = s.sale(day=s.rng.randrange(3))
    sale = _again(s, sale, refunds=(RefundStory(sale.day + 1, vanishes=True),))
    key = s.ids(sale.account).id_of("re", sale.name)
    s.expect("A13", sale.account, key, currency="EUR", amount=sale.total, day=s.due(sale.day + 1))


@_corruption("A14")
def _refund_failed_untold(s: Sowing) -> None:
    """A refund came back, and nobody told us."""
    sale = s.sale(day=s.rng.randrange(2))
    amount = max(1, sale.total // 2)
    sale = _again(s, sale, refunds=(RefundStory(sale.day + 1, 0, amount, fails_on=sale.day + 2, is_told=False),))
    key = s.ids(sale.account).id_of("re", sale.name)
    s.expect(
        "A14", sale.account, key, currency="EUR", amount=amount, day=sale.day + 2, automatic="look_up", ends="resolved"
    )


@_corruption("A15")
def _refunded_too_much(s: Sowing) -> None:
    """A payment that was refunded in full is refunded once more in the PSP's own office."""
    sale = s.sale(day=s.rng.randrange(2))
    amount = max(1, sale.total // 3)
    sale = _again(s, sale, refunds=(RefundStory(sale.day + 1),), by_hand=((sale.day + 2, amount),))
    key = s.ids(sale.account).id_of("re", sale.name, 1)
    s.expect("A15", sale.account, key, currency="EUR", amount=-amount, day=sale.day + 2)


@_corruption("A16")
def _dispute_untold(s: Sowing) -> None:
    """A dispute took money, and its notification was lost."""
    sale = s.sale(day=s.rng.randrange(3))
    sale = _again(s, sale, dispute=DisputeStory(sale.day + 1, sale.total, 2000, is_told=False))
    key = s.ids(sale.account).id_of("du", sale.name)
    s.expect(
        "A16", sale.account, key, currency="EUR", amount=-sale.total, day=sale.day + 1, automatic="look_up",
        ends="resolved",
    )  # fmt: skip


@_corruption("A17")
def _dispute_won_untold(s: Sowing) -> None:
    """A dispute was won and the money came back, and nobody told us."""
    sale = s.sale(day=s.rng.randrange(2))
    dispute = DisputeStory(sale.day + 1, sale.total, 2000, "won", sale.day + 2, sale.total, end_is_told=False)
    sale = _again(s, sale, dispute=dispute)
    key = s.ids(sale.account).id_of("du", sale.name)
    s.expect(
        "A17", sale.account, key, currency="EUR", amount=sale.total, day=sale.day + 2, automatic="look_up",
        ends="resolved",
    )  # fmt: skip


@_corruption("A19")
def _unheard_of_category(s: Sowing) -> None:
    """The PSP uses a word that nobody knows, and holds a reserve."""
    for kind in (Kind.UNHEARD_OF, Kind.RESERVE):
        day, amount, name = s.rng.randrange(stories.BUSY_DAYS), s.rng.randint(100, 900), s.plan.name("x")
        s.plan.standing.append(Standing(name, day, 0, "EUR", kind, -amount, "As agreed"))
        s.expect("A19", 0, s.ids(0).id_of("st", name), currency="EUR", amount=-amount, day=day)


@_corruption("A20")
def _orphaned_notification(s: Sowing) -> None:
    """A notification about an object that is not ours."""
    psp_id = f"pi_{s.plan.name('nobody')}"
    s.plan.orphans.append((1, psp_id))
    s.expect("A20", 0, psp_id, amount=0, day=1)


@_corruption("A21")
def _stuck_payment(s: Sowing) -> None:
    """A payment that stays under way, here and at the PSP."""
    sale = s.sale(fate=Fate.STUCK)
    s.expect("A21", sale.account, s.payment_id(sale), currency="EUR", amount=0, day=sale.day + 8)


@_corruption("A22", "A11")
def _line_of_a_closed_month(s: Sowing) -> None:
    """A fee of a month that is closed when its line comes."""
    first = next((day for day in range(1, stories.BUSY_DAYS) if s.plan.date_of(day).day == 1), None)
    if first is None:
        return
    amount, name = s.rng.randint(100, 900), s.plan.name("x")
    story = Standing(name, first - 1, 0, "EUR", Kind.FEE, -amount, "Fee of last month", late_days=8 - first)
    s.plan.standing.append(story)
    s.plan.closes_on = 6
    key = s.ids(0).id_of("st", name)
    # What comes for a day that is over is looked at in the last run that ended.
    s.expect("A22", 0, key, currency="EUR", amount=-amount, day=6)
    s.expect("A11", 0, key, currency="EUR", amount=-amount, day=6, automatic="book")


# --- B: payouts of PSPs, the bank, files ------------------------------------------------------------------------------


@_corruption("B01")
def _payout_does_not_add_up(s: Sowing) -> None:
    """A payout of the PSP is not the sum of its lines."""
    slot = s.payout_slot("wrong total", delta=s.rng.choice((-700, 700)))
    if slot is not None:
        day, fault = slot
        s.expect("B01", 0, _payout_id(s, day, "EUR"), currency="EUR", amount=-fault.delta, day=day)
        s.expect("B04", "EUR", _payout_id(s, day, "EUR"), follows=True)


@_corruption("B02")
def _payout_never_arrives(s: Sowing) -> None:
    """A payout of the PSP does not arrive at the bank."""
    slot = s.payout_slot("lost")
    if slot is not None:
        day, fault = slot
        key = _payout_id(s, day, "EUR")
        s.expect("B02", "EUR", key, currency="EUR", amount=lambda: -fault.amount, day=s.due(day))


@_corruption("B03")
def _payout_arrives_short(s: Sowing) -> None:
    """A bank on the way took something out of a payout and said nothing."""
    currency = s.rng.choice(s.plan.currencies)
    slot = s.payout_slot("short", currency=currency, delta=s.rng.randint(100, 900))
    if slot is not None:
        day, fault = slot
        key = _payout_id(s, day, currency)
        s.expect("B03", currency, key, currency=currency, amount=-fault.delta, day=_banked_on(s, day))


@_corruption("B07")
def _charges_inside_a_payout(s: Sowing) -> None:
    """A bank on the way took charges out of a payout and said so."""
    slot = s.payout_slot("charged", delta=s.rng.randint(100, 900))
    if slot is not None:
        day, fault = slot
        s.expect("B07", "EUR", "?", currency="EUR", amount=-fault.delta, day=_banked_on(s, day), automatic="book")
        s.planted[-1].keys = fault.keys


@_corruption("B04")
def _credit_of_nobody(s: Sowing) -> None:
    """Somebody paid into our account."""
    for currency in s.plan.currencies:
        day = s.rng.choice([day for day in range(stories.BUSY_DAYS) if stories.business_day(s.plan, day)])
        story = s.banked(day, currency, Entered.CREDIT, s.rng.randint(5000, 50_000), name_of_other="Unknown Ltd")
        s.expect(
            "B04", currency, story.name.upper(), currency=currency, amount=story.amount, day=day, automatic="suspend"
        )


@_corruption("B05")
def _payout_comes_back(s: Sowing) -> None:
    """A payout that the PSP called paid comes back."""
    slot = s.payout_slot("returned")
    if slot is not None:
        day, fault = slot
        key = _payout_id(s, day, "EUR")
        s.expect("B05", 0, key, currency="EUR", amount=lambda: fault.amount, day=day + 2, automatic="return")


@_corruption("B07")
def _bank_charges_and_interest(s: Sowing) -> None:
    """The bank charges for the account and pays interest."""
    for currency in s.plan.currencies:
        for kind, sign in ((Entered.CHARGES, -1), (Entered.INTEREST, 1)):
            day = s.rng.choice((7, 8))
            story = s.banked(day, currency, kind, sign * s.rng.randint(10, 900))
            s.expect(
                "B07", currency, story.name.upper(), currency=currency, amount=story.amount, day=day, automatic="book"
            )


@_corruption("B08", "B10")
def _missing_statement(s: Sowing) -> None:
    """A statement of the bank never comes: the next one begins elsewhere, and the balance is another."""
    currency = s.rng.choice([name for name in s.plan.currencies if name != "KWD"])
    day = s.quiet_day(currency)
    if day is not None:
        story = s.banked(day, currency, Entered.CHARGES, -s.rng.randint(10, 900))
        s.plan.post.append(Post(currency, day, "missing"))
        s.expect("B08", currency, currency=currency, day=day + 1)
        s.expect("B10", currency, currency=currency, amount=story.amount, day=day + 1)


@_corruption("B09")
def _bad_control_total(s: Sowing) -> None:
    """A statement does not add up, and is replaced the day after."""
    currency = s.rng.choice([name for name in s.plan.currencies if name != "KWD"])
    day = s.quiet_day(currency)
    if day is not None:
        story = s.banked(day, currency, Entered.CHARGES, -s.rng.randint(10, 900))
        s.plan.post.append(Post(currency, day, "bad total", days=1))
        s.expect("B09", currency, day=day)
        s.expect("B07", currency, story.name.upper(), currency=currency, amount=story.amount, day=day, automatic="book")


@_corruption("B09")
def _truncated_report(s: Sowing) -> None:
    """A report of the PSP breaks off in the middle of a row, and comes whole a day later."""
    s.plan.post.append(Post("stripe", 1, "truncated"))
    s.expect("B09", 0, "activity-01.csv", day=1)


@_corruption("B11")
def _transfer_of_nobody(s: Sowing) -> None:
    """A transfer to a connected account that no payout of ours asked for."""
    day, amount, name = s.rng.randrange(1, stories.BUSY_DAYS), s.rng.randint(100, 900), s.plan.name("x")
    s.plan.standing.append(Standing(name, day, 0, "EUR", Kind.TRANSFER, -amount, "Transfer by hand"))
    s.expect("B11", 0, s.ids(0).id_of("st", name), currency="EUR", amount=-amount, day=day)


@_corruption("B13")
def _payout_by_hand(s: Sowing) -> None:
    """A payout of the PSP that was asked for by hand: no line names it."""
    slot = s.payout_slot("manual")
    if slot is not None:
        day, fault = slot
        key = _payout_id(s, day, "EUR")
        s.expect("B13", 0, key, currency="EUR", amount=lambda: -fault.amount, day=day, automatic="derive")


# --- C: exchange ------------------------------------------------------------------------------------------------------


@_corruption("C01")
def _a_unit_off(s: Sowing) -> None:
    """The PSP settled a payment one minor unit off."""
    for delta in (-1, 1):
        sale = s.sale(fate=Fate.ROUNDED, delta=delta)
        s.expect(
            "C01", sale.account, s.payment_id(sale), currency="EUR", amount=delta, day=sale.day,
            automatic="book_rounding", ends="resolved",
        )  # fmt: skip


@_corruption("C02")
def _settled_elsewhere(s: Sowing) -> None:
    """A payment was settled in another currency, at the PSP's own rate."""
    if "USD" not in s.plan.currencies:
        return
    sale = s.sale(account=0, fate=Fate.CONVERTED, delta=s.rng.randint(-3, 3))
    s.expect("C02", 0, s.payment_id(sale), currency="EUR", amount=-sale.total, day=sale.day)


@_corruption("C03")
def _exchange_fee(s: Sowing) -> None:
    """A fee for changing money that stands alone."""
    day, amount, name = s.rng.randrange(stories.BUSY_DAYS), s.rng.randint(10, 90), s.plan.name("x")
    s.plan.standing.append(Standing(name, day, 0, "EUR", Kind.FX_FEE, -amount, "Currency conversion"))
    s.expect("C03", 0, s.ids(0).id_of("st", name), currency="EUR", amount=-amount, day=day, automatic="book")


# --- traps ------------------------------------------------------------------------------------------------------------


@_corruption()
def _same_file_twice(s: Sowing) -> None:
    """A report comes twice, once under another name and with other line ends."""
    s.plan.post += [Post("stripe", 2, "twice"), Post("stripe", 3, "renamed")]


@_corruption()
def _marked_file(s: Sowing) -> None:
    """A report begins with a byte order mark and ends its lines with CRLF."""
    s.plan.post.append(Post("stripe", 0, "marked"))


@_corruption()
def _late_file(s: Sowing) -> None:
    """A statement of the bank comes a day late."""
    s.plan.post.append(Post("EUR", 4, "late", days=1))


@_corruption()
def _old_schema_and_copy(s: Sowing) -> None:
    """The bank writes an older schema on one day and sends a marked copy on another."""
    s.plan.post += [Post("EUR", 0, "version 2"), Post("EUR", 1, "copy")]


@_corruption()
def _formulas(s: Sowing) -> None:
    """Cells begin with an equals sign."""
    if "KWD" in s.plan.currencies:
        s.plan.post += [Post("KWD", 2, "formulas"), Post("KWD", 3, "marked")]


@_corruption("B04")
def _revised_statement(s: Sowing) -> None:
    """A statement comes without its last entry and is sent again, whole."""
    day = s.quiet_day("EUR")
    if day is None:
        return
    s.banked(day, "EUR", Entered.CHARGES, -s.rng.randint(10, 900))
    story = s.banked(day, "EUR", Entered.CREDIT, s.rng.randint(5000, 9000), name_of_other="Unknown Ltd")
    s.plan.post.append(Post("EUR", day, "revised"))
    s.expect("B04", "EUR", story.name.upper(), currency="EUR", amount=story.amount, day=day, automatic="suspend")
    (charges,) = [one for one in s.plan.banked if one.day == day and one.currency == "EUR" and one.amount < 0][-1:]
    s.expect("B07", "EUR", charges.name.upper(), currency="EUR", amount=charges.amount, day=day, automatic="book")


@_corruption("B04")
def _pending_then_booked(s: Sowing) -> None:
    """The bank shows an entry before it books it, with another reference and on another day."""
    story = s.banked(2, "EUR", Entered.CREDIT, s.rng.randint(5000, 9000), name_of_other="Slow Ltd", pending_since=1)
    s.expect("B04", "EUR", story.name.upper(), currency="EUR", amount=story.amount, day=2, automatic="suspend")


@_corruption("B11")
def _seller_payout_never_left(s: Sowing) -> None:
    """The PSP said yes to a transfer to a seller and has nothing of it."""
    currency = "EUR"
    sale = s.sale(day=0, account=0, currency=currency, amounts=(123_400 + s.rng.randrange(500),), sellers=(0,))
    del sale
    story = SellerPayout(s.plan.name("po"), 3, 0, currency, 7)
    s.plan.payouts.append(story)
    s.plan.lost_transfers[story.name] = {story.name}
    s.expect("B11", 0, currency=currency, day=s.due(3))
    s.planted[-1].keys = s.plan.lost_transfers[story.name]


def _again(s: Sowing, sale: Sale, **more: object) -> Sale:
    """Tell a sale again with what happens to it."""
    changed = replace(sale, **more)  # type: ignore[arg-type]  # each corruption names fields of a sale
    s.plan.sales[s.plan.sales.index(sale)] = changed
    return changed


def _payout_id(s: Sowing, day: int, currency: str) -> str:
    return f"po_b0{s.plan.seed:03}d{day:02}{currency.lower()}"


def _banked_on(s: Sowing, day: int) -> int:
    return days.after(s.plan.date_of(day), 1).toordinal() - s.plan.start.toordinal()


CATALOGUE: Final = tuple(_ALL)


def as_markdown() -> str:
    """Return the catalogue as tables of docs/reference/reconciliation-score.md."""
    planted = [f"| {', '.join(one.codes)} | {one.name} | {one.says} |" for one in CATALOGUE if one.codes]
    traps = [f"| {one.name} | {one.says} |" for one in CATALOGUE if not one.codes]
    tampered = [f"| {one.code} | {one.says} |" for one in TAMPERINGS]
    return "\n".join(
        [
            "### Planted", "", "| class | corruption | what happens |", "|---|---|---|", *sorted(planted), "",
            "### Traps", "", "| trap | what happens |", "|---|---|", *sorted(traps), "",
            "### Tampering", "", "| class | what the superuser does |", "|---|---|", *tampered, "",
        ]
    )  # fmt: skip


def sow(plan: Plan, *, only: frozenset[str] | None = None) -> list[Planted]:
    """Plant the catalogue into a plan, most of it each time; return what must be found."""
    rng = random.Random(plan.seed * 7919 + 1)
    sowing = Sowing(plan, rng)
    for corruption in CATALOGUE:
        chosen = rng.random() < 0.8 if only is None else corruption.name in only
        if chosen:
            plan.current = corruption.name
            corruption.plant(sowing)
    # A platform that loses more to disputes and fees than it earns truly owes more than it has; where that happens in a
    # currency with few sales, whoever says so is right.
    sowing.expect("D10", "books", follows=True, times=len(plan.currencies), corruption="losses of the platform")
    return sowing.planted
