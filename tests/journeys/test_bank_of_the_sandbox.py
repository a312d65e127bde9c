"""A file of ours, handed to a bank with books of its own: its report and its statements bring both books together."""

from __future__ import annotations

import io
import re
from datetime import date, datetime, timedelta

import requests

from config import seam
from payments import bank_payouts, bank_reports
from payments.bank_payouts import BankFact
from payments.models import Payout
from reconciliation.formats.base import ParsedLine, Side, SourceFacts
from reconciliation.formats.camt import Camt
from tests.bank import OUR_IBAN, Bank, again

_S = Payout.Status
FUNDS = 9_000


class HouseBank:
    """The sandbox's bank, where our account is."""

    def __init__(self, bank: Bank) -> None:
        self.psp = bank.market.shop.psp
        self.url = f"{self.psp.url}/_sandbox/bank"
        self.psp.control("bank/accounts", iban=OUR_IBAN, holder="Market & Söhne GmbH", opening=FUNDS)
        # Whoever moved the clock of this process before: today is today, and the file's day is to come.
        requests.post(f"{self.psp.url}/_sandbox/clock", json={"reset": True}, timeout=20).raise_for_status()

    def order(self, content: bytes) -> bytes:
        """Hand a file of transfers in; return the status report."""
        answer = requests.post(f"{self.url}/orders", data=content, timeout=20)
        answer.raise_for_status()
        return answer.content

    def execute(self, content: bytes) -> bytes:
        """Let the day come for which a file is; return the status report of then."""
        wanted = re.search(rb"<ReqdExctnDt>(?:<Dt>)?([0-9-]{10})", content)
        message = re.search(rb"<MsgId>([^<]+)", content)
        assert wanted is not None
        assert message is not None
        wait = date.fromisoformat(wanted[1].decode()) - self.today()
        self.psp.advance(max(wait.total_seconds(), 0))
        answer = requests.get(f"{self.url}/orders/{message[1].decode()}", timeout=20)
        answer.raise_for_status()
        return answer.content

    def balance(self) -> int:
        """Return what the bank says that we have."""
        return int(requests.get(f"{self.url}/accounts/{OUR_IBAN}", timeout=20).json()["balance"])

    def today(self) -> date:
        """Return the bank's day."""
        now = requests.get(f"{self.psp.url}/_sandbox/health", timeout=20).json()["now"]
        return datetime.fromtimestamp(now, seam.now().tzinfo).date()

    def lines(self, flow: str) -> list[ParsedLine]:
        """Read what the statement of the day has of one flow."""
        day = self.today()
        found = requests.get(f"{self.url}/accounts/{OUR_IBAN}/statements/{day}", timeout=20)
        source = SourceFacts(code="bank", side=Side.BANK, today=day, account=OUR_IBAN)
        (statement,) = Camt().parse(io.BytesIO(found.content), source)
        return [line for line in statement.lines if line.flow == flow]


def facts(lines: list[ParsedLine]) -> list[BankFact]:
    """Say what lines of a statement say of payouts."""
    return [
        BankFact(
            line.own_reference, abs(line.gross_minor), line.currency, line.booked_on, line.reference,
            reason=line.category.partition(":")[2],
        )
        for line in lines
    ]  # fmt: skip


def test_a_file_is_executed_refused_in_part_booked_and_partly_comes_back(bank: Bank) -> None:
    house = HouseBank(bank)
    paid, poor, back = bank.ready(6_000, 5_000, 2_000)
    handed_out = bank.hand_out(bank.made())
    accepted = house.order(handed_out.content)
    assert house.order(handed_out.content) == accepted, "the same file again is not executed again"
    assert bank_reports.read_in(bank.book_id, accepted, actor="tests", now=seam.now()).answers == []
    report = house.execute(handed_out.content)
    read = bank_reports.read_in(bank.book_id, report, actor="tests", now=seam.now())
    assert [str(one.outcome) for one in read.answers] == ["done"], "there was no money for one of them"
    assert [again(row).status for row in (paid, poor, back)] == [_S.SENT, _S.CANCELLED, _S.SENT]
    assert (poor.failure or {})["psp_code"] == "AM04"

    booked = facts(house.lines("debit"))
    assert sorted(one.amount_minor for one in booked) == [2_000, 6_000]
    answers = bank_payouts.booked(bank.book_id, booked, actor="tests", now=seam.now())
    assert [str(one.outcome) for one in answers] == ["done", "done"]
    assert [again(row).status for row in (paid, back)] == [_S.PAID, _S.PAID]
    assert house.balance() == FUNDS - 8_000

    name = next(one.end_to_end_id for one in booked if one.amount_minor == 2_000)
    house.psp.control(f"bank/transfers/{name}/return", reason="AC04")
    returned = facts(house.lines("return"))
    assert [(one.end_to_end_id, one.amount_minor, one.reason) for one in returned] == [(name, 2_000, "AC04")]
    (answer,) = bank_payouts.returned(bank.book_id, returned, actor="tests", now=seam.now() + timedelta(seconds=1))
    assert str(answer.outcome) == "done"
    assert (again(back).status, house.balance()) == (_S.RETURNED, FUNDS - 6_000)
    bank.market.shop.check()
    assert requests.get(f"{house.url}/books", timeout=20).json()["balanced"]
