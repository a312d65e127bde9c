"""The adapter for Stripe and for servers that speak its dialect."""

from payments.psp.stripe.adapter import StripeAdapter
from payments.psp.stripe.notifications import StripeNotifications

__all__ = ["StripeAdapter", "StripeNotifications"]
