"""Our answers have the shape of Stripe's: compared with its published samples and with its SDK's types."""

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.sandbox.shapes import SDK_CLASSES, differences_from_sample, differences_from_sdk
from tests.sandbox_process import ROOT, SandboxPsp

SAMPLES_FILE = ROOT.parent / "shared" / "data" / "stripe-fixtures3.json"

ALLOWED = {
    "charge.refunds: missing": "shown only where it is expanded, since API version 2022-11-15",
    "charge.payment_method_details.card: missing": "the sample was paid by card; ours here by another method",
    "payment_method.card: missing": "the sample is a card; ours here is another method",
    "event.data.object*": "the sample tells of a plan, ours of a payment, which is compared itself",
}
"""Differences that are meant, as patterns, each with its reason."""

CASES = (
    "account",
    "balance",
    "balance_transaction",
    "charge",
    "charge failed",
    "charge pending",
    "charge wallet",
    "charge qr",
    "checkout.session",
    "checkout.session setup",
    "customer",
    "dispute",
    "event",
    "item",
    "payment_intent",
    "payment_intent declined",
    "payment_intent processing",
    "payment_intent requires_action",
    "payment_intent requires_capture",
    "payment_method",
    "payment_method wallet",
    "payment_method qr",
    "payment_method debit",
    "payout",
    "refund",
    "setup_intent",
    "setup_intent declined",
    "transfer",
    "transfer_reversal",
    "webhook_endpoint",
)


def allowed(difference: str) -> bool:
    """Answer whether a difference is meant."""
    return any(fnmatchcase(difference, pattern) for pattern in ALLOWED)


def story(psp: Any, sandbox: SandboxPsp) -> dict[str, dict[str, Any]]:
    """Make one object of each kind (and state) and answer them as plain JSON."""
    made: dict[str, Any] = {}
    back = "https://shop.example/back"

    def pay(token: str, **more: Any) -> Any:
        body = {
            "amount": 5000,
            "currency": "eur",
            "payment_method": token,
            "confirm": True,
            "return_url": back,
        }
        return psp.payment_intents.create({**body, "expand": ["latest_charge"], **more})

    customer = made["customer"] = psp.customers.create({"email": "buyer@example.com", "address": {"city": "Bonn"}})
    paid = made["payment_intent"] = pay("pm_card_visa", customer=customer.id, metadata={"order": "1"})
    made["charge"] = psp.charges.retrieve(paid.latest_charge.id)
    made["balance_transaction"] = psp.balance_transactions.retrieve(made["charge"].balance_transaction)
    made["refund"] = psp.refunds.create({"payment_intent": paid.id, "amount": 1000})
    made["payment_method"] = psp.payment_methods.retrieve(paid.payment_method)
    refused = psp.payment_intents.create({"amount": 5000, "currency": "eur", "return_url": back})
    with pytest.raises(stripe.CardError):
        psp.payment_intents.confirm(refused.id, {"payment_method": "pm_card_chargeDeclined"})
    refused = made["payment_intent declined"] = psp.payment_intents.retrieve(refused.id)
    made["charge failed"] = psp.charges.retrieve(refused.latest_charge)
    slow = made["payment_intent processing"] = pay("pm_sandbox_delayed_success")
    made["charge pending"] = slow.latest_charge
    made["payment_method debit"] = psp.payment_methods.retrieve(slow.payment_method)
    made["payment_intent requires_action"] = pay("pm_card_authenticationRequired")
    made["payment_intent requires_capture"] = pay("pm_card_visa", capture_method="manual")
    wallet = pay("pm_sandbox_wallet")
    made["charge wallet"] = wallet.latest_charge
    made["payment_method wallet"] = psp.payment_methods.retrieve(wallet.payment_method)
    code = pay("pm_sandbox_qr")
    made["charge qr"] = code.latest_charge
    made["payment_method qr"] = psp.payment_methods.retrieve(code.payment_method)
    made["setup_intent"] = psp.setup_intents.create(
        {"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True, "return_url": back}
    )
    undecided = psp.setup_intents.create({"return_url": back})
    with pytest.raises(stripe.CardError):
        psp.setup_intents.confirm(undecided.id, {"payment_method": "pm_card_chargeDeclined"})
    made["setup_intent declined"] = psp.setup_intents.retrieve(undecided.id)
    price = {"currency": "eur", "unit_amount": 700, "product_data": {"name": "Tea"}}
    session = made["checkout.session"] = psp.checkout.sessions.create(
        {"mode": "payment", "success_url": back, "line_items": [{"quantity": 2, "price_data": price}]}
    )
    made["checkout.session setup"] = psp.checkout.sessions.create(
        {"mode": "setup", "success_url": back, "cancel_url": back, "currency": "eur", "customer": customer.id}
    )
    made["item"] = psp.checkout.sessions.line_items.list(session.id).data[0]
    made["webhook_endpoint"] = psp.webhook_endpoints.create({"url": back, "enabled_events": ["charge.failed"]})
    made["event"] = psp.events.list({"type": "payment_intent.succeeded"}).data[0]
    disputed = pay("pm_card_createDispute")
    sandbox.advance(0)
    made["dispute"] = psp.disputes.list({"charge": disputed.latest_charge.id}).data[0]
    payee = made["account"] = psp.accounts.create({"type": "express", "external_account": "btok_de"})
    sent = psp.transfers.create(
        {
            "amount": 300,
            "currency": "eur",
            "destination": payee.id,
            "source_transaction": paid.latest_charge.id,
        }
    )
    made["transfer_reversal"] = psp.transfers.reversals.create(sent.id, {"amount": 100})
    made["transfer"] = psp.transfers.retrieve(sent.id)
    sandbox.advance(3 * 24 * 3600)
    made["payout"] = psp.payouts.create({"amount": 150, "currency": "eur"}, {"stripe_account": payee.id})
    made["balance"] = psp.balance.retrieve()
    return {name: json.loads(json.dumps(one.to_dict(), default=str)) for name, one in made.items()}


@pytest.fixture(scope="module")
def objects(sandbox_psp: SandboxPsp) -> dict[str, dict[str, Any]]:
    """Give one object of each kind and state."""
    client = stripe.StripeClient(sandbox_psp.new_key(), base_addresses={"api": sandbox_psp.url}, max_network_retries=0)
    return story(client.v1, sandbox_psp)


@pytest.fixture(scope="module")
def samples() -> dict[str, Any]:
    """Give Stripe's published samples."""
    if not SAMPLES_FILE.exists():
        pytest.skip(f"Stripe's samples are not beside this checkout ({SAMPLES_FILE.name} in ../shared/data)")
    resources: dict[str, Any] = json.loads(Path(SAMPLES_FILE).read_text())["resources"]
    return resources


def test_every_case_was_made(objects: dict[str, dict[str, Any]]) -> None:
    assert set(objects) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_it_has_every_key_of_the_sample_with_the_same_type(
    objects: dict[str, dict[str, Any]], samples: dict[str, Any], case: str
) -> None:
    kind = case.split(maxsplit=1)[0]
    found = list(differences_from_sample(objects[case], samples[kind], kind))
    print(f"{case}: {len(objects[case])} keys compared with {len(samples[kind])} of the sample, {found}")
    assert [one for one in found if not allowed(one)] == []


@pytest.mark.parametrize("case", CASES)
def test_it_is_what_the_sdk_says_it_is(objects: dict[str, dict[str, Any]], case: str) -> None:
    kind = case.split(maxsplit=1)[0]
    found = list(differences_from_sdk(objects[case], SDK_CLASSES[kind], kind))
    print(f"{case}: {len(objects[case])} keys compared with {SDK_CLASSES[kind].__name__}, {found}")
    assert [one for one in found if not allowed(one)] == []


def test_nothing_of_the_sandboxs_own_is_shown(objects: dict[str, dict[str, Any]]) -> None:
    assert '"_"' not in json.dumps(objects)


def test_every_allowed_difference_still_exists(objects: dict[str, dict[str, Any]], samples: dict[str, Any]) -> None:
    seen: set[str] = set()
    for case, ours in objects.items():
        kind = case.split()[0]
        seen |= set(differences_from_sample(ours, samples[kind], kind))
        seen |= set(differences_from_sdk(ours, SDK_CLASSES[kind], kind))
    unused = [pattern for pattern in ALLOWED if not any(fnmatchcase(one, pattern) for one in seen)]
    assert unused == [], "an allowance that nothing needs any more"
