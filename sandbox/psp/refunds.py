"""Refunds: never more than was captured; cards at once, the special tokens later or not at all."""

from typing import Any, Final

from . import charges
from .call import Call
from .currencies import check_amount, money
from .errors import Json, ParameterError, RefusalError
from .events import emit
from .identifiers import new_id
from .ledger import NETWORKS, record
from .lists import PAGING, page

CREATE: Final = frozenset(
    ("payment_intent", "charge", "amount", "currency", "metadata", "reason", "expand")
)  # fmt: skip
REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer")
SLOW_SECONDS: Final = 5.0


def _charge_to_refund(call: Call) -> Json:
    intent_id, charge_id = call.params.text("payment_intent"), call.params.text("charge")
    if charge_id is None and intent_id is None:
        raise ParameterError(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )
    if charge_id is None:
        intent = call.referred("payment_intent", str(intent_id), param="payment_intent")
        charge = call.store.get(call.scope, intent["latest_charge"] or "", "charge")
        if charge is None or charge["status"] != "succeeded":
            raise RefusalError(
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                param="payment_intent",
            )
        return charge
    return call.referred("charge", charge_id, param="charge")


def create(call: Call) -> Json:
    """`POST /v1/refunds`, by PaymentIntent or charge; without an amount everything that is left."""
    params = call.params
    params.only(CREATE)
    amount = params.integer("amount", at_least=1)
    reason = params.choice("reason", REASONS)
    metadata = params.metadata()
    charge = _charge_to_refund(call)
    currency = charge["currency"]
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise RefusalError(
            f"Charge {charge['id']} has not been captured and cannot be refunded.",
            code="charge_not_refundable",
        )
    if charge["disputed"] and not charge["_"].get("dispute_closed"):
        raise RefusalError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    left = charges.refundable(charge)
    if left == 0:
        raise RefusalError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount is None:
        amount = left
    if amount > left:
        raise RefusalError(
            f"Refund amount ({money(amount, currency)}) is greater than unrefunded amount on charge "
            f"({money(left, currency)})",
            param="amount",
        )
    check_amount(amount, currency)
    token = charges.token_behind(charge)
    refund: Json = {
        "id": new_id("re" if charge["id"].startswith("ch_") else "pyr"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": call.now,
        "currency": currency,
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        }
        if charge["payment_method_details"]["type"] == "card"
        else None,
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending" if token.refund == "pends" else "succeeded",
        "transfer_reversal": None,
    }
    _book(call, refund, charge)
    call.store.add(call.scope, refund, parent=charge["id"])
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    call.store.save(charge)
    emit(call, "refund.created", refund)
    emit(call, "charge.refunded", charge)
    if token.refund is not None:
        call.sandbox.jobs.schedule(call, "refund.decide", refund["id"], after_seconds=SLOW_SECONDS, word=token.refund)
    return refund


def _book(call: Call, refund: Json, charge: Json) -> None:
    incoming = call.store.get(call.scope, charge["balance_transaction"] or "", "balance_transaction")
    pending_until = incoming["available_on"] if incoming else call.now
    card = refund["id"].startswith("re_")
    transaction = record(
        call.store,
        call.scope,
        source=refund["id"],
        kind="refund" if card else "payment_refund",
        category="refund",
        amount=-refund["amount"],
        currency=refund["currency"],
        against=(call.scope, NETWORKS),
        available_on=max(call.now, pending_until),
        now=call.now,
        description=f"REFUND FOR CHARGE ({charge['description'] or charge['id']})",
    )
    refund["balance_transaction"] = transaction["id"]


def fail(call: Call, refund: Json) -> None:
    """Let a refund fail: the money comes back to the merchant."""
    charge = call.store.get(call.scope, refund["charge"], "charge")
    if charge is None:
        raise LookupError(f"{refund['id']} has no charge")
    transaction = record(
        call.store,
        call.scope,
        source=refund["id"],
        kind="refund_failure",
        category="refund_failure",
        amount=refund["amount"],
        currency=refund["currency"],
        against=(call.scope, NETWORKS),
        available_on=call.now,
        now=call.now,
        description="REFUND FAILURE",
    )
    refund.update(
        status="failed",
        failure_reason="expired_or_canceled_card",
        failure_balance_transaction=transaction["id"],
    )
    call.store.save(refund)
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    call.store.save(charge)
    emit(call, "refund.updated", refund)
    emit(call, "refund.failed", refund)
    emit(call, "charge.refund.updated", refund)


def decide_job(call: Call, target: str, word: str) -> None:
    """Due: a slow refund succeeds, or one that seemed to succeed fails."""
    refund = call.store.get(call.scope, target, "refund")
    if refund is None or refund["status"] not in ("pending", "succeeded"):
        return
    if word == "fails":
        fail(call, refund)
    elif refund["status"] == "pending":
        refund["status"] = "succeeded"
        call.store.save(refund)
        emit(call, "refund.updated", refund)


def retrieve(call: Call) -> Json:
    """`GET /v1/refunds/{id}`."""
    call.params.only(frozenset(("expand",)))
    return call.addressed("refund", "refund")


def update(call: Call) -> Json:
    """`POST /v1/refunds/{id}`: metadata only."""
    call.params.only(frozenset(("metadata", "expand")))
    refund = call.addressed("refund", "refund")
    refund["metadata"] = call.params.metadata(refund["metadata"])
    call.store.save(refund)
    emit(call, "refund.updated", refund)
    return refund


def list_refunds(call: Call) -> Json:
    """`GET /v1/refunds`, by PaymentIntent or charge."""
    params = call.params
    params.only(PAGING | {"payment_intent", "charge"})
    where: dict[str, Any] = {"payment_intent": params.text("payment_intent"), "parent": params.text("charge")}
    return page(call, "refund", "/v1/refunds", where)
