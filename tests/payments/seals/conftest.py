"""Fixtures of the tests of the seal anchor."""

from __future__ import annotations

import pytest

from ledger import accounts
from tests.database import Clone
from tests.ledger.desk import Desk


@pytest.fixture
def committed_desk(committed_db: Clone) -> Desk:
    """Give a book that other connections see."""
    accounts.forget()
    return Desk.open()
