"""What random histories draw from: currencies, cards and accounts, faults, and rows by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

from tests.market import BOUNCING_IBAN, GOOD_IBAN, REFUSED_IBAN

CURRENCIES: Final = ("EUR", "JPY", "USD")
IBANS: Final = {
    GOOD_IBAN: "an account",
    BOUNCING_IBAN: "an account that gives back what was paid",
    REFUSED_IBAN: "an account that the PSP refuses",
}
TOKENS: Final = {
    "pm_card_bypassPending": "a card whose money is there at once",
    "pm_card_visa": "a card",
    "pm_card_pendingRefund": "a card whose refunds take a minute",
    "pm_card_refundFail": "a card whose refunds come back",
    "pm_card_chargeDeclined": "a card that is declined",
    "pm_card_createDispute": "a card that is disputed",
    "pm_sandbox_delayed_success": "a direct debit",
    "pm_sandbox_late_success": "a direct debit that pays even when cancelled",
}
OPERATIONS: Final = (
    "payment_intents.create",
    "payment_intents.confirm",
    "refunds.create",
    "transfers.create",
    "transfers.reversals.create",
    "payouts.create",
    "disputes.retrieve",
)
FAULTS: Final = ("drop_before", "reset_after", "500_before", "500_after", "html_502_after")
picks: Final = st.integers(0, 63)


def pick[T](rows: Sequence[T], number: int) -> T:
    """Return one of some rows; a smaller number is an older row."""
    return rows[number % len(rows)]
