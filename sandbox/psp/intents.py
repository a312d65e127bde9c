"""PaymentIntents over the API: create, confirm, capture, cancel, update, read
(docs.stripe.com/payments/paymentintents/lifecycle).
"""

from typing import Final

from . import attempts, blanks, charges, methods
from .call import Call
from .currencies import check_amount, currency_of, money
from .errors import DeclinedError, Json, ParameterError, RefusalError, missing, not_found, unexpected_state
from .events import emit
from .forms import Params, refuse_card_numbers
from .lists import PAGING, page

COMMON: Final = frozenset(
    ("amount", "currency", "customer", "description", "metadata", "payment_method", "payment_method_types",
     "allowed_payment_method_types", "payment_method_options", "receipt_email", "setup_future_usage",
     "shipping", "statement_descriptor",
     "statement_descriptor_suffix", "transfer_group", "expand")
)  # fmt: skip
CONFIRMING: Final = frozenset(
    ("off_session", "return_url", "error_on_requires_action", "mandate_data", "use_stripe_sdk")
)
CREATE: Final = COMMON | CONFIRMING | {
    "automatic_payment_methods", "capture_method", "confirm",
}  # fmt: skip
CONFIRM: Final = CONFIRMING | {
    "payment_method", "payment_method_options", "payment_method_types",
    "allowed_payment_method_types",
    "receipt_email",
    "setup_future_usage", "shipping", "capture_method", "expand",
}  # fmt: skip
CANCELLABLE: Final = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
)
CAPTURE_METHODS: Final = ("automatic", "automatic_async", "manual")
SHOWN_BY_EVERY_REFUSAL: Final = ("message", "type", "code", "doc_url")
REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")


def capture_method_of(params: Params) -> str:
    """Answer the capture method that a request asks for; Stripe's own choice is automatic_async."""
    return params.choice("capture_method", CAPTURE_METHODS) or CAPTURE_METHODS[1]


def create(call: Call) -> Json:
    """`POST /v1/payment_intents`; with `confirm` it is attempted at once."""
    params = call.params
    refuse_card_numbers(params.values)
    params.only(CREATE)
    amount = params.integer("amount", at_least=1)
    if amount is None:
        raise missing("amount")
    currency = currency_of(params.required_text("currency"))
    check_amount(amount, currency)
    automatic = params.child("automatic_payment_methods")
    types = methods.wanted_types(params)
    if types and automatic.flag("enabled"):
        raise ParameterError(
            "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.",
            param="payment_method_types",
        )
    confirm = params.flag("confirm")
    if not confirm and params.flag("off_session"):
        raise ParameterError("off_session can only be set when confirm is true.", param="off_session")
    customer = params.text("customer")
    if customer:
        call.referred("customer", customer, param="customer")
    intent = blanks.payment_intent(
        call,
        amount=amount,
        currency=currency,
        capture_method=capture_method_of(params),
        customer=customer,
        types=types,
        redirects=automatic.choice("allow_redirects", ("always", "never"), "always") == "always",
        metadata=params.metadata(),
        return_url=params.text("return_url"),
        **{name: params.text(name) for name in
           ("description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix",
            "transfer_group")},
        setup_future_usage=params.choice("setup_future_usage", ("off_session", "on_session")),
    )  # fmt: skip
    method = _method_of(call, intent)
    if method is not None:
        intent.update(payment_method=method["id"], status="requires_confirmation")
    call.store.add(call.scope, intent)
    emit(call, "payment_intent.created", intent)
    if confirm:
        return _confirm(call, intent, method)
    return intent


def _method_of(call: Call, intent: Json) -> Json | None:
    """Answer the payment method that the request names, checked against the PaymentIntent."""
    given = call.params.text("payment_method")
    if given is None:
        return None
    method = methods.obtain(call, given)
    methods.check_usable(method, customer=intent["customer"])
    check_type(intent, method)
    return method


def check_type(intent: Json, method: Json) -> None:
    """Refuse a payment method of a type that the PaymentIntent does not take."""
    if method["type"] not in intent["payment_method_types"]:
        raise RefusalError(
            f"The PaymentMethod provided ({method['type']}) is not allowed for this PaymentIntent. Please "
            "attach a "
            f"PaymentMethod of one of the following types: {', '.join(intent['payment_method_types'])}.",
            param="payment_method",
        )


def confirm(call: Call) -> Json:
    """`POST /v1/payment_intents/{id}/confirm`."""
    params = call.params
    refuse_card_numbers(params.values)
    params.only(CONFIRM)
    intent = call.addressed("payment_intent", "payment_intent")
    _refuse_if_session_is_open(call, intent, "confirm")
    if intent["status"] == "succeeded":
        raise RefusalError(
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.",
            code="payment_intent_unexpected_state",
            payment_intent=intent,
        )
    if intent["status"] not in ("requires_payment_method", "requires_confirmation", "requires_action"):
        raise unexpected_state(intent, "confirm")
    if usage := params.choice("setup_future_usage", ("off_session", "on_session")):
        intent["setup_future_usage"] = usage
    method = _method_of(call, intent)
    if method is None and intent["payment_method"]:
        method = call.store.get(call.scope, intent["payment_method"], "payment_method")
        if method is not None:
            methods.check_usable(method, customer=intent["customer"])
    return _confirm(call, intent, method)


def _confirm(call: Call, intent: Json, method: Json | None) -> Json:
    params = call.params
    if method is None:
        raise RefusalError(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either "
            "update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly "
            "with a payment "
            "method or ConfirmationToken.",
            code="payment_intent_unexpected_state",
            payment_intent=intent,
        )
    off_session = params.text("off_session") not in (None, "false")
    unattended = off_session or params.flag("error_on_requires_action")
    return_url = params.text("return_url")
    if intent["_"]["redirects"] and not off_session and not (return_url or intent["_"]["return_url"]):
        raise return_url_needed(intent)
    error = attempts.attempt(call, intent, method, off_session=unattended, return_url=return_url)
    if error is not None:
        raise declined(error, intent)
    return intent


def return_url_needed(intent: Json) -> RefusalError:
    """Answer the refusal of a confirmation that may have to send the buyer elsewhere and cannot bring them
    back.
    """
    word = "PaymentIntent" if intent["object"] == "payment_intent" else "SetupIntent"
    held: Json = {str(intent["object"]): intent}
    return RefusalError(
        f"This {word} is configured to accept payment methods enabled in your Dashboard. Because some of "
        "these "
        "payment methods might redirect your customer off of your page, you must provide a `return_url`. If "
        "you "
        "don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to "
        "`true` "
        "and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment "
        "Intents.",
        **held,
    )


def declined(error: Json, intent: Json) -> DeclinedError:
    """Answer the refusal that carries a decline and the PaymentIntent as it is now."""
    more: Json = {name: value for name, value in error.items() if name not in SHOWN_BY_EVERY_REFUSAL}
    more[intent["object"]] = intent
    return DeclinedError(error["message"], status=402, kind="card_error", code=error["code"], **more)


def capture(call: Call) -> Json:
    """`POST /v1/payment_intents/{id}/capture`: all of it or a part; the rest is released."""
    params = call.params
    params.only(frozenset(("amount_to_capture", "final_capture", "metadata", "statement_descriptor", "expand")))
    amount = params.integer("amount_to_capture", at_least=1)
    intent = call.addressed("payment_intent", "payment_intent")
    if intent["status"] != "requires_capture":
        raise RefusalError(
            "This PaymentIntent could not be captured because it has a status of "
            f"{intent['status']}. Only a PaymentIntent with one of the following statuses may be captured: "
            "requires_capture.",
            code="payment_intent_unexpected_state",
            payment_intent=intent,
        )
    authorised = intent["amount_capturable"]
    if amount is None:
        amount = authorised
    if amount > authorised:
        raise RefusalError(
            f"The requested capture amount is greater than the amount you can capture for this charge ("
            f"{money(authorised, intent['currency'])}).",
            code="amount_too_large",
            param="amount_to_capture",
        )
    check_amount(amount, intent["currency"], param="amount_to_capture")
    charge = call.store.get(call.scope, intent["latest_charge"], "charge")
    if charge is None:
        raise not_found("charge", intent["latest_charge"])
    intent["metadata"] = params.metadata(intent["metadata"])
    if amount < authorised:
        charges.release(call, charge, authorised - amount)
    attempts.take(call, intent, charge, amount, event="charge.captured")
    attempts.follow(call, intent)
    return intent


def cancel(call: Call) -> Json:
    """`POST /v1/payment_intents/{id}/cancel`; one that has succeeded is refused."""
    params = call.params
    params.only(frozenset(("cancellation_reason", "expand")))
    reason = params.choice("cancellation_reason", REASONS)
    intent = call.addressed("payment_intent", "payment_intent")
    _refuse_if_session_is_open(call, intent, "cancel")
    if intent["status"] not in CANCELLABLE and not _cancellable_while_processing(call, intent):
        raise RefusalError(
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a "
            "PaymentIntent "
            f"with one of the following statuses may be canceled: {', '.join(CANCELLABLE)}, processing.",
            code="payment_intent_unexpected_state",
            payment_intent=intent,
        )
    attempts.cancel(call, intent, reason)
    return intent


def _cancellable_while_processing(call: Call, intent: Json) -> bool:
    """Only the late-success token may be cancelled while it is processing: that is its point."""
    if intent["status"] != "processing":
        return False
    method = call.store.get(call.scope, intent["payment_method"], "payment_method")
    return method is not None and methods.token_of(method).late_success


def _refuse_if_session_is_open(call: Call, intent: Json, verb: str) -> None:
    session = call.store.get(call.scope, intent["_"].get("session") or "", "checkout.session")
    if session is not None and session["status"] == "open":
        raise RefusalError(
            f"You cannot {verb} this PaymentIntent because it was created by a Checkout Session. To cancel "
            "it, expire the "
            "Checkout Session instead.",
            code="payment_intent_unexpected_state",
            payment_intent=intent,
        )


def update(call: Call) -> Json:
    """`POST /v1/payment_intents/{id}`."""
    params = call.params
    params.only(COMMON | {"capture_method"})
    intent = call.addressed("payment_intent", "payment_intent")
    fixed = {
        "amount",
        "currency",
        "payment_method",
        "customer",
        "setup_future_usage",
        "capture_method",
    } & set(params.values)
    if fixed and intent["status"] not in (
        "requires_payment_method",
        "requires_confirmation",
        "requires_action",
    ):
        raise RefusalError(
            f"This PaymentIntent's {sorted(fixed)[0]} could not be updated because it has a status of "
            f"{intent['status']}. You may only update the {sorted(fixed)[0]} of a PaymentIntent with one of "
            "the following "
            "statuses: requires_payment_method, requires_confirmation, requires_action.",
            code="payment_intent_unexpected_state",
            payment_intent=intent,
        )
    amount = params.integer("amount", at_least=1)
    if (currency := params.text("currency")) is not None:
        intent["currency"] = currency_of(currency)
    if amount is not None:
        intent["amount"] = amount
    check_amount(intent["amount"], intent["currency"])
    if customer := params.text("customer"):
        intent["customer"] = call.referred("customer", customer, param="customer")["id"]
    for name in (
        "description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix",
        "transfer_group",
    ):  # fmt: skip
        if name in params:
            intent[name] = params.text(name)
    if usage := params.choice("setup_future_usage", ("off_session", "on_session")):
        intent["setup_future_usage"] = usage
    if capture_method := params.choice("capture_method", CAPTURE_METHODS):
        intent["capture_method"] = capture_method
    intent["metadata"] = params.metadata(intent["metadata"])
    method = _method_of(call, intent)
    if method is not None:
        intent.update(payment_method=method["id"], status="requires_confirmation", next_action=None)
    return call.store.save(intent)


def retrieve(call: Call) -> Json:
    """`GET /v1/payment_intents/{id}`."""
    call.params.only(frozenset(("expand", "client_secret")))
    return call.addressed("payment_intent", "payment_intent")


def list_intents(call: Call) -> Json:
    """`GET /v1/payment_intents`."""
    call.params.only(PAGING | {"customer"})
    return page(call, "payment_intent", "/v1/payment_intents", {"customer": call.params.text("customer")})
