"""Fixtures of the PSP tests: the servers, an account of its own for each test, and an adapter for it."""

import uuid
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from payments.psp.stripe import StripeAdapter
from tests.payments.psp import localstripe
from tests.payments.psp.operations import Bench
from tests.sandbox_process import SandboxPsp, start, stop

READ_TIMEOUT_SECONDS = 0.5


@pytest.fixture(scope="session")
def localstripe_url() -> Iterator[str]:
    """Give the address of a running localstripe."""
    with localstripe.running() as url:
        yield url


@pytest.fixture(scope="session")
def sandbox_psp() -> Iterator[SandboxPsp]:
    """Give a sandbox whose payouts take an hour to leave: whether one still can be cancelled is not a race."""
    psp = start("--payout-seconds", "7200")
    yield psp
    stop(psp)


@pytest.fixture
def key(sandbox_psp: SandboxPsp) -> Iterator[str]:
    """Give an empty account of the sandbox; afterwards its faults are off and its books balance."""
    mine = sandbox_psp.new_key()
    yield mine
    sandbox_psp.clear_faults(mine)
    books = sandbox_psp.books(mine)
    assert books["balanced"], books["wrong"]


@pytest.fixture
def bench(sandbox_psp: SandboxPsp, key: str) -> Bench:
    """Give an adapter on an empty account of the sandbox, and a way to see the truth past it."""
    return Bench.at(sandbox_psp.url, key)


@pytest.fixture
def impatient(sandbox_psp: SandboxPsp, key: str, settings: Settings) -> StripeAdapter:
    """Give an adapter to the same account that does not wait long."""
    settings.PSP_READ_TIMEOUT_SECONDS = READ_TIMEOUT_SECONDS
    return StripeAdapter(key, base_url=sandbox_psp.url)


@pytest.fixture
def other_bench(localstripe_url: str) -> Bench:
    """Give an adapter to localstripe (which has one account for everybody)."""
    return Bench.at(localstripe_url, f"sk_test_{uuid.uuid4().hex}")
