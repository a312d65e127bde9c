"""A marketplace for tests: a tenant whose PSP account is at the sandbox, and the verbs of its checkout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from config import seam
from ledger import accounts, invariants
from ledger.models import Entry, Side, Transaction
from payments import callers, executor, intake, notifications
from payments.callers import Caller
from payments.encryption import seal
from payments.intake import Accepted, NewOrder, NewPayment
from payments.models import Charge, PaymentEvent, PaymentOrder, PspNotification, PspOperation, Seller
from payments.psp import registry
from tests.database import Clone
from tests.factories import PSP_WEBHOOK_SECRET, Tenant, tenant
from tests.sandbox_process import SandboxPsp
from wallet import balances as wallet_balances
from wallet import corrections, proposals
from wallet.balances import WalletBalance
from wallet.models import Wallet

MAX_ROUNDS = 60


@dataclass
class Shop:
    """One merchant with two sellers, its key at the PSP, and the database whose clock can be moved."""

    tenant: Tenant
    psp: SandboxPsp
    psp_key: str
    clone: Clone
    sellers: list[Seller]
    _carts: int = field(default=0)
    _delivered: str = field(default="")

    @property
    def superuser_url(self) -> str:
        """Return the address of the database for who may do everything."""
        return self.clone.superuser_url

    def caller(self) -> Caller:
        """Return the caller that the API would resolve."""
        found = callers.find_caller(
            self.tenant.key, seller_refs=[seller.external_id for seller in self.sellers], now=seam.now()
        )
        assert found is not None
        return found

    def order(self, caller: Caller, amount: int, seller: int = 0) -> NewOrder:
        """Return an order of `amount` minor units for one of the sellers."""
        return NewOrder(caller.sellers[self.sellers[seller].external_id], amount, f"line-{seller}", "Teapot", {})

    def new_payment(self, caller: Caller, amounts: list[int], **changes: Any) -> NewPayment:
        """Return a valid checkout; `changes` override its fields."""
        self._carts += 1
        name = f"cart-{self.tenant.book.pk}-{self._carts}"
        values: dict[str, Any] = {
            "checkout_id": name,
            "currency": "EUR",
            "orders": tuple(self.order(caller, amount, i % len(self.sellers)) for i, amount in enumerate(amounts)),
            "buyer": {"id": "u-1", "country": "DE"},
            "token": "pm_card_visa",
            "method_types": ("card",),
            "charge_mode": "single",
            "capture": "automatic",
            "return_url": "",
            "metadata": {},
            "idempotency_key": f"key-{name}",
            "fingerprint": hashlib.sha256(name.encode()).digest(),
        }
        return NewPayment(**{**values, **changes})

    def buy(self, *amounts: int, **changes: Any) -> PaymentEvent:
        """Take a checkout in and return it."""
        caller = self.caller()
        payment = self.new_payment(caller, list(amounts), **changes)
        (answer,) = intake.accept(caller, [payment], now=seam.now())
        assert answer.outcome == "created", answer
        return PaymentEvent.objects.get(book_id=self.tenant.book.pk, checkout_id=payment.checkout_id)

    def accept(self, *payments: NewPayment) -> list[Accepted]:
        """Take prepared payments in."""
        return intake.accept(self.caller(), payments, now=seam.now())

    def work(self, *, rounds: int = MAX_ROUNDS) -> None:
        """Do everything that is due now, one call after the other."""
        for _ in range(rounds):
            if not executor.execute():
                return
        raise AssertionError("work does not come to an end")

    def settle_down(self, *, hours: float = 3, steps: int = 40) -> None:
        """Let time pass in steps until nothing is due any more: back-offs, leases and polls run off."""
        for step in range(steps):
            self.work()
            if not self.waiting():
                return
            self.pass_time(timedelta(seconds=min(60 * 2**step, hours * 3600)))
        raise AssertionError(f"work is left: {self.waiting()}")

    def waiting(self) -> list[str]:
        """Return what has work left: operations, notifications and charges under way."""
        return [
            *(f"{o.kind} {o.state}" for o in PspOperation.objects.filter(due_at__isnull=False)),
            *(f"notification {n.type}" for n in PspNotification.objects.filter(due_at__isnull=False)),
            *(
                f"charge {c.status}"
                for c in Charge.objects.filter(due_at__isnull=False, status__in=["PROCESSING", "NEW"])
            ),
        ]

    def pass_time(self, by: timedelta) -> None:
        """Move the clock of due rows and leases (the database's) forward."""
        self.clone.pass_time(by)

    def reset_time(self) -> None:
        """Put the clock of due rows and leases back to now."""
        self.clone.reset_time()

    def notify(self, *, times: int = 1) -> int:
        """Deliver every notification of the PSP as the web process would, newest first; return how many were new."""
        return self._deliver(self._events(limit=100), times)

    def deliver(self) -> None:
        """Deliver what the PSP has not delivered yet, newest first; all of it again if this dies on its way."""
        events = self._events(limit=100, ending_before=self._delivered) if self._delivered else self._events(limit=100)
        self._deliver(events, 1)
        self._delivered = events[0]["id"] if events else self._delivered

    def _events(self, **params: Any) -> list[dict[str, Any]]:
        answer = self.psp.http.get(f"{self.psp.url}/v1/events", params=params, auth=(self.psp_key, ""), timeout=30)
        events: list[dict[str, Any]] = answer.json()["data"]
        return events

    def _deliver(self, events: list[dict[str, Any]], times: int) -> int:
        reader = registry.reader_for("stripe")
        assert reader is not None
        stored = 0
        for body in events:
            ref = reader.parse(json.dumps(body).encode())
            for _ in range(times):
                stored += notifications.store(self.tenant.psp_account, ref, body, now=seam.now())
        return stored

    def orders(self, event: PaymentEvent) -> list[PaymentOrder]:
        """Return a checkout's orders as they are now."""
        return list(PaymentOrder.objects.filter(event=event).order_by("position"))

    def wallet(self, seller: int = 0, currency: str = "EUR") -> WalletBalance:
        """Return what one of the sellers has."""
        row = Wallet.objects.get(book=self.tenant.book, seller=self.sellers[seller].public_id, currency_id=currency)
        return wallet_balances.of_wallets([row])[0]

    def empty_wallet(self, seller: int = 0, currency: str = "EUR") -> int:
        """Take everything that is available to a seller by a correction that two people made; return how much."""
        held, now = self.wallet(seller, currency), seam.now()
        draft = corrections.adjustment(
            held.wallet,
            side=Side.DEBIT,
            amount=held.available,
            reference=str(seam.new_uuid()),
            reason="emptied by a test",
            maker="user:maker",
        )
        proposal, _ = proposals.propose(draft, now=now)
        proposals.approve(proposal.pk, checker="user:checker", now=now)
        return held.available

    def refund_by_hand(self, payment_intent: str, amount: int) -> None:
        """Refund at the PSP itself, as somebody with its dashboard may."""
        answer = self.psp.http.post(
            f"{self.psp.url}/v1/refunds",
            data={"payment_intent": payment_intent, "amount": amount},
            auth=(self.psp_key, ""),
            timeout=30,
        )
        answer.raise_for_status()

    def books(self) -> dict[str, Any]:
        """Return the PSP's own books."""
        return self.psp.books(self.psp_key)

    def balances(self) -> dict[str, int]:
        """Return the signed sum (debit positive) of each account of the book."""
        sums: dict[str, int] = {}
        for entry in Entry.objects.filter(book=self.tenant.book).select_related("account"):
            sums[entry.account.code] = sums.get(entry.account.code, 0) + entry.signed
        return sums

    def journals(self) -> list[tuple[str, str]]:
        """Return kind and reference of every transaction of the book."""
        return list(Transaction.objects.filter(book=self.tenant.book).order_by("id").values_list("kind", "reference"))

    def check(self) -> None:
        """Assert that our books hold and that the PSP's agree with them."""
        assert invariants.violations() == []
        assert self.books()["balanced"]
        assert self.clearing() == self.at_the_psp()

    def clearing(self) -> dict[str, int]:
        """Return our clearing balance per currency."""
        sums: dict[str, int] = {}
        for entry in Entry.objects.filter(
            book=self.tenant.book, account__code__startswith=f"psp:{self.tenant.psp_account.code}:clearing:"
        ):
            sums[entry.currency_id] = sums.get(entry.currency_id, 0) + entry.signed
        return {currency: total for currency, total in sums.items() if total}

    def at_the_psp(self) -> dict[str, int]:
        """Return captured minus refunded and disputed, minus transferred to sellers, as the PSP has it."""
        sums: dict[str, int] = {}
        books = self.books()
        for charge in books["charges"]:
            currency = charge["currency"].upper()
            sums[currency] = sums.get(currency, 0) + charge["captured"] - charge["refunded"]
        for dispute in self.books()["disputes"]:
            currency = dispute["currency"].upper()
            sums[currency] = sums.get(currency, 0) + dispute["net"]
        for transfer in books["transfers"]:
            currency = transfer["currency"].upper()
            sums[currency] = sums.get(currency, 0) - transfer["amount"] + transfer["amount_reversed"]
        return {currency: total for currency, total in sums.items() if total}


def open_shop(clone: Clone, psp: SandboxPsp, **settings: Any) -> Shop:
    """Create a tenant at the sandbox PSP with two sellers."""
    accounts.forget()
    key = psp.new_key()
    place = tenant(base_url=psp.url, calls_per_second=10_000, call_tokens=10_000, **settings)
    account = place.psp_account
    account.api_key = seal(key, identity=f"psp_account.api_key:{account.public_id}")
    account.webhook_secret = seal(PSP_WEBHOOK_SECRET, identity=f"psp_account.webhook_secret:{account.public_id}")
    account.save()
    return Shop(place, psp, key, clone, [place.seller(), place.seller()])


@pytest.fixture
def shop(committed_db: Clone, sandbox_psp: SandboxPsp) -> Iterator[Shop]:
    """Give a marketplace whose rows are really committed."""
    place = open_shop(committed_db, sandbox_psp)
    yield place
    committed_db.reset_time()
    connection.close()
