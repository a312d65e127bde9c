"""Throw-away stacks for tests: their own servers, any free ports, gone afterwards."""

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from config.local_stack.home import Home
from config.local_stack.programs import NAMES
from config.local_stack.stack import LocalStack
from tests.servers import MARK, OURS

NOT_INHERITED = {
    *OURS,
    MARK,
    "FLORIN_STACK",
    "FLORIN_HOME",
    "FLORIN_TEST_SUPERUSER_URL",
    "FLORIN_TEST_SNAPSHOT",
    "PUBLIC_URL",
}


def clean_environment() -> dict[str, str]:
    """Return our environment without anything that leads to the servers of the test run."""
    return {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}


@contextmanager
def throwaway_home(*, migrated: bool = False) -> Iterator[Home]:
    """Give a home with a short path: empty, or with a database that has its schema."""
    directory = Path(tempfile.mkdtemp(prefix="florin-test-"))
    snapshot = Path(os.environ["FLORIN_TEST_SNAPSHOT"])
    try:
        if migrated and snapshot.exists():
            shutil.copytree(snapshot, directory / "postgres")
        yield Home(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def throwaway_stack(
    *,
    only: Collection[str] = NAMES,
    celery: bool = True,
    settings: Mapping[str, str] | None = None,
) -> Iterator[LocalStack]:
    """Run a stack of its own for the duration of the block; `settings` are environment variables for it.

    With FLORIN_TEST_CELERY=off every stack of the suite runs without Celery: the sweeper does the work.
    """
    with throwaway_home(migrated=True) as home:
        stack = LocalStack(
            home,
            given={**clean_environment(), **(settings or {})},
            only=only,
            celery=celery and os.environ.get("FLORIN_TEST_CELERY", "on") == "on",
            durable=False,
            preferred_ports={},
        )
        with stack:
            yield stack
