"""Our payment method types (`card`, `wallet`, `qr`) in Stripe's words, both ways.

Without a restriction, or with all three, nothing is sent: Stripe then offers what the account has switched on
and what the currency and amount allow (automatic payment methods; on a session: dynamic ones). A narrower
choice goes out as `allowed_payment_method_types`, which filters that same set: types that do not fit are left
out, not refused, so each of our words can stand for all of Stripe's that mean it. (`payment_method_types` is
gone since API version 2026-09-30.) Apple Pay and Google Pay are cards to Stripe: they are allowed by `card`,
and come back as `wallet`.
"""

from collections.abc import Sequence
from typing import Final

# A buyer pays these by scanning a code.
QR_TYPES: Final = (
    "duitnow",
    "paynow",
    "paypay",
    "pix",
    "promptpay",
    "qris",
    "swish",
    "twint",
    "upi",
    "wechat_pay",
)
_WALLET_TYPES: Final = (
    "link", "alipay", "amazon_pay", "cashapp", "gcash", "gopay", "grabpay", "kakao_pay", "mobilepay",
    "momo", "naver_pay", "payco", "paypal", "revolut_pay", "samsung_pay", "satispay", "shopeepay",
    "touch_n_go", "truemoney", "vipps", "wero",
)  # fmt: skip
_TYPES: Final = {"card": ("card",), "wallet": _WALLET_TYPES, "qr": QR_TYPES}
_REUSABLE: Final = ("card", "link")


def allowed_types(method_types: Sequence[str]) -> list[str]:
    """Return Stripe's types for a restriction; empty if there is none and Stripe shall choose."""
    wanted = [name for name in _TYPES if name in method_types]
    if len(wanted) == len(_TYPES):
        return []
    return [stripe_type for name in wanted for stripe_type in _TYPES[name]]


def reusable_types(method_types: Sequence[str]) -> list[str]:
    """Return those that can be charged again without the buyer; at least `card`."""
    allowed = allowed_types(method_types) or _REUSABLE
    return [name for name in _REUSABLE if name in allowed] or ["card"]
