"""Who bears what of a dispute: the seller, the platform by its fee, or the platform as a loss. Pure functions.

What a dispute takes within what is left of an order is the seller's and, in proportion, the platform's fee; what it
takes beyond is the platform's loss. What comes back goes the other way: first to what was beyond, then in proportion.
Every split sums exactly, whatever comes back in however many steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.money import allocate
from payments.models import DisputePart, PaymentOrder


@dataclass(frozen=True, slots=True)
class Split:
    """An amount in minor units, by whom it is borne."""

    seller: int
    fee: int
    excess: int

    @property
    def total(self) -> int:
        """Return the whole amount."""
        return self.seller + self.fee + self.excess

    def minus(self, other: Split) -> Split:
        """Return the difference, person by person."""
        return Split(self.seller - other.seller, self.fee - other.fee, self.excess - other.excess)


def left_of(order: PaymentOrder) -> int:
    """Return what of a captured order was neither refunded nor taken by other disputes."""
    return max(0, order.captured_minor - order.refunded_minor - order.disputed_minor)


def fee_of(order: PaymentOrder, amount_minor: int) -> int:
    """Return the platform's part of an amount within what is left of an order: its remaining fee in proportion.

    Rounded half up; the whole remaining fee for the whole rest.
    """
    left = left_of(order)
    fee = max(0, order.fee_minor - order.fee_refunded_minor - order.fee_disputed_minor)
    return min(amount_minor, (2 * fee * amount_minor + left) // (2 * left)) if left else 0


def between(part: DisputePart, before_minor: int, after_minor: int) -> Split:
    """Return whose it is what comes back of a part when its total goes from `before_minor` to `after_minor`."""
    return _split(part, after_minor).minus(_split(part, before_minor))


def _split(part: DisputePart, returned_minor: int) -> Split:
    assert 0 <= returned_minor <= part.amount_minor, "no more comes back than was taken"
    excess = min(returned_minor, part.excess_minor)
    owed = part.amount_minor - part.excess_minor - part.fee_minor
    seller, fee = allocate(returned_minor - excess, [owed, part.fee_minor])
    return Split(seller, fee, excess)
