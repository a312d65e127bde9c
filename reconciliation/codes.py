"""The classes of breaks: what each code means, how grave it is, and what is done about it without a person.

The codes are those of the taxonomy in docs/reference/breaks.md, which is generated from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """One class of breaks. `automatic` names the repair that needs no person (reconciliation/repairs); empty: none."""

    code: str
    name: str
    priority: int
    meaning: str
    automatic: str = ""


_ALL: Final = (
    Code("A02", "missing here", 3, "a charge at the PSP that none of our payments knows", "suspend"),
    Code("A03", "missing at the PSP", 1, "we booked it, and no statement has it in time"),
    Code("A04", "amounts differ", 2, "the same object, another amount"),
    Code("A05", "currencies differ", 2, "the same object, another currency"),
    Code("A06", "the PSP is ahead", 3, "the PSP did it and we have not heard: a lost notification", "look_up"),
    Code("A07", "we are ahead", 1, "we booked a success that the PSP took back"),
    Code("A08", "booked twice here", 1, "two charges of one payment are booked, the PSP has one"),
    Code("A09", "charged twice", 2, "the PSP has a second charge for a payment", "suspend"),
    Code("A10", "fee differs", 2, "the PSP took another fee than the contract says"),
    Code("A11", "fee not booked", 4, "a fee that stands alone", "book"),
    Code("A12", "refund unknown here", 2, "a refund that was not made by us", "look_up"),
    Code("A13", "refund missing at the PSP", 1, "a refund that was asked for and is not in any statement"),
    Code("A14", "refund failed", 3, "a refund came back, and we have not heard", "look_up"),
    Code("A15", "refunded too much", 1, "the refunds of a charge exceed what was captured"),
    Code("A16", "dispute unknown here", 1, "money was taken for a dispute that we do not know", "look_up"),
    Code("A17", "dispute reversal unknown here", 3, "money of a dispute came back, and we have not heard", "look_up"),
    Code("A18", "partial capture", 4, "the whole was captured and a part given back at once", "net"),
    Code("A19", "other movement", 4, "a category that has no rule: reserves, top-ups, adjustments"),
    Code("A20", "orphaned notification", 4, "a notification about an object that we do not know", "look_up"),
    Code("A21", "stuck", 4, "neither side is final, for too long", "look_up"),
    Code("A22", "earlier period", 4, "a movement of a period that is closed here", "tag"),
    Code("B01", "payout does not add up", 1, "the lines of a PSP's payout are not its amount"),
    Code("B02", "payout missing at the bank", 2, "a PSP's payout has not arrived in time"),
    Code("B03", "payout arrived short", 2, "a PSP's payout arrived with another amount"),
    Code("B04", "bank entry unknown", 3, "an entry of the bank that nothing explains", "suspend"),
    Code("B05", "payout returned", 1, "a payout came back", "return"),
    Code("B06", "bank reversal", 2, "the bank took an entry back, or gave it twice", "net"),
    Code("B07", "bank fee or interest", 4, "the bank's own charge or interest", "book"),
    Code("B08", "gap between statements", 1, "a statement does not begin where the one before it ended"),
    Code("B09", "bad file", 1, "a file contradicts its own totals, or cannot be read: none of it was taken"),
    Code("B10", "balance differs", 1, "the PSP declares another balance than its lines have"),
    Code("B11", "transfer missing or doubled", 1, "a transfer of ours is missing outside, or is there twice"),
    Code("B12", "payee changed", 1, "the bank paid another account than we named"),
    Code("B13", "payout without lines", 4, "a PSP's payout that no line names", "derive"),
    Code("C01", "rounding", 4, "amounts differ by rounding", "book_rounding"),
    Code("C02", "exchange rate", 2, "settled in another currency than it was booked in", "book_exchange"),
    Code("C03", "exchange fee", 4, "a fee for changing money", "book"),
    Code("D01", "books out of balance", 1, "debits and credits differ"),
    Code("D02", "event without journal", 1, "something final was not booked"),
    Code("D03", "journal without event", 1, "something was booked that has no cause"),
    Code("D04", "booked twice", 1, "one cause has two journals"),
    Code("D05", "wallet drifted", 1, "a stored balance is not the sum of its entries"),
    Code("D06", "negative or over-released", 1, "a wallet below its floor, or more released than there was"),
    Code("D07", "stale hold", 4, "money has been held for longer than its policy says"),
    Code("D08", "control account", 1, "the parts are not the whole"),
    Code("D09", "aged suspense", 4, "unknown money has waited for too long"),
    Code("D10", "safeguarding shortfall", 1, "we owe customers more than is at banks and PSPs"),
)

CODES: Final = {code.code: code for code in _ALL}
