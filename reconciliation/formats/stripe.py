"""Stripe's itemised reports, `payout_reconciliation.itemized.5` and `balance_change_from_activity.itemized.3`.

Both are the same table with other columns chosen, so they are read alike: by header name, in any order, with whatever
else is in them ignored. Of what is personal (customers, cards, addresses) nothing is read. Amounts are major units with
a point, times are UTC. Source: docs.stripe.com/reports/payout-reconciliation and docs.stripe.com/reports/balance.

`reporting_category` is an open list: a word that is not known becomes the flow `other` and keeps its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reconciliation.formats.base import Side, SourceFacts
from reconciliation.formats.columns import (
    Cell,
    Check,
    Keys,
    Layout,
    by_category,
    factor_of,
    inexact,
    moment,
    scaled,
)

FLOWS: Final = {
    "charge": "charge",
    "charge_failure": "charge",  # a charge of a delayed method that was taken back: negative
    "partial_capture_reversal": "charge",  # what was authorized but not captured: negative
    "refund": "refund",
    "refund_failure": "refund_failure",
    "dispute": "dispute",
    "dispute_reversal": "dispute_reversal",
    "transfer": "transfer",
    "transfer_reversal": "transfer_reversal",
    "fee": "fee",
    "tax": "fee",
    "network_cost": "fee",
    "stripe_fx_fee": "fee",
    "payout": "payout",
    "payout_reversal": "payout_reversal",
    "topup": "top_up",
    "topup_reversal": "top_up",
    "risk_reserved_funds": "reserve",
    "connect_reserved_funds": "reserve",
    "conversion": "conversion",
}

_CELLS: Final = {
    "transaction": Cell(("balance_transaction_id",), required=True),
    "created": Cell(("created_utc", "created"), required=True),
    "available": Cell(("available_on_utc", "available_on")),
    "currency": Cell(("currency",), required=True),
    "gross": Cell(("gross",), required=True),
    "fee": Cell(("fee",), required=True),
    "net": Cell(("net",), required=True),
    "category": Cell(("reporting_category",), required=True),
    "source": Cell(("source_id",), required=True),
    "charge": Cell(("charge_id",)),
    "intent": Cell(("payment_intent_id",)),
    "payout": Cell(("automatic_payout_id",)),
    "description": Cell(("description",)),
    "trace": Cell(("trace_id",)),
    "paid": Cell(("customer_facing_amount",)),
    "paid_in": Cell(("customer_facing_currency",)),
    "transfer_operation": Cell(("transfer_metadata[florin_operation]",)),
    "refund_operation": Cell(("refund_metadata[florin_operation]",)),
    "own_charge": Cell(("payment_metadata[florin_charge]",)),
    "own_payment": Cell(("payment_metadata[florin_payment]",)),
    "own_order": Cell(("payment_metadata[order_id]",)),
}

_VALUES: Final = {
    "flow": by_category("category", FLOWS),
    "gross_scaled": scaled("gross"),
    "fee_scaled": scaled("fee"),
    "net_scaled": scaled("net"),
    "created_at": moment("created"),
    "available_at": moment("available"),
    "paid_scaled": "CASE WHEN upper(paid_in) <> upper(currency) THEN "
    + scaled("paid", factor_of("upper(paid_in)"))
    + " END",
}

_LINE: Final = {
    "key": "transaction",
    "flow": "flow",
    "category": "category",
    "currency": "upper(currency)",
    "gross_minor": "gross_scaled::bigint",
    "fee_minor": "fee_scaled::bigint",
    "booked_on": "(created_at AT TIME ZONE %(zone)s)::date",
    "occurred_at": "created_at",
    "available_on": "(available_at AT TIME ZONE 'UTC')::date",
    "reference": "CASE flow WHEN 'charge' THEN coalesce(intent, charge, source, '')"
    " WHEN 'fee' THEN coalesce(source, transaction) ELSE coalesce(source, '') END",
    "charge_reference": "CASE WHEN flow = 'charge' THEN coalesce(charge, source, '')"
    " WHEN flow IN ('refund', 'refund_failure', 'dispute', 'dispute_reversal') THEN coalesce(intent, charge, '')"
    " ELSE '' END",
    "batch": "coalesce(payout, '')",
    "own_reference": "CASE WHEN flow IN ('transfer', 'transfer_reversal') THEN coalesce(transfer_operation, '')"
    " WHEN flow IN ('refund', 'refund_failure') THEN coalesce(refund_operation, '')"
    " WHEN flow IN ('payout', 'payout_reversal') THEN coalesce(trace, '')"
    " ELSE coalesce(own_charge, own_payment, own_order, '') END",
    "paid_currency": "CASE WHEN paid_scaled IS NOT NULL THEN upper(paid_in) ELSE '' END",
    "paid_minor": "paid_scaled::bigint",
    "text": "coalesce(description, '')",
}

_CHECKS: Final = (
    Check("transaction", "missing_value", "transaction IS NULL", "every line has an id"),
    Check("category", "missing_value", "category IS NULL", "every line has a category"),
    Check("currency", "invalid_currency", "factor IS NULL", "not an ISO 4217 currency"),
    Check("gross", "invalid_amount", f"factor IS NOT NULL AND {inexact('gross_scaled')}", "not an amount"),
    Check("fee", "invalid_amount", f"factor IS NOT NULL AND {inexact('fee_scaled')}", "not an amount"),
    Check("net", "invalid_amount", f"factor IS NOT NULL AND {inexact('net_scaled')}", "not an amount"),
    Check("net", "wrong_total", "coalesce(gross_scaled - fee_scaled <> net_scaled, false)", "gross - fee is not net"),
    Check("created", "invalid_time", "created_at IS NULL", "not a time like 2026-11-21 10:00:00"),
    Check("available", "invalid_time", "available IS NOT NULL AND available_at IS NULL", "not a time"),
    Check(
        "paid",
        "invalid_amount",
        f"paid IS NOT NULL AND coalesce(upper(paid_in) <> upper(currency), false) AND {inexact('paid_scaled')}",
        "not an amount of the customer's currency",
    ),
)

LAYOUT: Final = Layout(
    cells=_CELLS, currency="upper(currency)", values=_VALUES, line=_LINE, checks=_CHECKS, keys=Keys.OWN
)


@dataclass(frozen=True, slots=True)
class StripeReport:
    """An itemised report of Stripe as CSV."""

    name: str
    side: Side = Side.PSP

    def layout(self, source: SourceFacts) -> Layout:  # noqa: ARG002 - the same for every account
        """Return how its columns are read."""
        return LAYOUT


PAYOUT_ITEMIZED: Final = StripeReport("stripe_payout_itemized")
BALANCE_CHANGE: Final = StripeReport("stripe_balance_change")
