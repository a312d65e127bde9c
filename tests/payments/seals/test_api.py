"""Seals and proofs over the API: one's own, with the scope, page by page, and what is not sealed yet."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from ledger.ids import public_id
from ledger.models import Transaction
from ledger.seals import blocks, keys
from payments import seal_anchor
from payments.api import ledger_answers as answers
from payments.merchants import SCOPES
from payments.models import ApiKey
from tests.database import Clone
from tests.factories import NOW, Tenant, tenant
from tests.ledger.desk import Desk
from tests.ledger.seals.chains import seal_all
from tests.ledger.seals.test_proofs import module
from tests.payments.api.conftest import Api, problem


@pytest.fixture
def shop(committed_db: Clone, settings: Any, tmp_path: Any) -> Tenant:
    """Make a merchant whose rows are committed: a transaction under way is never sealed."""
    settings.SEAL_HEADS = str(tmp_path / "heads.jsonl")
    made = tenant(fixed={"EUR": 0})
    ApiKey.objects.filter(pk=made.api_key.pk).update(scopes=list(SCOPES))
    return made


@pytest.fixture
def api(shop: Tenant) -> Api:
    """Give the API as the merchant's shop uses it."""
    return Api(shop.key)


@pytest.fixture
def desk(shop: Tenant) -> Desk:
    """Give the shop's book."""
    return Desk.open(book=shop.book)


def seal() -> None:
    """Seal everything."""
    signer = keys.signer()
    assert signer is not None
    seal_all(signer)


def txn(reference: str) -> str:
    """Return the public id of a transaction."""
    return public_id("txn", Transaction.objects.get(reference=reference).public_id)


def test_a_sealed_transaction_has_a_proof_that_the_script_accepts(api: Api, desk: Desk) -> None:
    desk.post(*(desk.sale(f"r{n}", 100 + n, fee=5) for n in range(5)))
    seal()
    response = api.get(f"ledger/transactions/{txn('r3')}/proof")
    assert response.status_code == 200, response.content
    shown = answers.Proof.model_validate_json(response.content)
    assert shown.transaction.reference == "r3"
    signer = keys.signer()
    assert signer is not None
    assert module().problem(json.loads(response.content), signer.public_key, []) is None


def test_what_is_not_sealed_yet_is_told_as_such(api: Api, desk: Desk) -> None:
    desk.post(desk.sale("r", 100))
    response = api.get(f"ledger/transactions/{txn('r')}/proof")
    content = problem(response, 409, "not_sealed_yet")
    assert content["retryable"] is True
    assert response["Retry-After"] == "60"


def test_blocks_are_listed_newest_first_page_by_page(api: Api, desk: Desk) -> None:
    for n in range(5):
        desk.post(desk.sale(f"r{n}", 100))
        seal()
    numbers, cursor = [], ""
    for _ in range(3):
        page = answers.Seals.model_validate_json(api.get(f"ledger/seals?limit=2{cursor}").content)
        numbers += [one.number for one in page.data]
        cursor = f"&cursor={page.next_cursor}"
    assert numbers == [5, 4, 3, 2, 1]
    assert page.next_cursor is None
    whole = json.loads(api.get("ledger/seals").content)["data"]
    assert all(blocks.read(one).hashed().hex() == one["block_hash"] for one in whole)


def test_another_merchants_books_are_not_there(api: Api, desk: Desk) -> None:
    other = Desk.open(book=tenant().book)
    other.post(other.sale("other", 100))
    seal()
    assert json.loads(api.get("ledger/seals").content) == {"data": [], "next_cursor": None}
    problem(api.get(f"ledger/transactions/{txn('other')}/proof"), 404, "not_found")


@pytest.mark.parametrize("name", ["txn_x", "txn_" + "0" * 26, "1", "pay_" + "0" * 26])
def test_what_is_no_transaction_has_no_proof(api: Api, name: str) -> None:
    problem(api.get(f"ledger/transactions/{name}/proof"), 404, "not_found")


@pytest.mark.parametrize("query", ["cursor=x", "cursor=AAAA", "cursor=__________8", "limit=0", "limit=101", "all=1"])
def test_a_wrong_query_is_refused(api: Api, query: str) -> None:
    assert api.get(f"ledger/seals?{query}").status_code == 400


def test_the_scope_is_needed(api: Api, shop: Tenant, desk: Desk) -> None:
    desk.post(desk.sale("r", 100))
    seal()
    ApiKey.objects.filter(pk=shop.api_key.pk).update(scopes=["payments:read"])
    for address in ("ledger/seals", f"ledger/transactions/{txn('r')}/proof"):
        problem(api.get(address), 403, "scope_missing")


def test_figures_tell_what_is_not_sealed_and_not_published(api: Api, desk: Desk, settings: Any) -> None:
    desk.post(desk.sale("a", 100), desk.sale("b", 100))
    figures = Client().get("/metrics").content.decode()
    assert "florin_ledger_unsealed_transactions 2.0" in figures
    assert 'florin_seal_heads_unpublished{place="file"} 0.0' in figures
    seal()
    settings.SEAL_BUCKET = "http://127.0.0.1:1/heads"
    seal_anchor.publish(now=NOW)
    figures = Client().get("/metrics").content.decode()
    assert "florin_ledger_unsealed_transactions 0.0" in figures
    assert "florin_ledger_unsealed_seconds 0.0" in figures
    assert 'florin_seal_heads_unpublished{place="file"} 0.0' in figures
    assert 'florin_seal_heads_unpublished{place="bucket"} 0.0' not in figures
    assert 'florin_seal_heads_unpublished{place="bucket"}' in figures
