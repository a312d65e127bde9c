"""Ids in Stripe's style: a prefix that tells the kind, then letters and digits that nobody can guess."""

import hashlib
import hmac
import os

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def random_text(length: int) -> str:
    """Answer so many random letters and digits (not guessable)."""
    return "".join([ALPHABET[byte % 62] for byte in os.urandom(length)])


def new_id(prefix: str) -> str:
    """Answer a new id such as `pi_` and 24 characters."""
    return f"{prefix}_{random_text(24)}"


def account_id_of(secret_key: str) -> str:
    """Answer the account that belongs to a secret key: always the same one, also after a restart."""
    digest = hashlib.sha256(b"account:" + secret_key.encode()).digest()
    return "acct_" + "".join([ALPHABET[byte % 62] for byte in digest[:16]])


def same_secret(one: str, other: str) -> bool:
    """Compare two secrets in constant time; an empty one is never the same."""
    return bool(one) and hmac.compare_digest(one.encode(), other.encode())
