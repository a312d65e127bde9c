"""A bank's own CSV, as many have one: semicolons, decimal commas, days first, quoted texts over several lines."""

from __future__ import annotations

import csv
import io
from typing import Final

from benchmarks.reconciliation.history.money import major
from benchmarks.reconciliation.history.outside import BankDay

COLUMNS: Final = (
    "Booking day", "Value day", "Amount", "Currency", "Reference", "End to end", "Kind", "Name", "Purpose", "Balance",
)  # fmt: skip


def statement(day: BankDay, *, mark: bool = False, formulas: bool = False) -> bytes:
    """Write the entries of a day. `mark` begins with a byte order mark; `formulas` writes formulas."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(COLUMNS)
    balance = day.opening
    for entry in day.entries:
        if entry.pending:
            continue
        balance += entry.amount
        text = f'=HYPERLINK("http://x.example","{entry.text}")' if formulas else entry.text
        writer.writerow(
            [
                f"{entry.day:%d.%m.%Y}",
                f"{entry.value_day or entry.day:%d.%m.%Y}",
                major(entry.amount, entry.currency, ","),
                entry.currency,
                entry.reference if entry.has_own_reference else "",
                entry.end_to_end,
                str(entry.kind),
                entry.name,
                text.replace(" ", "\n", 1),
                major(balance, entry.currency, ","),
            ]
        )
    written = out.getvalue().encode()
    return b"\xef\xbb\xbf" + written if mark else written
