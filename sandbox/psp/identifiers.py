"""Ids in Stripe's style: a prefix that tells the kind, then letters and digits that nobody can guess."""

import hashlib
import hmac
import os
import time

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

TIME_LENGTH = 8


def random_text(length: int) -> str:
    """Answer so many random letters and digits (not guessable)."""
    return "".join([ALPHABET[byte % 62] for byte in os.urandom(length)])


def new_id(prefix: str) -> str:
    """Answer a new id such as `pi_` and 24 characters: eight of time (indexes then grow at their end), then chance."""
    rest, moment = time.time_ns() // 1_000_000, ""
    for _ in range(TIME_LENGTH):
        rest, digit = divmod(rest, 62)
        moment = ALPHABET[digit] + moment
    return f"{prefix}_{moment}{random_text(24 - TIME_LENGTH)}"


def account_id_of(secret_key: str) -> str:
    """Answer the account that belongs to a secret key: always the same one, also after a restart."""
    digest = hashlib.sha256(b"account:" + secret_key.encode()).digest()
    return "acct_" + "".join([ALPHABET[byte % 62] for byte in digest[:16]])


def same_secret(one: str, other: str) -> bool:
    """Compare two secrets in constant time; an empty one is never the same."""
    return bool(one) and hmac.compare_digest(one.encode(), other.encode())
