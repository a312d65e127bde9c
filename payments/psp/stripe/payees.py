"""A seller's bank account as Stripe takes it: a connected account with one external account.

Payouts of it are ours to order (`manual`): Stripe must never sweep the balance by itself, or a payout would be paid
twice.
"""

from typing import TYPE_CHECKING

from payments.psp.base import PayeeRequest

if TYPE_CHECKING:
    from stripe.params import AccountCreateParams, AccountCreateParamsBankAccount


def payee_params(request: PayeeRequest, metadata: dict[str, str]) -> "AccountCreateParams":
    """Build the request for a connected account. Holds bank details in clear: never log it."""
    bank: AccountCreateParamsBankAccount = {
        "object": "bank_account",
        "country": request.country,
        "currency": request.currency.lower(),
        "account_number": request.account_number,
        "account_holder_name": request.account_holder,
    }
    if request.routing_number:
        bank["routing_number"] = request.routing_number
    params: AccountCreateParams = {
        "type": "custom",
        "country": request.country,
        "default_currency": request.currency.lower(),
        "capabilities": {"transfers": {"requested": True}},
        "business_profile": {"name": request.name[:100]},
        "external_account": bank,
        "settings": {"payouts": {"schedule": {"interval": "manual"}}},
        "metadata": metadata,
    }
    if request.email:
        params["email"] = request.email
    return params
