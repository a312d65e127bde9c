"""Stripe's reports as CSV: itemised payout reconciliation, and balance change from activity (which has no payouts)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from benchmarks.reconciliation.history.money import major
from benchmarks.reconciliation.history.outside import Kind, PspLine

CATEGORIES: Final = {
    Kind.CHARGE: "charge",
    Kind.CAPTURED_LESS: "partial_capture_reversal",
    Kind.CHARGE_FAILED: "charge_failure",
    Kind.REFUND: "refund",
    Kind.REFUND_FAILED: "refund_failure",
    Kind.DISPUTE: "dispute",
    Kind.DISPUTE_BACK: "dispute_reversal",
    Kind.TRANSFER: "transfer",
    Kind.TRANSFER_BACK: "transfer_reversal",
    Kind.FEE: "fee",
    Kind.TAX: "tax",
    Kind.FX_FEE: "stripe_fx_fee",
    Kind.RESERVE: "risk_reserved_funds",
    Kind.TOP_UP: "topup",
    Kind.UNHEARD_OF: "lunar_adjustment",
    Kind.PAYOUT: "payout",
    Kind.PAYOUT_BACK: "payout_reversal",
}

type Column = Callable[[PspLine, ZoneInfo], str]


def _utc(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if moment else ""


_COMMON: Final[dict[str, Column]] = {
    "balance_transaction_id": lambda line, _: line.id,
    "created_utc": lambda line, _: _utc(line.at),
    "created": lambda line, zone: _local(line.at, zone),
    "available_on_utc": lambda line, _: f"{line.available_on} 00:00:00" if line.available_on else "",
    "currency": lambda line, _: line.currency.lower(),
    "gross": lambda line, _: major(line.gross, line.currency),
    "fee": lambda line, _: major(line.fee, line.currency),
    "net": lambda line, _: major(line.net, line.currency),
    "reporting_category": lambda line, _: CATEGORIES[line.kind],
    "source_id": lambda line, _: line.source,
    "description": lambda line, _: line.text,
    "customer_facing_amount": lambda line, _: major(line.paid, line.paid_currency) if line.paid is not None else "",
    "customer_facing_currency": lambda line, _: line.paid_currency.lower(),
    "automatic_payout_id": lambda line, _: line.payout if " " not in line.payout else "",
    "customer_name": lambda line, _: "Erika Mustermann" if line.payment else "",
    "card_brand": lambda line, _: "Visa" if line.payment else "",
    "charge_id": lambda line, _: line.charge,
    "payment_intent_id": lambda line, _: line.payment,
    "dispute_reason": lambda line, _: "fraudulent" if line.kind in (Kind.DISPUTE, Kind.DISPUTE_BACK) else "",
    "payment_metadata[checkout_id]": lambda line, _: line.checkout,
    "transfer_metadata[florin_operation]": lambda line, _: (
        line.own if line.kind in (Kind.TRANSFER, Kind.TRANSFER_BACK) else ""
    ),
    "refund_metadata[florin_operation]": lambda line, _: line.own if line.kind == Kind.REFUND else "",
}
_OF_PAYOUTS: Final[dict[str, Column]] = {
    **_COMMON,
    "trace_id": lambda line, _: line.trace,
    "trace_id_status": lambda line, _: "supported" if line.trace else "",
}


def payout_reconciliation(lines: Iterable[PspLine], zone: ZoneInfo, *, end: str = "\n") -> bytes:
    """Write `payout_reconciliation.itemized.5`: the lines of payouts, each payout itself among them."""
    return _csv(_OF_PAYOUTS, lines, zone, end)


def balance_change(lines: Iterable[PspLine], zone: ZoneInfo, *, end: str = "\n") -> bytes:
    """Write `balance_change_from_activity.itemized.3`, which leaves payouts out."""
    kept = (line for line in lines if line.kind not in (Kind.PAYOUT, Kind.PAYOUT_BACK))
    return _csv(_COMMON, kept, zone, end)


def _csv(columns: dict[str, Column], lines: Iterable[PspLine], zone: ZoneInfo, end: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=end)
    writer.writerow(columns)
    for line in lines:
        writer.writerow(write(line, zone) for write in columns.values())
    return out.getvalue().encode()
