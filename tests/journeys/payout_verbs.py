"""Verbs of money out for random histories: payouts asked for, by event and by schedule; approvals, accounts, banks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.test import Client
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from config import seam
from ledger.money import format_minor
from payments import payouts, schedules
from payments.errors import InvalidState, Unprocessable
from payments.models import Payout, Run, Seller
from payments.payouts import PayoutRequest
from tests.journeys.draws import CURRENCIES, IBANS, pick, picks
from tests.journeys.played_market import MAKER, PlayedMarket

CHECKER: Final = "user:checker"
# What a request for a payout may be refused for here; anything else is a bug.
REFUSALS: Final = {"insufficient_available_balance", "payout_below_minimum", "payout_currency_not_sepa"}
SCHEDULES: Final[dict[str, dict[str, str | int]]] = {
    "when it is asked for": {"interval": "manual"},
    "as soon as it is released": {"interval": "on_release"},
    "every day": {"interval": "daily"},
    "every day from 10.00 on": {"interval": "daily", "minimum": "10.00"},
    "on the 31st": {"interval": "monthly", "day": 31},
}


class PayoutVerbs(PlayedMarket, RuleBasedStateMachine):
    """What sellers, their platform and their banks do about payouts."""

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
                if refused.code not in REFUSALS:
                    raise
                said = f"asks for {amount or 'all'} {currency} in vain"
            if done:
                self.shop.work()
            self.say(f"Seller {seller + 1} {said}{', worked off' if done else ''}.")

    @precondition(lambda self: self.paid())
    @rule(seller=st.integers(0, 1), number=picks, part=st.sampled_from([None, 30]), times=st.integers(1, 2))
    def pay_out_event(self, seller: int, number: int, part: int | None, times: int) -> None:
        """Send the pay-out event where payments are sent, once or twice under one key."""
        for wallet in self.wallets(seller, number):
            currency, key = wallet.currency_id, str(seam.new_uuid())
            minor = part and max(1, self.shop.wallet(seller, currency).available * part // 100)
            body = {
                "payment_type": "pay_out",
                "seller": self.shop.sellers[seller].external_id,
                "amount": format_minor(minor, currency) if minor else "all",
                "currency": currency,
            }
            before = Payout.objects.count()
            answers = {self._send(body, key) for _ in range(times)}
            assert len(answers) == 1, answers
            ((status, said),) = answers
            assert Payout.objects.count() == before + (status == 201)
            self.say(
                f"Seller {seller + 1}'s pay-out event over {body['amount']} {currency}, sent {times} times: {said}."
            )

    def _send(self, body: dict[str, Any], key: str) -> tuple[int, str]:
        answer = Client().post(
            "/api/v1/payments",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.shop.tenant.key}", "Idempotency-Key": key},
        )
        told = answer.json()
        assert answer.status_code == 201 or told["code"] in REFUSALS, told
        return answer.status_code, str(told.get("id") or told["code"])

    @rule(seller=st.integers(0, 1), when=st.sampled_from(list(SCHEDULES)))
    def change_schedule(self, seller: int, when: str) -> None:
        """Let a seller be paid on another schedule."""
        Seller.objects.filter(pk=self.shop.sellers[seller].pk).update(payout_schedule=SCHEDULES[when])
        self.say(f"Seller {seller + 1} is paid {when}.")

    @precondition(lambda self: self.paid())
    @rule(days=st.sampled_from([1, 1, 31]), times=st.integers(1, 2), done=st.booleans())
    def scheduled_run(self, days: int, times: int, done: bool) -> None:
        """Let the nightly run of a later day come, once or twice."""
        self.day += timedelta(days=days)
        run = Run(kind="payouts", book=self.shop.tenant.book, period=self.day.isoformat())
        results = [schedules.run_book(run, seam.now()) for _ in range(times)]
        assert all(result["payouts"] == 0 for result in results[1:]), results
        if done:
            self.shop.work()
        self.say(
            f"The run of {self.day} comes {times} times and makes {results[0]['payouts']} payouts"
            f"{', worked off' if done else ''}."
        )

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

    @precondition(lambda self: self.banked())
    @rule(number=picks, good=st.booleans())
    def bank_says(self, number: int, good: bool) -> None:
        """Let a seller's bank take a payout, or give it back, also after it was paid."""
        row = pick(self.banked(), number)
        status = "paid" if good and row["status"] != "paid" else "failed"
        self.psp.control(f"payouts/{row['id']}/advance", status=status)
        self.say(f"A payout of {row['amount']} that was {row['status']} at the PSP is {status}.")
