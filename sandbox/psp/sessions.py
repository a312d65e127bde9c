"""Checkout sessions: the PSP's own hosted page, for paying and for saving a payment method.

Difference to Stripe, on purpose: the PaymentIntent of a payment session exists from the start (Stripe
makes it when the buyer pays), so that an id is known before money moves.
"""

from typing import Any, Final

from . import attempts, blanks, customers, intents, methods
from .call import Call
from .currencies import currency_of
from .errors import Json, ParameterError, RefusalError, missing
from .events import emit
from .forms import Params
from .identifiers import new_id, random_text
from .lists import PAGING, PAGING_WITHOUT_TIME, page, whole

CREATE: Final = frozenset(
    ("mode", "line_items", "success_url", "cancel_url", "client_reference_id", "customer", "customer_email",
     "customer_creation", "currency", "expires_at", "metadata", "payment_intent_data", "setup_intent_data",
     "payment_method_types", "allowed_payment_method_types", "payment_method_options", "locale",
     "submit_type", "expand",
     "billing_address_collection")
)  # fmt: skip
INTENT_TEXTS: Final = (
    "description", "receipt_email", "setup_future_usage", "statement_descriptor",
    "statement_descriptor_suffix", "transfer_group",
)  # fmt: skip
INTENT_DATA: Final = frozenset(("capture_method", "metadata", *INTENT_TEXTS))
MAX_LINES: Final = 100
DAY_SECONDS: Final = 24 * 3600
SHORTEST_SECONDS: Final = 30 * 60
PLACEHOLDER: Final = "{CHECKOUT_SESSION_ID}"


def create(call: Call) -> Json:
    """`POST /v1/checkout/sessions`, mode payment or setup."""
    params = call.params
    params.only(CREATE)
    mode = params.choice("mode", ("payment", "setup"))
    if mode is None:
        raise missing("mode")
    success_url, cancel_url = _url(params, "success_url", required=True), _url(params, "cancel_url")
    customer = params.text("customer")
    if customer:
        call.referred("customer", customer, param="customer")
    identifier = f"cs_test_{random_text(58)}"
    hidden: Json = {"lines": []}
    amount = currency = intent = setup = None
    types = methods.wanted_types(params)
    if mode == "payment":
        hidden["lines"], amount, currency = _lines(params)
        intent = _payment_intent(call, identifier, amount=amount, currency=currency, customer=customer, types=types)
    else:
        setup = _setup_intent(call, identifier, customer=customer, types=types)
        currency = params.text("currency")
    expires_at = params.integer("expires_at", at_most=10**12) or call.now + DAY_SECONDS
    if not call.now + SHORTEST_SECONDS - 60 <= expires_at <= call.now + DAY_SECONDS + 60:
        raise ParameterError(
            "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from Checkout "
            "Session creation.",
            param="expires_at",
        )
    held = intent or setup or {}
    session = blanks.checkout_session(call, identifier, mode, held["payment_method_types"], hidden)
    session.update(
        allowed_payment_method_types=types,
        amount_subtotal=amount,
        amount_total=amount,
        cancel_url=cancel_url,
        client_reference_id=params.text("client_reference_id", at_most=200),
        currency=currency,
        customer=customer,
        customer_email=params.text("customer_email"),
        customer_creation=params.choice("customer_creation", ("always", "if_required"))
        or ("if_required" if mode == "payment" else None),
        expires_at=expires_at,
        locale=params.text("locale"),
        metadata=params.metadata(),
        payment_intent=intent["id"] if intent else None,
        payment_status="unpaid" if mode == "payment" else "no_payment_required",
        setup_intent=setup["id"] if setup else None,
        submit_type=params.text("submit_type"),
        success_url=success_url,
        total_details={"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0} if mode == "payment" else None,
    )
    call.store.add(call.scope, session, parent=held["id"])
    call.sandbox.jobs.schedule(call, "session.expire", identifier, after_seconds=expires_at - call.now)
    return session


def _url(params: Params, name: str, *, required: bool = False) -> str | None:
    url = params.required_text(name) if required else params.text(name)
    if url is not None and not url.startswith(("https://", "http://")):
        raise ParameterError("Not a valid URL", code="url_invalid", param=name)
    return url


def _lines(params: Params) -> tuple[list[Json], int, str]:
    lines: list[Json] = []
    items = params.children("line_items")
    if not items:
        raise missing("line_items")
    if len(items) > MAX_LINES:
        raise ParameterError(f"You can have at most {MAX_LINES} line items.", param="line_items")
    for item in items:
        item.only(frozenset(("price_data", "quantity")))
        price = item.child("price_data")
        price.only(frozenset(("currency", "unit_amount", "product_data", "tax_behavior")))
        unit = price.integer("unit_amount")
        if unit is None:
            raise missing(price.name("unit_amount"))
        quantity = item.integer("quantity", at_least=1) or 1
        lines.append(
            {
                "id": f"li_{random_text(24)}",
                "name": price.child("product_data").required_text("name"),
                "unit": unit,
                "quantity": quantity,
                "currency": currency_of(price.required_text("currency"), param=price.name("currency")),
            }
        )
    currency = lines[0]["currency"]
    if any(line["currency"] != currency for line in lines):
        raise ParameterError("All line items must have the same currency.", param="line_items")
    amount = sum(line["unit"] * line["quantity"] for line in lines)
    if amount < 1:
        raise ParameterError(
            "The Checkout Session's total amount due must add up to at least 1.", code="amount_too_small"
        )
    return lines, amount, currency


def _payment_intent(
    call: Call, session: str, *, amount: int, currency: str, customer: str | None, types: list[str] | None
) -> Json:
    data = call.params.child("payment_intent_data")
    data.only(INTENT_DATA)
    texts: Json = {name: data.text(name) for name in INTENT_TEXTS}
    intent = blanks.payment_intent(
        call,
        amount=amount,
        currency=currency,
        capture_method=intents.capture_method_of(data),
        customer=customer,
        types=types,
        metadata=data.metadata(),
        session=session,
        **texts,
    )
    call.store.add(call.scope, intent)
    emit(call, "payment_intent.created", intent)
    return intent


def _setup_intent(call: Call, session: str, *, customer: str | None, types: list[str] | None) -> Json:
    data = call.params.child("setup_intent_data")
    data.only(frozenset(("description", "metadata")))
    setup = blanks.setup_intent(
        call,
        customer=customer,
        description=data.text("description"),
        metadata=data.metadata(),
        session=session,
        types=types,
    )
    call.store.add(call.scope, setup)
    emit(call, "setup_intent.created", setup)
    return setup


def expire(call: Call) -> Json:
    """`POST /v1/checkout/sessions/{id}/expire`: nobody can pay with it any more; its PaymentIntent is
    cancelled.
    """
    call.params.only(frozenset(("expand",)))
    session = call.addressed("checkout.session", "checkout.session")
    if session["status"] != "open":
        raise RefusalError(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has '
            f"a status of {session['status']}."
        )
    _expire(call, session)
    return session


def _expire(call: Call, session: Json) -> None:
    intent = call.store.get(call.scope, session["payment_intent"] or "", "payment_intent")
    if intent is not None and intent["status"] == "processing":
        raise RefusalError("This Checkout Session cannot be expired because a payment is being processed.")
    session.update(status="expired", url=None)
    call.store.save(session)
    if intent is not None and intent["status"] in intents.CANCELLABLE:
        attempts.cancel(call, intent, "expired")
    emit(call, "checkout.session.expired", session)


def expire_job(call: Call, target: str, _word: str) -> None:
    """Due: an open session ends."""
    session = call.store.get(call.scope, target, "checkout.session")
    if session is not None and session["status"] == "open":
        _expire(call, session)


def follow(call: Call, session: Json) -> None:
    """Let a session catch up with its PaymentIntent or SetupIntent."""
    held = call.store.get(call.scope, session["payment_intent"] or session["setup_intent"])
    if held is None:
        return
    done = held["status"] in ("succeeded", "requires_capture", "processing")
    paid = held["status"] == "succeeded" and session["mode"] == "payment"
    if session["status"] == "open" and done:
        session.update(
            status="complete",
            url=None,
            payment_status="paid" if paid else session["payment_status"],
            customer_details={
                "address": None, "business_name": None,
                "email": session["customer_email"] or "buyer@example.com",
                "individual_name": None, "name": None, "phone": None, "tax_exempt": "none", "tax_ids": [],
            },
        )  # fmt: skip
        _give_customer(call, session, held)
        session["_"]["waits"] = held["status"] == "processing"
        call.store.save(session)
        call.sandbox.jobs.cancel(call, "session.expire", session["id"])
        emit(call, "checkout.session.completed", session)
    elif session["status"] == "complete" and (paid or held["status"] == "requires_payment_method"):
        waited = session["_"].pop("waits", False)
        if paid:
            session["payment_status"] = "paid"
        call.store.save(session)
        if waited:
            emit(call, f"checkout.session.async_payment_{'succeeded' if paid else 'failed'}", session)


def _give_customer(call: Call, session: Json, held: Json) -> None:
    """Make the customer that the session promised and put the payment method to it."""
    if session["customer"] is not None or session["customer_creation"] != "always":
        return
    customer = customers.new_customer(call, email=session["customer_details"]["email"])
    session["customer"] = held["customer"] = customer["id"]
    call.store.save(held)
    method = call.store.get(call.scope, held["payment_method"] or "", "payment_method")
    if method is not None and (session["mode"] == "setup" or held["setup_future_usage"]):
        methods.put_to_customer(call, method, customer["id"], set_up=True)


def follow_job(call: Call, target: str, _word: str) -> None:
    """Due: a PaymentIntent behind a session has changed."""
    session = call.store.get(call.scope, target, "checkout.session")
    if session is not None:
        follow(call, session)


def address_after(url: str, session: str) -> str:
    """Answer where the buyer goes, with the session's id filled in."""
    return url.replace(PLACEHOLDER, session)


def retrieve(call: Call) -> Json:
    """`GET /v1/checkout/sessions/{id}`."""
    call.params.only(frozenset(("expand",)))
    return call.addressed("checkout.session", "checkout.session")


def line_items(call: Call, session: Json) -> Json:
    """Answer the lines of a session as a list."""
    data = [_line_item(call, line) for line in session["_"]["lines"]]
    return whole(f"/v1/checkout/sessions/{session['id']}/line_items", data)


def _line_item(call: Call, line: Json) -> Json:
    amount = line["unit"] * line["quantity"]
    return {
        "id": line["id"],
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": line["currency"],
        "description": line["name"],
        "metadata": {},
        "price": {
            "id": new_id("price"),
            "object": "price",
            "active": False,
            "billing_scheme": "per_unit",
            "created": call.now,
            "currency": line["currency"],
            "custom_unit_amount": None,
            "livemode": False,
            "lookup_key": None,
            "metadata": {},
            "nickname": None,
            "product": f"prod_{random_text(14)}",
            "recurring": None,
            "tax_behavior": "unspecified",
            "tiers_mode": None,
            "transform_quantity": None,
            "type": "one_time",
            "unit_amount": line["unit"],
            "unit_amount_decimal": str(line["unit"]),
        },
        "quantity": line["quantity"],
    }


def list_line_items(call: Call) -> Json:
    """`GET /v1/checkout/sessions/{id}/line_items`."""
    call.params.only(PAGING_WITHOUT_TIME)
    return line_items(call, call.addressed("checkout.session", "checkout.session"))


def list_sessions(call: Call) -> Json:
    """`GET /v1/checkout/sessions`, by PaymentIntent, customer, status."""
    params = call.params
    params.only(PAGING | {"payment_intent", "customer", "status"})
    where: dict[str, Any] = {
        "parent": params.text("payment_intent"),
        "customer": params.text("customer"),
        "status": params.text("status"),
    }
    return page(call, "checkout.session", "/v1/checkout/sessions", where)
