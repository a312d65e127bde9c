"""Random histories of a marketplace: every verb in any order, and what must hold after each of them.

Used by `test_random_histories.py`. The PSP is the sandbox over HTTP, the books are in PostgreSQL, the work is done by
the executor; only the order of things is drawn. Each step is told as a sentence, so that a failure reads as a story.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from django.db import ProgrammingError, connection
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from config import seam
from config.seam import Crash
from ledger import invariants as ledger_invariants
from payments import cancellations, executor, invariants, merchants, refunds, releases
from payments.errors import InvalidState, Unprocessable
from payments.models import ApiKey, MerchantBook, Seller
from payments.refunds import Wanted
from reconciliation import sub_ledger
from reconciliation.models import Source
from tests.database import Clone
from tests.faults.crashes import Boundaries, bury
from tests.journeys.bank_verbs import BankVerbs
from tests.journeys.draws import CURRENCIES, FAULTS, OPERATIONS, TOKENS, pick, picks
from tests.journeys.payout_verbs import PayoutVerbs
from tests.journeys.played_market import PlayedMarket
from tests.journeys.stored_verbs import StoredVerbs
from tests.market import GOOD_IBAN
from tests.sandbox_process import SandboxPsp
from wallet import conversions
from wallet.conversions import Terms
from wallet.errors import InsufficientAvailable, TooLittle

# They compare with the clock: a history may leave work lying for hours, and catches up at its end.
TIMED: Final = {"nothing_is_stuck", "unknown_is_resolved"}


class Histories(BankVerbs, StoredVerbs, PayoutVerbs):
    """Everything that can happen to the money of one merchant with two sellers."""

    def __init__(self, clone: Clone, psp: SandboxPsp, tell: Callable[[list[str], Counter[str]], None]) -> None:
        RuleBasedStateMachine.__init__(self)
        PlayedMarket.__init__(self, clone, psp)
        self.tell = tell

    # --- the marketplace -------------------------------------------------------------------------------------------

    @initialize(
        policy=st.sampled_from(["keep", "return", "proportional"]),
        after_capture=st.sampled_from([None, 2]),
        reserve=st.sampled_from([0, 1500]),
        above=st.sampled_from([10**6, 1000]),
        paid_in=st.sampled_from([None, "EUR"]),
    )
    def open(self, policy: str, after_capture: int | None, reserve: int, above: int, paid_in: str | None) -> None:
        """Agree on terms."""
        MerchantBook.objects.filter(pk=self.shop.tenant.book.pk).update(
            refund_fee_policy=policy,
            release_days_after_capture=after_capture,
            fx_margin_basis_points=100,
            payout_approval_above=dict.fromkeys(CURRENCIES, above),
            stored_value=True,
        )
        Seller.objects.update(kyc_status=Seller.Kyc.VERIFIED)
        ApiKey.objects.update(scopes=list(merchants.SCOPES))
        for seller in (0, 1):
            for currency in CURRENCIES:
                self.destination(seller, currency, GOOD_IBAN)
        Seller.objects.filter(pk=self.shop.sellers[0].pk).update(
            reserve_basis_points=reserve, reserve_days=3 if reserve else 0
        )
        Seller.objects.filter(pk=self.shop.sellers[1].pk).update(settlement_currency=paid_in)
        self.say(
            f"The fee of a refund: {policy}. Released {after_capture or 'no'} days after capture, or when delivered. "
            f"The first seller's reserve: {reserve / 100:g} percent. "
            f"Payouts above {above} need an approval. "
            f"The second seller is paid in {paid_in or 'what buyers pay'}."
        )
        self.buy([3000, 2000], "USD", "single", "pm_card_bypassPending", done=True)
        self.deliver(0)
        self.deliver(1)

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
        except (InvalidState, Unprocessable) as refused:
            said = f"is refused: {refused}"
        if done:
            self.shop.work()
        self.say(f"A refund of {amount or 'the rest'} of {self.name(order)} {said}.")

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

    @rule(operation=st.sampled_from(OPERATIONS), kind=st.sampled_from(FAULTS))
    def break_psp(self, operation: str, kind: str) -> None:
        """Let the next call of a kind go wrong at the PSP."""
        self.psp.faults({"operation": operation, "kind": kind, "times": 1}, key=self.shop.psp_key)
        self.say(f"The next {operation} will meet {kind}.")

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
        self.pass_time(timedelta(minutes=minutes))
        self.psp.advance(minutes * 60)
        self.say(f"{minutes} minutes pass.")

    # --- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def books_hold(self) -> None:
        """Compare everything with everything."""
        assert ledger_invariants.violations() == []
        assert [found for found in invariants.check().violations if found.check not in TIMED] == []
        proofs = [sub_ledger.of_book(self.shop.tenant.book.pk), sub_ledger.of_source(self.at_the_psp)]
        assert [proof for found in proofs for proof in found.values() if proof.in_books != proof.by_objects] == []

    @property
    def at_the_psp(self) -> Source:
        """Return the source whose accounts follow the objects at the PSP."""
        account = self.shop.tenant.psp_account
        return Source(book_id=account.book_id, side=Source.Side.PSP, psp_account=account)

    def teardown(self) -> None:
        """Finish everything and compare with the PSP's books, unless the history failed or was broken off already."""
        try:
            if sys.exception() is None:
                self.finish()
                self.tell([], self.booked())
        finally:
            failure = sys.exception()
            if isinstance(failure, Exception):
                self.tell([*self.story, f"Then: {type(failure).__name__}: {failure}"], Counter())
            self.psp.clear_faults(self.shop.psp_key)
            connection.close()
            self.clone.empty()
