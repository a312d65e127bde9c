"""Money that goes on: connected accounts, transfers, reversals, payouts."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.sandbox_process import SandboxPsp

FEE_FREE = 1944


@pytest.fixture
def paid(new_intent: Callable[..., Any]) -> Any:
    """Give a payment of 19.99 EUR whose money is available at once."""
    return new_intent(payment_method="pm_card_bypassPending", confirm=True, transfer_group="order-1")


@pytest.fixture
def payee(psp: Any) -> Any:
    """Give a connected account with a bank account."""
    return psp.accounts.create({"type": "express", "country": "DE", "external_account": "btok_good"})


def test_a_transfer_moves_available_money_to_the_connected_account(
    psp: Any, paid: Any, payee: Any, key: str, sandbox_psp: SandboxPsp
) -> None:
    sent = psp.transfers.create({"amount": 900, "currency": "eur", "destination": payee.id, "metadata": {"p": "1"}})
    assert (sent.amount, sent.destination, sent.reversed) == (900, payee.id, False)
    books = sandbox_psp.books(key)
    assert books["balance"]["eur"]["available"] == FEE_FREE - 900
    assert books["connected"][payee.id]["eur"]["available"] == 900
    assert books["transfers"][0]["metadata"] == {"p": "1"}
    theirs = psp.balance.retrieve({}, {"stripe_account": payee.id})
    assert theirs.available[0].amount == 900
    with pytest.raises(stripe.InvalidRequestError) as caught:
        psp.transfers.create({"amount": 1045, "currency": "eur", "destination": payee.id})
    assert caught.value.code == "balance_insufficient"


def test_a_transfer_bound_to_a_charge_may_run_ahead_of_the_money_but_not_beyond_it(
    psp: Any, new_intent: Callable[..., Any], payee: Any
) -> None:
    pending = new_intent(payment_method="pm_card_visa", confirm=True, transfer_group="g")
    with pytest.raises(stripe.InvalidRequestError):
        psp.transfers.create({"amount": 1000, "currency": "eur", "destination": payee.id})
    source = {"currency": "eur", "destination": payee.id, "source_transaction": pending.latest_charge}
    sent = psp.transfers.create({**source, "amount": 1500})
    assert (sent.transfer_group, sent.source_transaction) == ("g", pending.latest_charge)
    assert psp.balance.retrieve({}, {"stripe_account": payee.id}).pending[0].amount == 1500
    with pytest.raises(stripe.InvalidRequestError, match="must not exceed"):
        psp.transfers.create({**source, "amount": 500})
    assert [one.id for one in psp.transfers.list({"transfer_group": "g"}).data] == [sent.id]


def test_a_reversal_needs_the_payees_money_and_never_exceeds_the_transfer(psp: Any, paid: Any, payee: Any) -> None:
    sent = psp.transfers.create({"amount": 900, "currency": "eur", "destination": payee.id})
    psp.transfers.reversals.create(sent.id, {"amount": 300, "metadata": {"r": "1"}})
    with pytest.raises(stripe.InvalidRequestError, match="greater than unreversed"):
        psp.transfers.reversals.create(sent.id, {"amount": 700})
    psp.payouts.create({"amount": 600, "currency": "eur"}, {"stripe_account": payee.id})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        psp.transfers.reversals.create(sent.id, {})
    assert caught.value.code == "balance_insufficient"
    after = psp.transfers.retrieve(sent.id)
    assert (after.amount_reversed, after.reversed) == (300, False)
    assert [one.amount for one in psp.transfers.reversals.list(sent.id).data] == [300]


def test_a_payout_is_pending_then_in_transit_then_paid(
    psp: Any, paid: Any, payee: Any, sandbox_psp: SandboxPsp, key: str
) -> None:
    psp.transfers.create({"amount": 900, "currency": "eur", "destination": payee.id})
    theirs = {"stripe_account": payee.id}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        psp.payouts.create({"amount": 901, "currency": "eur"}, theirs)
    assert caught.value.code == "balance_insufficient"
    payout = psp.payouts.create({"amount": 900, "currency": "eur", "metadata": {"p": "1"}}, theirs)
    assert payout.status == "pending"
    sandbox_psp.advance(1.1)
    assert psp.payouts.retrieve(payout.id, {}, theirs).status == "in_transit"
    sandbox_psp.advance(1)
    assert psp.payouts.retrieve(payout.id, {}, theirs).status == "paid"
    (row,) = sandbox_psp.books(key)["payouts"]
    assert (row["account"], row["amount"], row["status"]) == (payee.id, 900, "paid")
    names = [event.type for event in psp.events.list({"limit": 50}, theirs).data]
    assert names[:3] == ["payout.paid", "payout.updated", "payout.created"]
    with pytest.raises(stripe.InvalidRequestError):
        psp.payouts.cancel(payout.id, {}, theirs)


def test_a_payout_may_bounce_after_it_was_paid(psp: Any, paid: Any, sandbox_psp: SandboxPsp) -> None:
    bank = {
        "object": "bank_account",
        "country": "DE",
        "currency": "eur",
        "account_number": "DE62370400440532013001",
    }
    payee = psp.accounts.create({"type": "custom", "external_account": bank})
    assert payee.external_accounts.data[0].last4 == "3001"
    assert "DE62370400440532013001" not in str(payee)
    psp.transfers.create({"amount": 900, "currency": "eur", "destination": payee.id})
    theirs = {"stripe_account": payee.id}
    payout = psp.payouts.create({"amount": 900, "currency": "eur"}, theirs)
    sandbox_psp.advance(2.1)
    assert psp.payouts.retrieve(payout.id, {}, theirs).status == "paid"
    sandbox_psp.advance(2)
    bounced = psp.payouts.retrieve(payout.id, {}, theirs)
    assert (bounced.status, bounced.failure_code) == ("failed", "no_account")
    assert psp.balance.retrieve({}, theirs).available[0].amount == 900


def test_a_pending_payout_can_be_cancelled_and_one_can_be_moved_by_hand(
    psp: Any, paid: Any, sandbox_psp: SandboxPsp
) -> None:
    first = psp.payouts.create({"amount": 100, "currency": "eur"})
    assert psp.payouts.cancel(first.id).status == "canceled"
    second = psp.payouts.create({"amount": 200, "currency": "eur"})
    assert sandbox_psp.control(f"payouts/{second.id}/advance", status="paid")["status"] == "paid"
    assert sandbox_psp.control(f"payouts/{second.id}/advance", status="failed")["status"] == "failed"
    assert psp.balance.retrieve().available[0].amount == FEE_FREE
    with pytest.raises(AssertionError):
        sandbox_psp.control(f"payouts/{second.id}/advance", status="paid")


def test_an_account_without_a_bank_account_cannot_be_paid_out(psp: Any, paid: Any) -> None:
    payee = psp.accounts.create({"type": "express"})
    psp.transfers.create({"amount": 100, "currency": "eur", "destination": payee.id})
    with pytest.raises(stripe.InvalidRequestError):
        psp.payouts.create({"amount": 100, "currency": "eur"}, {"stripe_account": payee.id})


def test_a_platform_reaches_only_its_own_connected_accounts(
    payee: Any, connect: Callable[..., Any], sandbox_psp: SandboxPsp
) -> None:
    stranger = connect(sandbox_psp.new_key())
    for attempt in (
        lambda: stranger.accounts.retrieve(payee.id),
        lambda: stranger.balance.retrieve({}, {"stripe_account": payee.id}),
    ):
        with pytest.raises(stripe.PermissionError):
            attempt()
    with pytest.raises(stripe.InvalidRequestError):
        stranger.transfers.create({"amount": 1, "currency": "eur", "destination": payee.id})


def test_unknown_bodies_are_refused(psp: Any, payee: Any) -> None:
    for attempt in (
        lambda: psp.transfers.create({"amount": 1, "currency": "eur", "destination": "acct_none"}),
        lambda: psp.transfers.create({"amount": 1, "currency": "eur"}),
        lambda: psp.payouts.create({"currency": "eur"}),
        lambda: psp.transfers.reversals.create("tr_none", {}),
    ):
        with pytest.raises(stripe.InvalidRequestError):
            attempt()
