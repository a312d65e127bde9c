"""Transfers from the platform's balance to connected accounts, and their reversals."""

from typing import Any

from .call import Call
from .connect import enough
from .currencies import currency_of, money
from .errors import Json, RefusalError, missing, not_found
from .events import emit
from .identifiers import new_id
from .ledger import MERCHANT, balances, post, record
from .lists import PAGING, PAGING_WITHOUT_TIME, page, whole


def create(call: Call) -> Json:
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


def retrieve(call: Call) -> Json:
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
