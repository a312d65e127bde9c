"""Charges: what an attempt to pay has led to, and the one place where money comes in."""

from typing import Any, Final

from .call import Call
from .currencies import card_fee
from .errors import Json
from .events import emit
from .identifiers import new_id
from .ledger import NETWORKS, SETTLES_AFTER_SECONDS, record
from .lists import PAGING, page, whole
from .methods import token_of
from .tokens import Decline, Token

FEATURES: Final = ("extended_authorization", "incremental_authorization", "multicapture")
NO_DETAILS: Final = dict.fromkeys(
    ("address_line1_check", "address_postal_code_check"),
)


def paid_with(call: Call, method: Json, *, amount: int, manual: bool, authenticated: bool) -> Json:
    """Answer `payment_method_details` of a charge."""
    kind = method["type"]
    if kind == "card":
        card = method["card"]
        return {
            "type": "card",
            "card": {
                "amount_authorized": amount,
                "authorization_code": "123456",
                "brand": card["brand"],
                "checks": {**NO_DETAILS, "cvc_check": "pass"},
                "country": card["country"],
                "exp_month": card["exp_month"],
                "exp_year": card["exp_year"],
                "extended_authorization": {"status": "disabled"},
                "fingerprint": card["fingerprint"],
                "funding": card["funding"],
                "incremental_authorization": {"status": "unavailable"},
                "installments": None,
                "last4": card["last4"],
                "mandate": None,
                "multicapture": {"status": "unavailable"},
                "network": card["brand"],
                "network_token": {"used": False},
                "network_transaction_id": new_id("ntx")[4:19],
                "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
                "regulated_status": "unregulated",
                "three_d_secure": _authentication() if authenticated else None,
                "transaction_link_id": None,
                "wallet": None,
                **({"capture_before": call.now + 7 * 24 * 3600} if manual else {}),
            },
        }
    if kind == "link":
        return {"type": "link", "link": {"country": "DE"}}
    if kind == "sepa_debit":
        bank = {name: part for name, part in method["sepa_debit"].items() if name != "generated_from"}
        return {"type": "sepa_debit", "sepa_debit": {**bank, "mandate": None}}
    details = dict.fromkeys(("fingerprint", "location", "reader", "transaction_id"))
    return {"type": kind, kind: details}


def _authentication() -> Json:
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": new_id("tds"),
        "version": "2.2.0",
    }


def open_charge(
    call: Call,
    intent: Json,
    method: Json,
    *,
    status: str,
    manual: bool = False,
    decline: Decline | None = None,
    authenticated: bool = False,
) -> Json:
    """Answer a new charge of a PaymentIntent, not stored yet; money is booked by `book`."""
    identifier = new_id("ch" if method["type"] == "card" else "py")
    amount = intent["amount"]
    return {
        "id": identifier,
        "object": "charge",
        "amount": amount,
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "SANDBOX",
        "captured": False,
        "created": call.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": decline.code if decline else None,
        "failure_message": decline.message if decline else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": outcome_of(status, decline),
        "paid": status == "succeeded",
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": paid_with(
            call,
            method,
            amount=amount,
            manual=manual,
            authenticated=authenticated,
        ),
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": status,
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
        "_": {"token": method["_"]["token"], "released": 0},
    }


def keep(call: Call, charge: Json) -> Json:
    """Store a new charge."""
    return call.store.add(call.scope, charge, parent=charge["payment_intent"])


def outcome_of(status: str, decline: Decline | None) -> Json:
    """Answer `outcome` of a charge."""
    outcome: Json = {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
    if status == "pending":
        return {**outcome, "seller_message": "The bank has not yet answered."}
    if decline is not None:
        return {
            **outcome,
            "network_decline_code": "01",
            "network_status": "declined_by_network",
            "reason": decline.decline_code or decline.code,
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        }
    return outcome


def book(call: Call, charge: Json, amount: int, token: Token, *, new: bool) -> None:
    """Book the money of a charge: what was captured comes in, less the fee, available two days later."""
    available_on = call.now if token.available_at_once else call.now + SETTLES_AFTER_SECONDS
    card = charge["payment_method_details"]["type"] == "card"
    transaction = record(
        call.store,
        call.scope,
        source=charge["id"],
        kind="charge" if card else "payment",
        category="charge",
        amount=amount,
        fee=card_fee(amount, charge["currency"]),
        currency=charge["currency"],
        against=(call.scope, NETWORKS),
        available_on=available_on,
        now=call.now,
        description=charge["description"],
    )
    charge.update(
        amount_captured=amount,
        captured=True,
        paid=True,
        status="succeeded",
        balance_transaction=transaction["id"],
    )
    if new:
        keep(call, charge)
    else:
        call.store.save(charge)


def release(call: Call, charge: Json, amount: int) -> None:
    """Give back what was authorised and not captured: Stripe shows it as refunded, nothing moved."""
    charge["_"]["released"] = amount
    charge["amount_refunded"] = amount
    charge["refunded"] = amount == charge["amount"]
    call.store.save(charge)


def refunds_of(call: Call, charge: Json) -> Json:
    """Answer the list of a charge's refunds, newest first, which it shows when it is expanded."""
    url = f"/v1/charges/{charge['id']}/refunds"
    return whole(url, list(reversed(call.store.children(charge["id"], "refund"))))


def refundable(charge: Json) -> int:
    """Answer how much of a charge can still be refunded, in minor units."""
    return int(charge["amount_captured"] + charge["_"]["released"] - charge["amount_refunded"])


def token_behind(charge: Json) -> Token:
    """Answer the magic token that paid."""
    return token_of(charge)


def retrieve_charge(call: Call) -> Json:
    """`GET /v1/charges/{id}`."""
    call.params.only(frozenset(("expand",)))
    return call.addressed("charge", "charge")


def update_charge(call: Call) -> Json:
    """`POST /v1/charges/{id}`: metadata, description, transfer_group."""
    params = call.params
    params.only(frozenset(("metadata", "description", "transfer_group", "receipt_email", "expand")))
    charge = call.addressed("charge", "charge")
    charge["metadata"] = params.metadata(charge["metadata"])
    for name in ("description", "transfer_group", "receipt_email"):
        if name in params:
            charge[name] = params.text(name)
    call.store.save(charge)
    emit(call, "charge.updated", charge)
    return charge


def list_charges(call: Call) -> Json:
    """`GET /v1/charges`."""
    params = call.params
    params.only(
        PAGING | {"customer", "payment_intent", "transfer_group"}
    )  # fmt: skip
    where: dict[str, Any] = {
        "customer": params.text("customer"),
        "parent": params.text("payment_intent"),
        "transfer_group": params.text("transfer_group"),
    }
    return page(call, "charge", "/v1/charges", where)
