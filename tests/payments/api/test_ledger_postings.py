"""Manual journals over the API: a key proposes, nothing is posted, and a refusal names the field and writes nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from config import seam
from ledger import accounts, periods
from ledger.ids import public_id
from ledger.models import Account, Side, Transaction
from payments.api import answers
from payments.models import ApiKey, IdempotencyRecord
from tests.factories import Tenant
from tests.ledger.desk import digests
from tests.payments.api.conftest import Api, content, fields, problem
from tests.payments.api.test_any_input import FEW, ODD, check, places
from wallet import chart, movements, proposals
from wallet.legs import DraftLeg
from wallet.models import Proposal, Wallet

SENTENCE = "the buyer paid twice"


@pytest.fixture
def seller(shop: Tenant) -> str:
    """Make a seller with 17.99 available; 5.00 of it were moved, and give its public id."""
    accounts.forget()
    row = shop.seller(external_id="ann")
    now = seam.now() - timedelta(days=40)
    heading = movements.Heading(shop.book.pk, "o1", "EUR", now, "tests")
    sale = movements.settle_charge(heading, psp_account="stripe", seller=row.public_id, captured=2499, fee=200)
    free = movements.release(heading, seller=row.public_id, amount=2299, debt=0)
    movements.record([sale, free], now=now)
    name = shop.seller_id(row)
    legs = (
        DraftLeg(f"seller:{name}:available:EUR", Side.DEBIT, 500, "EUR"),
        DraftLeg("refund:payable:EUR", Side.CREDIT, 500, "EUR"),
    )
    draft = proposals.Draft(shop.book.pk, Proposal.Kind.ADJUST, "start", legs, "start", "tests")
    made, _ = proposals.propose(draft, now=seam.now())
    proposals.approve(made.pk, checker="user:carl", now=seam.now())
    return name


@pytest.fixture
def body(seller: str) -> dict[str, Any]:
    """Give a valid manual journal."""
    return {
        "kind": "adjust",
        "reference": "case-17",
        "memo": SENTENCE,
        "legs": [
            {"account": f"seller:{seller}:available:EUR", "side": "debit", "amount": "3.00", "currency": "EUR"},
            {"account": "refund:payable:EUR", "side": "credit", "amount": "3.00", "currency": "EUR"},
        ],
    }


@pytest.fixture
def nothing_written(db: None) -> Callable[[], None]:
    """Remember books, proposals and keys; calling it says that they are as they were."""
    before: list[Any] = []

    def check() -> None:
        now = [digests(connection), list(Proposal.objects.order_by("pk").values()), IdempotencyRecord.objects.count()]
        if not before:
            before.extend(now)
        assert now == before

    return check


def test_a_key_proposes_and_somebody_else_approves(api: Api, shop: Tenant, body: dict[str, Any]) -> None:
    before = digests(connection)["ledger_entry"]
    made = content(api.post("ledger/transactions", body), 202)
    shown = answers.Proposal.model_validate(made)
    assert list(made) == list(answers.Proposal.model_fields)
    assert (shown.status, shown.reference, shown.transaction, shown.checker) == (
        "awaiting_approval",
        "case-17",
        None,
        None,
    )
    assert shown.maker == f"key:{public_id('key', shop.api_key.public_id)}"
    assert [leg.model_dump() for leg in shown.legs] == body["legs"]
    assert digests(connection)["ledger_entry"] == before
    assert content(api.get(f"ledger/proposals/{shown.id}"), 200) == made
    row = Proposal.objects.get(reference="case-17")
    proposals.approve(row.pk, checker="user:carl", note="fine", now=seam.now())
    after = answers.Proposal.model_validate(content(api.get(f"ledger/proposals/{shown.id}"), 200))
    assert (after.status, after.checker, after.note) == ("approved", "user:carl", "fine")
    posted = Transaction.objects.get(reference="adjust:case-17")
    assert after.transaction == public_id("txn", posted.public_id)


def test_a_leg_may_be_written_short(api: Api, body: dict[str, Any]) -> None:
    full = content(api.post("ledger/transactions", body), 202)
    first, second = body["legs"]
    short = [
        {"account": first["account"], "debit": "3.00", "currency": "EUR"},
        {"account": second["account"], "credit": "3.00", "amount": "3.00", "currency": "EUR"},
    ]
    made = content(api.post("ledger/transactions", {**body, "reference": "case-18", "legs": short}), 202)
    assert made["legs"] == full["legs"]
    for wrong in ({"debit": "3.00", "credit": "3.00"}, {"debit": "3.00", "amount": "4.00"}, {"debit": True}):
        bad = [{"account": first["account"], "currency": "EUR", **wrong}, short[1]]
        problem(api.post("ledger/transactions", {**body, "reference": "bad", "legs": bad}), 400, "invalid_request")


def test_the_same_key_answers_the_same_and_another_key_finds_the_proposal(api: Api, body: dict[str, Any]) -> None:
    first = api.post("ledger/transactions", body, idempotency_key="k")
    again = api.post("ledger/transactions", body, idempotency_key="k")
    assert (again.content, again["Idempotency-Replayed"]) == (first.content, "true")
    other = api.post("ledger/transactions", body, idempotency_key="k2")
    assert content(other, 200) == content(first, 202)
    problem(api.post("ledger/transactions", body, idempotency_key=None), 400, "idempotency_key_missing")
    assert Proposal.objects.filter(reference="case-17").count() == 1


def test_a_dry_run_needs_no_key_and_writes_nothing(
    api: Api, seller: str, body: dict[str, Any], nothing_written: Callable[[], None]
) -> None:
    nothing_written()
    read = content(api.post("ledger/transactions?dry_run=true", body, idempotency_key=None), 200)
    shown = answers.Rehearsal.model_validate(read)
    assert list(read) == list(answers.Rehearsal.model_fields)
    assert shown.reference == "adjust:case-17"
    assert [(one.account, one.before, one.after) for one in shown.balances] == [
        (f"seller:{seller}:available:EUR", "17.99", "14.99"),
        ("refund:payable:EUR", "5.00", "8.00"),
    ]
    nothing_written()
    assert content(api.post("ledger/transactions?dry_run=true", body, idempotency_key="k"), 200) == read
    nothing_written()
    content(api.post("ledger/transactions?dry_run=false", body, idempotency_key="k"), 202)


def leg(number: int, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body["legs"][number].update(changes)


def put(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body.update(changes)


def both(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: [one.update(changes) for one in body["legs"]] and None


BAD: list[tuple[str, Callable[[dict[str, Any]], Any], int, str, dict[str, str]]] = [
    ("unbalanced", leg(1, amount="3.01"), 422, "unbalanced", {"legs": "unbalanced"}),
    ("one leg", lambda body: body["legs"].pop(), 400, "invalid_request", {"legs": "too_short"}),
    ("no legs", put(legs=[]), 400, "invalid_request", {"legs": "too_short"}),
    ("unknown account", leg(1, account="no:EUR"), 400, "invalid_request", {"legs[1].account": "unknown_account"}),
    (
        "unknown currency",
        leg(1, currency="EURO"),
        400,
        "invalid_request",
        {"legs[1].currency": "invalid_currency"},
    ),
    (
        "other currency",
        leg(0, currency="USD"),
        400,
        "invalid_request",
        {"legs[0].currency": "currency_mismatch"},
    ),
    ("zero", leg(0, amount="0.00"), 400, "invalid_request", {"legs[0].amount": "invalid_amount"}),
    ("a sign", leg(1, amount="-3.00"), 400, "invalid_request", {"legs[1].amount": "invalid_amount"}),
    ("decimals", leg(1, amount="3.001"), 400, "invalid_request", {"legs[1].amount": "invalid_amount"}),
    ("a number", leg(1, amount=3), 400, "invalid_request", {"legs[1].amount": "invalid_amount"}),
    ("13 digits", leg(1, amount="1000000000000"), 400, "invalid_request", {"legs[1].amount": "invalid_amount"}),
    ("side", leg(0, side="D"), 400, "invalid_request", {"legs[0].side": "invalid_value"}),
    ("kind", put(kind="settle_charge"), 400, "invalid_request", {"kind": "invalid_value"}),
    ("kind of a year", put(kind="year_end_close"), 400, "invalid_request", {"kind": "invalid_value"}),
    ("no memo", lambda body: body.pop("memo"), 400, "invalid_request", {"memo": "required"}),
    ("a typo", put(mem0="x"), 400, "invalid_request", {"mem0": "unknown_field"}),
    ("reference", put(reference="r" * 101), 400, "invalid_request", {"reference": "too_long"}),
    ("time", put(effective_at="2026-11-01"), 400, "invalid_request", {"effective_at": "invalid_time"}),
    ("a time as a number", put(effective_at=1), 400, "invalid_request", {"effective_at": "invalid_time"}),
    (
        "the future",
        put(effective_at="2999-01-01T00:00:00Z"),
        400,
        "invalid_request",
        {"effective_at": "invalid_value"},
    ),
    (
        "personal metadata",
        put(metadata={"customer_email": "x"}),
        400,
        "invalid_request",
        {"metadata": "personal_data"},
    ),
    ("floor", both(amount="18.00"), 422, "insufficient_balance", {"legs": "insufficient_balance"}),
]


@pytest.mark.parametrize("address", ["ledger/transactions", "ledger/transactions?dry_run=true"])
@pytest.mark.parametrize("case", BAD, ids=[row[0] for row in BAD])
def test_a_wrong_journal_is_refused(
    api: Api,
    body: dict[str, Any],
    nothing_written: Callable[[], None],
    address: str,
    case: tuple[str, Callable[[dict[str, Any]], Any], int, str, dict[str, str]],
) -> None:
    _, change, status, code, named = case
    change(body)
    nothing_written()
    assert fields(problem(api.post(address, body), status, code)) == named
    nothing_written()


def test_all_wrong_legs_are_named_at_once(api: Api, body: dict[str, Any]) -> None:
    body["legs"] = [{**body["legs"][0], "account": "no:EUR"}, {**body["legs"][1], "account": "none:EUR"}]
    found = fields(problem(api.post("ledger/transactions", body), 400, "invalid_request"))
    assert found == {"legs[0].account": "unknown_account", "legs[1].account": "unknown_account"}


def test_what_follows_orders_is_corrected_there(api: Api, shop: Tenant, seller: str, body: dict[str, Any]) -> None:
    body["legs"][0]["account"] = f"seller:{seller}:pending:EUR"
    found = fields(problem(api.post("ledger/transactions", body), 400, "invalid_request"))
    assert found == {"legs[0].account": "not_supported"}
    sale = txn(shop, "settle_charge:o1")
    found = fields(problem(api.post(f"ledger/transactions/{sale}/reverse", {"memo": "m"}), 400, "invalid_request"))
    assert found == {"legs[1].account": "not_supported"}


def test_ten_thousand_and_one_legs_are_too_much(
    api: Api, body: dict[str, Any], nothing_written: Callable[[], None]
) -> None:
    body["legs"] = body["legs"] * 5000 + body["legs"][:1]
    nothing_written()
    problem(api.post("ledger/transactions", body), 413, "body_too_large")
    nothing_written()


def test_a_reference_keeps_its_content(api: Api, body: dict[str, Any], nothing_written: Callable[[], None]) -> None:
    content(api.post("ledger/transactions", body), 202)
    nothing_written()
    for one in body["legs"]:
        one["amount"] = "4.00"
    assert fields(problem(api.post("ledger/transactions", body), 409, "reference_conflict")) == {
        "reference": "reference_conflict"
    }
    nothing_written()


def test_a_closed_period_takes_no_proposal(
    api: Api, shop: Tenant, body: dict[str, Any], nothing_written: Callable[[], None]
) -> None:
    now = seam.now()
    period = periods.soft_close(shop.book.pk, ends_at=now - timedelta(days=2), may_post=[], actor="x", now=now)
    periods.begin_close(period, actor="x", now=now)
    body["effective_at"] = (now - timedelta(days=3)).isoformat()
    nothing_written()
    found = problem(api.post("ledger/transactions", body), 422, "period_closed")
    assert fields(found) == {"effective_at": "period_closed"}
    nothing_written()


def test_a_closed_account_takes_no_proposal(api: Api, shop: Tenant, body: dict[str, Any]) -> None:
    content(api.post("ledger/transactions?dry_run=true", body), 200)
    content(api.post("ledger/transactions", body), 202)
    accounts.close(Account.objects.get(book=shop.book, code="refund:payable:EUR").pk, now=seam.now())
    body["reference"] = "other"
    problem(api.post("ledger/transactions", body), 422, "account_closed")


@settings(FEW, max_examples=60)
@given(data=st.data())
def test_a_journal_with_odd_values_is_answered_and_posts_nothing(
    api: Api, shop: Tenant, body: dict[str, Any], data: st.DataObject
) -> None:
    odd = copy.deepcopy(body) | {"effective_at": None, "metadata": {"case": "17"}}
    for _ in range(data.draw(st.integers(1, 3))):
        *steps, last = data.draw(st.sampled_from(places(odd)))
        place = odd
        for step in steps:
            place = place[step]
        place[last] = data.draw(ODD)
    adjustment = {"type": "credit", "amount": data.draw(ODD), "reason": data.draw(ODD), "reference": data.draw(ODD)}
    reversal = {"memo": "m", "reference": data.draw(ODD), "amount": data.draw(ODD), "legs": data.draw(ODD)}
    before = digests(connection)
    for address, sent in (
        ("ledger/transactions", odd),
        ("ledger/transactions?dry_run=true", odd),
        (f"ledger/transactions/{txn(shop)}/reverse", reversal),
        (f"wallets/{wal(shop)}/transactions", adjustment),
    ):
        check(api, "POST", address, json.dumps(sent).encode(), **{"Idempotency-Key": "k"})
    assert digests(connection) == before


# --- reversals -----------------------------------------------------------------------------------------------------


def txn(shop: Tenant, reference: str = "adjust:start") -> str:
    return public_id("txn", Transaction.objects.get(book=shop.book, reference=reference).public_id)


def test_a_reversal_is_proposed_in_full(api: Api, shop: Tenant, seller: str) -> None:
    name = txn(shop)
    shown = answers.Proposal.model_validate(
        content(api.post(f"ledger/transactions/{name}/reverse", {"memo": "m"}), 202)
    )
    assert (shown.kind, shown.reverses, shown.reference) == ("reversal", name, name)
    assert [(leg.side, leg.amount) for leg in shown.legs] == [("credit", "5.00"), ("debit", "5.00")]
    proposals.approve(Proposal.objects.latest("pk").pk, checker="user:carl", now=seam.now())
    again = api.post(f"ledger/transactions/{name}/reverse", {"memo": "m", "reference": "r2"})
    assert again.status_code == 422


def test_a_reversal_is_proposed_in_part_by_amount_or_legs(api: Api, shop: Tenant, seller: str) -> None:
    name = txn(shop)
    address = f"ledger/transactions/{name}/reverse"
    part = {"memo": "m", "reference": "p1", "amount": "2.00"}
    seen = answers.Rehearsal.model_validate(content(api.post(f"{address}?dry_run=true", part), 200))
    assert (seen.kind, [one.after for one in seen.balances]) == ("partial_reversal", ["19.99", "3.00"])
    assert content(api.post(address, part), 202)["kind"] == "partial_reversal"
    legs = [
        {"account": f"seller:{seller}:available:EUR", "side": "credit", "amount": "1.00", "currency": "EUR"},
        {"account": "refund:payable:EUR", "side": "debit", "amount": "1.00", "currency": "EUR"},
    ]
    assert content(api.post(address, {"memo": "m", "reference": "p2", "legs": legs}), 202)["legs"] == legs


@pytest.mark.parametrize(
    "case",
    [
        ({"amount": "2.00"}, 400, "invalid_request", {"reference": "required"}),
        ({"amount": "2.001", "reference": "p"}, 400, "invalid_request", {"amount": "invalid_amount"}),
        (
            {"amount": "5.01", "reference": "p"},
            422,
            "reversal_exceeds_original",
            {"legs": "reversal_exceeds_original"},
        ),
        ({"memo": ""}, 400, "invalid_request", {"memo": "too_short"}),
        ({"amount": "1.00", "legs": [], "reference": "p"}, 400, "invalid_request", {"legs": "too_short"}),
    ],
)
def test_a_wrong_reversal_is_refused(
    api: Api,
    shop: Tenant,
    seller: str,
    nothing_written: Callable[[], None],
    case: tuple[dict[str, Any], int, str, dict[str, str]],
) -> None:
    changes, status, code, named = case
    nothing_written()
    response = api.post(f"ledger/transactions/{txn(shop)}/reverse", {"memo": "m", **changes})
    assert fields(problem(response, status, code)) == named
    nothing_written()


def test_an_amount_and_legs_exclude_each_other_and_more_than_two_legs_need_legs(
    api: Api, shop: Tenant, body: dict[str, Any]
) -> None:
    several = {"memo": "m", "reference": "p", "amount": "1.00", "legs": body["legs"]}
    found = problem(api.post(f"ledger/transactions/{txn(shop)}/reverse", several), 400, "invalid_request")
    assert fields(found) == {"amount": "ambiguous"}
    sale = txn(shop, "settle_charge:o1")
    one = {"memo": "m", "reference": "p", "amount": "1.00"}
    found = problem(api.post(f"ledger/transactions/{sale}/reverse", one), 400, "invalid_request")
    assert fields(found) == {"amount": "not_supported"}


# --- wallets -------------------------------------------------------------------------------------------------------


def wal(shop: Tenant) -> str:
    return public_id("wal", Wallet.objects.get(book=shop.book).public_id)


@pytest.mark.parametrize(("kind", "sides"), [("credit", ["debit", "credit"]), ("debit", ["debit", "credit"])])
def test_a_wallet_is_adjusted_against_write_off(
    api: Api, shop: Tenant, seller: str, kind: str, sides: list[str]
) -> None:
    asked = {"type": kind, "amount": "2.50", "reason": "goodwill", "reference": "g1"}
    shown = answers.Proposal.model_validate(content(api.post(f"wallets/{wal(shop)}/transactions", asked), 202))
    accounts_used = [f"seller:{seller}:available:EUR", "write_off:EUR"]
    assert [leg.account for leg in shown.legs] == (accounts_used if kind == "debit" else accounts_used[::-1])
    assert ([leg.side for leg in shown.legs], shown.memo) == (sides, "goodwill")


@pytest.mark.parametrize(
    "case",
    [
        ({"amount": "18.00"}, 422, "insufficient_balance", {"legs": "insufficient_balance"}),
        ({"amount": "0.00"}, 400, "invalid_request", {"amount": "invalid_amount"}),
        ({"amount": "1.001"}, 400, "invalid_request", {"amount": "invalid_amount"}),
        ({"type": "gift"}, 400, "invalid_request", {"type": "invalid_value"}),
        ({"reason": ""}, 400, "invalid_request", {"reason": "too_short"}),
    ],
)
def test_a_wrong_adjustment_is_refused(
    api: Api,
    shop: Tenant,
    seller: str,
    nothing_written: Callable[[], None],
    case: tuple[dict[str, Any], int, str, dict[str, str]],
) -> None:
    changes, status, code, named = case
    asked = {"type": "debit", "amount": "2.50", "reason": "a mistake", "reference": "g1", **changes}
    nothing_written()
    assert fields(problem(api.post(f"wallets/{wal(shop)}/transactions", asked), status, code)) == named
    nothing_written()


# --- the platform's fees -------------------------------------------------------------------------------------------


@pytest.fixture
def withdrawal(shop: Tenant, seller: str) -> dict[str, Any]:
    """Give a valid withdrawal of fees: the platform has earned 2.00 and has a bank account."""
    accounts.resolve([chart.bank(shop.book.pk, "main", "EUR")])
    return {"amount": "1.50", "currency": "EUR", "bank": "main", "reference": "2026-11", "memo": "fees of November"}


def test_a_withdrawal_of_fees_is_rehearsed_proposed_and_approved(api: Api, withdrawal: dict[str, Any]) -> None:
    tried = content(api.post("ledger/fee-withdrawals?dry_run=true", withdrawal), 200)
    assert {one["account"]: (one["before"], one["after"]) for one in tried["balances"]} == {
        "fees:platform:EUR": ("2.00", "0.50"),
        "bank:main:EUR": ("0.00", "-1.50"),
    }
    made = answers.Proposal.model_validate(content(api.post("ledger/fee-withdrawals", withdrawal), 202))
    assert (made.kind, made.status) == ("withdraw_fees", "awaiting_approval")
    assert [(leg.account, leg.side, leg.amount) for leg in made.legs] == [
        ("fees:platform:EUR", "debit", "1.50"),
        ("bank:main:EUR", "credit", "1.50"),
    ]
    row = Proposal.objects.get(reference="2026-11")
    proposals.approve(row.pk, checker="user:carl", now=seam.now())
    assert Transaction.objects.filter(reference="withdraw_fees:2026-11").exists()
    rest = content(api.post("ledger/fee-withdrawals", {**withdrawal, "amount": "all", "reference": "rest"}), 202)
    assert [leg["amount"] for leg in rest["legs"]] == ["0.50", "0.50"]


@pytest.mark.parametrize(
    "case",
    [
        ({"amount": "2.01"}, 422, "insufficient_fees", {"amount": "insufficient_fees"}),
        ({"amount": "0.00"}, 400, "invalid_request", {"amount": "invalid_amount"}),
        ({"currency": "USD"}, 400, "invalid_request", {"bank": "unknown_account"}),
        ({"bank": "other"}, 400, "invalid_request", {"bank": "unknown_account"}),
        ({"bank": "a:b"}, 400, "invalid_request", {"bank": "invalid_value"}),
        ({"memo": ""}, 400, "invalid_request", {"memo": "too_short"}),
    ],
)
def test_a_wrong_withdrawal_is_refused(
    api: Api,
    withdrawal: dict[str, Any],
    nothing_written: Callable[[], None],
    case: tuple[dict[str, Any], int, str, dict[str, str]],
) -> None:
    changes, status, code, named = case
    nothing_written()
    sent = {**withdrawal, **changes}
    assert fields(problem(api.post("ledger/fee-withdrawals", sent), status, code)) == named
    nothing_written()


# --- who may -------------------------------------------------------------------------------------------------------


def test_lists_show_what_waits(api: Api, body: dict[str, Any]) -> None:
    content(api.post("ledger/transactions", body), 202)
    waiting = content(api.get("ledger/proposals?status=awaiting_approval"), 200)
    assert answers.Proposals.model_validate(waiting).data[0].reference == "case-17"
    assert len(content(api.get("ledger/proposals?reference=start"), 200)["data"]) == 1
    first = content(api.get("ledger/proposals?limit=1"), 200)
    second = content(api.get(f"ledger/proposals?limit=1&cursor={first['next_cursor']}"), 200)
    assert [one["data"][0]["reference"] for one in (first, second)] == ["case-17", "start"]
    assert second["next_cursor"] is None


def test_nothing_of_another_merchant_can_be_reached(
    api: Api, shop: Tenant, other: Tenant, body: dict[str, Any], nothing_written: Callable[[], None]
) -> None:
    mine = content(api.post("ledger/transactions", body), 202)["id"]
    stranger = Api(other.key)
    nothing_written()
    adjustment = {"type": "credit", "amount": "1.00", "reason": "r", "reference": "g"}
    for method, address, sent in (
        ("GET", f"ledger/proposals/{mine}", None),
        ("POST", f"ledger/transactions/{txn(shop)}/reverse", {"memo": "m"}),
        ("POST", f"wallets/{wal(shop)}/transactions", adjustment),
    ):
        problem(stranger.send(method, address, sent, **{"Idempotency-Key": "k"}), 404, "not_found")
    assert content(stranger.get("ledger/proposals"), 200)["data"] == []
    found = fields(problem(stranger.post("ledger/transactions", body), 400, "invalid_request"))
    assert found == {"legs[0].account": "unknown_account"}
    nothing_written()


@pytest.mark.parametrize("scope", ["ledger:read", "wallet:write", "ledger:write"])
def test_each_scope_opens_its_own_doors(api: Api, shop: Tenant, body: dict[str, Any], scope: str) -> None:
    doors = {
        "ledger:read": lambda: api.get("ledger/proposals"),
        "ledger:write": lambda: api.post("ledger/transactions", body),
        "wallet:write": lambda: api.post(
            f"wallets/{wal(shop)}/transactions",
            {"type": "credit", "amount": "1.00", "reason": "r", "reference": "g"},
        ),
    }
    ApiKey.objects.filter(pk=shop.api_key.pk).update(scopes=[scope])
    for name, door in doors.items():
        response = door()
        assert (response.status_code == 403) == (name != scope), name
