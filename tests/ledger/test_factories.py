"""The factories make rows that the database accepts, and that belong together."""

import pytest

from payments import callers
from payments.encryption import unseal
from payments.models import PaymentOrder
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_tenant_can_call_the_api_at_once() -> None:
    tenant = factories.tenant(fixed={"EUR": 30})
    caller = callers.find_caller(tenant.key, now=factories.NOW)
    assert caller is not None
    assert caller.book_id == tenant.book.pk
    assert caller.psp_account_id == tenant.psp_account.pk
    assert caller.house_seller is not None
    assert caller.house_seller.fixed == {"EUR": 30}
    assert caller.signing_secret() == factories.SIGNING_SECRET


def test_the_secrets_of_a_psp_account_open_in_their_place_only() -> None:
    account = factories.PspAccountFactory.create()
    identity = f"psp_account.api_key:{account.public_id}"
    assert unseal(account.api_key, identity=identity) == factories.PSP_API_KEY


def test_an_order_and_all_it_hangs_on_share_one_book() -> None:
    order = factories.PaymentOrderFactory.create()
    second = factories.PaymentOrderFactory.create(charge=order.charge)
    operation = factories.PspOperationFactory.create(charge=order.charge)
    assert {order.book, order.event.book, order.charge.book, order.seller.book, operation.book} == {order.book}
    assert [row.position for row in PaymentOrder.objects.filter(event=order.event).order_by("id")] == [1, 2]
    assert second.event == order.event
    assert factories.RefundFactory.create(charge=order.charge).book == order.book
