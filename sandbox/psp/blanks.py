"""What a new object looks like before anything has happened to it: every key that Stripe shows.

Only the three big ones; small objects are written where they are made.
"""

from typing import Any

from .call import Call
from .errors import Json
from .identifiers import new_id
from .tokens import METHOD_TYPES, TYPES_WITHOUT_MANUAL_CAPTURE


def client_secret(identifier: str) -> str:
    """Answer a new client secret for an intent."""
    return f"{identifier}_secret_{new_id('x')[2:]}"


def payment_intent(
    call: Call,
    *,
    amount: int,
    currency: str,
    capture_method: str = "automatic_async",
    customer: str | None = None,
    types: list[str] | None = None,
    redirects: bool = True,
    metadata: dict[str, str] | None = None,
    **more: Any,
) -> Json:
    """Write a new PaymentIntent that has not been confirmed."""
    identifier = new_id("pi")
    hidden = {"redirects": redirects and types is None, "return_url": more.pop("return_url", None),
              "session": more.pop("session", None)}  # fmt: skip
    manual = capture_method == "manual"
    unsuitable = TYPES_WITHOUT_MANUAL_CAPTURE if manual else frozenset[str]()
    offered = [name for name in types or METHOD_TYPES if name not in unsuitable]
    allow = "always" if redirects else "never"
    intent: Json = {
        "id": identifier,
        "object": "payment_intent",
        "allowed_payment_method_types": types,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": allow, "enabled": True} if types is None else None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": capture_method,
        "client_secret": client_secret(identifier),
        "confirmation_method": "automatic",
        "created": call.now,
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": metadata or {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": offered,
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        **more,
        "_": hidden,
    }
    return intent


def setup_intent(call: Call, **more: Any) -> Json:
    """Answer a new SetupIntent that has not been confirmed (not yet stored)."""
    identifier = new_id("seti")
    hidden = {"return_url": more.pop("return_url", None), "session": more.pop("session", None)}
    types, redirects = more.pop("types", None), more.pop("redirects", True)
    hidden["redirects"] = redirects and types is None
    allow = "always" if redirects else "never"
    return {
        "id": identifier,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": {"allow_redirects": allow, "enabled": True} if types is None else None,
        "cancellation_reason": None,
        "client_secret": client_secret(identifier),
        "created": call.now,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
        },
        "allowed_payment_method_types": types,
        "payment_method_types": types or ["card", "link", "sepa_debit"],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": "off_session",
        **more,
        "_": hidden,
    }


def checkout_session(
    call: Call,
    identifier: str,
    mode: str,
    types: list[str],
    hidden: Json,
) -> Json:
    return {
        "id": identifier,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "allowed_payment_method_types": None,
        "amount_subtotal": None,
        "amount_total": None,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": None,
        "client_reference_id": None,
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": call.now,
        "currency": None,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None,
        "customer_account": None,
        "customer_creation": None,
        "customer_details": None,
        "customer_email": None,
        "discounts": [],
        "expires_at": 0,
        "integration_identifier": None,
        "invoice": None,
        "invoice_creation": None,
        "livemode": False,
        "locale": None,
        "managed_payments": {"enabled": False},
        "metadata": {},
        "mode": mode,
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": types,
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": None,
        "subscription": None,
        "success_url": None,
        "total_details": None,
        "ui_mode": "hosted",
        "url": f"{call.base_url}/pay/{identifier}",
        "wallet_options": None,
        "_": hidden,
    }
