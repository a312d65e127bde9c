"""Reading the books over the API: only one's own, only with the scope, page by page, and always adding up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from ledger import accounts
from ledger.accounts import AccountSpec
from ledger.ids import public_id
from ledger.models import Account, AccountType, PostingMode, Transaction
from payments.api import ledger_answers as answers
from payments.models import ApiKey
from tests.factories import NOW, Tenant
from tests.ledger.desk import C, D, Desk
from tests.payments.api.conftest import Api, count_rows, fields, problem

SELLERS = ("sel_01kakq3fj8e5dt0v8h5q2n6w1a", "sel_01kakq3fj8e5dt0v8h5q2n6w1b")


@pytest.fixture
def desk(shop: Tenant) -> Desk:
    """Give the shop's book with seven sales: one dated back, one ahead, and a reversal."""
    accounts.forget()
    made = Desk.open(book=shop.book)
    made.post(*(made.sale(f"sale:{n}", 1000 + n, fee=100) for n in range(4)))
    made.post(replace(made.sale("back", 50), effective_at=NOW - timedelta(days=40), memo="from the old books"))
    made.post(replace(made.sale("ahead", 70), effective_at=NOW + timedelta(days=2)), now=NOW + timedelta(seconds=5))
    (wrong,) = made.post(made.sale("wrong", 9), now=NOW + timedelta(seconds=6))
    reversal = made.journal("undo", ("cash", C, 9), ("ann", D, 9), kind="reversal", reverses_id=wrong.transaction_id)
    made.post(reversal, now=NOW + timedelta(seconds=7))
    return made


def read(api: Api, address: str, **query: str) -> Any:
    """GET and parse."""
    response = api.get(f"{address}?{encoded(query)}" if query else address)
    assert response.status_code == 200, response.content
    return json.loads(response.content)


def encoded(query: dict[str, str]) -> str:
    made = QueryDict(mutable=True)
    made.update(query)
    return made.urlencode()


def every(api: Api, address: str, **query: str) -> list[Any]:
    """Read all pages of a list."""
    found: list[Any] = []
    for _ in range(50):
        page = read(api, address, **query)
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]
    raise AssertionError("the list does not end")


def test_accounts_are_listed_by_code_and_prefix(api: Api, desk: Desk) -> None:
    page = answers.LedgerAccounts.model_validate(read(api, "ledger/accounts"))
    assert [one.code for one in page.data] == ["ann:EUR", "bob:EUR", "cash:EUR", "fees:EUR", "owed:EUR"]
    cash = page.data[2]
    assert (cash.type, cash.posting_mode, cash.normal_side, cash.currency) == ("asset", "recording", "debit", "EUR")
    assert (cash.balance, cash.debits, cash.credits) == ("41.26", "41.35", "0.09")
    assert [one["code"] for one in every(api, "ledger/accounts", limit="2")] == [one.code for one in page.data]
    assert [one["code"] for one in every(api, "ledger/accounts", prefix="c")] == ["cash:EUR"]
    assert [one["code"] for one in every(api, "ledger/accounts", prefix="cash:EUR")] == ["cash:EUR"]
    assert every(api, "ledger/accounts", prefix="cash:EURO") == []
    by_code = read(api, "ledger/accounts/cash:EUR")
    assert by_code == read(api, f"ledger/accounts/{cash.id}") == cash.model_dump()
    assert cash.id.startswith("acc_")


@pytest.mark.parametrize("code", ["a%b", "a_b", "a\\b", "a:b", "ä:\U0010ffff", "\ud7ff", "a*'\";--", "A", "a", "~"])
def test_a_prefix_is_taken_literally(api: Api, shop: Tenant, code: str) -> None:
    """Wildcards mean nothing, letters keep their case, and the order is that of the bytes."""
    codes = [code, f"{code}:x", f"{code}~", f"x{code}", "aXb", "ab", "b", "B", "ä"]
    accounts.forget()
    accounts.resolve(
        [AccountSpec(shop.book.pk, one, AccountType.ASSET, "EUR", PostingMode.RECORDING) for one in set(codes)]
    )
    for prefix in (code, code[:1], "b"):
        listed = [one["code"] for one in every(api, "ledger/accounts", prefix=prefix, limit="3")]
        assert listed == sorted((one for one in set(codes) if one.startswith(prefix)), key=str.encode)


def test_a_list_of_accounts_is_a_range_of_an_index(api: Api, shop: Tenant) -> None:
    """Neither the prefix nor the cursor leads to a scan or a sort, in a book with many accounts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM ledger_open_accounts(array_fill(%s::bigint, ARRAY[3000]),"
            " ARRAY(SELECT 'many:' || n FROM generate_series(1, 3000) n), array_fill('asset'::text, ARRAY[3000]),"
            " array_fill('EUR'::text, ARRAY[3000]), array_fill('recording'::text, ARRAY[3000]),"
            " array_fill(NULL::bigint, ARRAY[3000]))",
            [shop.book.pk],
        )
    with CaptureQueriesContext(connection) as captured:
        read(api, "ledger/accounts", prefix="many:2", limit="5")
    (listing,) = [query["sql"] for query in captured.captured_queries if "ORDER BY" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE ledger_account")
        cursor.execute("EXPLAIN " + listing)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "account_code_is_unique_in_its_book" in plan
    assert "Seq Scan" not in plan
    assert "Sort" not in plan


def test_a_balance_is_read_at_any_instant(api: Api, desk: Desk) -> None:
    def of(**query: str) -> str:
        shown = answers.LedgerBalance.model_validate(read(api, "ledger/accounts/ann:EUR/balance", **query))
        assert (shown.account, shown.currency) == ("ann:EUR", "EUR")
        return shown.balance

    assert of() == "37.26"
    assert of(at="2026-11-21T11:59:59Z") == "0.00"
    assert of(at="2026-11-21T12:00:00Z") == "36.56"
    assert of(at="2026-11-21T13:00:05+01:00") == "37.26"
    assert of(at="2026-11-01T00:00:00Z", basis="effective") == "0.50"
    assert of(at="2026-11-21T12:00:07Z", basis="effective") == "36.56"
    assert of(at="2026-11-24T00:00:00Z", basis="effective") == "37.26"
    shown = read(api, "ledger/accounts/cash:EUR/balance", at="2026-11-21T13:00:05+01:00")
    assert shown["at"] == "2026-11-21T12:00:05.000Z"


@pytest.mark.parametrize("basis", ["posted", "effective"])
@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("code", ["ann:EUR", "cash:EUR", "fees:EUR", "owed:EUR"])
def test_entries_carry_a_running_balance(api: Api, desk: Desk, basis: str, order: str, code: str) -> None:
    address = f"ledger/accounts/{code}/entries"
    whole = answers.LedgerEntries.model_validate(read(api, address, basis=basis, order=order, limit="100")).data
    paged = every(api, address, basis=basis, order=order, limit="3")
    assert [one.model_dump() for one in whole] == paged
    balance = Decimal(0)
    normal = read(api, f"ledger/accounts/{code}")["normal_side"]
    times = []
    for line in whole if order == "oldest" else reversed(whole):
        balance += Decimal(line.amount) if line.side == normal else -Decimal(line.amount)
        assert Decimal(line.balance) == balance
        times.append(getattr(line, f"{basis}_at"))
    assert times == sorted(times)
    assert balance == Decimal(read(api, f"ledger/accounts/{code}")["balance"])


def test_entries_of_a_period_begin_with_what_was_there(api: Api, desk: Desk) -> None:
    period = {"from": "2026-11-21T12:00:00Z", "to": "2026-11-22T00:00:00Z", "order": "oldest"}
    lines = read(api, "ledger/accounts/ann:EUR/entries", basis="effective", **period)["data"]
    assert lines[0]["balance"] == "9.50"  # half a euro was effective before
    assert [line["reference"] for line in lines] == ["sale:0", "sale:1", "sale:2", "sale:3", "wrong", "undo"]
    posted = read(api, "ledger/accounts/ann:EUR/entries", **period)["data"]
    assert len(posted) == 8
    assert lines[-1]["transaction"] == read(api, "ledger/transactions", reference="undo")["data"][0]["id"]


def test_a_transaction_is_read_with_its_legs(api: Api, desk: Desk) -> None:
    listed = answers.LedgerTransactions.model_validate(read(api, "ledger/transactions")).data
    assert [one.reference for one in listed] == ["undo", "wrong", "ahead", "back", *(f"sale:{n}" for n in (3, 2, 1, 0))]
    undo, wrong, sale = listed[0], listed[1], listed[-1]
    assert (undo.reverses, wrong.reversed_by) == (wrong.id, [undo.id])
    assert sale.legs is not None
    assert [(leg.account, leg.side, leg.amount, leg.balance_after) for leg in sale.legs] == [
        ("cash:EUR", "debit", "10.00", None),
        ("ann:EUR", "credit", "9.00", "9.00"),
        ("fees:EUR", "credit", "1.00", None),
    ]
    for one in listed:
        shown = answers.LedgerTransaction.model_validate(read(api, f"ledger/transactions/{one.id}"))
        assert shown == one
    assert listed[3].memo == "from the old books"


def test_transactions_are_found_by_what_finance_knows(api: Api, desk: Desk) -> None:
    def references(**query: str) -> list[str]:
        return [one["reference"] for one in every(api, "ledger/transactions", **query)]

    whole = references()
    assert len(whole) == 8
    assert references(limit="3") == whole
    assert references(account="ann:EUR", limit="3") == whole
    assert references(account="fees:EUR", limit="1") == ["sale:3", "sale:2", "sale:1", "sale:0"]
    assert references(account="nothing:EUR") == []
    assert references(kind="reversal") == ["undo"]
    assert references(kind="write_off") == []
    assert references(reference="sale:2") == ["sale:2"]
    assert references(reference="sale:2", kind="reversal") == []
    assert references(reference="sale:2", account="bob:EUR") == []
    assert references(reference="sale:2", account="fees:EUR") == ["sale:2"]
    period = {"from": "2026-11-21T12:00:05Z", "to": "2026-11-21T12:00:07Z"}
    assert references(**period) == ["wrong", "ahead"]
    assert references(**period, reference="undo") == []
    assert references(**period, account="cash:EUR") == ["wrong", "ahead"]


def test_a_transaction_that_touches_an_account_twice_is_listed_once(api: Api, desk: Desk) -> None:
    desk.post(desk.journal("twice", ("cash", D, 5), ("fees", C, 2), ("fees", C, 3)))
    assert [one["reference"] for one in every(api, "ledger/transactions", account="fees:EUR", limit="1")].count(
        "twice"
    ) == 1


def test_a_list_leaves_out_very_many_legs_and_the_transaction_has_them(api: Api, desk: Desk) -> None:
    desk.post(desk.journal("long", *[("cash", D, 1), ("fees", C, 1)] * 60))
    (listed,) = read(api, "ledger/transactions", reference="long")["data"]
    assert (listed["leg_count"], listed["legs"]) == (120, None)
    assert len(read(api, f"ledger/transactions/{listed['id']}")["legs"]) == 120


def test_a_page_of_transactions_costs_the_same_however_long_it_is(api: Api, desk: Desk) -> None:
    counts = []
    for limit in ("1", "8"):
        with CaptureQueriesContext(connection) as captured:
            read(api, "ledger/transactions", limit=limit)
        counts.append(len(captured))
    assert counts[0] <= 5  # the key, the page, legs, originals, reversals
    assert counts[1] <= 5


def test_the_trial_balance_balances(api: Api, desk: Desk, shop: Tenant) -> None:
    wallets = [
        AccountSpec(shop.book.pk, f"seller:{one}:pending:EUR", AccountType.LIABILITY, "EUR", PostingMode.AUTHORIZING)
        for one in SELLERS
    ]
    ids = accounts.resolve(wallets)
    for number, key in enumerate(ids.values()):
        desk.ids[f"w{number}"] = key
    desk.post(desk.journal("wallets", ("cash", D, 30), ("w0", C, 10), ("w1", C, 20)))
    yen = Desk.open("JPY", book=shop.book)
    yen.post(yen.journal("yen", ("cash", D, 500), ("fees", C, 500), currency="JPY"))
    shown = answers.TrialBalance.model_validate(read(api, "ledger/trial-balance"))
    assert shown.balanced
    rows = {row.code: (row.accounts, row.debit, row.credit) for row in shown.data}
    assert rows == {
        "ann:EUR": (1, "0.00", "36.56"),
        "cash:EUR": (1, "40.86", "0.00"),
        "cash:JPY": (1, "500", "0"),
        "fees:EUR": (1, "0.00", "4.00"),
        "fees:JPY": (1, "0", "500"),
        "seller:*:pending:EUR": (2, "0.00", "0.30"),
    } | (
        {"ann:EUR": (1, "0.00", "37.26"), "cash:EUR": (1, "41.56", "0.00")} if shown.at > "2026-11-21T12:00:05" else {}
    )
    assert [(one.currency, one.balanced) for one in shown.totals] == [("EUR", True), ("JPY", True)]
    assert {(one.type, one.currency): one.credit for one in shown.types}["income", "EUR"] == "4.00"
    one = read(api, "ledger/trial-balance", currency="JPY")
    assert [row["code"] for row in one["data"]] == ["cash:JPY", "fees:JPY"]
    paged = every(api, "ledger/trial-balance", limit="1", at="2026-11-21T12:00:04Z")
    assert paged == read(api, "ledger/trial-balance", at="2026-11-21T12:00:04Z")["data"]
    first = read(api, "ledger/trial-balance", limit="1")
    assert first["totals"] == [total.model_dump() for total in shown.totals]
    early = read(api, "ledger/trial-balance", at="2026-11-01T00:00:00Z", basis="effective")
    assert [(row["code"], row["debit"], row["credit"]) for row in early["data"]] == [
        ("ann:EUR", "0.00", "0.50"),
        ("cash:EUR", "0.50", "0.00"),
    ]
    assert read(api, "ledger/trial-balance", at="2000-01-01T00:00:00Z")["data"] == []


def test_turnover_of_a_period_leads_from_opening_to_closing(api: Api, desk: Desk) -> None:
    november = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
    shown = answers.LedgerTurnovers.model_validate(read(api, "ledger/turnover", **november)).data
    ann = {one.account: one for one in shown}["ann:EUR"]
    assert (ann.opening, ann.debits, ann.credits, ann.closing) == ("0.50", "0.09", "36.85", "37.26")
    assert [one["account"] for one in every(api, "ledger/turnover", limit="2", **november)] == [
        one.account for one in shown
    ]
    assert [one["account"] for one in every(api, "ledger/turnover", prefix="c", **november)] == ["cash:EUR"]
    posted = every(api, "ledger/turnover", prefix="ann", basis="posted", **november)
    assert (posted[0]["opening"], posted[0]["closing"]) == ("0.00", "37.26")
    months = {"from": "2026-10-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
    rows = answers.LedgerTurnovers.model_validate(read(api, "ledger/accounts/ann:EUR/turnover", **months)).data
    assert [(row.from_, row.opening, row.closing) for row in rows] == [
        ("2026-10-01T00:00:00.000Z", "0.00", "0.50"),
        ("2026-11-01T00:00:00.000Z", "0.50", "37.26"),
    ]
    assert len(read(api, "ledger/accounts/cash:EUR/turnover", by="day", **november)["data"]) == 30


def test_the_tree_is_walked_down_to_the_accounts(api: Api, desk: Desk, shop: Tenant) -> None:
    codes = ("psp:stripe:clearing:EUR", "psp:stripe:clearing:JPY", "psp:stripe2:clearing:EUR", "psp")
    accounts.forget()
    accounts.resolve(
        [
            AccountSpec(shop.book.pk, code, AccountType.ASSET, "JPY" if "JPY" in code else "EUR", PostingMode.RECORDING)
            for code in codes
        ]
    )
    shown = answers.LedgerTree.model_validate(read(api, "ledger/tree")).data
    assert [(one.code, one.account is None) for one in shown if one.code.startswith("psp")] == [
        ("psp", False),
        ("psp", True),
    ]
    whole = {one.code: one for one in shown if one.account is None}
    assert [(one.currency, one.accounts) for one in whole["psp"].sums] == [("EUR", 2), ("JPY", 1)]
    (ann,) = whole["ann"].sums
    listed = read(api, "ledger/accounts/ann:EUR")
    assert (ann.balance, ann.debits, ann.credits) == ("37.26", listed["debits"], listed["credits"])
    (leaf,) = answers.LedgerTree.model_validate(read(api, "ledger/tree", prefix="ann")).data
    assert (leaf.code, leaf.account, leaf.sums[0].balance) == ("ann:EUR", listed["id"], "37.26")
    stripe = [one["code"] for one in every(api, "ledger/tree", prefix="psp", limit="1")]
    assert stripe == ["psp:stripe2", "psp:stripe"]
    assert [one["code"] for one in every(api, "ledger/tree", limit="2")] == [one.code for one in shown]
    assert read(api, "ledger/tree", prefix="ps")["data"] == []
    cursor = read(api, "ledger/tree", limit="1")["next_cursor"]
    problem(api.get(f"ledger/tree?prefix=psp&cursor={cursor}"), 400, "invalid_cursor")


@pytest.mark.parametrize(
    ("address", "query", "wrong"),
    [
        ("tree", "limit=101", {"limit": "invalid_value"}),
        ("tree", "prefix=", {"prefix": "too_short"}),
        ("tree", f"prefix={'x' * 129}", {"prefix": "too_long"}),
        ("tree", "at=2026-11-21T00:00:00Z", {"at": "unknown_field"}),
        ("accounts", "limit=0", {"limit": "invalid_value"}),
        ("accounts", "prefix=", {"prefix": "too_short"}),
        ("accounts", f"prefix={'x' * 129}", {"prefix": "too_long"}),
        ("accounts", "colour=red", {"colour": "unknown_field"}),
        ("accounts/cash:EUR/balance", "at=yesterday", {"at": "invalid_time"}),
        ("accounts/cash:EUR/balance", "at=1700000000", {"at": "invalid_time"}),
        ("accounts/cash:EUR/balance", "at=2026-11-21", {"at": "invalid_time"}),
        ("accounts/cash:EUR/balance", "at=2026-11-21T00:00:00", {"at": "invalid_time"}),
        ("accounts/cash:EUR/balance", "at=2026-02-30T00:00:00Z", {"at": "invalid_time"}),
        ("accounts/cash:EUR/balance", "at=0001-01-01T00:00:00%2B14:00", {"at": "invalid_time"}),
        ("accounts/cash:EUR/balance", "at=9999-12-31T23:59:59-14:00", {"at": "invalid_time"}),
        ("accounts/cash:EUR/balance", "basis=cash", {"basis": "invalid_value"}),
        ("accounts/cash:EUR/balance", "limit=1", {"limit": "unknown_field"}),
        ("accounts/cash:EUR/entries", "from_=2026-11-21T00:00:00Z", {"from_": "unknown_field"}),
        ("accounts/cash:EUR/entries", "from=x", {"from": "invalid_time"}),
        ("accounts/cash:EUR/entries", "from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z", {"to": "invalid_value"}),
        ("accounts/cash:EUR/entries", "order=random", {"order": "invalid_value"}),
        ("transactions", "kind=theft", {"kind": "invalid_value"}),
        ("transactions", "kind=reversal&account=cash:EUR", {"kind": "ambiguous"}),
        ("transactions", "reference=a&reference=b", {"reference": "duplicate"}),
        ("transactions", "from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z", {"to": "invalid_value"}),
        ("trial-balance", "currency=eur", {"currency": "invalid_currency"}),
        ("turnover", "", {"from": "required", "to": "required"}),
        (
            "accounts/cash:EUR/turnover",
            "from=2026-11-21T00:00:00Z&to=2020-11-21T00:00:00Z",
            {"to": "invalid_value"},
        ),
        (
            "accounts/cash:EUR/turnover",
            "from=1990-11-21T00:00:00Z&to=2026-11-21T00:00:00Z&by=day",
            {"to": "too_long"},
        ),
        ("trial-balance", "limit=1001", {"limit": "invalid_value"}),
        ("trial-balance", "at=2026-13-01T00:00:00Z", {"at": "invalid_time"}),
    ],
)
def test_a_wrong_query_is_refused(api: Api, desk: Desk, address: str, query: str, wrong: dict[str, str]) -> None:
    assert fields(problem(api.get(f"ledger/{address}?{query}"), 400, "invalid_request")) == wrong


@pytest.mark.parametrize(
    "address", ["accounts", "accounts/cash:EUR/entries", "accounts/owed:EUR/entries", "transactions", "trial-balance"]
)
@pytest.mark.parametrize("cursor", ["x", "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAA", "_" * 64, "ä"])
def test_a_wrong_cursor_is_refused(api: Api, desk: Desk, address: str, cursor: str) -> None:
    problem(api.get(f"ledger/{address}?{encoded({'cursor': cursor})}"), 400, "invalid_cursor")


def test_a_cursor_of_another_account_is_refused(api: Api, desk: Desk) -> None:
    cursor = read(api, "ledger/accounts/cash:EUR/entries", limit="1")["next_cursor"]
    problem(api.get(f"ledger/accounts/ann:EUR/entries?cursor={cursor}"), 400, "invalid_cursor")
    assert read(api, "ledger/accounts/cash:EUR/entries", cursor=cursor)["data"]


@pytest.mark.parametrize(
    "code", ["nothing", "acc_1", "cash", "cash:eur", "%00", "a%0Ab", "x" * 300, "%F0%9F%8D%B5", "'"]
)
def test_an_account_that_cannot_exist_is_unknown(api: Api, desk: Desk, code: str) -> None:
    for tail in ("", "/balance", "/entries"):
        problem(api.get(f"ledger/accounts/{code}{tail}"), 404, "not_found")


@pytest.mark.parametrize("key", ["txn_1", "txn_" + "0" * 26, "pay_" + "0" * 26, "1", "%00"])
def test_a_transaction_that_cannot_exist_is_unknown(api: Api, desk: Desk, key: str) -> None:
    problem(api.get(f"ledger/transactions/{key}"), 404, "not_found")


def test_nothing_of_another_book_can_be_reached(api: Api, desk: Desk, other: Tenant) -> None:
    stranger, before = Api(other.key), count_rows()
    account = Account.objects.get(pk=desk.ids["cash"])
    row = Transaction.objects.get(book=desk.book, reference="sale:1")
    unknown = problem(stranger.get("ledger/accounts/never"), 404, "not_found")
    for address in (
        "accounts/cash:EUR",
        f"accounts/{public_id('acc', account.public_id)}",
        "accounts/cash:EUR/balance",
        "accounts/cash:EUR/entries",
        "accounts/cash:EUR/turnover?from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z",
        f"transactions/{public_id('txn', row.public_id)}",
    ):
        assert problem(stranger.get(f"ledger/{address}"), 404, "not_found")["detail"] == unknown["detail"]
    for address in ("accounts", "tree", "transactions"):
        assert read(stranger, f"ledger/{address}") == {"data": [], "next_cursor": None}
        cursor = read(api, f"ledger/{address}", limit="1")["next_cursor"]
        problem(stranger.get(f"ledger/{address}?cursor={cursor}"), 400, "invalid_cursor")
    assert read(stranger, "ledger/transactions", reference="sale:1")["data"] == []
    assert read(stranger, "ledger/transactions", account="cash:EUR")["data"] == []
    assert read(stranger, "ledger/trial-balance")["data"] == []
    # An account of the same code in another book is another account.
    accounts.forget()
    Desk.open(book=other.book)
    cursor = read(api, "ledger/accounts/cash:EUR/entries", limit="1")["next_cursor"]
    problem(stranger.get(f"ledger/accounts/cash:EUR/entries?cursor={cursor}"), 400, "invalid_cursor")
    assert read(stranger, "ledger/accounts/cash:EUR/entries")["data"] == []
    assert count_rows() == before


ADDRESSES = (
    "accounts",
    "accounts/cash:EUR",
    "accounts/cash:EUR/balance",
    "accounts/cash:EUR/entries",
    "transactions",
    "transactions/txn_00000000000000000000000000",
    "trial-balance",
    "tree",
    "tree?prefix=ann",
    "turnover?from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z",
    "accounts/cash:EUR/turnover?from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_scope_is_required_and_enough(api: Api, desk: Desk, shop: Tenant, address: str) -> None:
    ApiKey.objects.filter(pk=shop.api_key.pk).update(scopes=["payments:read", "wallet:read", "ledger:write"])
    problem(api.get(f"ledger/{address}"), 403, "scope_missing")
    ApiKey.objects.filter(pk=shop.api_key.pk).update(scopes=["ledger:read"])
    assert api.get(f"ledger/{address}").status_code in (200, 404)
    problem(Api("sk_test_nobody").get(f"ledger/{address}"), 401, "api_key_invalid")


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_is_changed_by_another_method(api: Api, desk: Desk, address: str) -> None:
    before = count_rows()
    for method in ("PUT", "PATCH", "DELETE"):
        problem(api.send(method, f"ledger/{address}", {}), 405, "method_not_allowed")
    assert count_rows() == before
