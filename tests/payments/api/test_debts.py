"""What a seller owes over the API: each debt by its cause, with the order and the age."""

from __future__ import annotations

from payments.api import answers
from payments.models import ApiKey
from tests.factories import Tenant, tenant
from tests.journeys.test_exchange_undone import hear
from tests.market import Market, market
from tests.payments.api.conftest import Api, content, problem
from tests.sandbox_process import sandbox_psp
from tests.shop import Shop, shop

__all__ = ["market", "sandbox_psp", "shop"]


def reader(of: Tenant) -> Api:
    """Give a client that may read wallets and disputes."""
    ApiKey.objects.filter(book=of.book).update(scopes=["wallet:read", "payments:read"])
    return Api(of.key)


def test_a_seller_sees_what_it_owes_and_why(shop: Shop, market: Market) -> None:
    (order,) = market.earn(10_000)
    shop.empty_wallet()
    api = reader(shop.tenant)
    seller = shop.sellers[0].external_id
    assert content(api.get(f"sellers/{seller}/debts"), 200) == {"data": [], "next_cursor": None}
    dispute = shop.psp.control("disputes", payment_intent=order.charge.psp_id)
    hear(shop)
    found = content(api.get(f"sellers/{seller}/debts"), 200)
    answers.Debts.model_validate(found)
    (debt,) = found["data"]
    (told,) = content(api.get("disputes"), 200)["data"]
    assert told["psp_id"] == dispute["id"]
    assert (debt["amount"], debt["of"], debt["currency"], debt["kind"]) == ("90.00", "90.00", "EUR", "open_dispute")
    assert (debt["subject"], debt["days"], debt["age"]) == (f"{told['id']}:1", 0, "0-30")
    assert (debt["payment_order"], debt["checkout_id"]) == (told["payment_orders"][0]["id"], told["checkout_id"])
    market.earn(5_000, release=False)
    assert content(api.get(f"sellers/{seller}/debts"), 200)["data"][0]["amount"] == "90.00", "pending nets nothing"


def test_the_debts_of_another_merchants_seller_are_not_found(shop: Shop, market: Market) -> None:
    market.earn(10_000)
    stranger = reader(tenant())
    problem(stranger.get(f"sellers/{shop.sellers[0].external_id}/debts"), 404, "not_found")
