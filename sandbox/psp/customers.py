"""Customers: whom saved payment methods belong to."""

from typing import Any, Final

from . import methods
from .call import Call
from .errors import Json, not_found
from .events import emit
from .identifiers import random_text
from .lists import PAGING, page

CUSTOMER: Final = frozenset(
    ("email", "name", "phone", "description", "metadata", "address", "expand", "preferred_locales",
     "payment_method",
     "invoice_settings", "shipping")
)  # fmt: skip


def new_customer(call: Call, **given: Any) -> Json:
    """Write a new customer."""
    customer: Json = {
        "id": f"cus_{random_text(14)}",
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": call.now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": random_text(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
        **given,
    }
    call.store.add(call.scope, customer)
    emit(call, "customer.created", customer)
    return customer


def create(call: Call) -> Json:
    """`POST /v1/customers`."""
    params = call.params
    params.only(CUSTOMER)
    address = params.child("address")
    customer = new_customer(
        call,
        address={name: address.text(name) for name in methods.NO_ADDRESS} if address.values else None,
        description=params.text("description"),
        email=params.text("email", at_most=512),
        metadata=params.metadata(),
        name=params.text("name", at_most=256),
        phone=params.text("phone", at_most=20),
        preferred_locales=params.texts("preferred_locales"),
    )
    if given := params.text("payment_method"):
        methods.put_to_customer(call, methods.obtain(call, given), customer["id"])
    return customer


def retrieve(call: Call) -> Json:
    """`GET /v1/customers/{id}`."""
    call.params.only(frozenset(("expand",)))
    return call.addressed("customer", "customer")


def update(call: Call) -> Json:
    """`POST /v1/customers/{id}`."""
    params = call.params
    params.only(CUSTOMER)
    customer = call.addressed("customer", "customer")
    for name in ("email", "name", "phone", "description"):
        if name in params:
            customer[name] = params.text(name)
    customer["metadata"] = params.metadata(customer["metadata"])
    call.store.save(customer)
    emit(call, "customer.updated", customer)
    return customer


def list_customers(call: Call) -> Json:
    """`GET /v1/customers`."""
    call.params.only(PAGING | {"email"})
    return page(call, "customer", "/v1/customers", {"email": call.params.text("email")})


def delete(call: Call) -> Json:
    """`DELETE /v1/customers/{id}`: its payment methods can no longer be used."""
    customer = call.addressed("customer", "customer")
    for row in call.store.db.execute(
        "SELECT id FROM objects WHERE customer = ? AND kind = 'payment_method'", (customer["id"],)
    ).fetchall():
        method = call.store.get(call.scope, row[0])
        if method is None:
            raise not_found("PaymentMethod", row[0])
        method["customer"] = None
        method["_"]["used"] = True
        call.store.save(method)
    call.store.remove(customer["id"])
    emit(call, "customer.deleted", customer)
    return {"id": customer["id"], "object": "customer", "deleted": True}
