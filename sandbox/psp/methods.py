"""Payment methods: made from magic tokens only, used once unless attached to a customer."""

from typing import Any, Final

from .call import Call
from .errors import Json, ParameterError, RefusalError, missing
from .events import emit
from .forms import Params, refuse_card_numbers
from .identifiers import new_id
from .lists import PAGING_WITHOUT_TIME, page
from .tokens import METHOD_TYPES, TOKENS, Token, token_of_card_token

NO_ADDRESS: Final[Json] = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
NO_BILLING: Final[Json] = {"address": NO_ADDRESS, "email": None, "name": None, "phone": None, "tax_id": None}
MAX_TYPES: Final = 60
MAX_TYPE_LENGTH: Final = 30
USED_BEFORE: Final = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, "
    "shared with a "
    "connected account without Customer attachment, or was detached from a Customer. It may not be used "
    "again. To use a "
    "PaymentMethod multiple times, you must attach it to a Customer first."
)


def card_of(token: Token) -> Json:
    """Answer the `card` part of a payment method."""
    return {
        "brand": token.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "DE",
        "display_brand": token.brand,
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"sandbox{token.last4}{token.brand}",
        "funding": token.funding,
        "generated_from": None,
        "last4": token.last4,
        "networks": {"available": [token.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def details_of(token: Token) -> Json:
    """Answer the part of a payment method that is named after its type."""
    if token.type == "card":
        return card_of(token)
    if token.type == "link":
        return {"email": "buyer@example.com"}
    if token.type == "sepa_debit":
        return {
            "bank_code": "37040044", "branch_code": "", "country": "DE",
            "fingerprint": f"sandbox{token.last4}",
            "generated_from": {"charge": None, "setup_attempt": None}, "last4": token.last4,
        }  # fmt: skip
    return {}


def wanted_types(params: Params) -> list[str] | None:
    """Answer the payment method types that a request allows (None: whatever suits).

    `allowed_payment_method_types` is the name since API version 2026-10-28; the older name is still
    understood.
    """
    types = params.texts("allowed_payment_method_types") or params.texts("payment_method_types")
    for kind in types:
        if not kind.replace("_", "").isalnum() or len(kind) > MAX_TYPE_LENGTH or len(types) > MAX_TYPES:
            raise ParameterError(
                f'The payment method type "{kind[:40]}" is invalid.', param="allowed_payment_method_types"
            )
    return types or None


def make(call: Call, token: Token, *, billing: Json | None = None, metadata: dict[str, str] | None = None) -> Json:
    """Make a new payment method from a magic token."""
    method: Json = {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing or NO_BILLING,
        token.type: details_of(token),
        "created": call.now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": metadata or {},
        "type": token.type,
        "_": {"token": token.name, "used": False, "set_up": False},
    }
    return call.store.add(call.scope, method)


def token_of(method: Json) -> Token:
    """Answer what a payment method was made from."""
    return TOKENS[method["_"]["token"]]


def obtain(call: Call, given: str, *, param: str = "payment_method") -> Json:
    """Answer the payment method that a parameter names: a magic token makes a new one."""
    token = TOKENS.get(given)
    if token is not None:
        return make(call, token)
    return call.referred("payment_method", given, param=param)


def check_usable(method: Json, *, customer: str | None, word: str = "PaymentIntent") -> None:
    """Refuse a payment method that was used up or that belongs to another customer."""
    owner = method["customer"]
    if owner is None and method["_"]["used"]:
        raise RefusalError(USED_BEFORE, param="payment_method")
    if owner is not None and customer is None:
        raise RefusalError(
            f"The payment method supplied ({method['id']}) belongs to the Customer {owner}. Please include "
            "the Customer "
            f"in the `customer` parameter on the {word}.",
            param="payment_method",
        )
    if owner is not None and owner != customer:
        raise RefusalError(
            f"The customer does not have a payment method with the ID {method['id']}. The payment method "
            "must be "
            "attached to the customer.",
            code="resource_missing",
            param="payment_method",
        )


def use_up(call: Call, method: Json) -> None:
    """Note that a payment method has paid: without a customer it pays no second time."""
    if not method["_"]["used"]:
        method["_"]["used"] = True
        call.store.save(method)


def put_to_customer(call: Call, method: Json, customer: str, *, set_up: bool = False) -> None:
    """Attach a payment method to a customer (no effect if it is attached already)."""
    method["_"]["set_up"] = method["_"]["set_up"] or set_up
    if method["customer"] == customer:
        call.store.save(method)
        return
    method["customer"] = customer
    call.store.save(method)
    emit(call, "payment_method.attached", method)


CREATE_METHOD: Final = frozenset(
    (
        "type",
        "card",
        "billing_details",
        "metadata",
        "expand",
        "link",
        "wechat_pay",
        "sepa_debit",
        "allow_redisplay",
    )
)


def create_method(call: Call) -> Json:
    """`POST /v1/payment_methods`: type card from a token such as tok_visa; a card number is refused."""
    params = call.params
    refuse_card_numbers(params.values)
    params.only(CREATE_METHOD)
    kind = params.choice("type", METHOD_TYPES)
    if kind is None:
        raise missing("type")
    if kind != "card":
        raise ParameterError(
            f"The sandbox makes payment methods of type {kind} from its own tokens only.", param="type"
        )
    given = params.child("card").text("token")
    if given is None:
        raise missing("card")
    token = token_of_card_token(given)
    if token is None:
        raise RefusalError(f"No such token: '{given}'", code="resource_missing", param="card[token]")
    return make(call, token, billing=billing_of(params), metadata=params.metadata())


def billing_of(params: Params) -> Json:
    """Answer the billing details of a request."""
    given = params.child("billing_details")
    address = given.child("address")
    return {
        "address": {name: address.text(name) for name in NO_ADDRESS},
        "email": given.text("email"),
        "name": given.text("name"),
        "phone": given.text("phone"),
        "tax_id": None,
    }


def retrieve_method(call: Call) -> Json:
    """`GET /v1/payment_methods/{id}`."""
    call.params.only(frozenset(("expand",)))
    return call.addressed("payment_method", "PaymentMethod")


def list_methods(call: Call) -> Json:
    """`GET /v1/payment_methods`: those of a customer."""
    call.params.only(PAGING_WITHOUT_TIME | {"customer", "type"})
    where: dict[str, Any] = {"customer": call.params.text("customer"), "type": call.params.text("type")}
    return page(call, "payment_method", "/v1/payment_methods", where)


def attach_method(call: Call) -> Json:
    """`POST /v1/payment_methods/{id}/attach`: a token will do; a declined card cannot be attached."""
    call.params.only(frozenset(("customer", "expand")))
    customer = call.params.required_text("customer")
    given = call.ids[0]
    method = make(call, TOKENS[given]) if given in TOKENS else call.addressed("payment_method", "PaymentMethod")
    call.referred("customer", customer, param="customer")
    token = token_of(method)
    if method["customer"] not in (None, customer):
        raise RefusalError("The payment method you provided has already been attached to a customer.")
    if method["customer"] is None and method["_"]["used"]:
        raise RefusalError(USED_BEFORE)
    if token.decline is not None and token.declines_when_attached:
        raise RefusalError(
            token.decline.message,
            status=402,
            kind="card_error",
            code=token.decline.code,
            decline_code=token.decline.decline_code,
        )
    put_to_customer(call, method, customer)
    return method


def detach_method(call: Call) -> Json:
    """`POST /v1/payment_methods/{id}/detach`: it can never be used again."""
    call.params.only(frozenset(("expand",)))
    method = call.addressed("payment_method", "PaymentMethod")
    if method["customer"] is None:
        raise RefusalError("The payment method you provided is not attached to a customer so detachment is impossible.")
    previous = {"customer": method["customer"]}
    method["customer"] = None
    method["_"]["used"] = True
    call.store.save(method)
    emit(call, "payment_method.detached", method, previous)
    return method
