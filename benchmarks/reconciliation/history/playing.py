"""Plays a plan into Florin through its own flows: checkouts, the executor, notifications, refunds, disputes, payouts.

The PSP is on the other side of the adapter's contract, in this process. Nobody polls: what no notification tells stays
untold until something asks, so that a lost one is really lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final
from unittest import mock
from zoneinfo import ZoneInfo

import psycopg

from benchmarks.reconciliation.history import days, stories
from benchmarks.reconciliation.history.days import Clock
from benchmarks.reconciliation.history.outside import Kind
from benchmarks.reconciliation.history.psp import MANUAL, Payment, Psp
from benchmarks.reconciliation.history.stories import DisputeStory, Fate, Plan, RefundStory, Sale
from config import seam
from ledger import accounts
from ledger.models import Book, Mode
from payments import (
    bank_accounts,
    callers,
    captures,
    destinations,
    executor,
    intake,
    merchants,
    notifications,
    releases,
)
from payments import payouts as payout_flow
from payments import refunds as refund_flow
from payments.intake import NewOrder, NewPayment
from payments.merchants import FeeTerms, MerchantDetails, PspDetails, SellerDetails
from payments.models import Charge, PaymentEvent, PaymentOrder, Payout, PspAccount, Seller
from payments.payouts import PayoutRequest
from payments.psp import registry
from payments.psp.base import NotificationRef, ObjectKind, ObjectStatus
from payments.refunds import Wanted
from wallet import balances
from wallet.models import Wallet

ZONE: Final = ZoneInfo("Europe/Berlin")
ACTOR: Final = "key:history"
MAX_ROUNDS: Final = 80
MORNING, NOON, AFTERNOON, EVENING, NIGHT = 12.0, 13.0, 15.0, 17.0, 23.9
# What would ask by itself is told not to: a history decides what Florin hears.
_NOBODY_ASKS: Final = """
UPDATE payments_charge SET due_at = '2100-01-01' WHERE due_at IS NOT NULL;
UPDATE payments_dispute SET due_at = '2100-01-01' WHERE due_at IS NOT NULL;
UPDATE payments_payout SET due_at = '2100-01-01' WHERE due_at IS NOT NULL AND status IN ('sent', 'paid');
UPDATE payments_paymentevent SET expiry_due_at = '2100-01-01' WHERE expiry_due_at IS NOT NULL;
"""
# A row's history is dated by the database's own clock: here it gets the time of the history.
_ONE_CLOCK: Final = """
SET session_replication_role = replica;
UPDATE payments_transition SET at = florin_now() WHERE at > florin_now() + interval '1 hour';
RESET session_replication_role;
"""


def iban(number: int) -> str:
    """Return a German account number with right check digits."""
    body = f"37040044{number:010}"
    check = 98 - int(body + "131400") % 97
    return f"DE{check:02}{body}"


@dataclass(slots=True)
class Stage:
    """A merchant in Florin and the PSP accounts behind it, as a plan needs them."""

    plan: Plan
    clock: Clock
    superuser_url: str
    psps: list[Psp] = field(default_factory=list)
    psp_accounts: list[PspAccount] = field(default_factory=list)
    sellers: list[Seller] = field(default_factory=list)
    book: Book = field(init=False)
    key: str = field(init=False, default="")
    told: int = 0

    def open(self) -> None:
        """Make the merchant, its sellers with their bank accounts, and its PSP accounts."""
        accounts.forget()
        now = self.clock.now()
        made = merchants.create_merchant(
            MerchantDetails("Teapots", Mode.TEST, FeeTerms(1000, {"EUR": 30}), "DE", "EUR"), now=now
        )
        self.book, self.key = made.book, made.key.key
        terms = {"time_zone": str(ZONE), "release_days_after_delivery": 0}
        merchants.put_terms(self.book.pk, terms, actor=ACTOR)
        by_name = {sale.name: sale for sale in self.plan.sales}
        for number in range(self.plan.accounts):
            self.psps.append(Psp(number, self.clock.now, by_name, moment_of=self.moment_of))
            details = PspDetails("stripe", ("stripe", "adyen")[number], f"sk_history_{number}")
            account = merchants.put_psp_account(self.book.pk, details, now=now)
            PspAccount.objects.filter(pk=account.pk).update(calls_per_second=10_000, call_tokens=10_000)
            self.psp_accounts.append(account)
        for number in range(stories.SELLERS):
            seller = merchants.create_seller(
                self.book.pk, SellerDetails(f"seller-{number}", f"Seller {number}", "DE", "EUR"), now=now
            )
            merchants.record_kyc(seller.pk, status=Seller.Kyc.VERIFIED, reference="history")
            for currency in self.plan.currencies:
                account_number = bank_accounts.iban(iban(100 + number), f"Seller {number}")
                destinations.put(seller, account_number, currency=currency, actor=ACTOR, now=now)
            self.sellers.append(seller)

    @contextmanager
    def set_up(self) -> Iterator[None]:
        """Put this history's clock and PSPs in the place of the real ones."""
        builders = {"stripe": lambda credentials: self.psps[int(credentials.api_key.rpartition("_")[2])]}
        with (
            mock.patch.object(seam, "now", self.clock.now),
            mock.patch.dict(registry._BUILDERS, builders),
            mock.patch.dict(registry._adapters, clear=True),
        ):
            yield

    def moment_of(self, sale: Sale) -> datetime:
        """Return when the PSP takes the money of a sale."""
        day = self.after(sale.day, sale.late_days) if sale.late_days else sale.day
        moment = self.moment(day, sale.hour)
        return max(moment, self.clock.now()) if sale.delayed else moment

    def moment(self, day: int, hour: float) -> datetime:
        """Return a moment of a day of the plan, by the wall clock of the book's time zone."""
        return days.at(self.plan.date_of(day), hour, ZONE)

    def after(self, day: int, count: int) -> int:
        """Return the number of the day that is so many business days later."""
        return days.after(self.plan.date_of(day), count).toordinal() - self.plan.start.toordinal()

    def local(self, moment: datetime) -> date:
        """Return the day of a moment, in the book's time zone."""
        return days.local_day(moment, ZONE)

    # --- a day -----------------------------------------------------------------------------------------------------

    def play(self, day: int) -> None:
        """Let a day pass, up to midnight."""
        self.clock.move(self.moment(day, MORNING))
        self._sell([sale for sale in self.plan.sales if sale.day == day and sale.hour < MORNING])
        self.clock.move(self.moment(day, NOON))
        self._hear_of_delayed(day)
        self._capture(day)
        self._deliver()
        self.clock.move(self.moment(day, AFTERNOON))
        self._refund(day)
        self._dispute(day)
        self.clock.move(self.moment(day, EVENING))
        self._pay_out(day)
        self._stand(day)
        self.clock.move(self.moment(day, NIGHT))
        self._sell([sale for sale in self.plan.sales if sale.day == day and sale.hour >= MORNING])

    def work(self) -> None:
        """Do everything that is due, one call after the other; afterwards nobody asks by itself."""
        quiet = 0
        for _ in range(MAX_ROUNDS):
            # A notification may make something due without a call of its own.
            quiet = 0 if executor.execute() else quiet + 1
            if quiet == 2:
                break
        else:
            raise AssertionError("work does not come to an end")
        with psycopg.connect(self.superuser_url, autocommit=True) as superuser:
            superuser.execute(_NOBODY_ASKS)
            superuser.execute(_ONE_CLOCK)

    def tell(
        self, account: int, kind: ObjectKind, psp_id: str, *, about: str = "", status: str = "", times: int = 1
    ) -> None:
        """Let a PSP notify us of an object; the object itself is fetched, as ever."""
        self.told += 1
        body = {"data": {"object": {"metadata": {}, "status": status}}}
        name = f"evt_{self.plan.seed:03}n{self.told:05}"
        ref = NotificationRef(name, f"{kind}.updated", kind, psp_id, self.clock.now(), charge_psp_id=about)
        for _ in range(times):
            notifications.store(self.psp_accounts[account], ref, body, now=self.clock.now())

    def _sell(self, sales: list[Sale]) -> None:
        for number in range(self.plan.accounts):
            chosen = [sale for sale in sales if sale.account == number]
            if not chosen:
                continue
            names = [f"seller-{seller}" for seller in range(stories.SELLERS)]
            caller = callers.find_caller(self.key, seller_refs=names, now=self.clock.now())
            assert caller is not None
            account = self.psp_accounts[number]
            caller = replace(caller, psp_account_id=account.pk, psp_account_code=account.code)
            answers = intake.accept(caller, [checkout(sale, caller) for sale in chosen], now=self.clock.now())
            assert all(answer.outcome == "created" for answer in answers), answers
        if sales:
            self.work()

    def _hear_of_delayed(self, day: int) -> None:
        """Let delayed payments succeed at the PSP; who is told of it hears it twice, newest first."""
        heard = []
        for sale in self.plan.sales:
            if sale.day == day and (sale.delayed or sale.fate in (Fate.UNTOLD, Fate.STUCK)) and not sale.declined:
                for payment in self.payments_of(sale):
                    if sale.fate != Fate.STUCK and payment.status == ObjectStatus.PROCESSING:
                        self.psps[sale.account].succeed(payment, payment.amount)
                        heard += [(sale.account, payment.psp_id)] if sale.fate != Fate.UNTOLD else []
        for account, psp_id in reversed(heard):
            self.tell(account, ObjectKind.CHARGE, psp_id, times=2)
        if heard:
            self.work()

    def _capture(self, day: int) -> None:
        wanted = {sale.name: sale for sale in self.plan.sales if sale.day == day and sale.captured is not None}
        for event in PaymentEvent.objects.filter(book=self.book, checkout_id__in=wanted):
            amounts = wanted[event.checkout_id].captured
            assert amounts is not None
            orders = PaymentOrder.objects.filter(event=event).order_by("position")
            captures.capture(event.pk, {order.pk: amounts[order.position] for order in orders}, now=self.clock.now())
        if wanted:
            self.work()

    def _deliver(self) -> None:
        paid = PaymentOrder.objects.filter(book=self.book, status=PaymentOrder.Status.SUCCESS, delivered_at=None)
        for order in paid.order_by("pk"):
            releases.deliver(order.event_id, order.pk, now=self.clock.now())

    def _refund(self, day: int) -> None:
        asked = False
        for sale in self.plan.sales:
            for story in sale.refunds:
                if story.day == day:
                    self._ask_refund(sale, story)
                    asked = True
            for by_hand, amount in sale.by_hand:
                if by_hand == day:
                    self.psps[sale.account].pay_back(self.payments_of(sale)[0], amount)
        if asked:
            self.work()
        for sale in self.plan.sales:
            for number, story in enumerate(sale.refunds):
                if story.fails_on == day:
                    psp = self.psps[sale.account]
                    refund = psp.refunds[psp.id_of("re", sale.name, number)]
                    psp.refund_fails(refund)
                    if story.is_told:
                        self.tell(sale.account, ObjectKind.REFUND, refund.psp_id, status="failed")
            if sale.fate == Fate.FAILED_LATER and day == sale.day + 1:
                self.psps[sale.account].fail_later(self.payments_of(sale)[0])
        self.work()

    def _ask_refund(self, sale: Sale, story: RefundStory) -> None:
        order = PaymentOrder.objects.get(book=self.book, event__checkout_id=sale.name, position=story.order)
        refund_flow.request(order.event_id, Wanted(order.pk, story.amount), now=self.clock.now())

    def _dispute(self, day: int) -> None:
        for sale in self.plan.sales:
            story = sale.dispute
            if story is None:
                continue
            psp = self.psps[sale.account]
            if story.day == day:
                payment = self.payments_of(sale)[0]
                psp.open_dispute(payment, story.amount, story.cost)
                self._tell_dispute(sale, story, told=story.is_told)
            if story.ends and story.ends_on == day:
                psp.end_dispute(psp.disputes[psp.id_of("du", sale.name)], story.ends, story.back)
                self._tell_dispute(sale, story, told=story.end_is_told)
        self.work()

    def _tell_dispute(self, sale: Sale, story: DisputeStory, *, told: bool) -> None:
        if told and story.is_told:
            psp = self.psps[sale.account]
            payment = self.payments_of(sale)[0]
            self.tell(sale.account, ObjectKind.DISPUTE, psp.id_of("du", sale.name), about=payment.psp_id)

    def _pay_out(self, day: int) -> None:
        for story in self.plan.payouts:
            if story.day == day:
                self._ask_payout(story)
        self.work()
        under_way = Payout.objects.filter(book=self.book, status=Payout.Status.SENT, psp_id__isnull=False)
        bounces = {story.name: story.bounces_on for story in self.plan.payouts}
        for row in under_way.filter(created_at__lt=self.clock.now() - timedelta(hours=1)):
            sent = self.psps[0].sent[row.psp_id or ""]
            if bounces.get(row.reference or "") is None and sent.status == ObjectStatus.PROCESSING:
                sent.status = ObjectStatus.SUCCEEDED
                self.tell(0, ObjectKind.PAYOUT, sent.psp_id)
        for story in self.plan.payouts:
            if story.bounces_on == day:
                found = Payout.objects.filter(book=self.book, reference=story.name, psp_id__isnull=False).first()
                if found is not None:
                    self.psps[0].sent[found.psp_id or ""].status = ObjectStatus.FAILED
                    self.tell(0, ObjectKind.PAYOUT, found.psp_id or "")
        self.work()

    def _ask_payout(self, story: stories.SellerPayout) -> None:
        seller = self.sellers[story.seller]
        wallets = Wallet.objects.filter(book=self.book, seller=seller.public_id, currency_id=story.currency)
        for held in balances.of_wallets(list(wallets)):
            amount = held.available * story.percent // 100
            if amount:
                if story.name in self.plan.lost_transfers:
                    self.psps[0].lost_transfers[amount] = self.plan.lost_transfers[story.name]
                wanted = PayoutRequest(seller.pk, story.currency, amount, story.name)
                payout_flow.request(self.book.pk, wanted, actor=ACTOR, now=self.clock.now())

    def _stand(self, day: int) -> None:
        for story in self.plan.standing:
            if story.day == day:
                psp = self.psps[story.account]
                own_id = psp.id_of("st", story.name)
                # A charge of nobody is a payment like any other, but for us.
                payment = own_id if story.kind == Kind.CHARGE else ""
                fee = psp.fee_of(story.gross, story.currency) if payment else 0
                line = psp.line(
                    story.kind, story.currency, story.gross, own_id, text=story.text, payment=payment, fee=fee
                )
                if story.late_days:
                    line.payout = MANUAL  # what no report has yet is in no payout either

    def payments_of(self, sale: Sale) -> list[Payment]:
        """Return the payment objects of a sale at the PSP."""
        found = self.psps[sale.account].payments.values()
        return [payment for payment in found if payment.checkout == sale.name]

    def waiting(self) -> list[str]:
        """Return what is still under way in Florin."""
        return list(
            Charge.objects.filter(book=self.book, status="PROCESSING").values_list("event__checkout_id", flat=True)
        )


def checkout(sale: Sale, caller: callers.Caller) -> NewPayment:
    """Return what a merchant would post for a sale."""
    token = "tok_declined" if sale.declined else "tok_now"
    if sale.delayed or sale.fate in (Fate.UNTOLD, Fate.STUCK):
        token = "tok_delayed"
    orders = tuple(
        NewOrder(caller.sellers[f"seller-{seller}"], amount, f"line-{place}", "Teapot", {})
        for place, (amount, seller) in enumerate(zip(sale.amounts, sale.sellers, strict=True))
    )
    return NewPayment(
        checkout_id=sale.name,
        currency=sale.currency,
        orders=orders,
        buyer={"id": "u-1", "country": "DE"},
        token=token,
        method_types=("card",),
        charge_mode="per_order" if sale.per_order else "single",
        capture="manual" if sale.captured is not None else "automatic",
        return_url="",
        metadata={},
        idempotency_key=f"key-{sale.name}",
        fingerprint=hashlib.sha256(sale.name.encode()).digest(),
    )
