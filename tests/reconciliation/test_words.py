"""The words of the command are those of the documentation: each is parsed, and the judgements are handed over."""

import subprocess
import sys

import pytest

from config.local_stack.home import ROOT


@pytest.mark.parametrize(
    "words",
    [
        ("reconcile", "score", "--seeds", "0", "--first-seed", "7", "--jobs", "1", "--json"),
        ("reconcile", "score", "--jobs", "65"),
    ],
)
def test_the_words_of_the_score_reach_it(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "--seeds is 1 to 1000" in done.stderr
