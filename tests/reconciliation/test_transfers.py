"""Transfers of our own bank: its statements say that they left, that they came back, and where they went."""

from __future__ import annotations

from datetime import timedelta

import pytest

from config import seam
from payments import bank_payouts
from payments.bank_payouts import BankFact
from payments.models import Payout
from reconciliation import counterparties
from reconciliation.models import Break, Item, Source
from tests.bank import Bank, bank
from tests.market import GOOD_IBAN, market
from tests.reconciliation.conftest import Desk

__all__ = ["bank", "market"]


@pytest.fixture
def statement(desk: Desk, bank: Bank) -> Source:
    """Give the source that reads the statements of the merchant's bank account."""
    return desk.bank(bank.account.name)


def status(payout: Payout) -> str:
    payout.refresh_from_db()
    return str(payout.status)


def test_a_transfer_that_the_bank_executed_is_paid(desk: Desk, bank: Bank, statement: Source) -> None:
    (payout,) = bank.sent(700)
    desk.night(source=statement)
    item = Item.objects.get(flow="debit")
    assert (item.amount_minor, item.subject_kind) == (-700, "payout")
    assert desk.codes() == []
    desk.line(
        flow="debit",
        gross_minor=-700,
        reference="CAMT1",
        own_reference=item.reference.upper(),
        counterparty=counterparties.digest(GOOD_IBAN),
        source=statement,
    )
    desk.night(source=statement)
    assert status(payout) == "paid"
    assert desk.codes() == []
    before = desk.balances()
    desk.night(source=statement)
    assert desk.balances() == before


def test_a_transfer_that_came_back_is_in_the_wallet_again(desk: Desk, bank: Bank, statement: Source) -> None:
    (payout,) = bank.sent(700)
    desk.night(source=statement)
    name = Item.objects.get(flow="debit").reference
    desk.line(flow="debit", gross_minor=-700, reference="CAMT1", own_reference=name, source=statement)
    desk.night(source=statement)
    available = bank.market.wallet()["available"]
    desk.line(flow="return", gross_minor=700, reference="CAMT2", own_reference=name, source=statement)
    desk.night(source=statement)
    assert status(payout) == "returned"
    assert bank.market.wallet()["available"] == available + 700
    assert Break.objects.get(code="B05").resolution == "return booked"
    assert desk.codes() == []


def test_a_transfer_that_left_twice_is_in_front_of_a_person(desk: Desk, bank: Bank, statement: Source) -> None:
    bank.sent(700)
    desk.night(source=statement)
    name = Item.objects.get(flow="debit").reference
    for number in (1, 2):
        desk.line(flow="debit", gross_minor=-700, reference=f"CAMT{number}", own_reference=name, source=statement)
        desk.night(source=statement)
    assert desk.codes() == ["B11"]
    assert Break.objects.get(code="B11").amount_minor == -700


def test_a_transfer_to_another_account_than_we_named_is_seen(desk: Desk, bank: Bank, statement: Source) -> None:
    bank.sent(700)
    desk.night(source=statement)
    name = Item.objects.get(flow="debit").reference
    other = counterparties.digest("DE02500105170137075030")
    desk.line(flow="debit", gross_minor=-700, own_reference=name, counterparty=other, source=statement)
    desk.night(source=statement)
    desk.night(desk.today + timedelta(days=1), source=statement)
    assert desk.codes() == ["B12"]


def test_a_transfer_that_the_bank_refused_is_not_missed(desk: Desk, bank: Bank, statement: Source) -> None:
    (payout,) = bank.sent(700)
    desk.night(source=statement)
    name = Item.objects.get(flow="debit").reference
    fact = BankFact(name, 700, "EUR", desk.today, reason="AC01")
    bank_payouts.rejected(desk.source.book_id, [fact], actor="tests", now=seam.now())
    assert status(payout) == "cancelled"
    desk.night(desk.today + timedelta(days=20), source=statement)
    assert desk.codes() == []
