"""A marketplace whose own bank pays its sellers: verbs for tests of bank files, on top of `tests.market`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from django.db import transaction

from config import seam
from ledger.ids import public_id
from ledger.models import Side, TransactionKind
from payments import bank_accounts, bank_files, bank_payouts, own_bank_accounts
from payments.bank_files import HandedOut
from payments.bank_payouts import BankFact
from payments.models import BankFile, OwnBankAccount, Payout, PspAccount
from payments.own_bank_accounts import OwnDetails
from payments.sepa import as_id
from tests.market import Market
from tests.shop import Shop
from wallet import chart, movements
from wallet.movements import Movement

OUR_IBAN = "DE02120300000000202051"
OTHER_IBAN = "DE02500105170137075030"
MAKER, CHECKER = "user:mia", "user:carl"


class Bank:
    """Sells, releases, and pays out through a bank."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.book_id: int = market.shop.tenant.book.pk
        PspAccount.objects.filter(book_id=self.book_id).update(payout_mode=PspAccount.PayoutMode.BANK)
        self.account = self.set_down()

    def set_down(self, iban: str = OUR_IBAN, **changes: Any) -> OwnBankAccount:
        """Set an account of the merchant's own down."""
        account = bank_accounts.iban(iban, changes.pop("holder", "Market & Söhne GmbH"))
        details = OwnDetails(**{"name": "main", "currency": "EUR", "account": account, "bic": "BYLADEM1001", **changes})
        return own_bank_accounts.put(self.book_id, details, now=seam.now())

    def receive(self, amount: int, name: str = "main") -> None:
        """Book money that the PSP paid to our bank."""
        now = seam.now()
        lines = (
            (Side.DEBIT, chart.bank(self.book_id, name, "EUR"), amount),
            (Side.CREDIT, chart.bank(self.book_id, "in_transit", "EUR"), amount),
        )
        reference = f"bank_credit:{seam.new_uuid()}"
        with transaction.atomic():
            movements.record([Movement(TransactionKind.BANK_CREDIT, reference, lines, now, "tests")], now=now)

    def ready(self, *amounts: int) -> list[Payout]:
        """Ask for payouts of money that was earned and that our bank has."""
        self.market.earn(2 * sum(amounts))
        self.receive(sum(amounts))
        return [self.market.ask(amount) for amount in amounts]

    def make(self) -> BankFile | None:
        """Make a file of what waits."""
        return bank_files.make(self.account.pk, actor=MAKER, now=seam.now())

    def sent(self, *amounts: int) -> list[Payout]:
        """Ask for payouts, and hand their file out."""
        rows = self.ready(*amounts)
        self.hand_out(self.made())
        return [again(row) for row in rows]

    def made(self) -> BankFile:
        """Make a file; there is something to pay."""
        file = self.make()
        assert file is not None
        return file

    def hand_out(self, file: BankFile) -> HandedOut:
        """Hand a file out."""
        return bank_files.hand_out(file.pk, actor=MAKER, now=seam.now())

    def says(self, what: str, payouts: Sequence[Payout], **changes: Any) -> list[str]:
        """Let the bank say that payouts were `booked`, `returned` or `rejected`; return the outcomes."""
        facts = [fact(row, **changes) for row in payouts]
        answers = getattr(bank_payouts, what)(self.book_id, facts, actor="tests", now=seam.now())
        assert [one.end_to_end_id for one in answers] == [one.end_to_end_id for one in facts]
        return [str(one.outcome) for one in answers]

    def balance(self, name: str = "main") -> int:
        """Return what our books say that the bank has."""
        return self.market.shop.balances().get(f"bank:{name}:EUR", 0)


def fact(payout: Payout, **changes: Any) -> BankFact:
    """Return what a bank says of a payout when nothing is odd."""
    given = {
        "end_to_end_id": as_id(public_id("pyo", payout.public_id)),
        "amount_minor": payout.amount_minor,
        "currency": "EUR",
        "booked_on": seam.now().date(),
        "bank_reference": f"B-{payout.pk}",
        "reason": "AC04",
    }
    return BankFact(**{**given, **changes})


def yesterday() -> date:
    """Return the day before today, in UTC."""
    return date.fromordinal(seam.now().date().toordinal() - 1)


def again(payout: Payout) -> Payout:
    """Read a payout again."""
    payout.refresh_from_db()
    return payout


@pytest.fixture
def bank(shop: Shop, market: Market) -> Bank:
    """Give a marketplace whose bank pays."""
    return Bank(market)
