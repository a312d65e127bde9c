"""A marketplace as random histories play it: how to look at it, how it is worked off, and what must hold in the end.

The verbs are in `histories.py`. Nothing is drawn here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import psycopg
import requests
from hypothesis import note
from psycopg import sql

from config import seam
from payments import (
    bank_accounts,
    cancellations,
    destinations,
    discovery,
    exchange,
    explaining,
    invariants,
    notifications,
    releases,
    reserves,
    schedules,
)
from payments.models import Dispute, PaymentOrder, Payout, Refund
from payments.psp import registry
from tests.database import Clone
from tests.sandbox_process import SandboxPsp
from tests.shop import open_shop
from wallet import rates
from wallet.models import Wallet
from wallet.rates import EcbFile

MAKER: Final = "key:tests"
NEVER: Final = {"dead_operation", "dead_notification", "dispute_in_quarantine", "unknown_outcome"}
OPEN_DISPUTES: Final = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")
TIMES: Final = ("due_at", "lease_until", "expiry_due_at", "release_due_at", "first_sent_at", "paused_until")
_TIMES: Final = """
SELECT c.table_name, c.column_name FROM information_schema.columns c
  JOIN information_schema.tables t USING (table_schema, table_name)
 WHERE t.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.table_name LIKE 'payments\\_%%'
   AND c.column_name = ANY(%s)"""
MAX_EVENTS: Final = 2_000
MAX_ROUNDS: Final = 40


class PlayedMarket:
    """One merchant with two sellers, the PSP, and the story so far."""

    def __init__(self, clone: Clone, psp: SandboxPsp) -> None:
        self.clone, self.psp = clone, psp
        self.story: list[str] = []
        psp.control("clock", reset=True)
        self.shop = open_shop(clone, psp)
        self.shop.reset_time()
        self.heard: set[str] = set()
        self.checkouts: list[int] = []
        self.day = seam.now().date()
        yesterday = seam.now().date() - timedelta(days=1)
        rates.load(EcbFile(f"Date, USD, JPY, \n{yesterday}, 1.0850, 163.21, \n".encode()), now=seam.now())

    def say(self, sentence: str) -> None:
        """Tell a step."""
        self.story.append(sentence)
        note(f"{len(self.story)}. {sentence}")

    def finish(self) -> None:
        """Let everything arrive, or every other time be lost, and be done; then our books are the PSP's."""
        is_lost = len(self.story) % 2 == 0
        arrives = "nothing more arrives, and everything is found" if is_lost else "everything arrives"
        self.say(f"In the end {arrives}; all work is done.")
        self.psp.clear_faults(self.shop.psp_key)
        for hours in (1, 240):
            self.sweep()
            self.psp.advance(hours * 3600)
            self.pass_time(timedelta(hours=hours))
        for _ in range(MAX_ROUNDS):
            if is_lost:
                account, long_ago = self.shop.tenant.psp_account.pk, seam.now() - timedelta(days=400)
                discovery.ask(account, since=long_ago, now=seam.now())
            else:
                self.store(self.events(), 1)
            self.sweep()
            if not self.waiting():
                break
            self.psp.advance(3600)
            self.pass_time(timedelta(hours=1))
        assert self.waiting() == [], self.waiting()
        found = invariants.check()
        assert found.violations == [], found.violations
        assert [warning for warning in found.warnings if warning.check in NEVER] == []
        self.shop.check()
        self.compare()
        self.explain()

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

    def explain(self) -> None:
        """Ask what each payout pays: the leaves of the tree sum to its amount, however often money came back."""
        for row in self.payouts():
            tree = explaining.explain(row)
            assert tree["not_named"] in ("0.00", "0")
            assert sum(Decimal(leaf) for leaf in _leaves(tree["pays"])) == Decimal(tree["amount"]), tree

    def waiting(self) -> list[str]:
        """Return what is not over: work, and payouts under way."""
        under_way = Payout.objects.filter(status__in=["sent", "failed"])
        return [*self.shop.waiting(), *(f"payout {row.pk} {row.status}" for row in under_way)]

    def pass_time(self, by: timedelta) -> None:
        """Let time pass for us: what was written down about time lies further back.

        The clock itself stays: due rows are written by the application's clock and claimed by the database's, and a
        database that is hours ahead would find every poll due again at once.
        """
        with psycopg.connect(self.clone.superuser_url) as superuser:
            superuser.execute("SET session_replication_role = replica")
            for table, column in superuser.execute(_TIMES, [list(TIMES)]).fetchall():
                name, moved = sql.Identifier(table), sql.Identifier(column)
                superuser.execute(sql.SQL("UPDATE {} SET {} = {} - %s").format(name, moved, moved), [by])

    def sweep(self) -> None:
        """Do what is due as the work loop does it, one call after the other."""
        cancellations.expire_due(now=seam.now())
        releases.release_due(now=seam.now())
        reserves.free_due(now=seam.now())
        exchange.convert_due(now=seam.now())
        schedules.pay_released(now=seam.now())
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
        return [rows[number % len(rows)]] if rows else []

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

    def booked(self) -> Counter[str]:
        """Return how many transactions of each kind there are."""
        return Counter(kind for kind, _ in self.shop.journals())


def _leaves(pays: list[dict[str, Any]]) -> list[str]:
    return [leaf for part in pays for leaf in (_leaves(part["pays"]) or [part["amount"]])]
