"""Addresses that we hand out: the hosted page with the tokens that open it, and where a PSP notifies us.

A token is derived from the payment's id with the secret key: nothing is stored, it cannot be guessed (256
bits), and it opens this payment only. Whoever holds it may see and pay the payment, never change its content.
The page's form carries another one, so that a link that leaked into a log cannot be turned into a form by
another site unseen.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Literal
from uuid import UUID

from django.conf import settings

from ledger.ids import public_id

Purpose = Literal["client", "form"]


def token_for(payment: UUID, purpose: Purpose = "client") -> str:
    """Return the token of a payment: 43 characters, 256 bits, the same every time."""
    key = f"florin.checkout.{purpose}:{settings.SECRET_KEY}".encode()
    return urlsafe_b64encode(hmac.digest(key, payment.bytes, sha256)).rstrip(b"=").decode()


def is_token_of(token: str, payment: UUID, purpose: Purpose = "client") -> bool:
    """Say whether a token belongs to a payment, in constant time."""
    return hmac.compare_digest(token.encode(errors="replace"), token_for(payment, purpose).encode())


def checkout_url(payment: UUID, token: str | None = None) -> str:
    """Return the address of the hosted page of a payment."""
    return f"{settings.PUBLIC_URL}/checkout/{public_id('pay', payment)}?token={token or token_for(payment)}"


def return_address(payment: UUID) -> str:
    """Return the address to which the PSP sends the buyer back."""
    return f"{settings.PUBLIC_URL}/checkout/{public_id('pay', payment)}/return?token={token_for(payment)}"


def notification_address(psp: str, account: UUID) -> str:
    """Return the address to which a PSP sends the notifications of one account."""
    return f"{settings.PUBLIC_URL}/webhooks/psp/{psp}/{public_id('psp', account)}"
