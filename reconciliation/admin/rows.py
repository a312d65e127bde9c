"""How breaks, lines and items look in tables of the back office."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

from django.utils.safestring import SafeString

from ledger.admin.reading import Table
from ledger.admin.showing import api_id, code, link, link_to, money
from reconciliation.models import Break, BreakEvent, Item, StatementLine

# The page of what an item is about.
_PAGES: Final = {
    "charge": "payments_charge",
    "refund": "payments_refund",
    "dispute": "payments_dispute",
    "payout": "payments_payout",
}


def is_day(term: str) -> bool:
    """Say whether a search term is a day."""
    try:
        date.fromisoformat(term)
    except ValueError:
        return False
    return True


def amount(minor: int, currency: str | None) -> SafeString | str:
    """Show an amount, if it is one of money."""
    return money(minor, currency) if currency else "-"


def breaks(title: str, found: Iterable[Break]) -> Table:
    """Show breaks."""
    return Table(
        title,
        ("Break", "Class", "Priority", "Amount", "Reference", "What", "Owner", "Since"),
        [
            (
                link(row, api_id("brk", row.public_id)),
                row.code,
                row.priority,
                amount(row.amount_minor, row.currency_id),
                code(row.reference),
                row.detail,
                row.owner or "-",
                row.break_on,
            )
            for row in found
        ],
    )


def lines(found: Iterable[StatementLine]) -> Table:
    """Show lines of statements."""
    return Table(
        "Lines of statements",
        ("File", "Line", "What", "Amount", "Fee", "Booked", "Reference", "Our reference", "Text"),
        [
            (
                row.file.name or row.file_id,
                row.number,
                f"{row.flow} ({row.category})",
                amount(row.gross_minor, row.currency),
                amount(row.fee_minor, row.currency),
                row.booked_on,
                code(row.reference),
                code(row.own_reference),
                row.text or "-",
            )
            for row in found
        ],
    )


def items(found: Iterable[Item]) -> Table:
    """Show what we expected, with the page of what it is about."""
    return Table(
        "What we did",
        ("What", "Amount", "Fee", "Happened", "Expected by", "Reference", "About"),
        [
            (
                row.flow,
                amount(row.amount_minor, row.currency),
                amount(row.fee_minor, row.currency),
                row.occurred_at,
                row.expected_by,
                code(row.reference),
                link_to(_PAGES[row.subject_kind], row.subject_id, row.subject_kind)
                if row.subject_kind in _PAGES
                else row.subject_kind,
            )
            for row in found
        ],
    )


def history(found: Iterable[BreakEvent]) -> Table:
    """Show what happened to a break."""
    return Table(
        "History",
        ("At", "What", "Class", "By", "Words"),
        [(row.at, row.what, row.code, row.actor, row.detail or "-") for row in found],
    )
