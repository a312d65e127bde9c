"""PSP calls: what an operation, a poll or a notification asks of an adapter, as plain values.

A `Call` is built while the database is at hand and run later, in a thread, without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import structlog
from django.conf import settings

from ledger.ids import public_id
from payments import checkout_links, dispute_calls
from payments.appliers.batch import Report
from payments.appliers.operations import NOT_WANTED, is_followed
from payments.encryption import unseal
from payments.models import Charge, PaymentEvent, PspAccount, PspOperation, Refund
from payments.psp import registry
from payments.psp.base import (
    Adapter,
    CallContext,
    CallError,
    ConfirmRequest,
    ErrorCode,
    HostedRequest,
    ObjectKind,
    ObjectStatus,
    OrderLine,
    Outcome,
    RegisterRequest,
    Result,
)
from payments.work import Claim

# Stripe may forget an idempotency key after 24 h; a replay older than this would be a new request.
KEY_IS_SAFE_FOR = timedelta(hours=20)

_K = PspOperation.Kind
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One conversation with a PSP, and whom its answer is about."""

    account_id: int
    event_id: int
    charge_id: int | None
    run: Callable[[], Result]
    operation_id: int | None = None
    fence: int = 0
    sent_before: bool = False
    charge_status: str = ""
    about_dispute: bool = False

    def report(self, result: Result) -> Report:
        """Turn the answer into what settlement takes."""
        return Report(
            self.event_id, self.charge_id, result, self.operation_id, self.fence, self.sent_before, self.charge_status,
            self.about_dispute,
        )  # fmt: skip


def adapter_of(account: PspAccount) -> Adapter:
    """Return the adapter of an account, with its credentials opened."""
    key = _opened(bytes(account.api_key), f"psp_account.api_key:{account.public_id}", settings.FIELD_KEY)
    return registry.adapter_for(registry.Credentials(account.adapter, key, account.base_url))


@lru_cache(maxsize=1000)
def _opened(sealed: bytes, identity: str, _field_key: str) -> str:
    """Open a credential once; the registry keeps it in memory anyway. Another ciphertext or key is opened anew."""
    return unseal(sealed, identity=identity)


def of_operation(operation: PspOperation, claim: Claim, *, now: datetime) -> Call:
    """Build the call of a claimed operation: send it, or find out first what an earlier call led to."""
    sent_before = claim.was != PspOperation.State.PREPARED
    run = with_adapter(
        operation.psp_account, lambda adapter: _conversation(adapter, operation, sent_before=sent_before, now=now)
    )
    status = str(operation.charge.status) if operation.charge else ""
    return Call(
        operation.psp_account_id, operation.payment_id, operation.charge_id, run, operation.pk, claim.fence,
        sent_before, status, about_dispute=operation.dispute_id is not None,
    )  # fmt: skip


def with_adapter(account: PspAccount, build: Callable[[Adapter], Callable[[], Result]]) -> Callable[[], Result]:
    """Build a conversation. An account that cannot be spoken for (its credentials do not open) sends nothing.

    It must not raise: the calls of every other account are built beside this one, and would never be made.
    """
    try:
        return build(adapter_of(account))
    except Exception as error:
        log.exception("psp_account_unusable", psp_account=account.pk)
        error_code, detail = ErrorCode.MISCONFIGURED, f"{type(error).__name__}: {error}"[:300]
        return lambda: Result(Outcome.NOT_EXECUTED, error=CallError(error_code, detail))


def _conversation(
    adapter: Adapter, operation: PspOperation, *, sent_before: bool, now: datetime
) -> Callable[[], Result]:
    """Return what is said to the PSP about an operation: ask first where an earlier call may have had an effect."""
    charge, event = operation.charge, operation.event
    assert event is not None, "operations of payouts are spoken by payout_calls"
    wanted = not _was_withdrawn(operation, charge)
    # The PSP has the refund: there is nothing to send any more, whatever becomes of the question.
    followed = is_followed(operation)
    send = _sender(adapter, operation, event, charge)
    key_is_safe = operation.first_sent_at is None or now - operation.first_sent_at < KEY_IS_SAFE_FOR
    ask = _asker(adapter, operation, charge, now=now, key_is_safe=key_is_safe)

    def run() -> Result:
        if sent_before:
            result = ask()
            if result is not None and (followed or result.outcome != Outcome.NOT_EXECUTED):
                return result
            if result is None and not wanted and operation.kind == _K.CONFIRM:
                # Asking found nothing; without a replay there is nothing more to learn.
                return _not_wanted()
        if not wanted:
            return _not_wanted()
        if sent_before and not key_is_safe:
            return Result(Outcome.UNKNOWN, error=CallError("key_too_old", "Too old to replay; a person decides."))
        return send()

    return run


def of_charge(charge: Charge) -> Call:
    """Build the call that asks where a charge stands."""
    psp_id, session_id = charge.psp_id, charge.session_id

    def asked_of(adapter: Adapter) -> Callable[[], Result]:
        if psp_id:
            return lambda: adapter.fetch(ObjectKind.CHARGE, psp_id)
        return lambda: _charge_of_session(adapter, session_id)

    run = with_adapter(charge.psp_account, asked_of)
    return Call(charge.psp_account_id, charge.event_id, charge.pk, run, charge_status=str(charge.status))


def of_refund(refund: Refund) -> Call:
    """Build the call that asks where a refund stands."""
    psp_id, charge = refund.psp_id or "", refund.charge
    run = with_adapter(charge.psp_account, lambda adapter: lambda: adapter.fetch(ObjectKind.REFUND, psp_id))
    return Call(charge.psp_account_id, charge.event_id, charge.pk, run)


def of_found_refund(charge: Charge, psp_id: str) -> Call:
    """Build the call that asks what a refund of a charge is that we did not ask for."""
    run = with_adapter(charge.psp_account, lambda adapter: lambda: adapter.fetch(ObjectKind.REFUND, psp_id))
    return Call(charge.psp_account_id, charge.event_id, charge.pk, run)


def of_dispute(charge: Charge, psp_id: str) -> Call:
    """Build the call that asks where a dispute of a charge stands."""
    run = with_adapter(charge.psp_account, lambda adapter: lambda: adapter.fetch(ObjectKind.DISPUTE, psp_id))
    return Call(charge.psp_account_id, charge.event_id, charge.pk, run, about_dispute=True)


def _charge_of_session(adapter: Adapter, session_id: str) -> Result:
    """Find the charge that a hosted session led to, if it led to one yet."""
    session = adapter.fetch(ObjectKind.SESSION, session_id)
    if session.snapshot is None or not session.snapshot.charge_psp_id:
        return Result(session.outcome, error=session.error, request_id=session.request_id)
    return adapter.fetch(ObjectKind.CHARGE, session.snapshot.charge_psp_id)


def _not_wanted() -> Result:
    return Result(Outcome.NOT_EXECUTED, error=CallError(NOT_WANTED, "Cancelled before it was sent."))


def _was_withdrawn(operation: PspOperation, charge: Charge | None) -> bool:
    paying = operation.kind in (_K.REGISTER, _K.HOSTED_SESSION, _K.CONFIRM)
    return paying and charge is not None and bool(charge.cancel_reason)


def _context(operation: PspOperation, event: PaymentEvent, charge: Charge | None) -> CallContext:
    metadata = {"florin_payment": public_id("pay", event.public_id), "checkout_id": event.checkout_id[:500]}
    if charge is not None:
        metadata["florin_charge"] = public_id("chg", charge.public_id)
    return CallContext(operation.idempotency_key, str(operation.public_id), metadata)


def _sender(
    adapter: Adapter, operation: PspOperation, event: PaymentEvent, charge: Charge | None
) -> Callable[[], Result]:
    """Return the call that does what the operation says. Everything it needs is read now, not in the thread."""
    context = _context(operation, event, charge)
    if operation.kind in dispute_calls.KINDS:
        return dispute_calls.sender(adapter, operation, context)
    token = str(operation.parameters.get("token", ""))
    return_url = checkout_links.return_address(event.public_id)
    if charge is None:
        # What was registered for a customer can be paid with that customer's methods only: another try keeps it.
        customer = str(operation.parameters.get("customer", ""))
        return lambda: adapter.save_method(context, token, return_url, customer)
    currency, psp_id, session_id = charge.currency_id, charge.psp_id or "", charge.session_id
    capture_later = event.capture == PaymentEvent.Capture.MANUAL
    methods = tuple(event.payment_method_types)
    amount = operation.amount_minor
    match _K(operation.kind):
        case _K.REGISTER:
            registration = RegisterRequest(
                charge.amount_minor, currency, capture_later, f"Checkout {event.checkout_id}"[:200], methods,
                event.psp_customer,
            )  # fmt: skip
            return lambda: adapter.register(context, registration)
        case _K.HOSTED_SESSION:
            page = HostedRequest(
                charge.amount_minor,
                currency,
                capture_later,
                tuple(
                    OrderLine(order.description or order.reference or "Order", order.amount_minor)
                    for order in charge.orders.all()
                ),
                return_url,
                checkout_links.checkout_url(event.public_id),
                methods,
            )
            return lambda: adapter.create_hosted_session(context, page)
        case _K.CONFIRM:
            # A fresh token comes from a buyer who is there; only the saved method is charged without one.
            customer = "" if token else event.psp_customer
            confirmation = ConfirmRequest(token or event.psp_saved_method, return_url, customer)
            return lambda: adapter.confirm(context, psp_id, confirmation)
        case _K.CAPTURE:
            return lambda: adapter.capture(context, psp_id, amount, currency)
        case _K.CANCEL:
            return lambda: adapter.cancel(context, psp_id, session_id)
        case _K.REFUND:
            return lambda: adapter.refund(context, psp_id, amount, currency)
        case _:
            raise AssertionError(f"{operation.kind} needs no charge")


def _asker(  # noqa: C901 - one question per kind of operation, side by side
    adapter: Adapter, operation: PspOperation, charge: Charge | None, *, now: datetime, key_is_safe: bool
) -> Callable[[], Result | None]:
    """Return the question that comes before a second try. It answers `None` when only a replay can tell.

    A replay with the same key is safe while the PSP remembers the key: it repeats the first answer or, if the first
    call never arrived, executes it once. After a stored error the key is useless and absence must be proven.
    """
    kind, generation = _K(operation.kind), operation.key_generation
    operation_id, near = str(operation.public_id), operation.first_sent_at or now
    psp_id = (charge.psp_id if charge else None) or str(operation.parameters.get("psp_id", ""))
    session_id = charge.session_id if charge else ""
    replayable = generation == 0 and key_is_safe

    def creations(found: ObjectKind) -> Result | None:
        return None if replayable else adapter.find(found, operation_id, near, psp_id)

    def confirm() -> Result | None:
        result = adapter.fetch(ObjectKind.CHARGE, psp_id)
        if result.snapshot is None:
            return Result(Outcome.UNKNOWN, error=result.error, request_id=result.request_id)
        if result.snapshot.status in (ObjectStatus.OPEN, ObjectStatus.DECLINED):
            # Declined now, or before this call? The PSP object can pay once only, so asking again with the key is safe.
            return None
        return _as_answer(result)

    def capture() -> Result | None:
        result = adapter.fetch(ObjectKind.CHARGE, psp_id)
        if result.snapshot is None:
            return Result(Outcome.UNKNOWN, error=result.error, request_id=result.request_id)
        return None if result.snapshot.status == ObjectStatus.AUTHORIZED else _as_answer(result)

    def cancel() -> Result | None:
        result = adapter.fetch(ObjectKind.CHARGE, psp_id) if psp_id else _charge_of_session(adapter, session_id)
        ended = result.snapshot is not None and result.snapshot.status in (
            ObjectStatus.CANCELLED,
            ObjectStatus.SUCCEEDED,
        )
        return _as_answer(result) if ended else None

    def refund() -> Result | None:
        own_id = str(operation.parameters.get("psp_id", ""))
        if not own_id:
            return creations(ObjectKind.REFUND)
        found = adapter.fetch(ObjectKind.REFUND, own_id)
        return found if found.snapshot is None else _as_answer(found)

    def saved_method() -> Result | None:
        found = adapter.fetch(ObjectKind.SAVED_METHOD, psp_id) if psp_id else creations(ObjectKind.SAVED_METHOD)
        if found is None or found.snapshot is None:
            return found
        # Open: it was made, but its confirmation did not arrive. Saving moves no money, so it is simply sent again.
        return None if found.snapshot.status == ObjectStatus.OPEN else _as_answer(found)

    match kind:
        case _K.SUBMIT_EVIDENCE | _K.ACCEPT_DISPUTE:
            return dispute_calls.asker(adapter, operation)
        case _K.CONFIRM:
            return confirm
        case _K.CAPTURE:
            return capture
        case _K.CANCEL:
            return cancel
        case _K.SAVE_METHOD:
            return saved_method
        case _K.REGISTER:
            return lambda: creations(ObjectKind.CHARGE)
        case _K.HOSTED_SESSION:
            return lambda: creations(ObjectKind.SESSION)
        case _K.REFUND:
            return refund
        case _:
            raise AssertionError(f"{kind} is about a payout")


def _as_answer(result: Result) -> Result:
    """Read a fetched state as the answer to the call that led to it."""
    outcomes = {
        ObjectStatus.PROCESSING: Outcome.PENDING,
        ObjectStatus.REQUIRES_ACTION: Outcome.REQUIRES_ACTION,
        ObjectStatus.DECLINED: Outcome.DECLINED,
        ObjectStatus.AUTHORIZED: Outcome.SUCCEEDED,
        ObjectStatus.SUCCEEDED: Outcome.SUCCEEDED,
        ObjectStatus.CANCELLED: Outcome.DECLINED,
        ObjectStatus.FAILED: Outcome.DECLINED,
        ObjectStatus.OPEN: Outcome.PENDING,
    }
    assert result.snapshot is not None
    return Result(outcomes[result.snapshot.status], result.snapshot, None, result.request_id)


def read_timeout_seconds() -> float:
    """Return the longest time that one conversation may take: three calls at most, each with its own timeouts."""
    return 3 * float(settings.PSP_READ_TIMEOUT_SECONDS + settings.PSP_CONNECT_TIMEOUT_SECONDS)
