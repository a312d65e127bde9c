"""Connected accounts, and transfers from the platform's balance to theirs and back."""

from typing import Any, Final

from .call import Call
from .currencies import currency_of, money
from .errors import Json, ParameterError, RefusalError, missing, not_found
from .events import emit
from .identifiers import new_id, random_text
from .ledger import MERCHANT, balances, post, record
from .lists import PAGING, PAGING_WITHOUT_TIME, page, whole

ACCOUNT: Final = frozenset(
    ("type", "country", "email", "business_type", "business_profile", "capabilities", "metadata",
     "controller",
     "default_currency", "external_account", "individual", "company", "settings", "tos_acceptance", "expand")
)  # fmt: skip
BUSINESS_TYPES: Final = ("company", "government_entity", "individual", "non_profit")
FAILING_LAST4: Final = ("1116", "3001")


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


def create_transfer(call: Call) -> Json:
    """`POST /v1/transfers`: from the available balance, or bound to a charge with `source_transaction`."""
    params = call.params
    params.only(
        frozenset(
            ("amount", "currency", "destination", "description", "metadata", "source_transaction",
             "source_type",
             "transfer_group", "expand")
        )
    )  # fmt: skip
    currency = currency_of(params.required_text("currency"))
    destination = params.required_text("destination")
    amount = params.integer("amount", at_least=1)
    payee = call.store.get(call.platform, destination, "account")
    if payee is None:
        raise RefusalError(f"No such destination: '{destination}'", code="resource_missing", param="destination")
    source = params.text("source_transaction")
    charge = call.referred("charge", source, param="source_transaction") if source else None
    available_on = call.now
    if charge is not None:
        incoming = call.store.get(call.scope, charge["balance_transaction"] or "", "balance_transaction")
        if incoming is None:
            raise RefusalError(f"Charge {charge['id']} has brought no money to transfer.", param="source_transaction")
        available_on = max(call.now, incoming["available_on"])
        amount = charge["amount_captured"] if amount is None else amount
        sent = sum(one["amount"] - one["amount_reversed"] for one in call.store.children(charge["id"], "transfer"))
        if sent + amount > charge["amount_captured"]:
            raise RefusalError(
                f"Transfers using this transaction as a source must not exceed the source amount of "
                f"{money(charge['amount_captured'], currency)}. (There is already "
                f"{money(sent, currency)} in transfers from it.)",
                param="amount",
            )
    if amount is None:
        raise missing("amount")
    if charge is None:
        enough(call, call.scope, currency, amount)
    transfer = _transfer(
        call, amount=amount, currency=currency, payee=payee["id"], charge=charge, available_on=available_on
    )
    emit(call, "transfer.created", transfer)
    return transfer


def _transfer(call: Call, *, amount: int, currency: str, payee: str, charge: Json | None, available_on: int) -> Json:
    params = call.params
    identifier = new_id("tr")
    payment_id = new_id("py")
    group = params.text("transfer_group") or (charge or {}).get("transfer_group")
    out = record(
        call.store, call.scope, source=identifier, kind="transfer", category="transfer", amount=-amount,
        currency=currency, against=None, available_on=available_on, now=call.now,
        description=params.text("description"),
    )  # fmt: skip
    into = record(
        call.store, payee, source=payment_id, kind="payment", category="platform_earning", amount=amount,
        currency=currency, against=None, available_on=available_on, now=call.now,
    )  # fmt: skip
    post(
        call.store, source=identifier, kind="transfer", currency=currency, now=call.now,
        entries=[(call.scope, MERCHANT, -amount), (payee, MERCHANT, amount)],
    )  # fmt: skip
    transfer: Json = {
        "id": identifier,
        "object": "transfer",
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": out["id"],
        "created": call.now,
        "currency": currency,
        "description": params.text("description"),
        "destination": payee,
        "destination_payment": payment_id,
        "livemode": False,
        "metadata": params.metadata(),
        "reversals": whole(f"/v1/transfers/{identifier}/reversals", []),
        "reversed": False,
        "source_transaction": charge["id"] if charge else None,
        "source_type": "card",
        "transfer_group": group or f"group_{payment_id}",
        "_": {"received": into["id"]},
    }
    return call.store.add(call.scope, transfer, parent=charge["id"] if charge else None)


def retrieve_transfer(call: Call) -> Json:
    """`GET /v1/transfers/{id}`."""
    call.params.only(frozenset(("expand",)))
    return call.addressed("transfer", "transfer")


def list_transfers(call: Call) -> Json:
    """`GET /v1/transfers`, by destination or group."""
    params = call.params
    params.only(PAGING | {"destination", "transfer_group"})
    where: dict[str, Any] = {
        "destination": params.text("destination"),
        "transfer_group": params.text("transfer_group"),
    }
    return page(call, "transfer", "/v1/transfers", where)


def create_reversal(call: Call) -> Json:
    """`POST /v1/transfers/{id}/reversals`: needs the connected account's own balance."""
    params = call.params
    params.only(frozenset(("amount", "description", "metadata", "refund_application_fee", "expand")))
    amount = params.integer("amount", at_least=1)
    transfer = call.addressed("transfer", "transfer")
    left = transfer["amount"] - transfer["amount_reversed"]
    if amount is None:
        amount = left
    if amount > left or amount == 0:
        raise RefusalError(
            f"Reversal amount ({money(amount, transfer['currency'])}) is greater than unreversed amount on "
            "transfer "
            f"({money(left, transfer['currency'])})",
            param="amount",
        )
    payee, currency = transfer["destination"], transfer["currency"]
    held = balances(call.store, payee, call.now).get(currency, {"available": 0, "pending": 0})
    if held["available"] + held["pending"] < amount:
        raise RefusalError(
            "Insufficient funds in the connected account to reverse this transfer.",
            code="balance_insufficient",
        )
    received = call.store.get(payee, transfer["_"]["received"], "balance_transaction") or {"available_on": call.now}
    available_on = max(call.now, received["available_on"])
    identifier = new_id("trr")
    back = record(
        call.store, call.scope, source=identifier, kind="transfer_refund", category="transfer_reversal",
        amount=amount, currency=currency, against=None, available_on=available_on, now=call.now,
        description=params.text("description"),
    )  # fmt: skip
    record(
        call.store, payee, source=identifier, kind="payment_refund", category="platform_earning_refund",
        amount=-amount, currency=currency, against=None, available_on=available_on, now=call.now,
    )  # fmt: skip
    post(
        call.store, source=identifier, kind="transfer_reversal", currency=currency, now=call.now,
        entries=[(call.scope, MERCHANT, amount), (payee, MERCHANT, -amount)],
    )  # fmt: skip
    reversal: Json = {
        "id": identifier,
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": back["id"],
        "created": call.now,
        "currency": currency,
        "destination_payment_refund": new_id("pyr"),
        "metadata": params.metadata(),
        "source_refund": None,
        "transfer": transfer["id"],
    }
    call.store.add(call.scope, reversal, parent=transfer["id"])
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    transfer["reversals"]["data"].insert(0, reversal)
    call.store.save(transfer)
    emit(call, "transfer.reversed", transfer)
    return reversal


def list_reversals(call: Call) -> Json:
    """`GET /v1/transfers/{id}/reversals`."""
    call.params.only(PAGING_WITHOUT_TIME)
    transfer = call.addressed("transfer", "transfer")
    return page(call, "transfer_reversal", transfer["reversals"]["url"], {"parent": transfer["id"]})


def retrieve_reversal(call: Call) -> Json:
    """`GET /v1/transfers/{id}/reversals/{id}`."""
    call.params.only(frozenset(("expand",)))
    transfer = call.addressed("transfer", "transfer")
    found = call.store.get(call.scope, call.ids[1], "transfer_reversal")
    if found is None or found["transfer"] != transfer["id"]:
        raise not_found("reversal", call.ids[1])
    return found


def bank_account_of(call: Call, account: str) -> Json | None:
    """Answer the first bank account of a connected account."""
    found = call.store.get(call.platform, account, "account")
    if found is None:
        raise ParameterError(f"No such account: '{account}'")
    banks: list[Json] = found["external_accounts"]["data"]
    return banks[0] if banks else None
