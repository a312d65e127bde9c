"""Encryption of secrets at rest: AES-256-GCM with the row's identity as associated data.

A ciphertext that was copied to another row or column does not open there. The format starts with a key number, so a
later key can be added beside the first one.
"""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_VERSION = b"\x01"
_NONCE_BYTES = 12


class Unreadable(Exception):
    """A sealed value could not be opened: another row's, another key's, or changed."""


def _cipher() -> AESGCM:
    key = base64.b64decode(settings.FIELD_KEY)
    if len(key) != 32:
        raise Unreadable("FLORIN_FIELD_KEY must be 32 bytes in base64")
    return AESGCM(key)


def seal(plaintext: str, *, identity: str) -> bytes:
    """Encrypt `plaintext` for one place, named by `identity` (for example "api_key.signing_secret:<uuid>")."""
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + _cipher().encrypt(nonce, plaintext.encode(), identity.encode())


def unseal(sealed: bytes | memoryview, *, identity: str) -> str:
    """Decrypt what `seal` made for the same identity. Raises `Unreadable`."""
    data = bytes(sealed)
    if data[:1] != _VERSION:
        raise Unreadable(f"unknown key version for {identity}")
    try:
        return _cipher().decrypt(data[1 : 1 + _NONCE_BYTES], data[1 + _NONCE_BYTES :], identity.encode()).decode()
    except InvalidTag:
        raise Unreadable(f"cannot open {identity}") from None
