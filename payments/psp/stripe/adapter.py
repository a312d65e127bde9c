"""The operations of the PSP contract, as calls to Stripe.

Each method builds parameters (typed by the SDK), makes its calls through the wire, and lets `results`
say what came of them. It must never decide to try again, and never turn doubt into a yes or a no.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from payments.psp.base import (
    CallContext,
    CallError,
    ConfirmRequest,
    ErrorCode,
    EvidenceRequest,
    HostedRequest,
    ObjectKind,
    ObjectStatus,
    Outcome,
    PayeeRequest,
    RegisterRequest,
    Result,
)
from payments.psp.failures import FailureCode, failure_of
from payments.psp.stripe.balance_lines import list_balance_lines
from payments.psp.stripe.changes import list_changes
from payments.psp.stripe.currencies import to_stripe
from payments.psp.stripe.fields import UnexpectedFormError, text_or_empty
from payments.psp.stripe.lookup import RESOURCES, find_by_operation
from payments.psp.stripe.methods import allowed_types
from payments.psp.stripe.payees import payee_params
from payments.psp.stripe.results import (
    CANCELLED,
    CAPTURED,
    CREATED,
    PAID,
    PAID_OUT,
    PAYOUT_STOPPED,
    REFUNDED,
    inexpressible,
    result_of_refusal,
    translated,
)
from payments.psp.stripe.sessions import hosted_session_params
from payments.psp.stripe.subscriptions import register_webhook
from payments.psp.stripe.translation import OPERATION_KEY, balance_snapshot, failure_from
from payments.psp.stripe.transport import Upload
from payments.psp.stripe.wire import Refusal, Wire

if TYPE_CHECKING:
    from stripe import RequestOptions
    from stripe.params import (
        DisputeUpdateParams,
        DisputeUpdateParamsEvidence,
        FileCreateParams,
        PaymentIntentCaptureParams,
        PaymentIntentConfirmParams,
        PaymentIntentCreateParams,
        PaymentIntentRetrieveParams,
        PayoutCreateParams,
        RefundCreateParams,
        SetupIntentConfirmParams,
        SetupIntentCreateParams,
        TransferCreateParams,
        TransferReversalCreateParams,
    )


class StripeAdapter:
    """One Stripe account (`base.Adapter`). Thread-safe; `base_url` empty means Stripe itself."""

    name = "stripe"

    def __init__(self, api_key: str, base_url: str = "") -> None:
        self._wire = Wire(api_key, base_url)
        self._v1 = self._wire.v1

    def register(self, context: CallContext, request: RegisterRequest) -> Result:
        """Create the PaymentIntent, unconfirmed."""
        amount = to_stripe(request.amount_minor, request.currency)
        if amount is None:
            return inexpressible(request.amount_minor, request.currency)
        params: PaymentIntentCreateParams = {
            "amount": amount,
            "currency": request.currency.lower(),
            "capture_method": "manual" if request.capture_later else "automatic",
            "metadata": _metadata(context),
        }
        if types := allowed_types(request.method_types):
            params["allowed_payment_method_types"] = [*types]
        if request.description:
            params["description"] = request.description
        if request.customer:
            params["customer"] = request.customer
        answer = self._wire.call(
            "payment_intents.create",
            lambda: self._wire.raw("post", "/v1/payment_intents", params, context.idempotency_key),
        )
        return translated(answer, ObjectKind.CHARGE, CREATED)

    def create_hosted_session(self, context: CallContext, request: HostedRequest) -> Result:
        """Open Stripe's page: a Checkout Session that pays, or that saves a method for later charges."""
        params = hosted_session_params(request, _metadata(context), context.operation_id)
        if params is None:
            return inexpressible(request.amount_minor, request.currency)
        answer = self._wire.call(
            "checkout.sessions.create", lambda: self._v1.checkout.sessions.create(params, _options(context))
        )
        return translated(answer, ObjectKind.SESSION, CREATED)

    def save_method(self, context: CallContext, token: str, return_url: str, customer: str = "") -> Result:
        """Attach a token to a customer, a new one by default, for off-session use: customer, SetupIntent, confirmation.

        Each of the three calls has a key of its own that derives from the operation's, so a repetition as a
        whole repeats what was done and goes on where it broke off.
        """
        metadata = _metadata(context)
        if not customer:
            made = self._wire.call(
                "customers.create",
                lambda: self._v1.customers.create({"metadata": metadata}, _options(context, ":customer")),
            )
            if isinstance(made, Refusal):
                return result_of_refusal(made)
            customer = text_or_empty(made.body, "id")
        setup: SetupIntentCreateParams = {
            "customer": customer,
            "usage": "off_session",
            "metadata": metadata,
        }
        created = translated(
            self._wire.call(
                "setup_intents.create",
                lambda: self._v1.setup_intents.create(setup, _options(context, ":setup")),
            ),
            ObjectKind.SAVED_METHOD,
            CREATED,
        )
        if created.outcome is not Outcome.SUCCEEDED or created.snapshot is None:
            return created
        intent_id = created.snapshot.psp_id
        params: SetupIntentConfirmParams = {"payment_method": token}
        if return_url:
            params["return_url"] = return_url
        answer = self._wire.call(
            "setup_intents.confirm",
            lambda: self._v1.setup_intents.confirm(intent_id, params, _options(context, ":confirm")),
        )
        result = translated(answer, ObjectKind.SAVED_METHOD, PAID)
        return result if result.snapshot else replace(result, snapshot=created.snapshot)

    def confirm(self, context: CallContext, psp_id: str, request: ConfirmRequest) -> Result:
        """Pay a PaymentIntent with a token; with a customer, off session by that customer's saved method."""
        params: PaymentIntentConfirmParams = {"payment_method": request.token, "expand": ["latest_charge"]}
        if request.return_url:
            params["return_url"] = request.return_url
        if request.customer:
            params["off_session"] = True
        answer = self._wire.call(
            "payment_intents.confirm",
            lambda: self._wire.raw("post", f"{_intent(psp_id)}/confirm", params, context.idempotency_key),
        )
        return translated(answer, ObjectKind.CHARGE, PAID, refused_as=FailureCode.PAYMENT_METHOD_UNUSABLE)

    def capture(self, context: CallContext, psp_id: str, amount_minor: int, currency: str) -> Result:
        """Capture once, in full or in part; Stripe releases what is left."""
        amount = to_stripe(amount_minor, currency)
        if amount is None:
            return inexpressible(amount_minor, currency)
        params: PaymentIntentCaptureParams = {"amount_to_capture": amount, "expand": ["latest_charge"]}
        answer = self._wire.call(
            "payment_intents.capture",
            lambda: self._v1.payment_intents.capture(psp_id, params, _options(context)),
        )
        return translated(answer, ObjectKind.CHARGE, CAPTURED, refused_as=FailureCode.NOT_CAPTURABLE)

    def cancel(self, context: CallContext, psp_id: str, session_id: str) -> Result:
        """Make sure that the charge can no longer be paid, and say where it stands.

        SUCCEEDED with a CANCELLED snapshot: done. SUCCEEDED with a SUCCEEDED snapshot: too late, it is paid.
        Stripe lets an intent that belongs to a session be cancelled only while money is held; otherwise the
        session has to be expired. A session that nobody tried to pay has no intent: then the snapshot is the
        session's.
        """
        if not session_id:
            return self._cancel_intent(context, psp_id)
        expired = self._wire.call(
            "checkout.sessions.expire",
            lambda: self._v1.checkout.sessions.expire(session_id, {}, _options(context, ":expire")),
        )
        if isinstance(expired, Refusal) and expired.outcome is not Outcome.DECLINED:
            return result_of_refusal(expired)
        session = self.fetch(ObjectKind.SESSION, session_id)
        if session.snapshot is None:
            return _in_doubt(session)
        intent_id = psp_id or session.snapshot.charge_psp_id
        if not intent_id:
            return replace(session, outcome=CANCELLED.get(session.snapshot.status, Outcome.UNKNOWN))
        intent = self.fetch(ObjectKind.CHARGE, intent_id)
        if intent.snapshot is None:
            return _in_doubt(intent)
        if intent.snapshot.status is ObjectStatus.AUTHORIZED or intent_id != session.snapshot.charge_psp_id:
            return self._cancel_intent(context, intent_id)
        if intent.snapshot.status in CANCELLED:
            return replace(intent, outcome=CANCELLED[intent.snapshot.status])
        return replace(session, outcome=CANCELLED.get(session.snapshot.status, Outcome.UNKNOWN))

    def refund(self, context: CallContext, psp_id: str, amount_minor: int, currency: str) -> Result:
        """Give money back, in full or in part."""
        amount = to_stripe(amount_minor, currency)
        if amount is None:
            return inexpressible(amount_minor, currency)
        params: RefundCreateParams = {
            "payment_intent": psp_id,
            "amount": amount,
            "metadata": _metadata(context),
        }
        answer = self._wire.call("refunds.create", lambda: self._v1.refunds.create(params, _options(context)))
        if isinstance(answer, Refusal) and answer.error.code == ErrorCode.UNEXPECTED_STATE:
            # The error shows the charge, not a refund: nothing was created.
            failure = failure_from(answer.body, FailureCode.NOT_REFUNDABLE)
            return Result(Outcome.DECLINED, error=answer.error, request_id=answer.request_id, failure=failure)
        return translated(answer, ObjectKind.REFUND, REFUNDED, refused_as=FailureCode.NOT_REFUNDABLE)

    def submit_evidence(self, context: CallContext, psp_id: str, request: EvidenceRequest) -> Result:
        """Upload the documents, then hand everything in; each call has a key that derives from the operation's.

        An upload has no effect on the dispute, so a repetition as a whole goes on where it broke off.
        """
        evidence: dict[str, str] = dict(request.texts)
        for document in request.documents:
            upload: FileCreateParams = {"file": Upload(document.name, document.content), "purpose": "dispute_evidence"}
            made = self._wire.call(
                "files.create", partial(self._v1.files.create, upload, _options(context, f":{document.kind}"))
            )
            if isinstance(made, Refusal):
                return result_of_refusal(made)
            evidence[document.kind] = text_or_empty(made.body, "id")
        params: DisputeUpdateParams = {"evidence": cast("DisputeUpdateParamsEvidence", evidence), "submit": True}
        answer = self._wire.call("disputes.update", lambda: self._v1.disputes.update(psp_id, params, _options(context)))
        return translated(answer, ObjectKind.DISPUTE, CREATED)

    def accept_dispute(self, context: CallContext, psp_id: str) -> Result:
        """Close the dispute, which Stripe counts as lost at once."""
        answer = self._wire.call("disputes.close", lambda: self._v1.disputes.close(psp_id, {}, _options(context)))
        return translated(answer, ObjectKind.DISPUTE, CREATED)

    def create_payee(self, context: CallContext, request: PayeeRequest) -> Result:
        """Make a connected account that we pay out by hand, with the seller's bank account."""
        params = payee_params(request, _metadata(context))
        answer = self._wire.call("accounts.create", lambda: self._v1.accounts.create(params, _options(context)))
        return translated(answer, ObjectKind.PAYEE, CREATED, refused_as=FailureCode.PAYOUT_NOT_POSSIBLE)

    def transfer(self, context: CallContext, payee: str, amount_minor: int, currency: str) -> Result:
        """Move money from our available balance to a connected account."""
        amount = to_stripe(amount_minor, currency)
        if amount is None:
            return inexpressible(amount_minor, currency)
        params: TransferCreateParams = {
            "amount": amount,
            "currency": currency.lower(),
            "destination": payee,
            "metadata": _metadata(context),
        }
        answer = self._wire.call("transfers.create", lambda: self._v1.transfers.create(params, _options(context)))
        result = translated(answer, ObjectKind.TRANSFER, CREATED, refused_as=FailureCode.PAYOUT_NOT_POSSIBLE)
        if result.failure is not None and result.failure.code == FailureCode.PAYMENT_METHOD_UNUSABLE:
            # What Stripe does not find here is the seller's account, and no buyer's method.
            return replace(result, failure=failure_of(FailureCode.PAYOUT_NOT_POSSIBLE, result.failure.psp_code))
        return result

    def reverse_transfer(self, context: CallContext, transfer: str, amount_minor: int, currency: str) -> Result:
        """Take money back from a connected account."""
        amount = to_stripe(amount_minor, currency)
        if amount is None:
            return inexpressible(amount_minor, currency)
        params: TransferReversalCreateParams = {"amount": amount, "metadata": _metadata(context)}
        answer = self._wire.call(
            "transfers.reversals.create",
            lambda: self._v1.transfers.reversals.create(transfer, params, _options(context)),
        )
        return translated(answer, ObjectKind.REVERSAL, CREATED, refused_as=FailureCode.PAYOUT_NOT_POSSIBLE)

    def payout(self, context: CallContext, payee: str, amount_minor: int, currency: str) -> Result:
        """Pay a connected account's balance out to its bank account."""
        amount = to_stripe(amount_minor, currency)
        if amount is None:
            return inexpressible(amount_minor, currency)
        params: PayoutCreateParams = {
            "amount": amount,
            "currency": currency.lower(),
            "metadata": _metadata(context),
        }
        options: RequestOptions = {**_options(context), "stripe_account": payee}
        answer = self._wire.call("payouts.create", lambda: self._v1.payouts.create(params, options))
        return translated(answer, ObjectKind.PAYOUT, PAID_OUT, refused_as=FailureCode.PAYOUT_NOT_POSSIBLE)

    def cancel_payout(self, context: CallContext, payee: str, payout: str) -> Result:
        """Cancel a payout of a connected account; Stripe does that only while it is `pending`.

        A refusal does not show the payout, so where it stands is asked: one that had ended before needs no cancelling.
        """
        options: RequestOptions = {**_options(context), "stripe_account": payee}
        answer = self._wire.call("payouts.cancel", lambda: self._v1.payouts.cancel(payout, {}, options))
        result = translated(answer, ObjectKind.PAYOUT, PAYOUT_STOPPED, refused_as=FailureCode.PAYOUT_NOT_CANCELLABLE)
        if isinstance(answer, Refusal) and answer.error.code == ErrorCode.REFUSED:
            fetched = self.fetch(ObjectKind.PAYOUT, payout, payee)
            if fetched.snapshot is None:
                return _in_doubt(fetched)
            outcome = PAYOUT_STOPPED.get(fetched.snapshot.status, Outcome.UNKNOWN)
            failure = result.failure if outcome is Outcome.DECLINED else None
            return replace(result, outcome=outcome, snapshot=fetched.snapshot, failure=failure)
        return result

    def balance(self, currency: str) -> Result:
        """Ask what is available in our balance; a number below zero is told as it is."""
        answer = self._wire.call("balance.retrieve", self._v1.balance.retrieve)
        if isinstance(answer, Refusal):
            return result_of_refusal(answer)
        try:
            snapshot = balance_snapshot(answer.body, currency)
        except UnexpectedFormError as problem:
            error = CallError(ErrorCode.UNEXPECTED_ANSWER, str(problem))
            return Result(Outcome.UNKNOWN, error=error, request_id=answer.request_id)
        return Result(Outcome.SUCCEEDED, snapshot, request_id=answer.request_id)

    def fetch(self, kind: ObjectKind, psp_id: str, owner: str = "") -> Result:
        """Ask what an object is now. SUCCEEDED means that Stripe answered; the snapshot says what."""
        match kind:
            case ObjectKind.CHARGE:
                params: PaymentIntentRetrieveParams = {"expand": ["latest_charge"]}
                return self._fetched(kind, lambda: self._wire.raw("get", _intent(psp_id), params))
            case ObjectKind.SESSION:
                expand = ["payment_intent.latest_charge", "setup_intent"]
                return self._fetched(kind, lambda: self._v1.checkout.sessions.retrieve(psp_id, {"expand": expand}))
            case ObjectKind.SAVED_METHOD:
                return self._fetched(kind, lambda: self._v1.setup_intents.retrieve(psp_id))
            case ObjectKind.REFUND:
                return self._fetched(kind, lambda: self._v1.refunds.retrieve(psp_id))
            case ObjectKind.DISPUTE:
                return self._fetched(kind, lambda: self._v1.disputes.retrieve(psp_id))
            case ObjectKind.PAYEE:
                return self._fetched(kind, lambda: self._v1.accounts.retrieve(psp_id))
            case ObjectKind.TRANSFER:
                return self._fetched(kind, lambda: self._v1.transfers.retrieve(psp_id))
            case ObjectKind.REVERSAL:
                return self._fetched(kind, lambda: self._v1.transfers.reversals.retrieve(owner, psp_id))
            case ObjectKind.PAYOUT:
                options: RequestOptions = {"stripe_account": owner} if owner else {}
                return self._fetched(kind, lambda: self._v1.payouts.retrieve(psp_id, {}, options))
            case ObjectKind.BALANCE:
                raise AssertionError("ask for a balance with balance()")

    def find(self, kind: ObjectKind, operation_id: str, near: datetime, owner: str = "") -> Result:
        """Look for the object that an operation created; `near` is when its first request was sent."""
        return find_by_operation(self._wire, kind, operation_id, near, owner)

    def changes(self, since: datetime, cursor: str = "") -> Result:
        """List Stripe's events about refunds and disputes, and about payments that succeeded, since a moment."""
        return list_changes(self._wire, since, cursor)

    def balance_lines(self, since: datetime, until: datetime, cursor: str = "") -> Result:
        """List the balance transactions of our account, each with what moved."""
        return list_balance_lines(self._wire, since, until, cursor)

    def ensure_webhook(self, url: str) -> str:
        """Register our notification address and return its secret. Raises `ConnectionError` on failure."""
        return register_webhook(self._wire, url)

    def _fetched(self, kind: ObjectKind, send: Callable[[], object]) -> Result:
        return translated(self._wire.call(f"{RESOURCES[kind]}.retrieve", send), kind, CREATED)

    def _cancel_intent(self, context: CallContext, psp_id: str) -> Result:
        answer = self._wire.call(
            "payment_intents.cancel", lambda: self._v1.payment_intents.cancel(psp_id, {}, _options(context))
        )
        result = translated(answer, ObjectKind.CHARGE, CANCELLED)
        if isinstance(answer, Refusal) and answer.error.code == ErrorCode.REFUSED and result.snapshot is None:
            # Refused without saying why: whatever the intent is now is the answer.
            fetched = self.fetch(ObjectKind.CHARGE, psp_id)
            if fetched.snapshot is not None:
                outcome = CANCELLED.get(fetched.snapshot.status, Outcome.DECLINED)
                return replace(result, outcome=outcome, snapshot=fetched.snapshot)
        return result


def _intent(psp_id: str) -> str:
    return f"/v1/payment_intents/{quote(psp_id, safe='')}"


def _options(context: CallContext, suffix: str = "") -> "RequestOptions":
    return {"idempotency_key": context.idempotency_key + suffix}


def _metadata(context: CallContext) -> dict[str, str]:
    return {**context.metadata, OPERATION_KEY: context.operation_id}


def _in_doubt(read: Result) -> Result:
    """Something may have been done before this reading failed, so it cannot count as not executed."""
    return replace(read, outcome=Outcome.UNKNOWN) if read.outcome is Outcome.NOT_EXECUTED else read
