"""Adyen's settlement details report: one batch, unsigned amounts in two columns, a payout row at its end."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final
from zoneinfo import ZoneInfo

from benchmarks.reconciliation.history.money import major
from benchmarks.reconciliation.history.outside import Kind, PspLine

COLUMNS: Final = (
    "Company Account", "Merchant Account", "Psp Reference", "Merchant Reference", "Payment Method", "Creation Date",
    "TimeZone", "Type", "Modification Reference", "Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)",
    "Exchange Rate", "Net Currency", "Net Debit (NC)", "Net Credit (NC)", "Commission (NC)", "Markup (NC)",
    "Scheme Fees (NC)", "Interchange (NC)", "Payment Method Variant", "Modification Merchant Reference", "Batch Number",
    "Reserved4", "Reserved5", "Reserved6", "Reserved7", "Reserved8", "Reserved9", "Reserved10",
)  # fmt: skip
TYPES: Final = {
    Kind.CHARGE: "Settled",
    Kind.REFUND: "Refunded",
    Kind.REFUND_FAILED: "RefundedReversed",
    Kind.DISPUTE: "Chargeback",
    Kind.DISPUTE_BACK: "ChargebackReversed",
    Kind.FEE: "Fee",
    Kind.RESERVE: "ReserveAdjustment",
    Kind.UNHEARD_OF: "LunarCorrection",
    Kind.PAYOUT: "MerchantPayout",
    Kind.PAYOUT_BACK: "BankInstructionReturned",
}
_MODIFIES: Final = (Kind.REFUND, Kind.REFUND_FAILED, Kind.DISPUTE, Kind.DISPUTE_BACK)


def settlement_details(lines: Iterable[PspLine], batch: int, zone: ZoneInfo, *, end: str = "\r\n") -> bytes:
    """Write one batch. What is not split into commission, markup, scheme fee and interchange is commission."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=end)
    writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow(_row(line, batch, zone))
    return out.getvalue().encode()


def _row(line: PspLine, batch: int, zone: ZoneInfo) -> list[str]:
    created = line.at.astimezone(zone)
    gross_debit, gross_credit = _sides(line.gross, line.currency)
    net_debit, net_credit = _sides(line.net, line.currency)
    is_payment = line.kind == Kind.CHARGE or line.kind in _MODIFIES
    fees = _fees(line)
    return [
        "FlorinGroup", "FlorinShop", line.payment if is_payment else "", line.checkout,
        "visa" if is_payment else "", f"{created:%Y-%m-%d %H:%M:%S}", created.tzname() or "CET", TYPES[line.kind],
        line.source if not is_payment or line.kind in _MODIFIES else line.charge,
        line.currency if is_payment else "", gross_debit if is_payment else "", gross_credit if is_payment else "",
        "1" if is_payment else "", line.currency, net_debit, net_credit, *fees,
        "visaclassic" if is_payment else "", "", str(batch), *[""] * 7,
    ]  # fmt: skip


def _sides(minor: int, currency: str) -> tuple[str, str]:
    return (major(-minor, currency), "") if minor < 0 else ("", major(minor, currency))


def _fees(line: PspLine) -> tuple[str, str, str, str]:
    """Split the fee as interchange++ contracts do: commission, markup, scheme fees, interchange."""
    if line.fee == 0 or line.kind not in (Kind.CHARGE, Kind.DISPUTE):
        return ("", "", "", "")
    parts = [line.fee // 8, line.fee // 4, line.fee // 5]
    commission, markup, scheme = (major(part, line.currency) for part in parts)
    return commission, markup, scheme, major(line.fee - sum(parts), line.currency)
