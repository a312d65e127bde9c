"""How Stripe counts money, where that differs from ISO 4217.

Source: docs.stripe.com/currencies. Our amounts carry the ISO exponent. Stripe writes MGA without decimals
(ISO: two), and ISK and UGX with two (ISO: none; the last two digits must be zero). Three-decimal amounts must
end in zero at Stripe, but that is Stripe's refusal to give, not ours. HUF and TWD are special for payouts
only.

It must never round: an amount that one side cannot express is refused (`None`), because money would be made
or lost.
"""

from typing import Final

from ledger.errors import MoneyError
from ledger.money import exponent_of

STRIPE_EXPONENTS: Final = {"ISK": 2, "MGA": 0, "UGX": 2}


def to_stripe(amount_minor: int, currency: str) -> int | None:
    """Return Stripe's amount; `None` if Stripe cannot express ours, or the currency is unknown."""
    return _rescaled(amount_minor, currency, towards_stripe=True)


def from_stripe(amount: int, currency: str) -> int | None:
    """Return our minor units; `None` if they cannot express Stripe's amount, or the currency is unknown."""
    return _rescaled(amount, currency, towards_stripe=False)


def _rescaled(amount: int, currency: str, *, towards_stripe: bool) -> int | None:
    try:
        ours = exponent_of(currency)
    except MoneyError:
        return None
    theirs = STRIPE_EXPONENTS.get(currency, ours)
    shift = theirs - ours if towards_stripe else ours - theirs
    if shift >= 0:
        return int(amount * 10**shift)
    whole, rest = divmod(amount, 10**-shift)
    return int(whole) if rest == 0 else None
