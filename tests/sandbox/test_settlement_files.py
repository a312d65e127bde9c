"""The sandbox PSP's automatic payouts and settlement files tell what is in its books, line by line."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.psp.damages import DAMAGES
from tests.sandbox_process import SandboxPsp

FEE_FREE = 1944


@pytest.fixture
def iban(sandbox_psp: SandboxPsp) -> str:
    """Give an empty account at the sandbox's bank."""
    return str(sandbox_psp.control("bank/accounts", holder="Market GmbH")["iban"])


@pytest.fixture
def paid(new_intent: Callable[..., Any]) -> Any:
    """Give a payment of 19.99 EUR whose money is available at once."""
    return new_intent(payment_method="pm_card_bypassPending", confirm=True, metadata={"order_id": "7"})


def today(sandbox_psp: SandboxPsp) -> str:
    health = requests.get(f"{sandbox_psp.url}/_sandbox/health", timeout=20).json()
    return datetime.fromtimestamp(health["now"], UTC).date().isoformat()


def fetch(sandbox_psp: SandboxPsp, key: str, name: str, day: str, **more: str) -> bytes:
    query = {"account": key, "day": day, **more}
    answer = requests.get(f"{sandbox_psp.url}/_sandbox/reports/{name}", params=query, timeout=20)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return answer.content


def report(sandbox_psp: SandboxPsp, key: str, name: str, day: str, **more: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(fetch(sandbox_psp, key, name, day, **more).decode())))


def cents(text: str) -> int:
    return int(Decimal(text) * 100)


def test_the_activity_of_a_day_is_told_with_what_we_wrote_on_it(
    psp: Any, paid: Any, key: str, sandbox_psp: SandboxPsp
) -> None:
    refund = psp.refunds.create({"payment_intent": paid.id, "amount": 500, "metadata": {"florin_operation": "opn_1"}})
    payee = psp.accounts.create({"type": "express", "country": "DE", "external_account": "btok_good"})
    sent = psp.transfers.create(
        {"amount": 600, "currency": "eur", "destination": payee.id, "metadata": {"florin_operation": "opn_2"}}
    )
    back = psp.transfers.reversals.create(sent.id, {"amount": 200, "metadata": {"florin_operation": "opn_3"}})
    dispute = sandbox_psp.control("disputes", payment_intent=paid.id, amount=300)
    rows = report(sandbox_psp, key, "balance_change", today(sandbox_psp))
    assert [(row["reporting_category"], row["source_id"], cents(row["gross"]), cents(row["fee"])) for row in rows] == [
        ("charge", paid.latest_charge, 1999, 55),
        ("refund", refund.id, -500, 0),
        ("transfer", sent.id, -600, 0),
        ("transfer_reversal", back.id, 200, 0),
        ("dispute", dispute["id"], -300, 2000),
    ]
    assert all(cents(row["gross"]) - cents(row["fee"]) == cents(row["net"]) for row in rows)
    assert {row["payment_intent_id"] for row in rows} == {paid.id, ""}
    assert [row["refund_metadata[florin_operation]"] for row in rows] == ["", "opn_1", "", "", ""]
    assert [row["transfer_metadata[florin_operation]"] for row in rows] == ["", "", "opn_2", "opn_3", ""]
    assert [row["payment_metadata[order_id]"] for row in rows] == ["7", "7", "", "", "7"]
    assert sum(cents(row["net"]) for row in rows) == sandbox_psp.books(key)["balance"]["eur"]["available"]
    assert report(sandbox_psp, key, "balance_change", "2020-01-01") == []


def test_an_automatic_payout_is_the_sum_of_its_lines_and_arrives_at_the_bank(
    psp: Any, new_intent: Callable[..., Any], key: str, sandbox_psp: SandboxPsp, iban: str
) -> None:
    new_intent(payment_method="pm_card_bypassPending", confirm=True)
    new_intent(payment_method="pm_card_visa", confirm=True)  # not available yet, so not in it
    sandbox_psp.control("banking", account=key, currency="eur", iban=iban)
    (made,) = sandbox_psp.control("banking/pay_out", account=key)["payouts"]
    assert (made["amount"], made["automatic"], made["reconciliation_status"]) == (FEE_FREE, True, "in_progress")
    assert sandbox_psp.control("banking/pay_out", account=key)["payouts"] == []
    sandbox_psp.advance(5)
    arrived = psp.payouts.retrieve(made["id"])
    assert (arrived.status, arrived.reconciliation_status) == ("paid", "completed")
    rows = report(sandbox_psp, key, "payout_reconciliation", today(sandbox_psp))
    assert [(row["reporting_category"], cents(row["net"])) for row in rows] == [("charge", 1944), ("payout", -1944)]
    assert {row["automatic_payout_id"] for row in rows} == {made["id"]}
    assert rows[-1]["trace_id"] == arrived.trace_id.value
    listed = psp.balance_transactions.list({"payout": made["id"]}).data
    assert {one.id for one in listed} == {row["balance_transaction_id"] for row in rows}
    bank = requests.get(f"{sandbox_psp.url}/_sandbox/bank/accounts/{iban}/lines", timeout=20).json()["lines"]
    assert [(one["amount"], one["end_to_end"]) for one in bank] == [(FEE_FREE, arrived.trace_id.value)]
    assert made["id"] in bank[0]["text"]
    types = {one.type for one in psp.events.list({"types": ["payout.paid", "payout.reconciliation_completed"]}).data}
    assert types == {"payout.paid", "payout.reconciliation_completed"}


def test_a_payout_that_fails_after_it_was_paid_is_taken_back_and_paid_out_again(
    psp: Any, paid: Any, key: str, sandbox_psp: SandboxPsp, iban: str
) -> None:
    sandbox_psp.control("banking", account=key, currency="eur", iban=iban)
    (made,) = sandbox_psp.control("banking/pay_out", account=key)["payouts"]
    sandbox_psp.advance(5)
    sandbox_psp.control(f"payouts/{made['id']}/advance", status="failed")
    rows = report(sandbox_psp, key, "payout_reconciliation", today(sandbox_psp))
    assert [(row["reporting_category"], cents(row["net"])) for row in rows][-1] == ("payout_reversal", FEE_FREE)
    bank = requests.get(f"{sandbox_psp.url}/_sandbox/bank/accounts/{iban}/lines", timeout=20).json()["lines"]
    assert [one["amount"] for one in bank] == [FEE_FREE, -FEE_FREE]
    (again,) = sandbox_psp.control("banking/pay_out", account=key)["payouts"]
    assert again["amount"] == FEE_FREE
    listed = psp.balance_transactions.list({"payout": again["id"]}).data
    assert [one.reporting_category for one in listed] == ["payout", "payout_reversal"]


def test_payouts_are_made_by_themselves_after_midnight_until_it_is_switched_off(
    psp: Any, new_intent: Callable[..., Any], key: str, sandbox_psp: SandboxPsp
) -> None:
    sandbox_psp.control("banking", account=key, currency="eur", automatic=True)
    new_intent(payment_method="pm_card_bypassPending", confirm=True)
    sandbox_psp.advance(timedelta(days=1).total_seconds())
    assert [one.amount for one in psp.payouts.list().data] == [FEE_FREE]
    new_intent(payment_method="pm_card_bypassPending", confirm=True)
    sandbox_psp.advance(timedelta(days=1).total_seconds())
    assert [one.amount for one in psp.payouts.list().data] == [FEE_FREE] * 2
    sandbox_psp.control("banking", account=key, currency="eur", automatic=False)
    new_intent(payment_method="pm_card_bypassPending", confirm=True)
    sandbox_psp.advance(timedelta(days=1).total_seconds())
    assert len(psp.payouts.list().data) == 2


def test_a_manual_payout_stands_alone_in_the_file_and_is_not_reconciled(
    psp: Any, paid: Any, key: str, sandbox_psp: SandboxPsp
) -> None:
    made = psp.payouts.create({"amount": 1000, "currency": "eur"})
    assert (made.automatic, made.reconciliation_status) == (False, "not_applicable")
    (row,) = report(sandbox_psp, key, "payout_reconciliation", today(sandbox_psp))
    assert (row["source_id"], row["automatic_payout_id"], cents(row["net"])) == (made.id, "", -1000)
    sandbox_psp.control("banking", account=key, currency="eur")
    sandbox_psp.control("banking", account=key, currency="eur", automatic=True)
    (rest,) = sandbox_psp.control("banking/pay_out", account=key)["payouts"]
    assert rest["amount"] == FEE_FREE - 1000


def test_what_is_not_a_positive_sum_waits(psp: Any, paid: Any, key: str, sandbox_psp: SandboxPsp) -> None:
    sandbox_psp.control("banking", account=key, currency="eur", automatic=True)
    psp.refunds.create({"payment_intent": paid.id})
    assert sandbox_psp.control("banking/pay_out", account=key)["payouts"] == []
    assert psp.payouts.list().data == []


def test_what_is_no_object_changes_the_balance_and_stands_in_the_file(
    psp: Any, key: str, sandbox_psp: SandboxPsp
) -> None:
    for category, amount in (("fee", -250), ("risk_reserved_funds", -1000), ("lunar_adjustment", 5)):
        made = sandbox_psp.control("adjustments", account=key, category=category, amount=amount)
        assert (made["amount"], made["source"]) == (amount, None)
    rows = report(sandbox_psp, key, "balance_change", today(sandbox_psp))
    assert [(row["reporting_category"], cents(row["net"]), row["source_id"]) for row in rows] == [
        ("fee", -250, ""), ("risk_reserved_funds", -1000, ""), ("lunar_adjustment", 5, ""),
    ]  # fmt: skip
    assert sandbox_psp.books(key)["balance"]["eur"]["available"] == -1245
    assert len(psp.balance_transactions.list({"expand": ["data.source"]}).data) == 3


def test_a_file_is_wrong_on_demand_and_the_books_stay_right(
    psp: Any, paid: Any, key: str, sandbox_psp: SandboxPsp
) -> None:
    refund = psp.refunds.create({"payment_intent": paid.id, "amount": 500})
    day = today(sandbox_psp)

    def nets(damage: str, source: str = "") -> list[int]:
        return [
            cents(row["net"]) for row in report(sandbox_psp, key, "balance_change", day, damage=damage, source=source)
        ]

    charge = paid.latest_charge
    assert nets("") == [1944, -500]
    assert nets("missing", charge) == [-500]
    assert nets("missing") == [1944]
    assert nets("twin", refund.id) == [1944, -500, -500]
    assert nets("wrong_amount", charge) == [2044, -500]
    assert nets("wrong_net", charge) == [2044, -500]
    assert nets("wrong_fee", charge) == [1844, -500]
    assert nets("missing", "nothing") == [1944, -500]
    row = report(sandbox_psp, key, "balance_change", day, damage="unknown_category")[-1]
    assert row["reporting_category"] == "lunar_adjustment"
    assert report(sandbox_psp, key, "balance_change", day, damage="other_currency")[-1]["currency"] == "usd"
    assert report(sandbox_psp, key, "balance_change", day, damage="formula")[-1]["description"].startswith("=")
    whole = fetch(sandbox_psp, key, "balance_change", day)
    assert fetch(sandbox_psp, key, "balance_change", day, damage="cut_off") == whole[: len(whole) // 2]
    marked = fetch(sandbox_psp, key, "balance_change", day, damage="marked")
    assert marked == b"\xef\xbb\xbf" + whole.replace(b"\n", b"\r\n")
    assert fetch(sandbox_psp, key, "balance_change", day) == whole


def test_the_reference_page_names_every_damage() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "sandbox.md").read_text()
    assert {name for name in DAMAGES if f"| `{name}` |" not in page} == set()


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", "reports/everything", {"params": {"account": "sk_test_x", "day": "2026-11-21"}}),
        ("GET", "reports/balance_change", {"params": {"account": "sk_test_x", "day": "today"}}),
        (
            "GET",
            "reports/balance_change",
            {"params": {"account": "sk_test_x", "day": "2026-11-21", "time_zone": "Mars"}},
        ),
        ("GET", "reports/balance_change", {"params": {"day": "2026-11-21"}}),
        ("POST", "banking", {"json": {"account": "sk_test_x", "currency": "eur", "iban": "DE00"}}),
        ("POST", "banking", {"json": {"account": "sk_test_x", "currency": "euro"}}),
        ("POST", "banking", {"json": {"currency": "eur"}}),
        ("POST", "banking/pay_out", {"json": {}}),
        ("GET", "reports/balance_change", {"params": {"account": "sk_test_x", "day": "2026-11-21", "damage": "x"}}),
        ("POST", "adjustments", {"json": {"account": "sk_test_x", "category": "fee", "amount": 0}}),
        ("POST", "adjustments", {"json": {"account": "sk_test_x", "category": "charge", "amount": 5}}),
        ("POST", "adjustments", {"json": {"account": "sk_test_x", "category": "Fee!", "amount": 5}}),
    ],
)
def test_what_cannot_be_meant_is_refused(sandbox_psp: SandboxPsp, method: str, path: str, more: dict[str, Any]) -> None:
    answer = requests.request(method, f"{sandbox_psp.url}/_sandbox/{path}", timeout=20, **more)
    assert answer.status_code == 400, answer.text


def test_an_account_in_another_currency_is_not_taken(sandbox_psp: SandboxPsp, key: str, iban: str) -> None:
    body = {"account": key, "currency": "usd", "iban": iban}
    answer = requests.post(f"{sandbox_psp.url}/_sandbox/banking", json=body, timeout=20)
    assert answer.status_code == 400
