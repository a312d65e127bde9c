"""One stack for all tests that drive it from outside, and how a command is run against it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from config.local_stack.home import ROOT
from config.local_stack.stack import LocalStack
from tests.stacks import clean_environment, throwaway_stack

COMMAND_SECONDS = 120


@dataclass(frozen=True)
class DrivenStack:
    """A running stack that commands find through its home."""

    stack: LocalStack

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment in which a command finds this stack."""
        return {**clean_environment(), "FLORIN_HOME": str(self.stack.home.directory)}

    def words(self, *words: object) -> list[str]:
        """Return the command line of a word of `./florin`."""
        return [sys.executable, str(ROOT / "manage.py"), *map(str, words)]

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a word of `./florin` from another directory than the project's."""
        return subprocess.run(
            self.words(*words),
            env=self.environment,
            cwd=self.stack.home.directory,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )


def last_line(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the JSON summary of a command."""
    assert done.stdout.strip(), done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="session")
def driven_stack() -> Iterator[DrivenStack]:
    """Give a stack of its own to this test process."""
    with throwaway_stack() as stack:
        yield DrivenStack(stack)
