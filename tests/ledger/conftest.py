"""Fixtures of the ledger's tests."""

from collections.abc import Iterator

import pytest

from ledger import accounts
from tests.database import Clone
from tests.ledger.desk import Desk


@pytest.fixture(autouse=True)
def _no_remembered_accounts() -> Iterator[None]:
    """Forget account ids: the rows of another test are gone."""
    accounts.forget()
    yield
    accounts.forget()


@pytest.fixture
def desk(db: None) -> Desk:
    """Give a book inside a transaction that is rolled back."""
    return Desk.open()


@pytest.fixture
def committed_desk(committed_db: Clone) -> Desk:
    """Give a book that other connections see."""
    return Desk.open(sellers=8)
