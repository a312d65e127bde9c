"""What the conformance suite does: each operation, what has to be there before it, how often it happened.

An operation is tried through the adapter; whether it had its effect is asked of the server with the bare SDK,
so that the adapter cannot be wrong about itself.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import stripe

from payments.psp.base import (
    Adapter,
    CallContext,
    ConfirmRequest,
    EvidenceDocument,
    EvidenceRequest,
    HostedRequest,
    ObjectKind,
    OrderLine,
    PayeeRequest,
    RegisterRequest,
    Result,
)
from payments.psp.stripe import StripeAdapter

EVIDENCE = EvidenceRequest(
    {"product_description": "A teapot"}, (EvidenceDocument("receipt", "receipt.pdf", b"%PDF-1.7 a receipt"),)
)
RETURN_URL = "https://shop.example/thanks"
VISA = "pm_card_visa"
AT_ONCE = "pm_card_bypassPending"  # its money is available at once
PAYEE = PayeeRequest("DE", "EUR", "DE89370400440532013000", "", "Ann Example", "Ann's Pots", "ann@shop.example")

type Truth = Any  # the SDK's services; tests read fields that only our answers have


@dataclass(frozen=True)
class Bench:
    """An adapter, the same account seen by the bare SDK, and what is needed to make more of them."""

    adapter: StripeAdapter
    truth: Truth

    @classmethod
    def at(cls, url: str, key: str) -> "Bench":
        """Set one up for an account of a server."""
        client = stripe.StripeClient(key, base_addresses={"api": url}, max_network_retries=0)
        return cls(StripeAdapter(key, base_url=url), client.v1)


def context(name: str = "") -> CallContext:
    """Return a fresh operation."""
    operation_id = f"op_{name}{uuid.uuid4().hex}"
    return CallContext(f"key-{operation_id}", operation_id, {"florin_payment": "pay_1"})


@dataclass(frozen=True)
class Situation:
    """A prepared operation: the objects that it is about."""

    charge: str = ""
    session: str = ""
    customer: str = ""
    token: str = VISA
    dispute: str = ""
    payee: str = ""
    transfer: str = ""
    payout: str = ""


@dataclass(frozen=True)
class Operation:
    """One operation of the contract as the suite knows it."""

    name: str
    endpoint: str  # what the sandbox calls the request that has the effect
    prepare: Callable[[Bench], Situation]
    perform: Callable[[Adapter, CallContext, Situation], Result]
    happened: Callable[[Bench, CallContext, Situation], int]
    perform_otherwise: Callable[[Adapter, CallContext, Situation], Result] | None = None
    kinds: tuple[ObjectKind, ...] = field(default=())


def registered(bench: Bench, amount: int = 1999, currency: str = "EUR", *, later: bool = False) -> str:
    """Register a charge and return its id."""
    result = bench.adapter.register(context(), RegisterRequest(amount, currency, later))
    assert result.snapshot is not None, result
    return result.snapshot.psp_id


def paid(bench: Bench, amount: int = 1999, currency: str = "EUR", *, later: bool = False) -> str:
    """Register and pay a charge and return its id."""
    charge = registered(bench, amount, currency, later=later)
    result = bench.adapter.confirm(context(), charge, ConfirmRequest(VISA, RETURN_URL))
    assert result.snapshot is not None, result
    return charge


def disputed(bench: Bench) -> Situation:
    """Pay with a card whose holder disputes the charge, and wait for that."""
    charge = registered(bench)
    bench.adapter.confirm(context(), charge, ConfirmRequest("pm_card_createDispute", RETURN_URL))
    gives_up_at = time.monotonic() + 10
    while True:
        found = bench.truth.disputes.list({"payment_intent": charge}).data
        if found:
            return Situation(charge=charge, dispute=found[0].id)
        assert time.monotonic() < gives_up_at, "nobody disputed the charge"
        time.sleep(0.01)


def payee(bench: Bench) -> Situation:
    """Make a seller's bank account known."""
    made = bench.adapter.create_payee(context(), PAYEE).snapshot
    assert made is not None
    return Situation(payee=made.psp_id)


def funded(bench: Bench) -> Situation:
    """Have 50.00 EUR available, and somebody to pay."""
    charge = registered(bench, 5_000)
    bench.adapter.confirm(context(), charge, ConfirmRequest(AT_ONCE, RETURN_URL))
    return payee(bench)


def transferred(bench: Bench) -> Situation:
    """Transfer 7.00 EUR to somebody."""
    it = funded(bench)
    made = bench.adapter.transfer(context(), it.payee, 700, "EUR").snapshot
    assert made is not None
    return replace(it, transfer=made.psp_id)


def paid_out(bench: Bench) -> Situation:
    """Pay 7.00 EUR out to somebody's bank; it has not left yet."""
    it = transferred(bench)
    made = bench.adapter.payout(context(), it.payee, 700, "EUR").snapshot
    assert made is not None
    return replace(it, payout=made.psp_id)


def hosted(amount: int = 2500, **more: Any) -> HostedRequest:
    """Return a request for a hosted session of two lines."""
    lines = (OrderLine("Teapot", amount - 501), OrderLine("Cup", 501))
    return HostedRequest(
        amount, "EUR", capture_later=False, lines=lines, return_url=RETURN_URL, cancel_url=RETURN_URL, **more
    )


def _with_metadata(objects: Any, operation_id: str) -> list[Any]:
    return [one for one in objects.data if one.to_dict()["metadata"].get("florin_operation") == operation_id]


def _charge(bench: Bench, situation: Situation) -> Any:
    return bench.truth.payment_intents.retrieve(situation.charge).to_dict()


def _saved(bench: Bench, ctx: CallContext, situation: Situation) -> int:
    made = _with_metadata(bench.truth.setup_intents.list({"limit": 100}), ctx.operation_id)
    return len([one for one in made if one.status == "succeeded"])


REGISTER = Operation(
    name="register",
    endpoint="payment_intents.create",
    prepare=lambda _bench: Situation(),
    perform=lambda adapter, ctx, _it: adapter.register(ctx, RegisterRequest(1999, "EUR", capture_later=False)),
    happened=lambda bench, ctx, _it: len(
        _with_metadata(bench.truth.payment_intents.list({"limit": 100}), ctx.operation_id)
    ),
    perform_otherwise=lambda adapter, ctx, _it: adapter.register(ctx, RegisterRequest(2000, "EUR", False)),
)
HOSTED = Operation(
    name="create_hosted_session",
    endpoint="checkout.sessions.create",
    prepare=lambda _bench: Situation(),
    perform=lambda adapter, ctx, _it: adapter.create_hosted_session(ctx, hosted()),
    happened=lambda bench, ctx, _it: len(
        _with_metadata(bench.truth.checkout.sessions.list({"limit": 100}), ctx.operation_id)
    ),
    perform_otherwise=lambda adapter, ctx, _it: adapter.create_hosted_session(ctx, hosted(2600)),
)
SAVE_METHOD = Operation(
    name="save_method",
    endpoint="setup_intents.confirm",
    prepare=lambda _bench: Situation(),
    perform=lambda adapter, ctx, it: adapter.save_method(ctx, it.token, RETURN_URL),
    happened=_saved,
    perform_otherwise=lambda adapter, ctx, _it: adapter.save_method(ctx, "pm_card_mastercard", RETURN_URL),
)
CONFIRM = Operation(
    name="confirm",
    endpoint="payment_intents.confirm",
    prepare=lambda bench: Situation(charge=registered(bench)),
    perform=lambda adapter, ctx, it: adapter.confirm(ctx, it.charge, ConfirmRequest(it.token, RETURN_URL)),
    happened=lambda bench, _ctx, it: len(
        [one for one in bench.truth.charges.list({"payment_intent": it.charge}).data if one.paid]
    ),
    perform_otherwise=lambda adapter, ctx, it: adapter.confirm(
        ctx, it.charge, ConfirmRequest("pm_card_mastercard", RETURN_URL)
    ),
)
CAPTURE = Operation(
    name="capture",
    endpoint="payment_intents.capture",
    prepare=lambda bench: Situation(charge=paid(bench, later=True)),
    perform=lambda adapter, ctx, it: adapter.capture(ctx, it.charge, 1500, "EUR"),
    happened=lambda bench, _ctx, it: int(_charge(bench, it)["amount_received"] == 1500),
    perform_otherwise=lambda adapter, ctx, it: adapter.capture(ctx, it.charge, 1400, "EUR"),
)
CANCEL = Operation(
    name="cancel",
    endpoint="payment_intents.cancel",
    prepare=lambda bench: Situation(charge=paid(bench, later=True)),
    perform=lambda adapter, ctx, it: adapter.cancel(ctx, it.charge, ""),
    happened=lambda bench, _ctx, it: int(_charge(bench, it)["status"] == "canceled"),
)
REFUND = Operation(
    name="refund",
    endpoint="refunds.create",
    prepare=lambda bench: Situation(charge=paid(bench)),
    perform=lambda adapter, ctx, it: adapter.refund(ctx, it.charge, 700, "EUR"),
    happened=lambda bench, ctx, it: len(
        _with_metadata(bench.truth.refunds.list({"payment_intent": it.charge}), ctx.operation_id)
    ),
    perform_otherwise=lambda adapter, ctx, it: adapter.refund(ctx, it.charge, 800, "EUR"),
)
SUBMIT_EVIDENCE = Operation(
    name="submit_evidence",
    endpoint="disputes.update",
    prepare=lambda bench: disputed(bench),
    perform=lambda adapter, ctx, it: adapter.submit_evidence(ctx, it.dispute, EVIDENCE),
    happened=lambda bench, _ctx, it: bench.truth.disputes.retrieve(it.dispute).evidence_details.submission_count,
    perform_otherwise=lambda adapter, ctx, it: adapter.submit_evidence(
        ctx, it.dispute, EvidenceRequest({"product_description": "A cup"})
    ),
)
ACCEPT_DISPUTE = Operation(
    name="accept_dispute",
    endpoint="disputes.close",
    prepare=lambda bench: disputed(bench),
    perform=lambda adapter, ctx, it: adapter.accept_dispute(ctx, it.dispute),
    happened=lambda bench, _ctx, it: int(bench.truth.disputes.retrieve(it.dispute).status == "lost"),
)
CREATE_PAYEE = Operation(
    name="create_payee",
    endpoint="accounts.create",
    prepare=lambda _bench: Situation(),
    perform=lambda adapter, ctx, _it: adapter.create_payee(ctx, PAYEE),
    happened=lambda bench, ctx, _it: len(_with_metadata(bench.truth.accounts.list({"limit": 100}), ctx.operation_id)),
    perform_otherwise=lambda adapter, ctx, _it: adapter.create_payee(ctx, replace(PAYEE, name="Bob's Books")),
)
TRANSFER = Operation(
    name="transfer",
    endpoint="transfers.create",
    prepare=lambda bench: funded(bench),
    perform=lambda adapter, ctx, it: adapter.transfer(ctx, it.payee, 700, "EUR"),
    happened=lambda bench, ctx, _it: len(_with_metadata(bench.truth.transfers.list({"limit": 100}), ctx.operation_id)),
    perform_otherwise=lambda adapter, ctx, it: adapter.transfer(ctx, it.payee, 800, "EUR"),
)
REVERSE_TRANSFER = Operation(
    name="reverse_transfer",
    endpoint="transfers.reversals.create",
    prepare=lambda bench: transferred(bench),
    perform=lambda adapter, ctx, it: adapter.reverse_transfer(ctx, it.transfer, 700, "EUR"),
    happened=lambda bench, ctx, it: len(
        _with_metadata(bench.truth.transfers.reversals.list(it.transfer), ctx.operation_id)
    ),
    perform_otherwise=lambda adapter, ctx, it: adapter.reverse_transfer(ctx, it.transfer, 600, "EUR"),
)
PAYOUT = Operation(
    name="payout",
    endpoint="payouts.create",
    prepare=lambda bench: transferred(bench),
    perform=lambda adapter, ctx, it: adapter.payout(ctx, it.payee, 700, "EUR"),
    happened=lambda bench, ctx, it: len(
        _with_metadata(bench.truth.payouts.list({}, {"stripe_account": it.payee}), ctx.operation_id)
    ),
    perform_otherwise=lambda adapter, ctx, it: adapter.payout(ctx, it.payee, 600, "EUR"),
)
CANCEL_PAYOUT = Operation(
    name="cancel_payout",
    endpoint="payouts.cancel",
    prepare=lambda bench: paid_out(bench),
    perform=lambda adapter, ctx, it: adapter.cancel_payout(ctx, it.payee, it.payout),
    happened=lambda bench, _ctx, it: int(
        bench.truth.payouts.retrieve(it.payout, {}, {"stripe_account": it.payee}).status == "canceled"
    ),
)
MONEY = (
    REGISTER, HOSTED, SAVE_METHOD, CONFIRM, CAPTURE, CANCEL, REFUND, SUBMIT_EVIDENCE, ACCEPT_DISPUTE, CREATE_PAYEE,
    TRANSFER, REVERSE_TRANSFER, PAYOUT, CANCEL_PAYOUT,
)  # fmt: skip

FETCH = Operation(
    name="fetch",
    endpoint="payment_intents.retrieve",
    prepare=lambda bench: Situation(charge=registered(bench)),
    perform=lambda adapter, _ctx, it: adapter.fetch(ObjectKind.CHARGE, it.charge),
    happened=lambda _bench, _ctx, _it: 0,
)
FIND = Operation(
    name="find",
    endpoint="payment_intents.list",
    prepare=lambda bench: Situation(charge=registered(bench)),
    perform=lambda adapter, ctx, _it: adapter.find(ObjectKind.CHARGE, ctx.operation_id, datetime.now(UTC)),
    happened=lambda _bench, _ctx, _it: 0,
)
GET_PAYEE = Operation(
    name="get_payee",
    endpoint="accounts.retrieve",
    prepare=lambda bench: payee(bench),
    perform=lambda adapter, _ctx, it: adapter.fetch(ObjectKind.PAYEE, it.payee),
    happened=lambda _bench, _ctx, _it: 0,
)
READS = (FETCH, FIND, GET_PAYEE)
