"""Connected accounts: whom a platform pays, and whether a balance can cover it."""

from typing import Final

from .call import Call
from .currencies import currency_of, money
from .errors import Json, ParameterError, RefusalError
from .events import emit
from .identifiers import new_id, random_text
from .ledger import balances
from .lists import PAGING, page, whole

ACCOUNT: Final = frozenset(
    ("type", "country", "email", "business_type", "business_profile", "capabilities", "metadata",
     "controller",
     "default_currency", "external_account", "individual", "company", "settings", "tos_acceptance", "expand")
)  # fmt: skip
BUSINESS_TYPES: Final = ("company", "government_entity", "individual", "non_profit")
FAILING_LAST4: Final = ("1116", "3001")
REFUSED_LAST4: Final = ("1009",)


def create_account(call: Call) -> Json:
    """`POST /v1/accounts`: usable at once, as with Stripe's pre-verified test data."""
    params = call.params
    params.only(ACCOUNT)
    kind = params.choice("type", ("express", "custom", "standard"), "none" if "controller" in params else "standard")
    identifier = f"acct_{random_text(16)}"
    country = (params.text("country", at_most=2) or "DE").upper()
    currency = currency_of(params.text("default_currency") or "eur", param="default_currency")
    profile = params.child("business_profile")
    requirements: Json = {
        "alternatives": [], "current_deadline": None, "currently_due": [], "disabled_reason": None,
        "errors": [],
        "eventually_due": [], "past_due": [], "pending_verification": [],
    }  # fmt: skip
    account: Json = {
        "id": identifier,
        "object": "account",
        "business_profile": {
            "annual_revenue": None, "estimated_worker_count": None, "mcc": profile.text("mcc"),
            "minority_owned_business_designation": None, "name": profile.text("name"),
            "product_description": profile.text("product_description"), "support_address": None,
            "support_email": None, "support_phone": None, "support_url": None, "url": profile.text("url"),
        },
        "business_type": params.choice("business_type", BUSINESS_TYPES),
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "application"},
        "country": country,
        "created": call.now,
        "default_currency": currency,
        "details_submitted": True,
        "email": params.text("email"),
        "external_accounts": whole(f"/v1/accounts/{identifier}/external_accounts", []),
        "future_requirements": requirements,
        "metadata": params.metadata(),
        "payouts_enabled": True,
        "requirements": requirements,
        "settings": _settings(),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": kind,
    }  # fmt: skip
    bank = _bank_account(call, identifier, currency, country)
    if bank is not None:
        account["external_accounts"]["data"].append(bank)
    call.store.add(call.platform, account)
    call.store.db.execute(
        "INSERT INTO accounts (id, secret_key, platform, created) VALUES (?, NULL, ?, ?)",
        (identifier, call.platform, call.now),
    )
    emit(call, "account.updated", account)
    return account


def _settings() -> Json:
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False}, "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None, "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": None, "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": None},
        "payments": dict.fromkeys(
            ("statement_descriptor", "statement_descriptor_kana", "statement_descriptor_kanji",
             "statement_descriptor_prefix_kana", "statement_descriptor_prefix_kanji")
        ),
        "payouts": {
            "debit_negative_balances": True, "schedule": {"delay_days": 2, "interval": "manual"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }  # fmt: skip


def _bank_account(call: Call, account: str, currency: str, country: str) -> Json | None:
    """Answer the bank account of a request: a token, or account details of which only the last four stay."""
    given = call.params.values.get("external_account")
    if not given:
        return None
    number = "6789"
    if isinstance(given, dict):
        details = call.params.child("external_account")
        number = details.required_text("account_number").replace(" ", "")[-4:]
        if number in REFUSED_LAST4:
            raise RefusalError(
                "The bank account could not be found.",
                code="account_number_invalid",
                param="external_account[account_number]",
            )
    elif "fail" in str(given).lower():
        number = FAILING_LAST4[0]
    return {
        "id": new_id("ba"), "object": "bank_account", "account": account, "account_holder_name": None,
        "account_holder_type": None, "account_type": None, "available_payout_methods": ["standard"],
        "bank_name": "SANDBOX BANK", "country": country, "currency": currency, "customer": None,
        "default_for_currency": True, "fingerprint": f"sandbox{number}", "last4": number, "metadata": {},
        "routing_number": None, "status": "new",
    }  # fmt: skip


def retrieve_account(call: Call) -> Json:
    """`GET /v1/accounts/{id}`."""
    call.params.only(frozenset(("expand",)))
    found = call.store.get(call.platform, call.ids[0], "account")
    if found is None:
        raise RefusalError(
            f"The provided key does not have access to account '{call.ids[0]}' (or that account does not exist).",
            status=403,
            code="account_invalid",
        )
    return found


def list_accounts(call: Call) -> Json:
    """`GET /v1/accounts`."""
    call.params.only(PAGING)
    return page(call, "account", "/v1/accounts")


def enough(call: Call, scope: str, currency: str, amount: int) -> None:
    """Refuse what the available balance cannot cover."""
    available = balances(call.store, scope, call.now).get(currency, {}).get("available", 0)
    if available < amount:
        raise RefusalError(
            "You have insufficient available funds in your Stripe account. Your card balance is too low: "
            f"{money(available, currency)} of {money(amount, currency)}.",
            code="balance_insufficient",
        )


def bank_account_of(call: Call, account: str) -> Json | None:
    """Answer the first bank account of a connected account."""
    found = call.store.get(call.platform, account, "account")
    if found is None:
        raise ParameterError(f"No such account: '{account}'")
    banks: list[Json] = found["external_accounts"]["data"]
    return banks[0] if banks else None
