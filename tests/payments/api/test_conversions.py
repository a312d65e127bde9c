"""Quotes over the API: evidence of a rate, executed once, never another merchant's."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from config import seam
from ledger.ids import public_id
from payments.api import answers
from payments.models import ApiKey, MerchantBook
from tests.factories import Tenant
from tests.payments.api.conftest import Api, content, fields, problem
from wallet import movements, rates
from wallet.models import Quote, Wallet
from wallet.movements import Heading
from wallet.rates import EcbFile


@pytest.fixture
def wallet(api: Api, shop: Tenant) -> str:
    """Give a wallet with 100.00 EUR available, at 1.10 USD and 160 JPY for a euro, and a margin of one percent."""
    now, seller = seam.now(), shop.seller().public_id
    table = f"Date, USD, JPY\n{now.date().isoformat()}, 1.1, 160\n"
    heading = Heading(shop.book.pk, "o1", "EUR", now, "tests")
    with transaction.atomic():
        rates.load(EcbFile(table.encode()), now=now)
        sale = movements.settle_charge(heading, psp_account="stripe", seller=seller, captured=10_000, fee=0)
        movements.record([sale, movements.release(heading, seller=seller, amount=10_000, debt=0)], now=now)
    MerchantBook.objects.filter(book=shop.book).update(fx_margin_basis_points=100)
    return public_id("wal", Wallet.objects.get(seller=seller).public_id)


def balances(api: Api, quote: dict[str, Any]) -> dict[str, str]:
    listed = json.loads(api.get(f"sellers/{quote['seller']}/wallets").content)["data"]
    return {row["currency"]: row["available"] for row in listed}


def test_a_quote_is_asked_for_read_and_executed(api: Api, wallet: str) -> None:
    quote = content(api.post(f"wallets/{wallet}/quotes", {"to_currency": "USD", "amount": "40.00"}), 201)
    answers.Quote.model_validate(quote)
    figures = {name: quote[name] for name in ("amount", "worth", "margin", "received", "rate", "rate_exact")}
    assert figures == {
        "amount": "40.00",
        "worth": "44.00",
        "margin": "0.44",
        "received": "43.56",
        "rate": "1.1000000000",
        "rate_exact": "11/10",
    }
    assert content(api.get(f"quotes/{quote['id']}"), 200) == quote
    done = content(api.post(f"quotes/{quote['id']}/execute"), 200)
    assert done["executed_at"] is not None
    assert balances(api, quote) == {"EUR": "60.00", "USD": "43.56"}
    problem(api.post(f"quotes/{quote['id']}/execute"), 409, "quote_used")
    assert balances(api, quote) == {"EUR": "60.00", "USD": "43.56"}


def test_all_is_what_is_available_and_a_yen_has_no_decimals(api: Api, wallet: str) -> None:
    asked = {"to_currency": "JPY", "amount": "all"}
    quote = content(api.post(f"wallets/{wallet}/quotes", asked), 201)
    assert (quote["amount"], quote["worth"], quote["received"]) == ("100.00", "16000", "15840")
    content(api.post(f"quotes/{quote['id']}/execute"), 200)
    assert balances(api, quote) == {"EUR": "0.00", "JPY": "15840"}
    problem(api.post(f"wallets/{wallet}/quotes", asked), 422, "insufficient_available_balance")
    listed = answers.Quotes.model_validate(content(api.get(f"wallets/{wallet}/quotes"), 200))
    assert [row.id for row in listed.data] == [quote["id"]]


def test_the_same_key_executes_once_and_answers_twice(api: Api, wallet: str) -> None:
    quote = content(api.post(f"wallets/{wallet}/quotes", {"to_currency": "USD", "amount": "40.00"}), 201)
    first = api.post(f"quotes/{quote['id']}/execute", idempotency_key="once")
    again = api.post(f"quotes/{quote['id']}/execute", idempotency_key="once")
    assert (first.content, again["Idempotency-Replayed"]) == (again.content, "true")


@pytest.mark.parametrize(
    ("body", "refusal", "named"),
    [
        ({"to_currency": "USD", "amount": "0.00"}, (400, "invalid_request"), "amount"),
        ({"to_currency": "USD", "amount": "1.001"}, (400, "invalid_request"), "amount"),
        ({"to_currency": "USD", "amount": 1}, (400, "invalid_request"), "amount"),
        ({"to_currency": "EUR", "amount": "1.00"}, (400, "invalid_request"), "to_currency"),
        ({"to_currency": "XXX", "amount": "1.00"}, (400, "invalid_request"), "to_currency"),
        ({"amount": "1.00"}, (400, "invalid_request"), "to_currency"),
        ({"to_currency": "USD", "amount": "1.00", "rate": "2"}, (400, "invalid_request"), "rate"),
        ({"to_currency": "KWD", "amount": "1.00"}, (503, "rate_unavailable"), "to_currency"),
    ],
)
def test_what_cannot_be_quoted_leaves_no_quote(
    api: Api, wallet: str, body: dict[str, Any], refusal: tuple[int, str], named: str
) -> None:
    assert named in fields(problem(api.post(f"wallets/{wallet}/quotes", body), *refusal))
    assert not Quote.objects.exists()


def test_more_than_there_is_and_too_late_convert_nothing(api: Api, wallet: str) -> None:
    quote = content(api.post(f"wallets/{wallet}/quotes", {"to_currency": "USD", "amount": "100.01"}), 201)
    problem(api.post(f"quotes/{quote['id']}/execute"), 422, "insufficient_available_balance")
    late = content(api.post(f"wallets/{wallet}/quotes", {"to_currency": "USD", "amount": "1.00"}), 201)
    row = Quote.objects.get(received_minor=109)
    aged = Quote(**{field.attname: getattr(row, field.attname) for field in Quote._meta.concrete_fields})
    aged.pk, aged.public_id = None, seam.new_uuid()
    aged.quoted_at, aged.expires_at = row.quoted_at - timedelta(hours=1), row.expires_at - timedelta(hours=1)
    aged.save(force_insert=True)
    problem(api.post(f"quotes/{public_id('quo', aged.public_id)}/execute"), 422, "quote_expired")
    assert balances(api, late) == {"EUR": "100.00"}


def test_a_quote_is_its_merchants_own(api: Api, wallet: str, other: Tenant, shop: Tenant) -> None:
    quote = content(api.post(f"wallets/{wallet}/quotes", {"to_currency": "USD", "amount": "1.00"}), 201)
    stranger = Api(other.key)
    problem(stranger.get(f"quotes/{quote['id']}"), 404, "not_found")
    problem(stranger.post(f"quotes/{quote['id']}/execute"), 404, "not_found")
    problem(stranger.post(f"wallets/{wallet}/quotes", {"to_currency": "USD", "amount": "1.00"}), 404, "not_found")
    problem(api.get("quotes/quo_x"), 404, "not_found")
    problem(api.post(f"quotes/{quote['id']}/execute", idempotency_key=None), 400, "idempotency_key_missing")
    ApiKey.objects.filter(pk=shop.api_key.pk).update(scopes=["wallet:read"])
    problem(api.post(f"quotes/{quote['id']}/execute"), 403, "scope_missing")
    assert not Quote.objects.filter(executed_at__isnull=False).exists()
