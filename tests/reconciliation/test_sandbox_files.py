"""The files of the sandbox's PSP and bank are received as the books of both have it, and explain each other."""

import io
from datetime import UTC, date, datetime
from typing import Any

import pytest
import requests

from config import seam
from reconciliation import ingest
from reconciliation.ingest import Received
from reconciliation.models import Match, SettlementFile, Source, StatementLine
from tests.reconciliation.conftest import Desk

GROSS, FEE = 10_000, 175


class House:
    """An account at the sandbox's bank to which the shop's PSP pays out, and whose statements are read."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.psp, self.key = desk.shop.psp, desk.shop.psp_key
        self.iban = str(self.psp.control("bank/accounts", holder="Market GmbH")["iban"])
        self.psp.control("banking", account=self.key, currency="eur", iban=self.iban)
        self.source = desk.bank()
        self.source.account = self.iban
        self.source.save()

    @property
    def day(self) -> date:
        """The sandbox's day."""
        return datetime.fromtimestamp(self._get("health").json()["now"], UTC).date()

    def pay_out(self) -> dict[str, Any]:
        """Let the PSP pay out what is available, and let it arrive."""
        (made,) = self.psp.control("banking/pay_out", account=self.key)["payouts"]
        self.psp.advance(5)
        return dict(made)

    def statement(self, name: str = "camt053", **query: str) -> Received:
        """Receive the bank's statement of the day."""
        path = f"bank/accounts/{self.iban}/statements/{self.day}"
        return self._receive(self.source, self._get(path, format=name, **query).content, name)

    def report(self, name: str, written_in: str) -> Received:
        """Receive the PSP's file of the day."""
        found = self._get(f"reports/{name}", account=self.key, day=self.day.isoformat())
        return self._receive(self.desk.source, found.content, written_in)

    def _get(self, path: str, **query: str) -> requests.Response:
        answer = requests.get(f"{self.psp.url}/_sandbox/{path}", params=query, timeout=20)
        answer.raise_for_status()
        return answer

    def _receive(self, source: Source, content: bytes, written_in: str) -> Received:
        now = max(seam.now(), datetime.combine(self.day, datetime.max.time(), UTC))
        return ingest.receive(
            source, io.BytesIO(content), format=written_in, name="file", received_from="user:tests", now=now
        )


@pytest.fixture
def house(desk: Desk) -> House:
    return House(desk)


def buy(desk: Desk) -> None:
    """Take a payment whose money is available at once."""
    desk.shop.buy(GROSS, token="pm_card_bypassPending")
    desk.shop.work()
    desk.shop.notify()
    desk.shop.work()


def test_the_files_of_a_day_are_received_and_the_bank_credit_is_the_payout(desk: Desk, house: House) -> None:
    buy(desk)
    payout = house.pay_out()
    for received in (
        house.report("balance_change", "stripe_balance_change"),
        house.report("payout_reconciliation", "stripe_payout_itemized"),
        house.statement(),
    ):
        assert (received.file.state, received.file.errors) == (SettlementFile.State.INGESTED, [])
    lines = {line.flow: line for line in StatementLine.objects.filter(source=desk.source).order_by("id")}
    assert (lines["charge"].gross_minor, lines["charge"].fee_minor, lines["charge"].batch) == (GROSS, FEE, payout["id"])
    assert (lines["payout"].gross_minor, lines["payout"].reference) == (FEE - GROSS, payout["id"])
    credit = StatementLine.objects.get(source=house.source)
    assert (credit.flow, credit.gross_minor) == ("credit", GROSS - FEE)
    assert payout["id"] in credit.text
    assert credit.own_reference == lines["payout"].own_reference != ""
    desk.night(house.day)
    desk.night(house.day, source=house.source)
    assert Match.objects.filter(line=credit, rule="payout", undone_at=None).count() == 1
    assert desk.codes() == []


def test_both_formats_of_the_bank_tell_the_same_lines(desk: Desk, house: House) -> None:
    buy(desk)
    house.pay_out()
    house.psp.control("bank/entries", iban=house.iban, kind="charge", amount=250)
    first = house.statement().file
    other = house.statement("mt940").file
    assert (first.state, first.line_count) == (SettlementFile.State.INGESTED, 2)
    assert other.state == SettlementFile.State.QUARANTINED
    assert [error["code"] for error in other.errors] == ["days_known_in_another_format"]
    kept = StatementLine.objects.filter(source=house.source).order_by("number")
    assert [line.flow for line in kept] == ["credit", "fee"]


@pytest.mark.parametrize("damage", ["omit", "balance", "truncated", "other_account", "entity_bomb"])
def test_a_damaged_statement_is_quarantined_and_the_right_one_is_received_afterwards(
    desk: Desk, house: House, damage: str
) -> None:
    house.psp.control("bank/entries", iban=house.iban, kind="interest", amount=30)
    bad = house.statement(damage=damage).file
    assert bad.state == SettlementFile.State.QUARANTINED
    assert bad.errors
    assert not StatementLine.objects.exists()
    assert house.statement().file.state == SettlementFile.State.INGESTED
    assert [line.gross_minor for line in StatementLine.objects.all()] == [30]


def test_a_statement_that_grows_in_the_day_is_a_revision_and_keeps_its_lines(desk: Desk, house: House) -> None:
    house.psp.control("bank/entries", iban=house.iban, kind="interest", amount=30)
    first = house.statement().file
    house.psp.control("bank/entries", iban=house.iban, kind="charge", amount=20)
    second = house.statement().file
    assert second.revises_id == first.pk
    assert (second.new_count, second.known_count, second.changed_count) == (1, 1, 0)
    assert sorted(line.gross_minor for line in StatementLine.objects.all()) == [-20, 30]
