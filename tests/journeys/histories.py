"""Random histories of a marketplace: every verb in any order, and what must hold after each of them.

Used by `test_random_histories.py`. The PSP is the sandbox over HTTP, the books are in PostgreSQL, the work is done by
the executor; only the order of things is drawn. Each step is told as a sentence, so that a failure reads as a story.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import requests
from django.db import ProgrammingError, connection
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from config import seam
from config.seam import Crash
from ledger import invariants as ledger_invariants
from payments import (
    bank_accounts,
    cancellations,
    destinations,
    executor,
    invariants,
    notifications,
    payouts,
    refunds,
    releases,
    reserves,
)
from payments.errors import InvalidState, Unprocessable
from payments.models import Dispute, MerchantBook, PaymentOrder, Payout, Refund, Seller
from payments.payouts import PayoutRequest
from payments.psp import registry
from payments.refunds import Wanted
from tests.database import Clone
from tests.faults.crashes import Boundaries, bury
from tests.market import BOUNCING_IBAN, GOOD_IBAN, REFUSED_IBAN
from tests.sandbox_process import SandboxPsp
from tests.shop import open_shop
from wallet import conversions, rates
from wallet.conversions import Terms
from wallet.errors import InsufficientAvailable, TooLittle
from wallet.models import Wallet
from wallet.rates import EcbFile

CURRENCIES: Final = ("EUR", "JPY", "USD")
MAKER: Final = "key:tests"
CHECKER: Final = "user:checker"
IBANS: Final = {
    GOOD_IBAN: "an account",
    BOUNCING_IBAN: "an account that gives back what was paid",
    REFUSED_IBAN: "an account that the PSP refuses",
}
TOKENS: Final = {
    "pm_card_bypassPending": "a card whose money is there at once",
    "pm_card_visa": "a card",
    "pm_card_pendingRefund": "a card whose refunds take a minute",
    "pm_card_refundFail": "a card whose refunds come back",
    "pm_card_chargeDeclined": "a card that is declined",
    "pm_card_createDispute": "a card that is disputed",
    "pm_sandbox_delayed_success": "a direct debit",
    "pm_sandbox_late_success": "a direct debit that pays even when cancelled",
}
FAULTS: Final = ("drop_before", "reset_after", "500_before", "500_after", "html_502_after")
# They compare with the clock: a history may leave work lying for hours, and catches up at its end.
TIMED: Final = {"nothing_is_stuck", "unknown_is_resolved"}
NEVER: Final = {"dead_operation", "dead_notification", "dispute_in_quarantine", "unknown_outcome"}
OPEN_DISPUTES: Final = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")
MAX_EVENTS: Final = 2_000
MAX_ROUNDS: Final = 40
picks = st.integers(0, 63)


def pick[T](rows: Sequence[T], number: int) -> T:
    """Return one of some rows; a smaller number is an older row."""
    return rows[number % len(rows)]


class Histories(RuleBasedStateMachine):
    """One merchant with two sellers, and everything that can happen to its money."""

    def __init__(self, clone: Clone, psp: SandboxPsp, tell: Callable[[list[str]], None]) -> None:
        super().__init__()
        self.clone, self.psp, self.tell = clone, psp, tell
        self.story: list[str] = []
        psp.control("clock", reset=True)
        self.shop = open_shop(clone, psp)
        self.shop.reset_time()
        self.heard: set[str] = set()
        self.checkouts: list[int] = []
        yesterday = seam.now().date() - timedelta(days=1)
        rates.load(EcbFile(f"Date, USD, JPY, \n{yesterday}, 1.0850, 163.21, \n".encode()), now=seam.now())

    def say(self, sentence: str) -> None:
        """Tell a step."""
        self.story.append(sentence)
        note(f"{len(self.story)}. {sentence}")

    # --- the marketplace -------------------------------------------------------------------------------------------

    @initialize(
        policy=st.sampled_from(["keep", "return", "proportional"]),
        after_capture=st.sampled_from([None, 2]),
        reserve=st.sampled_from([0, 1500]),
        above=st.sampled_from([10**6, 1000]),
    )
    def open(self, policy: str, after_capture: int | None, reserve: int, above: int) -> None:
        """Agree on terms."""
        MerchantBook.objects.filter(pk=self.shop.tenant.book.pk).update(
            refund_fee_policy=policy,
            release_days_after_capture=after_capture,
            payout_approval_above=dict.fromkeys(CURRENCIES, above),
        )
        Seller.objects.update(kyc_status=Seller.Kyc.VERIFIED)
        for seller in (0, 1):
            for currency in CURRENCIES:
                self.destination(seller, currency, GOOD_IBAN)
        Seller.objects.filter(pk=self.shop.sellers[0].pk).update(
            reserve_basis_points=reserve, reserve_days=3 if reserve else 0
        )
        self.say(
            f"The fee of a refund: {policy}. Released {after_capture or 'no'} days after capture, or when delivered. "
            f"The first seller's reserve: {reserve / 100:g} percent. "
            f"Payouts above {above} need an approval."
        )

    @rule(
        amounts=st.lists(st.integers(100, 5000), min_size=1, max_size=3),
        currency=st.sampled_from(CURRENCIES),
        mode=st.sampled_from(["single", "per_order"]),
        token=st.sampled_from(list(TOKENS)),
        done=st.booleans(),
    )
    def buy(self, amounts: list[int], currency: str, mode: str, token: str, done: bool) -> None:
        """Check out, and perhaps pay at once."""
        methods = () if token.startswith("pm_sandbox") else ("card",)
        event = self.shop.buy(*amounts, currency=currency, charge_mode=mode, token=token, method_types=methods)
        self.checkouts.append(event.pk)
        if done:
            self.shop.work()
        self.say(
            f"Checkout {len(self.checkouts)}: {amounts} {currency}, charge {mode}, with {TOKENS[token]}; "
            f"{'worked off' if done else 'work waits'}."
        )

    @precondition(lambda self: self.checkouts)
    @rule(number=picks)
    def cancel(self, number: int) -> None:
        """Ask for a cancellation."""
        event = pick(self.checkouts, number)
        said = "is asked for"
        try:
            cancellations.cancel(event, reason="cancelled", now=seam.now())
        except InvalidState as refused:
            said = f"is refused: {refused}"
        self.say(f"The cancellation of checkout {self.checkouts.index(event) + 1} {said}.")

    @precondition(lambda self: self.paid())
    @rule(number=picks)
    def deliver(self, number: int) -> None:
        """Deliver an order."""
        order = pick(self.paid(), number)
        releases.deliver(order.event_id, order.pk, now=seam.now())
        self.say(f"{self.name(order)} is delivered.")

    @precondition(lambda self: self.paid())
    @rule(number=picks, amount=st.none() | st.integers(1, 3000), done=st.booleans())
    def refund(self, number: int, amount: int | None, done: bool) -> None:
        """Refund an order, in whole or in part."""
        order = pick(self.paid(), number)
        said = "is asked for" + (" and worked off" if done else "")
        try:
            refunds.request(order.event_id, Wanted(order.pk, amount), now=seam.now())
        except Unprocessable as refused:
            said = f"is refused: {refused}"
        if done:
            self.shop.work()
        self.say(f"A refund of {amount or 'the rest'} of {self.name(order)} {said}.")

    @precondition(lambda self: self.paid())
    @rule(seller=st.integers(0, 1), number=picks, part=st.sampled_from([None, 50]), done=st.booleans())
    def pay_out(self, seller: int, number: int, part: int | None, done: bool) -> None:
        """Let a seller ask for everything or a part of what is available in one of its wallets."""
        for wallet in self.wallets(seller, number):
            currency = wallet.currency_id
            amount = part and self.shop.wallet(seller, currency).available * part // 100
            wanted = PayoutRequest(self.shop.sellers[seller].pk, currency, amount)
            try:
                row = payouts.request(self.shop.tenant.book.pk, wanted, actor=MAKER, now=seam.now())
                said = f"asks for {row.amount_minor} {currency}: {row.status}"
            except Unprocessable as refused:
                assert refused.code == "insufficient_available_balance"  # noqa: PT017 - the others are bugs
                said = f"asks for {amount or 'all'} {currency} in vain"
            if done:
                self.shop.work()
            self.say(f"Seller {seller + 1} {said}{', worked off' if done else ''}.")

    @precondition(lambda self: self.payouts())
    @rule(number=picks, yes=st.booleans())
    def answer_payout(self, number: int, yes: bool) -> None:
        """Approve a payout, or call it off."""
        row = pick(self.payouts(), number)
        try:
            if yes:
                payouts.approve(row.pk, actor=CHECKER, now=seam.now())
            else:
                payouts.cancel(row.pk, now=seam.now())
            said = "done"
        except InvalidState as refused:
            said = f"refused: {refused}"
        self.say(f"{'Approving' if yes else 'Calling off'} a payout of {row.amount_minor} ({row.status}): {said}.")

    @rule(seller=st.integers(0, 1), currency=st.sampled_from(CURRENCIES), iban=st.sampled_from(list(IBANS)))
    def change_account(self, seller: int, currency: str, iban: str) -> None:
        """Let a seller change its bank account for a currency."""
        self.destination(seller, currency, iban)
        self.say(f"Seller {seller + 1} wants {currency} on {IBANS[iban]}.")

    @precondition(lambda self: self.paid())
    @rule(seller=st.integers(0, 1), number=picks, to=st.sampled_from(CURRENCIES), part=st.integers(1, 100))
    def convert(self, seller: int, number: int, to: str, part: int) -> None:
        """Change a part of what is available into another currency."""
        for wallet in self.wallets(seller, number):
            currency = wallet.currency_id
            amount = self.shop.wallet(seller, currency).available * part // 100
            if not amount or currency == to:
                continue
            terms = Terms(self.shop.tenant.book.pk, wallet.seller, currency, to, amount, margin_basis_points=100)
            with suppress(TooLittle, InsufficientAvailable):
                quote = conversions.quote(terms, now=seam.now())
                conversions.execute(quote.pk, now=seam.now(), actor="test")
                self.say(f"Seller {seller + 1} changes {amount} {currency} into {quote.received_minor} {to}.")

    # --- the PSP and the banks behind it ---------------------------------------------------------------------------

    @precondition(lambda self: self.captured())
    @rule(number=picks, share=st.sampled_from([100, 40]), inquiry=st.booleans(), again=st.booleans())
    def dispute(self, number: int, share: int, inquiry: bool, again: bool) -> None:
        """Let a buyer's bank dispute a charge."""
        charge = pick(self.captured(), number)
        if charge["disputed"] and not again:
            return
        amount = max(1, charge["captured"] * share // 100)
        self.psp.control(
            "disputes",
            payment_intent=charge["payment_intent"],
            amount=amount,
            inquiry=inquiry,
            again=charge["disputed"],
        )
        word = "asks about" if inquiry else "takes back"
        self.say(f"A bank {word} {amount} {charge['currency'].upper()} of a charge of {charge['captured']}.")

    @precondition(lambda self: self.disputes())
    @rule(number=picks, won=st.booleans(), back=st.sampled_from([None, 0, 30, 100]), fee=st.booleans())
    def decide(self, number: int, won: bool, back: int | None, fee: bool) -> None:
        """Let a bank decide a dispute, an inquiry, or an appeal after a loss."""
        dispute = pick(self.disputes(), number)
        body: dict[str, Any] = {"status": "won" if won else "lost", "fee_returned": fee}
        if back is not None:
            body["returned"] = dispute["amount"] * back // 100
        if dispute["status"].startswith("warning"):
            if won:
                self.psp.control(f"disputes/{dispute['id']}/escalate")
                self.say(f"An inquiry over {dispute['amount']} becomes a dispute.")
                return
            body = {"status": "warning_closed"}
        elif dispute["status"] == "lost":
            body["status"] = "won"
        self.psp.control(f"disputes/{dispute['id']}/close", **body)
        self.say(f"A dispute over {dispute['amount']} ({dispute['status']}) is decided: {body}.")

    @precondition(lambda self: self.failing())
    @rule(number=picks)
    def refund_fails(self, number: int) -> None:
        """Let a refund fail at the PSP, before or after it was paid."""
        refund = pick(self.failing(), number)
        self.psp.control(f"refunds/{refund['id']}/fail")
        self.say(f"A refund of {refund['amount']} that is {refund['status']} at the PSP fails there.")

    @rule(
        times=st.integers(1, 3),
        share=st.sampled_from([100, 50, 20]),
        again=st.booleans(),
        order=st.integers(0, 2**16),
        done=st.booleans(),
    )
    def hear(self, times: int, share: int, again: bool, order: int, done: bool) -> None:
        """Deliver some notifications, in any order, once or more often."""
        told = [event for event in self.events() if again or event["id"] not in self.heard]
        shuffled = random.Random(order)
        shuffled.shuffle(told)
        chosen = told[: (len(told) * share + 99) // 100]
        self.store(chosen, times)
        if done:
            self.shop.work()
        self.say(f"{len(chosen)} notifications come {times} times{', worked off' if done else ''}.")

    @rule(operation=st.sampled_from(["payment_intents.create", "payment_intents.confirm", "refunds.create"]),
          kind=st.sampled_from(FAULTS))  # fmt: skip
    def break_psp(self, operation: str, kind: str) -> None:
        """Let the next call of a kind go wrong at the PSP."""
        self.psp.faults({"operation": operation, "kind": kind, "times": 1}, key=self.shop.psp_key)
        self.say(f"The next {operation} will meet {kind}.")

    @precondition(lambda self: self.banked())
    @rule(number=picks, good=st.booleans())
    def bank_says(self, number: int, good: bool) -> None:
        """Let a seller's bank take a payout, or give it back, also after it was paid."""
        row = pick(self.banked(), number)
        status = "paid" if good and row["status"] != "paid" else "failed"
        self.psp.control(f"payouts/{row['id']}/advance", status=status)
        self.say(f"A payout of {row['amount']} that was {row['status']} at the PSP is {status}.")

    # --- time and work ---------------------------------------------------------------------------------------------

    @rule()
    def work(self) -> None:
        """Do what is due."""
        self.sweep()
        self.say("What is due is done.")

    @rule(at=st.integers(0, 40))
    def die(self, at: int) -> None:
        """Let a worker die at some boundary of its work."""
        boundaries = Boundaries(crash_at=at)
        try:
            with seam.observed_by(boundaries):
                while executor.execute(go_on=True):
                    pass
        except (Crash, ProgrammingError):
            # Django trips over the open transaction of a death inside COMMIT: a dead process would not.
            assert boundaries.died_at is not None
            bury()
        died = boundaries.died_at
        self.say(f"A worker dies {died.side} {died.kind} {died.name}." if died else "A worker finds little to do.")

    @rule(minutes=st.sampled_from([1, 30, 600, 3000]))
    def wait(self, minutes: int) -> None:
        """Let time pass for us and for the PSP."""
        self.shop.pass_time(timedelta(minutes=minutes))
        self.psp.advance(minutes * 60)
        self.say(f"{minutes} minutes pass.")

    # --- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def books_hold(self) -> None:
        """Compare everything with everything."""
        assert ledger_invariants.violations() == []
        assert [found for found in invariants.check().violations if found.check not in TIMED] == []

    def teardown(self) -> None:
        """Finish everything and compare with the PSP's books, unless the history failed already."""
        try:
            if sys.exception() is None:
                self.finish()
        finally:
            if isinstance(sys.exception(), Exception):
                self.tell(self.story)
            self.psp.clear_faults(self.shop.psp_key)
            connection.close()
            self.clone.empty()

    def finish(self) -> None:
        """Let everything arrive and be done; then our books and the PSP's are the same."""
        self.say("In the end everything arrives and all work is done.")
        self.psp.clear_faults(self.shop.psp_key)
        self.psp.advance(3600)
        self.psp.advance(10 * 24 * 3600)
        for _ in range(MAX_ROUNDS):
            self.store(self.events(), 1)
            self.sweep()
            if not self.waiting():
                break
            self.psp.advance(24 * 3600)
            self.shop.pass_time(timedelta(minutes=20))
        assert self.waiting() == []
        found = invariants.check()
        assert found.violations == []
        assert [warning for warning in found.warnings if warning.check in NEVER] == []
        self.shop.check()
        self.compare()

    def compare(self) -> None:
        """Compare refunds and disputes with those of the PSP, one by one, and what is owed with what is on its way."""
        theirs = self.shop.books()
        rows = list(Refund.objects.all())
        assert {row.psp_id: (row.amount_minor, row.status) for row in rows if row.psp_id} == {
            refund["id"]: (refund["amount"], refund["status"]) for refund in theirs["refunds"]
        }
        assert not [row for row in rows if row.status == "pending"]
        owed: dict[str, int] = {}
        for row in rows:
            if row.attention_at is not None:
                owed[row.currency_id] = owed.get(row.currency_id, 0) + row.amount_minor
        payable = {code.removeprefix("refund:payable:"): -sum_ for code, sum_ in self.shop.balances().items()
                   if code.startswith("refund:payable:") and sum_}  # fmt: skip
        assert payable == owed, "what is owed to buyers is what a person must decide"
        ours = set(Dispute.objects.values_list("psp_id", "amount_minor"))
        assert ours == {(dispute["id"], dispute["amount"]) for dispute in theirs["disputes"]}

        paid_out = {"sent": "paid", "paid": "paid", "returned": "failed"}
        assert {row.psp_id: (row.amount_minor, paid_out[row.status]) for row in self.payouts() if row.psp_id} == {
            payout["id"]: (payout["amount"], payout["status"]) for payout in theirs["payouts"]
        }
        connected = {code.rpartition(":")[2]: sum_ for code, sum_ in self.shop.balances().items()
                     if ":connected:" in code and sum_}  # fmt: skip
        held: dict[str, int] = {}
        for amounts in theirs["connected"].values():
            for currency, parts in amounts.items():
                held[currency.upper()] = held.get(currency.upper(), 0) + sum(parts.values())
        assert connected == {currency: amount for currency, amount in held.items() if amount}

    def waiting(self) -> list[str]:
        """Return what is not over: work, and payouts under way."""
        under_way = Payout.objects.filter(status__in=["sent", "failed"])
        return [*self.shop.waiting(), *(f"payout {row.pk} {row.status}" for row in under_way)]

    # --- looking ---------------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Do what is due as the work loop does it, one call after the other."""
        cancellations.expire_due(now=seam.now())
        releases.release_due(now=seam.now())
        reserves.free_due(now=seam.now())
        self.shop.work()

    def paid(self) -> list[PaymentOrder]:
        """Return the paid orders, oldest first."""
        return list(PaymentOrder.objects.filter(status="SUCCESS").order_by("pk"))

    def name(self, order: PaymentOrder) -> str:
        """Return what an order is called in the story."""
        return f"order {order.position} of checkout {self.checkouts.index(order.event_id) + 1}"

    def wallets(self, seller: int, number: int) -> list[Wallet]:
        """Return one of a seller's wallets, if there is any."""
        rows = list(Wallet.objects.filter(seller=self.shop.sellers[seller].public_id).order_by("pk"))
        return [pick(rows, number)] if rows else []

    def captured(self) -> list[dict[str, Any]]:
        """Return the charges of the PSP whose money was taken, oldest first."""
        return [charge for charge in self.shop.books()["charges"] if charge["captured"]]

    def disputes(self) -> list[dict[str, Any]]:
        """Return the disputes of the PSP that can be decided."""
        return [row for row in self.shop.books()["disputes"] if row["status"] in (*OPEN_DISPUTES, "lost")]

    def payouts(self) -> list[Payout]:
        """Return the payouts that were asked for, oldest first."""
        return list(Payout.objects.order_by("pk"))

    def banked(self) -> list[dict[str, Any]]:
        """Return the payouts of the PSP that a bank can still decide about."""
        return [row for row in self.shop.books()["payouts"] if row["status"] in ("pending", "in_transit", "paid")]

    def destination(self, seller: int, currency: str, iban: str) -> None:
        """Give a seller a bank account for a currency."""
        account = bank_accounts.iban(iban, "Ann Example")
        destinations.put(self.shop.sellers[seller], account, currency=currency, actor=MAKER, now=seam.now())

    def failing(self) -> list[dict[str, Any]]:
        """Return the refunds of the PSP that can fail."""
        return [row for row in self.shop.books()["refunds"] if row["status"] in ("pending", "succeeded")]

    def events(self) -> list[dict[str, Any]]:
        """Return all that the PSP has ever told, newest first."""
        found: list[dict[str, Any]] = []
        while len(found) < MAX_EVENTS:
            after = {"starting_after": found[-1]["id"]} if found else {}
            answer = requests.get(
                f"{self.psp.url}/v1/events", params={"limit": 100, **after}, auth=(self.shop.psp_key, ""), timeout=30
            ).json()
            found.extend(answer["data"])
            if not answer["has_more"]:
                return found
        raise AssertionError("the PSP tells too much")

    def store(self, events: Iterable[dict[str, Any]], times: int) -> None:
        """Take notifications in as the web process does."""
        reader = registry.reader_for("stripe")
        assert reader is not None
        for body in events:
            self.heard.add(body["id"])
            ref = reader.parse(json.dumps(body).encode())
            for _ in range(times):
                notifications.store(self.shop.tenant.psp_account, ref, body, now=seam.now())
