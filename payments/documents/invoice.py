"""An invoice on paper."""

from __future__ import annotations

from ledger.ids import public_id
from ledger.money import format_minor
from payments.documents import paper
from payments.models import Invoice


def as_pdf(row: Invoice) -> bytes:
    """Return an invoice as it was issued; `row.seller` is loaded."""
    currency = row.currency_id
    issuer, recipient = row.issuer, row.recipient
    rate = f"{row.vat_basis_points / 100:g} %"
    facts = [
        ("Number", row.number),
        ("Date", f"{row.issued_at:%Y-%m-%d}"),
        ("Services in", f"{row.month:%Y-%m}"),
        ("From", ", ".join(text for text in (issuer["name"], issuer["address"], issuer["country"]) if text)),
        ("VAT id", issuer["vat_id"] or "-"),
        ("To", f"{recipient['name']}, {recipient['country']} ({public_id('sel', row.seller.public_id)})"),
        ("Net", f"{format_minor(row.net_minor, currency)} {currency}"),
        (f"VAT {rate}", f"{format_minor(row.vat_minor, currency)} {currency}"),
        ("Total", f"{format_minor(row.gross_minor, currency)} {currency}"),
    ]
    if issuer["note"]:
        facts.append(("Note", issuer["note"]))
    rows = [
        (str(line["kind"]).replace("_", " "), str(line["count"]), format_minor(line["amount_minor"], currency))
        for line in row.lines
    ]
    return paper.pdf(
        "Invoice" if row.gross_minor > 0 else "Credit note",
        facts,
        ("Fees by movement", "Number", f"Amount {currency}, VAT included"),
        rows,
        widths=(50, 20, 30),
        right_from=1,
        footer="The fees were kept when the sales were settled: nothing is to be paid.",
    )
