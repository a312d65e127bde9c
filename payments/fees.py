"""Platform fees: exact, per order, and adding up to the fee of the checkout."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.money import allocate

_WHOLE = 10_000  # basis points


def platform_fees(orders: Sequence[tuple[int, int, int]]) -> list[int]:
    """Return the fee of each order in minor units.

    Each order is (amount, basis points, fixed part). The proportional part is rounded half up once for the whole
    checkout and then allocated to its orders by largest remainder, so that no cent appears or disappears in the
    split; the fixed part is added per order. A fee never exceeds its order's amount.
    """
    weights = [amount * basis_points for amount, basis_points, _ in orders]
    total = (2 * sum(weights) + _WHOLE) // (2 * _WHOLE)
    shares = allocate(total, weights)
    return [min(amount, share + fixed) for (amount, _, fixed), share in zip(orders, shares, strict=True)]


def fee_of_capture(fee_minor: int, amount_minor: int, captured_minor: int) -> int:
    """Return the fee of a partial capture: the order's fee in proportion, rounded half up, the whole for a full one."""
    return (2 * fee_minor * captured_minor + amount_minor) // (2 * amount_minor)
