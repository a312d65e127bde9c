"""Verbs of stored value for random histories: buyers pay in, pay with what they have, and have refunds put there."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from config import seam
from payments import refunds, stored_value, top_ups
from payments.errors import InvalidState, Unprocessable
from payments.intake import NewOrder
from payments.models import PaymentEvent
from payments.refunds import Wanted
from tests.journeys.draws import CURRENCIES, TOKENS, pick, picks
from tests.journeys.played_market import PlayedMarket

REFUSALS: Final = {
    "insufficient_stored_value",
    "stored_value_not_possible",
    "payment_not_processable",
    "payment_in_progress",
    "outcome_unknown",
}


class StoredVerbs(PlayedMarket, RuleBasedStateMachine):
    """What a buyer does with its stored value."""

    @rule(
        amount=st.integers(100, 5000),
        currency=st.sampled_from(CURRENCIES),
        token=st.sampled_from(list(TOKENS)),
        done=st.booleans(),
    )
    def top_up(self, amount: int, currency: str, token: str, done: bool) -> None:
        """Pay in."""
        caller = self.shop.caller()
        order = NewOrder(top_ups.house(caller), amount, "", "Stored value", {})
        methods = () if token.startswith("pm_sandbox") else ("card",)
        payment = self.shop.new_payment(
            caller, [amount], currency=currency, orders=(order,), token=token, method_types=methods
        )
        top_ups.accept(caller, payment, now=seam.now())
        event = PaymentEvent.objects.get(book_id=self.shop.tenant.book.pk, checkout_id=payment.checkout_id)
        self.checkouts.append(event.pk)
        if done:
            self.shop.work()
        self.say(
            f"Checkout {len(self.checkouts)}: the buyer pays {amount} {currency} in with {TOKENS[token]}; "
            f"{'worked off' if done else 'work waits'}."
        )

    @rule(
        amounts=st.lists(st.integers(1, 2000), min_size=1, max_size=2),
        currency=st.sampled_from(CURRENCIES),
        mode=st.sampled_from(["single", "per_order"]),
    )
    def pay_with_stored_value(self, amounts: list[int], currency: str, mode: str) -> None:
        """Check out, and pay with stored value; without enough of it the checkout stays unpaid."""
        event = self.shop.buy(*amounts, currency=currency, charge_mode=mode, token="")
        self.checkouts.append(event.pk)
        said = self._pay(event.pk)
        self.say(f"Checkout {len(self.checkouts)}: {amounts} {currency}, charge {mode}, with stored value: {said}.")

    @precondition(lambda self: self.checkouts)
    @rule(number=picks)
    def pay_old_with_stored_value(self, number: int) -> None:
        """Pay any checkout with stored value, whatever became of it."""
        event = pick(self.checkouts, number)
        self.say(f"Stored value is to pay checkout {self.checkouts.index(event) + 1}: {self._pay(event)}.")

    def _pay(self, event: int) -> str:
        before = self.shop.journals()
        try:
            stored_value.pay(event, now=seam.now())
        except (InvalidState, Unprocessable) as refused:
            if refused.code not in REFUSALS:
                raise
            said = f"refused, {refused.code}"
        else:
            return "paid"
        assert self.shop.journals() == before
        return said

    @precondition(lambda self: self.paid())
    @rule(number=picks, amount=st.none() | st.integers(1, 3000))
    def refund_to_stored_value(self, number: int, amount: int | None) -> None:
        """Refund an order, in whole or in part, into stored value."""
        order = pick(self.paid(), number)
        said = "has arrived"
        try:
            refunds.request(order.event_id, Wanted(order.pk, amount, to_stored_value=True), now=seam.now())
        except (InvalidState, Unprocessable) as refused:
            said = f"is refused, {refused.code}"
        self.say(f"A refund of {amount or 'the rest'} of {self.name(order)} to stored value {said}.")
