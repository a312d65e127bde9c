"""Orders, charges and operations as tables on the page of something they belong to."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.safestring import SafeString

from ledger.admin.reading import Table
from ledger.admin.showing import api_id, code, link, money, right
from payments.admin.states import state
from payments.models import Charge, PaymentOrder, PspOperation


def orders(found: Iterable[PaymentOrder]) -> Table:
    """Show orders; `seller` must be loaded."""
    return Table(
        "Orders",
        (
            "Order",
            "Reference",
            "Seller",
            "Status",
            right("Amount"),
            right("Platform fee"),
            right("Captured"),
            right("Refunded"),
        ),
        [
            (
                link(row, api_id("ord", row.public_id)),
                code(row.reference),
                link(row.seller, row.seller.name),
                state(row.status),
                money(row.amount_minor, row.currency_id),
                money(row.fee_minor, row.currency_id),
                money(row.captured_minor, row.currency_id),
                money(row.refunded_minor, row.currency_id),
            )
            for row in found
        ],
    )


def charges(found: Iterable[Charge]) -> Table:
    """Show charges; `psp_account` must be loaded."""
    return Table(
        "Charges",
        ("Charge", "PSP account", "PSP id", "Status", right("Amount"), right("Captured")),
        [
            (
                link(row, api_id("chg", row.public_id)),
                link(row.psp_account, str(row.psp_account)),
                code(row.psp_id or row.session_id),
                state(row.status),
                money(row.amount_minor, row.currency_id),
                money(row.captured_minor, row.currency_id),
            )
            for row in found
        ],
    )


def subject(row: PspOperation) -> SafeString:
    """Link to the payment or the payout that a call is about; it must be loaded."""
    if row.payout is not None:
        return link(row.payout, api_id("pyo", row.payout.public_id))
    return link(row.event, row.event.checkout_id if row.event is not None else "")


def operations(found: Iterable[PspOperation]) -> Table:
    """Show calls to the PSP; `event` or `payout` must be loaded (for its currency)."""
    return Table(
        "Operations at the PSP",
        ("Operation", "Kind", "State", "Outcome", "Tries", right("Amount"), "Sent", "Ended", "Error"),
        [
            (
                link(row, api_id("opr", row.public_id)),
                row.kind.replace("_", " "),
                state(row.state),
                state(row.outcome),
                row.tries,
                money(row.amount_minor or None, row.currency),
                row.first_sent_at or "-",
                row.closed_at or "-",
                row.error_code or "-",
            )
            for row in found
        ],
    )
