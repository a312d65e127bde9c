"""Money that goes back: refunds and disputes."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.sandbox_process import SandboxPsp


@pytest.fixture
def paid(new_intent: Callable[..., Any]) -> Any:
    """Give a paid PaymentIntent of 19.99 EUR."""
    return new_intent(payment_method="pm_card_visa", confirm=True)


def test_refunds_add_up_to_what_was_captured_and_no_further(
    psp: Any, paid: Any, key: str, sandbox_psp: SandboxPsp
) -> None:
    part = psp.refunds.create({"payment_intent": paid.id, "amount": 500, "metadata": {"refund": "1"}})
    assert (part.status, part.amount, part.metadata.to_dict()) == ("succeeded", 500, {"refund": "1"})
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount") as caught:
        psp.refunds.create({"payment_intent": paid.id, "amount": 1500})
    assert (caught.value.http_status, caught.value.param) == (400, "amount")
    assert psp.refunds.create({"charge": paid.latest_charge}).amount == 1499
    with pytest.raises(stripe.InvalidRequestError) as caught:
        psp.refunds.create({"payment_intent": paid.id, "amount": 1})
    assert caught.value.code == "charge_already_refunded"
    charge = psp.charges.retrieve(paid.latest_charge, {"expand": ["refunds"]})
    assert (charge.refunded, charge.amount_refunded) == (True, 1999)
    assert [one.amount for one in charge.refunds.data] == [1499, 500]
    (row,) = sandbox_psp.books(key)["charges"]
    assert (row["captured"], row["refunded"]) == (1999, 1999)


def test_refunds_can_be_listed_by_payment(psp: Any, paid: Any, new_intent: Callable[..., Any]) -> None:
    other = new_intent(payment_method="pm_card_visa", confirm=True)
    mine = psp.refunds.create({"payment_intent": paid.id, "amount": 1})
    psp.refunds.create({"payment_intent": other.id, "amount": 1})
    assert [one.id for one in psp.refunds.list({"payment_intent": paid.id}).data] == [mine.id]
    assert [one.id for one in psp.refunds.list({"charge": paid.latest_charge}).data] == [mine.id]


def test_a_payment_that_did_not_succeed_cannot_be_refunded(psp: Any, new_intent: Callable[..., Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="successful charge"):
        psp.refunds.create({"payment_intent": new_intent().id})
    held = new_intent(payment_method="pm_card_visa", confirm=True, capture_method="manual")
    with pytest.raises(stripe.InvalidRequestError, match="not been captured"):
        psp.refunds.create({"payment_intent": held.id})
    assert psp.refunds.list().data == []


@pytest.mark.parametrize("params", [{}, {"payment_intent": "pi_none"}, {"charge": "ch_none"}])
def test_a_refund_needs_something_to_refund(psp: Any, params: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        psp.refunds.create(params)


def test_a_pending_refund_succeeds_later(psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp) -> None:
    paid = new_intent(payment_method="pm_card_pendingRefund", confirm=True)
    refund = psp.refunds.create({"payment_intent": paid.id})
    assert refund.status == "pending"
    sandbox_psp.advance(6)
    assert psp.refunds.retrieve(refund.id).status == "succeeded"


def test_a_refund_may_fail_after_it_succeeded_and_the_money_comes_back(
    psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, key: str
) -> None:
    paid = new_intent(payment_method="pm_card_refundFail", confirm=True)
    refund = psp.refunds.create({"payment_intent": paid.id})
    assert refund.status == "succeeded"
    sandbox_psp.advance(6)
    failed = psp.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert psp.charges.retrieve(paid.latest_charge).amount_refunded == 0
    names = [event.type for event in psp.events.list({"limit": 50}).data]
    assert "refund.failed" in names
    (row,) = sandbox_psp.books(key)["charges"]
    assert row["refunded"] == 0
    assert sum(txn.net for txn in psp.balance_transactions.list().data) == 1944


def test_a_refund_can_be_failed_by_hand(psp: Any, paid: Any, sandbox_psp: SandboxPsp) -> None:
    refund = psp.refunds.create({"payment_intent": paid.id, "amount": 100})
    assert sandbox_psp.control(f"refunds/{refund.id}/fail")["status"] == "failed"
    with pytest.raises(AssertionError):
        sandbox_psp.control(f"refunds/{refund.id}/fail")


def test_a_disputed_payment_loses_its_money_and_a_fee_and_cannot_be_refunded(
    psp: Any, new_intent: Callable[..., Any], sandbox_psp: SandboxPsp, key: str
) -> None:
    paid = new_intent(payment_method="pm_card_createDispute", confirm=True)
    sandbox_psp.advance(0)
    (dispute,) = psp.disputes.list({"payment_intent": paid.id}).data
    assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", "fraudulent", 1999)
    (taken,) = dispute.balance_transactions
    assert (taken.amount, taken.fee, taken.net, taken.reporting_category) == (-1999, 2000, -3999, "dispute")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        psp.refunds.create({"payment_intent": paid.id})
    assert caught.value.code == "charge_disputed"
    assert sandbox_psp.books(key)["disputes"][0]["status"] == "needs_response"


@pytest.mark.parametrize(("status", "net"), [("won", 1944 - 2000), ("lost", 1944 - 3999)])
def test_a_dispute_is_decided_by_hand(psp: Any, paid: Any, sandbox_psp: SandboxPsp, status: str, net: int) -> None:
    opened = sandbox_psp.control("disputes", payment_intent=paid.id, reason="product_not_received")
    answered = psp.disputes.update(opened["id"], {"evidence": {"uncategorized_text": "It was delivered."}})
    assert (answered.status, answered.evidence_details.submission_method) == ("under_review", "manual")
    assert sandbox_psp.control(f"disputes/{opened['id']}/close", status=status)["status"] == status
    assert psp.disputes.retrieve(opened["id"]).status == status
    assert sum(txn.net for txn in psp.balance_transactions.list().data) == net
    names = [event.type for event in psp.events.list({"limit": 50}).data]
    assert "charge.dispute.closed" in names
    assert ("charge.dispute.funds_reinstated" in names) == (status == "won")
    with pytest.raises(AssertionError):
        sandbox_psp.control(f"disputes/{opened['id']}/close", status="lost")


def test_a_dispute_over_a_part_and_accepting_it(psp: Any, paid: Any, sandbox_psp: SandboxPsp) -> None:
    opened = sandbox_psp.control("disputes", charge=paid.latest_charge, amount=700)
    assert psp.disputes.close(opened["id"]).status == "lost"
    assert psp.disputes.retrieve(opened["id"]).amount == 700


def test_an_inquiry_takes_nothing_and_can_be_refunded_until_it_is_a_dispute(
    psp: Any, paid: Any, sandbox_psp: SandboxPsp
) -> None:
    opened = sandbox_psp.control("disputes", payment_intent=paid.id, inquiry=True)
    assert (opened["status"], opened["balance_transactions"]) == ("warning_needs_response", [])
    assert psp.refunds.create({"payment_intent": paid.id, "amount": 100}).status == "succeeded"
    assert (
        psp.disputes.update(opened["id"], {"evidence": {"uncategorized_text": "It was delivered."}}).status
        == "warning_under_review"
    )
    sandbox_psp.control(f"disputes/{opened['id']}/escalate")
    dispute = psp.disputes.retrieve(opened["id"])
    assert (dispute.status, [one.net for one in dispute.balance_transactions]) == ("needs_response", [-3999])
    with pytest.raises(stripe.InvalidRequestError):
        psp.refunds.create({"payment_intent": paid.id, "amount": 100})
    with pytest.raises(AssertionError):
        sandbox_psp.control(f"disputes/{opened['id']}/escalate")


def test_an_inquiry_ends_as_closed_and_a_dispute_does_not(psp: Any, paid: Any, sandbox_psp: SandboxPsp) -> None:
    opened = sandbox_psp.control("disputes", payment_intent=paid.id, inquiry=True)
    with pytest.raises(AssertionError):
        sandbox_psp.control(f"disputes/{opened['id']}/close", status="lost")
    sandbox_psp.control(f"disputes/{opened['id']}/close", status="warning_closed")
    again = sandbox_psp.control("disputes", payment_intent=paid.id, again=True)
    with pytest.raises(AssertionError):
        sandbox_psp.control(f"disputes/{again['id']}/close", status="warning_closed")
    assert [one.status for one in psp.disputes.list({"payment_intent": paid.id}).data] == [
        "needs_response",
        "warning_closed",
    ]


def test_a_dispute_may_give_back_a_part_later_and_its_fee_and_be_won_after_it_was_lost(
    psp: Any, paid: Any, sandbox_psp: SandboxPsp, key: str
) -> None:
    opened = sandbox_psp.control("disputes", payment_intent=paid.id)
    sandbox_psp.control(f"disputes/{opened['id']}/close", status="lost")
    sandbox_psp.control(f"disputes/{opened['id']}/close", status="won", returned=999, fee_returned=True)
    sandbox_psp.control(f"disputes/{opened['id']}/reinstate", amount=1)
    amounts = [(one.amount, one.fee) for one in psp.disputes.retrieve(opened["id"]).balance_transactions]
    assert amounts == [(-1999, 2000), (999, -2000), (1, 0)]
    assert sandbox_psp.books(key)["disputes"][0]["net"] == -999
    with pytest.raises(AssertionError):
        sandbox_psp.control(f"disputes/{opened['id']}/close", status="lost")
    with pytest.raises(AssertionError):
        sandbox_psp.control(f"disputes/{opened['id']}/reinstate", amount=5000)


def test_the_money_of_a_dispute_may_leave_in_another_currency(
    psp: Any, paid: Any, sandbox_psp: SandboxPsp, key: str
) -> None:
    opened = sandbox_psp.control("disputes", payment_intent=paid.id, settled_in="usd")
    dispute = psp.disputes.retrieve(opened["id"])
    assert (dispute.currency, dispute.balance_transactions[0].currency) == ("eur", "usd")
    assert sandbox_psp.books(key)["balanced"]
    with pytest.raises(AssertionError):
        sandbox_psp.control("disputes", payment_intent=paid.id, again=True, settled_in="euros")
