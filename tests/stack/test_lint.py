"""The code passes its own checks: style, format, types, import contracts, migrations."""

import pytest

from config.management.commands.lint import CHECKS, run_check


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CHECKS, reverse=True))
def test_the_code_passes(name: str) -> None:
    done = run_check(name)
    assert done.returncode == 0, f"./florin lint {name}\n{done.stdout}{done.stderr}"
