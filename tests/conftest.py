"""Fixtures of the whole suite: databases, broker, and the walls around a test."""

import ipaddress
import os
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import redis
from pytest_django import DjangoDbBlocker
from xdist.scheduler import LoadScopeScheduling

from tests.database import Clone
from tests.journeys.driven_stack import driven_stack
from tests.market import market
from tests.sandbox_process import sandbox_psp
from tests.shop import shop

# Here and nowhere else: a fixture that two modules import is made twice, with a process or a stack for each.
__all__ = ["driven_stack", "market", "sandbox_psp", "shop"]
EXPENSIVE = frozenset({"driven_stack", "localstripe_url", "office_address"})
# What takes seconds to start is started by one test process only: its tests stay together, by how their ids begin.
TOGETHER = {
    "tests/browser/": "office",
    "tests/faults/test_stack_faults.py::test_without_celery": "",
    "tests/faults/test_stack_faults.py::": "stack_faults",
    "tests/journeys/test_demo.py::test_each_scene": "driven_stack",
    "tests/journeys/test_demo.py::test_it_": "driven_stack",
    "tests/journeys/test_demo.py::test_the_story": "driven_stack",
    "tests/journeys/test_replay.py::": "driven_stack",
    "tests/journeys/test_tutorial.py::": "driven_stack",
    "tests/payments/psp/test_localstripe.py::": "localstripe",
    "tests/payments/seals/test_bucket.py::": "bucket",
    "tests/stack/test_stack.py::test_a_command_attaches": "stack",
    "tests/stack/test_stack.py::test_a_killed_process": "stack",
    "tests/stack/test_stack.py::test_a_stopped_process": "stack",
    "tests/stack/test_stack.py::test_every_address": "stack",
    "tests/test_documentation.py::test_the_readmes_example": "driven_stack",
}


class Together(LoadScopeScheduling):
    """Hands tests out one by one, but those that share something expensive to one process.

    It stands for `--dist loadgroup`, whose groups pytest-xdist 3.8 does not see under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Return what a test is handed out with."""
        return _group_of(nodeid) or nodeid


def _group_of(nodeid: str) -> str:
    return next((group for start, group in TOGETHER.items() if nodeid.startswith(start)), "")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together | None:
    """Hand tests out in our way where `./florin test` asks for it."""
    return Together(config, log) if config.getvalue("dist") == "loadgroup" else None


class OutsideTheMachineError(RuntimeError):
    """A test tried to reach something that is not on this machine."""


def _refuse_the_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple):
            _require_loopback(str(address[0]))
    elif event == "socket.getaddrinfo" and arguments[0]:
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else str(arguments[0])
        _require_loopback(host)


def _require_loopback(host: str) -> None:
    if host == "localhost":
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    raise OutsideTheMachineError(f"tests reach nothing outside this machine, not even {host}")


sys.addaudithook(_refuse_the_network)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first, so that no worker ends up alone with one; refuse what the database refuses."""
    for item in items:
        marker = item.get_closest_marker("django_db")
        wanted = set(getattr(item, "fixturenames", ()))
        if (marker and marker.kwargs.get("transaction")) or wanted & {"transactional_db", "live_server"}:
            raise pytest.UsageError(
                f"{item.nodeid}: the runtime role may not truncate; use the fixture committed_db instead"
            )
        if wanted & EXPENSIVE and not _group_of(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid}: it shares what takes seconds to start; name it in TOGETHER")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many deaths the crash tests have placed, and beside which kind of call."""
    flows, beside = Counter[str](), Counter[str]()
    for report in terminalreporter.getreports("passed"):
        found = dict(report.user_properties)
        if "crash_scenarios" in found:
            flows[found.get("crash_flow", "pay-in")] += int(found["crash_scenarios"])
        beside.update(found.get("crash_boundaries", {}))
    if flows:
        terminalreporter.section("single crash")
        terminalreporter.line(
            f"{flows.total()} deaths, each healed; books equal to the PSP's: "
            + ", ".join(f"{count} {name}" for name, count in sorted(beside.items()))
        )
        terminalreporter.line("of " + ", ".join(f"{name} {count}" for name, count in sorted(flows.items())))


@pytest.fixture(scope="session")
def worker() -> str:
    """Name of this test process: gw0, gw1, ... under pytest-xdist, else main."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def clone(worker: str) -> Iterator[Clone]:
    """Give the database of this test process: its addresses by role, and how to empty it."""
    database = Clone(f"florin_{worker}")
    database.create()
    yield database
    database.leave()


@pytest.fixture(scope="session")
def django_db_setup(clone: Clone) -> None:
    """Replace pytest-django's creation of a test database by our clone; `db` rolls back as usual."""


@pytest.fixture
def committed_db(
    request: pytest.FixtureRequest, clone: Clone, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Clone]:
    """Let a test commit for real, from any thread or process; afterwards only seeded tables keep rows."""
    if "db" in request.fixturenames or request.node.get_closest_marker("django_db"):
        raise pytest.UsageError("a test has either db (rolled back) or committed_db, not both")
    with django_db_blocker.unblock():
        try:
            yield clone
        finally:
            clone.reset_time()
            clone.empty()


@pytest.fixture
def superuser(clone: Clone) -> Iterator[psycopg.Connection]:
    """Give a superuser's connection to this process' database, autocommit; it sees what is committed."""
    with psycopg.connect(clone.superuser_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def redis_url(worker: str) -> Iterator[str]:
    """Give the address of an empty Redis-protocol database that belongs to this test process."""
    number = 1 + int(worker.removeprefix("gw")) if worker.startswith("gw") else 0
    url = f"{os.environ['REDIS_URL']}?db={number}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()
