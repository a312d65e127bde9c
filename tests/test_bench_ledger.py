"""The benchmark of the ledger runs and finds the books right; how fast it is, is no matter here."""

import json
import subprocess
import sys

import pytest

from config.local_stack.home import ROOT
from tests.stacks import clean_environment, throwaway_home


@pytest.mark.slow
def test_a_short_run_measures_every_shape_and_leaves_the_books_right() -> None:
    """Without hordak, which would be installed, and with the least load that reaches every shape."""
    words = ["--seconds", "0.3", "--rounds", "1", "--accounts", "200", "--no-hordak", "--json"]
    with throwaway_home() as home:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.ledger", *words],
            env={**clean_environment(), "FLORIN_HOME": str(home.directory)},
            cwd=ROOT, capture_output=True, text=True, timeout=150, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.strip().splitlines()[-1])
    assert result["wrong"] == []
    shapes = {"uniform", "uniform_kept", "checkout", "bulk_100", "python_one", "python_100", "tpc_b", "limit"}
    assert shapes <= set(result["rates"])
    assert "(b) checkout / (a) uniform" in result["ratios"]
