"""Fixtures of the sandbox's own tests: the process, an account of its own for each test, and the real SDK."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from tests.sandbox_process import SandboxPsp, sandbox_psp

__all__ = ["sandbox_psp"]

type Client = (
    Any  # stripe's v1 services: typed by the SDK, but tests reach into fields that only our answers have
)


@pytest.fixture
def key(sandbox_psp: SandboxPsp) -> Iterator[str]:
    """Give an empty account, and check after the test that the sandbox's own books balance."""
    mine = sandbox_psp.new_key()
    yield mine
    sandbox_psp.clear_faults(mine)
    books = sandbox_psp.books(mine)
    assert books["balanced"], books["wrong"]


@pytest.fixture
def connect(sandbox_psp: SandboxPsp) -> Callable[[str], Client]:
    """Give a way to make SDK clients for any key."""

    def client(secret_key: str) -> Client:
        return stripe.StripeClient(
            secret_key, base_addresses={"api": sandbox_psp.url}, max_network_retries=0
        ).v1

    return client


@pytest.fixture
def psp(connect: Callable[[str], Client], key: str) -> Client:
    """Give the SDK client of this test's account."""
    return connect(key)
