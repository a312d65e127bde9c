"""A wallet's transactions and statement over the API: they add up, page by page, and are nobody else's."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.db import transaction
from django.http import StreamingHttpResponse

from ledger.ids import public_id
from ledger.money import format_minor
from payments.api import answers
from payments.documents import paper
from payments.documents import wallet_statement as document
from payments.documents.tables import csv_lines
from payments.models import ApiKey, PaymentOrder
from tests.factories import NOW, Tenant
from tests.payments.api.conftest import Api, fields, problem
from wallet import movements
from wallet.models import Wallet
from wallet.movements import Heading, Share

HOUR = timedelta(hours=1)


def instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(api: Api, address: str) -> Any:
    response = api.get(address)
    assert response.status_code == 200, response.content
    return json.loads(response.content)


@pytest.fixture
def wallet(api: Api, checkout: dict[str, Any], shop: Tenant) -> str:
    """Give the wallet of a seller who sold an order, had it released, and sold something else besides."""
    api.post("payments", checkout)
    order = PaymentOrder.objects.select_related("seller").get(position=0)
    seller = order.seller.public_id

    def heading(subject: str, hours: int) -> Heading:
        return Heading(shop.book.pk, subject, "EUR", NOW + hours * HOUR, "tests")

    name = public_id("ord", order.public_id)
    steps = [
        movements.settle_charge(heading(name, 0), psp_account="stripe", seller=seller, captured=1999, fee=200),
        movements.release(heading(name, 1), seller=seller, amount=1799, debt=0),
        movements.settle_charge(heading("o2", 2), psp_account="stripe", seller=seller, captured=1000, fee=0),
        movements.request_refund(heading("r1", 3), seller=seller, share=Share(pending=1000, available=500), fee=0),
        movements.reserve_payout(heading("p1", 4), seller=seller, amount=1299),
    ]
    for step in steps:
        with transaction.atomic():
            movements.record([step], now=step.effective_at)
    return public_id("wal", Wallet.objects.get(seller=seller).public_id)


def test_a_statement_shows_every_movement_with_its_order(api: Api, wallet: str) -> None:
    shown = read(api, f"wallets/{wallet}/statement?from={instant(NOW)}&to={instant(NOW + 10 * HOUR)}")
    answers.WalletStatement.model_validate(shown)
    assert {part: shown["opening"][part] for part in ("pending", "balance")} == {"pending": "0.00", "balance": "0.00"}
    lines = [(line["kind"], line["amount"], line["balance"], line["checkout_id"]) for line in shown["data"]]
    assert lines == [
        ("settle_charge", "17.99", "17.99", "cart-9001"),
        ("release", "0.00", "17.99", "cart-9001"),
        ("settle_charge", "10.00", "27.99", None),
        ("request_refund", "-15.00", "12.99", None),
        ("reserve_payout", "-12.99", "0.00", None),
    ]
    assert shown["data"][0]["reference"] == "line-1"
    assert shown["data"][0]["payment_order"].startswith("ord_")
    assert shown["closing"] == {
        "pending": "0.00",
        "available": "0.00",
        "reserved": "0.00",
        "in_transit": "12.99",
        "debt": "0.00",
        "balance": "0.00",
    }


def test_pages_of_a_statement_meet(api: Api, wallet: str) -> None:
    whole = read(api, f"wallets/{wallet}/transactions?to={instant(NOW + 10 * HOUR)}")
    answers.WalletTransactions.model_validate(whole)
    assert whole["next_cursor"] is None
    seen: list[Any] = []
    held, cursor = format_minor(0, "EUR"), ""
    for _ in range(10):
        page = read(api, f"wallets/{wallet}/statement?to={instant(NOW + 10 * HOUR)}&limit=2{cursor}")
        assert page["opening"]["balance"] == held
        held = page["closing"]["balance"]
        seen += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == whole["data"]


def test_a_period_shows_what_lies_in_it(api: Api, wallet: str) -> None:
    page = read(api, f"wallets/{wallet}/statement?from={instant(NOW + 2 * HOUR)}&to={instant(NOW + 4 * HOUR)}")
    assert [line["kind"] for line in page["data"]] == ["settle_charge", "request_refund"]
    assert (page["opening"]["balance"], page["closing"]["balance"]) == ("17.99", "12.99")


def test_a_wallet_is_the_merchants_own_and_needs_its_scope(api: Api, wallet: str, other: Tenant, shop: Tenant) -> None:
    for address in (f"wallets/{wallet}/statement", f"wallets/{wallet}/transactions"):
        problem(Api(other.key).get(address), 404, "not_found")
    for address in ("wallets/wal_x/statement", "wallets/x/transactions"):
        problem(api.get(address), 404, "not_found")
    ApiKey.objects.filter(pk=shop.api_key.pk).update(scopes=["payments:read"])
    problem(api.get(f"wallets/{wallet}/statement"), 403, "scope_missing")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("to=2026-11-21", "to"),
        ("from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z", "to"),
        ("limit=0", "limit"),
        ("month=11", "month"),
    ],
)
def test_a_bad_query_names_its_field(api: Api, wallet: str, query: str, field: str) -> None:
    assert field in fields(problem(api.get(f"wallets/{wallet}/statement?{query}"), 400, "invalid_request"))


@pytest.mark.parametrize("cursor", ["x", "AAAA", "_" * 22, "A" * 400])
def test_a_cursor_of_another_list_is_refused(api: Api, wallet: str, cursor: str) -> None:
    assert api.get(f"wallets/{wallet}/transactions?cursor={cursor}").status_code == 400


def whole(wallet: str) -> str:
    return f"wallets/{wallet}/statement?from={instant(NOW)}&to={instant(NOW + 10 * HOUR)}"


def test_as_a_table_it_has_the_same_lines_and_both_balances(api: Api, wallet: str) -> None:
    answer = api.get(whole(wallet), Accept="text/csv")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv")
    assert answer["Content-Disposition"] == f'attachment; filename="{wallet}.csv"'
    assert isinstance(answer, StreamingHttpResponse)
    text = b"".join(answer.streaming_content).decode()  # type: ignore[arg-type]  # not an async response
    rows = list(csv.DictReader(text.splitlines()))
    lines = read(api, whole(wallet))["data"]
    assert [row["kind"] for row in rows] == ["opening", *(line["kind"] for line in lines), "closing"]
    assert [row["transaction"] for row in rows[1:-1]] == [line["id"] for line in lines]
    assert [(row["amount"], row["balance"]) for row in rows[1:-1]] == [
        (line["amount"], line["balance"]) for line in lines
    ]
    assert rows[1]["checkout_id"] == "cart-9001"
    assert (rows[0]["balance"], rows[-1]["balance"], rows[-1]["in_transit"]) == ("0.00", "0.00", "12.99")


def test_a_cell_is_never_a_formula() -> None:
    cells = ["=1+1", "+49", "@SUM", "-2+3", "-12.50", "plain", "\tx", ""]
    (text,) = csv_lines(["a"], [[cell] for cell in cells])
    shown = [row[0] if row else "" for row in csv.reader(StringIO(text, newline=""))]
    assert shown == ["a", "'=1+1", "'+49", "'@SUM", "'-2+3", "-12.50", "plain", "'\tx", ""]


def test_on_paper_it_is_a_pdf_that_says_the_same_and_is_the_same_each_time(
    api: Api, wallet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (api.get(whole(wallet), Accept="application/pdf") for _ in range(2))
    assert (first.status_code, first["Content-Type"]) == (200, "application/pdf")
    assert first.content == second.content
    assert first.content.startswith(b"%PDF-")
    assert first.content.rstrip().endswith(b"%%EOF")
    monkeypatch.setattr(paper, "MAX_ROWS", 4)
    problem(api.get(whole(wallet), Accept="application/pdf"), 422, "statement_too_long")


def test_a_table_that_is_too_long_is_refused_before_it_begins(
    api: Api, wallet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "MAX_ENTRIES", 7)
    problem(api.get(whole(wallet), Accept="text/csv"), 422, "statement_too_long")
    monkeypatch.setattr(document, "MAX_ENTRIES", 8)  # one or two legs of each of the five
    assert api.get(whole(wallet), Accept="text/csv").status_code == 200


def test_a_refusal_is_json_however_the_statement_was_asked_for(api: Api, wallet: str) -> None:
    for accept in ("text/csv", "application/pdf"):
        problem(api.get(f"wallets/{wallet}/statement?limit=0", Accept=accept), 400, "invalid_request")
    assert api.get(f"wallets/{wallet}/statement", Accept="image/png").status_code == 406


def test_names_of_people_are_text_on_paper() -> None:
    made = paper.pdf(
        "Title <b>", [("Seller", "A & B <script>")], ("x",), [("<i>y",)], widths=(1,), right_from=1, footer="f"
    )
    assert made.startswith(b"%PDF-")
