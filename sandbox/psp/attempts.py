"""One attempt to pay a PaymentIntent: approved, declined, challenged, or decided later.

This is the only writer of a PaymentIntent's status once it is confirmed. It never answers HTTP; a decline
is returned as the error that Stripe shows.
"""

from typing import Final

from . import charges, methods
from .call import Call
from .errors import Json
from .events import emit
from .identifiers import random_text
from .store import shown
from .tokens import AUTHENTICATION_FAILED, AUTHENTICATION_REQUIRED, DELAYED_DECLINE, Decline, Token

AUTHORIZATION_SECONDS: Final = 7 * 24 * 3600
UNDECIDED_SECONDS: Final = 3600.0
LATE_SECONDS: Final = 2.0


def attempt(
    call: Call,
    intent: Json,
    method: Json,
    *,
    off_session: bool = False,
    return_url: str | None = None,
    authenticated: bool = False,
) -> Json | None:
    """Try to pay and write what came of it; answer the error if it was declined.

    `authenticated` says that the buyer has just passed 3-D Secure.
    """
    token = methods.token_of(method)
    intent["payment_method"] = method["id"]
    intent["last_payment_error"] = None
    intent["next_action"] = None
    intent["_"]["return_url"] = return_url or intent["_"].get("return_url")
    if _challenged(token, method) and not authenticated:
        if off_session:
            return decline(call, intent, method, AUTHENTICATION_REQUIRED)
        _challenge(call, intent)
        return None
    if token.decline is not None:
        return decline(call, intent, method, token.decline)
    if token.delayed is not None:
        _delay(call, intent, method, token)
        return None
    _approve(call, intent, method, authenticated=authenticated)
    return None


def _challenged(token: Token, method: Json) -> bool:
    return token.challenge == "always" or (token.challenge == "unless_set_up" and not method["_"]["set_up"])


def _challenge(call: Call, intent: Json) -> None:
    secret = random_text(24)
    intent["status"] = "requires_action"
    intent["_"]["challenge"] = secret
    url = f"{call.base_url}/3ds/{intent['id']}/{secret}"
    return_url = intent["_"]["return_url"]
    if return_url:
        intent["next_action"] = {
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": return_url, "url": url},
        }
    else:
        intent["next_action"] = {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url},
        }
    call.store.save(intent)
    emit(call, "payment_intent.requires_action", intent)


def decline(
    call: Call,
    intent: Json,
    method: Json,
    why: Decline,
    *,
    charge: Json | None = None,
    without_charge: bool = False,
) -> Json:
    """Write a refused attempt and answer the error; the PaymentIntent waits for another payment method."""
    if charge is not None:
        charge.update(status="failed", paid=False, captured=False, failure_code=why.code, failure_message=why.message)
        charge["outcome"] = charges.outcome_of("failed", why)
        call.store.save(charge)
    elif not without_charge:
        charge = charges.keep(call, charges.open_charge(call, intent, method, status="failed", decline=why))
    error: Json = {
        "code": why.code,
        "doc_url": f"https://docs.stripe.com/error-codes/{why.code.replace('_', '-')}",
        "message": why.message,
        "payment_method": shown(method),
        "type": "card_error" if method["type"] == "card" else "invalid_request_error",
    }
    if why.decline_code is not None:
        error["decline_code"] = why.decline_code
    if charge is not None:
        error["charge"] = charge["id"]
        intent["latest_charge"] = charge["id"]
    intent.update(
        status="requires_payment_method", payment_method=None, last_payment_error=error, next_action=None,
        amount_capturable=0,
    )  # fmt: skip
    call.store.save(intent)
    if charge is not None:
        emit(call, "charge.failed", charge)
    emit(call, "payment_intent.payment_failed", intent)
    return error


def _delay(call: Call, intent: Json, method: Json, token: Token) -> None:
    charge = charges.open_charge(call, intent, method, status="pending")
    charges.keep(call, charge)
    methods.use_up(call, method)
    intent.update(status="processing", latest_charge=charge["id"])
    call.store.save(intent)
    emit(call, "charge.pending", charge)
    emit(call, "payment_intent.processing", intent)
    settings = call.sandbox.settings
    seconds = settings.qr_seconds if token.type == "wechat_pay" else settings.delayed_seconds
    call.sandbox.jobs.schedule(
        call,
        "intent.finish",
        intent["id"],
        after_seconds=UNDECIDED_SECONDS if token.late_success else seconds,
        word=token.delayed or "succeed",
    )


def _approve(call: Call, intent: Json, method: Json, *, authenticated: bool) -> None:
    manual = intent["capture_method"] == "manual"
    charge = charges.open_charge(call, intent, method, status="succeeded", manual=manual, authenticated=authenticated)
    _keep_method(call, intent, method, authenticated=authenticated)
    if manual:
        charges.keep(call, charge)
        intent.update(status="requires_capture", amount_capturable=intent["amount"], latest_charge=charge["id"])
        call.store.save(intent)
        emit(call, "charge.succeeded", charge)
        emit(call, "payment_intent.amount_capturable_updated", intent)
        call.sandbox.jobs.schedule(
            call, "intent.authorization_expires", intent["id"], after_seconds=AUTHORIZATION_SECONDS
        )
        return
    take(call, intent, charge, charge["amount"], event="charge.succeeded", new=True)


def _keep_method(call: Call, intent: Json, method: Json, *, authenticated: bool) -> None:
    methods.use_up(call, method)
    if intent["customer"] and intent["setup_future_usage"]:
        methods.put_to_customer(call, method, intent["customer"], set_up=authenticated)


def take(call: Call, intent: Json, charge: Json, amount: int, *, event: str, new: bool = False) -> None:
    """Book the money of an approved charge and complete the PaymentIntent."""
    token = charges.token_behind(charge)
    charges.book(call, charge, amount, token, new=new)
    intent.update(
        status="succeeded",
        amount_received=amount,
        amount_capturable=0,
        latest_charge=charge["id"],
        next_action=None,
    )
    call.store.save(intent)
    emit(call, event, charge)
    emit(call, "payment_intent.succeeded", intent)
    if token.dispute is not None:
        call.sandbox.jobs.schedule(call, "dispute.open", charge["id"], after_seconds=0, word=token.dispute)


def finish(call: Call, intent: Json, word: str) -> None:
    """Decide an attempt that is processing: `succeed` or `decline`."""
    charge = call.store.get(call.scope, intent["latest_charge"], "charge")
    method = call.store.get(call.scope, intent["payment_method"], "payment_method")
    if charge is None or method is None:
        raise LookupError(f"{intent['id']} is processing without a charge or a payment method")
    if word == "succeed":
        take(call, intent, charge, charge["amount"], event="charge.succeeded")
    else:
        decline(call, intent, method, DELAYED_DECLINE, charge=charge)
    follow(call, intent)


def authenticate(call: Call, intent: Json, *, approved: bool) -> Json | None:
    """End a 3-D Secure challenge; answer the error if the attempt was refused."""
    method = call.store.get(call.scope, intent["payment_method"], "payment_method")
    if method is None:
        raise LookupError(f"{intent['id']} is challenged without a payment method")
    intent["_"].pop("challenge", None)
    if approved:
        return attempt(call, intent, method, authenticated=True)
    return decline(call, intent, method, AUTHENTICATION_FAILED, without_charge=True)


def follow(call: Call, intent: Json) -> None:
    """Let the checkout session behind a PaymentIntent catch up."""
    if intent["_"].get("session"):
        call.sandbox.jobs.schedule(call, "session.follow", intent["_"]["session"], after_seconds=0)


def cancel(call: Call, intent: Json, reason: str | None) -> None:
    """Cancel a PaymentIntent; what was authorised is released."""
    if intent["status"] == "requires_capture":
        charge = call.store.get(call.scope, intent["latest_charge"], "charge")
        if charge is not None:
            charges.release(call, charge, charge["amount"])
            emit(call, "charge.refunded", charge)
    late = intent["status"] == "processing"
    intent.update(
        status="canceled",
        canceled_at=call.now,
        cancellation_reason=reason,
        amount_capturable=0,
        next_action=None,
    )
    intent["_"].pop("challenge", None)
    call.store.save(intent)
    emit(call, "payment_intent.canceled", intent)
    call.sandbox.jobs.cancel(call, "intent.finish", intent["id"])
    if late:
        call.sandbox.jobs.schedule(call, "intent.late_success", intent["id"], after_seconds=LATE_SECONDS)


def finish_job(call: Call, target: str, word: str) -> None:
    """Due: decide a delayed attempt (nothing if it was decided before)."""
    intent = call.store.get(call.scope, target, "payment_intent")
    if intent is not None and intent["status"] == "processing":
        finish(call, intent, word)


def late_success_job(call: Call, target: str, _word: str) -> None:
    """Due: money arrives for a PaymentIntent that was cancelled."""
    intent = call.store.get(call.scope, target, "payment_intent")
    if intent is not None and intent["status"] == "canceled":
        finish(call, intent, "succeed")


def authorization_expires_job(call: Call, target: str, _word: str) -> None:
    """Due: an authorisation that was never captured ends."""
    intent = call.store.get(call.scope, target, "payment_intent")
    if intent is not None and intent["status"] == "requires_capture":
        cancel(call, intent, "automatic")
