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


def fee_of_refund(
    policy: str, *, amount: int, captured: int, fee: int, given_back: int, in_proportion: tuple[int, int] = (0, 0)
) -> int:
    """Return what the platform gives back of its fee with a refund of `amount`; the rest is the seller's share.

    `keep`: nothing. `return`: the fee first, until all of it is given back. `proportional`: the fee of what was
    refunded in proportion so far (`in_proportion`: amount, and fee given back with it) and now, rounded half up, less
    what was given back with it; so the refunds of a whole capture give back exactly the fee. Never more than the
    refund, nor than what is left of the fee (`given_back`: what went back so far, by whatever policy).
    """
    left = fee - given_back
    if policy == "return":
        return min(amount, left)
    if policy != "proportional":
        return 0
    refunded, with_it = in_proportion
    target = (2 * fee * (refunded + amount) + captured) // (2 * captured)
    return max(0, min(amount, left, target - with_it))


def fee_of_capture(fee_minor: int, amount_minor: int, captured_minor: int) -> int:
    """Return the fee of a partial capture: the order's fee in proportion, rounded half up, the whole for a full one."""
    return (2 * fee_minor * captured_minor + amount_minor) // (2 * amount_minor)
