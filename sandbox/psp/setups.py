"""SetupIntents: keep a payment method for later without paying."""

from typing import Final

from . import blanks, methods
from .call import Call
from .errors import Json, RefusalError, unexpected_state
from .events import emit
from .forms import refuse_card_numbers
from .identifiers import random_text
from .intents import declined, return_url_needed
from .lists import PAGING, page
from .store import shown
from .tokens import SETUP_AUTHENTICATION_FAILED, Decline

COMMON: Final = frozenset(
    (
        "customer",
        "description",
        "metadata",
        "payment_method",
        "payment_method_types",
        "allowed_payment_method_types",
        "expand",
    )
)
CREATE: Final = COMMON | {
    "automatic_payment_methods", "confirm", "return_url", "usage", "payment_method_options",
    "use_stripe_sdk", "mandate_data",
}  # fmt: skip
CONFIRM: Final = frozenset(("payment_method", "return_url", "expand", "mandate_data", "use_stripe_sdk"))
CANCELLABLE: Final = ("requires_payment_method", "requires_confirmation", "requires_action")
REASONS: Final = ("abandoned", "duplicate", "requested_by_customer")


def create(call: Call) -> Json:
    """`POST /v1/setup_intents`."""
    params = call.params
    refuse_card_numbers(params.values)
    params.only(CREATE)
    customer = params.text("customer")
    if customer:
        call.referred("customer", customer, param="customer")
    automatic = params.child("automatic_payment_methods")
    setup = blanks.setup_intent(
        call,
        customer=customer,
        description=params.text("description"),
        metadata=params.metadata(),
        usage=params.choice("usage", ("off_session", "on_session"), "off_session"),
        return_url=params.text("return_url"),
        redirects=automatic.choice("allow_redirects", ("always", "never"), "always") == "always",
        types=methods.wanted_types(params),
    )
    method = _method_of(call, setup)
    if method is not None:
        setup.update(payment_method=method["id"], status="requires_confirmation")
    call.store.add(call.scope, setup)
    emit(call, "setup_intent.created", setup)
    if params.flag("confirm"):
        return _confirm(call, setup, method)
    return setup


def _method_of(call: Call, setup: Json) -> Json | None:
    given = call.params.text("payment_method")
    if given is None:
        return None
    method = methods.obtain(call, given)
    methods.check_usable(method, customer=setup["customer"], word="SetupIntent")
    return method


def confirm(call: Call) -> Json:
    """`POST /v1/setup_intents/{id}/confirm`."""
    refuse_card_numbers(call.params.values)
    call.params.only(CONFIRM)
    setup = call.addressed("setup_intent", "setupintent")
    if setup["status"] not in CANCELLABLE:
        raise unexpected_state(setup, "confirm")
    method = _method_of(call, setup)
    if method is None and setup["payment_method"]:
        method = call.store.get(call.scope, setup["payment_method"], "payment_method")
    return _confirm(call, setup, method)


def _confirm(call: Call, setup: Json, method: Json | None) -> Json:
    if method is None:
        raise RefusalError(
            "You cannot confirm this SetupIntent because it's missing a payment method. Update the "
            "SetupIntent with a "
            "payment method and then confirm it again.",
            code="setup_intent_unexpected_state",
            setup_intent=setup,
        )
    return_url = call.params.text("return_url")
    if setup["_"]["redirects"] and not (return_url or setup["_"]["return_url"]):
        raise return_url_needed(setup)
    error = attempt(call, setup, method, return_url=return_url)
    if error is not None:
        raise declined(error, setup)
    return setup


def attempt(
    call: Call, setup: Json, method: Json, *, return_url: str | None = None, authenticated: bool = False
) -> Json | None:
    """Try to keep a payment method and write what came of it; answer the error if it was declined."""
    token = methods.token_of(method)
    setup.update(payment_method=method["id"], last_setup_error=None, next_action=None)
    setup["_"]["return_url"] = return_url or setup["_"].get("return_url")
    if token.decline is not None and token.declines_when_attached:
        return decline(call, setup, method, token.decline)
    if token.challenge is not None and not authenticated:
        secret = random_text(24)
        setup["_"]["challenge"] = secret
        url = f"{call.base_url}/3ds/{setup['id']}/{secret}"
        setup["status"] = "requires_action"
        setup["next_action"] = (
            {
                "type": "redirect_to_url",
                "redirect_to_url": {"return_url": setup["_"]["return_url"], "url": url},
            }
            if setup["_"]["return_url"]
            else {
                "type": "use_stripe_sdk",
                "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url},
            }
        )
        call.store.save(setup)
        emit(call, "setup_intent.requires_action", setup)
        return None
    setup["status"] = "succeeded"
    call.store.save(setup)
    if setup["customer"]:
        methods.put_to_customer(call, method, setup["customer"], set_up=authenticated)
    emit(call, "setup_intent.succeeded", setup)
    return None


def decline(call: Call, setup: Json, method: Json, why: Decline) -> Json:
    """Write a refused attempt and answer the error."""
    error: Json = {
        "code": why.code,
        "doc_url": f"https://docs.stripe.com/error-codes/{why.code.replace('_', '-')}",
        "message": why.message,
        "payment_method": shown(method),
        "type": "card_error",
    }
    if why.decline_code is not None:
        error["decline_code"] = why.decline_code
    setup.update(status="requires_payment_method", payment_method=None, last_setup_error=error, next_action=None)
    call.store.save(setup)
    emit(call, "setup_intent.setup_failed", setup)
    return error


def authenticate(call: Call, setup: Json, *, approved: bool) -> Json | None:
    """End a 3-D Secure challenge; answer the error if it was refused."""
    method = call.store.get(call.scope, setup["payment_method"], "payment_method")
    if method is None:
        raise LookupError(f"{setup['id']} is challenged without a payment method")
    setup["_"].pop("challenge", None)
    if approved:
        return attempt(call, setup, method, authenticated=True)
    return decline(call, setup, method, SETUP_AUTHENTICATION_FAILED)


def cancel(call: Call) -> Json:
    """`POST /v1/setup_intents/{id}/cancel`."""
    call.params.only(frozenset(("cancellation_reason", "expand")))
    reason = call.params.choice("cancellation_reason", REASONS)
    setup = call.addressed("setup_intent", "setupintent")
    if setup["status"] not in CANCELLABLE:
        raise unexpected_state(setup, "cancel")
    setup.update(status="canceled", cancellation_reason=reason, next_action=None)
    call.store.save(setup)
    emit(call, "setup_intent.canceled", setup)
    return setup


def update(call: Call) -> Json:
    """`POST /v1/setup_intents/{id}`."""
    call.params.only(COMMON)
    setup = call.addressed("setup_intent", "setupintent")
    if customer := call.params.text("customer"):
        setup["customer"] = call.referred("customer", customer, param="customer")["id"]
    if "description" in call.params:
        setup["description"] = call.params.text("description")
    setup["metadata"] = call.params.metadata(setup["metadata"])
    method = _method_of(call, setup)
    if method is not None:
        setup.update(payment_method=method["id"], status="requires_confirmation")
    return call.store.save(setup)


def retrieve(call: Call) -> Json:
    """`GET /v1/setup_intents/{id}`."""
    call.params.only(frozenset(("expand", "client_secret")))
    return call.addressed("setup_intent", "setupintent")


def list_setups(call: Call) -> Json:
    """`GET /v1/setup_intents`."""
    params = call.params
    params.only(PAGING | {"customer", "payment_method"})
    where = {"customer": params.text("customer"), "payment_method": params.text("payment_method")}
    return page(call, "setup_intent", "/v1/setup_intents", where)
