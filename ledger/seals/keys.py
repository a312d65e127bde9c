"""Keys of the seals: Ed25519, a private one that signs (FLORIN_SEAL_KEY), and public ones that are trusted.

The private key is read from the environment or from a file that it names. It never reaches the database or a log.
Public keys are kept in the database for whoever wants to read them; trusted are only those that the settings or the
caller of a check name, because whoever rewrote the seals would also write a key of their own beside them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from django.conf import settings

_SIGNED = b"florin.seal.1\x00"
_PEM = "-----BEGIN"
_FILE_BYTES = 10_000


class UnusableKey(Exception):
    """A setting or file holds no key of the kind that is wanted. The text never shows what it holds."""


class Signer:
    """A private key: signs block hashes, and shows its public half."""

    __slots__ = ("_private", "key_id", "public_key")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes_raw()
        self.key_id = key_id_of(self.public_key)

    def sign(self, block_hash: bytes) -> bytes:
        """Return the signature of a block hash."""
        return self._private.sign(_SIGNED + block_hash)


def key_id_of(public_key: bytes) -> str:
    """Return the name of a public key: the first 16 hex digits of its SHA-256."""
    return sha256(public_key).hexdigest()[:16]


def signer() -> Signer | None:
    """Return the signer of FLORIN_SEAL_KEY; `None` when it is unset: nothing is sealed then. Raises `UnusableKey`."""
    return _signer(settings.SEAL_KEY) if settings.SEAL_KEY else None


def trusted() -> dict[str, bytes]:
    """Return the public keys that the settings trust, by id: that of FLORIN_SEAL_KEY and FLORIN_SEAL_PUBLIC_KEYS."""
    current = signer()
    earlier = [read_public(one) for one in settings.SEAL_PUBLIC_KEYS.split(",") if one.strip()]
    return by_id([*([current.public_key] if current else []), *earlier])


def by_id(public_keys: Iterable[bytes]) -> dict[str, bytes]:
    """Return public keys by their ids."""
    return {key_id_of(key): key for key in public_keys}


def read_public(given: str) -> bytes:
    """Return a public key from base64, from PEM, or from a file with either. Raises `UnusableKey`."""
    content = _content(given)
    try:
        found = (
            load_pem_public_key(content.encode())
            if content.startswith(_PEM)
            else Ed25519PublicKey.from_public_bytes(base64.b64decode(content, validate=True))
        )
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PublicKey):
        raise UnusableKey("not an Ed25519 public key: base64 of its 32 bytes, PEM, or a file with either")
    return found.public_bytes_raw()


def is_signed(block_hash: bytes, signature: bytes, public_key: bytes) -> bool:
    """True when the key signed the block hash."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _SIGNED + block_hash)
    except (InvalidSignature, ValueError):
        return False
    return True


def shown(public_keys: Mapping[str, bytes]) -> dict[str, str]:
    """Return public keys as base64, by id."""
    return {key_id: base64.b64encode(key).decode() for key_id, key in public_keys.items()}


@lru_cache(maxsize=4)
def _signer(given: str) -> Signer:
    content = _content(given)
    try:
        found = (
            load_pem_private_key(content.encode(), password=None)
            if content.startswith(_PEM)
            else Ed25519PrivateKey.from_private_bytes(base64.b64decode(content, validate=True))
        )
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
        found = None  # what was wrong with it could show it
    if not isinstance(found, Ed25519PrivateKey):
        raise UnusableKey(
            "FLORIN_SEAL_KEY is no Ed25519 private key: base64 of its 32 bytes, PEM, or a file with either"
        )
    return Signer(found)


def _content(given: str) -> str:
    """Return what was given, or what is in the file that it names."""
    content = given.strip()
    try:
        path = Path(content)
        if not content.startswith(_PEM) and "/" in content and path.is_file():
            with path.open(encoding="ascii") as file:
                content = file.read(_FILE_BYTES).strip()
    except (OSError, ValueError):
        raise UnusableKey("the file of a seal key cannot be read") from None
    return content.replace("\\n", "\n") if content.startswith(_PEM) else content
