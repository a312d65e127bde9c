"""One made-up history, from its first payment to its last night: everything planted is found, and nothing else."""

import pytest

from benchmarks.reconciliation import score
from tests.database import Clone


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_is_planted_is_found_and_nothing_is_posted_wrongly(committed_db: Clone) -> None:
    sheet = score.play(1, committed_db.superuser_url)
    assert sheet.misses == []
    assert sheet.wrongly_posted == {}
    assert sum(figures.right for figures in sheet.classes.values()) > 30
