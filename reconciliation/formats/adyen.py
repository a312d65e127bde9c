"""Adyen's settlement details report, in both published layouts: columns are found by name, wherever they stand.

One file is one batch or several. Debits and credits stand in columns of their own; fees stand between gross and net, in
the currency that is settled. A batch closes itself: with its payout (or the balance that is carried on) all its rows
add up to nothing, and a batch with money and without such a row was cut off. Source: docs.adyen.com/reporting/
settlement-reconciliation/transaction-level/settlement-details-report.

A journal type that is not known becomes the flow `other`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reconciliation.formats.base import Side, SourceFacts
from reconciliation.formats.columns import (
    Cell,
    Check,
    FileCheck,
    Keys,
    Layout,
    by_category,
    factor_of,
    inexact,
    moment,
    scaled,
)

FLOWS: Final = {
    "Settled": "charge",
    "SettledInInstallments": "charge",
    "SettledExternally": "charge",
    "Refunded": "refund",
    "RefundedReversed": "refund_failure",
    "Chargeback": "dispute",
    "SecondChargeback": "dispute",
    "ChargebackReversed": "dispute_reversal",
    "Fee": "fee",
    "MiscCosts": "fee",
    "AuthorisationSchemeFee": "fee",
    "PaymentCost": "fee",
    "InvoiceDeduction": "fee",
    "MerchantPayout": "payout",
    "InternalCompanyPayout": "payout",
    "BankInstructionReturned": "payout_reversal",
    "ReserveAdjustment": "reserve",
    "DepositCorrection": "reserve",
}
_CLOSING: Final = "('MerchantPayout', 'InternalCompanyPayout', 'Balancetransfer')"

_CELLS: Final = {
    "merchant": Cell(("Merchant Account",), required=True),
    "psp": Cell(("Psp Reference",), required=True),
    "own": Cell(("Merchant Reference",)),
    "method": Cell(("Payment Method",)),
    "created": Cell(("Creation Date",), required=True),
    "created_in": Cell(("TimeZone",), required=True),
    "type": Cell(("Type",), required=True),
    "modification": Cell(("Modification Reference",), required=True),
    "own_modification": Cell(("Modification Merchant Reference",)),
    "gross_in": Cell(("Gross Currency",), required=True),
    "gross_debit": Cell(("Gross Debit (GC)",), required=True),
    "gross_credit": Cell(("Gross Credit (GC)",), required=True),
    "net_in": Cell(("Net Currency",), required=True),
    "net_debit": Cell(("Net Debit (NC)",), required=True),
    "net_credit": Cell(("Net Credit (NC)",), required=True),
    "commission": Cell(("Commission (NC)",), required=True),
    "markup": Cell(("Markup (NC)",), required=True),
    "scheme_fees": Cell(("Scheme Fees (NC)",)),
    "interchange": Cell(("Interchange (NC)",)),
    "batch_number": Cell(("Batch Number",), required=True),
}
_NET_AMOUNTS: Final = ("net_debit", "net_credit", "commission", "markup", "scheme_fees", "interchange")
_GROSS_AMOUNTS: Final = ("gross_debit", "gross_credit")
_FEES: Final = " + ".join(
    f"coalesce({name}_scaled, 0)" for name in ("commission", "markup", "scheme_fees", "interchange")
)
_NET: Final = "(coalesce(net_credit_scaled, 0) - coalesce(net_debit_scaled, 0))"
_PAID: Final = "(coalesce(gross_credit_scaled, 0) - coalesce(gross_debit_scaled, 0))"

_VALUES: Final = {
    "flow": by_category("type", FLOWS),
    **{f"{name}_scaled": scaled(name) for name in _NET_AMOUNTS},
    **{
        f"{name}_scaled": f"CASE WHEN {name} IS NOT NULL THEN {scaled(name, factor_of('gross_in'))} END"
        for name in _GROSS_AMOUNTS
    },
    # The zone is a name or an abbreviation of one (CET, PST); what the database does not know is an error, not a guess.
    "created_at": "CASE WHEN created_in IN (SELECT abbrev FROM pg_catalog.pg_timezone_abbrevs) THEN "
    + moment("created", "created_in")
    + " END",
}

_LINE: Final = {
    # Two rows of a batch may be alike in all of it (a fee has no reference at all): they are counted.
    "key": "concat_ws('|', coalesce(psp, ''), type, coalesce(modification, ''), batch_number)",
    "flow": "flow",
    "category": "type",
    "currency": "net_in",
    # What was moved before fees, in the currency that is settled.
    "gross_minor": f"({_NET} + {_FEES})::bigint",
    "fee_minor": f"({_FEES})::bigint",
    "booked_on": "(created_at AT TIME ZONE %(zone)s)::date",
    "occurred_at": "created_at",
    "reference": "CASE flow WHEN 'charge' THEN coalesce(psp, '') WHEN 'payout' THEN batch_number"
    " WHEN 'payout_reversal' THEN coalesce(modification, batch_number)"
    " ELSE coalesce(modification, psp, '') END",
    "charge_reference": "CASE WHEN flow IN ('charge', 'refund', 'refund_failure', 'dispute', 'dispute_reversal')"
    " THEN coalesce(psp, '') ELSE '' END",
    "batch": "batch_number",
    "own_reference": "CASE WHEN flow = 'charge' THEN coalesce(own, '') ELSE coalesce(own_modification, own, '') END",
    "paid_currency": "CASE WHEN gross_in <> net_in THEN gross_in ELSE '' END",
    "paid_minor": f"CASE WHEN gross_in <> net_in THEN {_PAID}::bigint END",
    "text": "coalesce(method, '')",
}

_CHECKS: Final = (
    Check("type", "missing_value", "type IS NULL", "every row has a type"),
    Check("batch_number", "missing_value", "batch_number IS NULL", "every row belongs to a batch"),
    Check("net_in", "invalid_currency", "factor IS NULL", "not an ISO 4217 currency"),
    Check(
        "gross_in",
        "invalid_currency",
        f"gross_in IS NOT NULL AND {factor_of('gross_in')} IS NULL",
        "not an ISO 4217 currency",
    ),
    *(
        Check(
            name,
            "invalid_amount",
            f"{name} IS NOT NULL AND factor IS NOT NULL AND {inexact(f'{name}_scaled')}",
            "not an amount",
        )
        for name in (*_NET_AMOUNTS, *_GROSS_AMOUNTS)
    ),
    Check("net_debit", "ambiguous_amount", "net_debit_scaled <> 0 AND net_credit_scaled <> 0", "a debit and a credit"),
    Check(
        "net_credit",
        "wrong_total",
        f"gross_in = net_in AND {_PAID} <> 0 AND {_PAID} <> {_NET} + {_FEES}",
        "gross - fees is not net",
    ),
    Check("created", "invalid_time", "created_at IS NULL", "not a time like 2026-11-21 10:00:00 in a zone like CET"),
)

# A batch adds up to nothing with its payout, or with the balance that is carried on.
_TOTALS: Final = FileCheck(
    "Net Credit (NC)",
    "wrong_total",
    "SELECT 'batch ' || batch_number || ': the rows make ' || total || ' ' || net_in || ' beside the payout of '"
    " || -closed FROM (SELECT batch_number, net_in, sum(net) FILTER (WHERE NOT closing) AS total,"
    " sum(net) FILTER (WHERE closing) AS closed FROM"
    f" (SELECT batch_number, net_in, {_NET} AS net, type IN {_CLOSING} AS closing FROM typed) rows"
    " GROUP BY 1, 2) batches WHERE closed IS NOT NULL AND coalesce(total, 0) + closed <> 0",
)
_CUT_OFF: Final = FileCheck(
    "Type",
    "cut_off",
    "SELECT 'batch ' || batch_number || ' of ' || total || ' ' || net_in || ' has no payout' FROM"
    f" (SELECT batch_number, net_in, sum({_NET}) AS total, bool_or(type IN {_CLOSING}) AS closed FROM typed"
    " GROUP BY 1, 2) batches WHERE NOT closed AND total > 0",
)
_OTHER_ACCOUNT: Final = FileCheck(
    "Merchant Account",
    "other_account",
    "SELECT DISTINCT 'a row of ' || coalesce(merchant, 'no account') FROM typed"
    " WHERE %(account)s <> '' AND upper(merchant) IS DISTINCT FROM upper(%(account)s)",
)

LAYOUT: Final = Layout(
    cells=_CELLS,
    currency="net_in",
    values=_VALUES,
    line=_LINE,
    checks=_CHECKS,
    keys=Keys.COUNTED,
    identity="'batch ' || string_agg(DISTINCT batch_number, ', ' ORDER BY batch_number)"
    " || ' of ' || string_agg(DISTINCT merchant, ', ' ORDER BY merchant)",
    file_checks=(_OTHER_ACCOUNT, _TOTALS, _CUT_OFF),
)


@dataclass(frozen=True, slots=True)
class SettlementDetails:
    """Adyen's settlement details report as CSV."""

    name: str = "adyen_settlement"
    side: Side = Side.PSP

    def layout(self, source: SourceFacts) -> Layout:  # noqa: ARG002 - the same for every account
        """Return how its columns are read."""
        return LAYOUT


SETTLEMENT_DETAILS: Final = SettlementDetails()
