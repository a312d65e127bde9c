"""Disputes: opened by a token or by hand, answered with evidence, won or lost by hand."""

from typing import Any, Final

from .call import Call
from .currencies import dispute_fee
from .errors import Json, RefusalError
from .events import emit
from .identifiers import new_id
from .ledger import NETWORKS, record
from .lists import PAGING, page

EVIDENCE: Final = (
    "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
    "cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
    "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id", "product_description", "receipt", "refund_policy", "refund_policy_disclosure",
    "refund_refusal_explanation", "service_date", "service_documentation", "shipping_address",
    "shipping_carrier",
    "shipping_date", "shipping_documentation", "shipping_tracking_number", "uncategorized_file",
    "uncategorized_text",
)  # fmt: skip
FILES: Final = (
    "cancellation_policy", "customer_communication", "customer_signature", "duplicate_charge_documentation", "receipt",
    "refund_policy", "service_documentation", "shipping_documentation", "uncategorized_file",
)  # fmt: skip
REASONS: Final = {
    "fraudulent": "10.4",
    "product_not_received": "13.1",
    "general": "13.3",
    "duplicate": "12.6",
}
TIME_TO_ANSWER_SECONDS: Final = 9 * 24 * 3600
INQUIRY: Final = ("warning_needs_response", "warning_under_review")
OPEN: Final = (*INQUIRY, "needs_response", "under_review")
ENDS: Final = ("won", "lost", "warning_closed")


def open_dispute(
    call: Call,
    charge: Json,
    *,
    reason: str,
    amount: int | None = None,
    inquiry: bool = False,
    settled_in: str | None = None,
) -> Json:
    """Open a dispute over a charge: the money and a fee leave the merchant's balance at once.

    An inquiry moves no money. `settled_in` lets the money leave in another currency.
    """
    amount = amount or charge["amount_captured"]
    card = charge["payment_method_details"].get("card") or {}
    brand = card.get("brand", "visa")
    dispute: Json = {
        "id": new_id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": call.now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": call.now + TIME_TO_ANSWER_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": brand, "case_type": "inquiry" if inquiry else "chargeback", "network": brand,
                "network_reason_code": REASONS[reason],
            },
            "type": "card",
        },
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
        "_": {"settled_in": settled_in or charge["currency"]},
    }  # fmt: skip
    if not inquiry:
        _withdraw(call, dispute)
    call.store.add(call.scope, dispute, parent=charge["id"])
    charge["disputed"] = True
    # What is only asked about can still be refunded.
    charge["_"]["dispute_closed"] = inquiry
    call.store.save(charge)
    emit(call, "charge.dispute.created", dispute)
    if not inquiry:
        emit(call, "charge.dispute.funds_withdrawn", dispute)
    return dispute


def escalate(call: Call, dispute: Json) -> None:
    """Let an inquiry become a dispute: now the money leaves."""
    if dispute["status"] not in (*INQUIRY, "warning_closed"):
        raise RefusalError(f"This is no inquiry: it is {dispute['status']}.")
    dispute["status"] = "needs_response"
    dispute["is_charge_refundable"] = False
    dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
    _withdraw(call, dispute)
    call.store.save(dispute)
    charge = call.store.get(call.scope, dispute["charge"], "charge")
    if charge is not None:
        charge["_"]["dispute_closed"] = False
        call.store.save(charge)
    emit(call, "charge.dispute.updated", dispute)
    emit(call, "charge.dispute.funds_withdrawn", dispute)


def _withdraw(call: Call, dispute: Json) -> None:
    fee = dispute_fee(dispute["currency"])
    _adjust(call, dispute, -dispute["amount"], fee=fee, category="dispute")


def _adjust(call: Call, dispute: Json, amount: int, *, fee: int, category: str) -> None:
    verb = "withdrawal" if amount < 0 else "reversal"
    transaction = record(
        call.store,
        call.scope,
        source=dispute["id"],
        kind="adjustment",
        category=category,
        amount=amount,
        fee=fee,
        currency=dispute["_"]["settled_in"],
        against=(call.scope, NETWORKS),
        available_on=call.now,
        now=call.now,
        description=f"Chargeback {verb} for {dispute['charge']}",
        fee_description="Dispute fee",
    )
    dispute["balance_transactions"].append(transaction)


def decide(call: Call, dispute: Json, status: str, *, returned: int | None = None, fee_returned: bool = False) -> None:
    """Close a dispute: `won` gives the money back (not the fee), `lost` leaves things as they are.

    `returned` is what comes back instead. A lost dispute may be won after all (an appeal).
    """
    closed = dispute["status"] not in OPEN
    if closed and (dispute["status"], status) != ("lost", "won"):
        raise RefusalError(f"This dispute is already closed: it is {dispute['status']}.")
    if (status == "warning_closed") != (dispute["status"] in INQUIRY):
        raise RefusalError("An inquiry ends as warning_closed, and nothing else does.")
    dispute["status"] = status
    back = returned if returned is not None else dispute["amount"] if status == "won" else 0
    if back or fee_returned:
        _give_back(call, dispute, back, fee_returned=fee_returned)
    if status == "won":
        dispute["is_charge_refundable"] = True
    call.store.save(dispute)
    charge = call.store.get(call.scope, dispute["charge"], "charge")
    if charge is not None:
        charge["_"]["dispute_closed"] = status != "lost"
        call.store.save(charge)
    emit(call, "charge.dispute.closed", dispute)
    if back:
        emit(call, "charge.dispute.funds_reinstated", dispute)


def reinstate(call: Call, dispute: Json, amount: int) -> None:
    """Give money back later than the decision."""
    _give_back(call, dispute, amount)
    call.store.save(dispute)
    emit(call, "charge.dispute.funds_reinstated", dispute)


def _give_back(call: Call, dispute: Json, amount: int, *, fee_returned: bool = False) -> None:
    fee = -dispute_fee(dispute["currency"]) if fee_returned else 0
    _adjust(call, dispute, amount, fee=fee, category="dispute_reversal")


def open_job(call: Call, target: str, word: str) -> None:
    """Due: the buyer of a special token disputes the charge."""
    charge = call.store.get(call.scope, target, "charge")
    if charge is not None and not charge["disputed"]:
        open_dispute(call, charge, reason=word)


def retrieve(call: Call) -> Json:
    """`GET /v1/disputes/{id}`."""
    call.params.only(frozenset(("expand",)))
    return call.addressed("dispute", "dispute")


def list_disputes(call: Call) -> Json:
    """`GET /v1/disputes`, by charge or PaymentIntent."""
    params = call.params
    params.only(PAGING | {"charge", "payment_intent"})
    where: dict[str, Any] = {"parent": params.text("charge"), "payment_intent": params.text("payment_intent")}
    return page(call, "dispute", "/v1/disputes", where)


def update(call: Call) -> Json:
    """`POST /v1/disputes/{id}`: evidence, and `submit` to hand it in (it is by default)."""
    params = call.params
    params.only(frozenset(("evidence", "metadata", "submit", "expand")))
    dispute = call.addressed("dispute", "dispute")
    evidence = params.child("evidence")
    evidence.only(frozenset(EVIDENCE))
    if evidence.values and dispute["status"] not in OPEN:
        raise RefusalError("This dispute is already closed, and no longer accepts evidence.")
    for name in evidence.values:
        value = evidence.text(name, at_most=20_000)
        if name in FILES and value:
            call.referred("file", value, param=f"evidence[{name}]")
        dispute["evidence"][name] = value
    if evidence.values:
        dispute["evidence_details"]["has_evidence"] = True
        if params.flag("submit", default=True):
            dispute["evidence_details"]["submission_count"] += 1
            dispute["evidence_details"]["submission_method"] = "manual"
            dispute["status"] = "warning_under_review" if dispute["status"] in INQUIRY else "under_review"
    dispute["metadata"] = params.metadata(dispute["metadata"])
    call.store.save(dispute)
    emit(call, "charge.dispute.updated", dispute)
    return dispute


def close(call: Call) -> Json:
    """`POST /v1/disputes/{id}/close`: accept it as lost."""
    call.params.only(frozenset(("expand",)))
    dispute = call.addressed("dispute", "dispute")
    decide(call, dispute, "lost")
    return dispute
