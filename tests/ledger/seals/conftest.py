"""Fixtures of the tests of the seals."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.seals.keys import Signer


@pytest.fixture
def signer() -> Signer:
    """Give a key that signs."""
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@pytest.fixture
def thief() -> Signer:
    """Give another key, that of somebody who is not trusted."""
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
