"""Fixtures of the wallet's tests."""

from collections.abc import Iterator

import pytest

from ledger import accounts


@pytest.fixture(autouse=True)
def _no_remembered_accounts() -> Iterator[None]:
    """Forget account ids: the rows of another test are gone."""
    accounts.forget()
    yield
    accounts.forget()
