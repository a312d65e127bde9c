"""Settlement files, one for each day: Stripe's itemised reports as CSV, made of the sandbox's own books.

`balance_change` is `balance_change_from_activity.itemized.3`: what changed the balance on a day, without payouts.
`payout_reconciliation` is `payout_reconciliation.itemized.5`: the lines of the automatic payouts that arrived on a day.
Payouts themselves stand in the second one, also those that no batch explains, so that the two together tell everything.
Amounts are major units, times UTC.
"""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from .banking import lines_of
from .currencies import exponent
from .damages import damaged, spoiled
from .errors import Json
from .sandbox import Sandbox

COLUMNS: Final = (
    "balance_transaction_id", "created_utc", "created", "available_on_utc", "available_on", "currency", "gross", "fee",
    "net", "reporting_category", "source_id", "description", "customer_facing_amount", "customer_facing_currency",
    "automatic_payout_id", "automatic_payout_effective_at_utc", "charge_id", "payment_intent_id", "charge_created_utc",
    "payment_method_type", "card_brand", "card_country", "dispute_reason", "connected_account_id",
)  # fmt: skip
OF_PAYOUTS: Final = ("trace_id", "trace_id_status")
METADATA: Final = ("payment_metadata", "refund_metadata", "transfer_metadata")
PAYOUTS: Final = ("payout", "payout_reversal")
MAX_LINES: Final = 1_000_000


def balance_change(sandbox: Sandbox, scope: str, day: date, zone: ZoneInfo) -> list[Json]:
    """Answer what changed an account's balance on a day."""
    return [one for one in _of_day(sandbox, scope, day, zone) if one["reporting_category"] not in PAYOUTS]


def payout_reconciliation(sandbox: Sandbox, scope: str, day: date, zone: ZoneInfo) -> list[Json]:
    """Answer the lines of the automatic payouts that arrive on a day, and the payouts that came or went beside them."""
    start, end = _bounds(day, zone)
    rows = []
    for payout in sandbox.store.all(scope, "payout"):
        if payout["automatic"] and start <= payout["arrival_date"] < end:
            rows += lines_of(sandbox.store, scope, payout["id"])
    known = {one["id"] for one in rows}
    return rows + [
        one
        for one in _of_day(sandbox, scope, day, zone)
        if one["reporting_category"] in PAYOUTS and one["id"] not in known and not _batch_of(one)
    ]


type Chosen = Callable[[Sandbox, str, date, ZoneInfo], list[Json]]

REPORTS: Final[dict[str, tuple[Chosen, tuple[str, ...]]]] = {
    "balance_change": (balance_change, ()),
    "payout_reconciliation": (payout_reconciliation, OF_PAYOUTS),
}


def write(
    sandbox: Sandbox, name: str, scope: str, day: date, zone: ZoneInfo, *, damage: str = "", source: str = ""
) -> bytes:
    """Write a report of one day; every key of metadata that a line has is a column, as if it had been asked for."""
    choose, more = REPORTS[name]
    rows = damaged([_row(sandbox, scope, one, zone) for one in choose(sandbox, scope, day, zone)], damage, source)
    found = {column for row in rows for column in row if "[" in column}
    columns = [*COLUMNS, *more, *sorted(found, key=lambda column: (METADATA.index(column.partition("[")[0]), column))]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return spoiled(out.getvalue().encode(), damage)


def _bounds(day: date, zone: ZoneInfo) -> tuple[float, float]:
    first = datetime(day.year, day.month, day.day, tzinfo=zone)
    after = day + timedelta(days=1)
    return first.timestamp(), datetime(after.year, after.month, after.day, tzinfo=zone).timestamp()


def _of_day(sandbox: Sandbox, scope: str, day: date, zone: ZoneInfo) -> list[Json]:
    rows = sandbox.store.db.execute(
        "SELECT body FROM objects WHERE scope = ? AND kind = 'balance_transaction' AND created >= ? AND created < ?"
        " ORDER BY seq LIMIT ?",
        (scope, *_bounds(day, zone), MAX_LINES),
    )
    return [json.loads(body) for (body,) in rows]


def _batch_of(transaction: Json) -> str:
    return str(transaction.get("_", {}).get("payout", ""))


def _row(sandbox: Sandbox, scope: str, transaction: Json, zone: ZoneInfo) -> dict[str, Any]:
    """Write one balance transaction with what is known of its source."""
    currency, batch = transaction["currency"], _batch_of(transaction)
    source = sandbox.store.get(scope, transaction["source"]) or {}
    row: dict[str, Any] = {
        "balance_transaction_id": transaction["id"],
        "created_utc": _moment(transaction["created"], UTC),
        "created": _moment(transaction["created"], zone),
        "available_on_utc": _moment(transaction["available_on"], UTC),
        "available_on": _moment(transaction["available_on"], zone),
        "currency": currency,
        "gross": _major(transaction["amount"], currency),
        "fee": _major(transaction["fee"], currency),
        "net": _major(transaction["net"], currency),
        "reporting_category": transaction["reporting_category"],
        "source_id": transaction["source"] or "",
        "description": transaction["description"] or "",
    }
    payout = sandbox.store.get(scope, batch, "payout") if batch else None
    if payout is not None:
        row["automatic_payout_id"] = batch
        row["automatic_payout_effective_at_utc"] = _moment(payout["arrival_date"], UTC)
    return row | _of_source(sandbox, scope, source)


def _of_source(sandbox: Sandbox, scope: str, source: Json) -> dict[str, Any]:
    match source.get("object"):
        case "charge":
            return _of_charge(sandbox, scope, source)
        case "refund":
            charge = sandbox.store.get(scope, source["charge"], "charge") or {}
            return _of_charge(sandbox, scope, charge, facing=source) | _metadata("refund_metadata", source)
        case "dispute":
            charge = sandbox.store.get(scope, source["charge"], "charge") or {}
            return _of_charge(sandbox, scope, charge, facing=source) | {"dispute_reason": source["reason"]}
        case "transfer":
            return _metadata("transfer_metadata", source) | {"connected_account_id": source["destination"]}
        case "transfer_reversal":
            transfer = sandbox.store.get(scope, source["transfer"], "transfer") or {}
            given = _metadata("transfer_metadata", transfer) | _metadata("transfer_metadata", source)
            return given | {"connected_account_id": transfer.get("destination", "")}
        case "payout":
            return {"trace_id": source["trace_id"]["value"] or "", "trace_id_status": source["trace_id"]["status"]}
        case _:
            return {}


def _of_charge(sandbox: Sandbox, scope: str, charge: Json, *, facing: Json | None = None) -> dict[str, Any]:
    """Write what is known of a charge; `facing` is the object whose amount the customer sees, if not the charge."""
    if not charge:
        return {}
    intent = sandbox.store.get(scope, charge["payment_intent"] or "", "payment_intent") or {}
    method = charge["payment_method_details"]
    shown = facing or charge
    card = method.get("card") or {}
    row = {
        "charge_id": charge["id"],
        "payment_intent_id": charge["payment_intent"] or "",
        "charge_created_utc": _moment(charge["created"], UTC),
        "payment_method_type": method["type"],
        "card_brand": card.get("brand") or "",
        "card_country": card.get("country") or "",
        "customer_facing_amount": _major(shown["amount"], shown["currency"]),
        "customer_facing_currency": shown["currency"],
    }
    return row | _metadata("payment_metadata", intent) | _metadata("payment_metadata", charge)


def _metadata(name: str, body: Json) -> dict[str, Any]:
    return {f"{name}[{key}]": value for key, value in (body.get("metadata") or {}).items()}


def _moment(seconds: float, zone: Any) -> str:
    return datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M:%S")


def _major(minor: int, currency: str) -> str:
    digits = exponent(currency)
    sign, whole = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}{whole // 10**digits}.{whole % 10**digits:0{digits}}" if digits else f"{sign}{whole}"
