"""Headers that carry meaning: the API key and the Idempotency-Key."""

from __future__ import annotations

import re
from typing import Final

from django.http import HttpRequest

from payments.api import card_numbers
from payments.errors import Invalid, Unauthenticated

MAX_KEY_CHARACTERS: Final = 255
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]+", re.ASCII)
_QUOTED: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"', re.ASCII)


def api_key(request: HttpRequest) -> str:
    """Return the bearer key. Raises `Unauthenticated` when there is none."""
    scheme, _, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    key: str = given.strip()
    if scheme.lower() != "bearer" or not key:
        raise Unauthenticated("authentication_required", "send Authorization: Bearer with an API key")
    if not key.isascii() or len(key) > 255:
        raise Unauthenticated("api_key_invalid", "the API key is not valid")
    return key


def idempotency_key(request: HttpRequest) -> str:
    """Return the Idempotency-Key, unquoted. Raises `Invalid` when it is missing, repeated or malformed."""
    sent = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if sent is None:
        raise Invalid("idempotency_key_missing", "send an Idempotency-Key with every request that moves money")
    key = unquoted(sent)
    check_idempotency_key(key)
    return key


def unquoted(sent: str) -> str:
    """Read a header that may be bare or a quoted string (RFC 9651).

    A header that was sent twice arrives joined by a comma, which neither form may hold.
    """
    text = sent.strip()
    if not text.startswith('"'):
        if "," in text or '"' in text:
            raise Invalid("idempotency_key_invalid", "Idempotency-Key was sent twice, or holds a comma or a quote")
        return text
    match = _QUOTED.fullmatch(text)
    if match is None:
        raise Invalid("idempotency_key_invalid", "Idempotency-Key was sent twice or is not a quoted string")
    inner: str = match[1]
    return inner.replace('\\"', '"').replace("\\\\", "\\")


def check_idempotency_key(key: str) -> None:
    """Raise `Invalid` unless a key is 1 to 255 printable ASCII characters and holds no card number."""
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not _PRINTABLE.fullmatch(key):
        raise Invalid("idempotency_key_invalid", "Idempotency-Key must be 1 to 255 printable ASCII characters")
    card_numbers.refuse(key)
