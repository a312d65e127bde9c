"""The sandbox's bank: its books balance whatever it does wrong, and its statements say what is in them."""

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from reconciliation.formats.base import BadFile, ParsedLine, Side, SourceFacts
from reconciliation.formats.camt import Camt
from reconciliation.formats.mt940 import Mt940
from sandbox.bank import camt_statement, mt940_statement, statements
from sandbox.bank.bank import Bank, BankError
from sandbox.bank.discrepancies import DIRECTIONS, KINDS, RuleError, add
from sandbox.bank.numbers import check_digits, is_iban, new_iban
from tests.sandbox_process import SandboxPsp

DAY = 86_400
START = datetime(2026, 11, 16, 9, tzinfo=UTC).timestamp()
MONDAY = date(2026, 11, 16)
SELLER = "NL91ABNA0417164300"
FAILS = f"DE{check_digits('DE', '999999990000001116')}999999990000001116"
REFUSED = f"DE{check_digits('DE', '999999990000001009')}999999990000001009"


class Clock:
    """A time that tests move."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bank(tmp_path: Path, clock: Clock) -> Iterator[Bank]:
    """Give a bank, and check after the test that its books balance."""
    made = Bank(tmp_path / "bank.sqlite3", clock)
    yield made
    books = made.books()
    assert books["balanced"], books["wrong"]
    made.close()


@pytest.fixture
def iban(bank: Bank) -> str:
    """Give an account with 1,000.00 EUR of yesterday."""
    return str(bank.open_account(holder="Market GmbH", currency="EUR", opening=100_000)["iban"])


def facts(account: str) -> SourceFacts:
    return SourceFacts(code="b", side=Side.BANK, today=date(2026, 12, 31), account=account)


def read(bank: Bank, iban: str, day: date = MONDAY, *, damage: str = "") -> list[ParsedLine]:
    """Read a day in both formats, see that they tell the same amounts, and give the lines of camt."""
    bank.settle()
    told = statements.damaged(statements.of(bank.store, iban, day), damage)
    (camt,) = Camt().parse(io.BytesIO(statements.spoiled(camt_statement.write(told), damage)), facts(iban))
    (swift,) = Mt940().parse(io.BytesIO(statements.spoiled(mt940_statement.write(told), damage)), facts(iban))
    lines = list(camt.lines)
    assert sum(one.gross_minor for one in lines) == sum(one.gross_minor for one in swift.lines)
    assert camt.declared == swift.declared
    assert {one.flow for one in lines if one.category != "Chrgs"} == {one.flow for one in swift.lines}
    return lines


def told(lines: list[ParsedLine]) -> list[tuple[str, int]]:
    return [(one.flow, one.gross_minor) for one in lines]


def order(iban: str, *transfers: tuple[str, str, str], message: str = "bfl-1", **given: Any) -> bytes:
    """Write pain.001: transfers are end-to-end id, amount, account."""
    total = given.get("total") or f"{sum(float(amount) for _, amount, _ in transfers):.2f}"
    body = "".join(
        f"<CdtTrfTxInf><PmtId><InstrId>i{n}</InstrId><EndToEndId>{e2e}</EndToEndId></PmtId><Amt><InstdAmt Ccy='EUR'>"
        f"{amount}</InstdAmt></Amt><Cdtr><Nm>Anna</Nm></Cdtr><CdtrAcct><Id><IBAN>{account}</IBAN></Id></CdtrAcct>"
        f"<RmtInf><Ustrd>Payout</Ustrd></RmtInf></CdtTrfTxInf>"
        for n, (e2e, amount, account) in enumerate(transfers)
    )
    count = given.get("count", len(transfers))
    return (
        f"<Document xmlns='urn:iso:std:iso:20022:tech:xsd:pain.001.001.09'><CstmrCdtTrfInitn><GrpHdr><MsgId>{message}"
        f"</MsgId><NbOfTxs>{count}</NbOfTxs><CtrlSum>{total}</CtrlSum></GrpHdr><PmtInf><PmtInfId>{message}</PmtInfId>"
        f"<BtchBookg>{given.get('batch', 'false')}</BtchBookg><ReqdExctnDt><Dt>{given.get('on', '2026-11-16')}</Dt>"
        f"</ReqdExctnDt><DbtrAcct><Id><IBAN>{iban}</IBAN></Id></DbtrAcct>{body}</PmtInf></CstmrCdtTrfInitn></Document>"
    ).encode()


def states(bank: Bank) -> dict[str, tuple[str, str]]:
    return {one["end_to_end"]: (one["state"], one["reason"]) for one in bank.books()["transfers"]}


def test_numbers_pass_their_own_check() -> None:
    assert all(is_iban(number) for number in (SELLER, FAILS, REFUSED, new_iban(), "DE89370400440532013000"))
    assert not any(
        is_iban(number) for number in ("DE88370400440532013000", "", "DE", "DE8937040044053201300ß", "x" * 40)
    )


def test_a_credit_comes_once_and_stands_in_the_statement_of_its_day(bank: Bank, iban: str, clock: Clock) -> None:
    clock.now += DAY
    assert bank.receive(iban, 5_000, "eur", source="po_1", name="STRIPE", text="STRIPE po_1", end_to_end="trace7")
    assert not bank.receive(iban, 5_000, "eur", source="po_1")
    (line,) = read(bank, iban, MONDAY + timedelta(days=1))
    assert (line.flow, line.gross_minor, line.text, line.own_reference) == ("credit", 5_000, "STRIPE po_1", "trace7")
    assert bank.account(iban)["balance"] == 105_000
    assert read(bank, iban, MONDAY + timedelta(days=2)) == []


def test_charges_interest_and_reversals_are_told_as_what_they_are(bank: Bank, iban: str) -> None:
    bank.enter(iban, "charge", 250)
    bank.enter(iban, "interest", 30)
    reference = bank.enter(iban, "credit", 1_000, text="UNKNOWN", other_iban=SELLER)
    bank.reverse(reference)
    lines = read(bank, iban)[1:]
    assert told(lines) == [("fee", -250), ("interest", 30), ("credit", 1_000), ("debit", -1_000)]
    assert lines[-1].category.endswith(":RVSL")
    assert lines[2].counterparty == SELLER
    with pytest.raises(LookupError):
        bank.reverse("nothing")


def test_a_file_of_transfers_is_executed_once_and_answered(bank: Bank, iban: str) -> None:
    data = order(iban, ("pyo-1", "30.00", SELLER), ("pyo-2", "20.50", SELLER))
    answer = bank.order(data)
    assert answer.count("<TxSts>ACSC</TxSts>") == 2
    assert "<GrpSts>ACSC</GrpSts>" in answer
    assert bank.order(data) == answer
    lines = read(bank, iban)[1:]
    assert [(one.flow, one.gross_minor, one.own_reference, one.batch, one.counterparty) for one in lines] == [
        ("debit", -3_000, "pyo-1", "bfl-1", SELLER),
        ("debit", -2_050, "pyo-2", "bfl-1", SELLER),
    ]
    assert bank.account(iban)["balance"] == 94_950


def test_what_cannot_be_executed_is_refused_and_the_rest_is_booked(bank: Bank, iban: str) -> None:
    answer = bank.order(
        order(iban, ("a", "1.00", SELLER), ("b", "1.00", "NL00X"), ("c", "1.00", REFUSED), ("d", "5000.00", SELLER),
              ("a", "2.00", SELLER))
    )  # fmt: skip
    assert "<GrpSts>PART</GrpSts>" in answer
    assert answer.count("<TxSts>RJCT</TxSts>") == 4
    assert [code for code in ("AC01", "AM04", "AM05") if code in answer] == ["AC01", "AM04", "AM05"]
    assert told(read(bank, iban)[1:]) == [("debit", -100)]
    assert states(bank)["d"] == ("rejected", "AM04")


@pytest.mark.parametrize("given", [{"count": 3}, {"total": "2.01"}])
def test_a_file_with_wrong_totals_is_refused_as_a_whole(bank: Bank, iban: str, given: dict[str, Any]) -> None:
    answer = bank.order(order(iban, ("a", "1.00", SELLER), ("b", "1.00", SELLER), **given))
    assert "<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>AM10</Cd>" in answer
    assert len(read(bank, iban)) == 1
    assert states(bank) == {}


def test_a_file_of_an_unknown_account_moves_nothing(bank: Bank, iban: str) -> None:
    assert "<TxSts>RJCT</TxSts>" in bank.order(order(SELLER, ("a", "1.00", SELLER)))
    assert len(read(bank, iban)) == 1


@pytest.mark.parametrize("data", [b"", b"<a/>", b"no", b"<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>"])
def test_what_is_no_file_is_not_taken(bank: Bank, data: bytes) -> None:
    with pytest.raises(BankError):
        bank.order(data)


def test_a_batch_is_one_line_with_its_name(bank: Bank, iban: str) -> None:
    bank.order(order(iban, ("a", "1.00", SELLER), ("b", "2.00", SELLER), batch="true"))
    (line,) = read(bank, iban)[1:]
    assert (line.gross_minor, line.batch, line.own_reference) == (-300, "bfl-1", "")


def test_a_transfer_of_a_later_day_is_booked_on_it(bank: Bank, iban: str, clock: Clock) -> None:
    bank.order(order(iban, ("a", "1.00", SELLER), on="2026-11-18"))
    assert states(bank)["a"] == ("waiting", "")
    assert "<TxSts>ACSP</TxSts>" in bank.report("bfl-1")
    assert len(read(bank, iban)) == 1
    clock.now += 2 * DAY
    assert told(read(bank, iban, date(2026, 11, 18))) == [("debit", -100)]
    assert states(bank)["a"] == ("booked", "")
    assert "<TxSts>ACSC</TxSts>" in bank.report("bfl-1")
    with pytest.raises(LookupError):
        bank.report("bfl-2")


def test_a_transfer_to_a_closed_account_comes_back_a_day_later(bank: Bank, iban: str, clock: Clock) -> None:
    bank.order(order(iban, ("a", "1.00", FAILS)))
    clock.now += DAY
    (line,) = read(bank, iban, date(2026, 11, 17))
    assert (line.flow, line.gross_minor, line.own_reference) == ("return", 100, "a")
    assert line.category.endswith(":AC04")
    assert states(bank)["a"] == ("returned", "AC04")
    assert not bank.give_back("a", "AC04")


def test_a_transfer_is_given_back_by_hand(bank: Bank, iban: str) -> None:
    bank.order(order(iban, ("a", "1.00", SELLER)))
    assert bank.give_back("a", "AC06")
    assert told(read(bank, iban)[1:]) == [("debit", -100), ("return", 100)]


@pytest.mark.parametrize(
    ("rule", "lines", "later"),
    [
        ({"kind": "missing"}, [], []),
        ({"kind": "wrong_amount", "amount": -7}, [("credit", 4_993)], []),
        ({"kind": "wrong_amount", "amount": 7}, [("credit", 5_007)], []),
        ({"kind": "charged", "amount": 150}, [("credit", 5_000), ("fee", -150)], []),
        ({"kind": "duplicate"}, [("credit", 5_000), ("credit", 5_000)], []),
        ({"kind": "late", "days": 2}, [], [("credit", 5_000)]),
        ({"kind": "other_account"}, [("credit", 5_000)], []),
        ({"kind": "missing", "word": "po_2"}, [("credit", 5_000)], []),
    ],
)
def test_mistakes_with_what_comes_in(
    bank: Bank, clock: Clock, rule: dict[str, Any], lines: list[Any], later: list[Any]
) -> None:
    iban = bank.open_account(holder="Market GmbH", currency="EUR", opening=100_000)["iban"]
    add(bank.store, {"iban": iban, **rule})
    clock.now += DAY
    bank.receive(iban, 5_000, "EUR", source="po_1", text="STRIPE po_1", other_iban=SELLER)
    booked = read(bank, iban, MONDAY + timedelta(days=1))
    assert told(booked) == lines
    assert (rule["kind"] == "other_account") == any(one.counterparty not in ("", SELLER) for one in booked)
    clock.now += 2 * DAY
    assert told(read(bank, iban, MONDAY + timedelta(days=3))) == later


@pytest.mark.parametrize(
    ("rule", "lines"),
    [
        ({"kind": "missing"}, [-200]),
        ({"kind": "duplicate"}, [-100, -100, -200]),
        ({"kind": "wrong_amount", "amount": -5}, [-105, -200]),
        ({"kind": "missing", "word": "pyo-b"}, [-100]),
    ],
)
def test_mistakes_with_what_goes_out(bank: Bank, iban: str, rule: dict[str, Any], lines: list[int]) -> None:
    add(bank.store, {"iban": iban, "direction": "out", **rule})
    bank.order(order(iban, ("pyo-a", "1.00", SELLER), ("pyo-b", "2.00", SELLER)))
    assert [one.gross_minor for one in read(bank, iban)[1:]] == lines


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "lost"}, {"kind": "late", "days": 0}, {"kind": "wrong_amount"}, {"kind": "missing", "amount": 5},
        {"kind": "charged", "amount": -5}, {"kind": "charged", "amount": 5, "direction": "out"},
        {"kind": "late", "x": 1},
        {"kind": "missing", "times": 0}, {"kind": "missing", "iban": "DE00"}, {"kind": "missing", "days": "1"},
        {"kind": "missing", "direction": "up"},
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_meant_is_refused(bank: Bank, iban: str, rule: dict[str, Any]) -> None:
    with pytest.raises(RuleError):
        add(bank.store, {"iban": iban, **rule})
    assert bank.store.rows("SELECT * FROM discrepancies") == []


@pytest.mark.parametrize("damage", [one for one in statements.DAMAGES if one not in ("byte_order_mark", "chain")])
def test_a_damaged_statement_is_not_believed(bank: Bank, iban: str, damage: str) -> None:
    bank.enter(iban, "charge", 250)
    with pytest.raises(BadFile):
        read(bank, iban, damage=damage)


@pytest.mark.parametrize("damage", ["byte_order_mark", "chain"])
def test_what_a_statement_alone_cannot_show_is_believed(bank: Bank, iban: str, damage: str) -> None:
    bank.enter(iban, "charge", 250)
    assert len(read(bank, iban, damage=damage)) == 2


def test_a_payout_that_is_taken_back_is_a_debit_once(bank: Bank, iban: str) -> None:
    bank.receive(iban, 5_000, "EUR", source="po_1", text="STRIPE po_1")
    assert bank.take_back("po_1")
    assert not bank.take_back("po_1")
    assert not bank.take_back("po_2")
    assert told(read(bank, iban)[1:]) == [("credit", 5_000), ("debit", -5_000)]


@pytest.mark.parametrize("given", [{"currency": "EURO"}, {"iban": "DE00"}, {"opening": -1}])
def test_an_account_that_cannot_be_is_not_opened(bank: Bank, given: dict[str, Any]) -> None:
    with pytest.raises(BankError):
        bank.open_account(**{"holder": "x", "currency": "EUR", **given})
    assert bank.store.rows("SELECT * FROM accounts") == []


def test_its_books_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    first = Bank(tmp_path / "b.sqlite3", clock)
    iban = first.open_account(holder="x", currency="JPY", opening=1_999)["iban"]
    first.close()
    second = Bank(tmp_path / "b.sqlite3", clock)
    assert second.account(iban)["balance"] == 1_999
    assert told(read(second, iban)) == [("credit", 1_999)]
    second.close()


def test_everything_is_reached_by_http(sandbox_psp: SandboxPsp) -> None:
    at = f"{sandbox_psp.url}/_sandbox/bank"

    def ask(method: str, path: str, status: int = 200, **more: Any) -> requests.Response:
        answer = requests.request(method, f"{at}/{path}", timeout=20, **more)
        assert answer.status_code == status, answer.text
        return answer

    iban = ask("POST", "accounts", json={"holder": "M", "opening": 10_000}).json()["iban"]
    ask("POST", "accounts", 400, json={"iban": "DE00"})
    ask("POST", "accounts", 400, data=b"[1]")
    assert ask("GET", f"accounts/{iban}").json()["balance"] == 10_000
    ask("GET", "accounts/DE00", 404)
    assert ask("POST", "credits", json={"iban": iban, "amount": 700, "source": iban}).json() == {"new": True}
    ask("POST", "credits", 400, json={"iban": iban, "amount": 0, "source": "x"})
    ask("POST", "discrepancies", json={"iban": iban, "kind": "duplicate", "direction": "out"})
    assert set(ask("GET", "discrepancies").json()["kinds"]) == set(KINDS)
    pain = order(iban, ("pyo-http", "1.00", SELLER), message=iban, on="2020-01-01")
    assert "ACSC" in ask("POST", "orders", data=pain).text
    ask("POST", "orders", 400, data=b"no")
    ask("POST", "transfers/pyo-http/return", json={"reason": "AC04"})
    ask("POST", "transfers/pyo-http/return", 404, json={})
    reference = ask("POST", "entries", json={"iban": iban, "kind": "charge", "amount": 5}).json()["reference"]
    ask("POST", "entries", 400, json={"iban": iban, "kind": "theft", "amount": 5})
    ask("POST", f"lines/{reference}/reverse")
    amounts = [one["amount"] for one in ask("GET", f"accounts/{iban}/lines").json()["lines"]]
    assert amounts == [10_000, 700, -100, -100, 100, -5, 5]
    now = requests.get(f"{sandbox_psp.url}/_sandbox/health", timeout=20).json()["now"]
    day = datetime.fromtimestamp(now, UTC).date()
    found = ask("GET", f"accounts/{iban}/statements/{day}")
    (statement,) = Camt().parse(
        io.BytesIO(found.content), SourceFacts(code="b", side=Side.BANK, today=day, account=iban)
    )
    assert [one.gross_minor for one in statement.lines] == amounts
    assert ask("GET", f"accounts/{iban}/statements/{day}?format=mt940").text.startswith(":20:")
    ask("GET", f"accounts/{iban}/statements/{day}?format=pdf", 400)
    ask("GET", f"accounts/{iban}/statements/today", 400)
    assert ask("DELETE", f"discrepancies?iban={iban}").json() == {"cleared": 1}
    assert ask("GET", "books").json()["balanced"]


def test_the_reference_page_names_every_mistake_and_damage() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "sandbox.md").read_text()
    assert {name for name in (*KINDS, *statements.DAMAGES) if f"| `{name}` |" not in page} == set()
    assert DIRECTIONS == ("in", "out")
