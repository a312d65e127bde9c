"""One history, whole: Florin on one side, PSPs and bank on the other, day by day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from benchmarks.reconciliation.history import bank as banks
from benchmarks.reconciliation.history import days, playing, rendering, stories
from benchmarks.reconciliation.history.bank import Account, Bank
from benchmarks.reconciliation.history.days import Clock
from benchmarks.reconciliation.history.outside import Entered, PspLine
from benchmarks.reconciliation.history.playing import Stage
from benchmarks.reconciliation.history.rendering import File
from benchmarks.reconciliation.history.stories import PayoutFault, Plan
from ledger import periods
from payments.psp.base import ObjectKind

_PAYERS = ("STRIPE", "ADYEN")
RETURNED_AFTER = 2
# A second charge of a payment, as if it had been captured too, with the history that a charge has.
_TWIN = """
WITH twin AS (
    INSERT INTO payments_charge (public_id, book_id, event_id, psp_account_id, status, currency, amount_minor,
           captured_minor, psp_id, created_at)
    SELECT gen_random_uuid(), c.book_id, c.event_id, c.psp_account_id, c.status, c.currency, c.amount_minor,
           c.captured_minor, c.psp_id || 'twin', c.created_at
      FROM payments_charge c JOIN payments_paymentevent e ON e.id = c.event_id
     WHERE e.checkout_id = ANY (%(names)s)
    RETURNING id)
INSERT INTO payments_transition (machine, object_id, source, target, at)
SELECT 'payments_charge', t.id, 'PROCESSING', 'SUCCEEDED', florin_now() FROM twin t
"""


@dataclass(slots=True)
class World:
    """A plan being played."""

    plan: Plan
    superuser_url: str
    stage: Stage = field(init=False)
    bank: Bank = field(init=False)
    mail: list[File] = field(default_factory=list)
    returns: list[tuple[int, PspLine]] = field(default_factory=list)

    def __post_init__(self) -> None:
        start = days.at(self.plan.start, 5, playing.ZONE)
        self.stage = Stage(self.plan, Clock(self.superuser_url, start), self.superuser_url)
        currencies = self.plan.currencies
        found = {currency: Account(currency, reuses_ids=self.plan.seed % 3 == 0) for currency in currencies}
        self.bank = Bank(self.plan.seed, found)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Put clock and PSPs in place and make the merchant."""
        with self.stage.set_up():
            self.stage.clock.move(self.stage.clock.moment)
            self.stage.open()
            for psp in self.stage.psps:
                psp.overcharged = self.plan.overcharged
                psp.faults = {
                    (day, currency): fault
                    for (account, day, currency), fault in self.plan.payout_faults.items()
                    if account == psp.number
                }
            yield

    def play(self, day: int) -> None:
        """Let a day pass: what happens, what PSPs pay out, what the bank books; its files are on their way."""
        self._orphans(day)
        self.stage.play(day)
        self._twins(day)
        for due, payout in self.returns:
            if due == day:
                self.stage.psps[0].give_back(payout)
        date_of = self.plan.date_of(day)
        if stories.business_day(self.plan, day):
            for psp in self.stage.psps:
                made = psp.sweep(self.stage.moment(day, 0), f"{self.plan.seed:03}d{day:02}", day)
                for payout, fault in made:
                    self._bank(psp.number, day, payout, fault)
            self._bank_by_itself(day)
            for account in self.bank.accounts.values():
                account.close(date_of)
        self.mail += rendering.of_day(self.stage, self.bank, day)
        if self.plan.closes_on == day:
            self._close_period(day)

    def arriving(self, day: int) -> list[File]:
        """Return the files that arrive on the morning after a day, in the order in which they were sent."""
        return [file for file in self.mail if file.arrives == day]

    def _bank(self, psp: int, day: int, payout: PspLine, fault: PayoutFault | None) -> None:
        kind = fault.kind if fault is not None else ""
        if payout.currency not in self.bank.accounts or kind == "lost":
            return
        if kind == "returned":
            self.returns.append((day + RETURNED_AFTER, payout))
            return
        # Every other payout is named by its own id, the rest by the trace that the bank was given.
        named = bool(fault) or (self.bank.written % 2 == 0)
        entry = self.bank.take_payout(payout, self.plan.date_of(day), _PAYERS[psp], names_payout=named)
        if fault is not None and kind in ("short", "charged"):
            entry.amount -= fault.delta
            fault.keys.add(entry.reference)
            entry.charges = fault.delta if kind == "charged" else 0

    def _bank_by_itself(self, day: int) -> None:
        for story in self.plan.banked:
            if story.day == day and story.currency in self.bank.accounts:
                entry = self.bank.enter(
                    story.kind, story.currency, story.amount, self.plan.date_of(day), text=story.text,
                    name=story.name_of_other,
                )  # fmt: skip
                # The manifest names it by what it is called, before there was a reference.
                entry.reference = story.name.upper()
                if story.pending_since is not None:
                    earlier = self.plan.date_of(story.pending_since)
                    twin = rendering.pending_twin(entry, earlier)
                    self.bank.accounts[story.currency].entries.append(twin)

    def _orphans(self, day: int) -> None:
        for when, psp_id in self.plan.orphans:
            if when == day:
                self.stage.clock.move(self.stage.moment(day, 6))
                self.stage.tell(0, ObjectKind.CHARGE, psp_id)

    def _twins(self, day: int) -> None:
        names = [sale.name for sale in self.plan.sales if sale.name in self.plan.twins and sale.day == day]
        if names:
            with psycopg.connect(self.superuser_url, autocommit=True) as superuser:
                superuser.execute("SET session_replication_role = replica")
                superuser.execute(_TWIN, {"names": names})

    def _close_period(self, day: int) -> None:
        first = self.plan.date_of(day).replace(day=1)
        ends_at, now = days.at(first, 0, playing.ZONE), self.stage.clock.now()
        book = self.stage.book.pk
        period = periods.soft_close(book, ends_at=ends_at, may_post=[], actor=playing.ACTOR, now=now)
        periods.begin_close(period, actor=playing.ACTOR, now=now)
        assert periods.finish_within(period, seconds=10, actor=playing.ACTOR, now=now)


__all__ = ["Entered", "World", "banks"]
