"""Stripe's objects in our words: the only place that knows what a PaymentIntent's status means.

Pure functions from JSON to `Snapshot`. They raise `UnexpectedFormError` for anything that is not the object
it should be; they must never guess an amount, a currency or a status.
"""

from collections.abc import Callable
from typing import Final

from payments.psp.base import Failure, MethodDetails, NextAction, ObjectKind, ObjectStatus, Snapshot
from payments.psp.failures import FailureCode, failure_of
from payments.psp.stripe.currencies import from_stripe
from payments.psp.stripe.disputes import dispute_snapshot
from payments.psp.stripe.fields import (
    Json,
    UnexpectedFormError,
    child,
    integer,
    integer_or,
    mapping,
    moment_or_none,
    reference,
    text,
    text_or_empty,
    texts,
)
from payments.psp.stripe.methods import QR_TYPES

OPERATION_KEY: Final = "florin_operation"

_INTENT_STATUSES: Final = {
    "requires_confirmation": ObjectStatus.OPEN,
    "requires_action": ObjectStatus.REQUIRES_ACTION,
    "processing": ObjectStatus.PROCESSING,
    "requires_capture": ObjectStatus.AUTHORIZED,
    "succeeded": ObjectStatus.SUCCEEDED,
    "canceled": ObjectStatus.CANCELLED,
}
_REFUND_STATUSES: Final = {
    "pending": ObjectStatus.PROCESSING,
    "requires_action": ObjectStatus.REQUIRES_ACTION,
    "succeeded": ObjectStatus.SUCCEEDED,
    "failed": ObjectStatus.FAILED,
    "canceled": ObjectStatus.CANCELLED,
}

_PAYOUT_STATUSES: Final = {
    "pending": ObjectStatus.PROCESSING,
    "in_transit": ObjectStatus.PROCESSING,
    "paid": ObjectStatus.SUCCEEDED,
    "failed": ObjectStatus.FAILED,
    "canceled": ObjectStatus.CANCELLED,
}

# docs.stripe.com/declines/codes and docs.stripe.com/error-codes; whatever is not named is `card_declined`.
_PSP_CODES: Final = {
    FailureCode.CARD_DECLINED: "card_declined",
    FailureCode.INSUFFICIENT_FUNDS: "insufficient_funds",
    FailureCode.EXPIRED_CARD: "expired_card",
    FailureCode.INCORRECT_CVC: "incorrect_cvc invalid_cvc",
    FailureCode.INCORRECT_DETAILS: (
        "incorrect_number invalid_number invalid_expiry_month invalid_expiry_year invalid_account "
        "incorrect_zip incorrect_address postal_code_invalid"
    ),
    FailureCode.LIMIT_EXCEEDED: (
        "card_velocity_exceeded withdrawal_count_limit_exceeded charge_exceeds_transaction_limit"
    ),
    FailureCode.AUTHENTICATION_REQUIRED: "authentication_required online_or_offline_pin_required",
    FailureCode.AUTHENTICATION_FAILED: (
        "payment_intent_authentication_failure setup_intent_authentication_failure "
        "authentication_not_handled payment_method_customer_decline"
    ),
    FailureCode.PROCESSING_ERROR: (
        "processing_error issuer_not_available try_again_later reenter_transaction approve_with_id "
        "payment_method_provider_timeout payment_intent_payment_attempt_expired"
    ),
    FailureCode.PAYMENT_DECLINED: (
        "payment_intent_payment_attempt_failed payment_method_provider_decline bank_account_declined "
        "debit_not_authorized charge_exceeds_source_limit"
    ),
    FailureCode.PAYMENT_METHOD_UNUSABLE: (
        "card_not_supported currency_not_supported not_permitted transaction_not_allowed "
        "payment_method_unactivated payment_method_unexpected_state payment_method_not_available "
        "payment_method_invalid_parameter payment_method_currency_mismatch resource_missing "
        "payment_intent_incompatible_payment_method"
    ),
    FailureCode.AMOUNT_NOT_ACCEPTED: (
        "amount_too_small amount_too_large invalid_charge_amount invalid_charge_amount_no_decimal_compatible"
    ),
    FailureCode.INSUFFICIENT_BALANCE: "balance_insufficient insufficient_funds_in_balance",
    FailureCode.PAYOUT_NOT_POSSIBLE: "payouts_not_allowed payouts_limit_exceeded transfers_not_allowed",
}
_FAILURE_CODES: Final = {psp_code: code for code, words in _PSP_CODES.items() for psp_code in words.split()}


def failure_from(error: Json, default: FailureCode = FailureCode.CARD_DECLINED) -> Failure:
    """Translate an error or a `last_payment_error`: the issuer's `decline_code` says more than `code`."""
    code, decline_code = text_or_empty(error, "code"), text_or_empty(error, "decline_code")
    translated = _FAILURE_CODES.get(decline_code) or _FAILURE_CODES.get(code) or default
    return failure_of(translated, decline_code or code or text_or_empty(error, "type"))


def charge_snapshot(intent: Json) -> Snapshot:
    """Translate a PaymentIntent, with its `latest_charge` expanded or not."""
    _expect(intent, "payment_intent")
    failed_try = child(intent, "last_payment_error")
    status = _intent_status(intent, failed_try)
    currency = text(intent, "currency").upper()
    amount = integer(intent, "amount")
    charge = child(intent, "latest_charge")
    received = _received(intent, charge, amount, status)
    capturable = integer_or(intent, "amount_capturable", amount if status is ObjectStatus.AUTHORIZED else 0)
    return Snapshot(
        kind=ObjectKind.CHARGE,
        psp_id=text(intent, "id"),
        status=status,
        currency=currency,
        amount_minor=_ours(amount, currency),
        capturable_minor=_ours(capturable, currency),
        captured_minor=_ours(received, currency),
        failure=_intent_failure(status, failed_try),
        next_action=next_action(intent),
        method=_charge_method(charge, failed_try),
        customer=reference(intent, "customer"),
        payment_method=reference(intent, "payment_method"),
        created_at=moment_or_none(intent, "created"),
        metadata=texts(intent, "metadata"),
    )


def saved_method_snapshot(intent: Json) -> Snapshot:
    """Translate a SetupIntent."""
    _expect(intent, "setup_intent")
    failed_try = child(intent, "last_setup_error")
    status = _intent_status(intent, failed_try)
    return Snapshot(
        kind=ObjectKind.SAVED_METHOD,
        psp_id=text(intent, "id"),
        status=status,
        failure=_intent_failure(status, failed_try),
        next_action=next_action(intent),
        customer=reference(intent, "customer"),
        payment_method=reference(intent, "payment_method"),
        created_at=moment_or_none(intent, "created"),
        metadata=texts(intent, "metadata"),
    )


def session_snapshot(session: Json) -> Snapshot:
    """Translate a Checkout Session. Its intents, where expanded, say more than its own status."""
    _expect(session, "checkout.session")
    payment, setup = child(session, "payment_intent"), child(session, "setup_intent")
    inner = charge_snapshot(payment) if payment else saved_method_snapshot(setup) if setup else None
    currency = text_or_empty(session, "currency").upper()
    total = integer_or(session, "amount_total", 0)
    return Snapshot(
        kind=ObjectKind.SESSION,
        psp_id=text(session, "id"),
        status=_session_status(session, inner),
        currency=currency,
        amount_minor=_ours(total, currency) if total else 0,
        capturable_minor=inner.capturable_minor if inner else 0,
        captured_minor=inner.captured_minor if inner else 0,
        failure=inner.failure if inner else None,
        method=inner.method if inner else None,
        charge_psp_id=reference(session, "payment_intent"),
        customer=reference(session, "customer") or (inner.customer if inner else ""),
        payment_method=inner.payment_method if inner else "",
        url=text_or_empty(session, "url"),
        created_at=moment_or_none(session, "created"),
        metadata=texts(session, "metadata"),
    )


def refund_snapshot(refund: Json) -> Snapshot:
    """Translate a Refund."""
    _expect(refund, "refund")
    status = _known(_REFUND_STATUSES, text(refund, "status"))
    currency = text(refund, "currency").upper()
    reason = text_or_empty(refund, "failure_reason")
    return Snapshot(
        kind=ObjectKind.REFUND,
        psp_id=text(refund, "id"),
        status=status,
        currency=currency,
        amount_minor=_ours(integer(refund, "amount"), currency),
        failure=failure_of(FailureCode.REFUND_FAILED, reason) if status is ObjectStatus.FAILED else None,
        charge_psp_id=reference(refund, "payment_intent") or reference(refund, "charge"),
        created_at=moment_or_none(refund, "created"),
        metadata=texts(refund, "metadata"),
    )


def payee_snapshot(account: Json) -> Snapshot:
    """Translate a connected account."""
    _expect(account, "account")
    return Snapshot(
        kind=ObjectKind.PAYEE,
        psp_id=text(account, "id"),
        status=ObjectStatus.SUCCEEDED,
        created_at=moment_or_none(account, "created"),
        metadata=texts(account, "metadata"),
    )


def transfer_snapshot(transfer: Json) -> Snapshot:
    """Translate a Transfer: it exists, so the money was moved. Whether it was moved back is its reversals' to say."""
    _expect(transfer, "transfer")
    return _moved(ObjectKind.TRANSFER, transfer, owner=reference(transfer, "destination"))


def reversal_snapshot(reversal: Json) -> Snapshot:
    """Translate the reversal of a Transfer."""
    _expect(reversal, "transfer_reversal")
    return _moved(ObjectKind.REVERSAL, reversal, owner=reference(reversal, "transfer"))


def _moved(kind: ObjectKind, moved: Json, *, owner: str) -> Snapshot:
    currency = text(moved, "currency").upper()
    return Snapshot(
        kind=kind,
        psp_id=text(moved, "id"),
        status=ObjectStatus.SUCCEEDED,
        currency=currency,
        amount_minor=_ours(integer(moved, "amount"), currency),
        charge_psp_id=owner,
        created_at=moment_or_none(moved, "created"),
        metadata=texts(moved, "metadata"),
    )


def payout_snapshot(payout: Json) -> Snapshot:
    """Translate a Payout. `failed` may come after `paid`: the bank gave the money back."""
    _expect(payout, "payout")
    status = _known(_PAYOUT_STATUSES, text(payout, "status"))
    currency = text(payout, "currency").upper()
    reason = text_or_empty(payout, "failure_code")
    why = {ObjectStatus.FAILED: FailureCode.PAYOUT_FAILED, ObjectStatus.CANCELLED: FailureCode.PAYOUT_CANCELLED}
    return Snapshot(
        kind=ObjectKind.PAYOUT,
        psp_id=text(payout, "id"),
        status=status,
        currency=currency,
        amount_minor=_ours(integer(payout, "amount"), currency),
        failure=failure_of(why[status], reason or str(payout.get("status"))) if status in why else None,
        created_at=moment_or_none(payout, "created"),
        metadata=texts(payout, "metadata"),
    )


def balance_snapshot(balance: Json, currency: str) -> Snapshot:
    """Translate what is available of one currency; a currency that is not named has nothing."""
    _expect(balance, "balance")
    parts = balance.get("available")
    if not isinstance(parts, list):
        raise UnexpectedFormError("available is not a list")
    found = [mapping(part, "a part of the balance") for part in parts]
    held = sum(integer(part, "amount") for part in found if text(part, "currency").upper() == currency)
    return Snapshot(
        kind=ObjectKind.BALANCE,
        psp_id="balance",
        status=ObjectStatus.SUCCEEDED,
        currency=currency,
        amount_minor=_ours(held, currency),
    )


TRANSLATORS: Final[dict[ObjectKind, Callable[[Json], Snapshot]]] = {
    ObjectKind.CHARGE: charge_snapshot,
    ObjectKind.SESSION: session_snapshot,
    ObjectKind.SAVED_METHOD: saved_method_snapshot,
    ObjectKind.REFUND: refund_snapshot,
    ObjectKind.DISPUTE: dispute_snapshot,
    ObjectKind.PAYEE: payee_snapshot,
    ObjectKind.TRANSFER: transfer_snapshot,
    ObjectKind.REVERSAL: reversal_snapshot,
    ObjectKind.PAYOUT: payout_snapshot,
}


def next_action(intent: Json) -> NextAction | None:
    """Return where the buyer has to go; `None` if nowhere, or if only Stripe's own script could tell."""
    action = child(intent, "next_action")
    if action is None:
        return None
    name = text(action, "type")
    details = child(action, name) or {}
    for field in ("url", "hosted_instructions_url", "hosted_voucher_url", "image_url_png"):
        if url := text_or_empty(details, field):
            return NextAction(type="display_qr_code" if "qr_code" in name else "redirect", url=url)
    return None


def method_details(details: Json) -> MethodDetails:
    """Translate `payment_method_details` or a payment method; what is neither card nor QR counts as wallet.

    A card inside a telephone's wallet is a wallet too.
    """
    name = text(details, "type")
    card = child(details, "card") if name == "card" else None
    if card is None:
        return MethodDetails(type="qr" if name in QR_TYPES else "wallet", brand=name)
    funding = text_or_empty(card, "funding")
    return MethodDetails(
        type="wallet" if child(card, "wallet") else "card",
        funding=funding if funding in ("credit", "debit", "prepaid") else "",
        brand=text_or_empty(card, "brand"),
        last4=text_or_empty(card, "last4")[-4:],
    )


def _received(intent: Json, charge: Json | None, amount: int, status: ObjectStatus) -> int:
    """Return what was captured; servers of an older dialect say it only in the charge, or not at all."""
    if intent.get("amount_received") is not None:
        return integer(intent, "amount_received")
    if status is not ObjectStatus.SUCCEEDED:
        return 0
    if charge is not None and charge.get("amount_captured") is not None:
        return integer(charge, "amount_captured")
    if charge is not None and integer(charge, "amount_refunded") == 0:
        return amount  # in that dialect a partial capture is a refund of the rest, and there is none
    raise UnexpectedFormError("what was captured cannot be told")


def _expect(json: Json, name: str) -> None:
    if json.get("object") != name:
        raise UnexpectedFormError(f"expected a {name}")


def _known(statuses: dict[str, ObjectStatus], status: str) -> ObjectStatus:
    try:
        return statuses[status]
    except KeyError:
        raise UnexpectedFormError(f"unknown status {status[:40]!r}") from None


def _ours(amount: int, currency: str) -> int:
    minor = from_stripe(amount, currency)
    if minor is None:
        raise UnexpectedFormError(f"cannot express {amount} {currency[:10]!r}")
    return minor


def _intent_status(intent: Json, failed_try: Json | None) -> ObjectStatus:
    status = text(intent, "status")
    if status == "requires_payment_method":  # Stripe has no `failed`: a refused intent can be tried again
        return ObjectStatus.DECLINED if failed_try else ObjectStatus.OPEN
    return _known(_INTENT_STATUSES, status)


def _intent_failure(status: ObjectStatus, failed_try: Json | None) -> Failure | None:
    return failure_from(failed_try) if failed_try and status is ObjectStatus.DECLINED else None


def _charge_method(charge: Json | None, failed_try: Json | None) -> MethodDetails | None:
    details = child(charge, "payment_method_details") if charge else None
    if details is None and failed_try:
        details = child(failed_try, "payment_method")
    return method_details(details) if details else None


def _session_status(session: Json, inner: Snapshot | None) -> ObjectStatus:
    status = text(session, "status")
    if status == "open":
        return ObjectStatus.OPEN
    if status == "expired":
        return ObjectStatus.CANCELLED
    if status != "complete":
        raise UnexpectedFormError(f"unknown status {status[:40]!r}")
    if inner is not None:
        return inner.status
    # `unpaid` is a delayed method or an authorization that waits for its capture: only the intent knows.
    paid = text(session, "payment_status") in ("paid", "no_payment_required")
    return ObjectStatus.SUCCEEDED if paid else ObjectStatus.PROCESSING
