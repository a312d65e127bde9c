"""Above which amounts payouts need a second person: set by the administrator, seen by the merchant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from config import seam
from ledger.ids import public_id
from payments import merchants
from payments.models import MerchantBook
from tests.factories import Tenant
from tests.payments.api.conftest import Api, content, fields, problem
from tests.payments.api.test_refunds import TERMS


@pytest.fixture
def administrator(db: None) -> Api:
    """Give the API to an administrator."""
    return Api(merchants.issue_key(None, None, name="tests", scopes=(), now=seam.now()).key)


def address(shop: Tenant) -> str:
    """Return where the merchant's terms are."""
    return f"merchants/{public_id('mer', shop.merchant.public_id)}"


def stored(shop: Tenant) -> Any:
    """Return the thresholds as they are kept."""
    return MerchantBook.objects.get(pk=shop.book.pk).payout_approval_above


def test_an_administrator_sets_the_thresholds_and_the_merchant_sees_them(
    administrator: Api, api: Api, shop: Tenant
) -> None:
    wanted = {"EUR": "1000.00", "JPY": "150000", "KWD": "0"}
    shown = content(
        administrator.send("PUT", f"{address(shop)}/terms", {**TERMS, "payout_approval_above": wanted}), 200
    )
    assert shown["books"][0]["terms"]["payout_approval_above"] == {"EUR": "1000.00", "JPY": "150000", "KWD": "0.000"}
    assert stored(shop) == {"EUR": 100_000, "JPY": 150_000, "KWD": 0}
    assert json.loads(api.get(address(shop)).content)["books"] == shown["books"]


def test_what_is_left_out_stays_and_what_is_empty_is_taken_away(administrator: Api, api: Api, shop: Tenant) -> None:
    administrator.send("PUT", f"{address(shop)}/terms", {**TERMS, "payout_approval_above": {"EUR": "5.00"}})
    content(api.send("PUT", f"{address(shop)}/terms", TERMS), 200)
    assert stored(shop) == {"EUR": 500}
    content(administrator.send("PUT", f"{address(shop)}/terms", {**TERMS, "payout_approval_above": {}}), 200)
    assert stored(shop) == {}


def test_a_merchant_does_not_say_what_needs_a_second_person(administrator: Api, api: Api, shop: Tenant) -> None:
    administrator.send("PUT", f"{address(shop)}/terms", {**TERMS, "payout_approval_above": {"EUR": "5.00"}})
    before = MerchantBook.objects.values().get(pk=shop.book.pk)
    refused = api.send("PUT", f"{address(shop)}/terms", {**TERMS, "time_zone": "UTC", "payout_approval_above": {}})
    assert fields(problem(refused, 400, "invalid_request")) == {"payout_approval_above": "not_supported"}
    assert MerchantBook.objects.values().get(pk=shop.book.pk) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"EUR": "-1"},
        {"EUR": 5},
        {"EUR": "1.001"},
        {"JPY": "1.5"},
        {"XYZ": "1.00"},
        {"EUR": ""},
        {"EUR": "1e3"},
        "5.00",
        [1],
    ],
)
def test_a_wrong_threshold_changes_nothing(administrator: Api, shop: Tenant, wrong: Any) -> None:
    before = MerchantBook.objects.values().get(pk=shop.book.pk)
    refused = administrator.send("PUT", f"{address(shop)}/terms", {**TERMS, "payout_approval_above": wrong})
    found = fields(problem(refused, 400, "invalid_request"))
    assert all(name.startswith("payout_approval_above") for name in found)
    assert MerchantBook.objects.values().get(pk=shop.book.pk) == before


@pytest.mark.parametrize("wrong", [{"EUR": -1}, {"EUR": "100"}, {"EUR": 1.5}, {"EUR": None}, [], 5])
def test_the_database_refuses_what_is_no_amount(shop: Tenant, wrong: Any) -> None:
    with pytest.raises(IntegrityError, match="payout_approval_is_by_amount"), transaction.atomic():
        MerchantBook.objects.filter(pk=shop.book.pk).update(payout_approval_above=wrong)
    assert stored(shop) == {}
