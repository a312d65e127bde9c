"""Who may see what, how lists are paged, what the protocol around an answer looks like."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
import requests
import stripe
from stripe import params as sdk
from stripe.params.checkout import SessionCreateParams

from sandbox.psp import connect as connected
from sandbox.psp import customers, intents, methods, payouts, refunds, sessions, setups
from tests.sandbox_process import SandboxPsp

OLDER_NAMES = {"payment_method_types"}


@pytest.mark.parametrize(
    "given", ["", "Bearer ", "Bearer sk_live_abc", "Bearer sk_test_", "Basic !!", "Bearer pk_test_x"]
)
def test_without_a_test_key_nobody_gets_in(sandbox_psp: SandboxPsp, given: str) -> None:
    answer = requests.get(f"{sandbox_psp.url}/v1/balance", headers={"Authorization": given}, timeout=20)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.headers["WWW-Authenticate"]
    assert "sk_live_abc" not in answer.text


def test_a_key_can_be_given_as_basic_user(sandbox_psp: SandboxPsp, key: str) -> None:
    user = base64.b64encode(f"{key}:".encode()).decode()
    answer = requests.get(f"{sandbox_psp.url}/v1/balance", headers={"Authorization": f"Basic {user}"}, timeout=20)
    assert answer.status_code == 200


def test_objects_of_another_account_do_not_exist(
    psp: Any, connect: Callable[..., Any], sandbox_psp: SandboxPsp, new_intent: Callable[..., Any]
) -> None:
    mine = new_intent(payment_method="pm_card_visa", confirm=True)
    stranger = connect(sandbox_psp.new_key())
    for attempt in (
        lambda: stranger.payment_intents.retrieve(mine.id),
        lambda: stranger.payment_intents.cancel(mine.id),
        lambda: stranger.charges.retrieve(mine.latest_charge),
        lambda: stranger.payment_methods.retrieve(mine.payment_method),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            attempt()
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError):
        stranger.refunds.create({"payment_intent": mine.id})
    assert stranger.payment_intents.list().data == []
    assert stranger.events.list().data == []


def test_the_protocol_around_an_answer(sandbox_psp: SandboxPsp, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}", "Stripe-Version": "2026-10-28.endive"}
    fine = requests.get(f"{sandbox_psp.url}/v1/balance", headers=headers, timeout=20)
    assert fine.headers["Request-Id"].startswith("req_")
    assert fine.headers["Stripe-Version"] == "2026-10-28.endive"
    assert fine.headers["Content-Type"].split(";")[0] == "application/json"
    missing = requests.get(f"{sandbox_psp.url}/v1/payment_intents/pi_none", headers=headers, timeout=20)
    assert missing.status_code == 404
    assert set(missing.json()["error"]) == {"message", "type", "code", "doc_url", "param"}
    unknown = requests.get(f"{sandbox_psp.url}/v1/colours", headers=headers, timeout=20)
    assert unknown.status_code == 404
    assert "Unrecognized request URL" in unknown.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"amount=1&currency=eur&metadata[a][b]=c",
        b"a[b][c][d][e][f][g]=1",
        b"x=1&" * 1001,
        b"\xff\xfe=1",
        b"amount[]=1",
    ],
)
def test_a_strange_body_is_a_400(sandbox_psp: SandboxPsp, key: str, body: bytes) -> None:
    answer = requests.post(
        f"{sandbox_psp.url}/v1/payment_intents",
        data=body,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/x-www-form-urlencoded"},
        timeout=20,
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_lists_are_paged_newest_first_in_both_directions(psp: Any, new_intent: Callable[..., Any]) -> None:
    ids = [new_intent().id for _ in range(5)][::-1]
    first = psp.payment_intents.list({"limit": 2})
    assert ([one.id for one in first.data], first.has_more) == (ids[:2], True)
    second = psp.payment_intents.list({"limit": 2, "starting_after": ids[1]})
    assert ([one.id for one in second.data], second.has_more) == (ids[2:4], True)
    last = psp.payment_intents.list({"limit": 2, "starting_after": ids[3]})
    assert ([one.id for one in last.data], last.has_more) == (ids[4:], False)
    back = psp.payment_intents.list({"limit": 2, "ending_before": ids[3]})
    assert [one.id for one in back.data] == ids[1:3]
    assert [one.id for one in psp.payment_intents.list({"limit": 2}).auto_paging_iter()] == ids


def test_lists_can_be_narrowed_by_time_and_customer(
    psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp
) -> None:
    customer = psp.customers.create()
    early = new_intent(customer=customer.id)
    sandbox_psp.advance(100)
    late = new_intent()

    def found(**params: Any) -> list[str]:
        return [one.id for one in psp.payment_intents.list(params).data]

    assert found(created={"gte": late.created}) == [late.id]
    assert found(created={"lt": late.created}) == [early.id]
    assert found(created={"gt": early.created, "lte": late.created}) == [late.id]
    assert found(created=early.created) == [early.id]
    assert found(customer=customer.id) == [early.id]


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 101}, {"starting_after": "pi_none"}, {"colour": "red"}])
def test_a_wrong_list_is_refused(psp: Any, params: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        psp.payment_intents.list(params)


def test_events_can_be_narrowed_by_type(psp: Any, new_intent: Callable[..., Any]) -> None:
    new_intent(payment_method="pm_card_visa", confirm=True)
    assert [event.type for event in psp.events.list({"type": "charge.succeeded"}).data] == ["charge.succeeded"]
    both = psp.events.list({"types": ["charge.succeeded", "payment_intent.created"]}).data
    assert [event.type for event in both] == ["charge.succeeded", "payment_intent.created"]


def test_balance_transactions_can_be_narrowed(psp: Any, new_intent: Callable[..., Any]) -> None:
    paid = new_intent(payment_method="pm_card_visa", confirm=True)
    refund = psp.refunds.create({"payment_intent": paid.id, "amount": 5})
    assert [txn.source for txn in psp.balance_transactions.list({"type": "refund"}).data] == [refund.id]
    assert [txn.type for txn in psp.balance_transactions.list({"source": paid.latest_charge}).data] == ["charge"]
    assert len(psp.balance_transactions.list({"currency": "eur"}).data) == 2
    assert psp.balance_transactions.list({"currency": "usd"}).data == []


def test_expanding_puts_objects_where_ids_were(psp: Any, new_intent: Callable[..., Any]) -> None:
    customer = psp.customers.create()
    new_intent(customer=customer.id, payment_method="pm_card_visa", confirm=True)
    listed = psp.payment_intents.list(
        {"expand": ["data.latest_charge.balance_transaction", "data.customer", "data.payment_method"]}
    )
    (one,) = listed.data
    assert one.latest_charge.balance_transaction.net == 1944
    assert one.customer.id == customer.id
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        psp.payment_intents.retrieve(one.id, {"expand": ["status"]})
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        psp.payment_intents.retrieve(one.id, {"expand": ["colour"]})


def test_methods_and_customers_are_kept_apart_and_can_be_detached(psp: Any) -> None:
    customer = psp.customers.create({"name": "A", "metadata": {"a": "1"}})
    saved = psp.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    assert [one.id for one in psp.payment_methods.list({"customer": customer.id}).data] == [saved.id]
    assert psp.customers.update(customer.id, {"name": "B"}).metadata.to_dict() == {"a": "1"}
    assert psp.payment_methods.detach(saved.id).customer is None
    with pytest.raises(stripe.InvalidRequestError):
        psp.payment_methods.attach(saved.id, {"customer": customer.id})
    assert psp.customers.delete(customer.id).deleted
    with pytest.raises(stripe.InvalidRequestError):
        psp.customers.retrieve(customer.id)


def test_setup_intents_keep_a_method_decline_or_are_cancelled(psp: Any) -> None:
    customer = psp.customers.create()
    back = "https://shop.example/back"
    setup = psp.setup_intents.create({"customer": customer.id, "metadata": {"op": "1"}})
    assert setup.status == "requires_payment_method"
    with pytest.raises(stripe.InvalidRequestError, match="return_url"):
        psp.setup_intents.confirm(setup.id, {"payment_method": "pm_card_visa"})
    with pytest.raises(stripe.CardError) as caught:
        psp.setup_intents.confirm(setup.id, {"payment_method": "pm_card_chargeDeclined", "return_url": back})
    assert caught.value.error.setup_intent.last_setup_error.code == "card_declined"
    done = psp.setup_intents.confirm(setup.id, {"payment_method": "pm_card_visa", "return_url": back})
    assert done.status == "succeeded"
    assert psp.payment_methods.retrieve(done.payment_method).customer == customer.id
    for attempt in (psp.setup_intents.confirm, psp.setup_intents.cancel):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            attempt(setup.id)
        assert refused.value.code == "setup_intent_unexpected_state"
    other = psp.setup_intents.create()
    assert psp.setup_intents.cancel(other.id).status == "canceled"
    names = {event.type for event in psp.events.list({"limit": 50}).data}
    assert {"setup_intent.succeeded", "setup_intent.setup_failed", "setup_intent.canceled"} <= names


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (intents.CREATE, sdk.PaymentIntentCreateParams),
        (intents.CONFIRM, sdk.PaymentIntentConfirmParams),
        (refunds.CREATE, sdk.RefundCreateParams),
        (setups.CREATE, sdk.SetupIntentCreateParams),
        (setups.CONFIRM, sdk.SetupIntentConfirmParams),
        (methods.CREATE_METHOD, sdk.PaymentMethodCreateParams),
        (customers.CUSTOMER, sdk.CustomerCreateParams),
        (payouts.CREATE, sdk.PayoutCreateParams),
        (connected.ACCOUNT, sdk.AccountCreateParams),
        (sessions.CREATE, SessionCreateParams),
    ],
)
def test_no_parameter_is_taken_that_the_sdk_does_not_know(ours: frozenset[str], theirs: Any) -> None:
    assert ours - set(theirs.__annotations__) <= OLDER_NAMES
