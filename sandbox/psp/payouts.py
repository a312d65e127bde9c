"""Payouts from a balance to a bank: on their way, paid, and sometimes back again after they were paid."""

from typing import Any, Final

from .banking import bring_to_bank
from .call import Call
from .connect import FAILING_LAST4, bank_account_of, enough
from .currencies import currency_of
from .errors import Json, RefusalError, missing
from .events import emit
from .identifiers import new_id
from .ledger import BANK, record
from .lists import PAGING, page

CREATE: Final = frozenset(
    ("amount", "currency", "description", "destination", "metadata", "method", "source_type",
     "statement_descriptor",
     "expand")
)  # fmt: skip


def create(call: Call) -> Json:
    """`POST /v1/payouts`: leaves the balance at once, arrives a little later."""
    params = call.params
    params.only(CREATE)
    amount = params.integer("amount", at_least=1)
    if amount is None:
        raise missing("amount")
    currency = currency_of(params.required_text("currency"))
    bank = bank_account_of(call, call.scope) if call.connected else None
    if call.connected and bank is None:
        raise RefusalError(
            "Sorry, you don't have any external accounts in that currency.",
            param="currency",
            code="payouts_not_allowed",
        )
    enough(call, call.scope, currency, amount)
    return begin(
        call, amount=amount, currency=currency, destination=bank["id"] if bank else None,
        bounces=bank is not None and bank["last4"] in FAILING_LAST4, automatic=False,
        description=params.text("description"), metadata=params.metadata(),
        method=params.choice("method", ("standard", "instant"), "standard") or "standard",
        statement_descriptor=params.text("statement_descriptor"),
    )  # fmt: skip


def begin(
    call: Call,
    *,
    amount: int,
    currency: str,
    destination: str | None,
    bounces: bool,
    automatic: bool,
    description: str | None,
    metadata: dict[str, str],
    method: str = "standard",
    statement_descriptor: str | None = None,
) -> Json:
    """Take a payout out of the balance and send it on its way. An automatic one is reconciled when it arrives."""
    identifier = new_id("po")
    seconds = call.sandbox.settings.payout_seconds
    payout: Json = {
        "id": identifier,
        "object": "payout",
        "amount": amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": int(call.now + seconds),
        "automatic": automatic,
        "balance_transaction": None,
        "created": call.now,
        "currency": currency,
        "description": description,
        "destination": destination,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": metadata,
        "method": method,
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "in_progress" if automatic else "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": statement_descriptor,
        "status": "pending",
        "trace_id": {"status": "pending", "value": None},
        "type": "bank_account",
        "_": {"bounces": bounces},
    }
    transaction = record(
        call.store, call.scope, source=identifier, kind="payout", category="payout", amount=-amount,
        currency=currency,
        against=(call.scope, BANK), available_on=call.now, now=call.now, description="STRIPE PAYOUT",
    )  # fmt: skip
    payout["balance_transaction"] = transaction["id"]
    call.store.add(call.scope, payout)
    emit(call, "payout.created", payout)
    for word, share in (("in_transit", 0.5), ("paid", 1.0), ("failed", 2.0)):
        if word != "failed" or payout["_"]["bounces"]:
            call.sandbox.jobs.schedule(call, "payout.arrive", identifier, after_seconds=seconds * share, word=word)
    return payout


def move(call: Call, payout: Json, status: str) -> None:
    """Bring a payout to a later state; `failed` after `paid` is a bounce, the money comes back either way."""
    before = payout["status"]
    allowed = {
        "in_transit": ("pending",),
        "paid": ("pending", "in_transit"),
        "failed": ("pending", "in_transit", "paid"),
        "canceled": ("pending",),
    }
    if before not in allowed.get(status, ()):
        raise RefusalError(f"A payout that is {before} cannot become {status}.")
    payout["status"] = status
    if status in ("failed", "canceled"):
        kind = "payout_failure" if status == "failed" else "payout_cancel"
        transaction = record(
            call.store, call.scope, source=payout["id"], kind=kind, category="payout_reversal",
            amount=payout["amount"], currency=payout["currency"], against=(call.scope, BANK),
            available_on=call.now,
            now=call.now,
            description="STRIPE PAYOUT FAILURE" if status == "failed" else "STRIPE PAYOUT CANCEL",
        )  # fmt: skip
        payout["failure_balance_transaction"] = transaction["id"]
    if status == "failed" and before == "paid":
        call.sandbox.bank.take_back(payout["id"])
    if status == "failed":
        payout.update(failure_code="no_account", failure_message="The bank account could not be located.")
    if status == "paid":
        payout["trace_id"] = {"status": "supported", "value": new_id("trace")[6:26]}
        bring_to_bank(call, payout)
    reconciled = status == "paid" and payout["automatic"]
    if reconciled:
        payout["reconciliation_status"] = "completed"
    call.store.save(payout)
    name = {"in_transit": "payout.updated"}.get(status, f"payout.{status}")
    emit(call, name, payout)
    if reconciled:
        emit(call, "payout.reconciliation_completed", payout)


def arrive_job(call: Call, target: str, word: str) -> None:
    """Due: a payout is on its way, arrives, or bounces."""
    payout = call.store.get(call.scope, target, "payout")
    if payout is None or payout["status"] in ("failed", "canceled"):
        return
    if word == "in_transit" and payout["status"] != "pending":
        return
    if word == "paid" and payout["status"] == "paid":
        return
    move(call, payout, word)


def retrieve(call: Call) -> Json:
    """`GET /v1/payouts/{id}`."""
    call.params.only(frozenset(("expand",)))
    return call.addressed("payout", "payout")


def list_payouts(call: Call) -> Json:
    """`GET /v1/payouts`, by status."""
    params = call.params
    params.only(PAGING | {"status", "destination", "arrival_date"})
    where: dict[str, Any] = {"status": params.text("status"), "destination": params.text("destination")}
    return page(call, "payout", "/v1/payouts", where)


def cancel(call: Call) -> Json:
    """`POST /v1/payouts/{id}/cancel`: only while it is pending."""
    call.params.only(frozenset(("expand",)))
    payout = call.addressed("payout", "payout")
    if payout["status"] != "pending":
        raise RefusalError(
            f"This payout cannot be canceled because it is {payout['status']}.", code="payout_not_cancelable"
        )
    move(call, payout, "canceled")
    return payout
